"""A case for people: its tiles on a sample sheet, and what was said and done as plain data."""

import torch

from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.drive import CaseRecord, TurnRecord
from vitron_agent.evaluation.sheets import Picture, Sample, moments, over, shown


def sample_of(case: Case, record: CaseRecord, right: bool) -> Sample:
    """The case for the sheet: pictures and videos in order, masks over what they belong to."""
    title = " / ".join(turn.say for turn in case.turns)
    title += " -> " + " / ".join(turn.final for turn in record.turns)
    pictures: dict[str, torch.Tensor] = {}
    videos: dict[str, torch.Tensor] = {}
    tiles: list[Picture] = []
    for turn in record.turns:
        pictures.update(zip(turn.handles, turn.pictures, strict=True))
        videos.update(zip(turn.clip_handles, turn.clips, strict=True))
        tiles += [shown(picture) for picture in turn.pictures]
        tiles += [tile for video in turn.clips for tile in moments(video)]
        for call in turn.calls:
            if call.handle is not None and call.image is not None:
                pictures[call.handle] = call.image
                tiles.append(shown(call.image))
            elif call.mask is not None and call.source in pictures:
                tiles.append(shown(over(pictures[call.source], call.mask)))
            elif call.handle is not None and call.video is not None:
                videos[call.handle] = call.video
                tiles += moments(call.video)
            elif call.masks is not None and call.source in videos:
                tiles += moments(over(videos[call.source], call.masks[:, None]))
    return Sample(title, tuple(tiles[:6]), right)


def account_of(case: Case, record: CaseRecord, right: bool) -> dict[str, object]:
    """What was said and done, as plain data."""

    def turn_of(turn: TurnRecord) -> dict[str, object]:
        calls = [{"module": c.letter, **c.arguments, "done": c.done, "result": c.said} for c in turn.calls]
        return {"text": turn.text, "calls": calls, "seconds": round(turn.seconds, 3)}

    turns = [{"say": turn.say} for turn in case.turns]
    for turn, done in zip(turns, record.turns, strict=False):
        turn.update(turn_of(done))  # type: ignore[arg-type]
    return {"case": case.name, "kind": case.kind, "right": right, "error": record.error, "turns": turns}
