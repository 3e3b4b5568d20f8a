import pytest

from vitron_agent import build


def test_graph_prints_mermaid_without_loading_anything(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_specialist", lambda name, profile: pytest.fail("loaded"))
    result = run("graph")
    assert result.exit_code == 0
    assert "graph TD;" in result.stdout
    assert "segment_image --> observe" in result.stdout
