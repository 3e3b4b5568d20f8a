"""Trains the tiny I2VGen-XL on clips of the small world: a first frame and words about motion to videos."""

from pathlib import Path

import torch
from torch import Tensor, nn

from vitron_agent.shapes.clip_captions import motion_command
from vitron_agent.specialists.base import Specialist
from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator
from vitron_agent.specialists.i2vgen_xl.animator import NAME, TINY
from vitron_agent.specialists.i2vgen_xl.picture import embed_squares, guide_latents
from vitron_agent.specialists.video_diffusion import VideoParts
from vitron_agent.training.examples import FOLDER, ExampleEncoder
from vitron_agent.training.loop import TrainingConfig, config_from_arguments
from vitron_agent.training.video import VideoRecipe, train_video
from vitron_agent.training.video_data import Batch
from vitron_agent.training.video_parts import build_animation_unet, build_image_encoder


def train(config: TrainingConfig) -> None:
    """Train and export `unet`, `text_encoder`, `image_encoder`, `examples`, `tokenizer`, `scheduler`.

    Options as `train_video`'s. The first frame is noised like the others, which is how the sampler holds it.
    """
    train_video(config, RECIPE)


def _more() -> dict[str, nn.Module]:
    return {"image_encoder": build_image_encoder(), FOLDER: ExampleEncoder()}


def _predict(models: nn.ModuleDict, batch: Batch, noisy: Tensor, times: Tensor, text: Tensor) -> Tensor:
    """Where the words are dropped, the picture's embedding is too: as in the unconditional row of guidance.

    Beside the words it is told how fast things move, which they leave open.
    """
    latents = batch["latents"]
    embeddings = embed_squares(models["image_encoder"], batch["first"].float() / 255) * batch["told"][:, None, None]
    predicted: Tensor = models["unet"](
        noisy,
        times,
        fps=torch.full((len(latents),), TINY.fps, device=latents.device),
        image_latents=guide_latents(latents[:, :, 0], latents.shape[2]),
        image_embeddings=embeddings,
        encoder_hidden_states=text + models[FOLDER](batch["speed"]),
    ).sample
    return predicted


def _specialist(parts: VideoParts, models: nn.ModuleDict) -> Specialist:
    return I2VGenAnimator(parts, models["image_encoder"], TINY)


RECIPE = VideoRecipe(NAME, motion_command, 64, build_animation_unet, _more, _predict, _specialist, first_counts=False)

if __name__ == "__main__":
    train(config_from_arguments(NAME, Path("vitron_agent/weights/tiny") / NAME))
