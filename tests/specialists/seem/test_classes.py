"""Class embeddings: computed in parts, kept beside published weights, and never taken for those of others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitron_agent.errors import NothingFoundError
from vitron_agent.media import Region
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.seem import Seem, SeemConfig, SeemSegmenter, classes, loading, specialist
from vitron_agent.specialists.seem.classes import ClassFile, embed_classes
from vitron_agent.specialists.seem.coco import CLASSES, STUFF, TEMPLATES
from vitron_agent.specialists.seem.loading import CLASS_FILE, PUBLISHED, published_config

EVERYTHING = SpecialistRequest("everything")


def embed(phrases: list[str]) -> Tensor:
    return torch.stack([torch.tensor([len(phrase), phrase.count("r") + 1.0]) for phrase in phrases])


def test_rows_are_means_of_unit_length_whatever_is_encoded_at_once(
    config: SeemConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    several = replace(config, templates=("{}.", "a large {}."))
    rows = embed_classes(several, embed)
    one = torch.nn.functional.normalize(embed(["circle.", "a large circle."]), dim=-1).mean(0)
    assert torch.allclose(rows[0], one / one.norm())
    assert rows.shape == (len(config.classes), 2)
    assert caplog.messages == []
    monkeypatch.setattr(classes, "AT_ONCE", 3)
    assert torch.equal(embed_classes(several, embed), rows)
    assert "names of its 4 classes" in caplog.text  # where it may take long, that is said


def test_rows_are_kept_for_the_same_weights_names_and_precision_only(config: SeemConfig, tmp_path: Path) -> None:
    file, rows = ClassFile(tmp_path / "c.safetensors", "one"), embed_classes(config, embed)
    assert file.read(config, rows) is None
    file.write(config, rows)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    found = file.read(config, rows)
    assert found is not None
    assert torch.equal(found, rows)
    assert ClassFile(file.path, "two").read(config, rows) is None
    assert file.read(replace(config, templates=("a {}.",)), rows) is None
    assert file.read(config, rows.bfloat16()) is None
    file.path.write_bytes(b"{}")
    assert file.read(config, rows) is None


def test_a_folder_that_cannot_be_written_to_is_no_fault(config: SeemConfig, tmp_path: Path) -> None:
    file = ClassFile(tmp_path / "nowhere" / "c.safetensors", "one")
    file.write(config, embed_classes(config, embed))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def published(folder: Path, config: SeemConfig, model: Seem, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published weights as they are fetched, with no configuration; small."""
    small = replace(config, **{name: getattr(published_config(), name) for name in ("classes", "templates", "stuff")})
    monkeypatch.setattr(loading, "published_config", lambda: small)
    torch.save(model.state_dict(), folder / PUBLISHED[0])
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    return folder


def test_the_published_weights_know_the_classes_of_coco(
    published: Path, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SeemSegmenter.from_pretrained(published)
    assert not (published / CLASS_FILE).exists()  # nothing before it is needed
    region = SpecialistRequest("", picture, Region.from_box(0.1, 0.2, 0.6, 0.9))
    labels = first.run(region).labels
    assert labels[0] in CLASSES[:-1]
    rows = first._classes()
    assert rows is not None
    assert rows.shape == (134, 32)
    monkeypatch.setattr(specialist, "embed_classes", lambda *_: pytest.fail("computed again"))
    again = SeemSegmenter.from_pretrained(published)
    assert again.run(region).labels == labels
    with pytest.raises(NothingFoundError, match="no object"):  # random weights are sure of nothing
        again.run(replace(EVERYTHING, image=picture))


def test_everything_is_things_and_not_stuff(published: Path, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sharper scale and no void, random weights are sure of something."""
    segmenter = SeemSegmenter.from_pretrained(published)
    segmenter.model.decoder.lang_encoder.logit_scale.fill_(6.0)
    result = segmenter.run(replace(EVERYTHING, image=picture))
    assert result.mask is not None
    assert result.mask.shape == picture.shape[1:]
    assert set(result.labels) <= set(CLASSES[:80])


def test_only_published_weights_have_a_file_beside_them(folder: Path, picture: Tensor) -> None:
    loaded = SeemSegmenter.from_pretrained(folder)
    assert loaded._classes() is not None
    assert not (folder / CLASS_FILE).exists()


def test_the_published_configuration_is_that_of_the_sizes_with_names() -> None:
    known = published_config()
    assert replace(known, classes=(), templates=("{}",), stuff=()) == SeemConfig()
    assert (known.classes, known.templates, known.stuff) == (CLASSES, TEMPLATES, STUFF)
