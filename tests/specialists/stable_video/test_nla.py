"""A layered neural atlas is read as what its networks say, and edited like one of ours."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.stable_video import StableVideo, load_nla
from vitron_agent.specialists.stable_video.nla import AtlasMLP, nla_networks

FRAMES, HEIGHT, WIDTH = 3, 18, 32


def calm(network: AtlasMLP) -> AtlasMLP:
    """Let a network see the two lowest octaves alone: what it says is smooth enough for a texture."""
    places = [0, *network.skips]
    kept = 2 * 2 * (network.hidden[0].in_features // (2 * network.octaves))
    for place in places:
        encoded = network.hidden[0].in_features
        with torch.no_grad():
            network.hidden[place].weight[:, -encoded:][:, kept:] = 0
    return network


@pytest.fixture(scope="module")
def networks() -> dict[str, AtlasMLP]:
    """Networks as after some training: the maps near the identity, the rest smooth."""
    torch.manual_seed(0)
    made = nla_networks()
    calm(made["F_atlas_state_dict"])
    calm(made["model_F_alpha_state_dict"])
    points = torch.rand(2048, 3) * 2 - 1
    for name in ("model_F_mapping1_state_dict", "model_F_mapping2_state_dict"):
        adam = torch.optim.Adam(made[name].parameters(), 1e-3)
        for _ in range(60):
            loss = (made[name](points) - 0.8 * points[:, :2]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        for name in ("F_atlas_state_dict", "model_F_alpha_state_dict"):
            made[name].hidden[-1].weight *= 8
    return made


@pytest.fixture(scope="module")
def path(networks: dict[str, AtlasMLP], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nla") / "checkpoint"
    tables = {name: network.state_dict() for name, network in networks.items()}
    torch.save({**tables, "iteration": 7, "optimizer_all_state_dict": {"state": {}, "param_groups": []}}, file)
    return file


@torch.no_grad()
def said(networks: dict[str, AtlasMLP]) -> Tensor:
    """The clip as the networks themselves have it (NLA's evaluation, pixel by pixel)."""
    t, y, x = torch.meshgrid(torch.arange(FRAMES), torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    points = torch.stack([x / (WIDTH / 2) - 1, y / (WIDTH / 2) - 1, t / (FRAMES / 2) - 1], -1).view(-1, 3)
    front, back, alpha, colours = networks.values()
    share = 0.99 * (alpha(points) + 1) / 2 + 0.001
    near, far = (colours(0.5 * net(points) + half) for net, half in ((front, 0.5), (back, -0.5)))
    mixed = share * (near + 1) / 2 + (1 - share) * (far + 1) / 2
    return mixed.view(FRAMES, HEIGHT, WIDTH, 3).permute(0, 3, 1, 2)


def test_the_networks_have_the_published_sizes() -> None:
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in nla_networks().values()]
    assert sizes == [264_706, 133_122, 402_945, 416_379]


def test_it_shows_what_the_networks_say(networks: dict[str, AtlasMLP], path: Path) -> None:
    steps: list[tuple[int, int]] = []
    atlas = load_nla(path, FRAMES, HEIGHT, WIDTH, progress=lambda step, total: steps.append((step, total)))
    wanted = said(networks)
    assert wanted.flatten(2).std(-1).mean() > 0.02  # there is something to be seen
    assert (atlas.render() - wanted).abs().max() < 0.01
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert atlas.foreground.texture.shape[1] < 60  # no more of the atlas than the clip shows


def test_edits_go_through_it(networks: dict[str, AtlasMLP], path: Path) -> None:
    video = (said(networks) * 255).round().to(torch.uint8)
    atlas = load_nla(path, FRAMES, HEIGHT, WIDTH)
    masks = torch.ones(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    specialist = StableVideo()
    specialist.keep(video, masks, atlas)
    assert specialist.atlas(video, masks) is atlas
    edited = specialist.run(SpecialistRequest("repaint", video=video, masks=masks, keyframes={0: video[0]}))
    assert edited.video is not None
    assert edited.video.shape == video.shape


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.pop("F_atlas_state_dict"), "F_atlas_state_dict does not fit .*hidden.0.bias"),
        (
            lambda table: table["model_F_alpha_state_dict"].update({"hidden.0.weight": torch.zeros(256, 3)}),
            "model_F_alpha_state_dict does not fit .hidden.0.weight",
        ),
        (lambda table: table.update({"model_F_mapping1_state_dict": 5}), "mapping1_state_dict does not fit"),
        (lambda table: table.update({"extra": Path("a")}), "holds no plain tensors .something else is in it"),
    ],
)
def test_another_file_is_refused_by_name(path: Path, tmp_path: Path, spoil: object, message: str) -> None:
    table = torch.load(path, weights_only=True)
    spoil(table)  # type: ignore[operator]
    torch.save(table, tmp_path / "other")
    with pytest.raises(CheckpointError, match=message):
        load_nla(tmp_path / "other", FRAMES, HEIGHT, WIDTH)


def test_a_file_that_is_none_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing is missing: give a file of NLA's training"):
        load_nla(tmp_path / "nothing", FRAMES, HEIGHT, WIDTH)
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="holds no plain tensors"):
        load_nla(tmp_path / "cut", FRAMES, HEIGHT, WIDTH)
