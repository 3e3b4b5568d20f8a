import pytest

from vitron_agent import build


def test_graph_prints_mermaid_without_loading_anything(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_specialist", lambda name, profile: pytest.fail("loaded"))
    result = run("graph")
    assert result.exit_code == 0
    assert "graph TD;" in result.stdout
    assert "segment_image --> observe" in result.stdout


def test_models_says_what_is_needed_and_whether_it_is_there(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitron_agent.profiles import Profile

    monkeypatch.setattr(Profile, "missing", lambda self, part: ["x/y"] if part.name == "seem" else [])
    shown = run("models").stdout
    assert "missing x/y" in shown
    assert "ready" in shown
    assert "lmsys/vicuna-7b-v1.5" in shown
    assert "12,852 MiB" in shown
