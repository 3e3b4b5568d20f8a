"""Handles are digests and nothing else."""

import pytest
from pydantic import ValidationError

from vitron_agent.media import MediaKind, MediaRef

URI = "sha256:" + "0" * 64


def test_a_reference_is_a_small_value() -> None:
    ref = MediaRef(uri=URI, kind=MediaKind.VIDEO, width=4, height=3, frames=8, fps=8)
    assert MediaRef.model_validate_json(ref.model_dump_json()) == ref
    assert len({ref, ref.model_copy()}) == 1
    with pytest.raises(ValidationError):
        ref.width = 5  # type: ignore[misc]  # frozen


@pytest.mark.parametrize(
    "fields",
    [
        {"uri": "sha256:abc"},
        {"uri": "/etc/passwd"},
        {"uri": URI + "\n"},
        {"kind": "audio"},
        {"width": 0},
        {"height": -1},
        {"frames": 0},
        {"fps": 0},
        {"fps": float("nan")},
        {"path": "x"},
    ],
)
def test_bad_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MediaRef.model_validate({"uri": URI, "kind": "image", "width": 4, "height": 3, **fields})
