"""What words leave open of an example, as specialists are told it while they learn: one direction per quality.

The paper draws signal embeddings to the specialist's own encoding of what is meant (section 4.1). A text encoder that
knows eight colours has none for this very blue, so specialists are taught one: `ExampleEncoder`. Whatever a planner
knows can then be fitted to it (recipe `example_signals`), without the specialist. Knows facts of requests and clips, no
planner and no specialist.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vitron_agent.errors import CheckpointError
from vitron_agent.shapes.clip import DIRECTIONS, DISTANCE, Clip
from vitron_agent.shapes.scene import COLOURS
from vitron_agent.shapes.tasks_turns import Facts
from vitron_agent.training.gligen_parts import WIDTH
from vitron_agent.training.planner_like import OPEN, QUALITIES, qualities

FOLDER = "examples"
"""Where a specialist's `ExampleEncoder` lies in its folder; nothing that runs reads it."""
_FILE = "model.safetensors"
_SPEED = QUALITIES.index("speed")


class ExampleEncoder(nn.Module):
    """Writes how an example differs from what its words mean, to be added to every token of the words."""

    def __init__(self) -> None:
        """Start with random directions."""
        super().__init__()
        self.embeddings = nn.Linear(len(QUALITIES), WIDTH, bias=False)

    def forward(self, differences: Tensor) -> Tensor:
        """Return (B, 1, WIDTH) of differences (B, 5): zeros where there are none."""
        told: Tensor = self.embeddings(differences)
        return told[:, None]

    @torch.no_grad()
    def read(self, said: Tensor) -> Tensor:
        """Return the differences (B, 5) that come nearest to saying what `said` (B, n, WIDTH) does, on average."""
        return said.mean(1) @ torch.linalg.pinv(self.embeddings.weight).T

    def save_pretrained(self, folder: Path) -> None:
        """Write the directions to a folder that is there."""
        save_file(self.state_dict(), folder / _FILE)

    @classmethod
    def from_pretrained(cls, folder: Path, recipe: str) -> Self:
        """Read the directions of `folder`, float32; they do not learn further.

        Args:
            folder: Where `save_pretrained` wrote them.
            recipe: What to run where they are missing, for the error's text.

        Raises:
            CheckpointError: They are missing, damaged or of another shape.
        """
        encoder = cls()
        try:
            tensors = load_file(folder / _FILE)
            encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{folder} cannot be used ({reason}): run the recipe {recipe} first") from None
        return encoder.requires_grad_(False)


def differences(requests: Sequence[Facts]) -> Tensor:
    """Return how what is wanted differs from what the words mean, (B, 5) in the spreads of `planner_like.OPEN`.

    A colour's name means its base colour; "small", "large" and a motion mean the middle of their reach. What is not
    asked to be like an example is zero, so requests by words are all zeros.

    Args:
        requests: The facts of B calls (see shapes.tasks_like; others are by words).
    """
    told = torch.zeros(len(requests), len(QUALITIES))
    for row, facts in enumerate(requests):
        if "measure" not in facts:
            continue
        wanted, asked = qualities([facts], [facts["measure"]])
        usual = torch.zeros(len(QUALITIES))
        usual[:3] = 2 * torch.tensor(COLOURS[facts["wanted"].colour]) - 1
        told[row] = (wanted[0] - usual) * asked[0] / torch.tensor(OPEN)
    return told


def speed_of(clip: Clip) -> Tensor:
    """Return (5,) differences of a clip: how far its objects move, on average, from the middle of what is usual."""
    amounts = [motion.amount for motion in clip.motions if motion is not None and motion.name in DIRECTIONS]
    told = torch.zeros(len(QUALITIES))
    if amounts:
        low, high = DISTANCE
        told[_SPEED] = (2 * sum(amounts) / len(amounts) - low - high) / (high - low) / OPEN[_SPEED]
    return told
