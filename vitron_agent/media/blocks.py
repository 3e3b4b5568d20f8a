"""Content blocks of messages: the picture or video behind one, wherever it lies.

    {"type": "image", "file_id": "sha256:..."}                  a handle of the store
    {"type": "image", "base64": "...", "mime_type": "..."}      bytes; also as a `data:` address
    {"type": "image", "url": "https://..."}                     the web, if `MediaSources` has downloads
    {"type": "image", "path": "holiday/beach.png"}              a file, if `MediaSources` has folders

and the same with "video"; OpenAI's `image_url`, LangChain's older form and Anthropic's base64 too. This file knows
plain dicts, not messages.
"""

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vitron_agent.errors import InputError, quoted
from vitron_agent.media.download import Downloads, shown
from vitron_agent.media.folders import Folders
from vitron_agent.media.images import decode_image
from vitron_agent.media.refs import MediaKind, MediaRef
from vitron_agent.media.store import MediaStore
from vitron_agent.media.videos import sample_video

Block = Mapping[str, Any]
BLOCK_KINDS = {
    "image": MediaKind.IMAGE,
    "image_url": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "video_url": MediaKind.VIDEO,
}
"""What a block of a type holds."""
_HANDLE = "sha256:"


@dataclass(frozen=True)
class MediaSources:
    """Where media may come from besides the store and the block itself. Nowhere, unless something is given.

    Attributes:
        downloads: opens http and https addresses.
        folders: opens files.
    """

    downloads: Downloads | None = None
    folders: Folders | None = None


NO_SOURCES = MediaSources()


def block_handle(block: Block) -> str | None:
    """Return the handle in a block, or None if it holds its picture or video in another form."""
    handle = block.get("file_id")
    return handle if isinstance(handle, str) and handle.startswith(_HANDLE) else None


def carried(block: object) -> MediaKind | None:
    """Return what a content block itself carries, by handle or as bytes; None for a mere address or anything else."""
    if not isinstance(block, Mapping):
        return None
    inline = block_handle(block) or _base64(block) is not None or (_url(block) or "").startswith("data:")
    return BLOCK_KINDS.get(str(block.get("type"))) if inline else None


def read_picture(block: Block, store: MediaStore | None = None, sources: MediaSources = NO_SOURCES) -> Tensor:
    """Read the picture of a block: uint8 (3, H, W) RGB.

    Args:
        block: a content block.
        store: where handles are looked up.
        sources: what else may be opened.

    Raises:
        InputError: the block holds no picture that can be read, or one from a source that is not open.
        DownloadError: its address cannot be downloaded.
        StorageError: the store does not have its handle.
    """
    if handle := block_handle(block):
        return _store_of(handle, store).get_image(handle)
    return decode_image(*_content(block, MediaKind.IMAGE, sources))


def put_block_picture(block: Block, store: MediaStore, sources: MediaSources = NO_SOURCES) -> MediaRef:
    """Store the picture of a block, which is no handle yet, as `MediaStore.put_picture` does.

    Args:
        block: a content block.
        store: where the picture is kept.
        sources: what else may be opened.

    Raises:
        InputError: the block holds no picture that can be read, or one from a source that is not open.
        DownloadError: its address cannot be downloaded.
        StorageError: the store cannot be written.
    """
    return store.put_picture(*_content(block, MediaKind.IMAGE, sources))


def read_video(
    block: Block, store: MediaStore | None = None, sources: MediaSources = NO_SOURCES
) -> tuple[Tensor, float]:
    """Read the video of a block: frames, uint8 (T, 3, H, W) RGB, and frames per second; a long one is sampled.

    Args:
        block: a content block.
        store: where handles are looked up.
        sources: what else may be opened.

    Raises:
        InputError: the block holds no video that can be read, or one from a source that is not open.
        DownloadError: its address cannot be downloaded.
        StorageError: the store does not have its handle.
    """
    if handle := block_handle(block):
        return _store_of(handle, store).get_video(handle)
    data, name = _content(block, MediaKind.VIDEO, sources)
    return sample_video(io.BytesIO(data), name=name)


def _store_of(handle: str, store: MediaStore | None) -> MediaStore:
    if store is None:
        raise InputError(f"{handle[:20]}... cannot be looked up: give the planner a media store")
    return store


def _content(block: Block, kind: MediaKind, sources: MediaSources) -> tuple[bytes, str]:
    """Return the bytes of a block, and what errors call them."""
    noun = "video" if kind is MediaKind.VIDEO else "picture"
    data, url, path = _base64(block), _url(block), block.get("path")
    if data is None and url is not None and url.startswith("data:") and ";base64," in url[:100]:
        data = url.split(";base64,", 1)[1]
    if data is not None:
        return _decoded(data, noun), f"the {noun}"
    if isinstance(path, str):
        if sources.folders is None:
            raise InputError(
                f"file {quoted(path)} is not opened: send the {noun}'s bytes or a handle of the store, or name the "
                "folders that may be read with MediaSources(folders=...)"
            )
        return sources.folders.read(path), quoted(path)
    if url is None and block.get("file_id") is None:
        raise InputError(f"the block of a {noun} holds none: send the {noun}'s bytes or a handle of the store")
    if url is None or sources.downloads is None:
        address = quoted(url or str(block.get("file_id") or ""), 60)
        raise InputError(
            f"{noun} address {address} is not opened: send the {noun}'s bytes or a handle of the store, or switch "
            "downloads on with MediaSources(downloads=Downloads())"
        )
    return sources.downloads.read(url, kind), shown(url)


def _base64(block: Block) -> Any:
    """Return the base64 in a block: the standard's, LangChain's older `data`, or Anthropic's `source`."""
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") == "base64":
        return source.get("data")
    return block.get("data") if block.get("source_type") == "base64" else block.get("base64")


def _url(block: Block) -> str | None:
    """Return the address in a block: the standard's `url`, or OpenAI's `image_url`, an object or a text."""
    found = block.get("url") or block.get("image_url") or block.get("video_url")
    found = found.get("url") if isinstance(found, Mapping) else found
    return found if isinstance(found, str) else None


def _decoded(data: Any, noun: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InputError(f"a {noun} is no valid base64: encode the whole file again") from None
