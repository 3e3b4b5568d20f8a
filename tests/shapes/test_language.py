import random

import pytest

from vitron_agent.shapes.language import (
    Writer,
    heldout_ids,
    phrasebook,
    plural,
    read_families,
    read_template,
    tidy,
)
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES

WORD_LISTS = ("word.", "ground.", "place.", "rel.", "nth.", "say.", "move.to.", "number.", "shape.of.it")
PLAIN = {"thing", "shape_noun", "picture", "backdrop", "the", "noun", "country", "food", "n1", "n2", "many", "def.csz"}
SLOTS = set("x y a b c d end q do ask to here new all n nth mark place pa pb pc rel".split())


def slots_of(nodes):
    for node in nodes:
        if isinstance(node, tuple):
            yield node[0]
        elif isinstance(node, list):
            for option in node:
                yield from slots_of(option)


def test_alternatives_slots_and_marks_are_read():
    template = read_template("draw", "~ 3x draw (me|) {scene} on {ground}")
    assert (template.heldout, template.weight, template.text) == (True, 3, "draw (me|) {scene} on {ground}")
    assert list(slots_of(template.nodes)) == ["scene", "ground"]


def test_the_id_belongs_to_the_text_and_not_to_its_marks():
    assert read_template("draw", "~ 2x draw {scene}").id == read_template("draw", "draw {scene}").id
    assert read_template("draw", "draw {scene}").id != read_template("paint", "draw {scene}").id


@pytest.mark.parametrize("line", ["draw (me|", "   "])
def test_a_broken_line_is_refused(line):
    with pytest.raises(ValueError, match="bracket|no template"):
        read_template("draw", line)


def test_a_template_before_any_family_is_refused():
    with pytest.raises(ValueError, match="before any"):
        read_families("draw {scene}\n[draw]\n")


def test_every_word_of_the_world_has_synonyms():
    for name in (*SHAPES, *COLOURS):
        texts = [t.text for t in phrasebook()[f"word.{name}"].templates]
        assert name in texts
        assert len(texts) >= 6
    for name in BACKGROUNDS:
        assert len(phrasebook()[f"ground.{name}"].templates) >= 6


def test_no_synonym_stands_for_two_shapes_or_colours():
    for table in (SHAPES, COLOURS):
        seen = {}
        for name in table:
            for template in phrasebook()[f"word.{name}"].templates:
                assert seen.setdefault(template.text, name) == name


def test_templates_are_unique_within_their_family():
    for name, family in phrasebook().items():
        ids = [t.id for t in family.templates]
        assert len(set(ids)) == len(ids), name


def test_about_a_tenth_is_held_out():
    families = {n: f for n, f in phrasebook().items() if not n.startswith(WORD_LISTS) and n not in PLAIN}
    everything = [t for f in families.values() for t in f.templates]
    assert 0.08 < sum(t.heldout for t in everything) / len(everything) < 0.2
    big = {n: f for n, f in families.items() if len(f.templates) >= 12 and any(t.heldout for t in f.templates)}
    assert len(big) > 80
    for name, family in big.items():
        assert 0.02 < sum(t.heldout for t in family.templates) / len(family.templates) < 0.35, name


def test_the_inventory_is_wide():
    book = phrasebook()
    assert sum(len(family.templates) for family in book.values()) > 4500
    for name in ("draw", "recolour", "remove", "segment", "ground", "polite"):
        assert len(book[name].templates) > 90, name


def test_the_two_sides_are_disjoint():
    for family in phrasebook().values():
        train, held = {t.id for t in family.train}, {t.id for t in family.held}
        assert train.isdisjoint(held)
        assert train.isdisjoint(heldout_ids())
        assert train, "a family without training lines cannot be worded"


def test_training_never_words_a_held_out_template():
    slots = {slot for f in phrasebook().values() for t in f.templates for slot in slots_of(t.nodes)}
    filled = {slot: slot for slot in slots}
    writer = Writer(random.Random(0), "train")
    for name in phrasebook():
        for _ in range(20):
            writer.say(name, **filled)
    assert writer.used
    assert heldout_ids().isdisjoint(writer.used)


def sentences(nodes):
    """All that a template can say, its slots left open; blanks and stops do not count."""
    texts = [""]
    for node in nodes:
        options = [node] if isinstance(node, str) else [f"{{{node[0]}}}"] if isinstance(node, tuple) else None
        options = options or [text for option in node for text in sentences(option)]
        texts = [text + option for text in texts for option in options]
    return texts


def test_no_template_for_training_says_what_is_held_out():
    for name, family in phrasebook().items():
        said = {tidy(text).lower() for t in family.train for text in sentences(t.nodes)}
        held = {tidy(text).lower() for t in family.held for text in sentences(t.nodes)}
        assert said.isdisjoint(held), name


def test_held_out_writing_uses_held_out_templates():
    writer = Writer(random.Random(0), "heldout")
    for _ in range(20):
        writer.say("draw", scene="a circle")
    held = [name for name in writer.used if name in heldout_ids()]
    assert len(held) >= 8


def test_an_unknown_slot_is_an_error():
    with pytest.raises(KeyError):
        Writer(random.Random(0), "train").say("recolour")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a  orange circle , please .", "an orange circle, please."),
        ("an blue star", "a blue star"),
        ("a one", "a one"),
        ("draw  a star;.", "draw a star."),
        ("change it's color", "change its color"),
    ],
)
def test_tidy(text, wanted):
    assert tidy(text) == wanted


@pytest.mark.parametrize(
    ("noun", "wanted"), [("box", "boxes"), ("cross", "crosses"), ("disc", "discs"), ("round shape", "round shapes")]
)
def test_plural(noun, wanted):
    assert plural(noun) == wanted
