"""The published checkpoint, a pickle under the original's names, at toy size."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.bomb import Bomb
from vitron_agent.errors import CheckpointError
from vitron_agent.media import Region
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.seem import Seem, SeemSegmenter
from vitron_agent.specialists.seem.loading import PUBLISHED, load_model

Weights = dict[str, Any]


@pytest.fixture
def published(folder: Path, model: Seem) -> Path:
    """A folder whose weights are a trained checkpoint of the original's, with its two constants."""
    (folder / "model.safetensors").unlink()
    constants = {"dilation_kernel": torch.ones(1, 1, 3, 3), "criterion.empty_weight": torch.ones(5)}
    torch.save({**model.state_dict(), **constants}, folder / PUBLISHED[0])
    return folder


def change(folder: Path, how: Callable[[Weights], Any]) -> Path:
    path = folder / PUBLISHED[0]
    torch.save(how(torch.load(path, weights_only=True)), path)
    return path


def test_the_published_checkpoint_gives_the_same_masks(
    published: Path, segmenter: SeemSegmenter, picture: Tensor
) -> None:
    loaded = SeemSegmenter.from_pretrained(published)
    request = SpecialistRequest("", picture, Region.parse("box:0.2,0.2,0.7,0.7"))
    found, wanted = loaded.run(request), segmenter.run(request)
    assert torch.equal(found.mask, wanted.mask)
    assert found.score == wanted.score
    assert not any(weight.requires_grad or weight.is_meta for weight in loaded.model.parameters())


def test_the_other_published_name_is_found_too(published: Path) -> None:
    (published / PUBLISHED[0]).rename(published / PUBLISHED[1])
    model, revision = load_model(published, "cpu", torch.float16)
    assert len(revision) == 16
    assert next(model.parameters()).dtype is torch.float16


def test_missing_weights_are_named_ten_of_them(published: Path) -> None:
    path = change(published, lambda w: {name: value for name, value in w.items() if not name.startswith("backbone.")})
    with pytest.raises(CheckpointError) as caught:
        load_model(published, "cpu", torch.float32)
    text = str(caught.value)
    assert f"{path} lacks backbone.patch_embed.proj.weight, " in text
    assert text.split(" lacks ")[1].split(" and ")[0].count("backbone.") == 10


def test_surplus_weights_are_named(published: Path) -> None:
    change(published, lambda w: w | {f"more.{i:02}": torch.ones(1) for i in range(12)})
    with pytest.raises(CheckpointError, match="unknown tensors more.00, .*, more.09 and 2 more;"):
        load_model(published, "cpu", torch.float32)


def test_without_a_configuration_the_published_sizes_hold(published: Path) -> None:
    (published / "config.json").unlink()
    with pytest.raises(CheckpointError, match="backbone.layers.2.blocks.17|and [0-9]{3} more"):
        load_model(published, "cpu", torch.float32)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_not_run(published: Path, tmp_path: Path, write: Callable[[Any, Path], Any]) -> None:
    mark, path = tmp_path / "code-was-run", published / PUBLISHED[0]
    write({"a": torch.ones(1), "b": Bomb(mark)}, path)
    with pytest.raises(CheckpointError, match="holds no plain tensors") as caught:
        load_model(published, "cpu", torch.float32)
    assert not mark.exists()
    assert "trust" not in str(caught.value)  # torch advises to run it, if one trusts the source
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", None])
def test_what_is_no_checkpoint_is_one_clear_error(published: Path, content: bytes | None) -> None:
    """An empty file; the web page that the release's download script fetches; a file cut short."""
    path = published / PUBLISHED[0]
    path.write_bytes(path.read_bytes()[:-2000] if content is None else content)
    with pytest.raises(CheckpointError, match=f"{path} holds no plain tensors") as caught:
        load_model(published, "cpu", torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", [lambda w: [1, 2], lambda w: {"model": w}])
def test_another_structure_is_refused(published: Path, how: Callable[[Weights], Any]) -> None:
    change(published, how)
    with pytest.raises(CheckpointError, match="no table of named tensors"):
        load_model(published, "cpu", torch.float32)
