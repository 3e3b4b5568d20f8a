"""The eighth turn of a conversation about eight pictures: with what was read before, and reading all anew.

The planner's own words, calls and what tools say of them stand between the pictures; every second one was drawn.
"""

import random
import time
from collections.abc import Collection, Iterator

import torch
from rich.console import Console

from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.metrics import median
from vitron_agent.invocation import Module
from vitron_agent.planner import AssistantTurn, UserTurn, VitronPlanner
from vitron_agent.planner.model import PlannerModel, tiny_planner_config
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.reply import Settings
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import sample_scene
from vitron_agent.tools.results import MADE

ROUNDS, FASTER = 15, 5.0  # at least this many times, the pictures encoded anew
SCENES = [sample_scene(random.Random(f"picture {i}"), 2) for i in range(8)]
MODES = {"prefix cache": (2**30, True), "pictures kept": (0, True), "nothing kept": (0, False)}


def turns() -> Iterator[list[Turn]]:
    """What each turn begins with: a picture and a question, or a wish, a result with its picture, an answer."""
    for number, scene in enumerate(SCENES):
        first, second = (f"{o.colour} {o.shape}" for o in scene.objects)
        if number % 2:
            yield [UserTurn("what is in this picture, and where?", (picture_of(scene),))]
        else:
            yield [
                UserTurn(f"draw a {first} and a {second} on a {scene.background} background"),
                UserTurn(MADE, (picture_of(scene),)),
            ]


def full_scale(vocabulary: Vocabulary) -> PlannerModel:
    """The tiny planner with as many tokens a picture as LLaVA-1.5: 24 x 24 patches of 14 pixels; random weights."""
    torch.manual_seed(0)
    words = vocabulary.tokenizer
    config = tiny_planner_config(len(words), vocabulary.tags["<image>"], words.pad_token_id)
    config.vision_config.image_size, config.vision_config.patch_size = 336, 14
    config.text_config.max_position_embeddings = 2**14
    config.vitron = {}
    return PlannerModel.new(config)


def measure(loaded: VitronPlanner, modules: Collection[Module], rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds to the first word and to the end of turn 8, by mode, printed with their ratios."""
    settings = Settings(max_new_tokens=40)
    said: list[Turn] = []
    before: list[Turn] = []
    for beginnings in turns():
        for turn in beginnings:
            before, said = said[:-1], [*said, turn]
            output = loaded.reply(said, modules, settings)
            said.append(AssistantTurn(output.text, output.invocations))
    now = said[:-1]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in MODES}
    for _ in range(rounds):
        for name, (prefix_bytes, has_seen) in MODES.items():
            planner = VitronPlanner(loaded.model, loaded.vocabulary, prefix_bytes)
            if has_seen:
                planner.reply(before, modules, settings)
            start = time.perf_counter()
            pieces = planner.stream(now, modules, settings)
            next(pieces, None)
            first = time.perf_counter() - start
            list(pieces)
            seconds[name].append((first, time.perf_counter() - start))
    console = Console(width=110)
    console.print(f"\nturn 8, {output.prompt_tokens} tokens, {output.new_tokens} written:")
    both = {name: (median([f for f, _ in found]), median([w for _, w in found])) for name, found in seconds.items()}
    known = both["prefix cache"]
    for name, (first, whole) in both.items():
        console.print(
            f"{name}: first word {first * 1e3:.1f} ms ({first / known[0]:.1f}x), "
            f"whole turn {whole * 1e3:.1f} ms ({whole / known[1]:.1f}x)"
        )
    return both


def test_the_eighth_turn_reads_only_what_is_new() -> None:
    assert TINY.folder is not None
    found = measure(VitronPlanner.from_pretrained(TINY.folder / "planner"), Module, ROUNDS)
    assert found["nothing kept"][0] / found["prefix cache"][0] >= FASTER


def test_with_as_many_tokens_a_picture_as_at_full_size_the_whole_turn_is_as_much_faster() -> None:
    assert TINY.folder is not None
    vocabulary = VitronPlanner.from_pretrained(TINY.folder / "planner").vocabulary
    found = measure(VitronPlanner(full_scale(vocabulary), vocabulary, 2**30), (), ROUNDS // 5)
    assert found["nothing kept"][1] / found["prefix cache"][1] >= FASTER
