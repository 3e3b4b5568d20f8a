import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from vitron_agent.errors import MissingInputError
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaKind, Region
from vitron_agent.signals import arguments_digest
from vitron_agent.tools.arguments import EditVideoArguments, SegmentArguments
from vitron_agent.tools.conversation import choose, drawn_region, handles, said, signal_handle

IMAGE, VIDEO = MediaKind.IMAGE, MediaKind.VIDEO
A, B, C, D = ("sha256:" + digit * 64 for digit in "abcd")


def made(handle: str, kind: str = "image", status: str = "success") -> ToolMessage:
    return ToolMessage("Result: done.", tool_call_id="1", artifact={"kind": kind, "uri": handle}, status=status)


TALK: list[AnyMessage] = [
    user_turn("two pictures", [A, B]),
    AIMessage("ok"),
    made(C),
    made(D, kind="mask"),
    made(D, status="error"),
    HumanMessage("words only"),
    HumanMessage([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}]),
]


def test_pictures_are_counted_in_order_and_masks_and_failures_are_none() -> None:
    assert handles(TALK, IMAGE) == [A, B, C]


def test_pictures_in_other_tools_results_are_counted_unless_the_artifact_names_one() -> None:
    blocks = [{"type": "image", "file_id": A}, {"type": "image_url", "image_url": "x"}, "words", {"type": "image"}]
    shown = ToolMessage(blocks, tool_call_id="1")
    failed, named = (
        ToolMessage(blocks, tool_call_id="1", status="error"),
        ToolMessage(blocks, tool_call_id="1", artifact={"kind": "image", "uri": B}),
    )
    assert handles([user_turn("look", [C]), shown, failed, named], IMAGE) == [C, A, B]
    assert handles([shown, named], VIDEO) == []


def test_videos_are_counted_apart() -> None:
    talk = [user_turn("look", [A], videos=[B]), AIMessage("ok"), made(C, kind="video")]
    assert (handles(talk, IMAGE), handles(talk, VIDEO)) == ([A], [B, C])
    assert (choose(talk, VIDEO, 1), choose(talk, VIDEO, None)) == ((B, 1), (C, 2))
    with pytest.raises(MissingInputError, match="videos 1 to 2"):
        choose(talk, VIDEO, A)
    with pytest.raises(MissingInputError, match="there is no video in this conversation yet: ask the user"):
        choose(TALK, VIDEO, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"command": "the star", "video": 1}, "the star"),
        ({"command": "", "background": "change the background to navy"}, "change the background to navy"),
        ({"command": "remove it", "background": "make it navy"}, "remove it and make it navy"),
        ({}, ""),
    ],
)
def test_what_a_call_asks_for_is_said_in_words(arguments: dict[str, object], words: str) -> None:
    assert said(arguments) == words


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, (C, 3)), (1, (A, 1)), (2, (B, 2)), ("2", (B, 2)), (B, (B, 2)), (C, (C, 3))]
)
def test_a_picture_is_found_by_number_handle_or_as_the_latest(wanted: object, found: tuple) -> None:
    assert choose(TALK, IMAGE, wanted) == found


def test_a_handle_that_appears_twice_has_its_later_number() -> None:
    assert choose([user_turn("again", [A, B, A])], IMAGE, A) == (A, 3)


@pytest.mark.parametrize("wanted", [0, 4, -1, "/etc/passwd", "file:///etc/passwd", D, "sha256:x", "../a.png", ""])
def test_whatever_is_not_of_this_conversation_is_refused(wanted: object) -> None:
    with pytest.raises(MissingInputError, match="pictures 1 to 3"):
        choose(TALK, IMAGE, wanted)


def test_without_pictures_the_error_says_what_to_do() -> None:
    with pytest.raises(MissingInputError, match="draw one, or ask the user"):
        choose([HumanMessage("hi")], IMAGE, None)


def test_the_newest_drawn_region_counts() -> None:
    old, new = Region.from_box(0.1, 0.1, 0.2, 0.2), Region.parse("scribble:0.1,0.1,0.5,0.5,0.6,0.2")
    talk = [user_turn("this", [A], old), AIMessage("ok"), user_turn("and this", region=new), user_turn("thanks")]
    assert drawn_region(talk) == new
    assert drawn_region(talk[:2]) == old
    assert drawn_region(talk[3:]) is None


def test_a_region_may_come_with_its_picture() -> None:
    region = Region.from_box(0.1, 0.1, 0.2, 0.2)
    block = {"type": "image", "file_id": A, "extras": {"region": region.model_dump(mode="json")}}
    assert drawn_region([HumanMessage([block, {"type": "text", "text": "this"}])]) == region


def test_a_broken_region_is_no_crash() -> None:
    with pytest.raises(MissingInputError, match="draw it again"):
        drawn_region([HumanMessage("x", additional_kwargs={"vitron": {"region": {"kind": "box", "points": []}}})])


def test_signals_belong_to_one_call_and_its_arguments() -> None:
    arguments = SegmentArguments(command="the red circle")
    entry = {"handle": A, "args_digest": arguments_digest(arguments.invocation())}
    talk = [AIMessage("", response_metadata={"vitron": {"signals": {"call_1": entry}}}), AIMessage("later")]
    assert signal_handle(talk, "call_1", arguments) == A
    assert signal_handle(talk, "call_2", arguments) is None
    assert signal_handle(talk, "call_1", SegmentArguments(command="the blue circle")) is None
    assert signal_handle([AIMessage("no metadata")], "call_1", arguments) is None


@pytest.mark.parametrize("picture", [A, "2"])
def test_a_picture_that_was_named_afterwards_makes_signals_stale(picture: str) -> None:
    """The digest knows pictures by number, and so does the planner; a person may edit a handle into the call."""
    arguments = SegmentArguments(command="the red circle")
    entry = {"handle": A, "args_digest": arguments_digest(arguments.invocation())}
    talk = [AIMessage("", response_metadata={"vitron": {"signals": {"call_1": entry}}})]
    assert signal_handle(talk, "call_1", SegmentArguments(command="the red circle", picture=picture)) is None
    film = EditVideoArguments(command="remove it")
    entry["args_digest"] = arguments_digest(film.invocation())
    assert signal_handle(talk, "call_1", film) == A
    assert signal_handle(talk, "call_1", EditVideoArguments(command="remove it", video=picture)) is None


@pytest.mark.parametrize(
    "notes",
    [None, "x", ["x"], {"signals": "x"}, {"signals": {"call_1": A}}, {"signals": {"call_1": {}}}, {"signals": None}],
)
def test_forged_notes_are_none(notes: object) -> None:
    arguments = SegmentArguments(command="the red circle")
    assert signal_handle([AIMessage("", response_metadata={"vitron": notes})], "call_1", arguments) is None
    assert drawn_region([HumanMessage("x", additional_kwargs={"vitron": notes})]) is None


@pytest.mark.parametrize(
    "artifact", ["x", ["x"], {"kind": "image"}, {"kind": ["image"], "uri": A}, {"kind": "image", "uri": "/etc/passwd"}]
)
def test_what_other_tools_return_is_no_picture(artifact: object) -> None:
    assert handles([ToolMessage("sunny", tool_call_id="1", artifact=artifact)], IMAGE) == []
