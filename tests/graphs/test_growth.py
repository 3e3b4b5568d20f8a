"""A long conversation about many pictures grows by what each turn adds; `make bench` has it over 200 turns."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import call, paint

TURNS = 36  # each with a picture, two planner rounds and a mask


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in Linux's /proc")
def test_the_database_grows_by_the_turn_and_files_are_closed(
    build, store: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    config: Any = {"configurable": {"thread_id": "long"}}
    segment = call("segment_image", command="the red circle")
    path = tmp_path / "talk.sqlite"
    sizes, files = [0], []
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        saver = SqliteSaver(connection)
        agent, _ = build(lambda messages: "Here." if messages[-1].type == "tool" else [segment], saver=saver)
        for turn in range(1, TURNS + 1):
            picture = store.put_image(paint(f"picture {turn}"))
            agent.invoke({"messages": [user_turn("cut it out", [picture])]}, config)
            if turn % (TURNS // 3) == 0:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                sizes.append(path.stat().st_size)
                files.append(len(os.listdir("/proc/self/fd")))
        values = build("Hello.", saver=saver)[0].get_state(config).values
    first, _, last = (after - before for before, after in zip(sizes, sizes[1:], strict=False))
    assert last < 1.3 * first  # whole lists in every checkpoint: five times as much
    assert sizes[-1] < 32_000 * TURNS
    assert files[-1] <= files[0]
    assert list(scratch.iterdir()) == []
    assert store.folder
    assert list(store.folder.rglob("*.tmp")) == list((store.folder / "threads").iterdir()) == []
    assert [entry["number"] for entry in values["media"]] == list(range(1, TURNS + 1))
    assert len(values["messages"]) == 4 * TURNS
