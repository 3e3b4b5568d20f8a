"""Conversations for stage 3: calls of several tasks mixed, each conversation cut behind its first call.

Also the editor's loss as the tool plans edits, so that what an example leaves to signals is asked of them. Knows task
generators and facts; it does not know what learns from them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vitron_agent.invocation import Module
from vitron_agent.planner.processor import Processor, Serialised
from vitron_agent.shapes import tasks
from vitron_agent.shapes.language import Split
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Obj
from vitron_agent.shapes.tasks_layout import LARGE_R, SMALL_R
from vitron_agent.shapes.tasks_like import LIKE_TASKS, sample_like
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.training.gligen_data import Prompt, encode_pictures
from vitron_agent.training.gligen_edits import edit_weight, hole_mask
from vitron_agent.training.planner_data import turns_of
from vitron_agent.training.signals import AlignedDiffusion, edit_of
from vitron_agent.training.signals_data import SignalledCall

MIX: dict[str, float] = {
    "draw": 0.17,
    "segment": 0.17,
    "edit": 0.12,
    "shade": 0.16,
    "size": 0.08,
    "picture": 0.08,
    "track": 0.11,
    "edit_video": 0.11,
}
"""How often each task is drawn; the kinds of shapes.tasks_like are edits by example."""
MODULES = (Module.A, Module.B, Module.C, Module.E, Module.F)
"""The tasks that the discriminator tells apart: the modules that the mix calls."""


@dataclass(frozen=True)
class Example:
    """One conversation up to its first call, with that call's truth."""

    written: Serialised
    call: SignalledCall


def sample_example(
    rng: random.Random, processor: Processor, split: Split = "train", task: str | None = None
) -> Example:
    """Draw a conversation with a call.

    Args:
        rng: Source of randomness.
        processor: Writes conversations down.
        split: Which wordings.
        task: One of `MIX`; drawn by its shares if None.
    """
    name = task or rng.choices(tuple(MIX), tuple(MIX.values()))[0]
    while True:
        talk = sample_like(rng, split, name) if name in LIKE_TASKS else tasks.sample_conversation(rng, split, name)
        first = next((i for i, turn in enumerate(talk.turns) if turn.invocation is not None), None)
        if first is None:  # a chain of questions, or a refusal
            continue
        turn = talk.turns[first]
        assert turn.invocation is not None
        written = processor.serialise(turns_of(replace(talk, turns=talk.turns[: first + 1])))
        return Example(written, SignalledCall(turn.invocation, turn.facts, torch.empty(0)))


def planned_object(call: SignalledCall, new: Obj) -> Obj:
    """The new object as the tool plans its box: where only the example tells the size, of the word's usual size."""
    if call.facts.get("measure") != "size":
        return new
    return replace(new, r=LARGE_R if new.size == "large" else SMALL_R)


class ExampleEditor(AlignedDiffusion):
    """GLIGEN inpainting, by words and by example: the box is the one that a tool would plan from the words."""

    module = Module.C

    def __init__(self, weights: Path, d_llm: int) -> None:
        """Load `weights`/gligen and `weights`/gligen_inpaint."""
        super().__init__(weights, d_llm, weights / "gligen_inpaint" / "unet")

    def usable(self, call: SignalledCall) -> bool:
        """One call that changes one object or the background."""
        return "before" in call.facts and edit_of(call) is not None

    def loss(self, calls: Sequence[SignalledCall], signals: Tensor, generator: torch.Generator) -> Tensor:
        """Denoising loss inside the holes."""
        edits = [edit for call in calls if (edit := edit_of(call)) is not None]
        drawn, rng = render([edit.before for edit in edits]), random.Random(int(generator.initial_seed()))
        layouts, holes = [], []
        for call, edit, masks in zip(calls, edits, drawn.masks, strict=True):
            planned = None if edit.new is None else planned_object(call, edit.new)
            layouts.append(() if planned is None else ((planned.phrase, planned.box),))
            told = edit if planned is None or edit.holes is None else replace(edit, holes=(*edit.holes, planned.box))
            holes.append(hole_mask(told, masks, rng))
        mask = torch.stack(holes)
        before = encode_pictures(self.parts.vae, drawn.images)
        after = encode_pictures(self.parts.vae, render([edit.after for edit in edits]).images)
        prompts = [Prompt(edit.words, layout) for edit, layout in zip(edits, layouts, strict=True)]
        weight = edit_weight(mask, edits, after.shape[-1])
        return self.denoise(prompts, signals, after, masked_latents(before, mask), weight, generator)
