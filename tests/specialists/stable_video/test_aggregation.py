"""The aggregation network brings a texture nearer to the keyframes it was made of."""

import pytest
import torch

from vitron_agent.errors import Cancelled
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.stable_video import FitSettings, LayeredAtlas, StableVideo, fit_atlas, keyframe_atlas
from vitron_agent.specialists.stable_video.aggregation import AggregationNet, aggregated

from .textured import Truth, textured_clip

KEYFRAMES = (0, 6, 11)


@pytest.fixture(scope="module")
def fitted() -> tuple[Truth, LayeredAtlas]:
    truth = textured_clip()
    return truth, fit_atlas(truth.frames, truth.masks, FitSettings(steps=100))


def keyframes_of(truth: Truth) -> dict[int, torch.Tensor]:
    return {frame: truth.edited[frame].float() / 255 for frame in KEYFRAMES}


def distance(atlas: LayeredAtlas, texture: torch.Tensor, keyframes: dict[int, torch.Tensor]) -> float:
    """Mean L1 distance of what the atlas shows from the keyframes, inside the object."""
    frames = list(keyframes)
    shown = atlas.foreground.with_texture(texture).seen_at(atlas.foreground.places(64, 64)[frames])
    inside = (atlas.alpha[frames] > 0.9)[:, None].expand(-1, 3, -1, -1)
    return float((shown - torch.stack(list(keyframes.values())))[inside].abs().mean())


def test_it_begins_as_the_identity() -> None:
    texture = torch.rand(3, 9, 7)
    assert torch.equal(AggregationNet()(texture), texture)
    assert sum(weight.numel() for weight in AggregationNet().parameters()) == 2 * 3 * 64 * 9


def test_it_learns_even_where_gradients_are_off(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, atlas = fitted
    keyframes = keyframes_of(truth)
    keyframes[11] = keyframes[11] * 0.8  # the editor took another shade: the mean of all three is nobody's
    mean, _ = keyframe_atlas(atlas, "foreground", keyframes)
    with torch.inference_mode():
        better = aggregated(atlas.foreground, mean, keyframes, atlas.alpha, 60)
    assert distance(atlas, better, keyframes) < 0.95 * distance(atlas, mean, keyframes)
    assert not better.requires_grad
    assert torch.equal(aggregated(atlas.foreground, mean, keyframes, atlas.alpha, 60), better)  # the same each time
    assert torch.equal(aggregated(atlas.foreground, mean, keyframes, atlas.alpha, 0), mean)


def test_the_specialist_takes_it_where_asked(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, _ = fitted
    pictures = {frame: truth.edited[frame] for frame in KEYFRAMES}
    request = SpecialistRequest("repaint", video=truth.frames, masks=truth.masks, keyframes=pictures)
    alone = SpecialistRequest("repaint", video=truth.frames, masks=truth.masks, keyframes={6: truth.edited[6]})
    plain, asked = (StableVideo(FitSettings(steps=20, aggregation=steps)) for steps in (0, 20))
    assert plain.revision != asked.revision
    first, second = plain.run(request).video, asked.run(request).video
    assert first is not None
    assert second is not None
    assert not torch.equal(first, second)
    seen: list[int] = []
    asked.run(alone, lambda step, total: seen.append(total))  # one keyframe has nothing to be aggregated with
    assert seen == []


def test_it_can_be_stopped(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, atlas = fitted
    mean, _ = keyframe_atlas(atlas, "foreground", keyframes_of(truth))

    def stop(step: int, total: int) -> None:
        if step == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        aggregated(atlas.foreground, mean, keyframes_of(truth), atlas.alpha, 60, stop)
