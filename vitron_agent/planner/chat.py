"""`ChatVitron`: the planner as a LangChain chat model.

Messages with text, pictures and drawn regions in; text and tool calls out, streamed. The signals of each call are put
into the media store; the message carries their handles in `response_metadata["vitron"]`. This file does not know how
messages become turns (messages.py) nor how replies are written (engine.py).
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from vitron_agent.errors import InputError, listed, quoted
from vitron_agent.media import NO_SOURCES, MediaSources, MediaStore
from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.messages import read_turns, tool_arguments, tool_modules
from vitron_agent.planner.reply import MAX_SEED, PlannerOutput, Settings
from vitron_agent.signals import SignalStore, arguments_digest

MAX_NEW_TOKENS = 256
_ANY_CHOICE = (None, True, False, "auto", "any", "required")  # of `tool_choice`: all tools stay


class ChatVitron(BaseChatModel):
    """VITRON as a chat model.

    Attributes:
        planner: The network with its words.
        store: Where pictures are looked up and signals are kept; without it there are no signals.
        sources: Where pictures of messages may come from besides; each call reads them anew.
        model_name: Name in metadata.
        temperature: 0 or None for the most likely reply, above 0 to sample.
        max_tokens: Ids to write at most; None for 256.
        stop: Texts that end a reply.
        seed: Of the sampling.
        use_signals: Whether signals are kept for the tools; False leaves them to work by words alone.
    """

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    planner: Any = Field(default=None, exclude=True)
    store: Any = Field(default=None, exclude=True)
    sources: MediaSources = Field(default=NO_SOURCES, exclude=True)
    model_name: str = Field(default="vitron-tiny", alias="model")
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: list[str] | None = None
    seed: int = Field(default=0, ge=-MAX_SEED, le=MAX_SEED)
    use_signals: bool = True
    streaming: bool = False
    cache: bool | None = False  # a cached reply would repeat its tool call ids

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        store: MediaStore | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        **fields: Any,
    ) -> "ChatVitron":
        """Load a planner folder.

        Args:
            folder: See `VitronPlanner.from_pretrained`.
            store: Where pictures are looked up and signals are kept.
            device: Where the weights go.
            dtype: What they become.
            **fields: Further attributes of this class.

        Raises:
            CheckpointError: A file is missing, damaged or of another shape.
        """
        return cls(planner=VitronPlanner.from_pretrained(folder, device, dtype), store=store, **fields)

    @property
    def _llm_type(self) -> str:
        return "vitron-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "seed": self.seed,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }

    def _resolve_model_profile(self) -> Any:
        can = {"image_inputs": True, "video_inputs": True, "tool_calling": True}
        return {"max_input_tokens": self._engine.processor.max_tokens, **can}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "vitron"
        params["ls_model_name"] = kwargs.get("model") or self.model_name
        return params

    @property
    def _engine(self) -> VitronPlanner:
        if not isinstance(self.planner, VitronPlanner):
            raise TypeError("ChatVitron has no planner: pass planner=VitronPlanner.from_pretrained(folder)")
        return self.planner

    def forget(self) -> None:
        """Free the memory that earlier conversations take: see `VitronPlanner.forget`."""
        self._engine.forget()

    def get_token_ids(self, text: str) -> list[int]:
        """Ids of a text in the planner's own vocabulary. LangChain's default would fetch GPT-2's from the web."""
        return self._engine.vocabulary.encode(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Any = None, **kwargs: Any) -> int:
        """How many ids the planner reads of these messages, pictures, videos and the template's own words included.

        Args:
            messages: Any part of a conversation.
            tools: Cost nothing: which ones are bound shapes the grammar, not the prompt.
            **kwargs: Left alone; LangChain's other models take more.

        Raises:
            InputError: A message that cannot be read.
            DownloadError: An address that cannot be downloaded.
            StorageError: A handle that the store does not have.
        """
        return len(self._engine.processor.serialise(read_turns(messages, self.store, self.sources)).ids)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Say which tools may be called; only VITRON's own modules are, by their names.

        Args:
            tools: Tools, functions or schemas.
            tool_choice: A tool's name leaves only that one, "none" leaves none. Nothing makes this planner call where
                it would rather answer: "any" is "auto".
            **kwargs: Further options of each call.

        Raises:
            InputError: `tool_choice` names none of the tools.
        """
        return self.bind(tools=_chosen([convert_to_openai_tool(tool) for tool in tools], tool_choice), **kwargs)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        """Is not there: the grammar of this planner's replies is the invocation template, no schema of the caller's.

        Raises:
            NotImplementedError: Always, as LangChain asks of models without it.
        """
        raise NotImplementedError("ChatVitron writes no structured output: bind the tools of vitron_tools() instead")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[dict[str, Any]] = (),
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ends: Any = stop or self.stop or ()  # `bind(stop="END")` is no list, against LangChain's types
        for message in self._chunks(messages, (ends,) if isinstance(ends, str) else tuple(ends), tools, kwargs):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(str(message.text), chunk=chunk)
            yield chunk

    def _settings(self, stop: tuple[str, ...], options: dict[str, Any]) -> Settings:
        """How to decode: options of the call, else the attributes; None counts as not given."""
        given = {name: value for name, value in options.items() if value is not None}
        return Settings(
            max_new_tokens=given.get("max_tokens", self.max_tokens or MAX_NEW_TOKENS),
            stop=stop,
            temperature=given.get("temperature", self.temperature or 0.0),
            seed=given.get("seed", self.seed),
            cancelled=given.get("cancelled"),
        )

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: tuple[str, ...],
        tools: Sequence[dict[str, Any]],
        options: dict[str, Any],
    ) -> Iterator[AIMessageChunk]:
        """The reply in pieces: text as it is written, then the calls, then the metadata."""
        settings = self._settings(stop, options)
        pieces = self._engine.stream(read_turns(messages, self.store, self.sources), tool_modules(tools), settings)
        while True:
            try:
                yield AIMessageChunk(content=next(pieces))
            except StopIteration as end:
                output: PlannerOutput = end.value
                break
        signals: dict[str, dict[str, str]] = {}
        for index, invocation in enumerate(output.invocations):
            call_id = f"call_{uuid.uuid4().hex[:24]}"
            arguments = json.dumps(tool_arguments(invocation))
            piece = tool_call_chunk(name=invocation.module.tool_name, args=arguments, id=call_id, index=1 + index)
            yield AIMessageChunk(content="", tool_call_chunks=[piece])
            if self.use_signals and isinstance(self.store, MediaStore):
                digest = arguments_digest(invocation)
                handle = SignalStore(self.store).put(output.signals[index], digest)
                signals[call_id] = {"handle": handle, "args_digest": digest}
        usage = UsageMetadata(
            input_tokens=output.prompt_tokens,
            output_tokens=output.new_tokens,
            total_tokens=output.prompt_tokens + output.new_tokens,
        )
        metadata = {
            "model_name": options.get("model") or self.model_name,
            "model_provider": "vitron",
            "finish_reason": output.finish,
            "vitron": {"signals": signals},
        }
        yield AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")


def _chosen(tools: list[dict[str, Any]], choice: Any) -> list[dict[str, Any]]:
    """The tools that a `tool_choice` in LangChain's, OpenAI's or Anthropic's form leaves."""
    if isinstance(choice, dict):
        named = choice.get("function", choice)
        choice = (named.get("name") if isinstance(named, dict) else named) or choice.get("type")
    if choice in _ANY_CHOICE:
        return tools
    names = [tool["function"]["name"] for tool in tools]
    if choice != "none" and choice not in names:
        raise InputError(f"tool_choice {quoted(str(choice), 40)} is none of the tools: choose of {listed(names)}")
    return [tool for tool in tools if tool["function"]["name"] == choice]
