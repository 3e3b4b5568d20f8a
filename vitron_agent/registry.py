"""The literal registries: a profile's planner and every specialist by name, each with what makes it of a folder.

Nothing is read from disk before a builder is called; heavy libraries are imported inside the builders. Where folders
are looked for and which device is chosen is not known here: see build.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitron_agent.locations import Device
from vitron_agent.parts import Part, Sampling

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from vitron_agent.media import MediaStore
    from vitron_agent.specialists.base import Specialist
    from vitron_agent.specialists.video_diffusion import VideoDefaults


def _tiny_planner(folder: Path, store: "MediaStore", use_signals: bool, device: Device) -> "BaseChatModel":
    from vitron_agent.planner.chat import ChatVitron

    return ChatVitron.from_pretrained(
        folder / "planner", store=store, use_signals=use_signals, device=device.name, dtype=device.dtype
    )


def _full_size_planner(folder: Path, store: "MediaStore", use_signals: bool, device: Device) -> "BaseChatModel":
    from vitron_agent.planner.chat import ChatVitron
    from vitron_agent.planner.fixed_cache import FixedCache
    from vitron_agent.planner.full_size import load_full_size

    planner = load_full_size(folder / "planner", device.name, device.dtype, device.planner_bits)
    if device.compiles_planner:
        planner.fixed = FixedCache(planner.model.language_model)
    return ChatVitron(planner=planner, store=store, use_signals=use_signals, model="vitron-7b")


def _gligen(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.gligen import GligenGenerator

    defaults = _of_pictures(part.sampling)
    return _tuned(GligenGenerator.from_pretrained(folder, device.name, device.dtype, defaults=defaults), device)


def _gligen_inpaint(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.gligen import GligenEditor

    defaults = _of_pictures(part.sampling)
    return _tuned(GligenEditor.from_pretrained(folder, device.name, device.dtype, defaults=defaults), device)


def _tuned(diffusion: Any, device: Device) -> "Specialist":
    """Return a diffusion model with its UNet compiled, where that was asked for."""
    from vitron_agent.specialists.speed import compile_unet

    if device.compiled:
        compile_unet(diffusion.parts.unet)
    specialist: Specialist = diffusion
    return specialist


def _of_pictures(sampling: Sampling | None) -> Any:
    from vitron_agent.specialists.gligen import SamplingDefaults

    if sampling is None:
        return None
    return SamplingDefaults(sampling.steps, sampling.guidance, sampling.scheduler, sampling.grounded)


def _seem(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.checkpoints import load_mapper
    from vitron_agent.specialists.seem import SeemSegmenter, SeemTracker

    path = folder / "mappers" / "seem.safetensors"
    mapper = load_mapper(path).to(device.name, device.dtype) if path.is_file() else None
    return SeemTracker(SeemSegmenter.from_pretrained(folder / "seem", device.name, device.dtype, mapper))


def _zeroscope(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
    from vitron_agent.specialists.zeroscope.generator import PUBLISHED

    defaults = _of_clips(PUBLISHED, part.sampling)
    made = ZeroscopeGenerator.from_pretrained(
        folder, device.name, device.dtype, defaults=defaults, frugal=part.is_frugal
    )
    return _tuned(made, device)


def _i2vgen_xl(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator
    from vitron_agent.specialists.i2vgen_xl.animator import PUBLISHED

    defaults = _of_clips(PUBLISHED, part.sampling)
    made = I2VGenAnimator.from_pretrained(folder, device.name, device.dtype, defaults=defaults, frugal=part.is_frugal)
    return _tuned(made, device)


def _controlnet(folder: Path, part: Part, device: Device) -> "Specialist":
    from vitron_agent.specialists.controlnet import ControlDefaults, ControlEditor

    said = part.sampling
    defaults = ControlDefaults(said.steps, said.guidance) if said else None
    return ControlEditor.from_pretrained(folder, device.name, device.dtype, defaults)


def _of_clips(published: "VideoDefaults", sampling: Sampling | None) -> "VideoDefaults | None":
    """Return what a profile says of sampling; what it does not say (words to lead away from) is as published."""
    if sampling is None:
        return None
    return replace(
        published,
        steps=sampling.steps,
        guidance=sampling.guidance,
        frames=sampling.frames,
        height=sampling.height,
        width=sampling.width,
        scheduler=sampling.scheduler,
    )


def _stable_video() -> "Specialist":
    from vitron_agent.specialists.stable_video import StableVideo

    return StableVideo()


PLANNERS: dict[str, Callable[[Path, "MediaStore", bool, Device], "BaseChatModel"]] = {
    "tiny": _tiny_planner,
    "vitron-7b": _full_size_planner,
}
SPECIALISTS: dict[str, Callable[[Path, Part, Device], "Specialist"]] = {
    "gligen": _gligen,
    "gligen_inpaint": _gligen_inpaint,
    "seem": _seem,
    "zeroscope": _zeroscope,
    "i2vgen_xl": _i2vgen_xl,
    "controlnet": _controlnet,
}
WEIGHTLESS: dict[str, Callable[[], "Specialist"]] = {"stable_video": _stable_video}
"""Specialists that are no network: they fit what they need to each video."""
