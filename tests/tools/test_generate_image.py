from langchain_core.messages import HumanMessage

from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist

LAYOUT = [{"phrase": "red circle", "box": [0.1, 0.1, 0.4, 0.4]}, {"phrase": "blue star", "box": [0.5, 0.5, 0.9, 0.9]}]


def test_command_and_layout_reach_the_generator(bench, echo: EchoSpecialist) -> None:
    bench.run([HumanMessage("draw")], "generate_image", {"command": "two shapes", "layout": LAYOUT})
    request = echo.requests[0]
    assert (request.command, request.image, request.mask) == ("two shapes", None, None)
    assert request.layout == (
        GroundedPhrase(phrase="red circle", box=(0.1, 0.1, 0.4, 0.4)),
        GroundedPhrase(phrase="blue star", box=(0.5, 0.5, 0.9, 0.9)),
    )


def test_the_picture_is_stored_and_named(bench, store: MediaStore) -> None:
    answer = bench.run([HumanMessage("draw")], "generate_image", {"command": "two shapes", "layout": LAYOUT})
    assert answer.content == "Result: done."
    assert (answer.artifact["kind"], answer.artifact["mask_uri"], answer.artifact["inputs"]) == ("image", None, [])
    assert answer.artifact["boxes"] == [item["box"] for item in LAYOUT]
    assert store.get_image(answer.artifact["uri"]).shape == (3, 64, 64)


def test_the_same_seed_draws_the_same_picture(bench) -> None:
    handles = [
        bench.run([HumanMessage("draw")], "generate_image", {"command": "a circle"}, seed=seed).artifact["uri"]
        for seed in (1, 1, 2)
    ]
    assert handles[0] == handles[1] != handles[2]
