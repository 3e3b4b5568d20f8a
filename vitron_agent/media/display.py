"""Pictures, masks and videos in a notebook: objects that Jupyter shows as HTML, or as PNG where it shows no HTML.

Texts go into HTML escaped and nothing has an address but `data:`, so no caption, command or error can act in a page.
What cannot be shown becomes a sentence: looking at something must not fail. This file knows stores, not conversations.
"""

import base64
import html
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.errors import InputError, VitronError
from vitron_agent.media.images import encode_png
from vitron_agent.media.overlay import overlay
from vitron_agent.media.refs import MediaKind, MediaRef
from vitron_agent.media.store import MediaStore

SMALL, LARGE = 192, 1024  # pixels of the longer side: smaller pictures are enlarged, larger ones shrunk
MAX_INLINE = 16 * 2**20  # bytes of a video inside a page; of a longer one the first frame is shown
GAP = 8  # pixels between pictures in a row
_FIGURE = "margin:4px;display:inline-block;vertical-align:top;max-width:100%"


class HasMedia(Protocol):
    """Whatever knows where its pictures lie, such as an `Agent`."""

    @property
    def media_store(self) -> MediaStore:
        """Where its pictures lie."""
        ...


class Shown(ABC):
    """Something a notebook shows: make it the last line of a cell, or give it to IPython's `display`."""

    @abstractmethod
    def pixels(self) -> Tensor:
        """Return what is seen as one picture, uint8 (3, H, W) RGB.

        Raises:
            VitronError: It cannot be shown.
        """

    @abstractmethod
    def to_html(self) -> str:
        """Return what is seen as an HTML element, with a sentence for what cannot be shown."""

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_png_(self) -> bytes | None:
        try:
            return encode_png(_fitted(self.pixels()))
        except VitronError:
            return None  # the HTML says why


@dataclass(frozen=True)
class ShownMedia(Shown):
    """One picture, mask or video; `show` makes it.

    Attributes:
        store: where it lies.
        ref: its handle.
        mask: a mask to show over the picture.
        caption: words below it.
    """

    store: MediaStore = field(repr=False)
    ref: MediaRef | str
    mask: MediaRef | str | None = None
    caption: str = ""

    def pixels(self) -> Tensor:
        """Return the picture with its mask, the mask in black and white, or the first frame."""
        known = self._known()
        if known.kind is MediaKind.MASK and self.mask is None:
            return self.store.get_mask(known).expand(3, -1, -1).to(torch.uint8) * 255
        picture = self.store.get_video(known)[0][0] if known.kind is MediaKind.VIDEO else self.store.get_image(known)
        if self.mask is None:
            return picture
        mask = self.store.get_mask(self.mask)
        if mask.shape != picture.shape[1:]:
            sizes = f"{mask.shape[1]}x{mask.shape[0]}, the picture {known.width}x{known.height}"
            raise InputError(f"the mask is {sizes}: give the mask of this picture")
        return overlay(picture, mask)

    def to_html(self) -> str:
        """Return a figure: the picture or the running video, and the caption."""
        try:
            seen = self._video() or image_element(self.pixels(), self.caption)
        except VitronError as error:
            seen = text_element(str(error))
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure style="{_FIGURE}">{seen}{caption}</figure>'

    def _known(self) -> MediaRef:
        return self.store.ref(self.ref.uri if isinstance(self.ref, MediaRef) else self.ref)

    def _video(self) -> str | None:
        """Return the element of a video that is short enough and has no mask to show."""
        known = self._known()
        if known.kind is not MediaKind.VIDEO or self.mask is not None:
            return None
        data = self.store.get_bytes(known.uri)
        if len(data) > MAX_INLINE:
            return None
        address = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
        width = known.width * _enlarged(known.width, known.height)
        return f'<video controls loop muted playsinline width="{width}" src="{address}"></video>'


@dataclass(frozen=True)
class ShownRow(Shown):
    """Several things side by side; `side_by_side` makes it."""

    parts: tuple[Shown, ...]

    def pixels(self) -> Tensor:
        """Return those that can be shown on one white strip, tops aligned."""
        seen = []
        for part in self.parts:
            try:
                seen.append(part.pixels())
            except VitronError:
                continue
        if not seen:
            raise InputError("nothing here can be shown: give at least one picture that the store has")
        height = max(picture.shape[1] for picture in seen)
        strips = [F.pad(picture, (0, GAP, 0, height - picture.shape[1]), value=255) for picture in seen]
        return torch.cat(strips, 2)[:, :, :-GAP]

    def to_html(self) -> str:
        """Return all parts in a line that wraps."""
        return f"<div>{''.join(part.to_html() for part in self.parts)}</div>"


def show(
    source: MediaStore | HasMedia, ref: MediaRef | str, mask: MediaRef | str | None = None, caption: str = ""
) -> ShownMedia:
    """Show a picture, a mask over a picture, a mask or a video in a notebook.

    Args:
        source: A store, or an agent.
        ref: What to show.
        mask: A mask of the same size to show over it.
        caption: Words below it.
    """
    return ShownMedia(store_of(source), ref, mask, caption)


def side_by_side(*parts: Shown) -> ShownRow:
    """Show several things in a row."""
    return ShownRow(parts)


def store_of(source: MediaStore | HasMedia) -> MediaStore:
    """Return the store behind a store or an agent."""
    return source if isinstance(source, MediaStore) else source.media_store


def image_element(pixels: Tensor, alt: str = "") -> str:
    """Return a picture, uint8 (3, H, W), as an HTML image: small ones with their pixels enlarged, large ones shrunk."""
    pixels = _fitted(pixels)
    height, width = pixels.shape[1:]
    scale = _enlarged(width, height)
    address = f"data:image/png;base64,{base64.b64encode(encode_png(pixels)).decode()}"
    style = f"width:{width * scale}px;max-width:100%;image-rendering:{'pixelated' if scale > 1 else 'auto'}"
    return f'<img src="{address}" alt="{html.escape(alt)}" style="{style}">'


def text_element(text: str, tag: str = "em") -> str:
    """Return a text, escaped, as an HTML element that keeps its line breaks.

    Args:
        text: Anything anybody wrote.
        tag: The element; ours to choose, never a user's.
    """
    return f'<{tag} style="white-space:pre-wrap">{html.escape(text)}</{tag}>'


def _fitted(pixels: Tensor) -> Tensor:
    """Return a picture that is not larger than a page needs: a notebook's file holds all that it shows."""
    longest = max(pixels.shape[1:])
    if longest <= LARGE:
        return pixels
    size = [max(1, side * LARGE // longest) for side in pixels.shape[1:]]
    return F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]


def _enlarged(width: int, height: int) -> int:
    """Return how many times a small picture is enlarged, a whole number."""
    return max(1, SMALL // max(width, height))
