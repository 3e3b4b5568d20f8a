"""Public weights from the Hugging Face hub into a profile's folder, each part as it is published.

Of each folder of a repository the smallest form that loads is taken: half-precision safetensors, else safetensors, else
a pickle (of which only tensors are ever read). A connection that breaks is taken up again where it broke; after a
download that was given up, the files that are whole stay. Nothing is loaded here.
"""

import errno
import fnmatch
import logging
import posixpath
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vitron_agent.errors import CheckpointError, DownloadError, InputError, StorageError, quoted
from vitron_agent.integrity import faults
from vitron_agent.origins import ALONE, SOURCES, STARTS, Source
from vitron_agent.parts import Part, Profile

Answer = TypeVar("Answer")
_MARGIN = 2**28  # bytes of a disk that are left free
_log = logging.getLogger(__name__)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", re.ASCII)


def pull(
    profile: Profile,
    parts: Collection[str] = (),
    say: Callable[[str], None] = print,
    start: str | None = None,
    repository: str | None = None,
) -> None:
    """Bring what a profile lacks into its folder; parts that are there and whole stay, also without a network.

    Args:
        profile: with the folder to fill.
        parts: names of the parts; all of them by default.
        say: is told what happens, a line each.
        start: what the planner is made of, see `STARTS`; LLaVA by default.
        repository: where else the one part is published in the same layout, "owner/name" or "owner/name@revision".

    Raises:
        InputError: the profile is packaged, or has no such part, or there is no such start or repository.
        DownloadError: no network, offline mode, no such repository, or the download broke off.
        StorageError: the disk is full or cannot be written.
        CheckpointError: the repository lacks what the part needs.
    """
    known = [part for part in (*profile.parts, *profile.extras) if part.name in SOURCES]
    assert profile.folder is not None  # `placed` made sure
    _check(profile, parts)
    chosen_sources = _sources(parts, start, repository)
    for part in known:
        if parts and part.name not in parts:
            continue
        own = chosen_sources[part.name]
        wrong = faults(profile, part)  # a download that broke off may lack shards, or end in the middle of one
        if wrong or own != SOURCES[part.name]:
            if wrong and not profile.missing(part):
                say(wrong[0])
            _bring(profile, part, own, profile.folder, say)
        say(f"{part.name}: ready in {profile.folder / part.name}")


def checked(profile: Profile, repositories: Mapping[str, str]) -> dict[str, str]:
    """Return part -> repository, if each is one.

    Raises:
        InputError: the profile is packaged or has no such part, or a value is no "owner/name" or "owner/name@revision".
    """
    _check(profile, repositories)
    for repository in repositories.values():
        _named(repository)
    return dict(repositories)


def fetched(profile: Profile, name: str, shelf: Path) -> Path:
    """Return a folder of a profile that holds one part of it, from the repository that the profile says.

    What was fetched once is found again without the hub; without a revision that is the commit that was newest then.

    Args:
        profile: with that repository.
        name: of the part.
        shelf: below it each repository and revision has a folder.

    Raises:
        DownloadError: as `pull`.
        StorageError: as `pull`.
        CheckpointError: as `pull`.
    """
    repository = profile.repositories[name]
    alone = replace(profile, folder=shelf / repository.replace("/", "--"), repositories={})
    part = alone.part(name)
    assert alone.folder is not None
    if faults(alone, part):
        first, *rest = SOURCES[name]
        owned, revision = _named(repository)
        own = replace(first, repository=owned, revision=revision, wanted=ALONE.get(name, first.wanted))
        _bring(alone, part, (own, *rest), alone.folder, _log.info)
    return alone.folder


def _check(profile: Profile, parts: Collection[str]) -> None:
    """Refuse a profile, or a part of it, that the hub has not."""
    if profile.name != "vitron-7b":
        raise InputError(f"profile {profile.name!r} comes with the library: there is nothing to pull")
    if foreign := [name for name in parts if name not in SOURCES]:
        raise InputError(f"part {quoted(foreign[0], 40)} is unknown: choose one of {', '.join(SOURCES)}")


def _named(repository: str) -> tuple[str, str | None]:
    """Take a repository apart: its name, and its revision, if that is said."""
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"repository {quoted(repository)} is none: give owner/name, or owner/name@revision")
    name, _, revision = repository.partition("@")
    return name, revision or None


def _sources(parts: Collection[str], start: str | None, repository: str | None) -> dict[str, tuple[Source, ...]]:
    """Return where each part comes from, with what was asked for in place of the usual."""
    found = dict(SOURCES)
    if start is not None:
        if start not in STARTS:
            raise InputError(f"start {quoted(start, 40)} is unknown: choose one of {', '.join(STARTS)}")
        found["planner"] = STARTS[start]
    if repository is not None:
        if len(parts) != 1:
            raise InputError(f"repository {quoted(repository)} is for one part: name it, and no other")
        name, revision = _named(repository)
        (part,) = parts
        first, *rest = found[part]
        found[part] = (replace(first, repository=name, revision=revision), *rest)
    return found


def _bring(profile: Profile, part: Part, sources: Iterable[Source], folder: Path, say: Callable[[str], None]) -> None:
    for source in sources:
        say(f"{part.name}: {source.repository} (licence of these weights: {part.licence})")
        _download(source, folder / source.folder, say)
    if missing := profile.missing(part):
        # GLIGEN's editor lives on the generator's encoders: whoever pulls it alone is told so
        raise CheckpointError(f"{part.name} still lacks {missing[0]}: pull the other parts too, or report the layout")
    if wrong := faults(profile, part):
        raise CheckpointError(f"{wrong[0]}: delete it, and run the same command again")


def _download(source: Source, target: Path, say: Callable[[str], None]) -> None:
    from huggingface_hub import HfApi, snapshot_download

    info = _asked(source, lambda: HfApi().model_info(source.repository, revision=source.revision, files_metadata=True))
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    names = chosen(sizes, source.wanted)
    if not names:
        raise CheckpointError(f"{source.repository} has none of {', '.join(source.wanted)}: it is laid out anew")
    whole = sum(sizes[name] for name in names)
    _check_room(target, sum(sizes[name] for name in names if not _is_whole(target / name, sizes[name])))
    say(f"  {len(names)} files, {whole / 2**20:,.0f} MiB, at commit {info.sha}")

    def bring() -> None:
        for name in names:
            if not _is_whole(target / name, sizes[name]):
                (target / name).unlink(missing_ok=True)  # else the client takes it for the file that it once brought
        snapshot_download(source.repository, revision=info.sha, allow_patterns=names, local_dir=target)

    _asked(source, bring)
    # without a network an older folder is good enough for the client; it is not for us
    if short := [name for name in names if not _is_whole(target / name, sizes[name])]:
        raise DownloadError(f"{source.repository}: {short[0]} did not come whole: run the same command again")


def chosen(files: Iterable[str], wanted: Collection[str]) -> list[str]:
    """Choose which files of a repository to take.

    Args:
        files: all of them, by their paths.
        wanted: patterns of those that may be taken.

    Returns:
        Everything that is no weights, and the weights of each folder in one form only.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for name in files:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted):
            folders[posixpath.dirname(name)].append(name)
    return sorted(name for names in folders.values() for name in _in_one_form(names))


def _in_one_form(names: list[str]) -> list[str]:
    """Keep one form of one folder's weights; of variants (such as `non_ema`) only half precision is wanted."""

    def plain(name: str) -> bool:
        return posixpath.basename(name).count(".") == 1

    halves = [name for name in names if name.endswith(".fp16.safetensors")]
    whole = [name for name in names if name.endswith(".safetensors") and plain(name)]
    pickles = [name for name in names if name.endswith(".bin") and plain(name)]
    weights = (".safetensors", ".bin", ".msgpack", ".h5", ".ckpt", ".onnx")
    return [name for name in names if not name.endswith(weights)] + (halves or whole or pickles)


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_room(target: Path, needed: int) -> None:
    there = next(folder for folder in (target, *target.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free - _MARGIN
    if needed > free:
        raise StorageError(
            f"{target} has room for {max(free, 0) / 2**20:,.0f} MiB, and {needed / 2**20:,.0f} MiB are to come: free "
            "some, or choose another folder with --weights"
        )


def _asked(source: Source, ask: Callable[[], Answer]) -> Answer:
    """Return what the hub answers; say what went wrong in our own terms."""
    from huggingface_hub import errors

    name = f"{source.repository} at {source.revision or 'its newest commit'}"
    again = "run the same command again; files that are whole stay"
    try:
        return ask()
    except errors.OfflineModeIsEnabled:
        raise DownloadError(f"{name} is not asked for: HF_HUB_OFFLINE is set; unset it, or copy the folder") from None
    except errors.GatedRepoError:
        raise DownloadError(f"{name} is given to accounts that accepted its terms: `hf auth login` first") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise DownloadError(f"{name} is not on the hub (any more): get these weights elsewhere") from None
    except Exception as error:  # its HTTP client is another one in each release, and raises errors of its own
        short = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        code = error.errno if isinstance(error, OSError) else None
        if code in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"the disk is full while {name} is downloaded: free some, then {again}") from None
        if code in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageError(f"{name} cannot be written ({short}): choose a folder with --weights") from None
        raise DownloadError(f"{name} cannot be downloaded ({short}): {again}") from None
