"""Helpers that SEEM is taught with and that do not ship: small linear heads which ask for shape, colour and place.

A mask decoder trained from nothing learns masks long before it tells a star from a cross, as only a few queries carry
that loss. These heads ask every pixel, every query and every class name directly; a run's first share is lessons
only, without the decoder, which is three times as fast. Knows the small world.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.shapes.render import MAX_OBJECTS
from vitron_agent.shapes.scene import COLOURS, SHAPES, Scene
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.training.seem_language import CLASSES

_COLOURS = tuple(COLOURS)


def attribute_table(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Write down what is in scenes.

    Returns:
        Names (B, 3, 2) int64, shape and colour, 0 for empty slots; and places (B, 3, 3) float32: x, y, 2 r.
    """
    names = torch.zeros(len(scenes), MAX_OBJECTS, 2, dtype=torch.int64)
    places = torch.zeros(len(scenes), MAX_OBJECTS, 3)
    for i, scene in enumerate(scenes):
        for j, obj in enumerate(scene.objects):
            names[i, j] = torch.tensor((SHAPES.index(obj.shape), _COLOURS.index(obj.colour)))
            places[i, j] = torch.tensor((obj.x, obj.y, 2 * obj.r))
    return names, places


class Teacher(nn.Module):
    """The heads and their loss."""

    classes: Tensor

    def __init__(self, config: SeemConfig) -> None:
        """Make heads for the mask features, two levels, and the backbone's maps at strides 4, 8 and 16."""
        super().__init__()
        dim, embed = config.hidden_dim, config.embed_dim
        kinds = len(SHAPES) + len(_COLOURS)
        self.pixels = nn.ModuleList(
            nn.Conv2d(c, kinds + 2 + 3, 1) for c in (dim, dim, dim, embed, 2 * embed, 4 * embed)
        )  # + background, place
        self.query = nn.Linear(dim, kinds + 3)
        self.word = nn.Linear(dim, kinds)
        self.see = nn.Sequential(nn.Linear(kinds + 2 + 3, 128), nn.GELU(), nn.Linear(128, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 2 * dim, 0.0, batch_first=True, norm_first=True)
        self.compare = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        rows = [name.split() for name in CLASSES if len(name.split()) == 2]
        table = [(SHAPES.index(shape), _COLOURS.index(colour)) for colour, shape in rows]
        self.register_buffer("classes", torch.tensor(table), persistent=False)

    def describe(self, names: Tensor, places: Tensor, present: Tensor) -> Tensor:
        """Embed what is in a picture from the truth, each segment knowing the others: what phrases are matched with.

        Words are thus learned from many scenes a step; the queries' captions are then drawn to these embeddings.

        Args:
            names: (B, 3, 2), and `places` (B, 3, 3), from `attribute_table`.
            places: see `names`.
            present: (B, 4) bool, the last is the background.

        Returns:
            (B, 4, C).
        """
        background = names.new_tensor([len(SHAPES), len(_COLOURS)]).expand(len(names), 1, 2)
        table = torch.cat((names, background), dim=1)
        seen = (
            F.one_hot(table[..., 0], len(SHAPES) + 1),
            F.one_hot(table[..., 1], len(_COLOURS) + 1),
            F.pad(places, (0, 0, 0, 1)),
        )
        return self.compare(self.see(torch.cat(seen, dim=-1)), src_key_padding_mask=~present)

    def pixel_loss(self, maps: Sequence[Tensor], segments: Tensor, names: Tensor, places: Tensor) -> Tensor:
        """Ask every pixel of every map (B, c, h, w) for shape, colour and place of what covers most of it.

        Args:
            maps: of sides that divide the segments' side.
            segments: (B, 4, S, S), the last is the background.
            names: (B, 3, 2), and `places` (B, 3, 3), from `attribute_table`.
            places: see `names`.
        """
        total = segments.new_zeros(())
        background = torch.tensor([len(SHAPES), len(_COLOURS)], device=names.device).expand(len(names), 1, 2)
        table = torch.cat((names, background), dim=1)
        for head, features in zip(self.pixels, maps, strict=True):
            owner = F.avg_pool2d(segments, segments.shape[-1] // features.shape[-1]).argmax(1).flatten(1)
            wanted = table.gather(1, owner[..., None].expand(-1, -1, 2))
            thing = owner < MAX_OBJECTS
            weight = torch.where(thing, 1.0, 0.1)
            logits = head(features).flatten(2).float().split((len(SHAPES) + 1, len(_COLOURS) + 1, 3), dim=1)
            loss = F.cross_entropy(logits[0], wanted[..., 0], reduction="none")
            loss = loss + 0.5 * F.cross_entropy(logits[1], wanted[..., 1], reduction="none")
            target = places.gather(1, owner.clamp(max=MAX_OBJECTS - 1)[..., None].expand(-1, -1, 3))
            error = F.smooth_l1_loss(logits[2].transpose(1, 2), target, beta=0.05, reduction="none").sum(2)
            total = total + ((loss + 2 * error * thing) * weight).sum() / weight.sum() / len(maps)
        return total

    def query_loss(self, picked: Tensor, names: Tensor, places: Tensor, present: Tensor) -> Tensor:
        """Ask the objects' queries for shape, colour and place.

        Args:
            picked: (N, 3, C) states of the queries that the object slots got.
            names: (N, 3, 2), and `places` (N, 3, 3), from `attribute_table`.
            places: see `names`.
            present: (N, 3) bool.
        """
        shape, colour, place = self.query(picked[present]).float().split((len(SHAPES), len(_COLOURS), 3), dim=-1)
        wanted = names[present]
        naming = F.cross_entropy(shape, wanted[:, 0]) + F.cross_entropy(colour, wanted[:, 1])
        return naming + 5 * F.smooth_l1_loss(place, places[present], beta=0.05)

    def word_loss(self, classes: Tensor) -> Tensor:
        """Ask the embeddings of all class names (K, C) for shape and colour; background and void are left out."""
        count = len(self.classes)
        shape, colour = (self.word(classes[:count]) * 5).float().split((len(SHAPES), len(_COLOURS)), dim=-1)
        return F.cross_entropy(shape, self.classes[:, 0]) + F.cross_entropy(colour, self.classes[:, 1])
