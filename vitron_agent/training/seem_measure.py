"""Measures a SEEM on held-out scenes through the specialist itself: cIoU per prompt kind, and the "nothing" decision.

Regions are drawn by `Region`, as a user's are. Knows the small world; trains nothing.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.errors import NothingFoundError
from vitron_agent.media import Region, RegionKind
from vitron_agent.shapes.captions import background_reference, referring
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.seem.model import Seem
from vitron_agent.specialists.seem.specialist import SeemSegmenter
from vitron_agent.training.seem_data import BACKGROUND_SLOT, Pictures, augment, draw, sample_pair, shared_object
from vitron_agent.training.seem_language import Phrase, absent_phrase, held_out_phrase, placed_phrase, several_phrase


@dataclass
class Tally:
    """Sums over the requests of one kind."""

    count: int = 0
    intersection: float = 0.0
    union: float = 0.0
    ious: list[float] = field(default_factory=list)
    nothing: int = 0  # answered with NothingFoundError
    seconds: float = 0.0

    def add(self, found: Tensor | None, wanted: Tensor, seconds: float) -> None:
        """Count one answer: bool masks (H, W), None for "nothing found"."""
        self.count += 1
        self.seconds += seconds
        self.nothing += found is None
        mask = torch.zeros_like(wanted) if found is None else found
        intersection, union = float((mask & wanted).sum()), float((mask | wanted).sum())
        self.intersection += intersection
        self.union += union
        self.ious.append(intersection / union if union else 1.0)

    def row(self) -> dict[str, float]:
        """Summarise: n, cIoU (sum of intersections over sum of unions), mean IoU, share above 0.5, nothing, seconds."""
        return {
            "n": self.count,
            "ciou": round(self.intersection / max(self.union, 1), 4),
            "miou": round(sum(self.ious) / self.count, 4),
            "p50": round(sum(iou > 0.5 for iou in self.ious) / self.count, 4),
            "nothing": round(self.nothing / self.count, 4),
            "seconds": round(self.seconds / self.count, 4),
        }


def user_region(kind: str, obj: Obj, mask: Tensor, rng: random.Random) -> Region:
    """Draw a region the way a person would: a click or scribble on the object, a box or polygon roughly around it.

    Args:
        kind: "click", "scribble", "box" or "polygon".
        obj: what is meant.
        mask: (H, W) bool, its pixels; at least one.
        rng: of the hand.

    Returns:
        The region, its points (x, y) in [0, 1].
    """
    pixels = mask.nonzero().tolist()

    def on_object() -> tuple[float, float]:
        row, column = rng.choice(pixels)
        return (column + 0.5) / mask.shape[1], (row + 0.5) / mask.shape[0]

    if kind == "click":
        return Region(kind=RegionKind.CLICK, points=(on_object(),))
    if kind == "scribble":
        return Region(kind=RegionKind.SCRIBBLE, points=tuple(on_object() for _ in range(3)))
    x1, y1, x2, y2 = (side + rng.uniform(-0.02, 0.02) for side in obj.box)
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0)
    if kind == "box":
        return Region.from_box(x1, y1, x2, y2)
    mx, my = (x1 + x2) / 2, (y1 + y2) / 2
    return Region(kind=RegionKind.POLYGON, points=((mx, y1), (x2, my), (mx, y2), (x1, my)))


def measure(segmenter: SeemSegmenter, pairs: int, seed: int = 0, soft: bool = False) -> dict[str, dict[str, float]]:
    """Run every prompt kind on fresh scenes.

    Args:
        segmenter: what is measured.
        pairs: number of scene pairs; each gives one request of every kind (strokes: of each kind).
        seed: of the scenes and requests.
        soft: degrade the pictures as training does, instead of clean renders.

    Returns:
        Kind -> the row of `Tally`. For "absent" only `nothing` says something.
    """
    rng = random.Random(f"held-out/{seed}")
    generator = torch.Generator().manual_seed(seed)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for _ in range(pairs):
        scenes = sample_pair(rng)
        pictures = draw(scenes)
        images = augment(pictures.images, generator) if soft else pictures.images
        pixels = (images * 255).round().to(torch.uint8)
        masks = pictures.segments > 0.5
        for kind, phrase in _phrases(scenes[0], rng):
            slots = [*phrase.objects, *([BACKGROUND_SLOT] if phrase.background else [])]
            _ask(segmenter, tallies[kind], SpecialistRequest(phrase.text, pixels[0]), masks[0, slots].any(0))
        index = rng.randrange(len(scenes[0].objects))
        for name in ("click", "box", "polygon", "scribble"):
            region = user_region(name, scenes[0].objects[index], masks[0, index], rng)
            _ask(segmenter, tallies[name], SpecialistRequest("", pixels[0], region), masks[0, index])
            if name == "box":
                words = referring(scenes[0], index, rng)
                request = SpecialistRequest(words, pixels[0], region)
                _ask(segmenter, tallies["box and text"], request, masks[0, index])
        _ask_example(segmenter, tallies["example"], pictures, pixels, rng)
        _ask(segmenter, tallies["everything"], SpecialistRequest("everything", pixels[0]), masks[0, :3].any(0))
    return {kind: tally.row() for kind, tally in tallies.items()}


def _phrases(scene: Scene, rng: random.Random) -> list[tuple[str, Phrase]]:
    index = rng.randrange(len(scene.objects))
    return [
        ("text", Phrase(referring(scene, index, rng), frozenset({index}))),
        ("text, held-out wording", held_out_phrase(scene, rng)),
        ("text, place", placed_phrase(scene, rng)),
        ("text, several", several_phrase(scene, rng)),
        ("text, background", Phrase(background_reference(rng), background=True)),
        ("absent", absent_phrase(scene, rng)),
    ]


def _ask_example(
    segmenter: SeemSegmenter, tally: Tally, pictures: Pictures, pixels: Tensor, rng: random.Random
) -> None:
    first, second = pictures.scenes
    index = shared_object(second, first)
    region = user_region("scribble", second.objects[index], pictures.segments[1, index] > 0.5, rng)
    like = (second.objects[index].colour, second.objects[index].shape)
    wanted = [i for i, obj in enumerate(first.objects) if (obj.colour, obj.shape) == like]
    if len(wanted) == 1:
        request = SpecialistRequest("", pixels[0], reference=(pixels[1], region))
        _ask(segmenter, tally, request, pictures.segments[0, wanted[0]] > 0.5)


def _ask(segmenter: SeemSegmenter, tally: Tally, request: SpecialistRequest, wanted: Tensor) -> None:
    start = time.perf_counter()
    try:
        found = segmenter.run(request).mask
    except NothingFoundError:
        found = None
    tally.add(found, wanted, time.perf_counter() - start)


def report(model: Seem, tokenizer: CLIPTokenizer, pairs: int) -> str:
    """Measure a model in training and say it in one line: cIoU per kind, and how often absent objects are refused."""
    was = model.training
    rows = measure(SeemSegmenter(model.eval(), tokenizer, "in training"), pairs)
    model.train(was)
    shown = [f"{kind} {row['nothing' if kind == 'absent' else 'ciou']:.3f}" for kind, row in rows.items()]
    return ", ".join([*shown, f"wrongly nothing {rows['text']['nothing']:.3f}"])


def main() -> None:
    """Measure a folder's weights and print a JSON object."""
    parser = argparse.ArgumentParser(prog="python -m vitron_agent.training.seem_measure", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soft", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = SeemSegmenter.from_pretrained(arguments.folder)
    for kind, row in measure(segmenter, arguments.pairs, arguments.seed, arguments.soft).items():
        print(json.dumps({"kind": kind, **row}))


if __name__ == "__main__":
    main()
