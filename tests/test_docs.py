"""The pages say what is there: code runs, and prints what its comments say; commands, options and files exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from vitron_agent.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if "```python" in path.read_text(encoding="utf-8")]
ALL = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRINTED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_examples_run(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path))
    fences = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {"__name__": "example"}  # one page is one story: later fences know earlier ones
    for fence in fences:
        exec(compile(fence, page.name, "exec"), names)
    assert capsys.readouterr().out.splitlines() == PRINTED.findall("\n".join(fences))


def commands() -> dict[str, set[str]]:
    """The command line's commands, such as "models pull", and the options of each."""
    found: dict[str, set[str]] = {}

    def note(command: Any, name: str) -> None:
        found[name] = {"--help"}.union(*({*each.opts, *each.secondary_opts} for each in command.params))
        for own, inner in getattr(command, "commands", {}).items():
            note(inner, f"{name} {own}".strip())

    note(typer.main.get_command(app), "")
    return found


def code_of(page: Path) -> list[str]:
    """What a page shows as code: each `...` in its text, each line of its shell examples without comment."""
    text = page.read_text(encoding="utf-8")
    shell = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split("  #")[0] for block in shell for line in block.splitlines()]
    return [" ".join(code.split()) for code in [*re.findall(r"`([^`]+)`", prose), *lines]]


def test_the_pages_show_code() -> None:
    shown = [code for page in ALL for code in code_of(page)]
    assert sum(code.startswith("vitron-agent ") for code in shown) > 10
    assert "make bench" in shown


@pytest.mark.parametrize("page", ALL, ids=lambda path: path.name)
def test_commands_and_options_exist(page: Path) -> None:
    known = commands()
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wrong = []
    for code in code_of(page):
        first, *rest = re.sub(r'"[^"]*"', "TEXT", code).split() or [""]
        options = {word.split("=")[0] for word in rest if word.startswith("--")}
        if first == "vitron-agent" and rest:
            names = [" ".join(rest[:count]) for count in (2, 1, 0)]
            name = next(name for name in names if name in known)
            if options - known[name] or (not name and not options):
                wrong.append(code)
        if first.startswith("--") and {first, *options} - set().union(*known.values()):
            wrong.append(code)
        if first == "make" and rest and rest[0] not in targets:
            wrong.append(code)
    assert wrong == []


@pytest.mark.parametrize("page", ALL, ids=lambda path: path.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = [code for code in code_of(page) if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|md|ipynb|png|json|toml)", code)]
    assert [name for name in named if not (ROOT / name).exists()] == []
