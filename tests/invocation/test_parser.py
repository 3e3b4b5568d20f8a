"""Every reply that the released parser mishandles (shown by running it), with the outcome it should have had; and more.

The released helpers ask for a `</s>` behind each reply, as the model writes it; so do these tests.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitron_agent.errors import InvocationError
from vitron_agent.invocation import Invocation, Module, PlannerReply, parse_reply, render_invocation
from vitron_agent.media import Region


def parse(reply: str, size: tuple[int, int] | None = None) -> PlannerReply:
    return parse_reply(reply + "</s>", size)


def only(reply: PlannerReply) -> Invocation:
    assert reply.problems == ()
    (invocation,) = reply.invocations
    return invocation


def problem(reply: PlannerReply) -> InvocationError:
    assert reply.invocations == ()
    (error,) = reply.problems
    assert "\n" not in str(error)
    assert len(str(error)) < 300
    return error


def call(instruction: str, letter: str = "B") -> str:
    return f"<module>{letter}</module> <instruction>{instruction}</instruction>"


# The table "What the official parser mishandles", row by row.


def test_the_papers_form_is_understood_and_its_turned_corners_are_repaired_by_name() -> None:
    reply = parse(
        "<Module> Video Segmentation </Module>\n<Instruction> segmentation: clock </Instruction>\n"
        "<Region> (0.23, 0.35, 0.11, 0.26) </Region>"
    )
    assert only(reply) == Invocation(module=Module.E, command="clock", region=Region.from_box(0.11, 0.26, 0.23, 0.35))
    assert any("(0.23, 0.35, 0.11, 0.26)" in repair and "corners" in repair for repair in reply.repairs)
    assert reply.text == ""


@pytest.mark.parametrize("module", [" B ", "b", "image segmentation", "Image Segmentation", "ImageSegmentation", "B."])
def test_a_module_is_known_by_letter_or_name_in_any_case(module: str) -> None:
    assert only(parse(f"<module>{module}</module> <instruction>segmentation: dog</instruction>")).module is Module.B


def test_an_unknown_letter_is_named() -> None:
    assert "'H'" in str(problem(parse(call("generation: a cat", "H"))))


@pytest.mark.parametrize(
    ("letter", "instruction", "command"),
    [
        ("A", "generation: a sign that reads: open 9:30", "a sign that reads: open 9:30"),
        ("A", "generation: poster with https://x.com", "poster with https://x.com"),
        ("B", "segmentation: clock showing 10:45", "clock showing 10:45"),
        ("C", "edit: replace cat with dog; add hat", "replace cat with dog; add hat"),
        ("A", "a sign that reads: open", "a sign that reads: open"),
        ("A", "generation: a cat\non a mat", "a cat on a mat"),
        ("C", "background: navy", "background: navy"),
    ],
)
def test_the_command_is_what_follows_the_first_colon_behind_a_task_word(
    letter: str, instruction: str, command: str
) -> None:
    assert only(parse(call(instruction, letter))).command == command


def test_an_unclosed_instruction_is_a_call() -> None:
    reply = parse("Here it comes. <module>A</module> <instruction>generation: a cat")
    assert only(reply) == Invocation(module=Module.A, command="a cat")
    assert reply.text == "Here it comes."
    assert any("<instruction>" in repair for repair in reply.repairs)


def test_an_unclosed_module_is_a_call() -> None:
    reply = parse("ok <module>B <instruction>segmentation: dog</instruction> done")
    assert only(reply) == Invocation(module=Module.B, command="dog")
    assert reply.text == "ok done"
    assert any("<module>B" in repair for repair in reply.repairs)


def test_an_instruction_belongs_to_the_module_before_it() -> None:
    reply = parse(f"first {call('generation: a dog', 'A')} then {call('video: dog runs', 'G')}")
    assert reply.invocations == (
        Invocation(module=Module.A, command="a dog"),
        Invocation(module=Module.G, command="dog runs"),
    )
    assert reply.problems == ()
    assert reply.text == "first then"


def test_video_editing_takes_a_command_for_each_layer() -> None:
    both = "<module>F</module> <instruction>{}: {}</instruction> <instruction>{}: {}</instruction>"
    wanted = Invocation(module=Module.F, command="bear", background="snow")
    assert only(parse(both.format("foreground", "bear", "background", "snow"))) == wanted
    assert only(parse(both.format("background", "snow", "foreground", "bear"))) == wanted
    assert only(parse(both.format("video edit", "bear", "video edit", "snow"))) == wanted
    assert "two foreground" not in str(problem(parse(both.format("background", "a", "background", "b"))))


@pytest.mark.parametrize(
    ("instruction", "command", "background"),
    [
        ("foreground: bear", "bear", None),
        ("background: snow", "", "snow"),
        ("video edit: bear", "bear", None),
        ("bear", "bear", None),
    ],
)
def test_video_editing_with_one_instruction_leaves_the_other_layer(
    instruction: str, command: str, background: str | None
) -> None:
    invocation = only(parse(call(instruction, "F")))
    assert (invocation.command, invocation.background) == (command, background)


def test_an_attribute_of_a_tag_is_ignored() -> None:
    assert only(parse('<module id="1">B</module> <instruction>segmentation: dog</instruction>')).module is Module.B


@pytest.mark.parametrize("instruction", ["", " ", "segmentation:", "segmentation: \n"])
def test_an_empty_instruction_is_a_problem(instruction: str) -> None:
    error = problem(parse(call(instruction)))
    assert "empty instruction" in str(error)
    assert "segmentation: ..." in str(error)


def test_a_region_without_an_instruction_is_a_problem_that_keeps_the_region() -> None:
    error = problem(parse("<module>B</module> <region>[10,20,30,40]</region>"))
    assert "no instruction" in str(error)
    assert error.region == (0.1, 0.2, 0.3, 0.4)
    assert error.source == "<module>B</module> <region>[10,20,30,40]</region>"


@pytest.mark.parametrize(
    "reply",
    [
        call("segmentation: <objs> cat"),
        call("segmentation: cat <objs>"),
        call("segmentation: cat") + " <region><objs></region>",
        call("segmentation: cat") + " <region> <OBJS/> </region>",
    ],
)
def test_the_drawn_region_is_kept_apart_from_the_words(reply: str) -> None:
    assert only(parse(reply)) == Invocation(module=Module.B, command="cat", uses_drawn_region=True)


def test_the_drawn_region_alone_is_a_command() -> None:
    assert only(parse(call("segmentation: <objs>"))).command == "the marked region"


@pytest.mark.parametrize(
    "text",
    [
        "The man is running.",
        "if x < 3 then y > 2 and z < 5 holds > ok",
        "it holds if x < region and media > 2, or a <module b> c",
        "Use <br> like <b>this</b>.",
        "A list:\n\n- one\n- two",
        "1 < 2, 2 >module and </b> <regions>",
        "I see [3] things, and [A1] is a reference.",
        '{"json": "is", "what": ["was", "asked"]}',
        "```json\n[1, 2]\n```",
        "[]",
    ],
)
def test_a_plain_reply_is_left_as_it_is(text: str) -> None:
    assert parse(text) == PlannerReply(text)


def test_prose_with_angle_brackets_before_a_call_is_kept() -> None:
    reply = parse(f"If a <b and c> d then {call('generation: x', 'A')}")
    assert reply.text == "If a <b and c> d then"
    assert only(reply) == Invocation(module=Module.A, command="x")


def test_an_sp_tag_is_ignored_and_its_text_kept() -> None:
    reply = parse(f"<SP>img</SP> {call('segmentation: dog')}")
    assert reply.text == "img"
    assert only(reply).module is Module.B


# Forms of the paper, the report and the neighbours.


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("VideoTracking", Module.E),
        ("VideoSegmentation", Module.E),
        ("ImageGeneration", Module.A),
        ("ImageEditing", Module.C),
        ("Text-to-Video", Module.D),
        ("Image-to-Video", Module.G),
        ("image to video", Module.G),
        ("Video Editing", Module.F),
        ("edit_image", Module.C),
        ("B: Image Segmentation", Module.B),
        ("Module B", Module.B),
    ],
)
def test_names_of_other_sources_are_known(name: str, module: Module) -> None:
    assert only(parse(call("do it", name))).module is module


def test_every_module_is_known_by_all_its_own_names() -> None:
    for module in Module:
        for name in (module.letter, module.title, module.tool_name):
            assert only(parse(call("do it", name))).module is module


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ("(0.23, 0.35, 0.61, 0.80)", (0.23, 0.35, 0.61, 0.80)),
        ("[0.23 0.35 0.61 0.80]", (0.23, 0.35, 0.61, 0.80)),
        ("0.23,0.35,.61,.8", (0.23, 0.35, 0.61, 0.80)),
        ("(23, 35, 61, 80)", (0.23, 0.35, 0.61, 0.80)),
        ("(23%, 35%, 61%, 80%)", (0.23, 0.35, 0.61, 0.80)),
        ("(23.5, 35.2, 61.0, 80.1)", (0.235, 0.352, 0.61, 0.801)),
        ("[128, 64, 256, 192]", (0.25, 0.25, 0.5, 0.75)),
        ("[10px, 20px, 30px, 40px]", (10 / 512, 20 / 256, 30 / 512, 40 / 256)),
        ("{0, 0, 1, 1}", (0.0, 0.0, 1.0, 1.0)),
        ("(-0.01, 0.35, 1.02, 0.80)", (0.0, 0.35, 1.0, 0.80)),
        ("cat: (0.23, 0.35, 0.61, 0.80)", (0.23, 0.35, 0.61, 0.80)),
    ],
)
def test_boxes_are_read_in_any_unit(region: str, box: tuple[float, ...]) -> None:
    invocation = only(parse(call("segmentation: cat") + f"<region>{region}</region>", size=(512, 256)))
    assert invocation.region is not None
    assert invocation.region.box == pytest.approx(box)


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ("(nan, 0.2, 0.3, 0.4)", "outside"),
        ("(0.1, 0.2, inf, 0.4)", "unit"),
        ("(0.1, 0.2, 1e999, 0.4)", "unit"),
        ("(-0.5, 0.2, 0.3, 0.4)", "outside"),
        ("(0.1, 0.2, 0.1, 0.4)", "no area"),
        ("(0.5, 0.6, 20, 30)", "unit"),
        ("(10%, 20%, 0.3, 0.4)", "unit"),
        ("(100, 200, 300, 400)", "unknown size"),
        ("(10px, 20px, 30px, 40px)", "unknown size"),
        ("(0.1, 0.2, 0.3)", "not understood"),
        ("the left half", "not understood"),
        ("", "not understood"),
        ("cat: (0.1, 0.2, 0.3, 0.4), dog: left", "not understood"),
        ("cat: (0.1, 0.2, 0.3)", "no box"),
        ("cat: (0.1, 0.2, 0.3, 0.4), dog: (0.1, 0.2, 0.3, 0.4)", "one box"),
        ("(0.1, 0.2, 0.3, 0.4)" * 1000, "characters"),
    ],
)
def test_a_bad_region_is_rejected_by_name_and_never_dropped(region: str, reason: str) -> None:
    error = problem(parse(call("segmentation: cat") + f"<region>{region}</region>"))
    assert reason in str(error)


def test_a_box_outside_the_picture_is_rejected_in_pixels_too() -> None:
    assert "outside" in str(problem(parse(call("x") + "<region>(0, 0, 600, 200)</region>", size=(512, 256))))


@pytest.mark.parametrize("span", ["| 3, 17", "|3,17", "| 3 17", "| 17, 3"])
def test_a_frame_span_is_read(span: str) -> None:
    invocation = only(parse(call("tracking: cat", "E") + f"<region>(0.1, 0.2, 0.3, 0.4 {span})</region>"))
    assert invocation.region == Region.from_box(0.1, 0.2, 0.3, 0.4, frames=(3, 17))


def test_a_layout_is_read() -> None:
    reply = parse(
        call("generation: a red circle left of a small blue square on a gray background", "A")
        + " <region>red circle: (0.10, 0.30, 0.42, 0.62), small blue square: (0.60, 0.40, 0.80, 0.60)</region>"
    )
    assert [(entry.phrase, entry.box) for entry in only(reply).layout] == [
        ("red circle", (0.1, 0.3, 0.42, 0.62)),
        ("small blue square", (0.6, 0.4, 0.8, 0.6)),
    ]
    assert reply.repairs == ()


@pytest.mark.parametrize("media", ["1", " 1 ", "picture 1", "#1", "Image #1"])
def test_the_number_of_a_picture_is_read(media: str) -> None:
    assert only(parse(call("edit: x", "C") + f" <media>{media}</media>")).media == 1


@pytest.mark.parametrize("media", ["0", "-1", "1.5", "the first", "", "1, 2", "99999999"])
def test_a_bad_number_of_a_picture_is_named(media: str) -> None:
    assert repr(media) in str(problem(parse(call("edit: x", "C") + f" <media>{media}</media>")))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("<instruction>segmentation: dog</instruction>", "no module"),
        ("<module>B</module>", "no instruction"),
        ("<module>A</module><instruction>a</instruction><instruction>b</instruction>", "2 instructions"),
        (call("x") + "<region>(0,0,1,1)</region><region>(0,0,1,1)</region>", "one region"),
        (call("x", "C") + "<media>1</media><media>2</media>", "one picture"),
        (call("x" * 3000), "3000 characters"),
        (call("x", "y" * 100_000), "not one of the seven"),
    ],
)
def test_what_is_not_understood_is_a_problem(reply: str, reason: str) -> None:
    error = problem(parse(f"Sure. {reply} Done."))
    assert reason in str(error)
    assert error.source.replace("> <", "><") == reply.replace("> <", "><")


def test_one_bad_call_does_not_hide_the_good_ones() -> None:
    reply = parse(f"{call('a', 'A')} {call('b', 'H')} {call('c', 'C')}")
    assert [invocation.command for invocation in reply.invocations] == ["a", "c"]
    assert len(reply.problems) == 1


def test_a_stray_closing_tag_leaves_text_and_calls_alone() -> None:
    reply = parse(f"One </region> two {call('segmentation: dog')} </module> three")
    assert reply.text == "One two three"
    assert parse("One < / region > two").text == "One two"
    assert only(reply).command == "dog"


def test_a_drawing_wins_over_a_box_and_says_so() -> None:
    reply = parse(call("segmentation: <objs> cat") + "<region>(0.1, 0.2, 0.3, 0.4)</region>")
    assert only(reply).uses_drawn_region
    assert only(reply).region is None
    assert any("0.1, 0.2, 0.3, 0.4" in repair for repair in reply.repairs)


def test_special_tokens_never_reach_the_text() -> None:
    signals = "".join(f"<signal_{family}_{index}>" for family in ("B", "s") for index in range(4))
    reply = parse(f"<s>Here.{call('segmentation: dog')}{signals} [IMG0][VID23]<image_00003> <image>Done.<pad>")
    assert reply.text == "Here. Done."
    assert only(reply).command == "dog"


def test_llava_plus_calls_are_read() -> None:
    params = json.dumps(
        [{"API_name": "image segmentation", "API_params": {"caption": "cat", "boxes": [[0.1, 0.2, 0.5, 0.6]]}}]
    )
    reply = parse(f'"thoughts🤔" "Find it." \n "actions🚀" {params}\n "value👉" "Here is the cat."')
    assert only(reply) == Invocation(module=Module.B, command="cat", region=Region.from_box(0.1, 0.2, 0.5, 0.6))
    assert reply.text == "Here is the cat."
    single = parse("'thoughts' 'x' 'actions' [{'API_name': 'B', 'API_params': {'text': 'dog'}}] 'value' 'ok'")
    assert only(single).command == "dog"
    as_object = parse('{"thoughts": "x", "actions": [{"API_name": "B", "API_params": {"text": "d"}}], "value": "ok"}')
    assert (only(as_object).command, as_object.text) == ("d", "ok")
    assert parse('"thoughts" "x" "actions" [] "value" "Hello."') == PlannerReply("Hello.")


@pytest.mark.parametrize(
    ("actions", "named"),
    [
        ('[{"API_name": "ocr", "API_params": {"text": "x"}}]', "ocr"),
        ("[{broken]", "broken"),
        ('[{"API_name": 3}]', "3"),
    ],
)
def test_llava_plus_calls_that_are_not_understood_are_not_lost(actions: str, named: str) -> None:
    reply = parse(f'"thoughts🤔" "x" "actions🚀" {actions} "value👉" "ok"')
    assert named in str(problem(reply))
    assert reply.text == "ok"


def test_jarvis_lists_are_read() -> None:
    tasks = [
        {"task": "text-to-image", "id": 0, "dep": [-1], "args": {"text": "a cat"}},
        {"task": "image-to-video", "id": 1, "dep": [0], "args": {"image": "<GENERATED>-0", "text": "it runs"}},
        {"task": "object-detection", "id": 2, "dep": [0], "args": {"image": "<GENERATED>-0"}},
    ]
    for reply in (parse(json.dumps(tasks)), parse(f"Plan:\n```json\n{json.dumps(tasks)}\n```\nBye.")):
        assert reply.invocations == (
            Invocation(module=Module.A, command="a cat"),
            Invocation(module=Module.G, command="it runs"),
        )
        (error,) = reply.problems
        assert "object-detection" in str(error)
    assert reply.text == "Plan: Bye."


# Properties.

pieces = st.sampled_from(
    [
        "<module>",
        "</module>",
        "<instruction>",
        "</instruction>",
        "<region>",
        "</region>",
        "<media>",
        "</media>",
        "<objs>",
    ]
    + ["A", "B", "H", "segmentation: ", "cat", "(0.1, 0.2, 0.3, 0.4)", "1", "</s>", " ", "\n", "<", ">", "[", "{", '"']
)


@given(st.lists(st.one_of(pieces, st.text(max_size=4)), max_size=25).map("".join))
def test_no_reply_raises_or_leaks_a_tag(reply: str) -> None:
    parsed = parse(reply)
    again = parse_reply(parsed.text)
    assert (again.invocations, again.problems) == ((), ())
    for mark in ("<module>", "<instruction>", "<region>", "<media>", "</s>", "<objs>"):
        assert mark not in parsed.text
    for invocation in parsed.invocations:
        assert only(parse(render_invocation(invocation)))


@given(st.text(alphabet=st.characters(exclude_characters="<>[]{}\"'`"), max_size=200))
def test_text_without_marks_is_untouched(text: str) -> None:
    assert parse(text) == PlannerReply(text.strip())


@pytest.mark.parametrize("unit", ["<", "<module", "<module ", "[{", '"thoughts" "', "```", "</s", "<region>(0.1,", " "])
def test_a_huge_reply_is_read_in_linear_time(unit: str) -> None:
    """A million characters; what grows with the square of the length would run for hours, far over the time limit."""
    parse(unit * (1_000_000 // len(unit)))
