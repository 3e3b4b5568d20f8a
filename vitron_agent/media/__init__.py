"""Pictures, videos, masks and regions: values, handles, files and the store that keeps them."""

from vitron_agent.media.blocks import (
    BLOCK_KINDS,
    NO_SOURCES,
    Block,
    MediaSources,
    block_handle,
    carried,
    put_block_picture,
    read_picture,
    read_video,
)
from vitron_agent.media.display import Shown, show, side_by_side
from vitron_agent.media.download import Downloads
from vitron_agent.media.folders import Folders
from vitron_agent.media.geometry import Box, Point, box_of
from vitron_agent.media.images import (
    MAX_PIXELS,
    MAX_SIDE,
    decode_image,
    decode_png,
    encode_png,
    is_plain_png,
    load_image,
)
from vitron_agent.media.refs import MediaKind, MediaRef
from vitron_agent.media.regions import CLICK_RADIUS, SCRIBBLE_RADIUS, Region, RegionKind
from vitron_agent.media.store import MediaStore
from vitron_agent.media.uploads import Upload, decode_upload, load_upload
from vitron_agent.media.videos import MAX_FRAMES, decode_mp4, encode_gif, encode_mp4, load_video, sample_video

__all__ = [
    "BLOCK_KINDS",
    "CLICK_RADIUS",
    "MAX_FRAMES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "NO_SOURCES",
    "SCRIBBLE_RADIUS",
    "Block",
    "Box",
    "Downloads",
    "Folders",
    "MediaKind",
    "MediaRef",
    "MediaSources",
    "MediaStore",
    "Point",
    "Region",
    "RegionKind",
    "Shown",
    "Upload",
    "block_handle",
    "box_of",
    "carried",
    "decode_image",
    "decode_mp4",
    "decode_png",
    "decode_upload",
    "encode_gif",
    "encode_mp4",
    "encode_png",
    "is_plain_png",
    "load_image",
    "load_upload",
    "load_video",
    "put_block_picture",
    "show",
    "side_by_side",
    "read_picture",
    "read_video",
    "sample_video",
]
