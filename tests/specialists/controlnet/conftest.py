"""Random weights, written once for all tests of this folder; none of them changes the files."""

from pathlib import Path

import pytest

from tests.specialists.control_parts_on_disk import write_random_controlnet


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a profile with nothing but `controlnet/`."""
    folder = tmp_path_factory.mktemp("weights")
    write_random_controlnet(folder / "controlnet")
    return folder
