"""What is written is read back, and looks exactly as the planner was taught."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitron_agent.invocation import GroundedPhrase, Invocation, Module, PlannerReply, parse_reply, render_invocation
from vitron_agent.invocation.parser import DRAWN_COMMAND
from vitron_agent.invocation.tags import find_mark
from vitron_agent.media import Region

words = (
    st.text(min_size=1, max_size=40).map(lambda text: " ".join(text.split())).filter(lambda t: t and not find_mark(t))
)
phrases = (
    st.text(alphabet="abcdefghij klmnop'-", min_size=1, max_size=20).map(lambda t: " ".join(t.split())).filter(bool)
)
frames = st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda pair: (min(pair), max(pair)))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x1, y1 = draw(st.integers(0, 99)), draw(st.integers(0, 99))
    x2, y2 = draw(st.integers(x1 + 1, 100)), draw(st.integers(y1 + 1, 100))
    return x1 / 100, y1 / 100, x2 / 100, y2 / 100


@st.composite
def invocations(draw: st.DrawFn) -> Invocation:
    module = draw(st.sampled_from(Module))
    where = draw(st.sampled_from(["nowhere", "region", "drawn", "layout" if module.takes_layout else "region"]))
    background = draw(st.none() | words) if module is Module.F else None
    return Invocation(
        module=module,
        command="" if background and draw(st.booleans()) else draw(words),
        background=background,
        region=Region.from_box(*draw(boxes()), frames=draw(frames)) if where == "region" else None,
        uses_drawn_region=where == "drawn",
        layout=tuple(
            GroundedPhrase(phrase=phrase, box=draw(boxes()))
            for phrase in draw(st.lists(phrases, min_size=1, max_size=5))
        )
        if where == "layout"
        else (),
        media=draw(st.none() | st.integers(1, 999)),
    )


@given(invocations())
def test_what_is_written_is_read_back(invocation: Invocation) -> None:
    assert parse_reply(render_invocation(invocation)) == PlannerReply("", (invocation,))


@given(st.lists(invocations(), min_size=2, max_size=4))
def test_several_calls_are_read_back_in_order(several: list[Invocation]) -> None:
    reply = parse_reply("Sure. " + " ".join(map(render_invocation, several)) + "</s>")
    assert reply == PlannerReply("Sure.", tuple(several))


@given(invocations())
def test_a_call_survives_json(invocation: Invocation) -> None:
    assert Invocation.model_validate_json(invocation.model_dump_json()) == invocation


@pytest.mark.parametrize(
    ("invocation", "text"),
    [
        (
            Invocation(
                module=Module.A,
                command="a red circle left of a small blue square on a gray background",
                layout=(
                    GroundedPhrase(phrase="red circle", box=(0.10, 0.30, 0.42, 0.62)),
                    GroundedPhrase(phrase="small blue square", box=(0.60, 0.40, 0.80, 0.60)),
                ),
            ),
            "<module>A</module> <instruction>generation: a red circle left of a small blue square on a gray background"
            "</instruction> <region>red circle: (0.10, 0.30, 0.42, 0.62), small blue square: (0.60, 0.40, 0.80, 0.60)"
            "</region>",
        ),
        (
            Invocation(module=Module.B, command="the red circle"),
            "<module>B</module> <instruction>segmentation: the red circle</instruction>",
        ),
        (
            Invocation(module=Module.B, command="zebra", region=Region.from_box(0.23, 0.35, 0.61, 0.8)),
            "<module>B</module> <instruction>segmentation: zebra</instruction> "
            "<region>(0.23, 0.35, 0.61, 0.80)</region>",
        ),
        (
            Invocation(module=Module.B, command="this", uses_drawn_region=True),
            "<module>B</module> <instruction>segmentation: this</instruction> <region><objs></region>",
        ),
        (
            Invocation(module=Module.C, command="replace the red circle with a blue circle", media=1),
            "<module>C</module> <instruction>edit: replace the red circle with a blue circle</instruction> "
            "<media>1</media>",
        ),
        (
            Invocation(module=Module.E, command="clock", region=Region.from_box(0.1, 0.2, 0.5, 0.6, frames=(3, 17))),
            "<module>E</module> <instruction>tracking: clock</instruction> "
            "<region>(0.10, 0.20, 0.50, 0.60 | 3, 17)</region>",
        ),
        (
            Invocation(module=Module.F, command="bear", background="snow"),
            "<module>F</module> <instruction>foreground: bear</instruction> "
            "<instruction>background: snow</instruction>",
        ),
    ],
)
def test_the_canonical_form(invocation: Invocation, text: str) -> None:
    assert render_invocation(invocation) == text


@pytest.mark.parametrize("box", [(0.501, 0.501, 0.504, 0.504), (0.999, 0.999, 1.0, 1.0), (0.0, 0.0, 0.001, 0.001)])
def test_a_box_under_the_grid_is_still_a_box(box: tuple[float, float, float, float]) -> None:
    text = render_invocation(Invocation(module=Module.B, command="dot", region=Region.from_box(*box)))
    (read,) = parse_reply(text).invocations
    assert read.region is not None
    assert all(abs(got - wanted) <= 0.0101 for got, wanted in zip(read.region.box, box, strict=True))


def test_a_drawn_shape_is_written_as_its_box() -> None:
    text = render_invocation(Invocation(module=Module.B, command="x", region=Region.parse("polygon:0,0,1,0,0,0.5")))
    assert "(0.00, 0.00, 1.00, 0.50)" in text


def test_the_stand_in_for_a_bare_drawing_can_be_written() -> None:
    call = Invocation(module=Module.B, command=DRAWN_COMMAND, uses_drawn_region=True)
    assert parse_reply(render_invocation(call)).invocations == (call,)
