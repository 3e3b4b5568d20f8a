"""Files of the chosen folders are read; whatever else a path may mean is not, and errors do not tell what is there."""

import os
import re
from pathlib import Path

import pytest

from vitron_agent.errors import InputError
from vitron_agent.media import Folders


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An open folder with files in it, and a secret beside it."""
    home = tmp_path / "open"
    (home / "holiday").mkdir(parents=True)
    (home / "a.png").write_bytes(b"a")
    (home / "holiday" / "b.png").write_bytes(b"b")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "open-too").mkdir()
    (tmp_path / "open-too" / "c.png").write_bytes(b"secret")
    return home


def refused(folders: Folders, path: str) -> str:
    with pytest.raises(InputError) as caught:
        folders.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "data"), [("a.png", b"a"), ("holiday/b.png", b"b"), ("./a.png", b"a"), ("holiday//b.png", b"b")]
)
def test_files_of_an_open_folder_are_read(home: Path, path: str, data: bytes) -> None:
    assert Folders(home).read(path) == data
    assert Folders(home).read(str(home / path)) == data


def test_of_several_folders_the_first_that_has_it_counts(home: Path) -> None:
    folders = Folders(home / "holiday", home)
    assert (folders.read("b.png"), folders.read("a.png")) == (b"b", b"a")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "holiday/../../secret.png",
        "holiday/../a.png",  # inside, but nobody has to write it like this
        "{outside}/secret.png",
        "{outside}/open-too/c.png",
        "{outside}/open/../secret.png",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "~/secret.png",
        "a.png\0.txt",
        "\0",
        "..\\secret.png",
        "C:\\Windows\\win.ini",
        "C:/Windows/win.ini",
        "c:a.png",
        "\\\\server\\share\\a.png",
        "\\Windows\\win.ini",
        "file:///etc/passwd",
        "%2e%2e/secret.png",
        "a.png/../../secret.png",
        "x" * 5000,
        "holiday",
        ".",
        "",
        "none.png",
        "\udcff.png",
    ],
)
def test_other_paths_read_nothing(home: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = path.replace("{outside}", str(home.parent))
    folders = Folders(home)
    opened: list[object] = []
    monkeypatch.setattr(Path, "open", lambda *arguments, **_: opened.append(arguments))
    assert "is no file in the folders that are open" in refused(folders, path)
    assert opened == []


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
@pytest.mark.parametrize("name", ["c:a.png", "C:\\a.png", "\\a.png", "holiday\\..\\a.png"])
def test_a_path_that_means_something_else_on_windows_is_refused_everywhere(home: Path, name: str) -> None:
    (home / name).write_bytes(b"a")
    assert "is no file" in refused(Folders(home), name)


def test_what_lies_outside_is_not_told(home: Path) -> None:
    there, gone = str(home.parent / "secret.png"), str(home.parent / "nothing.png")
    said = [re.sub("'.*?'", "PATH", refused(Folders(home), path)) for path in (there, gone)]
    assert said[0] == said[1]
    assert str(home.parent) not in refused(Folders(home), "../secret.png")


@pytest.mark.parametrize("target", ["../secret.png", "../open-too/c.png", "/etc/passwd", "loop.png"])
def test_a_link_out_is_not_followed(home: Path, target: str) -> None:
    (home / "loop.png").symlink_to(target)
    assert "is no file" in refused(Folders(home), "loop.png")


def test_a_linked_folder_out_is_not_followed(home: Path) -> None:
    (home / "more").symlink_to(home.parent / "open-too")
    assert "is no file" in refused(Folders(home), "more/c.png")


def test_a_link_that_stays_inside_is_followed(home: Path) -> None:
    (home / "again.png").symlink_to("holiday/b.png")
    assert Folders(home).read("again.png") == b"b"


def test_a_folder_may_itself_be_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    assert Folders(tmp_path / "link").read("a.png") == b"a"


def test_a_pipe_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "pipe.png")
    assert "is no file" in refused(Folders(home), "pipe.png")


def test_a_large_file_is_refused(home: Path) -> None:
    (home / "large.png").write_bytes(bytes(101))
    assert "more than 100 bytes" in refused(Folders(home, max_bytes=100), "large.png")
    (home / "large.png").write_bytes(bytes(100))
    assert len(Folders(home, max_bytes=100).read("large.png")) == 100


def test_a_file_that_may_not_be_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(home))

    monkeypatch.setattr(Path, "open", refuse)  # and not chmod: the tests may run as root
    said = refused(Folders(home), "a.png")
    assert "may not be read" in said
    assert str(home) not in said


def test_a_folder_must_be_there(home: Path) -> None:
    for path in (home / "none", home / "a.png"):
        with pytest.raises(InputError, match="is no folder"):
            Folders(path)


def test_no_folder_opens_nothing() -> None:
    assert "is no file" in refused(Folders(), __file__)
