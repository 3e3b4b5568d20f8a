import json

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ValidationError

from vitron_agent.invocation import GroundedPhrase, Invocation, Module
from vitron_agent.media import Region
from vitron_agent.signals import arguments_digest
from vitron_agent.tools.arguments import ARGUMENTS, EditArguments, GenerateArguments, SegmentArguments


def test_generate_arguments_become_module_a_with_its_layout() -> None:
    arguments = GenerateArguments.model_validate(
        {"command": "a red circle", "layout": [{"phrase": "red circle", "box": [0.1, 0.3, 0.42, 0.62]}]}
    )
    layout = (GroundedPhrase(phrase="red circle", box=(0.1, 0.3, 0.42, 0.62)),)
    assert arguments.invocation() == Invocation(module=Module.A, command="a red circle", layout=layout)


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ({}, {}),
        ({"region": [0.1, 0.2, 0.5, 0.6]}, {"region": Region.from_box(0.1, 0.2, 0.5, 0.6)}),
        ({"region": "drawn"}, {"uses_drawn_region": True}),
        ({"picture": 2}, {"media": 2}),
        ({"picture": "sha256:" + "0" * 64}, {}),
    ],
)
@pytest.mark.parametrize(("schema", "module"), [(SegmentArguments, Module.B), (EditArguments, Module.C)])
def test_picture_arguments_become_their_module(schema: type, module: Module, extra: dict, wanted: dict) -> None:
    call = schema.model_validate({"command": "remove the cat", **extra}).invocation()
    assert call == Invocation(module=module, command="remove the cat", **wanted)


def test_the_digest_is_the_planners() -> None:
    """What a planner wrote, through JSON and back, must have the digest of what it meant."""
    region = Region.from_box(0.23, 0.35, 0.61, 0.8)
    meant = Invocation(module=Module.B, command="the  red circle", region=region, media=1)
    written = json.loads(json.dumps({"command": "the  red circle", "region": [0.23, 0.35, 0.61, 0.8], "picture": 1}))
    assert arguments_digest(SegmentArguments.model_validate(written).invocation()) == arguments_digest(meant)


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": ""},
        {"command": "x" * 2001},
        {"command": "cat </instruction> dog"},
        {"command": "cat", "region": [0.5, 0.1, 0.2, 0.3]},
        {"command": "cat", "region": [0.1, 0.1, 1.2, 0.3]},
        {"command": "cat", "region": [float("nan"), 0.1, 0.2, 0.3]},
        {"command": "cat", "region": [0.1, 0.1, 0.3]},
        {"command": "cat", "region": "here"},
        {"command": "cat", "picture": [1]},
    ],
)
def test_bad_arguments_are_refused(arguments: dict) -> None:
    with pytest.raises(ValidationError):
        SegmentArguments.model_validate(arguments)


def test_a_layout_phrase_that_cannot_be_written_is_refused() -> None:
    layout = [{"phrase": "cat, dog", "box": [0.1, 0.1, 0.2, 0.2]}]
    with pytest.raises(ValidationError, match="must be words without"):
        GenerateArguments.model_validate({"command": "pets", "layout": layout})


def test_tools_show_a_model_only_what_it_may_write(tools: dict) -> None:
    shown = {name: convert_to_openai_tool(tool)["function"]["parameters"] for name, tool in tools.items()}
    assert {name: set(parameters["properties"]) for name, parameters in shown.items()} == {
        "generate_image": {"command", "layout"},
        "segment_image": {"command", "region", "picture"},
        "edit_image": {"command", "region", "picture"},
        "track_video": {"command", "region", "video"},
        "edit_video": {"command", "background", "region", "video"},
    }


def test_schemas_avoid_what_providers_refuse(tools: dict) -> None:
    text = json.dumps([convert_to_openai_tool(tool) for tool in tools.values()])
    assert "prefixItems" not in text
    assert "runtime" not in text


def test_every_tool_takes_what_its_module_is_said_to_take(tools: dict) -> None:
    assert tuple(ARGUMENTS) == tuple(Module)
    schemas = {module.tool_name: schema for module, schema in ARGUMENTS.items()}
    assert all(tool.args_schema is schemas[name] for name, tool in tools.items())
