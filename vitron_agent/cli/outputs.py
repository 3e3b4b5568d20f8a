"""A turn's results as files and as the documented JSON. Files are written when all is done, never half."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitron_agent.cli.session import Session, Turn

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage


@dataclass
class Writer:
    """Writes results to one folder and remembers which handle lies in which file."""

    session: Session
    folder: Path
    video_suffix: str = "mp4"  # or "gif"

    def turn(self, turn: Turn) -> dict[str, Any]:
        """Write the files of a turn and return its record."""
        from langchain_core.messages import AIMessage, ToolMessage

        answers = {m.tool_call_id: m for m in turn.messages if isinstance(m, ToolMessage)}
        texts = [str(m.text).strip() for m in turn.messages if isinstance(m, AIMessage)]
        asked: list[Any] = [
            call
            for message in turn.messages
            if isinstance(message, AIMessage)
            for call in [*message.tool_calls, *message.invalid_tool_calls]
        ]
        calls = []
        for index, call in enumerate(asked, start=1):
            stem = f"turn{turn.number}-call{index}-{_file_name(call['name'])}"
            calls.append(self._call(call, answers.get(str(call["id"])), turn, stem))
        return {
            "request": turn.request,
            "text": "\n".join(text for text in texts if text),
            "seconds": round(turn.seconds, 3),
            "calls": calls,
        }

    def _call(self, call: Any, answer: "ToolMessage | None", turn: Turn, stem: str) -> dict[str, Any]:
        """Return the record of one call; a call that failed has an error and no output."""
        from vitron_agent.tools.conversation import said

        arguments = call["args"] if isinstance(call["args"], dict) else {}
        artifact = answer.artifact if answer is not None and isinstance(answer.artifact, dict) else {}
        failed = answer is None or answer.status == "error"
        record = {
            "module": _letter(call["name"]),
            "name": call["name"],
            "command": said(arguments),
            "region": _region(arguments.get("region"), turn),
            "inputs": [self._input(handle) for handle in artifact.get("inputs", [])],
            "output": None if failed else self._output(artifact, stem),
            "signals": artifact.get("signals"),
            "seconds": artifact.get("seconds", 0.0),
        }
        if failed:
            reason = str(answer.text) if answer is not None else "it was not done"
            record["error"] = reason.removeprefix("Result: not done: ")
        return record

    def _output(self, artifact: dict[str, Any], stem: str) -> dict[str, Any]:
        """Write what a call made or found and say where it is."""
        output: dict[str, Any] = {"kind": artifact["kind"], "path": self._export(artifact["uri"], stem)}
        if artifact.get("mask_uri"):
            output["mask_path"] = self._export(artifact["mask_uri"], f"{stem}-mask", remember=False)
        if artifact.get("boxes"):
            output["boxes"] = artifact["boxes"]
        if artifact.get("track_uri"):
            output |= self._track(artifact["track_uri"], f"{stem}-masks")
        for name, uri in artifact.get("looks", {}).items():
            output.setdefault("looks", {})[name] = self._export(uri, f"{stem}-{name}", remember=False)
        return output

    def _track(self, uri: str, folder: str) -> dict[str, Any]:
        """Write a tracked object's masks, one per frame: `0000.png` onward, 0 and 255.

        The folder may hold those of an earlier, longer video: what would be one too many goes.
        """
        record = json.loads(self.session.store.get_bytes(uri))
        for old in (self.folder / folder).glob("[0-9][0-9][0-9][0-9].png"):
            if int(old.stem) >= len(record["masks"]):
                old.unlink()
        for frame, mask in enumerate(record["masks"]):
            self._export(mask, f"{folder}/{frame:04d}", remember=False)
        return {"mask_path": str(self.folder / folder), "boxes": record["boxes"]}

    def _input(self, handle: str) -> str:
        """Return the file of an input; one from an earlier run of this thread is written now."""
        known = self.session.files.get(handle)
        return known or self._export(handle, f"input-{handle.removeprefix('sha256:')[:12]}")

    def _export(self, handle: str, stem: str, remember: bool = True) -> str:
        suffix = self.video_suffix if self.session.store.ref(handle).kind.value == "video" else "png"
        path = str(self.session.store.export(handle, self.folder / f"{stem}.{suffix}"))
        if remember:
            self.session.files[handle] = path
        return path


def _letter(name: str) -> str | None:
    """Return the module's letter, or None for a tool that is none of ours."""
    from vitron_agent.invocation import Module

    return next((module.letter for module in Module if module.tool_name == name), None)


def _region(region: Any, turn: Turn) -> list[float] | None:
    """Return a call's region as a box; for the drawn region, the box around it."""
    if region == "drawn":
        return [round(value, 4) for value in turn.region.box] if turn.region else None
    return list(region) if region else None


def _file_name(name: str) -> str:
    """Return a tool's name as part of a file name."""
    return "".join(char if char.isalnum() or char in "_-" else "-" for char in name)[:40] or "call"
