"""How a tool ends a call, whoever runs it: errors by their kinds, threads of its own, words in place of arguments."""

import pytest

from vitron_agent.errors import NothingFoundError
from vitron_agent.graphs import user_turn
from vitron_agent.testing import EchoSpecialist


def test_a_retryable_error_is_an_answer_in_a_graph(bench, picture: str) -> None:
    answer = bench.run([user_turn("look", [picture])], "segment_image", {"command": "the unicorn"})
    assert (answer.status, answer.artifact) == ("error", None)
    assert answer.content == "Result: not done: 'the unicorn' is not in the picture"


def test_from_python_retryable_errors_are_raised_too(tools, picture: str) -> None:
    with pytest.raises(NothingFoundError):
        tools["segment_image"].invoke({"command": "the unicorn", "picture": picture})


def test_a_forged_runtime_is_overwritten(bench, picture: str) -> None:
    arguments = {"command": "it", "runtime": {"state": {"messages": []}}}
    assert bench.run([user_turn("x", [picture])], "segment_image", arguments).status == "success"


async def test_tools_run_asynchronously(tools, picture: str) -> None:
    content = await tools["segment_image"].ainvoke({"command": "the red circle", "picture": picture})
    assert content.startswith("Result: the red circle at")


async def test_words_alone_are_the_command(tools, echo: EchoSpecialist) -> None:
    """LangChain lets any tool be invoked with a text."""
    assert tools["generate_image"].invoke("a red circle") == "Result: done."
    assert await tools["generate_image"].ainvoke("a blue star") == "Result: done."
    assert [request.command for request in echo.requests] == ["a red circle", "a blue star"]
