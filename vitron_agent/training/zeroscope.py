"""Trains the tiny ZeroScope on clips of the small world: captions to videos."""

from pathlib import Path

from diffusers import UNet3DConditionModel
from torch import Tensor, nn

from vitron_agent.shapes.clip_captions import clip_caption
from vitron_agent.specialists.base import Specialist
from vitron_agent.specialists.video_diffusion import VideoParts
from vitron_agent.specialists.video_diffusion.conditioning import clip_input
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
from vitron_agent.specialists.zeroscope.generator import NAME, TINY
from vitron_agent.training.loop import TrainingConfig, config_from_arguments
from vitron_agent.training.video import VideoRecipe, train_video
from vitron_agent.training.video_data import Batch
from vitron_agent.training.video_parts import build_text_to_video_unet


def train(config: TrainingConfig) -> None:
    """Train and export `unet`, `text_encoder`, `tokenizer` and `scheduler`; options as `train_video`'s."""
    train_video(config, RECIPE)


def _predict(models: nn.ModuleDict, batch: Batch, noisy: Tensor, times: Tensor, text: Tensor) -> Tensor:
    unet: UNet3DConditionModel = models["unet"]
    predicted: Tensor = unet(clip_input(noisy, unet.config.in_channels), times, text).sample
    return predicted


def _specialist(parts: VideoParts, models: nn.ModuleDict) -> Specialist:
    return ZeroscopeGenerator(parts, TINY)


RECIPE = VideoRecipe(NAME, clip_caption, 80, build_text_to_video_unet, dict, _predict, _specialist, first_counts=True)

if __name__ == "__main__":
    train(config_from_arguments(NAME, Path("vitron_agent/weights/tiny") / NAME))
