"""Template-constrained decoding: a state machine over tokens that lets through only well-formed calls.

Tags come as whole special tokens only; behind `<module>` stand only letters of modules that may be called; commands
begin with the module's task word; boxes are numbers that mean a box. Free text stays free, but for the character `<`.
Every call that is begun is closed within the budget, whatever the model's weights say. The machine knows text and ids,
no tensors beyond the mask it hands out.
"""

import re
from enum import Enum, auto

from torch import Tensor

from vitron_agent.invocation import Invocation, Module, parse_reply
from vitron_agent.planner.pieces import TokenTable, box_prefix, layout_prefix, phrase_ends, untaken
from vitron_agent.planner.rules import Rules

_COMMAND_RESERVE = 3  # ids: </instruction>, first signal token, and one word
_REGION_RESERVE = 40  # ids: blank, tag, a word, ": ", a box spelled in single characters, closing tag, signal token
_MAX_COMMAND_TOKENS = 128
_MAX_PHRASE_TOKENS = 24
_MAX_PHRASES = 8
_FOREGROUND, _BACKGROUND = "foreground", "background"
_LAYERS = (Module.F.task, _FOREGROUND, _BACKGROUND)
"""What may stand before the colon of a video edit; behind a foreground's command the background's follows."""


class State(Enum):
    """Where in a reply the machine stands."""

    TEXT = auto()  # free text; a call may begin
    LETTER = auto()  # behind <module>
    TASK = auto()  # behind <instruction> of a video edit, which names the layer it is about
    COMMAND = auto()  # behind "task:"
    CLOSED = auto()  # behind a closing tag that may be the call's last
    OPTION = auto()  # behind the blank that follows it: <region> or <media> must come
    REGION = auto()
    MEDIA = auto()
    DONE = auto()


class Grammar:
    """Follows one reply: `allowed` says which ids may come next, `forced` which must, `feed` goes on."""

    def __init__(self, table: TokenTable, rules: Rules, budget: int) -> None:
        """Start at the beginning of a reply.

        Args:
            table: The vocabulary's table.
            rules: What this reply may do.
            budget: Ids that may be written, the end included.
        """
        self.table, self.rules, self.budget = table, rules, budget
        self.state = State.TEXT
        self.queue: list[int] = []
        self.calls: list[Invocation] = []
        self.module: Module | None = None
        self.task = ""  # before the colon of the open instruction
        self.written: list[int] = []  # ids of the open tag's content
        self.parts: dict[str, str] = {}
        self.tags = table.vocabulary.tags
        self._next: Tensor | None = None  # what `allowed` said last, until an id is fed

    @property
    def shortest_call(self) -> int:
        """Ids that the shortest call needs, from `<module>` to its first signal token."""
        words = max((len(self.table.vocabulary.encode(f"{m.task}:")) for m in self.rules.modules), default=0)
        layers = self._second_layer if Module.F in self.rules.modules else 0
        return 5 + words + layers + _COMMAND_RESERVE + 1

    @property
    def _second_layer(self) -> int:
        """Ids that the background's instruction needs behind the foreground's."""
        return 2 + len(self.table.vocabulary.encode(f"{_BACKGROUND}:")) + _COMMAND_RESERVE

    def allowed(self) -> Tensor:
        """Bool (V,), not to be written to: which ids may come next; at least one is True unless the reply is done."""
        if self._next is None:
            queued = self.table.mask(self.queue[:1]) if self.queue else None
            self._next = getattr(self, f"_{self.state.name.lower()}")() if queued is None else queued
        return self._next

    def forced(self) -> list[int]:
        """Ids that must follow without asking the model: the rest of a tag, "generation:", or the only one allowed."""
        if self.queue or self.state is State.DONE:
            return list(self.queue)
        allowed = self.allowed().nonzero()
        return [int(allowed)] if len(allowed) == 1 else []

    def feed(self, token: int) -> None:
        """Take the next id.

        Raises:
            ValueError: The id is not allowed here.
        """
        if not self.allowed()[token]:
            raise ValueError(f"id {token} ({self.table.pieces[token]!r}) is not allowed in state {self.state.name}")
        self.budget -= 1
        self._next = None
        if self.queue:
            self.queue.pop(0)
            return
        getattr(self, f"_after_{self.state.name.lower()}")(token)

    # What may come next, per state.

    def _text(self) -> Tensor:
        allowed = self.table.text.clone() if self.budget > 1 else self.table.mask(())
        allowed[self.table.vocabulary.eos] = True
        more = len(self.calls) < self.rules.max_calls and self.rules.modules
        if self.calls and not more:
            return self.table.mask((self.table.vocabulary.eos,))
        if more and self.budget > self.shortest_call:
            allowed[self.tags["<module>"]] = True
        return allowed

    def _letter(self) -> Tensor:
        return self.table.mask(self.table.vocabulary.encode(m.letter)[0] for m in self.rules.modules)

    def _task(self) -> Tensor:
        return self.table.mask(self.table.vocabulary.encode(f"{task}:")[0] for task in _LAYERS)

    def _command(self) -> Tensor:
        close = self.table.mask((self.tags["</instruction>"],))
        reserve = _COMMAND_RESERVE + (self._second_layer if self.task == _FOREGROUND else 0)
        hurry = self.budget <= reserve or len(self.written) >= _MAX_COMMAND_TOKENS
        if not self.written:
            blank = self.table.mask(() if hurry else (self.table.blank,))
            return self.table.begins_word | blank
        sound = self._call() is not None
        if hurry:
            return close if sound else self.table.words
        return self.table.command | close if sound else self.table.command

    def _closed(self) -> Tensor:
        assert self.module is not None
        allowed = self.table.mask(self.table.vocabulary.signals(self.module)[:1])
        if self._options() and self.budget > _REGION_RESERVE:
            allowed[self.table.blank] = True
        return allowed

    def _option(self) -> Tensor:
        return self.table.mask(self.tags[name] for name in self._options())

    def _region(self) -> Tensor:
        assert self.module is not None
        text = self._content()
        if self.written and self.written[0] == self.tags["<objs>"]:
            return self.table.mask((self.tags["</region>"],))
        if not self.module.takes_layout:
            allowed = self.table.mask(i for i in self.table.box if box_prefix(text + self.table.pieces[i]))
            if not self.written and self.rules.drawn:
                allowed[self.tags["<objs>"]] = True
            return self.table.mask((self.tags["</region>"],)) if text.endswith(")") else allowed
        return self._layout(text)

    def _layout(self, text: str) -> Tensor:
        pieces, hurry = self.table.pieces, self.budget <= _REGION_RESERVE - 6
        done, entry = text.count(")"), text.rpartition(")")[2].removeprefix(",")
        if text.endswith(")"):
            allowed = self.table.mask((self.tags["</region>"],))
            if not hurry and done < _MAX_PHRASES and self.budget > _REGION_RESERVE:
                allowed |= self.table.mask(i for i in self.table.structural if layout_prefix(text + pieces[i]))
            return allowed
        if ":" in entry:
            return self.table.mask(i for i in self.table.box if layout_prefix(text + pieces[i]))
        phrase = entry.strip()
        if phrase and (hurry or self._since_entry() >= _MAX_PHRASE_TOKENS):
            return self.table.mask(
                i for i in self.table.structural if pieces[i].startswith(":") and layout_prefix(text + pieces[i])
            )
        return self._phrase(text, entry.lstrip())

    def _phrase(self, text: str, phrase: str) -> Tensor:
        """How a layout's phrase may begin or go on: it is a run of the command's words that no other entry holds.

        Where the command gives no such run (another script, all words taken), any phrase is as good.
        """
        lead = "" if phrase or not text or text.endswith(" ") else " "
        left = untaken(self.parts[self.task], re.findall(r"(?:^|\), )([^:]+): \(", text))
        rests, may_end = phrase_ends(left, phrase)
        allowed = self.table.mask(i for rest in rests for i in self.table.beginnings(lead + rest))
        if not phrase:
            start = self.table.begins_word if lead else self.table.words
            return allowed & start if (allowed & start).any() else start
        if not may_end and not allowed.any():
            allowed, may_end = self.table.phrase.clone(), True
        ends = self.table.structural if may_end else ()
        return allowed | self.table.mask(i for i in ends if layout_prefix(text + self.table.pieces[i]))

    def _media(self) -> Tensor:
        assert self.module is not None
        text = self._content()
        numbers = {str(n) for n in range(1, self.rules.media(self.module) + 1)}
        rests = [number.removeprefix(text) for number in numbers if number.startswith(text)]
        allowed = self.table.mask(i for rest in rests for i in self.table.beginnings(rest))
        if text in numbers:
            allowed[self.tags["</media>"]] = True
        return allowed

    # What an id leads to, per state.

    def _after_text(self, token: int) -> None:
        if token == self.table.vocabulary.eos:
            self.state = State.DONE
        elif token == self.tags["<module>"]:
            self.state, self.parts, self.written = State.LETTER, {}, []

    def _after_letter(self, token: int) -> None:
        self.module = Module[self.table.pieces[token].strip()]
        self.queue = [self.tags["</module>"], self.table.blank, self.tags["<instruction>"]]
        self.task, self.state = self.module.task, State.COMMAND
        if self.module is Module.F:
            self.state = State.TASK
        else:
            self.queue += self.table.vocabulary.encode(f"{self.task}:")

    def _after_task(self, token: int) -> None:
        starts = {task: self.table.vocabulary.encode(f"{task}:") for task in _LAYERS}
        self.task = next(task for task, ids in starts.items() if ids[0] == token)
        self.queue, self.state = starts[self.task][1:], State.COMMAND

    def _after_command(self, token: int) -> None:
        if token != self.tags["</instruction>"]:
            self.written.append(token)
            return
        self.parts[self.task] = self._content().strip()
        self.written, self.state = [], State.CLOSED
        if self.task == _FOREGROUND:
            self.task, self.state = _BACKGROUND, State.COMMAND
            start = self.table.vocabulary.encode(f"{_BACKGROUND}:")
            self.queue = [self.table.blank, self.tags["<instruction>"], *start]

    def _after_closed(self, token: int) -> None:
        if token == self.table.blank:
            self.state = State.OPTION
            return
        call = self._call()
        assert call is not None
        self.calls.append(call)
        self.state = State.TEXT

    def _after_option(self, token: int) -> None:
        self.written = []
        self.state = State.REGION if token == self.tags["<region>"] else State.MEDIA

    def _after_region(self, token: int) -> None:
        self._after_tag(token, "region", "</region>")

    def _after_media(self, token: int) -> None:
        self._after_tag(token, "media", "</media>")

    def _after_tag(self, token: int, part: str, closing: str) -> None:
        if token != self.tags[closing]:
            self.written.append(token)
            return
        self.parts[part] = self._content()
        self.written, self.state = [], State.CLOSED

    # Helpers.

    def _content(self) -> str:
        """Text of the open tag's content."""
        if self.written and self.written[0] == self.tags["<objs>"]:
            return "<objs>"
        return self.table.vocabulary.decode(self.written)

    def _since_entry(self) -> int:
        """Ids of the layout's present entry."""
        count = 0
        for token in reversed(self.written):
            if ")" in self.table.pieces[token]:
                break
            count += 1
        return count

    def _options(self) -> list[str]:
        """Tags that may still follow: a region, then a picture's number."""
        if "media" in self.parts:
            return []
        options = [] if "region" in self.parts else ["<region>"]
        has_choice = self.module is not None and self.rules.media(self.module) > 1
        return [*options, "<media>"] if has_choice else options

    def _call(self) -> Invocation | None:
        """The call as it would read if its open tag were closed now; None where that is no sound call."""
        assert self.module is not None
        parts = self.parts if self.task in self.parts else {**self.parts, self.task: self._content().strip()}
        written = f"<module>{self.module.letter}</module>"
        for task in (self.module.task, _FOREGROUND, _BACKGROUND):
            if task in parts:
                written += f" <instruction>{task}: {parts[task]}</instruction>"
        for name in ("region", "media"):
            if name in parts:
                written += f" <{name}>{parts[name]}</{name}>"
        reply = parse_reply(written)
        if len(reply.invocations) != 1 or reply.problems or reply.text.strip():
            return None
        call = reply.invocations[0]
        return call if call.module is self.module else None
