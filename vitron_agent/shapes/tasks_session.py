"""Plays a conversation in a simulated world: pictures and videos so far, what "it" means, which turns were said.

Calls are carried out exactly on scenes and clips (tasks_refer.apply, tasks_results.apply_clip), so the truth after
every step is known. This file knows how turns follow each other; what they consist
of stands in tasks_turns, and what people ask for is made in the other tasks_ files.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Region
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.language import REGION_MARK, Writer, tidy
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks_refer import apply, phrase_for
from vitron_agent.shapes.tasks_results import apply_clip, mask_result, track_result
from vitron_agent.shapes.tasks_turns import Action, Facts, Step, Style, Turn
from vitron_agent.shapes.typing_noise import roughen

RESULT_PICTURE = "Result: done."
"""What a planner reads after a generation or an edit; the new picture or video itself comes with it."""
LEADS = {
    Module.A: "I will draw it.",
    Module.B: "I will cut it out.",
    Module.C: "I will edit it.",
    Module.D: "I will make the video.",
    Module.E: "I will track it.",
    Module.F: "I will edit the video.",
    Module.G: "I will set it in motion.",
}
NEXT = "Next."
"""What the assistant says before the first call of a step, and before further ones."""


@dataclass
class Session:
    """A conversation in the making.

    Attributes:
        writer: Words, randomness and the split.
        pictures: All pictures so far; number n is at n - 1.
        current: Number of the picture in hand, 0 if there is none.
        trail: Numbers of the pictures that were in hand before each change (for undo), the last at the end.
        focus: Index of the object that "it" means in the picture or video in hand, or None.
        turns: What was said so far.
        videos: All videos so far; number n is at n - 1.
        playing: Number of the video in hand, 0 where it is a picture.
    """

    writer: Writer
    pictures: list[Scene] = field(default_factory=list)
    current: int = 0
    focus: int | None = None
    turns: list[Turn] = field(default_factory=list)
    trail: list[int] = field(default_factory=list)
    videos: list[Clip] = field(default_factory=list)
    playing: int = 0
    _new: list[Scene] = field(default_factory=list)
    _new_clips: list[Clip] = field(default_factory=list)
    _drawn: list[Region] = field(default_factory=list)

    @property
    def scene(self) -> Scene:
        """The picture in hand, or the first frame of the video in hand."""
        return self.clip.scene if self.playing else self.pictures[self.current - 1]

    @property
    def clip(self) -> Clip:
        """The video in hand."""
        return self.videos[self.playing - 1]

    @property
    def media(self) -> int | None:
        """The number that a call must name: None where the picture (or video) in hand is the latest."""
        if self.playing:
            return None if self.playing == len(self.videos) else self.playing
        return None if self.current == len(self.pictures) else self.current

    def upload(self, scene: Scene) -> None:
        """Give a picture with the user's next turn."""
        self._new.append(scene)
        self._show(scene)

    def upload_clip(self, clip: Clip) -> None:
        """Give a video with the user's next turn."""
        self._new_clips.append(clip)
        self.show_clip(clip)

    def draw(self, region: Region) -> None:
        """Draw a region with the user's next turn; its wording says where the mark stands, or it is put at an end."""
        self._drawn.append(region)

    def _show(self, scene: Scene) -> None:
        self.pictures.append(scene)
        self.current, self.playing, self.focus = len(self.pictures), 0, None

    def show_clip(self, clip: Clip) -> None:
        """Take a new video in hand."""
        self.videos.append(clip)
        self.playing, self.focus = len(self.videos), None

    def call(self, module: Module, command: str, **more: Any) -> Action:
        """Make a call on what is in hand and carry it out; the new picture or video, if any, is then in hand.

        Args:
            module: A, B or C, or for the video in hand E or F.
            command: Its command.
            **more: Further fields of the invocation (layout, region, uses_drawn_region, background).
        """
        needs_number = module is not Module.A
        invocation = Invocation(module=module, command=command, media=self.media if needs_number else None, **more)
        drawn = self._drawn[-1] if invocation.uses_drawn_region else None
        if module is Module.E:
            return Action(invocation, track_result(self.clip, command, self.playing, drawn), None)
        if module is Module.F:
            self.show_clip(apply_clip(self.clip, invocation, drawn))
            return Action(invocation, RESULT_PICTURE, None, self.clip)
        before = self.scene if self.current else None
        if module is Module.B:
            return Action(invocation, mask_result(self.scene, command, self.current, drawn), None)
        scene = apply(before, invocation, drawn)
        self._show(scene)
        return Action(invocation, RESULT_PICTURE, scene)

    def film(self, module: Module, command: str, clip: Clip) -> Action:
        """Make a call that makes a video, D of words or G of the picture in hand; the video is then in hand.

        Args:
            module: D or G.
            command: Its command.
            clip: What a right video shows; words leave open how far things move.
        """
        media = self.media if module is Module.G else None
        self.show_clip(clip)
        return Action(Invocation(module=module, command=command, media=media), RESULT_PICTURE, None, clip)

    def take(self, number: int, focus: int | None = None) -> None:
        """Take a picture in hand."""
        self.current, self.playing, self.focus = number, 0, focus

    def take_clip(self, number: int, focus: int | None = None) -> None:
        """Take a video in hand."""
        self.playing, self.focus = number, focus

    def go_back(self, number: int) -> None:
        """Take an earlier picture in hand, as the user asked; this can be undone."""
        self.trail.append(self.current)
        self.take(number)

    def undo(self) -> None:
        """Take the picture in hand that was so before the last change."""
        self.take(self.trail.pop())

    def saved(self) -> "Session":
        """A copy of the state, for `restore`; the writer is shared."""
        lists = {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}
        other = copy(self)
        vars(other).update(lists)
        return other

    def restore(self, saved: "Session") -> None:
        """Go back to a saved state."""
        vars(self).update(vars(saved))

    def say_of_it(self, family: str, **slots: str) -> str:
        """Word a family; what is in hand is called a picture, or where it is one, a video."""
        if self.playing:
            slots = {"picture": self.writer.word("clip"), **slots}
        return self.writer.say(family, **slots)

    def worded(self, family: str, style: Style, **slots: str) -> str:
        """Word a request from a family: alone with its frames and its `.full` forms, or as a bare imperative."""
        if style == "full" and self.writer.chance(0.38):
            return self.say_of_it(f"{family}.full", **slots)
        clause = self.say_of_it(family, **slots)
        return self.say_of_it("polite", do=clause) if style == "full" else clause

    def framed(self, style: Style, family: str, **slots: str) -> str:
        """Word a family's bare imperative, in a polite frame where the style is full."""
        clause = self.say_of_it(family, **slots)
        return self.say_of_it("polite", do=clause) if style == "full" else clause

    def direct(self, style: Style, family: str, **slots: str) -> str:
        """Word a question that has no embedded form: as it is, or behind "tell me" in the bare style."""
        question = self.say_of_it(family, **slots)
        return self.say_of_it("question", q=question) + "?" if style == "full" else f"tell me, {question}"

    def asked(self, family: str, style: Style, **slots: str) -> str:
        """Word a question: direct, or embedded behind "tell me" (always so in the bare style)."""
        say, chance = self.say_of_it, self.writer.chance
        if style == "full" and chance(0.7):
            return say("question", q=say(family, **slots)) + "?"
        return say("ask.lead" if style == "full" else "ask.do", ask=say(f"{family}.in", **slots))

    def user(self, text: str, steps: Iterable[Step] = (), question: bool = False) -> None:
        """Say a user's turn, typed as people type, with the new pictures, videos and drawn regions."""
        rng = self.writer.rng
        missing = len(self._drawn) - text.count(REGION_MARK)
        text = roughen(tidy(text), rng, question)
        if missing > 0:
            text = f"{REGION_MARK} {text}" if self.writer.chance(0.12) else f"{text} {REGION_MARK}"
        facts = {"steps": tuple(step.facts for step in steps)}
        clips = tuple(self._new_clips)
        self.turns.append(Turn("user", text, tuple(self._new), tuple(self._drawn), facts=facts, clips=clips))
        self._new, self._new_clips, self._drawn = [], [], []

    def assistant(self, text: str, facts: Facts, invocation: Invocation | None = None) -> None:
        """Say an assistant's turn."""
        self.turns.append(Turn("assistant", text, invocation=invocation, facts=facts))

    def play(self, text: str, steps: list[Step], question: bool = False) -> None:
        """Play a user's turn to its end: the calls one by one with their results, then what is said at last.

        Where there are several steps, each is announced by its number of how many: what is left to do can then be read
        off the last one. Where a step is about an earlier picture, that is said first, too.
        """
        self.user(text, steps, question)
        said: list[str] = []
        for number, step in enumerate(steps):
            if len(steps) > 1:
                said.append(f"({number + 1} of {len(steps)})")
            if (place := self._place(step)) is not None:
                said.append(place)
            for index, action in enumerate(step.actions):
                lead = NEXT if index else step.lead or LEADS[action.invocation.module]
                if step.about and not index:
                    lead = f"{step.about if place else capital(step.about)}: {lead}"
                self.assistant(" ".join([*said, lead]), step.facts, action.invocation)
                scenes = () if action.scene is None else (action.scene,)
                clips = () if action.clip is None else (action.clip,)
                self.turns.append(Turn("result", action.result, scenes, clips=clips))
                said = []
            if step.answer and (step.is_question or number == len(steps) - 1):
                said.append(uncapital(step.answer) if place and not step.actions else step.answer)
        self.assistant(" ".join(said), steps[-1].facts)

    def _place(self, step: Step) -> str | None:
        """Which picture or video a step is about, where that must be said."""
        call = step.actions[0].invocation if step.actions else None
        number = step.number or (call.media if call is not None else None)
        if number is None:
            return None
        of_video = self.playing if call is None else call.module in (Module.E, Module.F)
        return f"In {'video' if of_video else 'picture'} {number},"

    def say(self, text: str, reply: str, facts: Facts, question: bool = False, number: int | None = None) -> None:
        """Play a user's turn that is answered by words alone, about the picture or video of a number where given."""
        self.play(text, [Step(text, (), reply, facts, is_question=True, number=number)], question)

    def name_of(self, index: int) -> str | None:
        """The command's phrase for an object of what is in hand, or None where words do not tell it apart."""
        return phrase_for(self.scene, index)


def uncapital(text: str) -> str:
    """The text with a small first letter."""
    return text[:1].lower() + text[1:]


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]
