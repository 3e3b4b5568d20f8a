"""What a planner of any size loses on one conversation with real media: the kernel of all stages at full size.

Pictures of different sizes cannot be batched before the tower has seen them, so conversations come one by one and
gradients are summed by whoever trains. Knows the network and written-down conversations; not where they come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.planner.model import Encoded, PlannerModel
from vitron_agent.planner.processor import Processor, Serialised, Shown, Turn
from vitron_agent.planner.vision import sample_frames


@dataclass(frozen=True, eq=False)
class ReadConversation:
    """A conversation that a planner has read.

    Attributes:
        ids: (T,) int64.
        states: (T, d_llm), of the last layer.
        learned: (T,) bool, the ids that the assistant has to write.
    """

    ids: Tensor
    states: Tensor
    learned: Tensor

    def words_loss(self, model: PlannerModel) -> Tensor:
        """Mean cross-entropy of the learned ids, each foretold by the state before it."""
        places = self.learned[1:]
        return F.cross_entropy(model.logits(self.states[:-1][places]).float(), self.ids[1:][places])


def read_conversation(model: PlannerModel, processor: Processor, turns: Sequence[Turn]) -> ReadConversation:
    """Let a planner read a whole conversation.

    Args:
        model: The planner; gradients reach whatever of it is not frozen.
        processor: Of its vocabulary and numbers of tokens.
        turns: With decoded media, as `release_data.load_turns` gives them.

    Raises:
        InputError: The conversation is longer than the planner can read, or holds a video that it cannot see.
    """
    written = processor.serialise(turns)
    if len(written.ids) > processor.max_tokens:
        raise InputError(
            f"the conversation has {len(written.ids)} tokens, at most {processor.max_tokens} fit: shorten or split it"
        )
    ids = torch.tensor([written.ids], device=model.device)
    states = model.hidden(_embedded(model, written, ids, processor.vocabulary.tags["<objs>"]))
    return ReadConversation(ids[0], states[0], torch.tensor(written.learn, device=model.device))


def _embedded(model: PlannerModel, written: Serialised, ids: Tensor, mark: int) -> Tensor:
    """Embeddings (1, T, d_llm) with the features of all media and regions."""
    encoded = [_encoded(model, shown) for shown in written.media]
    drawn = (ids == mark) & ~torch.tensor([written.learn], device=ids.device)
    regions = [model.encode_regions(encoded[index].patches, mask[None]) for index, mask in written.regions]
    tokens = torch.cat([found.tokens[0] for found in encoded]) if encoded else None
    return model.merge(ids, tokens, torch.cat(regions) if regions else None, drawn)


def _encoded(model: PlannerModel, shown: Shown) -> Encoded:
    if shown.is_video:
        return model.encode_videos(sample_frames(shown.content, model.video_frames)[None])
    return model.encode_pictures(shown.content[None])
