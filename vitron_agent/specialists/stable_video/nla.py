"""Published layered neural atlases (Kasten et al. 2021), which StableVideo is given one of per clip: read as our atlas.

Four networks tell for every pixel of a clip where it lies in the foreground's and in the background's atlas, how much
of it is foreground, and what colour the atlases have there. What they say is worked out once, pixel by pixel, and kept
as explicit textures and maps: editing and rendering are the same as of an atlas that was fitted here.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.errors import CheckpointError, listed
from vitron_agent.pickles import pickled_table
from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.stable_video.layers import Layer, LayeredAtlas, pixel_grid

WIDTH = 256
UV_SCALE = 0.8  # the maps begin by laying the clip's larger side over this share of an atlas
DENSITY = 1.5  # texels per pixel, as our own fit has
MARGIN = 2  # texels around what any frame shows
_REMEDY = "give a file of NLA's training"
_AT_ONCE = 1 << 16  # points in one pass


class AtlasMLP(nn.Module):
    """One of the networks: linear layers with ReLU between them, sines of the input before, tanh behind."""

    def __init__(self, inputs: int, outputs: int, layers: int, octaves: int = 0, skips: tuple[int, ...] = ()) -> None:
        """Build it untrained.

        Args:
            inputs: Coordinates.
            outputs: Values, each in [-1, 1].
            layers: Linear ones, the last included.
            octaves: Of the positional encoding; 0 leaves the coordinates as they are.
            skips: Layers that see the encoded input once more.
        """
        super().__init__()
        self.octaves, self.skips = octaves, skips
        first = inputs * 2 * octaves if octaves else inputs
        sides = [first] + [WIDTH] * (layers - 1)
        wide = [side + first * (place in skips) for place, side in enumerate(sides)]
        self.hidden = nn.ModuleList(map(nn.Linear, wide, [*sides[1:], outputs]))

    def forward(self, points: Tensor) -> Tensor:
        """Return (N, outputs) for points (N, inputs), about [-1, 1]."""
        if self.octaves:
            turns = [2**octave * torch.pi * points for octave in range(self.octaves)]
            points = torch.cat([wave for turn in turns for wave in (turn.sin(), turn.cos())], -1)
        x = points
        for place, layer in enumerate(self.hidden):
            x = F.relu(x) if place else x
            x = layer(torch.cat([x, points], -1) if place in self.skips else x)
        return x.tanh()


def nla_networks() -> dict[str, AtlasMLP]:
    """Return the four networks, untrained, by their names in a checkpoint (StableVideo's and NLA's sizes)."""
    return {
        "model_F_mapping1_state_dict": AtlasMLP(3, 2, 6),
        "model_F_mapping2_state_dict": AtlasMLP(3, 2, 4),
        "model_F_alpha_state_dict": AtlasMLP(3, 1, 8, octaves=5),
        "F_atlas_state_dict": AtlasMLP(2, 3, 8, octaves=10, skips=(4, 7)),
    }


@torch.no_grad()
def load_nla(
    path: Path, frames: int, height: int, width: int, device: str = "cpu", progress: Progress = ignore_progress
) -> LayeredAtlas:
    """Read a layered neural atlas.

    Args:
        path: The pickle that NLA's training writes; nothing but tensors is read of it.
        frames: Of the clip that it was trained on, at the size that it was trained at.
        height: Of its frames in pixels.
        width: Likewise.
        device: Where the networks are asked.
        progress: Called after each frame; may raise `Cancelled`.

    Returns:
        The clip's atlas on the CPU; its maps are dense, one shift per pixel.

    Raises:
        CheckpointError: The file is missing, damaged, of another architecture, or holds more than tensors.
    """
    front, back, share, colours = (net.to(device).eval() for net in _loaded(pickled_table(path, _REMEDY)).values())
    side = max(height, width)
    pixels = (pixel_grid(height, width, torch.device(device)) - 0.5) / (side / 2) - 1  # NLA counts from 0
    places: list[list[Tensor]] = [[], []]
    alpha = []
    for frame in range(frames):
        when = torch.full((*pixels.shape[:2], 1), frame / (frames / 2) - 1, device=device)
        points = torch.cat([pixels, when], -1).view(-1, 3)
        for found, net in zip(places, (front, back), strict=True):
            found.append(_asked(net, points).view(height, width, 2))
        alpha.append(0.99 * (_asked(share, points).view(height, width) + 1) / 2 + 0.001)
        progress(frame + 1, frames)
    made = [_layer(colours, torch.stack(found), half, side) for found, half in zip(places, (0.5, -0.5), strict=True)]
    return LayeredAtlas(made[0], made[1], torch.stack(alpha).cpu())


def _loaded(table: Mapping[str, object]) -> dict[str, AtlasMLP]:
    networks = nla_networks()
    for name, network in networks.items():
        given = table.get(name)
        found = {key: value.shape for key, value in given.items()} if isinstance(given, dict) else {}
        wanted = {key: value.shape for key, value in network.state_dict().items()}
        if found != wanted:
            bad = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
            raise CheckpointError(f"NLA weights: {name} does not fit ({listed(bad)}); {_REMEDY}")
        network.load_state_dict(given)  # type: ignore[arg-type]  # it was compared above
    return networks


def _asked(network: nn.Module, points: Tensor) -> Tensor:
    return torch.cat([network(part) for part in points.split(_AT_ONCE)])


def _layer(colours: nn.Module, uv: Tensor, half: float, side: int) -> Layer:
    """Return the layer of maps uv (T, H, W, 2) in [-1, 1]; `half` says which half of the atlas network is its."""
    texels = round(DENSITY * side / UV_SCALE)  # of the whole atlas
    seen = (uv + 1) / 2 * texels
    low = seen.amin((0, 1, 2)).floor() - MARGIN
    width, height = (seen.amax((0, 1, 2)).ceil() + MARGIN - low).int().tolist()
    grid = (pixel_grid(height, width, uv.device) + low) / texels * 2 - 1
    texture = (_asked(colours, (grid * 0.5 + half).view(-1, 2)) + 1) / 2
    shifts = (seen / DENSITY - pixel_grid(uv.shape[1], uv.shape[2], uv.device)).permute(0, 3, 1, 2)
    upright = torch.eye(2, 3).expand(len(uv), -1, -1)
    origin = (low / DENSITY).tolist()
    texture = texture.view(height, width, 3).permute(2, 0, 1).contiguous()
    return Layer(texture.cpu(), upright, shifts.cpu(), (origin[0], origin[1]), DENSITY)
