import torch

from vitron_agent.specialists.places import POSITION_PLANES, position_planes


def test_position_planes_tell_every_cell_apart() -> None:
    planes = position_planes(16, 16)[0].flatten(1).T
    assert planes.shape == (256, POSITION_PLANES)
    assert torch.cdist(planes, planes).fill_diagonal_(9).min() > 0.1
