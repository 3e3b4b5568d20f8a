"""Folders of diffusers and transformers: whole, sharded, and with weights that do not fit, which are named."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.checkpoints import load_diffusers, load_transformers

Load = Callable[[Path], Any]


def load_vae(folder: Path) -> AutoencoderKL:
    return load_diffusers(AutoencoderKL, folder, "gligen", torch.float32)


def load_text(folder: Path) -> CLIPTextModel:
    return load_transformers(CLIPTextModel, folder, "gligen", torch.float32)


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    channels = (8, 16)
    AutoencoderKL(
        latent_channels=4, norm_num_groups=4, block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(tmp_path / "vae")  # fmt: skip
    return tmp_path / "vae" / "diffusion_pytorch_model.safetensors"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=40, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=8, projection_dim=16, bos_token_id=38, eos_token_id=39, pad_token_id=39,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(tmp_path / "text")
    return tmp_path / "text" / "model.safetensors"


def change(path: Path, how: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(how(load_file(path)), path, {"format": "pt"})


@pytest.mark.parametrize(("kind", "load"), [("vae", load_vae), ("text", load_text)])
def test_shards_with_an_index_load_like_one_file(
    kind: str, load: Load, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = request.getfixturevalue(kind)
    whole = load(path.parent)
    whole.save_pretrained(tmp_path / "sharded", max_shard_size="4KB")
    assert list((tmp_path / "sharded").glob("*.safetensors.index.json"))
    sharded = load(tmp_path / "sharded").state_dict()
    assert sharded.keys() == whole.state_dict().keys()
    assert all(torch.equal(sharded[name], value) for name, value in whole.state_dict().items())


@pytest.mark.parametrize(("kind", "load"), [("vae", load_vae), ("text", load_text)])
def test_missing_weights_are_named_ten_of_them(kind: str, load: Load, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    change(path, lambda tensors: dict(sorted(tensors.items())[12:]))
    with pytest.raises(CheckpointError, match="missing keys .*and 2 more") as caught:
        load(path.parent)
    assert str(caught.value).split(" and 2 more")[0].count(", ") == 9


@pytest.mark.parametrize(("kind", "load"), [("vae", load_vae), ("text", load_text)])
def test_surplus_weights_are_named(kind: str, load: Load, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    change(path, lambda tensors: tensors | {f"more.{i:02}": torch.ones(1) for i in range(12)})
    with pytest.raises(CheckpointError, match="unexpected keys .*more.00, .*more.09 and 2 more"):
        load(path.parent)


@pytest.mark.parametrize(("kind", "load"), [("vae", load_vae), ("text", load_text)])
def test_a_weight_of_another_shape_is_refused(kind: str, load: Load, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    change(path, lambda tensors: tensors | {min(tensors): torch.ones(3)})
    with pytest.raises(CheckpointError, match=f"{path.parent} cannot be loaded"):
        load(path.parent)


def test_weights_of_other_shapes_are_named_ten_of_them(vae: Path) -> None:
    """As those of another architecture with the same names."""
    others = sorted(load_file(vae))[:12]
    change(vae, lambda tensors: tensors | {name: torch.ones(3) for name in others})
    with pytest.raises(CheckpointError, match="size mismatch for .* and 2 more") as caught:
        load_vae(vae.parent)
    assert sum(f"size mismatch for {name}:" in str(caught.value) for name in others) == 10


@pytest.mark.parametrize(
    ("kind", "load", "field", "said"),
    [("vae", load_vae, "_class_name", "UNet2DConditionModel"), ("text", load_text, "model_type", "bert")],
)
def test_the_configuration_of_another_model_is_refused_before_anything_is_built(
    kind: str, load: Load, field: str, said: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(kind).parent / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: said}))
    for made in (AutoencoderKL, CLIPTextModel):
        monkeypatch.setattr(made, "from_pretrained", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(CheckpointError, match=f"config.json is of another architecture: '{said}', not '"):
        load(path.parent)


@pytest.mark.parametrize(("kind", "load"), [("vae", load_vae), ("text", load_text)])
def test_code_in_a_pickle_is_not_run_and_not_advised(
    kind: str, load: Load, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    path = request.getfixturevalue(kind)
    path.unlink()
    path.with_name("pytorch_model.bin" if kind == "text" else f"{path.stem}.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match=f"{path.parent} cannot be loaded") as caught:
        load(path.parent)
    assert not (tmp_path / "ran").exists()
    assert "weights_only" not in str(caught.value)


def test_sizes_that_no_model_can_have_are_said(text: Path) -> None:
    path = text.with_name("config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_attention_heads": 5}))
    with pytest.raises(CheckpointError, match="cannot be loaded .*not a multiple"):
        load_text(text.parent)


def test_a_lack_of_memory_is_no_fault_of_the_folder(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would make room and try again."""

    def lack(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(CLIPTextModel, "from_pretrained", lack)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load_text(text.parent)
