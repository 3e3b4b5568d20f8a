"""Whether a profile's weights are all there and whole. Reads headers, and values where that is asked for.

Where the profile's folder has a `SHA256SUMS` (as `sha256sum` writes and checks it), every file that it lists must have
that digest: a flipped bit, or a file swapped for another of the same shapes, is seen by nothing else. Knows files, not
models: whether tensors fit an architecture is found out by who loads them.
"""

import hashlib
import json
import re
import zipfile
from pathlib import Path

from vitron_agent.errors import CheckpointError, quoted
from vitron_agent.parts import Part, Profile

SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(.+)")
_INDEX, _PICKLE_INDEX = ".safetensors.index.json", ".bin.index.json"
_PICKLES = (".pt", ".bin")
_OLD_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch's files began before they were archives


def part_files(profile: Profile, part: Part) -> list[Path]:
    """Return the files of a part that are there: those it needs, and all weights and configurations in its folder."""
    assert profile.folder is not None  # callers ask about profiles that have one
    needed = {profile.folder / name for names in part.files for name in names.split("|")}
    ends = (".safetensors", ".json", *_PICKLES)
    found = {path for end in ends for path in (profile.folder / part.name).rglob(f"*{end}")}
    return sorted(path for path in needed | found if path.is_file())


def faults(profile: Profile, part: Part, finite: bool = False) -> list[str]:
    """Return what is wrong with one part's files, a line each; nothing where all is well.

    Args:
        profile: the part's.
        part: which part.
        finite: whether all values are read too, to see that each is a number.
    """
    missing = [f"{part.name}: {name} is missing" for name in profile.missing(part)]
    if profile.folder is None:
        return missing
    sums = listed_sums(profile.folder)
    found = [
        (path, file_fault(path, finite) or _sum_fault(path, sums.get(path.relative_to(profile.folder).as_posix())))
        for path in part_files(profile, part)
    ]
    return missing + [f"{part.name}: {path.relative_to(profile.folder)} {fault}" for path, fault in found if fault]


def listed_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digests that a folder's `SHA256SUMS` lists, by path under the folder; none without that file.

    Raises:
        CheckpointError: It cannot be read, or a line of it is none of `sha256sum`'s.
    """
    path = folder / SUMS
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): write it anew with sha256sum, or delete it") from error
    found = [(line, _SUM.fullmatch(line)) for line in lines if line.strip()]
    if wrong := next((line for line, match in found if match is None), None):
        raise CheckpointError(f"{path}: {quoted(wrong)} is no line of sha256sum: write it anew, or delete it")
    return {match[2]: match[1] for _, match in found if match}


def _sum_fault(path: Path, wanted: str | None) -> str | None:
    """Return what is wrong with a file whose digest is known."""
    if wanted is None:
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == wanted else f"is not the file that {SUMS} lists: its SHA-256 is {digest[:12]}..."


def file_fault(path: Path, finite: bool = False) -> str | None:
    """Return what is wrong with one file, as the end of a sentence that begins with its name; None for nothing.

    Args:
        path: a safetensors file, a pickle of tensors, JSON, or something else, such as a tokenizer's words.
        finite: whether its values are read too.
    """
    if path.suffix == ".safetensors":
        return _tensor_fault(path, finite)
    if path.suffix in _PICKLES:
        return _archive_fault(path, finite)
    if path.suffix != ".json":
        return None if path.stat().st_size else "is empty"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"is no JSON ({quoted(str(error))})"
    indexed = path.name.endswith(_INDEX)
    if path.name.endswith(_PICKLE_INDEX):
        indexed = not any(path.parent.glob("*.safetensors"))  # beside those, pickles are not read
    return _shard_fault(path.parent, content) if indexed else None


def _tensor_fault(path: Path, finite: bool) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        # Opening checks the header: known types, shapes that fit their bytes, no gaps, and not a byte more or less.
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            if not names:
                return "holds no tensors"
            for name in names if finite else ():
                # As float32, because float8 knows no isfinite.
                if not file.get_tensor(name).float().isfinite().all():
                    return f"holds values that are no numbers, in {name}"
    except (OSError, SafetensorError) as error:
        return f"is truncated or damaged ({quoted(str(error), 120)})"
    return None


def _archive_fault(path: Path, checksums: bool) -> str | None:
    """Return what is wrong with a file of torch's, an archive: its end is looked at, on request every checksum."""
    try:
        with path.open("rb") as file:
            if file.read(len(_OLD_PICKLE)) == _OLD_PICKLE:
                return None  # whether it is whole only reading it would tell
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip() if checksums else None
    except (OSError, zipfile.BadZipFile) as error:
        return f"is truncated or damaged ({quoted(str(error), 120)})"
    return f"is damaged in {bad}" if bad else None


def _shard_fault(folder: Path, index: object) -> str | None:
    """Return which shard that an index names is missing, or lacks a tensor."""
    from safetensors import SafetensorError, safe_open

    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        return "is no index: it has no 'weight_map' from tensors to files"
    for shard in sorted(set(shards.values())):
        if not (folder / shard).is_file():
            return f"names {quoted(shard)}, which is missing"
        if shard.endswith(_PICKLES):
            continue  # what is in a pickle is not looked at
        try:
            with safe_open(folder / shard, "pt") as file:
                lacking = {name for name, place in shards.items() if place == shard} - set(file.keys())
        except (OSError, SafetensorError):
            continue  # that shard has a line of its own
        if lacking:
            return f"promises {min(lacking)} in {quoted(shard)}, which lacks it"
    return None
