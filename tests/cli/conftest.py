"""The command line over a scripted planner and an echo specialist; the user's folder is a temporary one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from vitron_agent import build
from vitron_agent.cli import app
from vitron_agent.media import encode_png
from vitron_agent.parts import Profile
from vitron_agent.testing import EchoSpecialist, EchoVideoMaker, ScriptedPlanner, paint


@pytest.fixture
def echo() -> EchoSpecialist:
    return EchoSpecialist()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, echo: EchoSpecialist, tmp_path: Path) -> Callable[..., ScriptedPlanner]:
    """Give the tiny profile a planner that says what the test wants, and an echo for every specialist."""
    monkeypatch.setenv("VITRON_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Profile, "missing", lambda self, part: [])
    made = dict.fromkeys(("zeroscope", "i2vgen_xl"), EchoVideoMaker())
    monkeypatch.setattr(build, "build_specialist", lambda name, profile, **where: made.get(name, echo))

    def use(*replies: Any) -> ScriptedPlanner:
        planner = ScriptedPlanner(replies=list(replies))
        monkeypatch.setitem(build.PLANNERS, "tiny", lambda folder, store, use_signals, device: planner)
        return planner

    return use


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run one command line in this process."""

    def invoke(*arguments: object, **more: Any) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)

    return invoke


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG of 64x48 pixels."""
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(paint("a photo", 0, 48, 64)))
    return path
