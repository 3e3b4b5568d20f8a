"""Judges calls before anything runs: does what the planner wrote mean what was asked?

A call is carried out exactly, on the scene's description instead of its pixels, and the result is compared with what
was wanted. So a wrong command is told apart from a specialist that fails.
"""

from dataclasses import dataclass
from itertools import permutations

from vitron_agent.errors import VitronError
from vitron_agent.evaluation.cases import Case, Like, MadeFilm, Step, Target, Turn
from vitron_agent.evaluation.drive import CaseRecord, invocation_of
from vitron_agent.invocation import Invocation, Module
from vitron_agent.shapes.check import Wanted, WantedObject, same_objects
from vitron_agent.shapes.clip_words import Said, motions_in, read_film
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks_refer import apply
from vitron_agent.shapes.tasks_results import apply_clip


@dataclass(frozen=True)
class PlanVerdict:
    """What is right in the planner's first reply.

    Attributes:
        well_formed: Its calls could be read and fit their schema.
        module: The right module, or rightly none.
        command: The call means what was asked; None where no call was to be made.
    """

    well_formed: bool
    module: bool
    command: bool | None


def judge_plan(case: Case, record: CaseRecord) -> PlanVerdict:
    """Judge the first reply of the first turn."""
    turn = case.turns[0]
    if not record.turns:
        return PlanVerdict(False, False, False if turn.ways[0] else None)
    calls = record.turns[0].calls
    readable = [(call, invocation_of(call.letter, call.arguments)) for call in calls]
    well_formed = all(call.well_formed and found is not None for call, found in readable)
    firsts = {way[0].letter if way else "" for way in turn.ways}
    letter = calls[0].letter if calls else ""
    module = letter in firsts
    if firsts == {""}:
        return PlanVerdict(well_formed, module, None)
    steps = [way[0] for way in turn.ways if way and way[0].letter == letter]
    invocation = readable[0][1] if readable else None
    right = invocation is not None and any(means(step, invocation, turn) for step in steps)
    return PlanVerdict(well_formed, module, right)


def means(step: Step, call: Invocation, turn: Turn) -> bool:
    """Whether a call, carried out exactly, does what a step asks.

    Args:
        step: What was asked.
        call: What the planner wrote.
        turn: The request with its pictures and videos.
    """
    scene, drawn = turn.scenes[-1] if turn.scenes else None, turn.region
    try:
        if step.like is not None:
            return _means_like(step.like, call, turn)
        if step.film is not None:
            return _means_film(step.film, call, scene)
        if call.module in (Module.E, Module.F):
            return _means_in_clip(step, call, turn)
        if step.target is not None:
            assert scene is not None
            found = Target(call=call, drawn=drawn).find(scene)
            return found == step.target.find(scene)
        after = apply(scene, call, drawn)
        if step.change is not None:
            assert scene is not None
            media = step.change.call.media if step.change.call is not None else call.media
            return media == call.media and same_objects(after, step.change.result(scene)).all_ok
        return step.show is None or same_objects(after, step.show).all_ok
    except (ValueError, VitronError):  # it means nothing, or several things
        return False


def _means_like(like: Like, call: Invocation, turn: Turn) -> bool:
    """The same for a request by an example: as much as words can say of it must be right."""
    right = like.call
    if call.module is not right.module or call.media not in (None, len(turn.scenes)):
        return False
    if like.motion is not None:
        return like.motion.name in call.command.split()
    wanted = Wanted.of(apply(turn.scenes[-1], right, turn.region), sizes="size" in like.measures)
    return same_objects(apply(turn.scenes[-1], call, turn.region), wanted).all_ok


def _means_film(film: MadeFilm, call: Invocation, scene: Scene | None) -> bool:
    """The same for a call that makes a video."""
    if film.call is not None:
        assert scene is not None
        return film.call.media == call.media and motions_in(scene, call.command) == film.of(scene)
    assert film.wanted is not None
    said, ground = read_film(call.command)
    wanted, motions = film.wanted, film.motions or (None,) * len(film.wanted.objects)
    asked = list(zip(wanted.objects, motions, strict=True))
    return (
        len(said) == len(asked)
        and wanted.background in (None, ground)
        and any(all(map(_says, order, asked)) for order in permutations(said))
    )


def _says(said: Said, asked: tuple[WantedObject, str | None]) -> bool:
    """Whether a command says of an object all that was asked of it."""
    (wanted, motion), words = asked, said.words
    pairs = (
        (wanted.shape, words.shape),
        (wanted.colour, words.colour),
        (wanted.size, words.size),
        (wanted.place, said.place),
        (motion, said.motion),
    )
    return all(want in (None, is_said) for want, is_said in pairs)


def _means_in_clip(step: Step, call: Invocation, turn: Turn) -> bool:
    """The same for a call on a video."""
    wanted = step.target or step.clip_change
    if wanted is None or wanted.call is None:
        return True
    number, right = (each.media or len(turn.clips) for each in (call, wanted.call))
    if number != right or not 1 <= number <= len(turn.clips):
        return False
    clip = turn.clips[number - 1]
    if isinstance(wanted, Target):
        return Target(call=call, drawn=turn.region).find(clip.scene) == wanted.find(clip.scene)
    after, asked = apply_clip(clip, call, turn.region), wanted.result(clip)
    return same_objects(after.scene, Wanted.of(asked.scene, sizes=False)).all_ok
