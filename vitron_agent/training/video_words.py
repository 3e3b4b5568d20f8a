"""Teaches a video model's text encoder what commands say moves, and where to, before any UNet listens to it.

Left to the UNet's loss alone, "left" and "right" come out of the encoder all but equal: a UNet that cannot tell them
apart yet draws something between all directions, and then no direction has a gradient. So the encoder learns from words
alone, in minutes: a reader that is thrown away afterwards asks it for each object's motion. Knows words and clips, no
pictures.
"""

import random
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.clip import MOTIONS, sample_clip
from vitron_agent.shapes.clip_captions import STILL, motion_name
from vitron_agent.shapes.scene import COLOURS, SHAPES, Obj
from vitron_agent.training.gligen_parts import scene_generator
from vitron_agent.training.video_data import Words

_MOTIONS = (*MOTIONS, STILL)
_LOOKS = (*COLOURS, *SHAPES, "small", "large", *(f"at {place}" for place in PLACE_WORDS))
_BATCH = 64
NO_OBJECT = -1


class MotionReader(nn.Module):
    """Reads an object's motion out of a text encoder's hidden states: an object attends to the words, as pixels do."""

    def __init__(self, width: int) -> None:
        """Read hidden states of `width` channels."""
        super().__init__()
        self.query = nn.EmbeddingBag(len(_LOOKS), width, mode="sum")
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.motion = nn.Linear(width, len(_MOTIONS))

    def forward(self, hidden: Tensor, looks: Tensor) -> Tensor:
        """Return logits (B, k, 7) for k objects per text.

        Args:
            hidden: (B, n, width) of the words.
            looks: (B, k, 4) int64, colour, shape, size and place of each object.
        """
        queries = self.query(looks.flatten(0, 1)).unflatten(0, looks.shape[:2])
        logits: Tensor = self.motion(self.attention(queries, hidden, hidden, need_weights=False)[0])
        return logits


def looks_of(obj: Obj) -> list[int]:
    """Return the four numbers by which the reader knows an object."""
    return [_LOOKS.index(word) for word in (obj.colour, obj.shape, obj.size, f"at {obj.place}")]


def learn_words(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, words: Words, seed: int, steps: int, rate: float = 1e-3
) -> float:
    """Train `encoder` in place on words alone, and return the share of motions read from ones it has not seen."""
    reader = MotionReader(encoder.config.hidden_size).to(encoder.device)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *reader.parameters()], rate)
    data = _batches(tokenizer, words, scene_generator("words", seed))
    for step in range(steps):
        ids, looks, motions = (tensor.to(encoder.device) for tensor in next(data))
        logits = reader(encoder(ids).last_hidden_state, looks)
        loss = F.cross_entropy(logits.flatten(0, 1), motions.flatten(), ignore_index=NO_OBJECT)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 50, (steps - step) / (0.3 * steps))
        optimiser.step()
    return _share_read(encoder, reader, _batches(tokenizer, words, scene_generator("words", "held-out")))


@torch.no_grad()
def _share_read(
    encoder: CLIPTextModel, reader: MotionReader, data: Iterator[tuple[Tensor, Tensor, Tensor]], count: int = 8
) -> float:
    right, asked = 0, 0
    for _ in range(count):
        ids, looks, motions = (tensor.to(encoder.device) for tensor in next(data))
        read = reader(encoder(ids).last_hidden_state, looks).argmax(-1)
        right += int((read == motions).sum())
        asked += int((motions != NO_OBJECT).sum())
    return right / asked


def _batches(tokenizer: CLIPTokenizer, words: Words, rng: random.Random) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield ids (B, n) of words, looks (B, 3, 4) of the objects they are about, and the motions' numbers (B, 3).

    Texts are padded to the longest alone, not to the context: the encoder is causal, so no word's state is another.
    """
    while True:
        clips = [sample_clip(rng) for _ in range(_BATCH)]
        texts = [words(clip, rng) for clip in clips]
        ids = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").input_ids
        looks = torch.zeros(_BATCH, 3, 4, dtype=torch.int64)
        motions = torch.full((_BATCH, 3), NO_OBJECT)
        for row, clip in enumerate(clips):
            for slot, (obj, motion) in enumerate(zip(clip.scene.objects, clip.motions, strict=True)):
                looks[row, slot] = torch.tensor(looks_of(obj))
                motions[row, slot] = _MOTIONS.index(motion_name(motion))
        yield ids, looks, motions
