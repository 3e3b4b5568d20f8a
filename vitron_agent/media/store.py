"""The media store: pictures, masks and videos under the digest of their files, over `ContentStore`.

What is computed is kept as PNG or MP4; the photograph that a user brings, as the file that it is. Such a file also says
where and when it was taken, so pictures leave the store as pixels alone: `get_image`, `get_png`, `export`. This file
does not know conversations.
"""

from pathlib import Path

from pydantic import ValidationError
from torch import Tensor

from vitron_agent.errors import InputError, StorageError, quoted
from vitron_agent.media.contents import ContentStore, Facts, damaged
from vitron_agent.media.files import write_file
from vitron_agent.media.images import decode_image, decode_png, encode_png, is_plain_png
from vitron_agent.media.refs import MediaKind, MediaRef
from vitron_agent.media.uploads import Upload, decode_upload
from vitron_agent.media.videos import decode_mp4, encode_gif, encode_mp4


class MediaStore(ContentStore):
    """Content-addressed pictures, masks and videos, and bytes that belong to them, in one folder.

    Safe for several threads and processes at once: a handle's bytes never change, and files appear whole.
    """

    def put_image(self, image: Tensor) -> MediaRef:
        """Store a picture, uint8 (3, H, W) RGB, without loss.

        Raises:
            ValueError: another shape or type.
            StorageError: the store cannot be written.
        """
        return self._put_still(image, MediaKind.IMAGE, 3)

    def put_picture(self, data: bytes, name: str = "the picture") -> MediaRef:
        """Store a picture's file: a JPEG, PNG or WebP as it came, else its pixels; `get_image` reads what it shows.

        Args:
            data: a whole file, as `decode_image` reads it.
            name: what to call it in an error.

        Raises:
            InputError: it cannot be read; nothing is written then.
            StorageError: the store cannot be written.
        """
        return self.put_upload(decode_upload(data, name))

    def put_upload(self, upload: Upload) -> MediaRef:
        """Store a picture's file that has been read already, as `put_picture` does.

        Raises:
            StorageError: the store cannot be written.
        """
        if upload.kept is None:
            return self.put_image(upload.pixels)
        height, width = upload.pixels.shape[-2:]
        return self._put_media(upload.kept, upload.suffix, MediaKind.IMAGE, {"width": width, "height": height})

    def get_image(self, ref: MediaRef | str) -> Tensor:
        """Read a picture: uint8 (3, H, W) RGB, upright, whatever file it came as.

        Raises:
            StorageError: unknown handle, not a picture, or damaged.
        """
        return self._get_still(ref, MediaKind.IMAGE)

    def get_png(self, ref: MediaRef | str) -> bytes:
        """Read a picture as a PNG of nothing but its pixels: what may be shown to others.

        Raises:
            StorageError: unknown handle, not a picture, or damaged.
        """
        _, data = self._read_media(ref, MediaKind.IMAGE)
        return data if is_plain_png(data) else encode_png(self.get_image(ref))

    def put_mask(self, mask: Tensor) -> MediaRef:
        """Store a mask, bool (H, W).

        Raises:
            ValueError: another shape or type.
            StorageError: the store cannot be written.
        """
        return self._put_still(mask, MediaKind.MASK, 2)

    def get_mask(self, ref: MediaRef | str) -> Tensor:
        """Read a mask: bool (H, W).

        Raises:
            StorageError: unknown handle, not a mask, or damaged.
        """
        return self._get_still(ref, MediaKind.MASK)

    def put_video(self, frames: Tensor, fps: float) -> MediaRef:
        """Store frames, uint8 (T, 3, H, W) RGB, as H.264 (a little loss) at `fps` frames per second.

        Raises:
            ValueError: another shape or type, no frames, or a rate that no video has.
            StorageError: the store cannot be written.
        """
        data = encode_mp4(frames, fps)
        count, _, height, width = frames.shape
        facts = {"width": width, "height": height, "frames": count, "fps": fps}
        return self._put_media(data, "mp4", MediaKind.VIDEO, facts)

    def get_video(self, ref: MediaRef | str) -> tuple[Tensor, float]:
        """Read a video: frames, uint8 (T, 3, H, W) RGB, and frames per second.

        Raises:
            StorageError: unknown handle, not a video, or damaged.
        """
        known, data = self._read_media(ref, MediaKind.VIDEO)
        try:
            frames, _ = decode_mp4(data)
        except InputError:
            raise damaged(known.uri) from None
        return frames[:, :, : known.height, : known.width], float(known.fps or 0)  # without the even sides' padding

    def ref(self, uri: str) -> MediaRef:
        """Look up what a handle stands for.

        Raises:
            StorageError: unknown handle, damaged, or no media.
        """
        facts = self._facts(uri)
        if "kind" not in facts:
            raise StorageError(f"{uri} holds {facts.get('suffix')} data: it is no picture, mask or video")
        try:
            return MediaRef.model_validate({"uri": uri, **{key: facts[key] for key in facts if key != "suffix"}})
        except ValidationError:
            raise damaged(uri) from None

    def export(self, ref: MediaRef | str, path: str | Path) -> Path:
        """Write media to a file of the user's: PNG for pictures and masks (0 and 255), MP4 or `.gif` for videos.

        Raises:
            InputError: the file cannot be written.
            StorageError: unknown handle, or damaged.
        """
        path = Path(path)
        kind = self._facts(_uri(ref)).get("kind")
        if kind == MediaKind.VIDEO and path.suffix.lower() == ".gif":
            data = encode_gif(*self.get_video(ref))
        else:
            data = self.get_png(ref) if kind == MediaKind.IMAGE else self.get_bytes(_uri(ref))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(str(path), data)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such name is possible"
            raise InputError(f"{quoted(str(path), 300)} cannot be written ({reason}): choose another folder") from None
        return path

    def _put_still(self, pixels: Tensor, kind: MediaKind, ndim: int) -> MediaRef:
        if pixels.ndim != ndim:
            raise ValueError(f"a {kind.value} has {ndim} dimensions, got {pixels.dtype} {tuple(pixels.shape)}")
        height, width = pixels.shape[-2:]
        return self._put_media(encode_png(pixels), "png", kind, {"width": width, "height": height})

    def _get_still(self, ref: MediaRef | str, kind: MediaKind) -> Tensor:
        known, data = self._read_media(ref, kind)
        try:
            pixels = decode_image(data) if kind is MediaKind.IMAGE else decode_png(data)
        except InputError:
            raise damaged(known.uri) from None
        if tuple(pixels.shape[-2:]) != (known.height, known.width):
            raise damaged(known.uri)
        return pixels

    def _put_media(self, data: bytes, suffix: str, kind: MediaKind, facts: Facts) -> MediaRef:
        uri = self._put(data, {"suffix": suffix, "kind": kind.value, **facts})
        return MediaRef.model_validate({"uri": uri, "kind": kind, **facts})

    def _read_media(self, ref: MediaRef | str, kind: MediaKind) -> tuple[MediaRef, bytes]:
        uri = _uri(ref)
        known = self.ref(uri)
        if known.kind is not kind:
            raise StorageError(f"{uri} is of kind {known.kind.value}, not {kind.value}: give another handle")
        return known, self.get_bytes(uri)


def _uri(ref: MediaRef | str) -> str:
    return ref.uri if isinstance(ref, MediaRef) else ref
