"""GLIGEN's generator and editor on random weights: determinism, signals, masks, cancelling, bad checkpoints."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.specialists.gligen_parts_on_disk import WIDTH, write_random_gligen
from vitron_agent.errors import Cancelled, CheckpointError, InputError, MissingInputError
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box, Region
from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.gligen import GligenEditor, GligenGenerator
from vitron_agent.specialists.gligen.conditioning import (
    LAYOUT_PLANES,
    Condition,
    layout_planes,
    model_input,
)
from vitron_agent.specialists.gligen.editor import canonical, masked_latents
from vitron_agent.specialists.gligen.generator import widened

RED = GroundedPhrase(phrase="red circle", box=(0.1, 0.2, 0.5, 0.6))
REQUEST = SpecialistRequest("a red circle on a gray background", layout=(RED,), seed=3, steps=2)
SIGNALS = SignalEmbeddings(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(4, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_gligen(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def generator(folder: Path) -> GligenGenerator:
    return GligenGenerator.from_pretrained(folder)


@pytest.fixture(scope="module")
def editor(folder: Path) -> GligenEditor:
    return GligenEditor.from_pretrained(folder)


def _mapper(gate: float) -> SignalMapper:
    torch.manual_seed(1)
    mapper = SignalMapper(d_llm=8, d_out=WIDTH, n_queries=16, width=16, heads=2)
    nn.init.constant_(mapper.gate, gate)
    return mapper


def _picture(height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def test_same_seed_gives_same_bytes_and_another_seed_another_picture(generator: GligenGenerator) -> None:
    first, second = generator.run(REQUEST).image, generator.run(REQUEST).image
    other = generator.run(replace(REQUEST, seed=4)).image
    assert first is not None
    assert first.shape == (3, 32, 32)
    assert first.dtype == torch.uint8
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_layout_command_guidance_and_steps_matter(generator: GligenGenerator) -> None:
    base = generator.run(REQUEST).image
    moved = GroundedPhrase(phrase="red circle", box=(0.5, 0.5, 0.9, 0.9))
    for change in (
        {"layout": (moved,)},
        {"layout": ()},
        {"command": "a circle"},
        {"guidance": 5.0},
        {"steps": 3},
    ):
        assert not torch.equal(base, generator.run(replace(REQUEST, **change)).image), change


def test_closed_gate_and_missing_mapper_are_exactly_the_published_model(
    folder: Path, generator: GligenGenerator
) -> None:
    plain = generator.run(REQUEST).image
    told = replace(REQUEST, signals=SIGNALS)
    assert torch.equal(plain, generator.run(told).image)
    closed = GligenGenerator.from_pretrained(folder, mapper=_mapper(0.0))
    assert torch.equal(plain, closed.run(told).image)
    opened = GligenGenerator.from_pretrained(folder, mapper=_mapper(2.0))
    assert torch.equal(plain, opened.run(REQUEST).image)
    assert not torch.equal(plain, opened.run(told).image)


def test_mapper_file_is_found_and_counts_in_the_revision(
    folder: Path, tmp_path: Path, generator: GligenGenerator
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mappers").mkdir()
    save_file(
        {k: v.contiguous() for k, v in _mapper(2.0).state_dict().items()}, tmp_path / "mappers/gligen.safetensors"
    )
    loaded = GligenGenerator.from_pretrained(tmp_path)
    assert loaded.parts.mapper is not None
    assert loaded.revision != generator.revision


def test_progress_counts_steps_and_can_cancel(generator: GligenGenerator, editor: GligenEditor) -> None:
    seen: list[tuple[int, int]] = []
    generator.run(REQUEST, lambda step, total: seen.append((step, total)))
    assert seen == [(1, 2), (2, 2)]

    def stop(step: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        generator.run(REQUEST, stop)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[4:20, 4:20] = True
    with pytest.raises(Cancelled):
        editor.run(SpecialistRequest("remove the circle", image=_picture(), mask=mask), stop)


def test_threads_share_one_generator(generator: GligenGenerator) -> None:
    requests = [replace(REQUEST, seed=seed, steps=2 + seed % 2) for seed in range(4)]
    alone = [generator.run(request).image for request in requests]
    together: list[torch.Tensor | None] = [None] * len(requests)

    def work(index: int) -> None:
        together[index] = generator.run(requests[index]).image

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one is not None
        assert other is not None
        # one level of 255: where arrays lie in memory decides in which order sums are taken
        torch.testing.assert_close(other.int(), one.int(), atol=1, rtol=0)


@pytest.mark.parametrize("size", [(32, 32), (50, 81)])
def test_editor_changes_pixels_inside_the_mask_only(editor: GligenEditor, size: tuple[int, int]) -> None:
    picture, mask = _picture(*size), torch.zeros(size, dtype=torch.bool)
    mask[5:20, 7:25] = True
    request = SpecialistRequest("replace the circle with a red circle", picture, mask=mask, layout=(RED,), steps=2)
    result = editor.run(request)
    assert result.image is not None
    assert result.image.shape == picture.shape
    assert torch.equal(result.image[:, ~mask], picture[:, ~mask])
    assert (result.image[:, mask] != picture[:, mask]).float().mean() > 0.5
    assert torch.equal(editor.run(request).image, result.image)


def test_editor_takes_a_region_for_a_mask(editor: GligenEditor) -> None:
    region = Region.from_box(0.25, 0.25, 0.75, 0.75)
    result = editor.run(SpecialistRequest("remove the circle", _picture(), region, steps=1))
    assert result.mask is not None
    assert torch.equal(result.mask, region.to_mask(32, 32))


def test_editor_says_what_is_missing(editor: GligenEditor) -> None:
    with pytest.raises(MissingInputError, match="no picture"):
        editor.run(SpecialistRequest("remove the circle"))
    with pytest.raises(MissingInputError, match="where to edit"):
        editor.run(SpecialistRequest("remove the circle", _picture()))
    with pytest.raises(InputError, match="same size"):
        editor.run(SpecialistRequest("remove the circle", _picture(), mask=torch.ones(8, 8, dtype=torch.bool)))
    with pytest.raises(InputError, match="empty"):
        editor.run(SpecialistRequest("remove the circle", _picture(), mask=torch.zeros(32, 32, dtype=torch.bool)))


def test_edit_commands_are_said_in_the_trained_form() -> None:
    assert canonical("please paint the red circle blue") == "replace the red circle with a blue circle"
    assert canonical("delete the orange star") == "remove the orange star"
    assert canonical("add an orange star") == "add an orange star"
    assert canonical("make the background navy") == "change the background to navy"
    assert canonical("be nice") == "be nice"


def test_a_cell_is_kept_only_if_all_its_pixels_are() -> None:
    hole = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    hole[0, 0, 0, 3] = True
    extra = masked_latents(torch.ones(1, 4, 2, 2), hole)
    assert extra[0, 4].tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert extra[0, :4, 0, 0].abs().sum() == 0


def test_layout_planes_paint_a_phrase_into_its_box_and_nowhere_else() -> None:
    boxes = torch.tensor([[[0.25, 0.5, 0.5, 1.0], [0.0, 0.0, 0.5, 0.5]]])
    condition = Condition(torch.zeros(1, 2, 40), boxes, torch.full((1, 2, 40), 3.0), torch.tensor([[1.0, 0.0]]))
    planes = layout_planes(condition, 8, 8)
    assert planes.shape == (1, LAYOUT_PLANES, 8, 8)
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[4:8, 2:4] = True
    assert torch.equal(planes[0, 0], inside * 3.0)
    assert planes[0, :, ~inside].abs().sum() == 0
    assert planes[0, -2, 4, 2:4].tolist() == [-0.5, 0.5]
    with pytest.raises(ValueError, match="channels"):
        model_input(torch.zeros(1, 4, 8, 8), None, condition, 7)


@pytest.mark.parametrize("part", ["gligen/unet", "gligen/vae", "gligen/text_encoder"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "other shape", "incomplete", "config"])
def test_a_bad_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, part: str, harm: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = next((tmp_path / part).glob("*.safetensors"))
    tensors = load_file(weights)
    name = next(name for name, tensor in sorted(tensors.items()) if tensor.ndim == 2)
    if harm == "missing":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif harm == "other shape":
        save_file({**tensors, name: torch.zeros(3, 5)}, weights, metadata={"format": "pt"})
    elif harm == "incomplete":
        save_file({k: v for k, v in tensors.items() if k != name}, weights, metadata={"format": "pt"})
    else:
        (tmp_path / part / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="train") as caught:
        GligenGenerator.from_pretrained(tmp_path)
    assert part.split("/")[1] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_unet_of_the_other_task_is_a_clear_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    drawing, editing = tmp_path / "gligen" / "unet", tmp_path / "gligen_inpaint" / "unet"
    drawing.rename(tmp_path / "kept")
    editing.rename(drawing)
    (tmp_path / "kept").rename(editing)
    with pytest.raises(
        CheckpointError, match="gligen/unet takes 9 channels, and drawing has 4: it is the UNet of anot"
    ):
        GligenGenerator.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="gligen_inpaint/unet takes 4 channels, and an edit has 9"):
        GligenEditor.from_pretrained(tmp_path)


def test_missing_folders_and_a_bad_mapper_are_clear_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gligen"):
        GligenGenerator.from_pretrained(tmp_path / "nowhere")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mappers").mkdir()
    (tmp_path / "mappers" / "gligen.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="mapper"):
        GligenGenerator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ((0.2, 0.3, 0.5, 0.6), (0.2, 0.3, 0.5, 0.6)),
        ((0.4, 0.4, 0.5, 0.7), (0.35, 0.4, 0.55, 0.7)),
        ((0.0, 0.9, 0.1, 1.0), (0.0, 0.8, 0.2, 1.0)),
    ],
)
def test_boxes_are_widened_about_their_centre_and_stay_inside(box: Box, wanted: Box) -> None:
    assert widened(box, 0.1) == pytest.approx(wanted)
    assert widened(box, 0.0) == box
