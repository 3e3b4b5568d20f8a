"""Recipe `signals`: trains the mappers that carry the planner's embeddings into the specialists (a small stage 1.3).

Planner and specialists stay frozen; what is learned is each mapper and its gate, through the specialist's own loss on
calls of training conversations: denoising for GLIGEN (paper, section 4.1 and appendix B.4), masks and choice for SEEM.
Needs all of them trained. A gate that stays near zero says that the words were enough. What only signals can know
(edits and motions by example) is the business of the recipe `example_signals`.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaTokenizer

from vitron_agent.invocation import GroundedPhrase, Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.gligen.editor import canonical
from vitron_agent.specialists.gligen.parts import load_parts
from vitron_agent.specialists.seem import SeemSegmenter
from vitron_agent.specialists.seem.model import prepare_images
from vitron_agent.training.gligen_data import Prompt, encode_pictures, encode_prompts
from vitron_agent.training.gligen_edits import Edit
from vitron_agent.training.gligen_parts import CONTEXT, WIDTH, build_schedule
from vitron_agent.training.gligen_scenes import object_weight
from vitron_agent.training.gligen_steps import diffusion_loss, noisy_batch
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.seem_data import upscale
from vitron_agent.training.signals_data import SignalledCall, signalled_calls

CALLS = 3000  # calls whose signals are kept; drawn from again and again


class Aligned(Protocol):
    """A frozen specialist with the mapper that is being trained for it."""

    module: Module
    mapper: SignalMapper

    def usable(self, call: SignalledCall) -> bool:
        """Whether the specialist's loss is defined for this call."""
        ...

    def loss(self, calls: Sequence[SignalledCall], signals: Tensor, generator: torch.Generator) -> Tensor:
        """The specialist's loss; signals (B, n, d_llm)."""
        ...


class AlignedDiffusion:
    """GLIGEN's parts, frozen, and the mapper onto its text states."""

    module: Module

    def __init__(self, weights: Path, d_llm: int, unet: Path) -> None:
        """Load `weights`/gligen and the UNet of a folder."""
        folder = weights / "gligen"
        edits = self.module is Module.C
        self.parts = load_parts(folder, unet, None, "gligen", "cpu", torch.float32, edits=edits)
        self.schedule = build_schedule()
        self.mapper = SignalMapper(d_llm, WIDTH, CONTEXT)
        for part in (self.parts.vae, self.parts.unet, self.parts.text_encoder):
            part.requires_grad_(False)

    def denoise(
        self,
        prompts: Sequence[Prompt],
        signals: Tensor,
        latents: Tensor,
        extra: Tensor | None,
        weight: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Denoising loss of B wanted pictures.

        Args:
            prompts: Of each.
            signals: (B, n, d_llm), for the mapper.
            latents: (B, c, h, w) of the wanted pictures.
            extra: (B, c + 1, h, w) that an inpainting UNet is told of the picture before; None for drawing.
            weight: (B, 1, h, w), mean 1.
            generator: Of the noise.
        """
        noisy, times, target, by_time = noisy_batch(self.schedule, latents, generator)
        words = encode_prompts(self.parts.text_encoder, self.parts.tokenizer, prompts)
        condition = replace(words, text=words.text + self.mapper(signals))
        return diffusion_loss(self.parts.unet, noisy, extra, times, condition, target, by_time * weight)


class AlignedGenerator(AlignedDiffusion):
    """GLIGEN drawing from nothing: denoising loss."""

    module = Module.A

    def __init__(self, weights: Path, d_llm: int) -> None:
        """Load `weights`/gligen."""
        super().__init__(weights, d_llm, weights / "gligen" / "unet")

    def usable(self, call: SignalledCall) -> bool:
        """Any drawing call will do."""
        return call.facts.get("scene") is not None

    def loss(self, calls: Sequence[SignalledCall], signals: Tensor, generator: torch.Generator) -> Tensor:
        """Denoising loss of the pictures that were asked for.

        Args:
            calls: B drawing calls.
            signals: (B, n, d_llm) float32.
            generator: Of the noise.

        Returns:
            () float32, at least 0.
        """
        scenes = [call.facts["scene"] for call in calls]
        latents = encode_pictures(self.parts.vae, render(scenes).images)
        prompts = [_prompt(call.invocation.command, call.invocation.layout) for call in calls]
        weight = object_weight([scene.objects for scene in scenes], latents.shape[-1])
        return self.denoise(prompts, signals, latents, None, weight, generator)


def _prompt(command: str, layout: Sequence[GroundedPhrase]) -> Prompt:
    return Prompt(command, tuple((item.phrase, item.box) for item in layout))


def edit_of(call: SignalledCall) -> Edit | None:
    """The edit that a call makes, as GLIGEN's own training sees it; None if the facts tell of more than one change."""
    before, after = call.facts["before"], call.facts["after"]
    words = canonical(call.invocation.command)
    if before.background != after.background:
        return Edit(before, Scene(after.background, ()), words, None, None)
    gone = [obj for obj in before.objects if obj not in after.objects]
    come = [obj for obj in after.objects if obj not in before.objects]
    if len(gone) > 1 or len(come) > 1 or not gone + come:
        return None
    return Edit(before, after, words, come[0] if come else None, tuple(obj.box for obj in gone + come))


class AlignedSegmenter:
    """SEEM finding by words: the right query is chosen, and its mask fits."""

    module = Module.B

    def __init__(self, weights: Path, d_llm: int) -> None:
        """Load `weights`/seem."""
        segmenter = SeemSegmenter.from_pretrained(weights / "seem")
        self.model, self.tokenizer = segmenter.model.requires_grad_(False), segmenter.tokenizer
        config = self.model.config
        self.mapper = SignalMapper(d_llm, config.hidden_dim, config.queries + 1)

    def usable(self, call: SignalledCall) -> bool:
        """One object, by words: strokes need no choice among queries, and "everything" has no single mask."""
        targets = call.facts.get("targets")
        by_words = not call.invocation.uses_drawn_region and call.invocation.region is None
        return by_words and isinstance(targets, tuple) and len(targets) == 1

    def loss(self, calls: Sequence[SignalledCall], signals: Tensor, generator: torch.Generator) -> Tensor:
        """Cross entropy of the query whose mask fits best, and that mask's own loss.

        Args:
            calls: B calls that find one object each by words.
            signals: (B, n, d_llm) float32.
            generator: Not used: nothing is drawn.

        Returns:
            () float32, at least 0.
        """
        config = self.model.config
        drawn = render([call.facts["scene"] for call in calls])
        meant = torch.stack([masks[call.facts["targets"][0]] for masks, call in zip(drawn.masks, calls, strict=True)])
        features = self.model.encode_images(prepare_images(upscale(drawn.images, config.short_side)))
        words = self.tokenizer(
            [call.invocation.command for call in calls],
            padding=True,
            truncation=True,
            max_length=config.context_length,
            return_tensors="pt",
        )
        tokens, phrases = self.model.text_tokens(words.input_ids, words.attention_mask)
        mapped = self.mapper(signals)
        found = self.model(features, tokens, mapped[:, :-1])
        scores = self.model.text_scores(found.captions, phrases + mapped[:, -1])
        goal = F.interpolate(meant[:, None].float(), size=found.masks.shape[-2:], mode="area").expand_as(found.masks)
        misfit = F.binary_cross_entropy_with_logits(found.masks, goal, reduction="none").mean((2, 3))
        shares = found.masks.sigmoid()
        misfit = misfit + 1 - (2 * (shares * goal).sum((2, 3)) + 1) / (shares.sum((2, 3)) + goal.sum((2, 3)) + 1)
        best = misfit.argmin(1)
        return F.cross_entropy(scores, best) + misfit.gather(1, best[:, None]).mean()


TASKS: dict[str, Callable[[Path, int], Aligned]] = {
    "gligen": AlignedGenerator,
    "seem": AlignedSegmenter,
}
"""Mapper's file name -> frozen specialist."""


def load_planner(folder: Path) -> tuple[PlannerModel, Vocabulary]:
    """Load a trained planner, in evaluation mode, with its vocabulary.

    Raises:
        CheckpointError: A file is missing, damaged or of another shape.
    """
    model = PlannerModel.load(folder)
    settings = model.settings
    tokenizer = LlamaTokenizer.from_pretrained(folder)
    return model, Vocabulary(tokenizer, settings["signals_per_module"], settings["shared_signals"])


def _calls(task: Aligned, model: PlannerModel, vocabulary: Vocabulary, seed: int, count: int) -> list[SignalledCall]:
    stream: Iterator[SignalledCall] = signalled_calls(model, vocabulary, task.module, seed)
    return list(itertools.islice((call for call in stream if task.usable(call)), count))


def _export(mapper: SignalMapper, ema: Ema, folder: Path, name: str) -> None:
    def write(scratch: Path) -> None:
        with ema.averaged():
            save_file(half_precision(mapper.state_dict()), scratch / f"{name}.safetensors")

    replace_folder_files(folder, write)


def train_mapper(name: str, config: TrainingConfig) -> dict[str, Any]:
    """Train one mapper and write `config.out`/mappers/<name>.safetensors.

    Args:
        name: One of `TASKS`.
        config: `out` holds planner and specialists (the profile's folder); options: `batch` (32), `lr` (0.001),
            `calls` (3000), `held_out` (128).

    Returns:
        The last losses with and without signals, and the gate.
    """
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    model, vocabulary = load_planner(config.out / "planner")
    task = TASKS[name](config.out, model.d_llm)
    calls = _calls(task, model, vocabulary, config.seed, int(config.option("calls", CALLS)))
    optimiser = torch.optim.AdamW(task.mapper.parameters(), config.option("lr", 1e-3), weight_decay=0.01)
    ema = Ema(task.mapper, 0.99)
    run = Run(config, {"mapper": task.mapper}, optimiser, {"mapper": ema})
    count = int(config.option("batch", 32))
    while not run.done:
        rng = random.Random(f"{name}/{config.seed}/{run.step}")
        batch = [rng.choice(calls) for _ in range(count)]
        loss = task.loss(batch, torch.stack([call.signals for call in batch]), step_generator(config.seed, run.step))
        run.advance(loss, count, {"gate": float(task.mapper.gate.detach().tanh())})
        run.log(25)
        if run.due() or run.done:
            run.save()
            run.written(config.out, lambda: _export(task.mapper, ema, config.out / "mappers", name))
    return _compare(task, model, vocabulary, config)


@torch.no_grad()
def _compare(task: Aligned, model: PlannerModel, vocabulary: Vocabulary, config: TrainingConfig) -> dict[str, Any]:
    """The loss on calls of other conversations, with signals and with the gate closed."""
    held = _calls(task, model, vocabulary, config.seed + 1, int(config.option("held_out", 128)))
    signals = torch.stack([call.signals for call in held])
    gate = task.mapper.gate.clone()
    losses = []
    for opened in (gate, torch.zeros_like(gate)):
        task.mapper.gate.copy_(opened)
        losses.append(float(task.loss(held, signals, torch.Generator().manual_seed(0))))
    task.mapper.gate.copy_(gate)
    return {"with_signals": losses[0], "without": losses[1], "gate": float(gate.tanh())}


def train(config: TrainingConfig) -> None:
    """Train every mapper one after the other, each for its share of the planned time."""
    for name in TASKS:
        share = TrainingConfig(**{**vars(config), "run": config.run / name, "minutes": config.minutes / len(TASKS)})
        found = train_mapper(name, share)
        losses = f"{found['with_signals']:.4f} with signals, {found['without']:.4f} without"
        print(f"{name}: held-out loss {losses}, gate {found['gate']:.3f}")


if __name__ == "__main__":
    train(config_from_arguments("signals", Path("vitron_agent/weights/tiny")))
