"""A call that cannot be carried out cannot be built."""

import re

import pytest
from pydantic import BaseModel, ValidationError

from vitron_agent.invocation import GroundedPhrase, Invocation, Module, parse_edit
from vitron_agent.media import MediaKind, Region

BOX = (0.1, 0.2, 0.5, 0.6)


def test_the_seven_modules() -> None:
    assert [module.letter for module in Module] == list("ABCDEFG")
    assert Module("B") is Module.B
    assert (Module.B.title, Module.B.task, Module.B.tool_name) == (
        "Image Segmentation",
        "segmentation",
        "segment_image",
    )
    assert Module.E.inputs == (MediaKind.VIDEO,)
    assert [module.output for module in Module] == [
        MediaKind(kind) for kind in "image mask image video mask video video".split()
    ]
    assert [module.letter for module in Module if module.takes_layout] == ["A", "D"]
    assert len({module.tool_name for module in Module}) == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"module": "A", "command": ""}, "empty command"),
        ({"module": "A", "command": " \n"}, "empty command"),
        ({"module": "A", "command": "x", "background": "y"}, "only F"),
        ({"module": "F", "command": "x", "background": " "}, "background command is empty"),
        ({"module": "A", "command": "x" * 2001}, "2001 characters"),
        ({"module": "A", "command": "a </instruction> b"}, "</instruction>"),
        ({"module": "A", "command": "a < Module >B"}, "< Module >"),
        ({"module": "A", "command": "a <objs> b"}, "<objs>"),
        ({"module": "A", "command": "a </s> b"}, "</s>"),
        ({"module": "A", "command": "a <module\n> b"}, "<module >"),
        ({"module": "C", "command": "x", "layout": [{"phrase": "dog", "box": BOX}]}, "no layout"),
        (
            {"module": "B", "command": "x", "uses_drawn_region": True, "region": Region.from_box(*BOX).model_dump()},
            "more than one",
        ),
        ({"module": "A", "command": "x", "layout": [{"phrase": "a: b", "box": BOX}]}, "a: b"),
        ({"module": "A", "command": "x", "layout": [{"phrase": "dog", "box": BOX[::-1]}]}, "swap"),
        ({"module": "A", "command": "x", "media": 0}, "greater than or equal to 1"),
        ({"module": "H", "command": "x"}, "'A', 'B'"),
        ({"module": "A", "command": "x", "colour": "red"}, "colour"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Invocation.model_validate(fields)


def test_a_command_is_one_line() -> None:
    assert Invocation(module=Module.A, command="  a\n cat ").command == "a cat"


def test_calls_are_values() -> None:
    call = Invocation(module=Module.A, command="a cat", layout=(GroundedPhrase(phrase="cat", box=BOX),))
    assert call == call.model_copy()
    assert hash(call) == hash(call.model_copy())
    with pytest.raises(ValidationError):
        call.command = "a dog"  # type: ignore[misc]  # frozen


@pytest.mark.parametrize("value", [Invocation, Region, GroundedPhrase])
def test_json_schemas_can_be_made(value: type[BaseModel]) -> None:
    assert value.model_json_schema()["type"] == "object"


def test_a_call_as_json_names_its_module_by_letter() -> None:
    assert Invocation(module=Module.A, command="a cat").model_dump(mode="json")["module"] == "A"


@pytest.mark.parametrize("command", ["remove the dog", "add a dog"])
def test_types_and_edits_share_one_entrance(command: str) -> None:
    assert parse_edit(Invocation(module=Module.C, command=command).command)
