"""Reads calls that planners of other systems write as JSON: LLaVA-Plus and JARVIS (HuggingGPT).

LLaVA-Plus quotes three keys, thoughts, actions and value, with `actions` a list of `{API_name, API_params}`
(`gradio_web_server_llava_plus.py`). JARVIS writes a list of `{task, id, dep, args}`. JSON that is neither is prose.
This file only finds the parts; `parser.py` judges them.
"""

import ast
import json
import re
from dataclasses import dataclass

MAX_JSON = 20_000  # characters: no planner's list of calls is longer
_STRING = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_EMOJI = r"[^\w\"']{0,4}"  # the keys carry one in the wild: "thoughts🤔"
_QUOTED_KEYS = re.compile(
    rf"""["']thoughts{_EMOJI}["']:?\s*{_STRING}[\s,]*"""
    rf"""["']actions{_EMOJI}["']:?\s*(\[.*\])[\s,]*["']value{_EMOJI}["']:?\s*{_STRING}""",
    re.DOTALL,
)
_COMMANDS = ("command", "text", "prompt", "instruction", "caption", "query")
_REGIONS = ("region", "box", "bbox", "boxes")


@dataclass(frozen=True)
class JsonCall:
    """One call as found: nothing in it has been checked.

    Attributes:
        module: the name of the module or tool.
        command: the words, "" if there are none.
        region: the box as text, "" if there is none.
        source: the call as JSON.
    """

    module: str
    command: str
    region: str
    source: str


def read_json_calls(reply: str) -> tuple[str, list[JsonCall]]:
    """Find JSON calls in a reply.

    Returns:
        The text without them and the calls in order; the whole reply and no calls if it is no such JSON.
    """
    body = reply.strip()
    if len(body) > MAX_JSON:
        return reply, []
    if match := _QUOTED_KEYS.search(body):
        _, actions, value = match.groups()
        calls = _calls(_load(actions))
        # Actions that cannot be read are a call that cannot be understood, and not silence.
        return str(_load(value) or ""), [JsonCall(actions, "", "", actions)] if calls is None else calls
    before, fence, rest = body.partition("```")
    inside, closing, after = rest.partition("```")
    if fence and closing:
        data = _load(inside.removeprefix("json").strip())
        text = f"{before.strip()} {after.strip()}".strip()
    else:
        data = _load(body)
        text = ""
    if isinstance(data, dict) and isinstance(data.get("actions"), list) and "value" in data:
        return str(data["value"]), _calls(data["actions"]) or []
    calls = _calls(data)
    return (text, calls) if calls else (reply, [])


def _calls(data: object) -> list[JsonCall] | None:
    """The calls in a list or a single object, or None if anything else is among them."""
    items = data if isinstance(data, list) else [data]
    calls = [_call(item) for item in items]
    found = [call for call in calls if call is not None]
    return found if len(found) == len(items) else None


def _call(item: object) -> JsonCall | None:
    if not isinstance(item, dict):
        return None
    name = item.get("API_name", item.get("task"))
    arguments = item.get("API_params", item.get("args"))
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    command = next((arguments[key] for key in _COMMANDS if isinstance(arguments.get(key), str)), "")
    region = next((arguments[key] for key in _REGIONS if arguments.get(key)), "")
    if isinstance(region, list) and len(region) == 1 and isinstance(region[0], list):
        region = region[0]  # a list of one box
    return JsonCall(name, command, str(region), str(item))


def _load(text: str) -> object:
    """Read JSON, or the Python literals of planners that quote with single quotes; None if it is neither."""
    if text[:1] not in ("[", "{", '"', "'"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
