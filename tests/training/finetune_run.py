"""A small run of stage 1.2 over a LLaVA of published layout and three samples of the release's format.

Run as a program (folder, out, run, steps) it begins such a run, for a test to kill or to start several of.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from tests.full_size_folders import write_llava
from vitron_agent.media.images import encode_png
from vitron_agent.media.videos import encode_mp4
from vitron_agent.training.finetune import Finetuning, finetune
from vitron_agent.training.loop import TrainingConfig


def write_samples(folder: Path) -> Path:
    """Write data.json with a picture and a box, a video, and words alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(encode_png(torch.zeros(3, 30, 50, dtype=torch.uint8)))
    (folder / "b.mp4").write_bytes(encode_mp4(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), 8.0))
    call = "Sure. <module>{}</module> <instruction>{}: the clock</instruction>"
    samples = [
        ({"image": "a.png", "bbox": [5, 5, 30, 20]}, "<image>\nCut out <objs>", call.format("B", "segmentation")),
        ({"video": "b.mp4"}, "<video>\nTrack the clock", call.format("E", "tracking")),
        ({}, "Draw the clock", call.format("A", "generation")),
    ]
    said = [
        {**media, "conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]}
        for media, ask, answer in samples
    ]
    path = folder / "data.json"
    path.write_text(json.dumps(said))
    return path


def write_all(folder: Path) -> Path:
    """Write planner/, media and data below a folder."""
    write_llava(folder / "planner")
    write_samples(folder / "media")
    return folder


def task(folder: Path, **more: Any) -> Finetuning:
    """Stage 1.2 at a rank and a rate that suit the small planner."""
    files = {"weights": folder / "planner", "data": [folder / "media" / "data.json"], "media": folder / "media"}
    return Finetuning(**{"stage": "1.2", **files, "batch": 4, "precision": "no", "rank": 4, "lr": 0.05, **more})


def config(out: Path, run: Path, steps: int | None, **more: Any) -> TrainingConfig:
    """A run that saves after every step."""
    return TrainingConfig(out, run, steps=steps, export_minutes=0.0, **more)


if __name__ == "__main__":
    finetune(task(Path(sys.argv[1])), config(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
