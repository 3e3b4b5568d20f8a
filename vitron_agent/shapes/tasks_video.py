"""Conversations about videos: following an object, editing, refusals, chains and dialogues.

Every maker takes a session whose video is in hand and a style, and returns a step, having carried it out; None where
the video does not allow it. Questions are made in tasks_video_ask.py.
"""

from dataclasses import replace

from vitron_agent.invocation import Module
from vitron_agent.shapes.captions import article
from vitron_agent.shapes.clip import sample_clip
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, clashes, sample_scene
from vitron_agent.shapes.tasks_act import Maker, elliptic, other_colour
from vitron_agent.shapes.tasks_chat import any_slots, chat, refusal, reply
from vitron_agent.shapes.tasks_play import begin, joined, one_more, some, with_region
from vitron_agent.shapes.tasks_segment import around
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Step, Style
from vitron_agent.shapes.tasks_video_ask import VIDEO_QUESTIONS, point_in_clip
from vitron_agent.shapes.tasks_words import Reference, mark, point_at_nothing

_ASKS = ("what", "which", "where", "does", "how")


def track(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask to follow an object, pointed at by words or by a region drawn on the first frame."""
    if by_region:
        drawn = around(session)
        if drawn is None:
            return None
        target = Reference(session.writer.say("region.np", mark=mark(session.writer)), "the object", drawn[0])
    else:
        found = point_in_clip(session)
        if found is None:
            return None
        target = found
    clause = session.worded("track", style, x=target.words)
    action = session.call(Module.E, target.phrase, uses_drawn_region=by_region)
    session.focus = target.index
    facts = {"kind": "track", "target": target.index, "clip": session.clip, "video": session.playing}
    answer, about = f"Here is {target.phrase}, tracked through the video.", "" if by_region else target.phrase
    return Step(clause, (action,), answer, facts, about=about)


def _worded(session: Session, style: Style, family: str, **slots: str) -> str:
    """Word an edit: half of the time as for a picture, else with the video in its words."""
    return session.worded(f"{family}.clip" if session.writer.chance(0.5) else family, style, **slots)


def _edited(
    session: Session, clause: str, target: Reference | None, new: Obj | None, ground: str | None, is_now: str
) -> Step:
    """Change an object, the background, or both: command, call, answer and facts."""
    before, number, focus = session.clip, session.playing, session.focus
    command = f"replace {target.phrase} with {article(f'{new.colour} {new.shape}')}" if target and new else ""
    action = session.call(Module.F, command, background=f"change the background to {ground}" if ground else None)
    session.focus = target.index if target else focus
    operation = "both" if target and ground else "replace" if target else "background"
    facts = {"kind": "edit_video", "operation": operation, "before": before, "after": session.clip, "video": number}
    facts["target"] = target.index if target else None
    return Step(clause, (action,), f"Done: {is_now} now.", facts, about=target.phrase if target else "")


def recolour_video(session: Session, style: Style) -> Step | None:
    """Ask for another colour of an object."""
    short = elliptic(session, style)
    target = short or point_in_clip(session)
    if target is None:
        return None
    colour = other_colour(session, target.index)
    word = session.writer.word(f"word.{colour}")
    if short:
        clause = session.writer.say("recolour.short", colour=word)
    else:
        clause = _worded(session, style, "recolour", x=target.words, colour=word)
    new = replace(session.scene.objects[target.index], colour=colour)
    return _edited(session, clause, target, new, None, f"{target.phrase} is {colour}")


def reshape_video(session: Session, style: Style) -> Step | None:
    """Ask for another shape of an object."""
    target = point_in_clip(session)
    if target is None:
        return None
    old = session.scene.objects[target.index]
    shape = session.writer.rng.choice([s for s in SHAPES if s != old.shape])
    clause = _worded(session, style, "reshape", x=target.words, shape=session.writer.word(f"word.{shape}"))
    return _edited(session, clause, target, replace(old, shape=shape), None, f"{target.phrase} is {article(shape)}")


def _other_ground(session: Session, aside: int | None = None) -> str | None:
    """Draw another background that hides no object (but may hide the one to be changed)."""
    scene = session.scene
    kept = [o.colour for i, o in enumerate(scene.objects) if i != aside]
    names = [b for b in BACKGROUNDS if b != scene.background and not any(clashes(c, b) for c in kept)]
    return session.writer.rng.choice(names) if names else None


def ground_video(session: Session, style: Style) -> Step | None:
    """Ask for another background."""
    ground = _other_ground(session)
    if ground is None:
        return None
    clause = _worded(session, style, "ground", ground=session.writer.word(f"ground.{ground}"))
    return _edited(session, clause, None, None, ground, f"the background is {ground}")


def both_video(session: Session, style: Style) -> Step | None:
    """Ask for another colour of an object and another background at once."""
    writer, target = session.writer, point_in_clip(session)
    ground = None if target is None else _other_ground(session, target.index)
    if target is None or ground is None:
        return None
    old = session.scene.objects[target.index]
    colour = writer.rng.choice([c for c in COLOURS if c != old.colour and not clashes(c, ground)])
    slots = {"colour": writer.word(f"word.{colour}"), "ground": writer.word(f"ground.{ground}")}
    clause = session.worded("both.clip", style, x=target.words, **slots)
    is_now = f"{target.phrase} is {colour} and the background is {ground}"
    return _edited(session, clause, target, replace(old, colour=colour), ground, is_now)


VIDEO_EDITS: tuple[tuple[Maker, float], ...] = (
    (recolour_video, 0.52),
    (reshape_video, 0.08),
    (ground_video, 0.22),
    (both_video, 0.18),
)
"""Edits of a video and how often each is drawn."""
_TRACKS: tuple[tuple[Maker, float], ...] = ((track, 0.8), (with_region(track), 0.2))
_DIALOGUE: tuple[tuple[Maker, float], ...] = (
    (track, 0.28),
    *((maker, 0.36 * weight) for maker, weight in VIDEO_EDITS),
    *((maker, 0.36 * weight) for maker, weight in VIDEO_QUESTIONS),
)


def refuse_no_video(session: Session) -> None:
    """Play a request about a video where there is none; perhaps there is a picture."""
    writer = session.writer
    if writer.chance(0.4):
        session.upload(sample_scene(writer.rng))
    text = writer.say("no.video", **any_slots(session))
    question = text.startswith(_ASKS)
    if not question and not text.startswith(("I ", "can ")) and writer.chance(0.4):
        text = writer.say("polite", do=text)
    session.say(text, reply(session, "no_video"), refusal("no video"), question)


def refuse_missing_in_video(session: Session) -> None:
    """Play a request to follow, change or speak of an object that the video does not have."""
    writer, rng = session.writer, session.writer.rng
    if not session.playing:
        session.upload_clip(sample_clip(rng))
    words, phrase = point_at_nothing(session)
    form = rng.choice(("track", "track", "recolour", "reshape", "way"))
    if form == "way":
        text = session.asked("way", "full", x=words)
    elif form == "track":
        text = session.worded("track", "full", x=words)
    else:
        shape, colour = rng.choice(session.scene.objects).shape, rng.choice(tuple(COLOURS))
        slots = {"shape": writer.word(f"word.{shape}"), "colour": writer.word(f"word.{colour}")}
        text = _worded(session, "full", form, x=words, **slots)
    session.say(text, f"The {phrase} is not in the video.", refusal("missing object"), text.endswith("?"))


VIDEO_REFUSALS = ((refuse_no_video, 0.16), (refuse_missing_in_video, 0.06))
"""Requests about a video that cannot be met; their weights go with those of `tasks_chat.REFUSALS`."""


def one_video(session: Session, makers: tuple[tuple[Maker, float], ...]) -> bool:
    """One request about an uploaded video."""
    session.upload_clip(sample_clip(session.writer.rng))
    return one_more(session, makers)


def track_video(session: Session) -> bool:
    """One request to follow an object."""
    return one_video(session, _TRACKS)


def track_alike(session: Session) -> bool:
    """One request to follow one of two alike objects, pointed at by a drawn region."""
    session.upload_clip(sample_clip(session.writer.rng, alike=True))
    return one_more(session, ((with_region(track), 1.0),)) and session.focus in (0, 1)


def _chain(session: Session) -> bool:
    """Two requests in one turn: "make it blue, then track it"."""
    steps = [some(session, _DIALOGUE, "bare") for _ in range(2)]
    made = [step for step in steps if step is not None]
    return len(made) == 2 and joined(session, made)


def _in_video(session: Session, number: int) -> bool:
    """A request about a video by its number; the video in hand stays unless that one is edited."""
    writer, hand, focus, before = session.writer, session.playing, session.focus, len(session.videos)
    session.take_clip(number)
    step = some(session, _DIALOGUE, "bare")
    if step is None:
        return False
    if len(session.videos) == before:
        session.take_clip(hand, focus)
    where = writer.say("in.clip.n", n=str(number), nth=writer.word(f"nth.{number}"))
    text = f"{where}, {step.clause}" if writer.chance(0.3) else f"{step.clause} {where}"
    session.play(writer.say("polite", do=text) if writer.chance(0.4) else text, [step])
    return True


def _further(session: Session) -> bool:
    """One turn of a dialogue."""
    rng, kind = session.writer.rng, session.writer.rng.random()
    if kind < 0.25:
        return _chain(session)
    if kind < 0.4 and len(session.videos) > 1:
        return _in_video(session, rng.randint(1, len(session.videos)))
    if kind < 0.45 and session.turns:
        chat(session, rng.choice(("thanks", "ok", "thanks", "offtopic")))
        return True
    if kind < 0.49:
        refuse_missing_in_video(session)
        return True
    return one_more(session, _DIALOGUE)


def dialogue_video(session: Session) -> bool:
    """One to three turns about a video, or about one of two; now and then a picture was drawn before."""
    writer = session.writer
    if writer.chance(0.1) and not begin(session):
        return False
    session.upload_clip(sample_clip(writer.rng))
    count = writer.rng.choices((1, 2, 3), (0.2, 0.45, 0.35))[0]
    if writer.chance(0.12):
        session.upload_clip(sample_clip(writer.rng))
        return _in_video(session, writer.rng.randint(1, 2)) and (count == 1 or _further(session))
    if count == 1:
        return _chain(session)
    return all(_further(session) for _ in range(count))
