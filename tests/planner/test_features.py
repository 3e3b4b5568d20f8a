"""What was looked at before is not looked at again, and nothing is kept for ever."""

import pytest
import torch

from vitron_agent.planner import PlannerModel
from vitron_agent.planner.features import MAX_MEDIA, FeatureCache


def test_pictures_are_encoded_once_and_forgotten_in_time(model: PlannerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, features = [], FeatureCache(model)
    encode = model.encode_pictures
    monkeypatch.setattr(model, "encode_pictures", lambda images: seen.append(1) or encode(images))
    with torch.inference_mode():
        for shade in [*range(MAX_MEDIA + 1), MAX_MEDIA, 0]:
            features.encode(torch.full((3, 9, 9), shade, dtype=torch.uint8))
    assert len(seen) == MAX_MEDIA + 2  # the last one was kept, the first one had to leave
    assert len(features) == MAX_MEDIA
    features.clear()
    assert len(features) == 0


def test_videos_and_pictures_are_told_apart_by_their_shape(model: PlannerModel) -> None:
    features = FeatureCache(model)
    frames = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        still, film = features.encode(frames[0]), features.encode(frames)
    assert still.tokens.shape == (1, model.image_tokens, model.d_llm)
    assert film.tokens.shape == (1, model.video_tokens, model.d_llm)
