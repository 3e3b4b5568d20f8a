"""A store of each kind, where files are and where none are."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from vitron_agent.media import MediaStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MediaStore]:
    if request.param == "folder":
        yield MediaStore(tmp_path / "media")
        return
    name = f"/{uuid.uuid4().hex}"
    yield MediaStore(f"memory:/{name}")
    filesystem = fsspec.filesystem("memory")
    assert filesystem.exists(name)
    filesystem.rm(name, recursive=True)
