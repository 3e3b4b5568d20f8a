"""Files made to do harm, where they pass more than one part: model folders with code in them, links in the store.

What one part refuses alone stands in that part's tests: pictures and bombs in media/test_images.py, playlists in
media/test_videos.py, handles and damage in media/test_store.py, forged embeddings in test_signals.py.
"""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from tests.bomb import Bomb
from tests.specialists.control_parts_on_disk import write_random_controlnet
from tests.specialists.video_parts_on_disk import write_random_i2vgen, write_random_zeroscope
from vitron_agent import build
from vitron_agent.errors import CheckpointError, StorageError
from vitron_agent.media import MediaStore
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.profiles import TINY

pytestmark = pytest.mark.skipif(
    any(TINY.missing(part) for part in TINY.parts if part.name != "mappers"), reason="the tiny weights are not there"
)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that appears when code out of a model folder has run."""
    return tmp_path / "code-was-run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny weights; what the profile works without is added where it is missing, at random."""
    assert TINY.folder
    copy = Path(shutil.copytree(TINY.folder, tmp_path / "weights"))
    for part, write in (("zeroscope", write_random_zeroscope), ("i2vgen_xl", write_random_i2vgen)):
        if TINY.missing(TINY.part(part)):
            write(copy / part)
    write_random_controlnet(copy / "controlnet")
    return copy


def poison(folder: Path, mark: Path) -> None:
    """Put code beside every configuration and let the configuration ask for it."""
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Model: pass\n"
    for config in [*folder.rglob("config.json"), *folder.rglob("tokenizer_config.json")]:
        if config.parent.name == "seem":
            continue  # its configuration knows no such fields, and refuses them (see below)
        (config.parent / "modeling_evil.py").write_text(code)
        values = json.loads(config.read_text())
        names = ("AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoTokenizer")
        values["auto_map"] = {name: "modeling_evil.Model" for name in names}
        values["trust_remote_code"] = True
        for inner in (values, *(part for name, part in values.items() if name in ("text_config", "vision_config"))):
            for name in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
                inner[name] = "evil/kernel"  # code of the Hub
        config.write_text(json.dumps(values))
        _add_code(config.parent, code)


def _add_code(folder: Path, code: str) -> None:
    """Lay code where pipelines, processors and text generation of the libraries look for some of their own."""
    (folder / "pipeline.py").write_text(code)
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": ["pipeline", "Model"], "unet": ["pipeline", "Model"]})
    )
    (folder / "custom_generate").mkdir(exist_ok=True)
    (folder / "custom_generate" / "generate.py").write_text(f"{code}def generate(*_, **__): ...\n")
    for name in ("processor_config.json", "preprocessor_config.json", "generation_config.json"):
        known = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        asked = {"AutoProcessor": "modeling_evil.Model", "AutoImageProcessor": "modeling_evil.Model"}
        (folder / name).write_text(json.dumps({**known, "auto_map": asked, "custom_generate": "custom_generate"}))


WEIGHTED = ["planner", *sorted(build.SPECIALISTS)]


def load(name: str, folder: Path) -> None:
    if name == "planner":
        ChatVitron.from_pretrained(folder / "planner")
    else:
        build.build_specialist(name, "vitron-7b" if name == "controlnet" else "tiny", weights=folder)


@pytest.mark.parametrize("name", WEIGHTED)
def test_code_in_a_model_folder_is_never_run(name: str, folder: Path, mark: Path) -> None:
    poison(folder, mark)
    load(name, folder)
    assert not mark.exists()


@pytest.mark.parametrize("field", ["auto_map", "trust_remote_code"])
def test_a_seem_configuration_that_asks_for_code_is_refused(folder: Path, field: str) -> None:
    config = folder / "seem" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), field: True}))
    with pytest.raises(CheckpointError, match=f"unknown field '{field}'"):
        load("seem", folder)


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("instead", ["pytorch_model.bin", "model.safetensors"])
def test_pickles_are_no_weights(name: str, instead: str, folder: Path, mark: Path) -> None:
    """Neither beside a missing safetensors file nor under its name; diffusers' own names too."""
    for weights in list(folder.rglob("*.safetensors")):
        data = pickle.dumps(Bomb(mark))
        weights.unlink()
        path = weights if instead == "model.safetensors" else weights.with_name(instead)
        path.write_bytes(data)
        if instead != "model.safetensors":
            weights.with_suffix(".bin").write_bytes(data)
    with pytest.raises(CheckpointError):
        load(name, folder)
    assert not mark.exists()


def test_the_bomb_would_go_off(mark: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()


@pytest.mark.parametrize("end", [".png", ".ref.json"])
def test_a_link_inside_the_store_shows_no_foreign_file(tmp_path: Path, end: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    store = MediaStore(tmp_path / "media")
    ref = store.put_image(torch.zeros(3, 4, 4, dtype=torch.uint8))
    path = next((tmp_path / "media").rglob(f"*{end}"))
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(StorageError, match="damaged") as caught:
        store.get_bytes(ref.uri)
    assert "the secret" not in str(caught.value)
