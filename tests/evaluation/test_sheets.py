from pathlib import Path

import torch
from PIL import Image

from vitron_agent.evaluation.cases import scene_object
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.sheets import Sample, moments, over, save_sheet, shown
from vitron_agent.shapes.scene import Scene

PICTURE = picture_of(Scene("gray", (scene_object("circle", "red", 0.5, 0.5, 0.2),)))


def test_a_sheet_shows_pictures_with_their_verdict(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    save_sheet([Sample("draw a red circle", (shown(PICTURE),), True), Sample("no", (), False)], path)
    with Image.open(path) as sheet:
        colours = {colour for _, colour in sheet.getcolors(100_000)}
    assert {(40, 160, 60), (210, 40, 40), (220, 40, 40)} <= colours


def test_no_samples_make_no_file(tmp_path: Path) -> None:
    save_sheet([], tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_a_mask_fades_everything_else() -> None:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[20:40, 20:40] = True
    faded = over(PICTURE, mask)
    assert torch.equal(faded[:, mask], PICTURE[:, mask])
    assert int(faded[:, ~mask].min()) >= 190


def test_a_video_is_shown_by_its_first_middle_and_last_frame() -> None:
    video = torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1).expand(9, 3, 2, 2)
    assert [int(tile[0, 0, 0]) for tile in moments(video)] == [0, 4, 8]
