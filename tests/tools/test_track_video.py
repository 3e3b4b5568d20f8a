"""The tools for videos: what they ask of the specialists, and what they leave in the store."""

import json
from typing import Any

import pytest
import torch

from vitron_agent.errors import InvocationError, MissingInputError, NothingFoundError
from vitron_agent.media import MediaStore
from vitron_agent.testing import ABSENT, EchoSpecialist
from vitron_agent.tools import Residents, Toolbox, make_tools
from vitron_agent.tools.track_video import read_track

NAMES = ("gligen", "gligen_inpaint", "seem", "stable_video")
CLIP = torch.arange(6 * 3 * 16 * 16).reshape(6, 3, 16, 16).remainder(251).to(torch.uint8)


@pytest.fixture
def echo() -> EchoSpecialist:
    """Stand in for all specialists."""
    return EchoSpecialist()


@pytest.fixture
def use(store: MediaStore, echo: EchoSpecialist) -> Any:
    """Call a tool by name and return its message."""
    tools = {tool.name: tool for tool in make_tools(Toolbox(store, Residents({name: lambda: echo for name in NAMES})))}

    def run(name: str, **arguments: Any) -> Any:
        return tools[name].invoke({"type": "tool_call", "id": "1", "name": name, "args": arguments})

    return run


@pytest.fixture
def video(store: MediaStore) -> str:
    """The handle of a stored clip."""
    return store.put_video(CLIP, 12.0).uri


def test_a_track_holds_a_mask_and_a_box_for_every_frame(use: Any, store: MediaStore, video: str) -> None:
    message = use("track_video", command="the star", video=video)
    assert message.content == (
        "Result: the star in the video, from (0.25, 0.25, 0.50, 0.50) to (0.25, 0.25, 0.50, 0.50)."
    )
    artifact = message.artifact
    assert (artifact["kind"], artifact["inputs"], artifact["video"]) == ("mask", [video], None)
    shown, fps = store.get_video(artifact["uri"])
    assert (shown.shape, fps) == (CLIP.shape, 12.0)
    masks, boxes = read_track(store, artifact["track_uri"])
    assert (masks.shape, masks.dtype, boxes) == ((6, 16, 16), torch.bool, ((0.25, 0.25, 0.5, 0.5),) * 6)
    assert masks[5, 4:8, 4:8].all()
    assert not masks[5, 8:].any()


def test_a_track_says_where_nothing_is_seen(store: MediaStore) -> None:
    mask = store.put_mask(torch.zeros(4, 4, dtype=torch.bool)).uri
    record = {"masks": [mask, mask], "boxes": [[0.0, 0.0, 0.5, 0.5], None]}
    _, boxes = read_track(store, store.put_bytes(json.dumps(record).encode(), "json"))
    assert boxes == ((0.0, 0.0, 0.5, 0.5), None)


def test_a_region_says_what_to_track(use: Any, echo: EchoSpecialist, video: str) -> None:
    use("track_video", command="the object", region=[0.5, 0.5, 1.0, 1.0], video=video)
    (request,) = echo.requests
    assert request.command == ""
    assert request.region is not None
    assert request.mask is not None
    assert request.mask[8:, 8:].all()
    assert request.video is not None
    assert request.video.shape == CLIP.shape


def test_what_is_not_there_is_said(use: Any, video: str) -> None:
    with pytest.raises(NothingFoundError):
        use("track_video", command=f"the {ABSENT}", video=video)
    with pytest.raises(MissingInputError, match="give the video as a handle"):
        use("track_video", command="the star")


def test_an_object_is_edited_in_one_frame_and_carried_over(
    use: Any, echo: EchoSpecialist, store: MediaStore, video: str
) -> None:
    message = use("edit_video", command="replace the star with a blue star", video=video)
    followed, repainted, carried = echo.requests
    assert followed.command == "the star".removeprefix("the ")
    assert repainted.image is not None
    assert [item.phrase for item in repainted.layout] == ["blue star"]
    assert list(carried.keyframes) == [0]
    assert carried.masks is not None
    assert carried.masks.shape == (6, 16, 16)
    assert message.content == "Result: done."
    assert message.artifact["kind"] == "video"
    assert store.get_video(message.artifact["uri"])[1] == 12.0


@pytest.mark.parametrize("arguments", [{"background": "change the background to navy"}, {"command": "make it navy"}])
def test_a_background_is_edited_around_the_objects(
    use: Any, echo: EchoSpecialist, video: str, arguments: dict[str, str]
) -> None:
    if "command" in arguments:
        arguments = {"command": "change the background to navy"}
    use("edit_video", video=video, **arguments)
    carried = echo.requests[-1]
    assert carried.command == "background"
    assert carried.masks is not None
    assert carried.masks[0, 2:4, 2:4].all()
    assert not carried.masks[0, 0, 0]


def test_both_layers_can_be_edited_at_once(use: Any, echo: EchoSpecialist, video: str) -> None:
    use("edit_video", command="remove the star", background="change the background to navy", video=video)
    carried = [request.command for request in echo.requests if request.masks is not None]
    assert carried == ["remove", "background"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"command": "add a star"}, "replace or remove"),
        ({"background": "remove the star"}, "no change of a background"),
    ],
)
def test_what_a_layer_cannot_be_given_is_refused(
    use: Any, echo: EchoSpecialist, video: str, arguments: dict[str, str], told: str
) -> None:
    with pytest.raises(InvocationError, match=told):
        use("edit_video", video=video, **arguments)
    assert echo.requests == []


def test_the_same_edit_again_costs_nothing(use: Any, echo: EchoSpecialist, video: str) -> None:
    first = use("edit_video", command="remove the star", video=video)
    count = len(echo.requests)
    again = use("edit_video", command="remove the star", video=video)
    assert len(echo.requests) == count
    assert again.artifact["uri"] == first.artifact["uri"]
