"""The grammar lets through well-formed calls only, whatever chooses among what it allows."""

import random
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitron_agent.invocation import Module, parse_reply
from vitron_agent.planner.decoding import Grammar, State
from vitron_agent.planner.pieces import TokenTable, box_prefix, layout_prefix, phrase_ends, untaken
from vitron_agent.planner.rules import Rules, rules_for
from vitron_agent.planner.tokenizer import Vocabulary

BOX = "(0.10, 0.30, 0.42, 0.62)"


@pytest.fixture(scope="module")
def table(vocabulary: Vocabulary) -> TokenTable:
    """The small vocabulary's table."""
    return TokenTable(vocabulary)


def play(table: TokenTable, rules: Rules, budget: int, dice: random.Random) -> tuple[Grammar, list[int]]:
    """Write a reply at random, with a liking for tags and numbers."""
    grammar = Grammar(table, rules, budget)
    ids: list[int] = []
    while grammar.state is not State.DONE and grammar.budget > 0:
        allowed = grammar.allowed().nonzero()[:, 0].tolist()
        tags = [i for i in allowed if i in table.special and i != table.vocabulary.eos]
        signs = [i for i in allowed if set(table.pieces[i]) & set(":(,)0123456789")]
        pool = dice.choice([pool for pool in (allowed, tags, signs) if pool])
        token = dice.choice(pool)
        if token == table.vocabulary.eos and len(allowed) > 1 and dice.random() < 0.7:
            continue
        grammar.feed(token)
        ids.append(token)
    return grammar, ids


@given(
    seed=st.integers(0, 2**31),
    budget=st.sampled_from([1, 2, 10, 25, 40, 60, 90, 160]),
    modules=st.sets(st.sampled_from(list(Module))),
    pictures=st.sampled_from([0, 1, 2, 12]),
    videos=st.sampled_from([0, 1, 3]),
    drawn=st.booleans(),
    max_calls=st.sampled_from([1, 2]),
)
def test_any_choice_within_the_grammar_is_a_reply_that_parses(
    table: TokenTable,
    seed: int,
    budget: int,
    modules: set[Module],
    pictures: int,
    videos: int,
    drawn: bool,
    max_calls: int,
) -> None:
    rules = rules_for(modules, pictures, videos, drawn=drawn, max_calls=max_calls)
    grammar, ids = play(table, rules, budget, random.Random(seed))
    assert len(ids) <= budget
    assert grammar.state in (State.TEXT, State.DONE)  # no call is left open
    text = re.sub(r"<signal_\w+>", "", table.vocabulary.tokenizer.decode(ids))
    reply = parse_reply(text)
    assert not reply.problems
    assert reply.invocations == tuple(grammar.calls)
    for call in grammar.calls:
        assert call.module in rules.modules
        assert rules.media(call.module) or not call.module.inputs
        assert drawn or not call.uses_drawn_region
        assert call.media is None or 1 <= call.media <= rules.media(call.module)


def write(table: TokenTable, rules: Rules, text: str) -> Grammar:
    """Feed a text; raise where the grammar does not allow it."""
    grammar = Grammar(table, rules, 300)
    for token in table.vocabulary.encode(text):
        grammar.feed(token)
    return grammar


ALL = rules_for(Module, pictures=2, videos=2, drawn=True)


@pytest.mark.parametrize(
    "text",
    [
        "Hello. What now?</s>",
        f"Sure. <module>A</module> <instruction>generation: a red circle, a small blue square: (yes)</instruction> "
        f"<region>red circle: {BOX}, small blue square: (0.60, 0.40, 1.00, 0.80)</region><signal_A_0></s>",
        f"<module>B</module> <instruction>segmentation: a star</instruction> <region>{BOX}</region><signal_B_0></s>",
        "<module>B</module> <instruction>segmentation: it</instruction> <region><objs></region> <media>2</media>"
        "<signal_B_0></s>",
        "<module>C</module> <instruction>edit: replace the red circle with a blue circle</instruction> "
        "<media>1</media><signal_C_0></s>",
        "<module>E</module> <instruction>tracking: the star</instruction> <region><objs></region><signal_E_0></s>",
        "<module>F</module> <instruction>video edit: replace it with a blue star</instruction><signal_F_0></s>",
        "<module>F</module> <instruction>background: change the background to navy</instruction> <media>2</media>"
        "<signal_F_0></s>",
        "<module>F</module> <instruction>foreground: remove the star</instruction> <instruction>background: "
        "a navy one</instruction><signal_F_0></s>",
    ],
)
def test_the_canonical_template_is_allowed(table: TokenTable, text: str) -> None:
    grammar = write(table, ALL, text)
    assert grammar.state is State.DONE
    assert tuple(grammar.calls) == parse_reply(re.sub(r"<signal_\w+>", "", text)).invocations


@pytest.mark.parametrize(
    ("rules", "text", "state"),
    [
        (rules_for(Module, 0), "<module>B", "LETTER"),  # no picture, no segmentation
        (rules_for(Module, 2), "<module>E", "LETTER"),  # no video, no tracking
        (ALL, "<module>F</module> <instruction>segmentation", "TASK"),  # another module's task word
        (ALL, "<module>F</module> <instruction>foreground: remove it</instruction><signal_F_0>", "COMMAND"),
        (rules_for({Module.A}, 3), "<module>C", "LETTER"),  # not bound
        (rules_for((), 1), "<module>", "TEXT"),  # nothing may be called
        (ALL, "<module>B</module> <instruction>edit", "COMMAND"),  # another module's task word
        (ALL, "<module>B</module> <instruction>segmentation:</instruction>", "COMMAND"),  # empty
        (ALL, "<module>B</module> <instruction>segmentation: it</instruction><signal_A_0>", "CLOSED"),
        (ALL, "<module>B</module> <instruction>segmentation: it</instruction> <region>(0.10, 0.30, 0.09", "REGION"),
        (ALL, "<module>A</module> <instruction>generation: it</instruction> <region><objs>", "REGION"),
        (ALL, "<module>A</module> <instruction>generation: it</instruction> <media>", "OPTION"),
        (ALL, "<module>B</module> <instruction>segmentation: it</instruction> <media>3", "MEDIA"),
        (
            rules_for(Module, 1),
            "<module>B</module> <instruction>segmentation: it</instruction> <media>",
            "OPTION",
        ),
        (
            rules_for(Module, 1),
            "<module>B</module> <instruction>segmentation: it</instruction> <region><objs>",
            "REGION",
        ),
        (ALL, "<module>A</module> <instruction>generation: a red circle</instruction> <region>blue", "REGION"),
        (ALL, "<module>A</module> <instruction>generation: a red circle</instruction> <region>re:", "REGION"),
        (
            ALL,
            f"<module>A</module> <instruction>generation: a red circle</instruction> <region>red circle: {BOX}, red",
            "REGION",
        ),
        (ALL, "1 < 2", "TEXT"),  # a bracket might spell a tag
    ],
)
def test_what_makes_no_sense_is_not_allowed(table: TokenTable, rules: Rules, text: str, state: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        write(table, rules, text)


def test_only_the_last_token_of_a_bad_call_is_refused(table: TokenTable) -> None:
    grammar = write(
        table, ALL, "<module>B</module> <instruction>segmentation: it</instruction> <region>(0.10, 0.30, 0."
    )
    one = table.vocabulary.encode("1")[0]
    grammar.feed(one)  # 0.1? may still become more than 0.10
    assert not grammar.allowed()[table.vocabulary.encode("0")[0]]
    assert grammar.allowed()[one]


def test_a_phrase_may_stand_in_a_layout_as_often_as_in_the_command(table: TokenTable) -> None:
    twice = "<module>A</module> <instruction>generation: a red star and a red star</instruction> <region>"
    grammar = write(table, ALL, f"{twice}red star: {BOX}, red star: (0.50, 0.10, 0.70, 0.30), a")
    assert not grammar.allowed()[table.vocabulary.encode(" red")[0]]


@pytest.mark.parametrize(
    ("command", "taken", "text", "rests", "may_end"),
    [
        ("a red circle and a red star", [], "red", [" circle and a red star", " star"], True),
        ("a red circle and a red star", ["red circle"], "red", [" star"], True),
        ("a red circle, a star", [], "red ci", ["rcle"], False),
        ("a red circle, a star", [], "red circle", [""], True),
        ("a red circle", ["red circle"], "red", [], False),
        ("a starfish", [], "fish", [], False),
        ("a star", [], "", ["a star", "star"], False),
    ],
)
def test_phrases_come_from_the_command(
    command: str, taken: list[str], text: str, rests: list[str], may_end: bool
) -> None:
    assert phrase_ends(untaken(command, taken), text) == (rests, may_end)


@pytest.mark.parametrize("end", range(len(BOX) + 1))
def test_every_beginning_of_a_box_is_one(end: int) -> None:
    assert box_prefix(BOX[:end])
    assert layout_prefix(f"red circle: {BOX}, blue square: {BOX[:end]}")


@pytest.mark.parametrize(
    "text",
    ["0", "(2", "(1.00", "(0.1 ", "(0.10,0", "(0.50, 0.50, 0.50", "(0.50, 0.50, 0.60, 0.4", BOX + ")", BOX + " "],
)
def test_what_is_no_beginning_of_a_box(text: str) -> None:
    assert not box_prefix(text)


@pytest.mark.parametrize(
    "text", [": (", "a (", "a:(", "a: b", f"a: {BOX};", f"a: {BOX}, : (", " a", "a: (0.10, 0.30, 0.05"]
)
def test_what_is_no_beginning_of_a_layout(text: str) -> None:
    assert not layout_prefix(text)


def test_the_only_id_that_may_come_is_forced(table: TokenTable) -> None:
    grammar = write(table, rules_for({Module.B}, 1), "<module>B</module> <instruction>segmentation: it</instruction> ")
    assert grammar.forced() == [grammar.tags["<region>"]]  # there is one picture, so none is to be named
    for token in table.vocabulary.encode(f"<region>{BOX}"):
        grammar.feed(token)
    assert grammar.forced() == [grammar.tags["</region>"]]
    grammar.feed(grammar.tags["</region>"])
    assert grammar.forced() == table.vocabulary.signals(Module.B)[:1]
    grammar.feed(grammar.forced()[0])
    assert grammar.forced() == [table.vocabulary.eos]  # one call is all
    grammar.feed(table.vocabulary.eos)
    assert grammar.forced() == []


def test_pieces_that_a_text_can_begin_with(table: TokenTable) -> None:
    wanted = {i for i, piece in enumerate(table.pieces) if piece and " red circle".startswith(piece)}
    assert len(wanted) > 1
    assert set(table.beginnings(" red circle")) == wanted
    assert table.beginnings("") == []


def test_the_rest_of_a_tag_is_forced(table: TokenTable) -> None:
    grammar = Grammar(table, ALL, 100)
    for token in table.vocabulary.encode("<module>B"):
        grammar.feed(token)
    forced = grammar.forced()
    assert table.vocabulary.tokenizer.decode(forced) == "</module> <instruction>segmentation:"
    for token in forced:
        assert torch.equal(grammar.allowed().nonzero()[:, 0], torch.tensor([token]))
        grammar.feed(token)
    assert grammar.forced() == []
