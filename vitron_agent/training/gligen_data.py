"""Training pictures for GLIGEN as latents: drawn and encoded once in shards, kept on disk, read again on resume.

Shard i of a seed is always the same scenes. Knows scenes and the autoencoder; knows nothing about noise or text.
"""

import hashlib
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.specialists.captions import encode_captions, encode_phrases
from vitron_agent.specialists.gligen.conditioning import Condition
from vitron_agent.training.precision import autocast

SHARD = 512
SLOTS = 3  # phrase slots per picture
Content = TypeVar("Content")


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Return scaled latents (B, c, S/4, S/4) of pictures (B, 3, S, S) in [0, 1], the posterior's mode, float32."""
    latents = []
    for part in (pictures * 2 - 1).to(vae.device).split(32):
        with autocast(str(vae.device)):
            latents.append(vae.encode(part.contiguous(memory_format=torch.channels_last)).latent_dist.mode().float())
    return torch.cat(latents).cpu() * vae.config.scaling_factor


def encoder_digest(model: torch.nn.Module) -> str:
    """Return 12 hex digits that stand for a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Shard(Generic[Content]):
    """Some training examples: what they are, and their tensors (first axis: example)."""

    contents: Sequence[Content]
    tensors: dict[str, Tensor]


class ShardedPool(Generic[Content]):
    """A growing set of examples; shards are made when first asked for and cached in a folder."""

    def __init__(
        self,
        folder: Path,
        key: str,
        sample: Callable[[random.Random], Content],
        encode: Callable[[Sequence[Content]], dict[str, Tensor]],
    ) -> None:
        """Keep shards in `folder` under `key` (seed and encoder digest): other keys never mix."""
        self.folder, self.key, self.sample, self.encode = folder, key, sample, encode
        self.shards: list[Shard[Content]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def grow(self, count: int) -> None:
        """Have at least `count` shards."""
        while len(self.shards) < count:
            index = len(self.shards)
            rng = random.Random(f"{self.key}/{index}")
            contents = [self.sample(rng) for _ in range(SHARD)]
            path = self.folder / f"{self.key}-{index}.safetensors"
            if not path.exists():
                temporary = path.with_suffix(f".{os.getpid()}.tmp")
                save_file({k: v.contiguous() for k, v in self.encode(contents).items()}, temporary)
                os.replace(temporary, path)
            self.shards.append(Shard(contents, load_file(path)))

    def draw(self, rng: random.Random, count: int, shards: int) -> tuple[list[Content], dict[str, Tensor]]:
        """Return `count` random examples of the first `shards` shards, floating tensors as float32."""
        self.grow(shards)
        picks = [(rng.randrange(shards), rng.randrange(SHARD)) for _ in range(count)]
        contents = [self.shards[s].contents[i] for s, i in picks]
        names = self.shards[0].tensors
        tensors = {k: torch.stack([self.shards[s].tensors[k][i] for s, i in picks]) for k in names}
        return contents, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


@dataclass(frozen=True)
class Prompt:
    """One training prompt: a caption, and phrases with boxes (both may be empty)."""

    caption: str
    layout: tuple[tuple[str, tuple[float, float, float, float]], ...]


def encode_prompts(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, prompts: Sequence[Prompt]) -> Condition:
    """Return the condition of a batch; each distinct phrase is encoded once."""
    names = sorted({phrase for prompt in prompts for phrase, _ in prompt.layout})
    table = torch.cat([encode_phrases(encoder, tokenizer, names), torch.zeros(1, encoder.config.hidden_size)])
    index = torch.full((len(prompts), SLOTS), len(names))
    boxes = torch.zeros(len(prompts), SLOTS, 4)
    for i, prompt in enumerate(prompts):
        for j, (phrase, box) in enumerate(prompt.layout[:SLOTS]):
            index[i, j] = names.index(phrase)
            boxes[i, j] = torch.tensor(box)
    text = encode_captions(encoder, tokenizer, [prompt.caption for prompt in prompts])
    return Condition(
        text, boxes.to(text.device), table[index].to(text.device), (index < len(names)).float().to(text.device)
    )
