"""The names by which planners call the seven modules, and the task words that they put before a command.

Sources: the release and its data, the paper's sections 3 and B, REAMO's CamelCase names, JARVIS' and LLaVA-Plus' tasks.
"""

import re

from vitron_agent.invocation.types import Module

_OTHER_NAMES: dict[Module, tuple[str, ...]] = {
    Module.A: ("text to image", "image synthesis", "generation"),
    Module.B: ("segmentation", "image grounding", "referring segmentation", "grounding", "seem", "grounded sam"),
    Module.C: ("image edit", "edit", "editing", "inpainting", "image inpainting", "image to image", "instruct pix2pix"),
    Module.D: ("text to video", "video synthesis", "video"),
    Module.E: ("tracking", "video tracking", "video object segmentation", "video grounding"),
    Module.F: ("video edit",),
    Module.G: ("image to video generation", "animation", "image animation"),
}
_VERBS = ("generate", "draw", "segment", "ground", "inpaint", "track", "animate", "image", "image generation")
LAYERS = ("foreground", "background")


def _key(name: str) -> str:
    """Make `Image-to-Video`, `image to video` and `ImageToVideo` one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _names(module: Module) -> list[str]:
    return [_key(name) for name in (module.title, module.tool_name, *_OTHER_NAMES[module])]


_MODULES: dict[str, Module] = {
    key: module
    for module in Module
    for name in ("", *_names(module))
    for key in (name or module.letter.lower(), f"{module.letter.lower()}{name}", f"module{module.letter.lower()}{name}")
}
_TASKS = {key for module in Module for key in (*_names(module), _key(module.task))} | {*map(_key, _VERBS)}


def find_module(name: str) -> Module | None:
    """Find a module by its letter, a name of any source, or both, in any case and spacing."""
    return _MODULES.get(_key(name))


def split_task(instruction: str, module: Module) -> tuple[str | None, str]:
    """Split an instruction at its first colon, and only behind a known task word.

    The layers "foreground" and "background" are task words of video editing alone: elsewhere they are things.

    Returns:
        The task word in lower case without blanks and hyphens, or None, and the command with all its own colons.
    """
    word, colon, command = instruction.partition(":")
    task = _key(word)
    is_known = task in _TASKS or (module is Module.F and task in LAYERS)
    return (task, command.strip()) if colon and is_known else (None, instruction.strip())
