"""Edits what the rest of a video is then made to look like: frames for an object, frame or atlas for a background.

Where ControlNets are at hand this is StableVideo's way: several frames, each held to its own edges and begun from what
the atlas makes of those before; a background in one go, laid out as one picture and held to its depth. Elsewhere the
picture editor repaints one frame.
"""

import torch
from torch import Tensor

from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.stable_video.specialist import BACKGROUND, UNWRAP
from vitron_agent.tools import edit_image, edit_plan
from vitron_agent.tools.base import Call
from vitron_agent.tools.edit_plan import EditPlan

SPECIALIST = "stable_video"
CONTROL_EDITOR = "controlnet"
PICTURE_EDITOR = edit_image.SPECIALIST
OBJECT = "replace"
COUNT = 3  # frames that are edited with ControlNets, spread over the video: what turns shows more sides than one


def of_object(call: Call, command: str, new: str, frames: Tensor, masks: Tensor) -> dict[int, Tensor]:
    """Return edited frames, uint8 (3, H, W), by their numbers.

    Args:
        call: Whose specialists are used.
        command: What becomes of the object.
        new: What it is then.
        frames: The video, uint8 (T, 3, H, W).
        masks: The object, bool (T, H, W); at least one frame shows it.
    """
    if not controlled(call):
        key = chosen(masks, 1)[0]
        plan = edit_plan.replacement(edit_plan.main_parts(masks[key]), new)
        return {key: _repainted(call, command, frames[key], plan)}
    edited: dict[int, Tensor] = {}
    for key in chosen(masks, COUNT):
        draft = _carried(call, frames, masks, edited)[key] if edited else None
        request = SpecialistRequest(command, image=frames[key], mask=masks[key], draft=draft, seed=call.seed)
        edited[key] = _image(call, CONTROL_EDITOR, request)
    return edited


def of_background(call: Call, command: str, frames: Tensor, masks: Tensor) -> SpecialistRequest:
    """Return the request for StableVideo that gives a video another background.

    Args:
        call: Whose specialists are used.
        command: What becomes of the background.
        frames: The video, uint8 (T, 3, H, W).
        masks: The objects, bool (T, H, W).
    """
    if not controlled(call):
        edited = _repainted(call, command, frames[0], edit_plan.new_background(masks[0]))
        return SpecialistRequest(BACKGROUND, video=frames, masks=masks, keyframes={0: edited})
    scenery = _image(call, SPECIALIST, SpecialistRequest(UNWRAP, video=frames, masks=masks))
    everywhere = torch.ones(scenery.shape[1:], dtype=torch.bool)
    wish = SpecialistRequest(command, image=scenery, mask=everywhere, seed=call.seed)
    return SpecialistRequest(BACKGROUND, video=frames, masks=masks, image=_image(call, CONTROL_EDITOR, wish))


def controlled(call: Call) -> bool:
    """Whether ControlNets are at hand."""
    return CONTROL_EDITOR in call.toolbox.residents.names


def chosen(masks: Tensor, count: int) -> list[int]:
    """Choose frames to edit: of as many stretches of the video, the frame of each that shows most of the object.

    Args:
        masks: The object, bool (T, H, W); at least one frame shows it.
        count: How many at most.

    Returns:
        Numbers of frames that show it, the one that shows most first.
    """
    areas = masks.flatten(1).sum(1)
    stretches = areas.nonzero().flatten().tensor_split(count)
    best = [int(frames[areas[frames].argmax()]) for frames in stretches if len(frames)]
    return sorted(best, key=lambda frame: -int(areas[frame]))


def _carried(call: Call, frames: Tensor, masks: Tensor, edited: dict[int, Tensor]) -> Tensor:
    """Return the video, uint8 (T, 3, H, W), as the frames that were edited so far make it."""
    request = SpecialistRequest(OBJECT, video=frames, masks=masks, keyframes=dict(edited))
    video = call.run(SPECIALIST, request).video
    assert video is not None  # its contract
    return video


def _repainted(call: Call, command: str, frame: Tensor, plan: EditPlan) -> Tensor:
    """Return a frame, uint8 (3, H, W), as the picture editor changes it."""
    request = SpecialistRequest(command, image=frame, layout=plan.layout, mask=plan.mask, seed=call.seed)
    return _image(call, PICTURE_EDITOR, request)


def _image(call: Call, specialist: str, request: SpecialistRequest) -> Tensor:
    """Return the picture that a specialist makes, uint8 (3, h, w)."""
    image = call.run(specialist, request).image
    assert image is not None  # the contract of an editor
    return image
