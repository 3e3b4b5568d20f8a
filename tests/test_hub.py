import errno
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from tests.fake_hub import COMMIT, FakeHub
from vitron_agent.errors import CheckpointError, DownloadError, InputError, StorageError
from vitron_agent.hub import SOURCES, chosen, pull
from vitron_agent.parts import Profile
from vitron_agent.profiles import TINY, VITRON_7B

GLIGEN = SOURCES["gligen"][0].repository
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
FILES = {
    name: name.encode() * 100
    for name in (
        "README.md", "model_index.json", "unet/config.json", UNET, "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.bin", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.bin", "text_encoder/config.json", "text_encoder/pytorch_model.bin",
        "tokenizer/vocab.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json",
    )
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()
    fake.files[GLIGEN] = dict(FILES)
    with fake.serving():
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", fake.url)
        files = f"{fake.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        yield fake


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return replace(VITRON_7B, folder=tmp_path / "weights")


def test_of_each_folder_the_smallest_form_that_loads_is_chosen() -> None:
    names = [*FILES, "unet/diffusion_pytorch_model.non_ema.safetensors", "text_encoder/flax_model.msgpack"]
    assert chosen(names, ("unet/*", "vae/*", "text_encoder/*")) == [
        "text_encoder/config.json",
        "text_encoder/pytorch_model.bin",
        "unet/config.json",
        UNET,
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert chosen([*shards, "model.safetensors.index.json", "a.py"], ("*.safetensors", "*.json")) == sorted(
        [*shards, "model.safetensors.index.json"]
    )


def test_every_part_has_a_source() -> None:
    assert set(SOURCES) == {part.name for part in (*VITRON_7B.parts, *VITRON_7B.extras)}


def test_a_part_is_brought_whole_from_the_pinned_commit(hub: FakeHub, profile: Profile) -> None:
    told: list[str] = []
    pull(profile, ["gligen"], told.append)
    assert profile.missing(profile.part("gligen")) == []
    assert profile.folder is not None
    assert (profile.folder / "gligen" / UNET).read_bytes() == FILES[UNET]
    assert not (profile.folder / "gligen" / "vae" / "diffusion_pytorch_model.bin").exists()
    assert SOURCES["gligen"][0].revision in hub.revisions
    assert told[0] == f"gligen: {GLIGEN} (licence of these weights: CreativeML Open RAIL-M)"
    assert COMMIT in told[1]
    assert told[-1] == f"gligen: ready in {profile.folder / 'gligen'}"


def test_what_is_there_needs_no_network(hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(profile, ["gligen"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub.revisions.clear()
    pull(profile, ["gligen"])
    assert hub.revisions == []


def test_a_download_that_broke_off_is_said_and_goes_on(
    hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits before it tries again
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.files[GLIGEN][UNET] = b"0123456789" * 200_000
    hub.breaks = {UNET}
    with pytest.raises(DownloadError, match="run the same command again; files that are whole stay"):
        pull(profile, ["gligen"])
    assert set(hub.ranges) == {f"bytes={len(hub.files[GLIGEN][UNET]) // 2}-"}  # it was taken up again, in vain
    hub.breaks = set()
    hub.sent.clear()
    pull(profile, ["gligen"])
    assert profile.folder is not None
    assert (profile.folder / "gligen" / UNET).read_bytes() == hub.files[GLIGEN][UNET]
    assert hub.sent == [UNET]


def test_without_a_network_it_says_so(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(DownloadError, match=f"{GLIGEN} at d2820dc.* cannot be downloaded .*run the same command again"):
        pull(profile, ["gligen"])


def test_offline_mode_is_respected(hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        pull(profile, ["gligen"])
    assert hub.revisions == []


def test_a_repository_that_is_gone_is_said(hub: FakeHub, profile: Profile) -> None:
    hub.files.clear()
    with pytest.raises(DownloadError, match="is not on the hub"):
        pull(profile, ["gligen"])


def test_a_repository_of_another_layout_is_said(hub: FakeHub, profile: Profile) -> None:
    hub.files[GLIGEN] = {"weights.ckpt": b"x"}
    with pytest.raises(CheckpointError, match=f"{GLIGEN} has none of unet"):
        pull(profile, ["gligen"])
    hub.files[GLIGEN] = {"unet/config.json": b"{}"}
    with pytest.raises(CheckpointError, match="gligen still lacks gligen/unet/diffusion_pytorch_model.safetensors"):
        pull(profile, ["gligen"])


def test_a_disk_without_room_is_said_before_anything_is_downloaded(
    hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**30, 2**30, 2**28 + 1000))
    with pytest.raises(StorageError, match="room for 0 MiB, and 0 MiB are to come: free some, or choose another"):
        pull(profile, ["gligen"])
    assert profile.folder is not None
    assert not profile.folder.exists()


def test_a_disk_that_fills_up_is_said(hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(StorageError, match="the disk is full while .* free some, then run the same command again"):
        pull(profile, ["gligen"])


def test_a_folder_that_cannot_be_made_is_said(hub: FakeHub, profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(StorageError, match="choose a folder with --weights"):
        pull(profile, ["gligen"])


def test_what_cannot_be_pulled_is_refused(profile: Profile) -> None:
    with pytest.raises(InputError, match="'tiny' comes with the library"):
        pull(TINY)
    with pytest.raises(InputError, match="'painter' is unknown: choose one of planner, gligen"):
        pull(profile, ["painter"])
