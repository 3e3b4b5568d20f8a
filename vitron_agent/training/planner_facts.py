"""Drills in seeing: a picture, or a video, and a list of terse queries, each answered in a word or two.

A reply to a person holds one fact or two among many words; here nearly every id is one. What people ask comes down to
these: an attribute of what some words mean, how two objects stand to each other, which object is the outermost or the
largest, what is at a place or beside an object, what an object of a video does. Knows scenes, clips and their language;
it knows no ids.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from vitron_agent.planner.processor import AssistantTurn, Turn, UserTurn
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.clip import DIRECTIONS, FRAMES, MOTIONS, Clip, sample_clip
from vitron_agent.shapes.scene import COLOURS, SHAPES, Obj, Scene, clashes, recoloured, relation, sample_scene
from vitron_agent.shapes.tasks_ask import name
from vitron_agent.shapes.tasks_compare import CLEAR
from vitron_agent.shapes.tasks_draw import RELATIONS
from vitron_agent.shapes.tasks_many import by_place
from vitron_agent.shapes.tasks_refer import EXTREMES, at_place, extreme_key, resolve
from vitron_agent.shapes.tasks_video_ask import STILL, doing, motion_of

Fact = tuple[str, str]
"""A query and its answer."""
Shown = TypeVar("Shown", Scene, Clip)
Queries: TypeAlias = Sequence[tuple[Callable[[random.Random, Shown], Fact | None], float]]
"""Makers of facts about what is shown, with their weights."""
EARLIER = 0.35
"""How often an earlier state of the picture was shown, and asked about, before: that no longer counts."""
APART = 0.12
"""Least distance of two centres along an axis that is spoken of."""


def facts(rng: random.Random) -> list[Turn]:
    """A picture and six to ten queries with their answers; in some, one object was another before."""
    scene = alike_scene(rng)
    if rng.random() >= EARLIER:
        return _asked(rng, scene, rng.randint(6, 10))
    return [*_asked(rng, _otherwise(rng, scene), rng.randint(1, 3)), *_asked(rng, scene, rng.randint(5, 8))]


def _asked(rng: random.Random, scene: Scene, count: int) -> list[Turn]:
    query, answer = _listed(rng, scene, _QUERIES, count)
    return [UserTurn(f"facts {query}", (scene,)), AssistantTurn(answer)]


def _otherwise(rng: random.Random, scene: Scene) -> Scene:
    """The picture with one object of another colour, shape or size, or without it, or on another background."""
    index, draw = rng.randrange(len(scene.objects)), rng.random()
    obj, others = scene.objects[index], list(scene.objects)
    if draw < 0.4:
        others[index] = recoloured(obj, rng.choice(_other_colours(scene, obj)), rng)
    elif draw < 0.7:
        others[index] = replace(obj, shape=rng.choice([shape for shape in SHAPES if shape != obj.shape]))
    elif draw < 0.85 and len(others) > 1:
        del others[index]
    else:
        return sample_scene(rng)
    return Scene(scene.background, tuple(others))


def _other_colours(scene: Scene, obj: Obj) -> list[str]:
    return [colour for colour in COLOURS if colour != obj.colour and not clashes(colour, scene.background)]


def clip_facts(rng: random.Random) -> list[Turn]:
    """A video and four to seven queries about what its objects do, with their answers."""
    clip = sample_clip(rng, rng.choice((None, 2, 3)))
    query, answer = _listed(rng, clip, _CLIP_QUERIES, rng.randint(4, 7))
    return [UserTurn(f"facts {query}", videos=(clip,)), AssistantTurn(answer)]


def _listed(rng: random.Random, shown: Shown, queries: Queries[Shown], count: int) -> tuple[str, str]:
    """Several queries in a row, and the same with their answers."""
    found: list[Fact] = []
    while len(found) < count:
        query, _ = rng.choices(queries, [weight for _, weight in queries])[0]
        fact = query(rng, shown)
        if fact is not None:
            found.append(fact)
    return ", ".join(query for query, _ in found), ", ".join(" ".join(fact) for fact in found) + "."


def table(rng: random.Random) -> list[Turn]:
    """A picture and all shapes (or colours, or places), and for each what is of that shape, colour or place.

    A shape is hard to find by: where colours told most of what was asked, the planner learned to go by colour alone.
    Here no word but the shape says what is meant, and no word of the list says what is there.
    """
    scene = alike_scene(rng)
    objects = [scene.objects[i] for i in by_place(scene)]
    kind = rng.choices(("shape", "color", "place"), (0.7, 0.15, 0.15))[0]
    found: dict[str, list[str]]
    if kind == "shape":
        found = {shape: [o.colour for o in objects if o.shape == shape] for shape in SHAPES}
    elif kind == "color":
        found = {colour: [o.shape for o in objects if o.colour == colour] for colour in COLOURS}
    else:
        found = {PLACE_WORDS[p][0]: [name(o) for o in objects if o.place == p] for p in PLACE_WORDS}
    keys = rng.sample(list(found), len(found))
    entries = [f"{key} {' and '.join(found[key]) or 'none'}" for key in keys]
    return [UserTurn(f"table {', '.join(keys)}", (scene,)), AssistantTurn(f"{', '.join(entries)}.")]


def tally(rng: random.Random) -> list[Turn]:
    """A picture and six to ten phrases, and how many objects each of them means.

    Half of the phrases are about another picture, so that no word gives away by coming back that it fits this one.
    """
    scene, other = alike_scene(rng), alike_scene(rng)
    phrases = [attributes(rng, rng.choice(rng.choice((scene, other)).objects), 0) for _ in range(rng.randint(6, 10))]
    counts = [f"{phrase} {len(resolve(scene, phrase))}" for phrase in phrases]
    return [UserTurn(f"tally {', '.join(phrases)}", (scene,)), AssistantTurn(f"{', '.join(counts)}.")]


def alike_scene(rng: random.Random) -> Scene:
    """A picture, mostly of three objects; in half of them some share a colour or a shape."""
    scene = sample_scene(rng, rng.choice((None, 3, 3)))
    first, *others = scene.objects
    draw = rng.random()
    if draw < 0.25:
        others = [recoloured(o, first.colour, rng) if rng.random() < 0.6 else o for o in others]
    elif draw < 0.5:
        others = [replace(o, shape=first.shape) if rng.random() < 0.6 else o for o in others]
    return Scene(scene.background, (first, *others))


def attributes(rng: random.Random, obj: Obj | None, change: float = 0.3) -> str:
    """Some of colour, shape and size: an object's own, or (without one, and in that share of cases) a word changed."""
    shape = obj.shape if obj else rng.choice(SHAPES)
    colour = obj.colour if obj else rng.choice(tuple(COLOURS))
    size = obj.size if obj else rng.choice(("small", "large"))
    if rng.random() < change:
        if rng.random() < 0.5:
            shape = rng.choice(SHAPES)
        else:
            colour = rng.choice(tuple(COLOURS))
    forms = (f"{colour} {shape}", shape, f"{colour} object", f"{size} {colour} {shape}", f"{size} {shape}")
    return rng.choices((*forms, f"{size} object"), (4, 3, 2, 1, 1, 1))[0]


def _names(found: list[Obj]) -> str:
    return " and ".join(name(obj) for obj in found) or "nothing"


def _attribute(rng: random.Random, scene: Scene) -> Fact | None:
    """Colour, shape, size or place of the one object that some words mean; "none" where there is none."""
    phrase = attributes(rng, rng.choice(scene.objects), 0.2)
    found = [scene.objects[i] for i in resolve(scene, phrase)]
    what = rng.choice(("color", "color", "shape", "size", "place"))
    if len(found) > 1 or what != "place" and _says(phrase, what):
        return None
    if not found:
        return f"{what} of {phrase}", "none"
    (obj,) = found
    values = {"color": obj.colour, "shape": obj.shape, "size": obj.size, "place": PLACE_WORDS[obj.place][0]}
    return f"{what} of {phrase}", values[what]


def _says(phrase: str, what: str) -> bool:
    """Whether a phrase gives the attribute away."""
    words = set(phrase.split())
    return bool(words & set({"color": tuple(COLOURS), "shape": SHAPES, "size": ("small", "large")}[what]))


def _pair(rng: random.Random, scene: Scene) -> tuple[str, str, Obj, Obj] | None:
    """Two objects, each with words that mean it alone."""
    if len(scene.objects) < 2:
        return None
    a, b = rng.sample(range(len(scene.objects)), 2)
    first, second = (attributes(rng, scene.objects[i], 0) for i in (a, b))
    if resolve(scene, first) != (a,) or resolve(scene, second) != (b,):
        return None
    return first, second, scene.objects[a], scene.objects[b]


def _related(rng: random.Random, scene: Scene) -> Fact | None:
    """How one object stands to another: beside it and above or below, where that is clear."""
    pair = _pair(rng, scene)
    words = relation(pair[2], pair[3], margin=APART) if pair else ()
    return (f"{pair[0]} to {pair[1]}", " ".join(words)) if pair and words else None


def _compared(rng: random.Random, scene: Scene) -> Fact | None:
    """Whether one object is larger than another."""
    pair = _pair(rng, scene)
    if pair is None or abs(pair[2].r - pair[3].r) < CLEAR:
        return None
    return f"size of {pair[0]} to {pair[1]}", "larger" if pair[2].r > pair[3].r else "smaller"


def _extreme(rng: random.Random, scene: Scene) -> Fact | None:
    """The leftmost, largest … object, where it is so by far."""
    word = rng.choice(EXTREMES)
    ranked = sorted(scene.objects, key=lambda obj: extreme_key(word, obj), reverse=True)
    margin = 2 * CLEAR if word in ("largest", "smallest") else 0.1
    if len(ranked) < 2 or extreme_key(word, ranked[0]) - extreme_key(word, ranked[1]) < margin:
        return None
    return word, name(ranked[0])


def _at(rng: random.Random, scene: Scene) -> Fact:
    """What is at a place, from left to right."""
    place = rng.choice((rng.choice(scene.objects).place, rng.choice(tuple(PLACE_WORDS))))
    found = [scene.objects[i] for i in by_place(scene) if at_place(scene.objects[i], place)]
    return PLACE_WORDS[place][0], _names(found)


def _beside(rng: random.Random, scene: Scene) -> Fact | None:
    """What is on one side of an object, from left to right, where that is clear."""
    if len(scene.objects) < 2:
        return None
    index, side = rng.randrange(len(scene.objects)), rng.choice(RELATIONS)
    obj, phrase = scene.objects[index], attributes(rng, scene.objects[index], 0)
    others = [scene.objects[i] for i in by_place(scene) if i != index]
    gaps = (abs(o.x - obj.x) if side in RELATIONS[:2] else abs(o.y - obj.y) for o in others)
    if resolve(scene, phrase) != (index,) or min(gaps, default=1.0) < APART:
        return None
    return f"{side} {phrase}", _names([o for o in others if side in relation(o, obj, margin=APART)])


def _whole(rng: random.Random, scene: Scene) -> Fact:
    """The background, or the number of objects."""
    return ("background", scene.background) if rng.random() < 0.5 else ("objects", str(len(scene.objects)))


def _way(rng: random.Random, clip: Clip) -> Fact | None:
    """What the one object does that some words mean; "none" where there is none."""
    phrase = attributes(rng, rng.choice(clip.scene.objects), 0.15)
    found = resolve(clip.scene, phrase)
    return (f"way of {phrase}", motion_of(clip, found[0]) if found else "none") if len(found) < 2 else None


def _who(rng: random.Random, clip: Clip) -> Fact:
    """Which objects do one thing, or move at all, from left to right."""
    if rng.random() < 0.25:
        return "movers", _names(doing(clip, *DIRECTIONS))
    motion = rng.choice((motion_of(clip, rng.randrange(len(clip.motions))), rng.choice((*MOTIONS, STILL))))
    return f"who {motion}", _names(doing(clip, motion))


def _movers(rng: random.Random, clip: Clip) -> Fact:
    """How many objects move."""
    return "number of movers", str(len(doing(clip, *DIRECTIONS)))


def _then(rng: random.Random, clip: Clip) -> Fact | None:
    """Where an object is at the start or the end."""
    index, when = rng.randrange(len(clip.motions)), rng.choice(("start", "end", "end"))
    phrase = attributes(rng, clip.scene.objects[index], 0)
    if resolve(clip.scene, phrase) != (index,):
        return None
    obj = clip.at(0 if when == "start" else FRAMES - 1).objects[index]
    return f"{when} of {phrase}", PLACE_WORDS[obj.place][0]


_QUERIES: Queries[Scene] = (
    (_attribute, 0.46),
    (_related, 0.13),
    (_compared, 0.08),
    (_extreme, 0.09),
    (_at, 0.09),
    (_beside, 0.1),
    (_whole, 0.05),
)
"""What is asked of a picture, and how often."""
_CLIP_QUERIES: Queries[Clip] = ((_way, 0.55), (_who, 0.2), (_movers, 0.05), (_then, 0.2))
"""What is asked of a video, and how often."""
