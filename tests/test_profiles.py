from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from vitron_agent.errors import InputError
from vitron_agent.profiles import PROFILES, TINY, VITRON_7B, find_profile


def test_profiles_are_found_by_name() -> None:
    assert find_profile("tiny") is TINY
    assert set(PROFILES) == {"tiny", "vitron-7b"}


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'huge' is unknown: choose one of tiny, vitron-7b"):
        find_profile("huge")


def test_profiles_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TINY.name = "other"  # type: ignore[misc]


def test_without_a_folder_everything_is_missing() -> None:
    assert VITRON_7B.missing(VITRON_7B.part("planner")) == ["llava-hf/llava-1.5-7b-hf"]


LAYOUTS = {
    "llava": ("config.json", "tokenizer.json", "model.safetensors.index.json"),
    "llava's own": ("config.json", "tokenizer.model", "pytorch_model.bin.index.json"),
    "vicuna and clip": (
        "vicuna/config.json", "vicuna/tokenizer.model", "vicuna/pytorch_model.bin.index.json", "clip/config.json",
    ),
    "vitron": (
        "vitron-base/config.json", "vitron-base/tokenizer.model", "vitron-base/pytorch_model.bin.index.json",
        "vitron-lora/adapter_config.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_planner_is_there_in_each_of_its_layouts_and_not_without_one_of_the_files(
    tmp_path: Path, layout: str
) -> None:
    profile = replace(VITRON_7B, folder=tmp_path)
    files = [tmp_path / "planner" / name for name in LAYOUTS[layout]]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert profile.missing(profile.part("planner")) == []
    for file in files:
        file.unlink()
        assert profile.missing(profile.part("planner")) != []
        file.touch()


def test_every_part_says_size_and_licence() -> None:
    for profile in PROFILES.values():
        for part in (*profile.parts, *profile.extras):
            assert part.size > 0
            assert part.licence
            assert part.source
    assert sum(part.size for part in TINY.parts) <= 60


def test_extras_are_found_but_no_profile_is_incomplete_without_them() -> None:
    assert [part.name for part in TINY.extras] == ["zeroscope", "i2vgen_xl"]
    assert TINY.part("zeroscope") is TINY.extras[0]
    assert not set(TINY.extras) & set(TINY.parts)
