"""Following a folder: the past, the present, a crash in between, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parcelveil.errors import InputError, OutputError, ParcelveilError
from parcelveil.watch.arriving import Folder, Lines, Piece
from parcelveil.watch.coded import DAY, HOUR
from parcelveil.watch.explaining import read_rules, rule_table
from parcelveil.watch.following import Events, Followed, Saved, Stop, follow
from parcelveil.watch.streaming import Made, Stream
from watch import stream_reference as reference
from watch import stream_worlds as worlds

RULES = read_rules()
OFFSET = 480


def opener(piece: Piece) -> Iterator[Events]:
    """Rows as the worlds have them, as JSON lines; in parts of 20."""
    with piece.open() as stream:
        rows = [json.loads(line) for line in stream]
    for start in range(0, len(rows), 20):
        part = rows[start : start + 20]
        looks, works = [row for row in part if "serial" in row], [row for row in part if "step" in row]
        if len(looks) + len(works) < len(part):
            raise InputError("{file} has rows that are none", file=piece.name)
        yield Events(worlds.accesses(looks) if looks else None, worlds.work_table(works) if works else None)


class Run:
    """One run of follow over a folder, on a clock that goes on by a second with every wait."""

    def __init__(self, folder: Path, script: dict[int, Callable[[], object]], *, waits: int, **options: Any) -> None:
        self.now = (worlds.START + 100 * DAY) / 1e6
        self.told: list[tuple[int, bool]] = []  # id of each open look, and whether it was history
        self.days: list[Any] = []
        self.stop = Stop()
        self.troubles: list[ParcelveilError] = []
        self.stream = Stream(rule_table(RULES, worlds.ROLES.index), OFFSET)
        self._script, self._waits, self._waited = script, waits, 0
        self.source = Folder(folder, clock=lambda: self.now)
        self.source.wait = self.wait  # type: ignore[method-assign]
        self._options = options

    def wait(self, seconds: float) -> None:
        self._waited += 1
        self.now += seconds
        self._script.get(self._waited, lambda: None)()
        self.stop.asked = self._waited >= self._waits

    def judge(self, made: Made) -> list[Any]:
        self.days += made.days
        return made.open["id"].to_pylist()

    def cases(self, cases: list[Any], history: bool) -> None:
        self.told += [(case, history) for case in cases]

    def go(self) -> Followed:
        return follow(
            self.source,
            opener,
            self.stream,
            self.judge,
            self.cases,
            stop=self.stop,
            clock=lambda: self.now,
            on_trouble=lambda piece, fault: self.troubles.append(fault),
            **self._options,
        )


def lines(rows: list[worlds.Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def add(path: Path, rows: list[worlds.Row]) -> None:
    with path.open("ab") as file:
        file.write(lines(rows))


def by_receipt(rows: list[worlds.Row]) -> list[worlds.Row]:
    return sorted(rows, key=lambda row: row["received"])


def test_past_and_present_make_the_days_of_the_reference_however_files_were_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    looks, works = worlds.looks(rng, 300, 6), worlds.works(rng, 300, 6)
    past = worlds.START + 3 * DAY
    for name, rows in (("looks", looks), ("works", works)):
        for day in range(-2, 4):  # files of a day, in any order inside
            of_day = [row for row in rows if (row["received"] - worlds.START) // DAY == day and row["received"] < past]
            if of_day:
                add(tmp_path / f"{name}-{day + 2}.jsonl", [of_day[at] for at in rng.permutation(len(of_day))])
    live = {
        name: by_receipt([row for row in rows if row["received"] >= past])
        for name, rows in (("l", looks), ("w", works))
    }

    def later(start: int, end: int) -> Callable[[], object]:
        return lambda: [
            add(tmp_path / f"{name}.jsonl", [row for row in rows if start <= row["received"] - past < end])
            for name, rows in live.items()
        ]

    script = {at + 1: later(at * HOUR, (at + 1) * HOUR) for at in range(6 * 24)}
    run = Run(tmp_path, script, waits=6 * 24 + 70)
    followed = run.go()
    run.days += [day for made in run.stream.flush() for day in made.days]
    expected = reference.days(RULES, worlds.ROLES, looks, works, OFFSET)
    assert [day.day for day in run.days] == [day.day for day in expected]
    for mine, theirs in zip(run.days, expected, strict=True):
        assert mine.rows.to_pylist() == theirs.rows.to_pylist()
        assert mine.volume.to_pylist() == theirs.volume.to_pylist()
    assert (followed.looks, followed.works, followed.late, followed.troubles) == (300, 300, 0, 0)


LOOK: worlds.Row = worlds.looks(np.random.default_rng(0), 1, 1)[0] | {
    "actor": 1,
    "outlet": -1,
    "waybill": 4,
    "action": 0,
    "outcome": 0,
    "ticket": -1,
    "role": 0,
}
WORK: worlds.Row = worlds.works(np.random.default_rng(0), 1, 1)[0] | {
    "waybill": 4,
    "actor": 1,
    "outlet": -1,
    "step": 3,
    "route": -1,
    "ticket": -1,
    "to_outlet": -1,
}


def at(row: worlds.Row, seconds: float, **more: int) -> worlds.Row:
    moment = worlds.START + int(seconds * 1e6)
    return row | {"time": moment, "received": moment, **more}


def stranger(number: int, seconds: float) -> worlds.Row:
    return at(LOOK, seconds, id=number, waybill=3)


def test_t2_after_a_crash_nothing_is_lost_and_what_was_told_is_history(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    drop = tmp_path / "drop"
    drop.mkdir()
    log = drop / "a.jsonl"
    add(log, [stranger(number, 600 * number) for number in range(10)])
    script = {
        2: lambda: add(log, [stranger(number, 600 * number) for number in range(10, 20)]),
        4: lambda: add(log, [stranger(number, 600 * number) for number in range(20, 30)]),
    }
    first = Run(drop, script, waits=99, state=state)

    def crash(cases: list[Any], history: bool) -> None:
        first.told += [(case, history) for case in cases]
        if len(first.told) > 25:
            raise MemoryError  # stands for a kill: nothing is written afterwards

    first.cases = crash  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        first.go()
    second = Run(drop, {}, waits=3, state=state)
    second.go()
    assert {case for case, history in first.told if not history} == set(range(29))
    assert [case for case, _ in second.told] == list(range(29))  # the last one is still held back
    told_before = {case for case, history in second.told if history}
    assert told_before == set(range(19))  # what came with the crash is told again, and not as history
    third = Run(drop, {1: lambda: add(log, [stranger(30, 18_600)])}, waits=3, state=state)
    third.go()
    assert [case for case, history in third.told if not history] == [29]


def test_t1_looks_wait_for_the_work_that_explains_them_but_not_for_ever(tmp_path: Path) -> None:
    def run(work_comes: int, patience: float) -> list[int]:
        folder = tmp_path / f"{work_comes}-{patience}"
        folder.mkdir()
        add(folder / "w.jsonl", [at(WORK, 0, waybill=1)])
        add(folder / "l.jsonl", [at(LOOK, 0, waybill=1)])
        script: dict[int, Callable[[], object]] = {
            2: lambda: add(folder / "l.jsonl", [at(LOOK, 1000, id=7), at(LOOK, 2000, id=8, waybill=1)]),
            work_comes: lambda: add(folder / "w.jsonl", [at(WORK, 900), at(WORK, 2000, waybill=2)]),
        }
        one = Run(folder, script, waits=40, patience=patience)
        one.go()
        return [case for case, _ in one.told]

    assert run(20, 30) == []
    assert run(20, 10) == [7]
    assert run(4, 0.5) == [7]


def test_rows_of_the_future_do_not_make_everything_late(tmp_path: Path) -> None:
    add(tmp_path / "a.jsonl", [stranger(1, 0), stranger(2, 400 * 86_400), stranger(3, 400), stranger(4, 800)])
    run = Run(tmp_path, {}, waits=2)
    followed = run.go()
    assert (followed.future, followed.late) == (1, 0)
    assert [case for case, _ in run.told] == [1, 3]


def test_a_file_that_is_none_is_told_once_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    add(tmp_path / "b.jsonl", [stranger(1, 0), stranger(2, 600)])
    run = Run(tmp_path, {}, waits=5)
    followed = run.go()
    assert [str(fault) for fault in run.troubles] == ["a.jsonl has rows that are none"]
    assert followed.troubles == 1
    assert [case for case, _ in run.told] == [1]


def test_standard_input_ends_with_all_days_settled() -> None:
    reading, writing = os.pipe()
    os.write(writing, lines([at(WORK, 0), at(LOOK, 10), stranger(9, 20)]))
    os.close(writing)
    days: list[Any] = []
    told: list[Any] = []

    def judge(made: Made) -> list[Any]:
        days.extend(made.days)
        return made.open["id"].to_pylist()

    stream = Stream(rule_table(RULES, worlds.ROLES.index), OFFSET)
    follow(Lines(reading), opener, stream, judge, lambda cases, history: told.extend(cases))
    os.close(reading)
    assert told == [9]
    assert [day.volume["looks"].to_pylist() for day in days] == [[2]]


def test_the_state_file_is_private_whole_or_missing(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    Saved(watermark=7).save(file)
    assert Saved.load(file) == Saved(watermark=7)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    file.write_bytes(b'{"watermark": "soon')
    assert Saved.load(file) == Saved.load(tmp_path / "none") == Saved.load(None) == Saved()
    with pytest.raises(OutputError, match="cannot be written"):
        Saved().save(tmp_path / "none" / "state.json")


def test_a_state_of_the_future_settles_nothing_that_has_not_been(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    Saved(watermark=2**62).save(state)
    (tmp_path / "drop").mkdir()
    add(tmp_path / "drop" / "a.jsonl", [stranger(1, 0), stranger(2, 600)])
    run = Run(
        tmp_path / "drop", {2: lambda: add(tmp_path / "drop" / "a.jsonl", [stranger(3, 1200)])}, waits=4, state=state
    )
    run.go()
    assert [case for case, _ in run.told] == [1, 2]


def test_sigterm_ends_it_after_the_piece_at_hand_and_a_second_one_at_once(tmp_path: Path) -> None:
    add(tmp_path / "a.jsonl", [stranger(1, 0), stranger(2, 600)])
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        run = Run(tmp_path, {1: lambda: os.kill(os.getpid(), signal.SIGTERM)}, waits=9)
        run.stop = stop
        run.wait = lambda seconds: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[method-assign]
        run.source.wait = run.wait  # type: ignore[method-assign]
        followed = run.go()
        assert stop.asked
        assert signal.getsignal(signal.SIGTERM) is before
    assert followed.pieces == 1
