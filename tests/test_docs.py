"""The pages in docs/ that show code: it runs, and prints what its comments say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if "```python" in path.read_text(encoding="utf-8")]
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
