"""The README and the changelog say what is there."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path

import pytest

import vitron_agent

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def file_map() -> list[str]:
    """The paths of the README's file map, each relative to the root."""
    section = re.search(r"^## File map\n.*?^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert section, "README.md has no section 'File map' with a fenced block"
    folder, paths = "", []
    for line in section[1].splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
            paths.append(name)
        else:
            paths.append(folder + name)
    return paths


def ignored_names() -> list[str]:
    """Patterns of .gitignore without their slashes."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [line.strip("/") for line in lines if line and not line.startswith("#")]


def entries(folder: str) -> set[str]:
    """What stands directly in a folder, folders with a slash behind them, ignored and hidden things left out."""
    found = {
        f"{folder}{entry.name}/" if entry.is_dir() else f"{folder}{entry.name}"
        for entry in os.scandir(ROOT / folder)
        if not entry.name.startswith((".", "__"))
        and not any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored_names())
    }
    return found


def test_everything_in_the_map_exists() -> None:
    folders = {path for path in file_map() if path.endswith("/")}
    assert {path for path in folders if not (ROOT / path).is_dir()} == set()
    assert {path for path in set(file_map()) - folders if not (ROOT / path).is_file()} == set()


def test_the_map_is_complete() -> None:
    known = set(file_map())
    assert entries("") - known == set()
    assert entries("vitron_agent/") - known == set()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_targets_that_describe_themselves(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^make {target}\b", README, re.MULTILINE)
    assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE)


def test_ci_runs_the_readme_s_test_command() -> None:
    assert re.search(r"^exec make test\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_links_and_pictures_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", README)
    assert targets
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_the_python_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path))
    fences = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert fences
    for fence in fences:
        names: dict[str, object] = {}
        exec(compile(fence, "README.md", "exec"), names)


def test_the_changelog_opens_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert top
    assert top[1] == vitron_agent.__version__
