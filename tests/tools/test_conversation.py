import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from vitron_agent.errors import MissingInputError
from vitron_agent.graphs import user_turn
from vitron_agent.media import Region
from vitron_agent.signals import arguments_digest
from vitron_agent.tools.arguments import SegmentArguments
from vitron_agent.tools.conversation import choose_picture, drawn_region, pictures, signal_handle

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
    assert pictures(TALK) == [A, B, C]


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, (C, 3)), (1, (A, 1)), (2, (B, 2)), ("2", (B, 2)), (B, (B, 2)), (C, (C, 3))]
)
def test_a_picture_is_found_by_number_handle_or_as_the_latest(wanted: object, found: tuple) -> None:
    assert choose_picture(TALK, wanted) == found


def test_a_handle_that_appears_twice_has_its_later_number() -> None:
    assert choose_picture([user_turn("again", [A, B, A])], A) == (A, 3)


@pytest.mark.parametrize("wanted", [0, 4, -1, "/etc/passwd", "file:///etc/passwd", D, "sha256:x", "../a.png", ""])
def test_whatever_is_not_of_this_conversation_is_refused(wanted: object) -> None:
    with pytest.raises(MissingInputError, match="pictures 1 to 3"):
        choose_picture(TALK, wanted)


def test_without_pictures_the_error_says_what_to_do() -> None:
    with pytest.raises(MissingInputError, match="draw one, or ask the user"):
        choose_picture([HumanMessage("hi")], None)


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
