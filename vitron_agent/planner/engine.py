"""`VitronPlanner`: reads a conversation, writes a reply with calls, and takes their signals.

One own decoding loop: the grammar masks the logits, tags and task words that must follow are fed without asking, and
when a call is closed its whole run of signal tokens goes through in one forward pass (GILL's forced run); their
last-layer states are the signals. Nothing here knows messages, tools or stores.
"""

import json
from collections.abc import Callable, Collection, Generator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers import Cache, LlamaTokenizer

from vitron_agent.errors import Cancelled, CheckpointError, InputError
from vitron_agent.invocation import Module
from vitron_agent.planner.decoding import Grammar, State
from vitron_agent.planner.features import FeatureCache
from vitron_agent.planner.fixed_cache import FixedCache, in_place
from vitron_agent.planner.identity import origin_digest, weights_digest
from vitron_agent.planner.loading import REMEDY
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.pieces import TokenTable
from vitron_agent.planner.prefix_cache import MAX_BYTES, PrefixCache, conversation_tokens
from vitron_agent.planner.processor import Processor, Serialised, Turn, UserTurn
from vitron_agent.planner.reply import DEFAULT_SETTINGS, PlannerOutput, Reply, Settings
from vitron_agent.planner.rules import rules_for
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.signals import SignalEmbeddings

_COLDEST = 1e-6  # a smaller temperature samples the most likely id too, but logits over it would overflow
_ROOM = 1024  # positions that a prompt leaves for the reply and its signals


class VitronPlanner:
    """The planner ready for use.

    Safe to share between conversations and threads: all it keeps are caches of media and of what was read before.
    """

    def __init__(
        self, model: PlannerModel, vocabulary: Vocabulary, prefix_bytes: int = MAX_BYTES, system: str = ""
    ) -> None:
        """Put model and words together.

        Args:
            model: The network; it may have rows for more words.
            vocabulary: Its words.
            prefix_bytes: Memory for conversations that were read before (see `PrefixCache`); 0 reads all anew.
            system: What stands before the first turn.
        """
        self.model = model.eval()
        self.vocabulary = vocabulary
        positions = model.llava.config.text_config.max_position_embeddings
        self.processor = Processor(
            vocabulary,
            model.image_tokens,
            max_tokens=max(positions - _ROOM, positions // 2),
            system=system,
            folds_case=model.folds_case,
            video_tokens=model.video_tokens,
        )
        self.table = TokenTable(vocabulary)
        self.prefixes = PrefixCache(model.llava.config.text_config, prefix_bytes)
        self.fixed: FixedCache | None = None  # where replies are read by a compiled step
        self.features = FeatureCache(self.model)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> "VitronPlanner":
        """Load a planner folder (LLaVA layout, `extra.safetensors`, tokenizer).

        Args:
            folder: Where it lies.
            device: Where the weights go.
            dtype: What they become; half precision on disk.

        Raises:
            CheckpointError: A file is missing, damaged or of another shape; the message names it.
        """
        folder = Path(folder)
        model = PlannerModel.load(folder, device, dtype)
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"planner weights: {path} is missing; {REMEDY}")
        try:
            tokenizer = LlamaTokenizer.from_pretrained(folder, local_files_only=True)
            json.loads(path.read_text())
        except Exception as error:  # the tokenizers library raises bare Exception
            raise CheckpointError(f"planner weights: {path} is damaged ({error}); {REMEDY}") from error
        own, shared = model.settings.get("signals_per_module", 4), model.settings.get("shared_signals", 4)
        vocabulary = Vocabulary(tokenizer, own, shared)
        if len(tokenizer) != model.llava.config.text_config.vocab_size:
            rows = model.llava.config.text_config.vocab_size
            raise CheckpointError(f"planner weights: {path} has {len(tokenizer)} tokens, the weights {rows}; {REMEDY}")
        try:
            _ = vocabulary.tags, vocabulary.signals(Module.A)
        except KeyError as error:
            raise CheckpointError(f"planner weights: {path}: {error.args[0]}; {REMEDY}") from error
        return cls(model, vocabulary)

    @cached_property
    def revision(self) -> str:
        """Stands for the weights, and for what is seen of a video with them; worked out once."""
        return f"{weights_digest(self.model)} {self.model.sees_frames}"

    def without_frames(self) -> "VitronPlanner":
        """A planner over the same weights that sees of a video the mean over time alone (see `encode_videos`)."""
        model = copy(self.model)  # the weights themselves are shared
        model.sees_frames = False
        return VitronPlanner(model, self.vocabulary)

    def reply(
        self,
        conversation: Sequence[Turn],
        allowed_modules: Collection[Module] = (),
        settings: Settings = DEFAULT_SETTINGS,
        on_token: Callable[[str], None] | None = None,
    ) -> PlannerOutput:
        """Write the next reply; the same as `stream`, with pieces of text handed to `on_token`.

        Args:
            conversation: Turns so far; the last one is the user's (or a tool's result).
            allowed_modules: What may be called; modules whose picture is missing are left out by themselves.
            settings: How to decode.
            on_token: Is given the free text piece by piece.

        Raises:
            InputError: The conversation is too long, speaks of a picture that is not there, or does not end with a
                user's turn.
            StorageError: A picture's or video's handle leads nowhere, or to what is damaged.
            Cancelled: `settings.cancelled` said so.
        """
        pieces = self.stream(conversation, allowed_modules, settings)
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                output: PlannerOutput = end.value
                return output
            if on_token is not None:
                on_token(piece)

    @torch.inference_mode()
    def stream(
        self,
        conversation: Sequence[Turn],
        allowed_modules: Collection[Module] = (),
        settings: Settings = DEFAULT_SETTINGS,
    ) -> Generator[str, None, PlannerOutput]:
        """Write the next reply, yielding its free text piece by piece and returning the whole.

        Arguments and errors are those of `reply`.
        """
        if not conversation or not isinstance(conversation[-1], UserTurn):
            last = "nothing" if not conversation else "a reply"
            raise InputError(f"the conversation must end with a user's message or a result, not with {last}: add one")
        prompt = self.processor.fit(conversation)
        counts = prompt.count(videos=False), prompt.count(videos=True)
        rules = rules_for(allowed_modules, *counts, drawn=bool(prompt.regions), max_calls=settings.max_calls)
        tokens = conversation_tokens(prompt, self.processor)
        known, cache = self.prefixes.begin(tokens)
        out = Reply(prompt, cache, Grammar(self.table, rules, settings.max_new_tokens), tokens)
        generator = torch.Generator(self.model.device).manual_seed(settings.seed)
        state = self.model.hidden(self.embed(prompt, known), out.cache)[0, -1]
        is_complete, run = False, len(self.vocabulary.signals(Module.A))
        with in_place(self.fixed, out, settings.max_new_tokens + settings.max_calls * run):
            while not is_complete:
                if settings.cancelled is not None and settings.cancelled():
                    raise Cancelled("the planner was asked to stop")
                self._write(out, self._choose(out.grammar, state, settings.temperature, generator))
                ready = out.ready(self.vocabulary, settings.stop)
                if len(ready) > out.shown:
                    piece, out.shown = ready[out.shown :], len(ready)
                    yield piece
                is_complete = out.complete(settings.max_calls)
                if out.has_open_call or not is_complete:
                    state = self._read(out)
        self.prefixes.keep((*tokens, *out.fed), out.cache)
        return out.output(self.vocabulary)

    def embed(self, prompt: Serialised, known: int = 0) -> Tensor:
        """Embeddings (1, T - known, d_llm) of a written-down conversation, features merged in.

        Args:
            prompt: The conversation, T ids.
            known: Ids at its beginning that are left out; pictures and regions that stand there are not looked at.
        """
        tags, device = self.vocabulary.tags, self.model.device
        seen = prompt.ids[:known].count(tags["<image>"])
        tokens: list[Tensor] = []
        for shown in prompt.media:
            count = self.processor.tokens_of(shown)
            if seen < count:
                features = self.model.numbered(self.features.encode(shown.content).tokens[0], shown.number)
                tokens.append(features[seen:])
            seen = max(0, seen - count)
        drawn = [i == tags["<objs>"] and not own for i, own in zip(prompt.ids, prompt.learn, strict=True)]
        regions = [
            self.model.encode_regions(self.features.encode(prompt.media[index].content).patches, mask[None])
            for index, mask in prompt.regions[sum(drawn[:known]) :]
        ]
        return self.model.merge(
            torch.tensor([prompt.ids[known:]], device=device),
            torch.cat(tokens) if tokens else None,
            torch.cat(regions) if regions else None,
            torch.tensor([drawn[known:]], device=device),
        )

    def forget(self) -> None:
        """Let go of all that is kept to be quicker: what earlier conversations and media computed."""
        self.prefixes.clear()
        self.features.clear()

    def signal_run(self, module: Module, cache: Cache, lead: Sequence[int] = ()) -> tuple[SignalEmbeddings, Tensor]:
        """Feed a module's whole run of signal tokens behind a closed call (GILL's forced run).

        Args:
            module: Whose run.
            cache: Holds everything before `lead`; grows by both.
            lead: Ids up to the call's last closing tag that were not read yet: they go with it.

        Returns:
            The signals, and the state (d_llm,) of the last token.
        """
        states = self._states([*lead, *self.vocabulary.signals(module)], cache)[len(lead) :]
        own = self.vocabulary.per_module
        return SignalEmbeddings(states[:own].float().cpu().clone(), states[own:].float().cpu().clone()), states[-1]

    def _states(self, ids: Sequence[int], cache: Cache) -> Tensor:
        """Last-layer states (k, d_llm) of k new ids."""
        embeds = self.model.merge(torch.tensor([list(ids)], device=self.model.device))
        if self.fixed is not None and self.fixed.holds(cache) and len(ids) == 1:
            return self.fixed.read(embeds)[0]
        return self.model.hidden(embeds, cache)[0]

    def _choose(self, grammar: Grammar, state: Tensor, temperature: float, generator: torch.Generator) -> int:
        """The next id: the most likely allowed one, or a sample."""
        logits = self.model.logits(state).float()[: self.table.size]  # published heads are padded beyond the words
        allowed, call = grammar.allowed(), self.vocabulary.tags["<module>"]
        if grammar.state is State.TEXT and not allowed[call] and int(logits.argmax()) == call:
            return self.vocabulary.eos  # it would call now and may not: what comes second are words without end
        logits = logits.masked_fill(~allowed.to(logits.device), float("-inf"))
        if temperature < _COLDEST:
            return int(logits.argmax())
        return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))

    def _write(self, out: Reply, token: int) -> None:
        """Write an id and all that must follow it. They are read later: the user need not wait for that."""
        grammar, calls, must = out.grammar, len(out.grammar.calls), [token]
        while must and grammar.budget > 0 and len(grammar.calls) == calls:
            if grammar.state is State.TEXT:
                out.text_ids.append(must[0])
            grammar.feed(must[0])
            out.unread.append(must[0])
            out.new_tokens += 1
            must = grammar.forced()
        if out.has_open_call:
            out.unread.pop()  # the first of the signal run: the rest goes with it

    def _read(self, out: Reply) -> Tensor:
        """Read what was written, and the signals of a call it closed; return the state that predicts the next id."""
        ids, out.unread = out.unread, []
        out.fed += ids
        if not out.has_open_call:
            return self._states(ids, out.cache)[-1]
        module = out.grammar.calls[-1].module
        out.fed += self.vocabulary.signals(module)
        signals, state = self.signal_run(module, out.cache, ids)
        out.signals.append(replace(signals, origin=origin_digest(self.revision, (*out.tokens, *out.fed))))
        return state
