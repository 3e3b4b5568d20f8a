"""Recipe `gligen_examples`: the inpainting UNet learns to paint exactly this blue, this size, when it is told.

A UNet that was trained on words knows eight colours and two sizes, and whatever a mapper tells it, it paints one of
those. Here it is told the difference between an example and what its words mean, as a direction per quality on every
caption token, beside edits by words alone, which must stay as good as they were. No planner is needed; the recipe
`example_signals` then fits the mapper to these directions.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from vitron_agent.shapes.tasks_like import sample_like
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.specialists.gligen.parts import load_parts
from vitron_agent.training.examples import FOLDER, ExampleEncoder, differences
from vitron_agent.training.gligen_data import Prompt, ShardedPool, encode_prompts, encoder_digest
from vitron_agent.training.gligen_edits import Edit, edit_pool, edit_prompt, edit_weight, encode_edits
from vitron_agent.training.gligen_parts import build_schedule, export_part
from vitron_agent.training.gligen_steps import diffusion_loss, noisy_batch
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    step_generator,
    warm_cosine,
)
from vitron_agent.training.peers import Peers
from vitron_agent.training.planner_like import up_to_call
from vitron_agent.training.signals import edit_of
from vitron_agent.training.signals_data import SignalledCall
from vitron_agent.training.synergy_data import planned_object

NAME = "gligen_inpaint"
EXAMPLES = {"shade": 0.5, "size": 0.2, "picture": 0.3}
"""How often each kind of request by example is drawn."""


@dataclass(frozen=True, eq=False)
class ExampleEdit:
    """An edit by example.

    Attributes:
        edit: What changes; the holes leave room for the box that the words alone would plan.
        prompt: Command and layout as the tool plans them.
        told: (5,) what the words leave out.
    """

    edit: Edit
    prompt: Prompt
    told: Tensor


def sample_example_edit(rng: random.Random) -> ExampleEdit:
    """Draw an edit by example, kinds by the shares of `EXAMPLES`."""
    while True:
        kind = rng.choices(tuple(EXAMPLES), tuple(EXAMPLES.values()))[0]
        turn = up_to_call(sample_like(rng, "train", kind)).turns[-1]
        assert turn.invocation is not None
        call = SignalledCall(turn.invocation, turn.facts, torch.empty(0))
        edit = edit_of(call)
        if edit is None or edit.new is None or edit.holes is None:  # an example that is like what it replaces
            continue
        planned = planned_object(call, edit.new)
        layout = ((planned.phrase, planned.box),)
        edit = replace(edit, holes=(*edit.holes, planned.box))
        return ExampleEdit(edit, Prompt(edit.words, layout), differences([turn.facts])[0])


def example_pool(folder: Path, seed: int, vae: AutoencoderKL) -> ShardedPool[ExampleEdit]:
    """Return the pool of edits by example, with the tensors of `gligen_edits.edit_pool`."""

    def encode(examples: Sequence[ExampleEdit]) -> dict[str, Tensor]:
        return encode_edits([example.edit for example in examples], seed, vae)

    return ShardedPool(folder, f"examples-{seed}-{encoder_digest(vae.encoder)}", sample_example_edit, encode)


class ExampleLoss:
    """The editor's loss on edits by example, told what words leave out, and on edits by words alone."""

    def __init__(self, config: TrainingConfig, peer: int) -> None:
        """Load the editor from `config.out`; `peer` is the number of this process, which draws edits of its own."""
        self.parts = load_parts(
            config.out / "gligen", config.out / NAME / "unet", None, "gligen", "cpu", torch.float32, edits=True
        )
        for part in (self.parts.vae, self.parts.text_encoder):
            part.requires_grad_(False)
        self.unet = self.parts.unet.requires_grad_(True).eval()
        self.unet.set_attn_processor(AttnProcessor())  # see `build_unet`
        self.encoder, self.schedule = ExampleEncoder(), build_schedule()
        self.seed, self.batch = config.seed * 1000 + peer, int(config.option("batch", 32))
        self.shards = int(config.option("shards", 12))
        self.examples = example_pool(config.run.parent / "edits", config.seed, self.parts.vae)
        self.edits = edit_pool(config.run.parent / "edits", config.seed, self.parts.vae)
        for pool in (self.examples, self.edits):
            pool.grow(self.shards)

    def losses(self, step: int) -> Iterator[Tensor]:
        """Yield the two losses of a step, a function of seed and step alone."""
        rng, generator = random.Random(f"gligen examples/{self.seed}/{step}"), step_generator(self.seed, step)
        examples, tensors = self.examples.draw(rng, self.batch // 2, self.shards)
        told = self.encoder(torch.stack([example.told for example in examples]))
        prompts, changes = [example.prompt for example in examples], [example.edit for example in examples]
        yield 0.5 * self._loss(prompts, changes, tensors, told, generator)
        edits, tensors = self.edits.draw(rng, self.batch - self.batch // 2, self.shards)
        yield 0.5 * self._loss([edit_prompt(edit, rng) for edit in edits], edits, tensors, None, generator)

    def _loss(
        self,
        prompts: Sequence[Prompt],
        edits: Sequence[Edit],
        tensors: dict[str, Tensor],
        told: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        noisy, times, target, by_time = noisy_batch(self.schedule, tensors["after"], generator)
        words = encode_prompts(self.parts.text_encoder, self.parts.tokenizer, prompts)
        condition = words if told is None else replace(words, text=words.text + told)
        extra = masked_latents(tensors["before"], tensors["holes"])
        weight = by_time * edit_weight(tensors["holes"], edits, noisy.shape[-1])
        return diffusion_loss(self.unet, noisy, extra, times, condition, target, weight)


def train(config: TrainingConfig) -> None:
    """Train the UNet, and write `gligen_inpaint/unet` and `gligen_inpaint/examples`.

    `config.out` is the profile's folder. Options: `batch` (32, half of them by words), `lr` (0.001) of the
    directions, `unet_lr` (0.0003), `shards` (12) of 512 edits of either kind.
    Several processes train together where a launcher's variables say so (see peers.py).
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    with Peers() as peers:
        edits = ExampleLoss(config, peers.rank)
        both = nn.ModuleDict({"unet": edits.unet, "encoder": edits.encoder})
        rates = {"unet": config.option("unet_lr", 3e-4), "encoder": config.option("lr", 1e-3)}
        groups = [{"params": list(both[name].parameters()), "lr": rate} for name, rate in rates.items()]
        ema = Ema(both, 0.998)
        run = Run(config, {"both": both}, torch.optim.AdamW(groups, weight_decay=0.01), {"both": ema})
        while (fraction := peers.agree(run.fraction)) < 1:
            run.advance(edits.losses(run.step), edits.batch * peers.count, factor=warm_cosine(fraction), peers=peers)
            if peers.rank:
                continue
            run.log(25)
            if run.due() or run.done:
                run.save()
                with ema.averaged():
                    run.written(config.out, lambda: export(config.out, both))


def export(out: Path, both: nn.ModuleDict) -> None:
    """Write UNet and directions in half precision; files appear whole."""
    export_part(both["unet"], out / NAME / "unet")
    export_part(both["encoder"], out / NAME / FOLDER)


if __name__ == "__main__":
    train(config_from_arguments("gligen_examples", Path("vitron_agent/weights/tiny")))
