from pathlib import Path
from typing import Any

import pytest

from vitron_agent import build


@pytest.mark.parametrize("command", [("run", "hi"), ("chat",)])
def test_what_the_command_line_says_of_memory_and_weights_reaches_the_agent(
    command: tuple[str, ...], script, run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script("Hello.")
    real, asked = build.build_agent, dict[str, Any]()
    monkeypatch.setattr(build, "build_agent", lambda *args, **more: asked.update(more) or real(*args, **more))
    options = ("--memory", "2GiB", "--host-memory", "1.5GB", "--weights", tmp_path)
    result = run(*command, *options, input="hi\n")
    assert result.exit_code == 0, result.stderr
    assert "Hello." in result.stdout
    assert {name: asked[name] for name in ("memory", "host_memory", "weights")} == {
        "memory": "2GiB",
        "host_memory": "1.5GB",
        "weights": tmp_path,
    }


@pytest.mark.parametrize("option", ["--memory", "--host-memory"])
def test_a_talk_without_a_sound_amount_does_not_begin(option: str, script, run) -> None:
    planner = script("Hello.")
    result = run("chat", option, "24", input="hi\n")
    assert (result.exit_code, result.stdout, planner.seen) == (2, "", [])
    said = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert said == ["error: memory '24' is no amount: give a number and a unit, as 24GB, 24GiB or 8000MB"]
