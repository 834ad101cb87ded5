"""Baselines: known findings stay quiet wherever their lines go, copies do not, and what is gone is told."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError, KeyAccessError, UsageError
from parcelveil.scan.baseline import Baseline, BaselineWriter, Known, read_baseline
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.key import ScanKey
from scan.made_findings import batch, value

KEY = ScanKey(bytes(32), lasting=True)


def saved(folder: Path, *parts: list[dict[str, Any]], current: Path | None = None) -> Path:
    """A baseline of findings, in ``folder``."""
    writer = BaselineWriter(KEY, folder, current or folder)
    for part in parts:
        writer.write(batch(part))
    path = folder / "base.jsonl"
    with path.open("wb") as file:
        writer.save(file)
    return path


def opened(path: Path, current: Path | None = None) -> Baseline:
    return read_baseline(path, KEY, current=current or path.parent)


def known(baseline: Baseline, rows: list[dict[str, Any]]) -> list[bool]:
    found: list[bool] = baseline.allows(batch(rows)).tolist()
    return found


def read(source: str, outcome: Any = "read", member: str = "") -> Read:
    return Read(Place(source, member), "csv", outcome)


FOUND = [
    {"source": "a.csv", "value": "v1", "line": 3, "row": 3, "column": "phone"},
    {"source": "a.csv", "value": "v1", "line": 9, "row": 9, "column": "phone"},
    {"source": "a.csv", "value": "v2", "line": 4, "kind": "net.email"},
    {"source": "b.zip", "member": "x.csv", "part": "S", "value": "v1"},
    {"source": "b.zip", "member": "x.csv", "part": "S", "value": "v3", "state": "masked"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.csv", "b.zip"):
        (tmp_path / name).touch()
    return tmp_path


def test_the_file_is_sorted_and_holds_no_line_and_no_value(folder: Path) -> None:
    lines = saved(folder, FOUND[::-1]).read_text("utf-8").splitlines()
    assert lines == [
        f'{{"baseline":1,"key":"{KEY.key_id}"}}',
        f'{{"source":"a.csv","kind":"net.email","fingerprint":"{value("v2").hex()}"}}',
        f'{{"source":"a.csv","kind":"phone.mobile","fingerprint":"{value("v1").hex()}","count":2}}',
        f'{{"source":"b.zip","member":"x.csv","part":"S","kind":"phone.mobile","fingerprint":"{value("v1").hex()}"}}',
    ]
    assert saved(folder, FOUND[:2], FOUND[2:]).read_text("utf-8").splitlines() == lines


def test_known_findings_are_known_wherever_their_lines_went(folder: Path) -> None:
    baseline = opened(saved(folder, FOUND))
    moved = [row | {"line": 700, "row": 701, "column": "other", "start": 9} for row in FOUND[:4]]
    assert known(baseline, moved) == [True] * 4
    assert baseline.moved == 0 and baseline.stale() == []
    assert known(baseline, FOUND[:1]) == [False]  # a third time in a.csv is new


def test_other_values_kinds_and_states_are_new(folder: Path) -> None:
    baseline = opened(saved(folder, FOUND))
    assert known(baseline, [{"value": "v9"}, {"value": "v2"}, {"value": "v1", "kind": "id.resident"}]) == [False] * 3
    assert known(baseline, [{"value": "v1", "state": "masked"}]) == [False]  # which raises no alarm anyway


def test_a_renamed_sheet_or_member_is_moved(folder: Path) -> None:
    baseline = opened(saved(folder, FOUND))
    assert known(baseline, [{"source": "b.zip", "member": "old/y.csv", "part": "T", "value": "v1"}]) == [True]
    assert baseline.moved == 1


def test_a_renamed_file_is_moved_and_a_copied_one_is_not(folder: Path) -> None:
    path = saved(folder, FOUND)
    copied = [row | {"source": "copy.csv"} for row in FOUND[:3]]
    assert known(opened(path), copied) == [False] * 3
    (folder / "a.csv").rename(folder / "copy.csv")
    baseline = opened(path)
    assert known(baseline, copied) == [True] * 3 and baseline.moved == 3
    assert known(baseline, copied) == [False] * 3  # once


def test_what_has_not_moved_is_never_used_up_by_what_has(folder: Path) -> None:
    baseline = opened(
        saved(
            folder, [{"source": "b.zip", "member": "x", "value": "v"}, {"source": "b.zip", "member": "y", "value": "v"}]
        )
    )
    rows = [
        {"source": "b.zip", "member": "z", "value": "v"},
        {"source": "b.zip", "member": "x", "value": "v"},
        {"source": "b.zip", "member": "y", "value": "v"},
    ]
    assert known(baseline, rows) == [False, True, True]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 3)), max_size=30), st.data())
@settings(deadline=None, max_examples=60)
def test_of_each_value_as_many_are_new_as_there_are_more(was: list[tuple[str, str, int]], data: st.DataObject) -> None:
    """Files that are all there: what is new is counted by value and file, whatever the members are called."""
    now = data.draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=30))
    row = lambda one: {"source": one[0], "member": one[1], "value": one[2]}  # noqa: E731
    writer, here = BaselineWriter(KEY, Path("/repo"), Path("/repo")), Path("/repo")
    writer.write(batch([row(one) for one in was]))
    file = io.BytesIO()
    writer.save(file)
    import msgspec

    entries = [msgspec.json.decode(line, type=Known) for line in file.getvalue().splitlines()[1:]]
    baseline = Baseline(entries, here, here, lambda source: True)
    found = known(baseline, [row(one) for one in now])
    count = lambda ones, source, value: sum(one[0] == source and one[2] == value for one in ones)  # noqa: E731
    new = sum(not one for one in found)
    assert new == sum(max(0, count(now, s, v) - count(was, s, v)) for s in "abc" for v in range(4))


def test_stale_entries_are_told_once_their_file_was_read(folder: Path) -> None:
    baseline = opened(saved(folder, FOUND))
    assert known(baseline, FOUND[:1]) == [True]
    assert baseline.stale() == []  # nobody has read it to the end yet
    baseline.was_read(read("a.csv"))
    assert [(one.kind, one.count) for one in baseline.stale()] == [("net.email", 1), ("phone.mobile", 1)]
    baseline.was_read(read("b.zip", member="other.csv"))
    baseline.was_read(read("b.zip", "partly", member="x.csv"))
    assert all(one.source == "a.csv" for one in baseline.stale())  # what was read partly cannot say that it is gone


def test_a_file_that_is_gone_is_stale_and_one_that_was_not_scanned_is_not(folder: Path) -> None:
    path = saved(
        folder, [*FOUND, {"source": "postgresql://h/d", "part": "t", "value": "v5"}, {"source": "-", "value": "v6"}]
    )
    (folder / "a.csv").unlink()
    baseline = opened(path)
    assert {one.source for one in baseline.stale()} == {"a.csv"}
    baseline.was_read(read("postgresql://h/d"))
    assert {one.source for one in baseline.stale()} == {"a.csv", "postgresql://h/d"}


def test_the_same_baseline_holds_from_any_folder_and_for_absolute_paths(folder: Path) -> None:
    path = saved(folder, FOUND)
    (folder / "sub").mkdir()
    assert known(opened(path, folder / "sub"), [FOUND[0] | {"source": "../a.csv"}]) == [True]
    assert known(opened(path, Path("/")), [FOUND[0] | {"source": str(folder / "a.csv")}]) == [True]
    assert known(opened(path), [FOUND[0] | {"source": "./x/../a.csv"}]) == [True]
    again = saved(folder, [row | {"source": f"../{row['source']}"} for row in FOUND], current=folder / "sub")
    assert again.read_text("utf-8") == path.read_text("utf-8")


def test_another_key_is_refused_and_so_is_one_that_is_forgotten(folder: Path) -> None:
    path = saved(folder, FOUND)
    with pytest.raises(KeyAccessError, match=f"was made with the scan key {KEY.key_id}"):
        read_baseline(path, ScanKey.new(lasting=True), current=folder)
    with pytest.raises(UsageError, match="needs a scan key that is kept"):
        read_baseline(path, ScanKey.new(), current=folder)
    with pytest.raises(UsageError):
        BaselineWriter(ScanKey.new(), folder, folder)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a baseline"),
        (b"{}\n", "is not a baseline"),
        (b'{"baseline":2,"key":"%b"}\n', "of version 2"),
        (b'{"baseline":1,"key":"%b"}\nx\n', "line 2 of"),
        (b'{"baseline":1,"key":"%b"}\n{"source":"a","kind":"k","fingerprint":"00"}\n', "line 2 of"),
        (
            b'{"baseline":1,"key":"%b"}\n{"source":"a","kind":"k","fingerprint":"' + b"0" * 32 + b'","count":0}\n',
            "line 2 of",
        ),
        (b'{"baseline":1,"key":"%b"}\n{"source":"a","value":"1"}\n', "line 2 of"),
        (b"\xff\xfe" + b"\0" * 100_000, "is not a baseline"),
    ],
)
def test_a_broken_file_is_told_by_its_line(folder: Path, data: bytes, said: str) -> None:
    path = folder / "base.jsonl"
    path.write_bytes(data.replace(b"%b", KEY.key_id.encode()))
    with pytest.raises(InputError, match=said):
        opened(path)
    with pytest.raises(InputError, match="cannot be read"):
        opened(folder / "gone.jsonl")


def test_t7_a_value_in_very_many_places_takes_no_longer_for_it() -> None:
    """A hostile folder: one number in 30,000 files, all copied. Each look at an entry is a look too many only once."""
    entries = [Known(f"{n}.csv", kind="phone.mobile", fingerprint=value("v").hex()) for n in range(30_000)]
    looks: list[str] = []
    baseline = Baseline(entries, Path("/repo"), Path("/repo"), lambda source: not looks.append(source))
    rows = batch([{"source": f"copy{n}.csv", "value": "v"} for n in range(3_000)])
    started = time.process_time()
    assert not baseline.allows(rows).any() and not baseline.allows(rows).any()
    assert len(looks) == 30_000
    assert time.process_time() - started < 5
    assert isinstance(baseline.allows(batch([])), np.ndarray)
