"""From paths to files: order, patterns, standard input, links, special files, what may not be read, what is large."""

from __future__ import annotations

import io
import os
import socket
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from parcelveil.scan.findings import Place, Read
from parcelveil.scan.read import why
from parcelveil.scan.read.limits import Limits
from parcelveil.scan.read.walk import documents
from scan.read.samples import LINE, PHONE, read, zipped


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.txt", "b/1.txt", "a.txt", "c.csv", "b/deep/er/3.txt", ".hidden/h.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LINE, "utf-8")
    return tmp_path


def names(notes: list[Read], folder: Path) -> list[str]:
    return [note.place.source.removeprefix(f"{folder}/") for note in notes]


def test_folders_are_walked_in_the_order_of_names(tree: Path) -> None:
    _, notes = read(tree)
    assert names(notes, tree) == [".hidden/h.txt", "a.txt", "b/1.txt", "b/2.txt", "b/deep/er/3.txt", "c.csv"]
    assert all(note.outcome == "read" for note in notes)


def test_nothing_is_read_twice(tree: Path) -> None:
    _, notes = read(tree / "b" / "1.txt", tree / "b", tree, tree / "a.txt", tree / "b" / ".." / "c.csv")
    assert sorted(names(notes, tree)) == [".hidden/h.txt", "a.txt", "b/1.txt", "b/2.txt", "b/deep/er/3.txt", "c.csv"]


def test_patterns(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    _, notes = read("*.csv", "b/*.txt")
    assert [note.place.source for note in notes] == ["c.csv", "b/1.txt", "b/2.txt"]
    _, notes = read("**/3.txt")
    assert [note.place.source for note in notes] == ["b/deep/er/3.txt"]
    (tree / "[x].txt").write_text(LINE, "utf-8")
    _, notes = read("[x].txt")
    assert notes[0].place.source == "[x].txt" and notes[0].outcome == "read"
    _, notes = read("*.none", "missing.txt", "a.txt/b", "zero\0byte")
    assert [(note.outcome, note.why) for note in notes] == [("skipped", why.NOT_FOUND)] * 4


@pytest.mark.parametrize("data", [LINE.encode(), zipped({"a.txt": LINE.encode()})])
def test_standard_input(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    found, notes = read("-", "-")
    assert found[0].text == LINE and found[0].place.source == "-" and notes[-1].bytes == len(data)


def test_links_are_noted_and_no_loop_is_entered(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to(tree)
    (tree / "b" / "self").symlink_to("self")
    (tree / "out").symlink_to("/etc/hostname")
    (tree / "dangling").symlink_to("nothing")
    found, notes = read(tree)
    links = [note for note in notes if note.format == "link"]
    assert names(links, tree) == ["b/loop", "b/self", "dangling", "out"]
    assert {(note.outcome, note.why) for note in links} == {("skipped", why.LINK)} and len(found) == 6
    other = tree / "named"
    other.symlink_to(tree / "a.txt")
    _, (note,) = read(other)
    assert note.outcome == "read", "a link that was named itself is followed"
    _, notes = read(tree / "b" / "self", tree / "dangling")
    assert [note.outcome for note in notes] == ["skipped", "skipped"]
    _, notes = read(str(tree / "*"))
    assert why.LINK in [note.why for note in notes], "one that a pattern found is not"


def test_special_files_are_never_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "s"))
        _, notes = read(tree / "pipe", tree, "/dev/null", "/dev/zero")
    special = [note for note in notes if note.why == why.SPECIAL]
    assert len(special) == 4 and all(note.format == "special" for note in special)


def test_what_changes_between_two_looks_is_noted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def exchange(path: str, flags: int, *rest: int) -> int:
        file = Path(path)
        if file.name == "a.txt" and not file.is_symlink():
            file.unlink()
            file.symlink_to("/etc/hostname")
        if file.name == "c.csv":
            file.unlink()
            os.mkfifo(file)
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", exchange)
    found, notes = read(tree)
    said = dict(zip(names(notes, tree), notes, strict=True))
    assert said["a.txt"].why == why.NOT_READABLE and said["c.csv"].why == why.SPECIAL and len(found) == 4


def test_what_may_not_be_read_is_noted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_, scan = os.open, os.scandir

    def closed(real: Callable[..., object], name: str) -> Callable[..., object]:
        def call(path: str, *rest: object) -> object:
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied", path)
            return real(path, *rest)

        return call

    monkeypatch.setattr(os, "open", closed(open_, "a.txt"))
    monkeypatch.setattr(os, "scandir", closed(scan, "/b"))
    found, notes = read(tree)
    said = {note.place.source.rpartition("/")[2]: note.why for note in notes}
    assert said["a.txt"] == said["b"] == why.NOT_PERMITTED and len(found) == 2


def test_an_error_of_the_disk_in_the_middle_is_noted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parcelveil.scan.read.item import Item

    pull = Item._pull

    def broken(self: Item, size: int) -> bytes:
        data = pull(self, size)
        if self.place.source.endswith("a.txt") and self.count > 6 << 20:
            raise OSError(5, "Input/output error")
        return data

    monkeypatch.setattr(Item, "_pull", broken)
    (tree / "a.txt").write_text((LINE + "\n") * 200_000, "utf-8")
    found, notes = read(tree)
    said = dict(zip(names(notes, tree), notes, strict=True))
    assert said["a.txt"].why == why.NOT_READABLE and said["a.txt"].outcome == "partly" and len(found) == 6


def test_names_without_an_encoding_and_with_control_characters(tmp_path: Path) -> None:
    for name in (b"caf\xe9.txt", b"a\x1b[2J\n.txt"):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_text(LINE, "utf-8")
    found, notes = read(tmp_path)
    assert len(found) == 2 and all(note.place.source.isprintable() for note in notes)
    assert {note.place.source.rpartition("/")[2] for note in notes} == {"caf\\xe9.txt", "a\\x1b[2J\\n.txt"}


def test_an_empty_file_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    found, (note,) = read(tmp_path)
    assert not found and (note.format, note.outcome, note.why) == ("empty", "skipped", why.EMPTY)


def test_what_is_known_already_is_skipped(tree: Path) -> None:
    (tree / "a.zip").write_bytes(zipped({"x.txt": LINE.encode(), "y.txt": LINE.encode()}))
    asked: list[str] = []

    def skip(place: Place) -> bool:
        asked.append(place.text)
        return place.source.endswith("c.csv") or place.member == "x.txt"

    found, notes = read(tree, skip=skip)
    assert len(asked) == len(set(asked)) and "c.csv" not in names(notes, tree)
    assert [document.place.member for document in found if document.place.member] == ["y.txt"]


def lines(path: Path, limits: Limits | None = None) -> tuple[int, list[Read], int]:
    """Bytes of text, notes, and the peak of memory."""
    notes: list[Read] = []
    size = 0
    tracemalloc.start()
    try:
        for document in documents([str(path)], limits or Limits(), notes.append):
            for chunk in document.chunks or ():
                size += len(chunk)
        return size, notes, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(f"tel {PHONE} ".encode())
        file.truncate(size)
        file.seek(0, 2)
        file.write(f" {PHONE}".encode())


def test_a_single_line_of_a_gigabyte_takes_constant_memory(tmp_path: Path) -> None:
    sparse(tmp_path / "a.txt", 1 << 30)
    size, (note,), peak = lines(tmp_path / "a.txt")
    assert size == note.bytes == (tmp_path / "a.txt").stat().st_size and note.outcome == "read"
    assert peak < 40 << 20


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le"])
@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.html", "a.eml"])
def test_long_lines_of_every_kind_take_constant_memory(encoding: str, name: str, tmp_path: Path) -> None:
    text = {"a.json": '{"a": "\\u5f20', "a.html": "<html><td>", "a.eml": "Subject: x\n\n"}.get(name, "")
    raw = (text + (LINE + " ") * 20_000).encode(encoding)
    with (tmp_path / name).open("wb") as file:
        for _ in range(32 if name != "a.eml" else 8):
            file.write(raw)
    _, (note,), peak = lines(tmp_path / name)
    assert note.outcome == "read" and peak < (64 << 20 if name != "a.eml" else 200 << 20)


@pytest.mark.slow
def test_a_single_line_of_ten_gigabytes(tmp_path: Path) -> None:
    sparse(tmp_path / "a.txt", 10 << 30)
    size, (note,), peak = lines(tmp_path / "a.txt")
    assert size > 10 << 30 and note.outcome == "read" and peak < 40 << 20
