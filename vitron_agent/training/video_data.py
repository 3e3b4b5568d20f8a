"""Clips as training batches: drawn, rendered and encoded once in shards on disk; batches are put together by workers.

A batch is a function of seed and step, so a resumed run sees what a straight one would have seen. Knows clips, words
and the autoencoder; knows nothing about UNets or losses.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTokenizer

from vitron_agent.shapes.clip import FRAMES, Clip
from vitron_agent.shapes.render import render
from vitron_agent.training.gligen_data import ShardedPool, encode_pictures, encoder_digest
from vitron_agent.training.gligen_parts import scene_generator
from vitron_agent.training.gligen_scenes import object_weight
from vitron_agent.training.loop import step_generator
from vitron_agent.training.video_clips import TaughtClip, sample_taught_clip

Words = Callable[[Clip, random.Random], str]
Batch = dict[str, Tensor]
"""Of B clips, or of B first frames alone (T = 1): "ids" (B, n) of the words; "told" (B,), 0 where they are empty;
"latents" (B, c, T, h, w) and "noise" of that shape; "share" (B,), how far towards pure noise, in [0, 1); "weight"
(B, 1, T, h, w) of the loss, mean 1; "first" (B, 3, S, S) uint8, the first frame;
"speed" (B, 5), what the words leave open of it (see examples.py)."""
NO_WORDS = 0.1  # share of clips whose words are dropped: what guidance compares with
_AT_ONCE = 32  # clips that are drawn and encoded together
_FOREVER = 10**9


def clip_pool(folder: Path, seed: int, vae: AutoencoderKL) -> ShardedPool[TaughtClip]:
    """Return the pool of training clips with their latents (B, T, c, h, w) and first frames."""

    def encode(taught: Sequence[TaughtClip]) -> dict[str, Tensor]:
        latents, first = [], []
        for start in range(0, len(taught), _AT_ONCE):
            scenes = [scene for lesson in taught[start : start + _AT_ONCE] for scene in lesson.clip.scenes]
            images = render(scenes).images
            latents.append(encode_pictures(vae, images).half())
            first.append((images[::FRAMES] * 255).round().to(torch.uint8))
        return {"latents": torch.cat(latents).unflatten(0, (-1, FRAMES)), "first": torch.cat(first)}

    return ShardedPool(folder, f"taught-{seed}-{encoder_digest(vae.encoder)}", sample_taught_clip, encode)


class ClipBatches(Dataset[Batch]):
    """Batch number `step` for every step."""

    def __init__(
        self,
        pool: ShardedPool[TaughtClip],
        shards: int,
        words: Words,
        tokenizer: CLIPTokenizer,
        count: int,
        seed: int,
        stills: int = 0,
    ) -> None:
        """Draw batches of `count` from the first `shards` shards of a pool, described by `words`.

        The first `stills` batches hold first frames alone, as many frames as a batch of clips does: what is where in
        which colour is learned from eight times as many scenes before anything moves.
        """
        self.pool, self.shards, self.words, self.tokenizer = pool, shards, words, tokenizer
        self.count, self.seed, self.stills = count, seed, stills

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of one step."""
        rng, generator = scene_generator("video", self.seed, step), step_generator(self.seed, step)
        count, kept = (self.count * FRAMES, 1) if step < self.stills else (self.count, FRAMES)
        taught, tensors = self.pool.draw(rng, count, self.shards)
        clips = [lesson.clip for lesson in taught]
        words = ["" if rng.random() < NO_WORDS else self.words(clip, rng) for clip in clips]
        length = self.tokenizer.model_max_length
        ids = self.tokenizer(words, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        latents = tensors["latents"][:, :kept].transpose(1, 2).contiguous()
        told = torch.tensor([float(bool(text)) for text in words])
        return {
            "ids": ids.input_ids,
            "told": told,
            "latents": latents,
            "noise": torch.randn(latents.shape, generator=generator),
            "share": torch.rand(count, generator=generator),
            "weight": clip_weight(clips, latents.shape[-1])[:, :, :kept],
            "first": tensors["first"],
            "speed": torch.stack([lesson.speed for lesson in taught]) * told[:, None],
        }


def clip_weight(clips: Sequence[Clip], size: int) -> Tensor:
    """Return loss weights (B, 1, T, size, size): more around the objects of each frame, mean 1."""
    frames = [scene.objects for clip in clips for scene in clip.scenes]
    return object_weight(frames, size).view(len(clips), FRAMES, 1, size, size).transpose(1, 2)


def batches(dataset: ClipBatches, start: int, workers: int, device: str, stride: int = 1) -> Iterator[Batch]:
    """Yield every `stride`-th batch from number `start` on, on a device.

    They are prepared ahead by `workers` processes (0: in this one).
    """
    pinned = device.startswith("cuda")
    loader: DataLoader[Batch] = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(start, _FOREVER, stride),
        num_workers=workers,
        pin_memory=pinned,
        multiprocessing_context="fork" if workers else None,  # the shards are shared with the workers, not copied
    )
    for batch in loader:
        yield {name: tensor.to(device, non_blocking=pinned) for name, tensor in batch.items()}
