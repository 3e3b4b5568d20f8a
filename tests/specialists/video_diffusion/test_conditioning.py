"""Places and times tell every cell of a clip apart; signals are added to the words' tokens."""

import pytest
import torch
from torch import nn

from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.video_diffusion.conditioning import CLIP_PLANES, clip_input, place_planes, with_signals


def test_planes_tell_every_cell_of_every_frame_apart() -> None:
    planes = place_planes(torch.zeros(2, 4, 8, 8, 8))
    assert planes.shape == (2, CLIP_PLANES, 8, 8, 8)
    assert torch.equal(planes[0], planes[1])
    cells = planes[0].flatten(1).T
    assert torch.cdist(cells, cells).fill_diagonal_(9).min() > 0.1


def test_planes_are_given_where_there_is_room_for_them() -> None:
    latents = torch.randn(1, 4, 3, 5, 6)
    assert clip_input(latents, 4) is latents
    wide = clip_input(latents, 4 + CLIP_PLANES)
    assert torch.equal(wide[:, :4], latents)
    assert torch.equal(wide[:, 4:], place_planes(latents))
    with pytest.raises(ValueError, match="7 input channels cannot take 4"):
        clip_input(latents, 7)


def test_signals_change_the_tokens_but_not_their_number() -> None:
    torch.manual_seed(0)
    mapper = SignalMapper(d_llm=8, d_out=6, n_queries=5, width=16, heads=2)
    text, signals = torch.randn(1, 5, 6), SignalEmbeddings(torch.randn(3, 8), torch.randn(2, 8))
    assert with_signals(text, None, signals) is text
    assert with_signals(text, mapper, None) is text
    assert torch.equal(with_signals(text, mapper, signals), text)
    nn.init.constant_(mapper.gate, 1.0)
    told = with_signals(text, mapper, signals)
    assert told.shape == text.shape
    assert not torch.equal(told, text)
