import random

from vitron_agent.shapes.language import REGION_MARK
from vitron_agent.shapes.typing_noise import misspell, roughen


def test_roughen_keeps_the_region_mark_and_stays_close():
    rng = random.Random(3)
    for _ in range(500):
        text = roughen(f"make the circle {REGION_MARK} blue", rng)
        assert text.count(REGION_MARK) == 1
        assert len(text) < 50


def test_roughen_writes_in_many_ways():
    rng = random.Random(3)
    assert len({roughen("please draw the circle, now", rng) for _ in range(300)}) > 25


def test_a_misspelling_differs_by_one_slip():
    rng = random.Random(1)
    for _ in range(200):
        word = misspell("triangle", rng)
        assert abs(len(word) - 8) <= 1
        assert (word[0], word[-1]) == ("t", "e")
    assert misspell("red", rng) == "red"
