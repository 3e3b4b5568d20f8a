from pathlib import Path

from vitron_agent.parts import Part, Profile


def test_missing_files_are_named(tmp_path: Path) -> None:
    part = Part("seem", "finds", ("seem/config.json", "seem/model.safetensors"), "ours", 1, "Apache-2.0")
    profile = Profile("x", "x", tmp_path, (part,), 64)
    (tmp_path / "seem").mkdir()
    (tmp_path / "seem" / "config.json").touch()
    assert profile.missing(part) == ["seem/model.safetensors"]


def test_of_alternatives_one_is_enough_and_few_are_all_named(tmp_path: Path) -> None:
    part = Part("seem", "finds", ("seem/a|seem/b", "c|d|e|f"), "ours", 1, "Apache-2.0")
    profile = Profile("x", "x", tmp_path, (part,), 64)
    assert profile.missing(part) == ["seem/a or seem/b", "c (or another form of it)"]
    (tmp_path / "seem").mkdir()
    (tmp_path / "seem" / "b").touch()
    (tmp_path / "f").touch()
    assert profile.missing(part) == []
