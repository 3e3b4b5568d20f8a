"""Regions: what users type, exact masks, and transforms that lose nothing."""

import math

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitron_agent.errors import InputError
from vitron_agent.media import CLICK_RADIUS, Box, Region, RegionKind
from vitron_agent.media.geometry import inside_polygon, pixel_centres

URI = "sha256:" + "0" * 64
unit = st.floats(0, 1, allow_nan=False)
points = st.tuples(unit, unit)


@st.composite
def boxes(draw: st.DrawFn, smallest: float = 0.01) -> Region:
    x1, y1 = draw(st.floats(0, 1 - smallest)), draw(st.floats(0, 1 - smallest))
    x2, y2 = draw(st.floats(x1 + smallest, 1)), draw(st.floats(y1 + smallest, 1))
    return Region.from_box(x1, y1, min(x2, 1), min(y2, 1))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    kind = draw(st.sampled_from(["box", "click", "scribble", "polygon"]))
    if kind == "box":
        return draw(boxes())
    if kind == "click":
        return Region(kind=RegionKind.CLICK, points=(draw(points),))
    if kind == "scribble":
        return Region(kind=RegionKind.SCRIBBLE, points=tuple(draw(st.lists(points, min_size=2, max_size=8))))
    corners = draw(st.lists(points, min_size=3, max_size=8))
    try:
        return Region(kind=RegionKind.POLYGON, points=tuple(corners))
    except ValidationError:
        assume(False)
        raise


def close(first: Region, second: Region) -> bool:
    assert (first.kind, first.frames) == (second.kind, second.frames)
    return len(first.points) == len(second.points) and all(
        math.isclose(a, b, abs_tol=1e-9)
        for p, q in zip(first.points, second.points, strict=True)
        for a, b in zip(p, q, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "kind", "count"),
    [
        ("box:0.1,0.2,0.5,0.6", "box", 2),
        ("click:0.5,0.5", "click", 1),
        (" Click : 0.5 , 0.5", "click", 1),
        ("polygon:0.1,0.1,0.5,0.1,0.3,0.6", "polygon", 3),
        ("scribble:0.1,0.1,0.2,0.3,0.4,0.4", "scribble", 3),
        ("box:0,0,1,1", "box", 2),
        ("box:-0.0000001,0,1.0000001,1", "box", 2),
    ],
)
def test_parse_reads_every_kind(text: str, kind: str, count: int) -> None:
    region = Region.parse(text)
    assert (region.kind, len(region.points)) == (kind, count)
    assert all(0 <= value <= 1 for point in region.points for value in point)


def test_parse_reads_a_frame_span() -> None:
    region = Region.parse("box:0.1,0.2,0.5,0.6|3,17")
    assert region.frames == (3, 17)
    assert region.box == (0.1, 0.2, 0.5, 0.6)


@pytest.mark.parametrize(
    ("text", "value", "remedy"),
    [
        ("box:nan,0.2,0.5,0.6", "nan", "give shares"),
        ("box:0.1,0.2,inf,0.6", "inf", "give shares"),
        ("box:0.1,0.2,1.5,0.6", "1.5", "give shares"),
        ("box:-0.1,0.2,0.5,0.6", "-0.1", "give shares"),
        ("box:1.00001,0.2,0.5,0.6", "1.00001", "give shares"),
        ("box:0.5,0.2,0.1,0.6", "left edge 0.5", "swap"),
        ("box:0.1,0.6,0.5,0.2", "top edge 0.6", "swap"),
        ("box:0.1,0.2,0.1,0.6", "(0.1, 0.2)", "move the corners"),
        ("box:0.1,0.2,0.5", "0.1,0.2,0.5", "write two corners"),
        ("box:0.1,0.2,0.3,0.4,0.5,0.6", "3", "write two corners"),
        ("box:a,b,c,d", "a,b,c,d", "write two corners"),
        ("box", "box", "write two corners"),
        ("click:0.1,0.2,0.3,0.4", "2", "write one point"),
        ("scribble:0.1,0.2", "1", "write two points"),
        ("polygon:0.1,0.1,0.2,0.2", "2 points", "write three points"),
        ("polygon:0.1,0.1,0.2,0.2,0.3,0.3", "3 points", "write three points"),
        ("circle:0.1,0.2", "circle", "click, box, polygon, scribble"),
        ("mask:0,0,1,1", "mask", "click, box, polygon, scribble"),
        ("", "''", "click, box, polygon, scribble"),
        ("box:0.1,0.2,0.5,0.6|9,3", "9 to 3", "first frame first"),
        ("box:0.1,0.2,0.5,0.6|-2,3", "-2", "first frame first"),
        ("box:0.1,0.2,0.5,0.6|1.5,3", "1.5", "frame number"),
        ("box:0.1,0.2,0.5,0.6|3", "3", "frame number"),
        ("box:0.1,0.2,0.5,0.6|0,1e300", "frame '1000", "count from 0"),
        ("scribble:" + ",".join(["0.5"] * 4000), "2000 points", "fewer"),
    ],
)
def test_parse_names_the_bad_value_and_the_remedy(text: str, value: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        Region.parse(text)
    message = str(caught.value)
    assert value in message
    assert remedy in message
    assert "\n" not in message
    assert len(message) < 300


def test_values_are_checked_however_a_region_is_made() -> None:
    with pytest.raises(ValidationError, match="swap"):
        Region.from_box(0.5, 0.1, 0.2, 0.3)
    with pytest.raises(ValidationError, match="nan"):
        Region.model_validate({"kind": "click", "points": [[float("nan"), 0.5]]})
    with pytest.raises(ValidationError, match="mask handle"):
        Region(kind=RegionKind.CLICK, points=((0.5, 0.5),), mask=URI)
    with pytest.raises(ValidationError, match="mask handle"):
        Region(kind=RegionKind.MASK, points=((0.1, 0.1), (0.5, 0.5)))
    with pytest.raises(ValidationError):
        Region.model_validate({"kind": "box", "points": "everywhere"})


@given(regions())
def test_a_region_survives_json(region: Region) -> None:
    assert Region.model_validate_json(region.model_dump_json()) == region


def test_the_json_schema_can_be_made() -> None:
    assert Region.model_json_schema()["properties"].keys() == {"kind", "points", "frames", "mask"}


@given(boxes(), st.integers(1, 80), st.integers(1, 80))
def test_a_box_covers_exactly_the_pixels_whose_centres_lie_inside(region: Region, height: int, width: int) -> None:
    x1, y1, x2, y2 = region.box
    mask = region.to_mask(height, width)
    assert (mask.dtype, mask.shape) == (torch.bool, (height, width))
    columns = [c for c in range(width) if x1 <= (c + 0.5) / width < x2] or [min(int((x1 + x2) / 2 * width), width - 1)]
    rows = [r for r in range(height) if y1 <= (r + 0.5) / height < y2] or [min(int((y1 + y2) / 2 * height), height - 1)]
    assert {(int(r), int(c)) for r, c in mask.nonzero()} == {(r, c) for r in rows for c in columns}


def test_a_wide_box_stays_wide() -> None:
    """The released region extractor swaps the axes; a picture twice as wide as high shows it."""
    mask = Region.from_box(0.0, 0.25, 0.5, 0.5).to_mask(8, 16)
    assert mask[2:4, :8].all()
    assert int(mask.sum()) == 16


@given(regions(), st.integers(24, 96), st.integers(24, 96))
def test_the_box_of_a_mask_is_the_box_within_a_pixel(region: Region, height: int, width: int) -> None:
    mask = region.to_mask(height, width)
    found = Region.from_mask(mask, URI).box
    if region.kind is RegionKind.POLYGON:  # thin spikes hold no pixel centre: then inside, never beyond
        x1, y1, x2, y2 = region.box
        assert found[0] >= x1 - 1.5 / width
        assert found[1] >= y1 - 1.5 / height
        assert found[2] <= x2 + 1.5 / width
        assert found[3] <= y2 + 1.5 / height
        return
    for index, (got, wanted) in enumerate(zip(found, region.box, strict=True)):
        assert abs(got - wanted) <= 1 / (height if index % 2 else width) + 1e-9


@given(regions(), st.integers(1, 64), st.integers(1, 64))
def test_a_mask_is_never_empty(region: Region, height: int, width: int) -> None:
    assert region.to_mask(height, width).any()


def test_a_click_is_a_disc_and_a_scribble_a_thick_line() -> None:
    click = Region.parse("click:0.5,0.5").to_mask(100, 100)
    assert abs(int(click.sum()) - math.pi * (100 * CLICK_RADIUS) ** 2) < 6
    line = Region.parse("scribble:0.2,0.5,0.8,0.5").to_mask(100, 100)
    assert line[:, 50].sum() == 4
    assert line[50, 20:80].all()
    assert not line[50, :17].any()


def test_a_polygon_fills_by_the_even_odd_rule() -> None:
    triangle = Region.parse("polygon:0,0,1,0,0,1").to_mask(64, 64)
    assert abs(int(triangle.sum()) - 64 * 64 // 2) <= 64
    assert triangle[0, 0]
    assert not triangle[63, 63]
    frame = Region.parse("polygon:0,0,1,0,1,1,0,1,0,0,0.25,0.25,0.75,0.25,0.75,0.75,0.25,0.75,0.25,0.25").to_mask(
        64, 64
    )
    assert not frame[32, 32]
    assert int(frame.sum()) == 64 * 64 - 32 * 32


@given(regions(), *[st.floats(0, 2)] * 4)
def test_cropping_undoes_padding(region: Region, left: float, top: float, right: float, bottom: float) -> None:
    padded = region.padded(left, top, right, bottom)
    width, height = 1 + left + right, 1 + top + bottom
    window = (left / width, top / height, (left + 1) / width, (top + 1) / height)
    assert close(padded.cropped(window), region)


@given(boxes(), boxes(smallest=0.05))
def test_a_cropped_box_is_the_intersection(region: Region, window: Region) -> None:
    a, b = region.box, window.box
    x1, y1, x2, y2 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    if x2 - x1 <= 1e-3 or y2 - y1 <= 1e-3:
        return
    got = region.cropped(b).box
    width, height = b[2] - b[0], b[3] - b[1]
    wanted: Box = ((x1 - b[0]) / width, (y1 - b[1]) / height, (x2 - b[0]) / width, (y2 - b[1]) / height)
    assert got == pytest.approx(wanted, abs=1e-9)


@given(regions().filter(lambda region: region.kind is RegionKind.POLYGON))
@example(Region(kind=RegionKind.POLYGON, points=((1.0, 1.0), (0.0, 1.0), (0.22545131080016328, 0.22545131080016328))))
def test_a_cropped_polygon_covers_what_it_covered(region: Region) -> None:
    """Cut a 64-pixel picture to its right half and lower quarter, in pixels and in coordinates."""
    x, y = pixel_centres(64)[None, :], pixel_centres(64)[:, None]
    nearby = [inside_polygon(x + dx, y + dy, region.points) for dx in (-1e-6, 1e-6) for dy in (-1e-6, 1e-6)]
    is_clear = (torch.stack(nearby).sum(0) % len(nearby) == 0)[48:, 32:]  # on an edge, rounding decides
    whole = inside_polygon(x, y, region.points)[48:, 32:]
    try:
        moved = region.cropped((0.5, 0.75, 1.0, 1.0))
    except InputError:
        assert not (whole & is_clear).any()
        return
    part = inside_polygon(pixel_centres(32)[None, :], pixel_centres(16)[:, None], moved.points)
    assert not ((part ^ whole) & is_clear).any()


def test_a_crop_that_misses_the_region_says_so() -> None:
    for text in ("box:0,0,0.2,0.2", "click:0.1,0.1", "polygon:0,0,0.2,0,0.1,0.2", "scribble:0,0,0.2,0.2"):
        with pytest.raises(InputError, match="crop less"):
            Region.parse(text).cropped((0.5, 0.5, 1.0, 1.0))
    with pytest.raises(ValueError, match="no area"):
        Region.parse("click:0.1,0.1").cropped((0.5, 0.5, 0.5, 1.0))


def test_a_line_is_cut_at_the_border() -> None:
    moved = Region.parse("scribble:0,0.5,1,0.5").cropped((0.25, 0.0, 0.75, 1.0))
    assert moved.points == ((0.0, 0.5), (1.0, 0.5))


def test_frames_are_carried_along() -> None:
    region = Region.parse("box:0.1,0.2,0.5,0.6|3,17")
    assert region.padded(left=1.0).frames == (3, 17)
    assert region.cropped((0, 0, 0.3, 0.3)).frames == (3, 17)


def test_a_mask_region_knows_its_box_and_sends_for_its_pixels() -> None:
    pixels = torch.zeros(10, 20, dtype=torch.bool)
    pixels[2:5, 4:10] = True
    region = Region.from_mask(pixels, URI)
    assert region.box == (0.2, 0.2, 0.5, 0.5)
    with pytest.raises(ValueError, match="get_mask"):
        region.to_mask(10, 20)
    with pytest.raises(ValueError, match="crop or pad them"):
        region.cropped((0, 0, 0.5, 0.5))
    with pytest.raises(ValueError, match="negative"):
        Region.parse("click:0.1,0.1").padded(left=-0.5)
    with pytest.raises(InputError, match="empty"):
        Region.from_mask(torch.zeros(4, 4, dtype=torch.bool), URI)
