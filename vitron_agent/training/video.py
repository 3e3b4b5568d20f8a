"""What the recipes of ZeroScope and I2VGen-XL share: noise, loss, the training loop, the export.

Needs GLIGEN's autoencoder beside the folder that is exported to; starts from GLIGEN's UNet and text encoder where they
are there. Knows nothing about what a UNet is told besides words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, I2VGenXLUNet, UNet3DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.base import Specialist
from vitron_agent.specialists.checkpoints import load_tokenizer
from vitron_agent.specialists.video_diffusion import VideoParts
from vitron_agent.training.examples import FOLDER
from vitron_agent.training.gligen_parts import build_optimiser, build_schedule, export_part
from vitron_agent.training.loop import Ema, Run, TrainingConfig, replace_folder_files, warm_cosine
from vitron_agent.training.peers import Peers
from vitron_agent.training.precision import autocast
from vitron_agent.training.video_data import Batch, ClipBatches, Words, batches, clip_pool
from vitron_agent.training.video_judge import judge_clips
from vitron_agent.training.video_parts import (
    build_text_encoder,
    build_tokenizer,
    load_autoencoder,
    parameters,
    started,
    use_flat_convolutions,
)
from vitron_agent.training.video_words import learn_words


@dataclass(frozen=True)
class VideoRecipe:
    """What is different from one video model to the other.

    Attributes:
        name: of the specialist.
        words: describes a clip as the planner would.
        width: of the UNet's lower level; the option `width` overrules it.
        build_unet: makes the untrained UNet of a width.
        build_more: makes further models that train along, by name.
        predict: (models, batch, noisy latents, times, text) -> the UNet's prediction.
        specialist: makes the specialist of parts and models, for judging.
        first_counts: whether the first frame counts in the loss.
    """

    name: str
    words: Words
    width: int
    build_unet: Callable[[int], UNet3DConditionModel | I2VGenXLUNet]
    build_more: Callable[[], dict[str, nn.Module]]
    predict: Callable[[nn.ModuleDict, Batch, Tensor, Tensor, Tensor], Tensor]
    specialist: Callable[[VideoParts, nn.ModuleDict], Specialist]
    first_counts: bool


def train_video(config: TrainingConfig, recipe: VideoRecipe) -> None:
    """Train and export the UNet, the encoders, `tokenizer` and `scheduler` to `config.out`.

    Options: `batch` (8), `lr` (0.001), `width` of the UNet's lower level, `stills` (0, how many of the first
    steps see first frames alone), `shards` (40) of 512 clips, `workers` (2 processes that prepare batches),
    `judge` (32 held-out clips at each export), `decay` (0.999, of the average), `warm` (1 starts from the weights
    in the export folder), `words` (4000, or 0 where `warm`: steps in which the text encoder learns from words
    alone), `pure` (0.3, below 1: the share of clips that are noise alone, where the words have to say it all).
    Several processes train together where a launcher's variables say so (see peers.py); each takes batches of its own.
    """
    with Peers() as peers:
        _train(config, recipe, peers)


def _train(config: TrainingConfig, recipe: VideoRecipe, peers: Peers) -> None:
    gligen = config.out.parent / "gligen"
    warm = bool(config.option("warm", 0))
    vae = load_autoencoder(gligen).to(config.device)
    tokenizer = load_tokenizer(config.out / "tokenizer", recipe.name) if warm else build_tokenizer()
    dataset = _dataset(config, recipe, vae, tokenizer)  # before the run's clock starts
    torch.manual_seed(config.seed)
    unet, encoder = recipe.build_unet(int(config.option("width", recipe.width))), build_text_encoder(tokenizer)
    encoders = nn.ModuleDict({"text_encoder": encoder, **recipe.build_more()})
    models = nn.ModuleDict({"unet": unet, **encoders})
    note = _exported(models, config.out) if warm else started(unet, encoder, tokenizer, gligen)
    models = models.to(config.device).eval()  # no dropout: clips never run out
    # the plain processor: torch's flash kernel takes 40% of a CPU training step
    unet.set_attn_processor(AttnProcessor())
    use_flat_convolutions(unet)
    note += _words_learned(config, recipe, encoder, tokenizer)
    ema = Ema(models, config.option("decay", 0.999))
    optimiser = build_optimiser(unet, encoders, config.option("lr", 1e-3))
    run = Run(config, {"models": models}, optimiser, {"models": ema})
    run.write(f"{recipe.name}: {parameters(unet) / 1e6:.2f} M parameters; {note}")
    loss_of = ClipLoss(recipe, models, config.device, config.option("pure", 0.3))
    first, workers = run.step * peers.count + peers.rank, int(config.option("workers", 2))
    for batch in batches(dataset, first, workers, config.device, peers.count):
        fraction = peers.agree(run.fraction, config.device)
        if fraction >= 1:
            break
        with autocast(config.device):
            loss = loss_of(batch)
        run.advance(loss, dataset.count * peers.count, factor=warm_cosine(fraction), peers=peers)
        if peers.rank:
            continue
        run.log(50)
        if run.due() or run.done:
            run.save()
            with ema.averaged():
                run.written(config.out, lambda: export(config.out, models, tokenizer))
                parts = VideoParts(tokenizer, encoder, vae, unet, schedule_config(), None, f"step {run.step}")
                count = int(config.option("judge", 32))
                if count:
                    sheet = config.run / f"{run.step}.png"
                    run.write(judge_clips(recipe.specialist(parts, models), recipe.words, sheet, count))


def _exported(models: nn.ModuleDict, folder: Path) -> str:
    """Load what an earlier run exported, and return a line about it; a speed's direction that it has not starts anew.

    Raises:
        CheckpointError: a part is missing, or of another shape.
    """
    for name, model in models.items():
        if name == FOLDER and not (folder / name).is_dir():
            continue
        try:
            (file,) = (folder / name).glob("*.safetensors")
            model.load_state_dict({key: value.float() for key, value in load_file(file).items()})
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(f"{folder / name} holds no such model: train without `--set warm=1`") from error
    return f"all weights start from {folder}"


def _words_learned(
    config: TrainingConfig, recipe: VideoRecipe, encoder: CLIPTextModel, tokenizer: CLIPTokenizer
) -> str:
    """Teach the text encoder by words alone, unless a checkpoint holds what became of it; return a note about it."""
    steps = int(config.option("words", 0 if config.option("warm", 0) else 4000))
    if not steps or (config.resume and (config.run / "checkpoint.safetensors").exists()):
        return ""
    read = learn_words(encoder, tokenizer, recipe.words, config.seed, steps)
    return f"; from words alone, motions read {read:.3f}"


def _dataset(config: TrainingConfig, recipe: VideoRecipe, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> ClipBatches:
    """Return the batches; shards that are not on disk yet are made now, in a folder that all video models share."""
    pool = clip_pool(config.run.parent / "clips", config.seed, vae)
    count, shards, stills = (int(config.option(*o)) for o in (("batch", 8), ("shards", 40), ("stills", 0)))
    pool.grow(shards)
    return ClipBatches(pool, shards, recipe.words, tokenizer, count, config.seed, stills if recipe.first_counts else 0)


class ClipLoss:
    """The weighted squared error of a video UNet, v-prediction, leaning to the noisy end.

    Where things are and how they move is decided at high noise. The weight 1 - alpha_bar makes the loss the squared
    error of the predicted clip, whatever the time.
    """

    def __init__(self, recipe: VideoRecipe, models: nn.ModuleDict, device: str, pure: float = 0.0) -> None:
        """Judge `models` on batches that are on `device`; a share `pure` of the clips is noise alone."""
        self.recipe, self.models, self.pure = recipe, models, pure
        self.kept = build_schedule().alphas_cumprod.to(device)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss of one batch."""
        latents, noise, weight = batch["latents"], batch["noise"], batch["weight"]
        share = (batch["share"] / (1 - self.pure)).clamp(max=1)
        times = (share.sqrt() * len(self.kept)).long().clamp(max=len(self.kept) - 1)
        kept = self.kept[times].view(-1, 1, 1, 1, 1)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        target = kept.sqrt() * noise - (1 - kept).sqrt() * latents
        text = self.models["text_encoder"](batch["ids"]).last_hidden_state
        predicted = self.recipe.predict(self.models, batch, noisy, times, text)
        error = (predicted.float() - target).square() * weight * (1 - kept).clamp_min(0.15)
        return (error if self.recipe.first_counts else error[:, :, 1:]).mean()


def schedule_config() -> dict[str, Any]:
    """Return the configuration of the noise schedule, with its class's name: GLIGEN's."""
    schedule = build_schedule()
    return {**schedule.config, "_class_name": type(schedule).__name__}


def export(out: Path, models: nn.ModuleDict, tokenizer: CLIPTokenizer) -> None:
    """Write all that the specialist loads besides the autoencoder, in half precision; files appear whole."""
    for name, model in models.items():
        export_part(model, out / name)
    replace_folder_files(out / "tokenizer", tokenizer.save_pretrained)
    replace_folder_files(out / "scheduler", build_schedule().save_pretrained)
