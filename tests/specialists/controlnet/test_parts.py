"""Folders as they are published load; what is missing or of another model is named."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.controlnet import ControlDefaults, ControlEditor, load_control_parts

REQUEST = SpecialistRequest(
    "make it blue",
    image=torch.randint(0, 256, (3, 40, 60), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    mask=torch.ones(40, 60, dtype=torch.bool),
)


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(written / "controlnet", tmp_path / "controlnet"))


def test_what_is_saved_loads_and_edits_the_same(written: Path, tmp_path: Path) -> None:
    first = load_control_parts(written / "controlnet")
    for name in ("vae", "unet", "text_encoder", "tokenizer", "canny", "depth"):
        getattr(first, name).save_pretrained(tmp_path / name)
    first.estimator.save_pretrained(tmp_path / "midas")
    shutil.copytree(written / "controlnet" / "scheduler", tmp_path / "scheduler")
    second = load_control_parts(tmp_path)
    assert second.revision == first.revision
    quick = ControlDefaults(steps=2, guidance=2.0)
    edits = [ControlEditor(parts, quick).run(REQUEST).image for parts in (first, second)]
    assert edits[0] is not None
    assert edits[1] is not None
    assert torch.equal(*edits)


def test_other_weights_are_another_revision(written: Path, folder: Path) -> None:
    file = folder / "depth" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["controlnet_mid_block.bias"] += 1
    save_file(tensors, file, {"format": "pt"})
    assert load_control_parts(folder).revision != load_control_parts(written / "controlnet").revision


@pytest.mark.parametrize("name", ["unet", "vae", "text_encoder", "canny", "depth", "midas"])
def test_a_missing_part_is_named_with_a_remedy_that_helps(folder: Path, name: str) -> None:
    shutil.rmtree(folder / name)
    with pytest.raises(CheckpointError, match=rf"{name}/config.json is missing: fetch the published weights again$"):
        load_control_parts(folder)


def test_missing_and_foreign_weights_are_named(folder: Path) -> None:
    file = folder / "canny" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["other.weight"] = tensors.pop("controlnet_mid_block.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"canny .*controlnet_mid_block.weight.*other.weight"):
        load_control_parts(folder)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("unet", {"cross_attention_dim": 16}, "unet .*"),
        ("canny", {"block_out_channels": [8, 8]}, "canny .*"),
        ("depth", {"conditioning_embedding_out_channels": [8, 8]}, "depth .*"),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_refused(
    folder: Path, part: str, change: dict[str, object], said: str
) -> None:
    file = folder / part / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(CheckpointError, match=said):
        load_control_parts(folder)


def test_parts_of_different_models_are_refused(folder: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 8)).save_pretrained(folder / "depth")
    with pytest.raises(CheckpointError, match="depth expects pixels per cell: 8, the parts beside it give 4"):
        load_control_parts(folder)
