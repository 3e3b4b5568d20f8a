"""Files of chosen folders, for whoever switches it on: what lies in them can be read, and nothing else is looked at.

This file does not know what the files are; the decoders judge that.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath

from vitron_agent.errors import InputError, quoted


class Folders:
    """Reads files that lie in folders which were named beforehand."""

    def __init__(self, *folders: str | Path, max_bytes: int = 100_000_000) -> None:
        """Name the folders.

        Args:
            *folders: Their paths; everything below them can be read.
            max_bytes: The largest file.

        Raises:
            InputError: One of them is no folder.
        """
        self._folders = tuple(Path(folder).resolve() for folder in folders)
        self._max_bytes = max_bytes
        for folder in self._folders:
            if not folder.is_dir():
                raise InputError(f"{quoted(str(folder), 300)} is no folder: media can be read from folders only")

    def read(self, path: str) -> bytes:
        """Read one file.

        Args:
            path: Relative to one of the folders, or absolute and inside one; with `/` between its parts.

        Raises:
            InputError: It is not in the folders, no regular file, or too large. Of what lies outside, the error does
                not tell whether it exists.
        """
        found = self._find(path)
        if found is None:
            raise InputError(f"{quoted(path)} is no file in the folders that are open: check the name")
        try:
            with found.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except OSError:
            raise InputError(f"{quoted(path)} may not be read: check its permissions") from None
        if len(data) > self._max_bytes:
            raise InputError(f"{quoted(path)} has more than {self._max_bytes:,} bytes: make it smaller first")
        return data

    def _find(self, path: str) -> Path | None:
        """Return the file a path means, links followed, if it lies in one of the folders."""
        windows = "\\" in path or PureWindowsPath(path).drive  # such a path means another place elsewhere
        if windows or "\0" in path or ".." in PurePosixPath(path).parts:
            return None
        for folder in self._folders:
            try:
                found = (folder / path).resolve()
                if found.is_relative_to(folder) and found.is_file():
                    return found
            except (OSError, RuntimeError):  # a name too long, links in a circle
                continue
        return None
