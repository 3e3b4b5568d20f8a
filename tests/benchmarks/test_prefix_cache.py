"""The eighth turn of a conversation about eight pictures: with what was read before, and reading all anew."""

import time

import torch
from rich.console import Console

from vitron_agent.evaluation.metrics import median
from vitron_agent.planner import AssistantTurn, UserTurn, VitronPlanner
from vitron_agent.planner.processor import Turn
from vitron_agent.profiles import TINY

ROUNDS = 15


def test_the_eighth_turn_reads_only_what_is_new() -> None:
    assert TINY.folder is not None
    loaded = VitronPlanner.from_pretrained(TINY.folder / "planner")
    generator = torch.Generator().manual_seed(0)
    said: list[Turn] = []
    for number in range(8):
        picture = torch.randint(0, 256, (3, 64, 64), generator=generator, dtype=torch.uint8)
        said += [UserTurn(f"what is in picture {number + 1}, and how does it differ?", (picture,))]
        said += [AssistantTurn("A small red circle at the top left and a large blue star, on a gray background.")]
    before, now = said[:-3], said[:-1]
    seconds: dict[str, tuple[float, float]] = {}
    for name, prefix_bytes in (("with prefix cache", 2**27), ("reading all anew", 0)):
        first, whole = [], []
        for _ in range(ROUNDS):
            planner = VitronPlanner(loaded.model, loaded.vocabulary, prefix_bytes)
            planner._media = loaded._media  # encoded pictures are kept by both
            planner.reply(before)
            start = time.perf_counter()
            pieces = planner.stream(now)
            next(pieces, None)
            first.append(time.perf_counter() - start)
            list(pieces)
            whole.append(time.perf_counter() - start)
        seconds[name] = median(first), median(whole)
    (first_with, whole_with), (first_without, whole_without) = seconds.values()
    prompt = loaded.reply(now).prompt_tokens
    Console().print(
        f"\nturn 8, {prompt} tokens: first word {first_with * 1e3:.1f} ms with the prefix cache, "
        f"{first_without * 1e3:.1f} ms without ({first_without / first_with:.1f}x); "
        f"whole turn {whole_with * 1e3:.0f} against {whole_without * 1e3:.0f} ms ({whole_without / whole_with:.1f}x)"
    )
    assert first_with < first_without
