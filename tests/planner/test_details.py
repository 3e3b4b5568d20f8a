import torch
from transformers import CLIPVisionModel

from vitron_agent.planner.details import DetailEncoder
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tiny import tiny_planner_config, tiny_vision_config
from vitron_agent.planner.vision import patch_embeddings, to_pixel_values

FIRST = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
LEFT = torch.zeros(2, 32, 32, dtype=torch.bool)
LEFT[:, :, :16] = True


def awake() -> DetailEncoder:
    torch.manual_seed(0)
    details = DetailEncoder(8, 16, pool=2, hidden=12)
    for branch in (details.picture, details.region):
        torch.nn.init.normal_(branch[-1].weight)
    return details


def test_it_adds_nothing_at_first() -> None:
    details = DetailEncoder(8, 16, pool=2, hidden=12)
    assert details.pictures(FIRST).shape == (2, 16, 16)
    assert not details.pictures(FIRST).any()
    assert not details.regions(torch.cat([FIRST, FIRST], -1), LEFT).any()


def test_a_picture_token_sees_its_own_patches_and_which_is_where() -> None:
    details, other = awake(), FIRST.clone()
    other[:, [2, 3, 10, 11]] = FIRST[:, [3, 2, 11, 10]]  # the second token's patches, left and right exchanged
    changed = (details.pictures(other) - details.pictures(FIRST)).abs().amax((0, 2))
    assert changed[1] > 1e-3
    assert changed[torch.arange(16) != 1].max() == 0


def test_a_region_is_read_from_what_it_covers() -> None:
    details, patches = awake(), torch.cat([FIRST, FIRST], -1)
    inside, outside = patches.clone(), patches.clone()
    inside.view(2, 8, 8, 16)[:, :, :4] += 1
    outside.view(2, 8, 8, 16)[:, :, 4:] += 1
    plain = details.regions(patches, LEFT)
    felt = [float((details.regions(other, LEFT) - plain).detach().abs().max()) for other in (inside, outside)]
    assert felt[0] > 20 * felt[1]


def test_an_empty_region_counts_as_the_whole_picture() -> None:
    details, patches = awake(), torch.cat([FIRST, FIRST], -1)
    assert torch.equal(details.regions(patches, LEFT & ~LEFT), details.regions(patches, LEFT | ~LEFT))


def test_first_features_are_linear_in_the_pixels() -> None:
    torch.manual_seed(0)
    tower, dark = CLIPVisionModel(tiny_vision_config()).eval(), torch.full((1, 3, 64, 64), 0.2)
    with torch.inference_mode():
        low, middle, high = (patch_embeddings(tower, to_pixel_values(dark * k, 64)) for k in (1, 2, 3))
    assert low.shape == (1, 64, 128)
    assert torch.allclose(middle, (low + high) / 2, atol=1e-5)


def test_two_shades_of_a_colour_differ_in_a_region_s_token() -> None:
    torch.manual_seed(0)
    model = PlannerModel.new(tiny_planner_config(300, 10, 11)).eval()
    torch.nn.init.normal_(model.details.region[-1].weight)
    pictures = torch.full((2, 3, 64, 64), 0.5)
    pictures[1] += 0.05
    mask = torch.ones(2, 64, 64, dtype=torch.bool)
    with torch.inference_mode():
        tokens = model.encode_regions(model.encode_pictures(pictures).patches, mask)
    assert (tokens[0] - tokens[1]).abs().max() > 0.1


def test_weights_of_before_load_without_it() -> None:
    config = tiny_planner_config(300, 10, 11)
    config.vitron = {**config.vitron, "details": 0}
    model = PlannerModel.new(config)
    assert model.details is None
    assert model.encode_pictures(torch.rand(1, 3, 64, 64)).patches.shape == (1, 64, 128)
