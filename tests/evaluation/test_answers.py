import pytest

from vitron_agent.evaluation.answers import Answer, affirms, number_in, place_in, says, words_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("There are three objects.", 3),
        ("2", 2),
        ("I see one circle and two squares.", 2),
        ("There is a star.", 1),
        ("Only a single one.", 1),
        ("There are no green objects.", 0),
        ("None.", 0),
        ("Hello.", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("It is at the top left.", "top left"),
        ("In the upper right corner.", "top right"),
        ("In the middle.", "centre"),
        ("On the left.", "left"),
        ("Left, not right.", None),
        ("Somewhere.", None),
    ],
)
def test_places(text: str, place: str | None) -> None:
    assert place_in(text) == place


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Yes.", True),
        ("Yes, there is no doubt.", True),
        ("The cross is left of the star.", True),
        ("No.", False),
        ("There is no triangle.", False),
        ("I can't see one.", False),
        ("It isn't.", False),
        ("The north is cold.", True),
    ],
)
def test_yes_and_no(text: str, yes: bool) -> None:
    assert affirms(text) is yes


def test_words_come_in_the_palettes_spelling() -> None:
    assert words_of("Grey crosses, circles; CENTER!") == ["gray", "cross", "circle", "centre"]


@pytest.mark.parametrize(
    ("text", "answer", "question", "right"),
    [
        ("The circle is red.", Answer(colour="red"), "What colour is the circle?", True),
        ("The circle is red and blue.", Answer(colour="red"), "What colour is the circle?", False),
        ("The circle left of the blue star is red.", Answer(colour="red"), "And the one left of the blue star?", True),
        ("Green.", Answer(colour="green"), "Is the cross green or red?", True),
        ("A square.", Answer(shape="square"), "Which shape is blue?", True),
        ("It is on sand.", Answer(background="sand"), "What is behind?", True),
        ("It is a large one.", Answer(size="large"), "How big?", True),
        ("It is at the bottom right.", Answer(place="bottom right"), "Where?", True),
        ("There are 3.", Answer(number=3), "How many?", True),
        ("There are 2.", Answer(number=3), "How many?", False),
        ("In picture 1, there are 3.", Answer(number=3), "How many?", True),
        ("No.", Answer(yes=False), "Is there a star?", True),
        ("A large red circle and a blue square.", Answer(mentions=("red circle", "blue square")), "?", True),
        ("A blue circle and a red square.", Answer(mentions=("red circle", "blue square")), "?", False),
        ("I need a picture first.", Answer(pattern=r"\bpicture\b"), "?", True),
        ("   ", Answer(), "?", False),
        ("Anything.", Answer(), "?", True),
    ],
)
def test_facts_are_judged_and_not_strings(text: str, answer: Answer, question: str, right: bool) -> None:
    assert says(text, answer, question) is right


@pytest.mark.parametrize(
    ("text", "must", "right"),
    [
        ("The star is red.", ("red",), True),
        ("The star is blue.", ("red",), False),
        ("The star is red, the circle is blue.", ("red",), False),  # a wrong statement beside the right one
        ("Yes, it is.", ("yes",), True),
        ("No, it is not.", ("yes",), False),
        ("There are two.", ("2",), True),
        ("It covers 13.2% of the picture.", ("13.0%",), True),
        ("It covers 31.2% of the picture.", ("13.0%",), False),
        ("The star is not there.", ("not", "star"), True),
        ("In picture 1, there are 3 stars.", ("3",), True),
        ("In picture 1, there are 3 stars.", ("1",), False),  # which picture it is says nothing about the picture
    ],
)
def test_words_that_must_be_said(text: str, must: tuple[str, ...], right: bool) -> None:
    assert says(text, Answer(must=must, allowed=("star",)), "what about the star?") is right


@pytest.mark.parametrize(
    ("text", "must", "right"),
    [
        ("The circle moves left.", ("left",), True),
        ("It goes leftwards.", ("left",), True),
        ("It is growing.", ("grows",), True),
        ("The circle moves left and up.", ("left",), False),  # a wrong statement beside the right one
        ("Yes, it stands still.", ("yes",), False),
        ("Nothing moves.", ("nothing",), True),
    ],
)
def test_motions_are_facts_too(text: str, must: tuple[str, ...], right: bool) -> None:
    assert says(text, Answer(must=must), "what does the circle do?") is right
