"""Bytes under the digest of what they are, in a folder or at any fsspec URL: what `MediaStore` stands on.

A thing lies at `<first 2 hex digits>/<64 hex digits>.<suffix>`, and beside it `<64 hex digits>.ref.json` says what it
is. The small file is written last: what has one is whole. Every read checks the digest, so a damaged file is never
shown to anybody. Links, at `links/<2>/<64 hex digits>.json`, give a handle another name. This file does not know
media, and forgets nothing: removal is the user's.
"""

import contextlib
import copy
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from vitron_agent.errors import StorageError
from vitron_agent.media.files import holds, write_file
from vitron_agent.media.refs import handle_digest

Facts = Mapping[str, str | int | float]

_SUFFIX = re.compile(r"[a-z0-9]{1,16}")


class ContentStore:
    """Content-addressed bytes in one folder.

    Safe for several threads and processes at once: a handle's bytes never change, and files appear whole.
    """

    def __init__(self, url: str | Path) -> None:
        """Open a store; its folder is made on the first write.

        Args:
            url: a path, or any URL that fsspec knows, such as `memory://media` or `s3://bucket/media`.

        Raises:
            StorageError: no such protocol, or its driver is not installed.
        """
        try:
            self._fs, root = fsspec.core.url_to_fs(os.fspath(url))
        except (ImportError, ValueError) as error:
            raise StorageError(f"media store {str(url)!r} cannot be opened: {error}") from None
        self._root = root.rstrip("/")
        self._syncs = True

    def without_sync(self) -> Self:
        """Return the same store for what can be made again: its writes do not wait for the disk.

        A killed process loses none of them, since the system holds them. A power cut may lose the last seconds' or cut
        them short; every read checks the digest, so that those are as good as absent and are made again.
        """
        twin = copy.copy(self)
        twin._syncs = False
        return twin

    @property
    def folder(self) -> Path | None:
        """The local folder it is, or None at any other kind of URL."""
        return Path(self._root) if isinstance(self._fs, LocalFileSystem) else None

    def put_bytes(self, data: bytes, suffix: str) -> str:
        """Store bytes that are no media, such as signals, and return their handle.

        Raises:
            ValueError: the suffix is not 1 to 16 lower-case letters and digits.
            StorageError: the store cannot be written.
        """
        if _SUFFIX.fullmatch(suffix) is None:
            raise ValueError(f"suffix {suffix!r} must be 1 to 16 lower-case letters and digits")
        facts: Facts = {"suffix": suffix}
        uri = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with contextlib.suppress(StorageError):
            facts = self._facts(uri)  # known already, perhaps as media: it stays what it is
        return self._put(data, facts)

    def get_bytes(self, uri: str) -> bytes:
        """Read the stored bytes of any handle, digest checked.

        Raises:
            StorageError: unknown handle, or damaged.
        """
        return self._read(uri)[1]

    def link(self, key: str, uri: str) -> None:
        """Let a key lead to a handle, in place of where it led before.

        Args:
            key: 64 hex digits of whoever links.
            uri: a handle; it need not be in the store.

        Raises:
            StorageError: key or handle are none, or the store cannot be written.
        """
        handle_digest(uri)
        self._write(self._link_path(key), json.dumps({"uri": uri}).encode())

    def linked(self, key: str) -> str | None:
        """Return the handle a key leads to; None where there is no link, or none that can be read."""
        try:
            uri = json.loads(self._fs.cat_file(self._link_path(key)))["uri"]
            handle_digest(uri)
        except (OSError, ValueError, KeyError, TypeError, StorageError):
            return None
        return str(uri)

    def _put(self, data: bytes, facts: Facts) -> str:
        digest = hashlib.sha256(data).hexdigest()
        stem = f"{self._root}/{digest[:2]}/{digest}"
        self._write(f"{stem}.{facts['suffix']}", data)  # a damaged copy heals
        self._write(f"{stem}.ref.json", json.dumps(dict(facts)).encode())
        return f"sha256:{digest}"

    def _link_path(self, key: str) -> str:
        digest = handle_digest(f"sha256:{key}")  # nothing else is ever made into a path
        return f"{self._root}/links/{digest[:2]}/{digest}.json"

    def _write(self, path: str, data: bytes) -> None:
        try:
            is_local = isinstance(self._fs, LocalFileSystem)
            if is_local and holds(path, data, self._syncs):
                return
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if is_local:
                write_file(path, data, self._syncs)
            else:
                self._fs.pipe_file(path, data)  # object stores show a file only when it is whole
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageError(f"media store {self._root} cannot be written ({reason}): free or move it") from None

    def _facts(self, uri: str) -> Facts:
        digest = handle_digest(uri)
        try:
            facts = json.loads(self._fs.cat_file(f"{self._root}/{digest[:2]}/{digest}.ref.json"))
        except FileNotFoundError:
            raise StorageError(f"{uri} is not in the media store {self._root}: make it again") from None
        except ValueError:
            raise damaged(uri) from None
        except OSError as error:
            raise self._unreadable(error) from None
        if not isinstance(facts, dict) or _SUFFIX.fullmatch(str(facts.get("suffix"))) is None:
            raise damaged(uri)
        return facts

    def _read(self, uri: str) -> tuple[Facts, bytes]:
        facts = self._facts(uri)
        digest = handle_digest(uri)
        try:
            data = self._fs.cat_file(f"{self._root}/{digest[:2]}/{digest}.{facts['suffix']}")
        except (FileNotFoundError, IsADirectoryError):
            raise damaged(uri) from None
        except OSError as error:  # no right to read, too many open files: what lies there may be well
            raise self._unreadable(error) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise damaged(uri)
        return facts, data

    def _unreadable(self, error: OSError) -> StorageError:
        reason = error.strerror or type(error).__name__
        return StorageError(f"media store {self._root} cannot be read ({reason}): check its permissions")


def damaged(uri: str) -> StorageError:
    """Return the error of a handle whose file is not what it was."""
    return StorageError(f"{uri} is damaged in the media store: delete that file, then make it again")
