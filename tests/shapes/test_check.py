"""The checkers read pictures back right, also blurred and noisy ones, and say no to wrong pictures."""

import math
import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from vitron_agent.shapes.check import (
    Wanted,
    WantedObject,
    check_edit,
    check_generation,
    place_holds,
    read_scene,
    relation_holds,
    same_objects,
)
from vitron_agent.shapes.check.fit import fit_shape
from vitron_agent.shapes.check.segments import connected
from vitron_agent.shapes.render import coverage, render
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, Scene, clashes, recoloured, sample_scene


def _obj(shape: str, colour: str, x: float, y: float, r: float = 0.18) -> Obj:
    return Obj(shape, colour, "large" if r > 0.14 else "small", x, y, r, COLOURS[colour])


def _picture(scene: Scene) -> torch.Tensor:
    return (render([scene]).images[0] * 255).round().to(torch.uint8)


def _degrade(images: torch.Tensor, sigma: float, noise: float) -> torch.Tensor:
    """Gaussian blur and noise, as a small decoder leaves them."""
    kernel = torch.exp(-(torch.arange(-3, 4).float() ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 7)
    images = F.conv2d(F.pad(images, (3, 3, 3, 3), mode="replicate"), kernel, groups=3)
    images = F.conv2d(images, kernel.transpose(2, 3), groups=3)
    return images + noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


def _same_names(a: Scene, b: Scene) -> bool:
    wanted = Wanted.of(a)
    return same_objects(b, wanted).all_ok and len(a.objects) == len(b.objects)


@pytest.mark.parametrize(("sigma", "noise", "least"), [(0.0, 0.0, 100), (0.7, 4 / 255, 99), (1.0, 8 / 255, 97)])
def test_scenes_are_read_back(sigma: float, noise: float, least: int) -> None:
    rng = random.Random(11)
    scenes = [sample_scene(rng) for _ in range(100)]
    images = render(scenes).images
    if sigma:
        images = _degrade(images, sigma, noise)
    images = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    right = sum(_same_names(s, read_scene(p).scene) for s, p in zip(scenes, images, strict=True))
    assert right >= least


def test_masks_centres_and_sizes_are_measured() -> None:
    scene = Scene("pink", (_obj("star", "white", 0.3, 0.35), _obj("cross", "black", 0.75, 0.7, 0.1)))
    rendered = render([scene])
    found = read_scene(rendered.images[0])
    assert [o.size for o in found.scene.objects] == ["large", "small"]
    truths = rendered.masks[0, :2]
    for obj, other, mask, truth in zip(scene.objects, found.scene.objects, found.masks, truths, strict=True):
        assert (obj.x, obj.y, obj.r) == pytest.approx((other.x, other.y, other.r), abs=0.003)
        assert float((mask & truth).sum() / (mask | truth).sum()) > 0.97
    assert min(found.confidences) > 0.9
    assert found.background_error == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("background", list(BACKGROUNDS))
def test_every_visible_colour_is_found_on_every_background(background: str) -> None:
    for colour in (name for name in COLOURS if not clashes(name, background)):
        scene = Scene(background, (_obj("circle", colour, 0.5, 0.5, 0.1),))
        found = read_scene(_picture(scene)).scene
        assert (found.background, [o.colour for o in found.objects]) == (background, [colour])


def test_an_empty_picture_has_no_objects() -> None:
    found = read_scene(_picture(Scene("olive", ())))
    assert found.scene == Scene("olive", ())
    assert found.masks.shape == (0, 64, 64)


def test_specks_are_dropped_and_touching_objects_are_split() -> None:
    picture = _picture(Scene("gray", (_obj("square", "red", 0.3, 0.5), _obj("square", "blue", 0.66, 0.5))))
    picture[:, 2:4, 30:32] = 255
    assert sorted(o.colour for o in read_scene(picture).scene.objects) == ["blue", "red"]


def test_a_picture_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 64, 64\)"):
        read_scene(torch.zeros(1, 64, 64))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("r", [0.09, 0.13, 0.22])
def test_fit_finds_shape_and_radius(shape: str, r: float) -> None:
    alpha = coverage(torch.tensor([SHAPES.index(shape)]), torch.tensor([[0.43, 0.61]]), torch.tensor([r]), 64)[0]
    fit = fit_shape(alpha)
    assert (fit.shape, fit.x, fit.y, fit.r) == (
        shape,
        pytest.approx(0.43, abs=0.003),
        pytest.approx(0.61, abs=0.003),
        pytest.approx(r, abs=0.003),
    )


def test_fit_refuses_an_empty_silhouette() -> None:
    with pytest.raises(ValueError, match="empty"):
        fit_shape(torch.zeros(64, 64))


def test_connected_parts_come_largest_first_and_keep_groups_apart() -> None:
    mask = torch.tensor([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=torch.bool)
    assert [int(part.sum()) for part in connected(mask)] == [4, 2, 1]
    assert len(connected(mask, torch.arange(12).view(3, 4))) == 7


SCENE = Scene("navy", (_obj("circle", "red", 0.25, 0.3), _obj("square", "yellow", 0.7, 0.65, 0.11)))


def test_a_right_picture_passes_every_part() -> None:
    check = check_generation(_picture(SCENE), SCENE)
    assert check.all_ok
    assert check.objects_ok


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"background": "sky"}, {"background_ok"}),
        ({"objects": SCENE.objects[:1]}, {"count_ok", "shapes_ok", "colours_ok", "sizes_ok", "places_ok"}),
        ({"objects": (*SCENE.objects, _obj("star", "green", 0.75, 0.2, 0.1))}, {"count_ok"}),
        ({"objects": (recoloured(SCENE.objects[0], "green"), SCENE.objects[1])}, {"colours_ok"}),
        ({"objects": (replace(SCENE.objects[0], shape="cross"), SCENE.objects[1])}, {"shapes_ok"}),
        ({"objects": (SCENE.objects[0], replace(SCENE.objects[1], r=0.2, size="large"))}, {"sizes_ok"}),
        ({"objects": (SCENE.objects[0], replace(SCENE.objects[1], x=0.5))}, {"places_ok"}),
    ],
)
def test_each_fault_is_named_and_no_other(change: dict[str, object], wrong: set[str]) -> None:
    check = check_generation(_picture(replace(SCENE, **change)), SCENE)  # type: ignore[arg-type]
    parts = ("background_ok", "count_ok", "shapes_ok", "colours_ok", "sizes_ok", "places_ok", "relations_ok")
    assert {part for part in parts if not getattr(check, part)} == wrong
    assert not check.all_ok


def test_relations_and_free_attributes() -> None:
    red, any_square = WantedObject(colour="red", place="top left"), WantedObject("square")
    holds = Wanted((any_square, red), None, ((1, "left of", 0), (0, "below", 1)))
    assert check_generation(_picture(SCENE), holds).all_ok
    broken = Wanted((any_square, red), None, ((0, "left of", 1),))
    assert not check_generation(_picture(SCENE), broken).relations_ok


def test_the_best_assignment_is_judged() -> None:
    twins = Scene("gray", (_obj("star", "blue", 0.25, 0.5), _obj("star", "white", 0.7, 0.5)))
    wanted = Wanted((WantedObject("star", "white", place="right"), WantedObject("star", "blue", place="left")))
    assert same_objects(twins, wanted).all_ok
    swapped = Wanted((WantedObject("star", "white", place="left"), WantedObject("star", "blue", place="right")))
    assert not same_objects(twins, swapped).places_ok


@pytest.mark.parametrize(
    ("place", "x", "y", "holds"),
    [
        ("left", 0.44, 0.5, True),
        ("left", 0.47, 0.5, True),
        ("left", 0.49, 0.5, False),
        ("top right", 0.8, 0.2, True),
        ("top right", 0.8, 0.6, False),
        ("bottom", 0.5, 0.8, True),
        ("centre", 0.55, 0.45, True),
        ("centre", 0.7, 0.5, False),
    ],
)
def test_places(place: str, x: float, y: float, holds: bool) -> None:
    assert place_holds(place, x, y) is holds


def test_relations_between_centres() -> None:
    a, b = _obj("star", "red", 0.2, 0.8), _obj("star", "blue", 0.6, 0.3)
    assert [relation_holds(a, word, b) for word in ("left of", "right of", "above", "below")] == [1, 0, 0, 1]


def test_edit_is_done_and_outside_untouched() -> None:
    after = Scene("navy", (recoloured(SCENE.objects[0], "green"), SCENE.objects[1]))
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[:40, :40] = True
    result = check_edit(_picture(SCENE), _picture(after), after, region)
    assert result.done
    assert result.psnr_outside == math.inf
    assert not check_edit(_picture(SCENE), _picture(SCENE), after, region).done


def test_edit_measures_damage_outside_the_region() -> None:
    before = _picture(SCENE)
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[:32] = True
    damaged = before.clone()
    damaged[:, 32:] += 2
    result = check_edit(before, damaged, SCENE, region)
    assert result.psnr_outside == pytest.approx(20 * math.log10(255 / 2), abs=0.01)
    assert check_edit(before, damaged, SCENE).psnr_outside is None


def test_pictures_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="equal sizes"):
        check_edit(torch.zeros(3, 64, 64), torch.zeros(3, 32, 32), SCENE)
