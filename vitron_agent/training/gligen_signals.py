"""Recipe `gligen_signals`: the inpainting UNet learns to follow signals, along with the mapper that brings them.

A UNet that was trained on words knows eight colours and two sizes, and whatever a mapper tells it, it paints one of
those. So both learn here, from edits by example whose words leave out what only the signals know (which blue), beside
edits by words alone, which must stay as good as they were. Needs planner and specialists trained; the planner is frozen
and its signals are taken once. How requests are worded is the generators' business.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file
from torch import Tensor, nn

from vitron_agent.invocation import Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.training.gligen_data import encode_prompts
from vitron_agent.training.gligen_edits import edit_pool, edit_prompt, edit_weight
from vitron_agent.training.gligen_parts import export_part, scene_generator
from vitron_agent.training.gligen_steps import diffusion_loss, noisy_batch
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    step_generator,
    warm_cosine,
)
from vitron_agent.training.peers import Peers
from vitron_agent.training.planner_batch import collate
from vitron_agent.training.signals import load_planner
from vitron_agent.training.signals_data import SignalledCall, planner_states, signal_runs, signalled_calls
from vitron_agent.training.synergy_data import ExampleEditor, sample_example

NAME = "gligen_inpaint"
EXAMPLES = {"shade": 0.5, "size": 0.2, "picture": 0.3}
"""How often each kind of request by example is drawn; a third of all calls are edits by words."""
_TOGETHER = 16  # conversations that the planner reads together


def example_calls(model: PlannerModel, vocabulary: Vocabulary, seed: int) -> Iterator[SignalledCall]:
    """Yield edits by example with the signals that the planner gives them, without end."""
    processor = Processor(vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens)
    rng = scene_generator("gligen signals", seed)
    while True:
        kinds = rng.choices(tuple(EXAMPLES), tuple(EXAMPLES.values()), k=_TOGETHER)
        examples = [sample_example(rng, processor, "train", kind) for kind in kinds]
        batch = collate([example.written for example in examples], processor, None)
        runs = signal_runs(batch.ids, planner_states(model, batch), vocabulary)
        for example, found in zip(examples, runs, strict=True):
            yield replace(example.call, signals=found[0].float())


class SignalledEdits:
    """The editor's loss on edits whose signals it is told, and on edits of the recipe `gligen` by words alone."""

    def __init__(self, config: TrainingConfig, peer: int) -> None:
        """Load everything from `config.out`; signals are taken of calls of this process's own (`peer`)."""
        seed = config.seed * 1000 + peer
        model, vocabulary = load_planner(config.out / "planner")
        self.editor = ExampleEditor(config.out, model.d_llm)
        self.unet = self.editor.parts.unet.requires_grad_(True).eval()
        self.unet.set_attn_processor(AttnProcessor())  # see `build_unet`
        nn.init.constant_(self.editor.mapper.gate, config.option("gate", 0.5))
        count = int(config.option("calls", 9000))
        by_words = (c for c in signalled_calls(model, vocabulary, Module.C, seed) if self.editor.usable(c))
        by_example = example_calls(model, vocabulary, seed)
        self.calls = [*itertools.islice(by_example, count - count // 3), *itertools.islice(by_words, count // 3)]
        self.pool = edit_pool(config.run.parent / "edits", config.seed, self.editor.parts.vae)
        self.shards = int(config.option("shards", 12))
        self.seed, self.batch = seed, int(config.option("batch", 32))
        self.pool.grow(self.shards)

    def losses(self, step: int) -> Iterator[Tensor]:
        """Yield the two losses of a step, a function of seed and step alone."""
        rng, generator = random.Random(f"gligen signals/{self.seed}/{step}"), step_generator(self.seed, step)
        calls = [rng.choice(self.calls) for _ in range(self.batch // 2)]
        yield 0.5 * self.editor.loss(calls, torch.stack([call.signals for call in calls]), generator)
        yield 0.5 * self._by_words(rng, generator)

    def _by_words(self, rng: random.Random, generator: torch.Generator) -> Tensor:
        parts = self.editor.parts
        edits, tensors = self.pool.draw(rng, self.batch - self.batch // 2, self.shards)
        noisy, times, target, by_time = noisy_batch(self.editor.schedule, tensors["after"], generator)
        words = encode_prompts(parts.text_encoder, parts.tokenizer, [edit_prompt(edit, rng) for edit in edits])
        weight = by_time * edit_weight(tensors["holes"], edits, noisy.shape[-1])
        extra = masked_latents(tensors["before"], tensors["holes"])
        return diffusion_loss(self.unet, noisy, extra, times, words, target, weight)


def train(config: TrainingConfig) -> None:
    """Train UNet and mapper, and write ``gligen_inpaint/unet`` and ``mappers/gligen_inpaint.safetensors``.

    ``config.out`` is the profile's folder. Options: ``batch`` (32, half of them by words), ``lr`` (0.001) of the
    mapper, ``unet_lr`` (0.0003), ``calls`` (9000) whose signals are kept, ``shards`` (12) of 512 edits by words,
    ``gate`` (0.5), where the mapper's begins.
    Several processes train together where a launcher's variables say so (see peers.py).
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    with Peers() as peers:
        edits = SignalledEdits(config, peers.rank)
        both = nn.ModuleDict({"unet": edits.unet, "mapper": edits.editor.mapper})
        rates = {"unet": config.option("unet_lr", 3e-4), "mapper": config.option("lr", 1e-3)}
        groups = [{"params": list(both[name].parameters()), "lr": rate} for name, rate in rates.items()]
        ema = Ema(both, 0.998)
        run = Run(config, {"both": both}, torch.optim.AdamW(groups, weight_decay=0.01), {"both": ema})
        while (fraction := peers.agree(run.fraction)) < 1:
            gate = {"gate": float(edits.editor.mapper.gate.detach().tanh())}
            run.advance(
                edits.losses(run.step), edits.batch * peers.count, gate, factor=warm_cosine(fraction), peers=peers
            )
            if peers.rank:
                continue
            run.log(25)
            if run.due() or run.done:
                run.save()
                ema.swap()
                run.written(config.out, lambda: export(config.out, both))
                ema.swap()


def export(out: Path, both: nn.ModuleDict) -> None:
    """Write UNet and mapper in half precision; files appear whole."""
    export_part(both["unet"], out / NAME / "unet")
    tensors = half_precision(both["mapper"].state_dict())
    replace_folder_files(out / "mappers", lambda scratch: save_file(tensors, scratch / f"{NAME}.safetensors"))


if __name__ == "__main__":
    train(config_from_arguments("gligen_signals", Path("vitron_agent/weights/tiny")))
