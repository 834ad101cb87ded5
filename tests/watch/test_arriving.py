"""Files that grow, appear, move and break while they are followed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.watch import arriving
from parcelveil.watch.arriving import QUIET, Folder, Lines, Piece, whole_records


class Clock:
    """A time that only the test moves; files are given times by it."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def write(path: Path, data: bytes, clock: Clock) -> None:
    path.write_bytes(data)
    os.utime(path, (clock.now, clock.now))


def taken(folder: Folder) -> list[tuple[str, bytes]]:
    """All that is new, done at once."""
    found = []
    for first in folder.poll():
        piece: Piece | None = first
        while piece is not None:
            with piece.open() as stream:
                found.append((piece.name, stream.read()))
            piece = folder.done(piece)
    return found


def test_lines_come_when_their_end_is_there_and_only_once(tmp_path: Path, clock: Clock) -> None:
    folder = Folder(tmp_path, clock=clock)
    log = tmp_path / "a.jsonl"
    write(log, b'{"a":1}\n{"a', clock)
    assert taken(folder) == [("a.jsonl", b'{"a":1}\n')]
    assert taken(folder) == []
    write(log, b'{"a":1}\n{"a":2}\n{"a":3}\n', clock)
    assert taken(folder) == [("a.jsonl", b'{"a":2}\n{"a":3}\n')]


def test_a_csv_comes_with_its_header_and_not_cut_within_quotes(tmp_path: Path, clock: Clock) -> None:
    folder = Folder(tmp_path, clock=clock)
    write(tmp_path / "a.csv", b"x,y", clock)
    assert taken(folder) == []
    write(tmp_path / "a.csv", b'x,y\n1,"a\nb', clock)
    assert taken(folder) == []
    write(tmp_path / "a.csv", b'x,y\n1,"a\nb"\n2,c\n3', clock)
    assert taken(folder) == [("a.csv", b'x,y\n1,"a\nb"\n2,c\n')]
    write(tmp_path / "a.csv", b'x,y\n1,"a\nb"\n2,c\n3,d\n', clock)
    assert taken(folder) == [("a.csv", b"x,y\n3,d\n")]


def test_a_last_line_without_end_counts_when_nothing_came_for_long(tmp_path: Path, clock: Clock) -> None:
    folder = Folder(tmp_path, clock=clock)
    write(tmp_path / "a.csv", b"x\n1\n2", clock)
    assert taken(folder) == [("a.csv", b"x\n1\n")]
    clock.now += QUIET - 1
    assert taken(folder) == []
    clock.now += 1
    assert taken(folder) == [("a.csv", b"x\n2")]
    assert taken(folder) == []


def test_a_parquet_file_comes_when_its_last_bytes_are_there_and_it_rests(tmp_path: Path, clock: Clock) -> None:
    made = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2, 3]}), made)
    data = made.getvalue()
    folder = Folder(tmp_path, clock=clock)
    for size in (10, len(data) // 2, len(data) - 1):
        write(tmp_path / "a.parquet", data[:size], clock)
        assert taken(folder) == []
        assert folder.pending
    assert taken(folder) == []
    assert not folder.pending  # it rests, but is half: nothing to wait for
    write(tmp_path / "a.parquet", data, clock)
    assert taken(folder) == []
    assert taken(folder) == [("a.parquet", data)]
    assert taken(folder) == []
    clock.now += 5
    write(tmp_path / "a.parquet", data, clock)  # written anew
    assert (taken(folder), taken(folder)) == ([], [("a.parquet", data)])


def test_unfinished_hidden_and_linked_files_are_left_alone_until_renamed(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / ".hidden").mkdir()
    outside = tmp_path / "outside.jsonl"
    write(outside, b"{}\n", clock)
    for name in ("a.jsonl.part", ".a.jsonl", "_a.jsonl", "a.jsonl~", "notes.pdf"):
        write(tmp_path / "in" / name, b"{}\n", clock)
    write(tmp_path / ".hidden" / "a.jsonl", b"{}\n", clock)
    (tmp_path / "in" / "link.jsonl").symlink_to(outside)
    os.mkfifo(tmp_path / "in" / "pipe.jsonl")
    folder = Folder(tmp_path / "in", clock=clock)
    assert taken(folder) == []
    (tmp_path / "in" / "a.jsonl.part").rename(tmp_path / "in" / "b.jsonl")
    assert taken(folder) == [("b.jsonl", b"{}\n")]


def test_a_rotated_log_goes_on_and_a_cut_one_begins_anew(tmp_path: Path, clock: Clock) -> None:
    folder = Folder(tmp_path, clock=clock)
    write(tmp_path / "a.jsonl", b'{"a":1}\n', clock)
    assert taken(folder) == [("a.jsonl", b'{"a":1}\n')]
    with (tmp_path / "a.jsonl").open("ab") as log:
        log.write(b'{"a":2}\n')
    (tmp_path / "a.jsonl").rename(tmp_path / "a-1.jsonl")
    write(tmp_path / "a.jsonl", b'{"a":3}\n', clock)
    assert taken(folder) == [("a-1.jsonl", b'{"a":2}\n'), ("a.jsonl", b'{"a":3}\n')]
    write(tmp_path / "a.jsonl", b'{"b":4}\n{"b":5}\n', clock)  # the same file with other content
    assert taken(folder) == [("a.jsonl", b'{"b":4}\n{"b":5}\n')]
    write(tmp_path / "a.jsonl", b"{}\n", clock)
    assert taken(folder) == [("a.jsonl", b"{}\n")]


def test_a_large_file_comes_in_pieces(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "MOST", 10)
    write(tmp_path / "a.csv", b"x,y\n" + b"".join(b"%d,%d\n" % (at, at) for at in range(10)), clock)
    found = taken(Folder(tmp_path, clock=clock))
    assert len(found) == 5
    assert {data[:4] for _, data in found} == {b"x,y\n"}
    assert b"".join(data[4:] for _, data in found) == b"".join(b"%d,%d\n" % (at, at) for at in range(10))


def test_what_was_not_done_comes_again(tmp_path: Path, clock: Clock) -> None:
    folder = Folder(tmp_path, clock=clock)
    write(tmp_path / "a.jsonl", b"{}\n", clock)
    assert [piece.name for piece in folder.poll()] == [piece.name for piece in folder.poll()] == ["a.jsonl"]


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        Folder(tmp_path / "none").poll()


@given(st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b'""', b'"x\n"']), max_size=30).map(b"".join))
def test_cutting_never_falls_within_quotes(data: bytes) -> None:
    end = whole_records(data, quoted=True)
    ends = [at + 1 for at, byte in enumerate(data) if byte == 10 and data.count(b'"', 0, at) % 2 == 0]
    assert end == max(ends, default=0)


def test_a_quote_that_is_never_closed_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "_LONGEST_RECORD", 8)
    assert whole_records(b'a\n"b\nc\n', quoted=True) == 2
    assert whole_records(b'a\n"b\nc\nddddd\n', quoted=True) == len(b'a\n"b\nc\nddddd\n')


def test_lines_from_a_pipe(clock: Clock) -> None:
    reading, writing = os.pipe()
    try:
        lines = Lines(reading)
        assert lines.poll() == []
        os.write(writing, b'{"a":1}\n{"a"')
        (piece,) = lines.poll()
        assert piece.open().read() == b'{"a":1}\n'
        assert not lines.ended
        os.write(writing, b":2}")
        assert lines.poll() == []
        os.close(writing)
        (piece,) = lines.poll()
        assert piece.open().read() == b'{"a":2}'
        assert lines.ended
        assert lines.done(piece) is None
        lines.wait(60)  # nothing to wait for
    finally:
        os.close(reading)
