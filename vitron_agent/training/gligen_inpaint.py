"""Fine-tunes the inpainting UNet on edits alone, from what the recipe `gligen` exported; the text encoder stays."""

from __future__ import annotations

from pathlib import Path

from vitron_agent.training import gligen
from vitron_agent.training.loop import TrainingConfig, config_from_arguments


def train(config: TrainingConfig) -> None:
    """Train and export ``gligen_inpaint/unet`` beside ``config.out`` (the ``gligen`` folder)."""
    gligen.train(config, edit_share=1.0)


if __name__ == "__main__":
    train(config_from_arguments("gligen_inpaint", Path("vitron_agent/weights/tiny/gligen")))
