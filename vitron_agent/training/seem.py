"""Trains the tiny SEEM: every prompt kind at once on the small world's pictures.

Per picture: a panoptic run, phrases (some of which match nothing), a stroke, and an example from the paired picture.
The data are in `seem_batch.py`, `seem_data.py` and `seem_language.py`, the losses in `seem_losses.py`, helpers that do
not ship in `seem_auxiliary.py`, measuring in `seem_measure.py`.
"""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from vitron_agent.shapes.scene import Scene, sample_scene
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.model import Seem
from vitron_agent.training.bpe import clip_tokenizer
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    warm_cosine,
)
from vitron_agent.training.seem_auxiliary import Teacher
from vitron_agent.training.seem_batch import make_batch
from vitron_agent.training.seem_language import CLASSES, corpus
from vitron_agent.training.seem_losses import class_embeddings, encode, lesson, losses, run_model
from vitron_agent.training.seem_measure import report


def tiny_config(vocabulary: int) -> SeemConfig:
    """Sizes of the tiny profile: 64-pixel pictures are seen at 128, masks come at 32."""
    return SeemConfig(
        embed_dim=24, depths=(1, 1, 2, 1), hidden_dim=64, norm_groups=4, heads=4, feedforward_dim=192, encoder_layers=2,
        decoder_layers=6, queries=16, memories=4, text_width=64, text_heads=4, text_layers=3, context_length=32,
        vocab_size=vocabulary, max_points=16, short_side=128, layerscale=0.5, classes=CLASSES,
        stuff=("background",), text_threshold=0.0, edge_reach=2,
    )  # fmt: skip


def build_tokenizer(context: int = 32) -> CLIPTokenizer:
    """Learn the tokenizer from training phrases."""

    def scenes() -> Iterator[Scene]:
        rng = random.Random("tokenizer")
        while True:
            yield sample_scene(rng)

    return clip_tokenizer(corpus(scenes(), 4000), merges=400, context=context)


def export(model: Seem, ema: Ema, tokenizer: CLIPTokenizer, folder: Path, config: SeemConfig | None = None) -> None:
    """Write the averaged weights in half precision, the configuration and the tokenizer."""
    with ema.averaged():
        tensors = half_precision(model.state_dict())

    def write(path: Path) -> None:
        save_file(tensors, path / "model.safetensors")
        (config or model.config).save(path / "config.json")
        tokenizer.save_pretrained(path / "tokenizer")

    replace_folder_files(folder, write)


def build_model(config: SeemConfig) -> Seem:
    """Make an untrained model with a temperature of 10, CLIP's start."""
    model = Seem(config)
    with torch.no_grad():
        model.decoder.lang_encoder.logit_scale.fill_(math.log(10))
    return model


def load_exported(model: Seem, folder: Path) -> None:
    """Start from a folder's weights."""
    model.load_weights({k: v.float() for k, v in load_file(folder / "model.safetensors").items()}, str(folder))


def rate_factor(fraction: float, lessons: float) -> float:
    """Learning-rate factor: lessons stand three times the rate; then warm up again and decay to nothing."""
    if fraction < lessons:
        return 3 * max(min(fraction / lessons / 0.1, 1.0), 0.01)
    return warm_cosine((fraction - lessons) / (1 - lessons))


def introduce(
    model: Seem, teacher: Teacher, config: TrainingConfig, tokenizer: CLIPTokenizer, steps: int = 150
) -> None:
    """Let a new teacher learn to read a trained model first, so that its early mistakes do not undo what is there."""
    optimiser = torch.optim.AdamW(teacher.parameters(), 3e-3)
    model.requires_grad_(False)
    for step in range(steps):
        batch = make_batch(config.seed + 1, step, 16, model.config, tokenizer).to(config.device)
        parts = lesson(model, teacher, batch, encode(model, batch), class_embeddings(model, tokenizer))
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        optimiser.step()
    model.requires_grad_(True)


def train(config: TrainingConfig) -> None:
    """Train and export to `config.out`.

    Options: `batch` (pictures, even), `rate` (learning rate), `lessons` (share of the run without the decoder), `warm`
    (1 starts from the weights and the tokenizer in `config.out`).
    """
    torch.manual_seed(config.seed)
    warm = bool(config.option("warm", 0))
    tokenizer = CLIPTokenizer.from_pretrained(config.out / "tokenizer") if warm else build_tokenizer()
    model = build_model(tiny_config(len(tokenizer))).to(config.device)
    if warm:
        load_exported(model, config.out)
    model.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    teacher = Teacher(model.config).to(config.device)
    learned = [*model.parameters(), *teacher.parameters()]
    plain, heavy = [p for p in learned if p.ndim < 2], [p for p in learned if p.ndim >= 2]
    groups = [{"params": heavy, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, config.option("rate", 8e-4), betas=(0.9, 0.98))
    ema = Ema(model, 0.998)
    run = Run(config, {"seem": model, "teacher": teacher}, optimiser, {"seem": ema})
    count, lessons = int(config.option("batch", 8)), config.option("lessons", 0.25)
    if warm and not run.step:
        introduce(model, teacher, config, tokenizer)
    while not run.done:
        first = run.fraction < lessons
        batch = make_batch(config.seed, run.step, count, model.config, tokenizer).to(config.device)
        if first:
            parts = lesson(model, teacher, batch, encode(model, batch), class_embeddings(model, tokenizer))
        else:
            parts = losses(model, teacher, batch, run_model(model, batch, tokenizer))
        values = {name: float(value.detach()) for name, value in parts.items()}
        total = sum(parts.values(), torch.zeros((), device=config.device))
        run.advance(total, count, values, clip=2.0, factor=rate_factor(run.fraction, lessons))
        run.log(50)
        if run.due():
            run.save()
            if first:
                continue  # nothing to show yet
            run.written(config.out, lambda: export(model, ema, tokenizer, config.out))
            with ema.averaged():
                run.write(f"held-out {report(model, tokenizer, 32)}")
    run.save()
    run.written(config.out, lambda: export(model, ema, tokenizer, config.out))


if __name__ == "__main__":
    train(config_from_arguments("seem", Path("vitron_agent/weights/tiny/seem")))
