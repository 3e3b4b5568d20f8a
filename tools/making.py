"""The one way a tool is made: a LangChain `StructuredTool` whose schema shows a model only words, boxes and numbers.

What it needs besides comes in through `ToolRuntime`, which the schema does not show. Knows how a call begins and ends,
and no tool; what goes on in between is the tool's own.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool, ToolException
from langgraph.prebuilt import ToolRuntime

from vitron_agent.errors import RetryableError
from vitron_agent.invocation import Module
from vitron_agent.tools.arguments import ToolArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox
from vitron_agent.tools.stopping import check_for

Arguments = TypeVar("Arguments", bound=ToolArguments)
Work = Callable[[Call, Arguments], tuple[str, Artifact]]


def not_done(error: Exception) -> str:
    """Return what the planner reads when a call could not be done."""
    return f"Result: not done: {error}"


def make_tool(module: Module, schema: type[Arguments], work: Work[Arguments], toolbox: Toolbox) -> StructuredTool:
    """Make one tool.

    Args:
        module: What it does; the tool has its name.
        schema: Its arguments; the class docstring is the description.
        work: Does one call and returns the text for the planner and the artifact, a plain dict of handles and numbers.
        toolbox: The parts.

    Returns:
        A tool with `content_and_artifact` results. In a graph a `RetryableError` becomes a tool message of status
        "error"; called from Python it is raised. Final errors are always raised.
    """

    def answer(
        values: dict[str, Any], runtime: ToolRuntime | None, config: RunnableConfig, *more: threading.Event
    ) -> tuple[str, Artifact]:
        arguments = schema.model_validate(values)
        return _answer(work, arguments, Call(toolbox, module, arguments, runtime, config, check_for(config, *more)))

    # `words` is the command where a tool is invoked with a text and not with its arguments, as LangChain allows.
    def _run(
        *words: str,
        runtime: ToolRuntime = None,  # type: ignore[assignment]  # exactly this annotation is injected
        config: RunnableConfig,
        **values: Any,
    ) -> tuple[str, Artifact]:
        return answer(_named(words) | values, runtime, config)

    async def _arun(
        *words: str,
        runtime: ToolRuntime = None,  # type: ignore[assignment]
        config: RunnableConfig,
        **values: Any,
    ) -> tuple[str, Artifact]:
        abandoned = threading.Event()
        try:
            return await asyncio.to_thread(answer, _named(words) | values, runtime, config, abandoned)
        finally:
            abandoned.set()  # a cancelled task leaves its thread behind: that stops at its next step

    return StructuredTool.from_function(
        func=_run,
        coroutine=_arun,
        name=module.tool_name,
        description=schema.__doc__ or module.tool_name,
        args_schema=schema,
        response_format="content_and_artifact",
        handle_tool_error=not_done,
    )


def _answer(work: Work[Arguments], arguments: Arguments, call: Call) -> tuple[str, Artifact]:
    """Do one call, time it, and give errors the form that LangChain wants them in."""
    start = time.perf_counter()
    try:
        text, artifact = work(call, arguments)
    except RetryableError as error:
        if call.runtime is None:
            raise
        raise ToolException(str(error)) from error
    took = {"seconds": round(time.perf_counter() - start, 3), "signals": call.signals_used}
    return text, {**artifact, **took}


def _named(words: tuple[str, ...]) -> dict[str, Any]:
    return {"command": words[0]} if words else {}
