import hashlib
import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitron_agent.errors import CheckpointError
from vitron_agent.integrity import faults, file_fault, listed_sums, part_files
from vitron_agent.parts import Part, Profile
from vitron_agent.profiles import TINY


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(3, 4), "b": torch.arange(5)}, path)
    return path


def header(text: str, data: bytes) -> bytes:
    """The bytes of a safetensors file with this header."""
    return struct.pack("<Q", len(text)) + text.encode() + data


def test_whole_files_have_no_fault(weights: Path) -> None:
    (weights.parent / "config.json").write_text("{}")
    assert file_fault(weights, finite=True) is None
    assert file_fault(weights.parent / "config.json") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: whole + b"\0",
        lambda whole: whole[:20],
        lambda whole: b"",
        lambda whole: pickle.dumps([1, 2, 3]),
        lambda whole: struct.pack("<Q", 2**40) + whole[8:],
        lambda whole: header('{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}', bytes(8)),
        lambda whole: header('{"a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)),
        lambda whole: header('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}', bytes(16)),
    ],
)
def test_damaged_weights_are_seen_without_reading_values(weights: Path, damage) -> None:
    weights.write_bytes(damage(weights.read_bytes()))
    assert "is truncated or damaged" in (file_fault(weights) or "")


def test_weights_without_tensors_are_none(weights: Path) -> None:
    save_file({}, weights)
    assert file_fault(weights) == "holds no tensors"


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_are_read_where_that_is_asked_for(weights: Path, value: str, dtype: torch.dtype) -> None:
    save_file({"a": torch.ones(2), "b": torch.tensor([0.0, float(value)], dtype=dtype)}, weights)
    assert file_fault(weights) is None
    assert file_fault(weights, finite=True) == "holds values that are no numbers, in b"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b""])
def test_a_damaged_configuration_is_seen(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert "is no JSON" in (file_fault(path) or "")


@pytest.mark.parametrize(
    ("index", "fault"),
    [
        ({"weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}, None),
        ({"weight_map": {"a": "model.safetensors", "c": "other.safetensors"}}, "'other.safetensors', which is missing"),
        ({"weight_map": {"d": "model.safetensors"}}, "promises d in 'model.safetensors', which lacks it"),
        ({"weight_map": [1]}, "has no 'weight_map'"),
        ([], "has no 'weight_map'"),
    ],
)  # fmt: skip
def test_every_shard_of_an_index_must_be_there(weights: Path, index: object, fault: str | None) -> None:
    path = weights.with_name("model.safetensors.index.json")
    path.write_text(json.dumps(index))
    found = file_fault(path)
    assert found is None if fault is None else fault in (found or "")


def test_every_pickled_shard_of_an_index_must_be_there_and_whole(tmp_path: Path) -> None:
    """As Vicuna and VITRON's base are published."""
    part = Part("planner", "plans", ("planner/config.json",), "theirs", 1, "x")
    base = tmp_path / "planner" / "vicuna"
    base.mkdir(parents=True)
    (tmp_path / "planner" / "config.json").write_text("{}")
    shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    (base / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    torch.save({"a": torch.ones(3)}, base / shards[0])
    profile = Profile("x", "x", tmp_path, (part,), 64)
    missing = f"planner: planner/vicuna/pytorch_model.bin.index.json names '{shards[1]}', which is missing"
    assert faults(profile, part) == [missing]
    torch.save({"b": torch.ones(3)}, base / shards[1])
    assert faults(profile, part) == []
    (base / shards[1]).write_bytes((base / shards[1]).read_bytes()[:-30])
    (fault,) = faults(profile, part)
    assert fault.startswith(f"planner: planner/vicuna/{shards[1]} is truncated or damaged")


def test_an_index_of_pickles_does_not_matter_beside_safetensors(weights: Path) -> None:
    path = weights.with_name("pytorch_model.bin.index.json")
    path.write_text(json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}))
    assert file_fault(path) is None


def test_what_torch_wrote_before_it_wrote_archives_is_no_damage(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert file_fault(tmp_path / "old.bin", finite=True) is None
    (tmp_path / "page.bin").write_bytes(b"<!DOCTYPE html>")
    assert "is truncated or damaged" in (file_fault(tmp_path / "page.bin") or "")


def test_of_other_files_it_is_enough_that_something_is_in_them(tmp_path: Path) -> None:
    """Sentencepiece's `tokenizer.model`, which a planner may need."""
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"\x0a\xff")
    assert file_fault(path) is None
    path.write_bytes(b"")
    assert file_fault(path) == "is empty"


def test_a_part_s_faults_name_part_and_file(tmp_path: Path) -> None:
    part = Part("seem", "finds", ("seem/config.json", "seem/model.safetensors"), "ours", 1, "Apache-2.0")
    profile = Profile("x", "x", tmp_path, (part,), 64)
    (tmp_path / "seem").mkdir()
    (tmp_path / "seem" / "config.json").write_text("{}")
    (tmp_path / "seem" / "extra.safetensors").write_bytes(b"no")  # not asked for by name, but it would be read
    found = faults(profile, part)
    assert found[0] == "seem: seem/model.safetensors is missing"
    assert found[1].startswith("seem: seem/extra.safetensors is truncated or damaged")
    assert [path.name for path in part_files(profile, part)] == ["config.json", "extra.safetensors"]


def summed(folder: Path, line: str) -> tuple[Profile, Part]:
    """A profile of one part, whose folder lists digests."""
    (folder / "seem").mkdir()
    save_file({"a": torch.ones(3)}, folder / "seem" / "model.safetensors")
    (folder / "SHA256SUMS").write_text(line)
    part = Part("seem", "finds", ("seem/model.safetensors",), "ours", 1, "Apache-2.0")
    return Profile("x", "x", folder, (part,), 64), part


def test_a_file_that_was_swapped_for_one_of_the_same_shapes_is_seen(tmp_path: Path) -> None:
    profile, part = summed(tmp_path, "")
    weights = tmp_path / "seem" / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  ./seem/model.safetensors\n")
    assert faults(profile, part) == []
    save_file({"a": torch.ones(3) + 2**-23}, weights)
    (fault,) = faults(profile, part)
    assert fault.startswith("seem: seem/model.safetensors is not the file that SHA256SUMS lists")


@pytest.mark.parametrize("line", ["no digest", "abc  seem/model.safetensors", "\ud800"])
def test_a_list_of_digests_that_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    profile, part = summed(tmp_path, "")
    (tmp_path / "SHA256SUMS").write_bytes(line.encode("utf-8", "surrogatepass"))
    with pytest.raises(CheckpointError, match="SHA256SUMS.*(write it anew)"):
        faults(profile, part)


def test_every_packaged_file_is_listed_with_its_digest() -> None:
    """After new weights: `make sums`."""
    assert TINY.folder is not None
    files = {path.relative_to(TINY.folder).as_posix() for path in TINY.folder.rglob("*") if path.is_file()}
    assert files - {"SHA256SUMS"} == listed_sums(TINY.folder).keys()


@pytest.mark.skipif(any(TINY.missing(part) for part in TINY.parts), reason="the tiny weights are not there")
def test_the_packaged_weights_are_whole_and_all_their_files_are_known() -> None:
    for part in (*TINY.parts, *(extra for extra in TINY.extras if not TINY.missing(extra))):
        assert faults(TINY, part, finite=True) == []
