import torch

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.motion import MotionEncoder
from vitron_agent.planner.tiny import tiny_planner_config

PATCHES = torch.randn(2, 4, 64, 8, generator=torch.Generator().manual_seed(0))


def encoder() -> MotionEncoder:
    torch.manual_seed(0)
    return MotionEncoder(8, 16, 4, reduced=4, hidden=12)


def awake() -> MotionEncoder:
    motion = encoder()
    torch.nn.init.normal_(motion.write.weight)
    return motion


def test_it_adds_nothing_at_first() -> None:
    added = encoder()(PATCHES, 2)
    assert added.shape == (2, 4, 16, 16)
    assert not added.any()


def test_the_order_of_frames_is_felt() -> None:
    motion = awake()
    forward, backward = motion(PATCHES, 2), motion(PATCHES.flip(1), 2)
    assert not torch.allclose(forward, backward.flip(1), atol=1e-3)


def test_videos_of_a_batch_do_not_touch_each_other() -> None:
    motion = awake()
    assert torch.allclose(motion(PATCHES, 2)[1], motion(PATCHES[1:], 2)[0], atol=1e-5)


def test_a_change_is_felt_where_it_happens() -> None:
    """Three convolutions see three patches to each side: the far corner of the picture does not change."""
    motion, moved = awake(), PATCHES.clone()
    moved[:, 3, 0] = -moved[:, 3, 0]
    changed = (motion(moved, 1) - motion(PATCHES, 1)).abs().amax((0, 1, 3)).view(8, 8)
    assert changed[0, 0] > 1e-3
    assert changed[4:].max() < 1e-5
    assert changed[:, 4:].max() < 1e-5


def test_weights_of_before_load_without_it() -> None:
    config = tiny_planner_config(300, 10, 11)
    assert PlannerModel.new(config).motion is not None
    config.vitron = {**config.vitron, "motion": 0}
    model = PlannerModel.new(config)
    assert model.motion is None
    assert not any(key.startswith("motion.") for key in model.extra_state())


def test_the_mean_over_time_does_not_know_of_it() -> None:
    model = PlannerModel.new(tiny_planner_config(300, 10, 11)).eval()
    video = torch.rand(1, 4, 3, 64, 64)
    with torch.inference_mode():
        before = model.encode_videos(video).tokens
        torch.nn.init.normal_(model.motion.write.weight)
        after = model.encode_videos(video).tokens
    assert torch.equal(before[:, :16], after[:, :16])
    assert not torch.allclose(before[:, 16:], after[:, 16:], atol=1e-3)
