"""Recipe `planner_vision`: teaches the planner's vision tower to see, by dense supervision (stage 1.1 in miniature).

Small linear heads read every pooled cell (which object's centre lies here, and what is it like) and every patch (which
object covers it). The heads are thrown away; the tower goes on into recipe `planner`. Knows scenes and pictures, no
language.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionModel

from vitron_agent.planner.tiny import tiny_vision_config
from vitron_agent.planner.vision import patch_features, pool_patches, to_pixel_values
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Scene, sample_scene
from vitron_agent.training.disturb import disturb
from vitron_agent.training.loop import (
    Run,
    TrainingConfig,
    config_from_arguments,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.muon import MuonAdamW
from vitron_agent.training.precision import autocast

BATCH = 96
GRID, POOL, SLOTS = 8, 2, 2
"""Patches per side; patches per cell side; objects told apart in one cell (leftmost first)."""
BINS = 50
"""Steps in which a cell's head names the sides of the box on the whole picture: the language model writes them as
numbers, and finds them easier in a code of steps than in one scale."""
FIELDS = {"present": 1, "shape": len(SHAPES), "colour": len(COLOURS), "size": 2, "place": 3}
"""Numbers that a cell's head writes per object slot; `place` is dx, dy (cells, from the cell's middle) and r."""


@dataclass(frozen=True)
class Targets:
    """What the heads should say about a batch of B scenes, on C = 16 cells and P = 64 patches.

    Attributes:
        slots: (B, C, SLOTS, 7) float: present, shape, colour, size, dx, dy, r.
        background: (B,) int64.
        patch_shape: (B, P) int64, `len(SHAPES)` where no object covers the patch.
        patch_colour: (B, P) int64, `len(COLOURS)` where no object covers the patch.
    """

    slots: Tensor
    background: Tensor
    patch_shape: Tensor
    patch_colour: Tensor

    def to(self, device: str) -> "Targets":
        """The targets on a device."""
        return Targets(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


Outputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""What `DenseHeads` reads."""


class DenseHeads(nn.Module):
    """Linear read-outs of cells and patches."""

    def __init__(self, width: int) -> None:
        """Build the heads for features of `width` numbers."""
        super().__init__()
        self.cell = nn.Linear(width, SLOTS * sum(FIELDS.values()))
        self.background = nn.Linear(width, len(BACKGROUNDS))
        self.patch = nn.Linear(width, len(SHAPES) + len(COLOURS) + 2)
        self.sides = nn.Linear(width, SLOTS * 4 * BINS)

    def forward(self, patches: Tensor) -> Outputs:
        """Read features.

        Args:
            patches: (B, P, D).

        Returns:
            Slots (B, C, SLOTS, 20), background logits (B, C, 6), patch logits (B, P, 16), and logits of the sides
            (left, top, right, bottom) of each slot's box (B, C, SLOTS, 4, BINS).
        """
        cells = pool_patches(patches, POOL)
        slots = self.cell(cells).unflatten(-1, (SLOTS, sum(FIELDS.values())))
        sides = self.sides(cells).unflatten(-1, (SLOTS, 4, BINS))
        return slots, self.background(cells), self.patch(patches), sides


def make_targets(scenes: Sequence[Scene], masks: Tensor) -> Targets:
    """Ground truth of a batch.

    Args:
        scenes: B scenes.
        masks: (B, 3, S, S) bool, one per object.
    """
    side = GRID // POOL
    slots = torch.zeros(len(scenes), side * side, SLOTS, 7)
    for i, scene in enumerate(scenes):
        used: dict[int, int] = {}
        for obj in sorted(scene.objects, key=lambda o: o.x):
            column, row = int(obj.x * side), int(obj.y * side)
            cell = row * side + column
            slot = used.get(cell, 0)
            used[cell] = slot + 1
            if slot < SLOTS:
                words = (SHAPES.index(obj.shape), list(COLOURS).index(obj.colour), int(obj.size == "large"))
                place = (obj.x * side - column - 0.5, obj.y * side - row - 0.5, obj.r * side)
                slots[i, cell, slot] = torch.tensor((1.0, *words, *place))
    cover = F.adaptive_avg_pool2d(masks.float(), GRID).flatten(2)
    most, owner = cover.max(1)
    names = torch.full((len(scenes), masks.shape[1], 2), 0)
    for i, scene in enumerate(scenes):
        for j, obj in enumerate(scene.objects):
            names[i, j] = torch.tensor((SHAPES.index(obj.shape), list(COLOURS).index(obj.colour)))
    shape, colour = (names[..., k].gather(1, owner) for k in (0, 1))
    free = most < 0.15
    background = torch.tensor([list(BACKGROUNDS).index(scene.background) for scene in scenes])
    return Targets(slots, background, shape.masked_fill(free, len(SHAPES)), colour.masked_fill(free, len(COLOURS)))


def side_targets(slots: Tensor) -> Tensor:
    """Which steps the sides of the objects' boxes fall into, softly.

    Args:
        slots: (B, C, SLOTS, 7) as in `Targets`.

    Returns:
        (B, C, SLOTS, 4, BINS) float, sums to 1: a bell of half a step's width around each side.
    """
    side = GRID // POOL
    cells = torch.arange(side * side, device=slots.device)
    corner = torch.stack([cells % side, cells // side], -1)[None, :, None] + 0.5
    centre, half = slots[..., 4:6] + corner, slots[..., 6:7]
    sides = torch.cat([centre - half, centre + half], -1) / side * BINS
    steps = torch.arange(BINS, device=slots.device) + 0.5
    return (-2 * (steps - sides[..., None]) ** 2).softmax(-1)


def dense_loss(outputs: Outputs, targets: Targets) -> Tensor:
    """Sum of the heads' losses (binary and categorical cross-entropy, smooth L1 for places)."""
    slots, background, patch, sides = (part.float() for part in outputs)
    truth = targets.slots
    present, shape, colour, size, place = slots.split(list(FIELDS.values()), -1)
    here = truth[..., 0] > 0.5
    words = truth[here][:, 1:4].long()
    loss = F.binary_cross_entropy_with_logits(present[..., 0], truth[..., 0]) * 4
    loss = loss + F.cross_entropy(shape[here], words[:, 0]) + F.cross_entropy(colour[here], words[:, 1])
    loss = loss + F.cross_entropy(size[here], words[:, 2])
    loss = loss + F.smooth_l1_loss(place[here], truth[here][:, 4:], beta=0.1) * 4
    loss = loss + F.cross_entropy(background.flatten(0, 1), targets.background.repeat_interleave(background.shape[1]))
    wanted = side_targets(truth)[here]
    loss = loss - (wanted * sides[here].log_softmax(-1)).sum(-1).mean() * 0.5
    shapes, colours = patch.split((len(SHAPES) + 1, len(COLOURS) + 1), -1)
    loss = loss + F.cross_entropy(shapes.flatten(0, 1), targets.patch_shape.flatten())
    return loss + F.cross_entropy(colours.flatten(0, 1), targets.patch_colour.flatten())


def accuracy(outputs: Outputs, targets: Targets) -> dict[str, float]:
    """Shares of objects read right, per attribute and all together, and of pictures whose cells are all right."""
    slots, background, patch, sides = outputs
    truth = targets.slots
    present, shape, colour, size, place = slots.split(list(FIELDS.values()), -1)
    here = truth[..., 0] > 0.5
    words, seen = truth[here][:, 1:4].long(), present[here][:, 0] > 0
    right = [head[here].argmax(-1) == words[:, k] for k, head in enumerate((shape, colour, size))]
    exact = ((present[..., 0] > 0) == here).flatten(1).all(1)
    cover = targets.patch_shape < len(SHAPES)
    patch_right = patch[..., : len(SHAPES) + 1].argmax(-1) == targets.patch_shape
    return {
        "presence": exact.float().mean().item(),
        "shape": right[0].float().mean().item(),
        "colour": right[1].float().mean().item(),
        "size": right[2].float().mean().item(),
        "object": (right[0] & right[1] & right[2] & seen).float().mean().item(),
        "place_px": (place[here] - truth[here][:, 4:]).abs().mean().item() * 16,
        "side": ((sides[here].argmax(-1) - side_targets(truth)[here].argmax(-1)).abs() <= 1).float().mean().item(),
        "background": (background.argmax(-1) == targets.background[:, None]).float().mean().item(),
        "patch": patch_right[cover].float().mean().item(),
    }


def make_batch(rng: random.Random, generator: torch.Generator, count: int) -> tuple[Tensor, Targets]:
    """Draw `count` pictures (one in 30 without objects) and their targets."""
    scenes = [sample_scene(rng, rng.choice((None, 3))) for _ in range(count)]
    scenes = [Scene(scene.background, ()) if rng.random() < 0.03 else scene for scene in scenes]
    drawn = render(scenes)
    return to_pixel_values(disturb(drawn.images, generator), 64), make_targets(scenes, drawn.masks)


def evaluate(
    tower: nn.Module, heads: nn.Module, device: str = "cpu", count: int = 512, seed: int = 10_001
) -> dict[str, float]:
    """`accuracy` on pictures of a seed that training does not use."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    parts = []
    with torch.inference_mode():
        for _ in range(count // 64):
            pixels, targets = make_batch(rng, generator, 64)
            parts.append(accuracy(heads(patch_features(tower, pixels.to(device))), targets.to(device)))
    return {key: sum(part[key] for part in parts) / len(parts) for key in parts[0]}


def make_optimiser(tower: nn.Module, heads: nn.Module, lr: float, muon: bool) -> MuonAdamW:
    """Muon for the blocks' matrices (if asked), AdamW for everything else."""
    everything = [*tower.named_parameters(), *((f"heads.{n}", p) for n, p in heads.named_parameters())]
    matrices = [p for n, p in everything if muon and p.ndim == 2 and ".layers." in n]
    rest = [p for _, p in everything if not any(p is m for m in matrices)]
    groups = [{"params": rest, "lr": lr, "weight_decay": 0.01}]
    if matrices:
        groups.append({"params": matrices, "lr": lr, "weight_decay": 0.01, "muon": True})
    return MuonAdamW(groups, betas=(0.9, 0.98))


def train(config: TrainingConfig) -> None:
    """Train the tower with a warm-up and a linear decay.

    `tower.safetensors` is written into the run folder, where recipe `planner` finds it; own settings are `lr` (peak
    learning rate), `held_out` (pictures per measurement) and `muon` (0: AdamW for the matrices too). `config.out` is
    not used: the tower is shipped inside the planner.

    Raises:
        CheckpointError: A checkpoint is damaged or of another architecture; the loss is no number.
        StorageError: A checkpoint or the tower could not be written.
    """
    torch.manual_seed(config.seed)
    sizes = tiny_vision_config()
    tower, heads = CLIPVisionModel(sizes).to(config.device), DenseHeads(sizes.hidden_size).to(config.device)
    tower.set_attn_implementation("eager")  # twice as fast as sdpa in bf16 on CPU, backward included
    optimiser = make_optimiser(tower, heads, config.option("lr", 2.5e-3), muon=bool(config.option("muon", 1)))
    run = Run(config, {"tower": tower, "heads": heads}, optimiser, {})
    while not run.done:
        batch = make_batch(random.Random(f"{config.seed}/{run.step}"), step_generator(config.seed, run.step), BATCH)
        factor = min(1.0, (run.step + 1) / 100) * min(1.0, (1 - run.fraction) / 0.5 + 0.01)
        run.advance(_loss(tower, heads, batch, config.device), BATCH, factor=factor)
        run.log(50)
        if run.due() or run.done:
            run.save()
            run.written(config.run, lambda: save(config.run, tower))
            report = evaluate(tower, heads, config.device, int(config.option("held_out", 512)))
            run.write("held out: " + " ".join(f"{key} {value:.4f}" for key, value in report.items()))


def _loss(tower: nn.Module, heads: nn.Module, batch: tuple[Tensor, Targets], device: str) -> Tensor:
    pixels, targets = batch
    with autocast(device):
        outputs = heads(patch_features(tower, pixels.to(device)))
    return dense_loss(outputs, targets.to(device))


def save(folder: Path, tower: nn.Module) -> None:
    """Write the tower's weights into the run folder."""
    tensors = {key: value.detach().cpu() for key, value in tower.state_dict().items()}
    replace_folder_files(folder, lambda scratch: save_file(tensors, scratch / "tower.safetensors"))


def main() -> None:
    """Run the recipe from the command line."""
    train(config_from_arguments("planner_vision", Path("vitron_agent/weights/tiny/planner")))


if __name__ == "__main__":
    main()
