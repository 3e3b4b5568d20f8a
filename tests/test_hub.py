import errno
import io
import json
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save

from tests.fake_hub import COMMIT, FakeHub
from tests.full_size_folders import write_full_size
from vitron_agent import build
from vitron_agent.errors import CheckpointError, DownloadError, InputError, MemoryExhausted, StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.hub import SOURCES, chosen, pull
from vitron_agent.media import MediaStore
from vitron_agent.parts import Profile
from vitron_agent.profiles import TINY, VITRON_7B

GLIGEN = SOURCES["gligen"][0].repository
LLAVA = SOURCES["planner"][0].repository
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def content(name: str, size: int = 200) -> bytes:
    """A whole file of its kind, which `pull` looks for faults in; `size` bytes of weights."""
    if name.endswith(".safetensors"):
        return save({name: torch.arange(size).byte()})
    if name.endswith(".json"):
        return json.dumps(name).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", name)
    return archive.getvalue()


FILES = {
    name: content(name)
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
    beside = len(content(UNET, 1_900_000)) - 1_900_000
    hub.files[GLIGEN][UNET] = content(UNET, 2_000_000 - beside)  # half of it is whole chunks
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


SHARDS = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
INDEX = "model.safetensors.index.json"


def planner_files() -> dict[str, bytes]:
    """A repository like llava-hf's, its weights in two shards."""
    names = [*SHARDS, "config.json", "tokenizer.json"]
    return {name: content(name) for name in names} | {
        INDEX: json.dumps({"weight_map": {name: name for name in SHARDS}}).encode()
    }


def test_a_planner_whose_shards_did_not_all_come_is_not_taken_for_ready(
    hub: FakeHub, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.files[LLAVA] = planner_files()
    hub.breaks = {SHARDS[1]}
    with pytest.raises(DownloadError, match="run the same command again"):
        pull(profile, ["planner"])
    hub.breaks = set()
    hub.sent.clear()
    told: list[str] = []
    pull(profile, ["planner"], told.append)
    assert profile.folder is not None
    for name, data in planner_files().items():
        assert (profile.folder / "planner" / name).read_bytes() == data
    assert SHARDS[1] in hub.sent
    assert SHARDS[0] not in hub.sent


def test_a_file_that_was_cut_short_later_is_brought_again(hub: FakeHub, profile: Profile) -> None:
    hub.files[LLAVA] = planner_files()
    pull(profile, ["planner"], lambda line: None)
    assert profile.folder is not None
    shard = profile.folder / "planner" / SHARDS[0]
    shard.write_bytes(shard.read_bytes()[:-5])
    hub.sent.clear()
    told: list[str] = []
    pull(profile, ["planner"], told.append)
    assert told[0].startswith(f"planner: planner/{SHARDS[0]} is truncated or damaged")
    assert hub.sent == [SHARDS[0]]
    assert shard.read_bytes() == planner_files()[SHARDS[0]]


def test_a_file_that_is_damaged_where_it_is_published_is_said(hub: FakeHub, profile: Profile) -> None:
    hub.files[LLAVA] = planner_files() | {SHARDS[1]: b"no weights"}
    with pytest.raises(CheckpointError, match=f"planner/{SHARDS[1]} is truncated or damaged .*: delete it, and run"):
        pull(profile, ["planner"])


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


def test_a_part_may_come_from_another_repository_at_a_revision(hub: FakeHub, profile: Profile) -> None:
    """Also where the part is there already: who names one wants that one."""
    hub.files["me/gligen"] = FILES | {"unet/config.json": b'"mine"'}
    pull(profile, ["gligen"], lambda line: None)
    pull(profile, ["gligen"], lambda line: None, repository="me/gligen@v1")
    assert profile.folder is not None
    assert (profile.folder / "gligen" / "unet" / "config.json").read_bytes() == b'"mine"'
    assert "v1" in hub.revisions


@pytest.mark.parametrize("start", ["llava-original", "vicuna", "vitron"])
def test_a_planner_may_be_made_of_other_parts(hub: FakeHub, profile: Profile, start: str) -> None:
    index = json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}).encode()
    pickles = {name: content(name) for name in ("config.json", "tokenizer.model", "pytorch_model-00001-of-00001.bin")}
    base = pickles | {"pytorch_model.bin.index.json": index}
    lora = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "non_lora_trainables.bin")
    hub.files |= {
        "liuhaotian/llava-v1.5-7b": base,
        "lmsys/vicuna-7b-v1.5": base,
        "openai/clip-vit-large-patch14-336": {name: content(name) for name in ("config.json", "pytorch_model.bin")},
        "Vitron/vitron-base": base,
        "Vitron/vitron-lora": {name: content(name) for name in lora},
    }
    pull(profile, ["planner"], lambda line: None, start)
    assert profile.folder is not None
    brought = {path.relative_to(profile.folder / "planner").as_posix() for path in profile.folder.rglob("*.*")}
    base_folder = {"llava-original": "", "vicuna": "vicuna/", "vitron": "vitron-base/"}[start]
    assert brought >= {f"{base_folder}{name}" for name in base}
    assert ("vitron-lora/non_lora_trainables.bin" in brought) == (start == "vitron")
    assert "vitron-lora/adapter_model.bin" not in brought  # its safetensors are


def test_what_is_asked_for_in_place_of_the_usual_must_make_sense(profile: Profile) -> None:
    with pytest.raises(
        InputError, match="start 'opera' is unknown: choose one of llava, llava-original, vicuna, vitron"
    ):
        pull(profile, start="opera")
    with pytest.raises(InputError, match="'me/mine' is for one part: name it"):
        pull(profile, repository="me/mine")
    for name in ("mine", "me/../mine", "me/mine@", "https://huggingface.co/me/mine"):
        with pytest.raises(InputError, match="is none: give owner/name"):
            pull(profile, ["seem"], repository=name)


def test_what_cannot_be_pulled_is_refused(profile: Profile) -> None:
    with pytest.raises(InputError, match="'tiny' comes with the library"):
        pull(TINY)
    with pytest.raises(InputError, match="'painter' is unknown: choose one of planner, gligen"):
        pull(profile, ["painter"])


def published(root: Path) -> dict[str, bytes]:
    """All files below a folder, as a repository."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def toy_hub(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A planner, an editor that lives alone, and a model of clips, at toy size, in repositories of their own."""
    monkeypatch.setenv("VITRON_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VITRON_WEIGHTS", raising=False)
    root = write_full_size(tmp_path / "published")
    shutil.copytree(root / "gligen", root / "editor")
    shutil.rmtree(root / "editor" / "unet")
    shutil.copytree(root / "gligen_inpaint" / "unet", root / "editor" / "unet")
    named = {"me/llava": "planner", "me/editor": "editor", "me/clips": "zeroscope"}
    hub.files |= {name: published(root / folder) for name, folder in named.items()}
    return hub


def test_single_parts_come_straight_from_the_hub_and_are_found_again_without_it(
    toy_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"planner": "me/llava@v2", "gligen_inpaint": "me/editor", "zeroscope": "me/clips"}
    store = MediaStore(tmp_path / "media")
    agent = build.build_agent("vitron-7b", store=store, weights=weights, device="cpu")
    assert agent.invoke({"messages": [user_turn("hello")]})["messages"][-1].type == "ai"
    assert toy_hub.revisions.count("v2") == 1
    folder = tmp_path / "home" / "weights" / "hub" / "me--llava@v2" / "planner"
    assert (
        published(folder)["model.safetensors.index.json"] == toy_hub.files["me/llava"]["model.safetensors.index.json"]
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    toy_hub.revisions.clear()
    for name in ("gligen_inpaint", "zeroscope"):
        assert build.build_specialist(name, "vitron-7b", weights=weights, device="cpu").revision
    assert toy_hub.revisions == []
    with pytest.raises(DownloadError, match="me/llava at v3 is not asked for: HF_HUB_OFFLINE is set"):
        build.build_planner("vitron-7b", weights={"planner": "me/llava@v3"})


def test_what_does_not_fit_is_said_before_it_is_fetched(toy_hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(MemoryExhausted, match="the planner of vitron-7b needs"):
        build.build_agent(
            "vitron-7b", store=MediaStore(tmp_path), weights={"planner": "me/llava"}, memory="1GB", device="cpu"
        )
    assert toy_hub.revisions == []


@pytest.mark.parametrize(
    ("profile", "weights", "named"),
    [
        ("tiny", {"planner": "me/llava"}, "'tiny' comes with the library"),
        ("vitron-7b", {"painter": "me/llava"}, "'painter' is unknown: choose one of planner"),
        ("vitron-7b", {"planner": "/models/llava"}, "'/models/llava' is none: give owner/name"),
    ],
)
def test_what_is_no_part_or_no_repository_is_refused(profile: str, weights: dict[str, str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        build.build_agent(profile, weights=weights)
