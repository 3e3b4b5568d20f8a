from vitron_agent.specialists.seem.coco import CLASSES, STUFF, TEMPLATES, THINGS


def test_there_are_eighty_things_and_fifty_three_kinds_of_stuff() -> None:
    assert (len(THINGS), len(STUFF), len(CLASSES)) == (80, 53, 134)
    assert len(set(CLASSES)) == 134  # stuff is told by its name
    assert CLASSES[-1] == "background"


def test_each_stands_where_the_published_weights_have_it() -> None:
    places = {
        0: "person", 9: "traffic light", 21: "bear", 56: "chair", 79: "toothbrush", 80: "banner", 87: "floor-wood",
        102: "sand", 113: "water", 114: "window-blind", 115: "window", 116: "tree", 119: "sky", 122: "floor",
        131: "wall", 132: "rug",
    }  # fmt: skip
    assert {place: CLASSES[place] for place in places} == places


def test_no_name_has_an_ending_that_the_weights_do_not_know() -> None:
    assert [name for name in CLASSES if name.endswith(("-merged", "-other", "-stuff"))] == []


def test_the_sentences_are_those_of_clip_and_the_bare_name() -> None:
    assert len(set(TEMPLATES)) == len(TEMPLATES) == 81
    assert TEMPLATES[0] == "{}."
    known = ("a photo of a {}.", "itap of my {}.", "a photo of the hard to see {}.", "a origami {}.")
    assert set(known) <= set(TEMPLATES)
    assert all(template.format("cat").count("cat") == 1 for template in TEMPLATES)
