"""What a notebook shows of media: the right pixels, and no text that can act in the page."""

import base64
import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from vitron_agent.media import MediaRef, MediaStore, decode_image, decode_mp4, decode_png, show, side_by_side
from vitron_agent.media import display as display_module
from vitron_agent.media.display import GAP, LARGE, Shown, image_element, text_element
from vitron_agent.media.overlay import overlay

from ..pages import HOSTILE, Page, foreign

RAMP = torch.arange(3 * 6 * 8, dtype=torch.uint8).reshape(3, 6, 8)
MASK = torch.zeros(6, 8, dtype=torch.bool)
MASK[1:5, 2:6] = True
LOST = f"sha256:{'0' * 64}"


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


@pytest.fixture
def picture(store: MediaStore) -> MediaRef:
    return store.put_image(RAMP)


@pytest.fixture
def mask(store: MediaStore) -> MediaRef:
    return store.put_mask(MASK)


@pytest.fixture
def video(store: MediaStore) -> MediaRef:
    return store.put_video(torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 16, 16) * 60, 8)


def page_of(shown: Shown) -> Page:
    page = Page(shown._repr_html_())
    assert foreign(page) == []
    return page


def seen(shown: Shown) -> Tensor:
    data = shown._repr_png_()
    assert data is not None
    return decode_png(data)


def source(page: Page, kind: str = "image/png") -> bytes:
    (address,) = page.sources()
    assert address.startswith(f"data:{kind};base64,")
    return base64.b64decode(address.split(",")[1], validate=True)


def test_a_picture_is_shown_with_its_own_pixels(store: MediaStore, picture: MediaRef) -> None:
    for ref in (picture, picture.uri):
        assert torch.equal(seen(show(store, ref)), RAMP)
        assert torch.equal(decode_png(source(page_of(show(store, ref)))), RAMP)


def test_an_agent_stands_for_its_store(store: MediaStore, picture: MediaRef) -> None:
    class Agent:
        media_store = store

    assert torch.equal(seen(show(Agent(), picture)), RAMP)


def test_a_mask_is_shown_over_its_picture_and_alone(store: MediaStore, picture: MediaRef, mask: MediaRef) -> None:
    assert torch.equal(seen(show(store, picture, mask)), overlay(RAMP, MASK))
    assert torch.equal(decode_png(source(page_of(show(store, picture, mask)))), overlay(RAMP, MASK))
    assert torch.equal(seen(show(store, mask)), MASK.expand(3, -1, -1).to(torch.uint8) * 255)


def test_a_video_runs_in_the_page_and_is_its_first_frame_elsewhere(store: MediaStore, video: MediaRef) -> None:
    page = page_of(show(store, video))
    assert [tag for tag, _ in page.tags] == ["figure", "video"]
    frames, fps = decode_mp4(source(page, "video/mp4"))
    assert (len(frames), fps) == (4, 8)
    assert torch.equal(seen(show(store, video)), frames[0])


def test_a_long_video_is_its_first_frame(store: MediaStore, video: MediaRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_module, "MAX_INLINE", 100)
    page = page_of(show(store, video))
    assert torch.equal(decode_png(source(page)), store.get_video(video)[0][0])


def test_a_row_holds_all_side_by_side(store: MediaStore, picture: MediaRef, mask: MediaRef) -> None:
    tall = store.put_image(torch.zeros(3, 10, 4, dtype=torch.uint8))
    row = side_by_side(show(store, picture, caption="one"), show(store, tall, caption="two"), show(store, mask))
    page = page_of(row)
    assert len(page.sources()) == 3
    assert page.text == "onetwo"
    strip = seen(row)
    assert strip.shape == (3, 10, 8 + GAP + 4 + GAP + 8)
    assert torch.equal(strip[:, :6, :8], RAMP)
    assert (strip[:, 6:, :8] == 255).all()
    assert (strip[:, :, 8 + GAP : 12 + GAP] == 0).all()


def test_sizes_on_the_page(store: MediaStore) -> None:
    small, large = torch.zeros(3, 64, 32, dtype=torch.uint8), torch.zeros(3, 10, 3000, dtype=torch.uint8)
    (tag, given), *_ = Page(image_element(small)).tags
    assert tag == "img"
    assert "width:96px" in str(given["style"])
    assert "pixelated" in str(given["style"])
    page = Page(image_element(large))
    assert decode_png(source(page)).shape == (3, 3, LARGE)
    assert f"width:{LARGE}px" in str(page.tags[0][1]["style"])


def test_a_large_picture_is_shrunk_and_looks_the_same(store: MediaStore) -> None:
    halves = torch.zeros(3, 1500, 3000, dtype=torch.uint8)
    halves[:, :, 1500:] = 200
    small = seen(show(store, store.put_image(halves)))
    assert small.shape == (3, LARGE // 2, LARGE)
    assert (small[:, :, : LARGE // 2 - 2] == 0).all()
    assert (small[:, :, LARGE // 2 + 2 :] == 200).all()


def test_what_is_lost_or_damaged_is_said(store: MediaStore, picture: MediaRef, tmp_path: Path) -> None:
    assert "is not in the media store" in page_of(show(store, LOST)).text
    assert "not a media handle" in page_of(show(store, "cat.png")).text
    assert show(store, LOST)._repr_png_() is None
    next((tmp_path / "media").rglob("*.png")).write_bytes(b"garbage")
    assert "damaged" in page_of(show(store, picture)).text
    assert show(store, picture)._repr_png_() is None


def test_a_row_shows_what_is_left(store: MediaStore, picture: MediaRef) -> None:
    row = side_by_side(show(store, LOST), show(store, picture))
    assert torch.equal(seen(row), RAMP)
    assert "is not in the media store" in page_of(row).text
    assert side_by_side(show(store, LOST))._repr_png_() is None
    assert side_by_side()._repr_png_() is None


def test_a_mask_of_another_picture_is_said(store: MediaStore, picture: MediaRef, mask: MediaRef) -> None:
    other = store.put_mask(torch.ones(3, 4, dtype=torch.bool))
    assert "the mask is 4x3, the picture 8x6" in page_of(show(store, picture, other)).text
    assert "is of kind image, not mask" in page_of(show(store, picture, picture)).text
    assert "is of kind mask, not image" in page_of(show(store, mask, mask)).text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_caption_handle_or_folder_can_act(picture: MediaRef, store: MediaStore, text: str, tmp_path: Path) -> None:
    page = page_of(show(store, picture, caption=text))
    assert page.text == text
    assert next(given["alt"] for tag, given in page.tags if tag == "img") == text
    assert page_of(show(store, text)).sources() == []
    folder = MediaStore(tmp_path / text.replace("/", "|"))
    assert "is not in the media store" in page_of(show(folder, LOST)).text
    assert page_of(side_by_side(show(store, picture, caption=text), show(store, text))).text.startswith(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_stays_a_text(text: str) -> None:
    page = Page(text_element(text))
    assert (page.text, foreign(page)) == (text, [])


@pytest.mark.parametrize("text", [text for text in HOSTILE if "<" in text])
def test_the_check_sees_what_is_not_escaped(text: str) -> None:
    assert foreign(Page(text.replace("</em></figcaption>", ""))) != []


def test_a_photograph_is_shown_as_png_without_its_notes(store: MediaStore) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x010E] = "where it was taken"
    Image.fromarray(RAMP.permute(1, 2, 0).numpy()).save(buffer, "JPEG", exif=exif)
    shown = show(store, store.put_picture(buffer.getvalue()))
    for data in (shown._repr_png_() or b"", source(page_of(shown))):
        assert torch.equal(decode_png(data), decode_image(buffer.getvalue()))
        assert b"taken" not in data
