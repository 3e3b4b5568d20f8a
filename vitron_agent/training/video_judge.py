"""Judges a video model while it trains: makes held-out clips by the specialist itself, reads them, keeps a sheet.

Knows specialists' contract and the small world's checker; knows nothing about models or optimisation.
"""

from pathlib import Path

import torch

from vitron_agent.shapes.check import check_clip
from vitron_agent.shapes.clip import FRAMES, frames_of, sample_clip
from vitron_agent.specialists.base import Specialist, SpecialistRequest
from vitron_agent.training.gligen_judge import contact_sheet
from vitron_agent.training.gligen_parts import scene_generator
from vitron_agent.training.video_data import Words

_SHOWN = 12  # clips on the sheet


def judge_clips(specialist: Specialist, words: Words, sheet: Path, count: int = 32) -> str:
    """Make `count` held-out clips and return one line of shares; the sheet shows true clips above those made."""
    rng = scene_generator("video", "held-out")
    clips = [sample_clip(rng) for _ in range(count)]
    true, made = [], []
    for seed, clip in enumerate(clips):
        frames = frames_of(clip)
        video = specialist.run(SpecialistRequest(words(clip, rng), image=frames[0], seed=seed)).video
        assert video is not None  # the contract of a maker of videos
        true.append(frames)
        made.append(video)
    rows = [torch.cat(videos[:_SHOWN]).float() / 255 for videos in (true, made)]
    contact_sheet(rows, sheet, columns=FRAMES)
    checks = [check_clip(video, clip) for video, clip in zip(made, clips, strict=True)]
    names = ("background_ok", "objects_ok", "motions_ok", "all_ok")
    shares = (f"{name} {sum(getattr(check, name) for check in checks) / count:.3f}" for name in names)
    return f"judged n={count}: {' '.join(shares)}"
