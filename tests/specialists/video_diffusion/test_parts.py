"""Piece by piece or all at once: the same clip."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.specialists.video_parts_on_disk import SMALL, write_random_i2vgen, write_random_zeroscope
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator

KINDS: dict[str, Any] = {"zeroscope": ZeroscopeGenerator, "i2vgen_xl": I2VGenAnimator}
PICTURE = torch.randint(0, 256, (3, 32, 48), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
REQUEST = SpecialistRequest("a red circle moves right", image=PICTURE, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    return {
        "zeroscope": write_random_zeroscope(root / "zeroscope"),
        "i2vgen_xl": write_random_i2vgen(root / "i2vgen_xl"),
    }


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("name", KINDS)
def test_a_frugal_model_makes_the_same_clip(name: str, guidance: float, folders: dict[str, Path]) -> None:
    defaults = replace(SMALL, guidance=guidance)
    plain, frugal = (
        KINDS[name].from_pretrained(folders[name], defaults=defaults, frugal=frugal) for frugal in (False, True)
    )
    shown = () if name == "zeroscope" else (PICTURE,)
    first, second = (each.latents(REQUEST, *shown) for each in (plain, frugal))
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)
    assert (plain.run(REQUEST).video.int() - frugal.run(REQUEST).video.int()).abs().max() <= 1
    assert plain.revision == frugal.revision


@pytest.mark.parametrize("name", KINDS)
def test_it_computes_one_row_and_one_frame_at_a_time(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    frugal = KINDS[name].from_pretrained(folders[name], defaults=SMALL, frugal=True)
    rows: list[int] = []
    frames: list[int] = []
    decode = type(frugal.parts.vae).decode

    def counted(vae: Any, latents: Tensor) -> Any:
        frames.append(len(latents))
        return decode(vae, latents)

    monkeypatch.setattr(type(frugal.parts.vae), "decode", counted)
    frugal.parts.unet.register_forward_pre_hook(lambda unet, inputs: rows.append(len(inputs[0])))
    frugal.run(REQUEST)
    assert rows == [1] * 2 * SMALL.steps  # with guidance two rows a step
    assert frames == [1] * SMALL.frames
