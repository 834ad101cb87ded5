"""What comes into a folder, in the forms that carriers have, as coded events."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt.event_files import EventFiles
from parcelveil.adapt.event_pieces import open_part
from parcelveil.errors import InputError, ParcelveilError
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.watch.arriving import Folder, Lines, Piece
from parcelveil.watch.coded import Coder
from parcelveil.watch.explaining import read_rules, rule_table
from parcelveil.watch.following import Events, Stop, follow
from parcelveil.watch.pieces import Pieces
from parcelveil.watch.reading import Reading
from parcelveil.watch.streaming import Made, Stream

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
HEADER = "工号,操作时间,运单号,操作类型,操作结果\n"


@pytest.fixture
def coder() -> Coder:
    return Coder(bytes(32))


def pieces(coder: Coder, folder: Path) -> Pieces:
    return Pieces(Reading(EventFiles(), coder), EventFiles().open, open_part, folder=folder)


def rows(events: list[Events], coder: Coder) -> list[tuple[str, int, int]]:
    """Account, and how many looks and works, of each part with any."""
    made = []
    for part in events:
        assert part.accesses is not None
        assert part.works is not None
        actors = coder.names["actor"].text(
            pa.concat_arrays([part.accesses["actor"].combine_chunks(), part.works["actor"].combine_chunks()])
        )
        made.append((str(actors[0]), part.accesses.num_rows, part.works.num_rows))
    return made


def read(source: Folder | Lines, opener: Pieces) -> list[Events]:
    found: list[Events] = []
    for first in source.poll():
        piece: Piece | None = first
        while piece is not None:
            found += opener(piece)
            piece = source.done(piece)
    return found


def work(number: int) -> Work:
    return Work(
        event_id=f"S-{number}", event_time=NOON, biz_step=BizStep.ARRIVED, waybill_no=f"YT{number}", actor="s-1"
    )


def test_logs_that_grow_and_files_of_work_are_told_apart(tmp_path: Path, coder: Coder) -> None:
    log = tmp_path / "looks.csv"
    log.write_text(HEADER + "c-1,2026-11-23 12:00:00,YT1,查看,成功\nc-1,2026-11-23 12:0", "utf-8")
    pq.write_table(pa.Table.from_batches([work_batch([work(1), work(2)])]), tmp_path / "scans.parquet")
    source, opener = Folder(tmp_path), pieces(coder, tmp_path)
    assert rows(read(source, opener), coder) == [("c-1", 1, 0)]
    assert rows(read(source, opener), coder) == [("s-1", 0, 2)]
    with log.open("a", encoding="utf-8") as file:
        file.write("1:00,YT2,查看,成功\nc-2,2026-11-23 12:02:00,YT3,查看,成功\n")
    assert rows(read(source, opener), coder) == [("c-1", 2, 0)]
    assert read(source, opener) == []


def test_the_same_line_twice_in_two_pieces_is_two_looks(tmp_path: Path, coder: Coder) -> None:
    log = tmp_path / "looks.csv"
    line = "c-1,2026-11-23 12:00:00,YT1,查看,成功\n"
    source, opener = Folder(tmp_path), pieces(coder, tmp_path)
    log.write_text(HEADER + line, "utf-8")
    found = read(source, opener)
    log.write_text(HEADER + line + line, "utf-8")
    found += read(source, opener)
    ids = [part.accesses["id"][0].as_py() for part in found if part.accesses is not None]
    assert len(set(ids)) == 2


def test_a_pipe_may_bring_looks_and_work_together(coder: Coder) -> None:
    look = {"event_id": 1, "actor": "c-1", "event_time": NOON.isoformat(), "waybill_no": "YT1", "action": "reveal"}
    scan = {
        "event_id": "S-1",
        "event_time": NOON.isoformat(),
        "biz_step": "arrived",
        "waybill_no": "YT1",
        "actor": "s-1",
    }
    reading, writing = os.pipe()
    os.write(writing, "".join(json.dumps(row) + "\n" for row in (look, scan, scan | {"event_id": "S-2"})).encode())
    os.close(writing)
    source, opener = Lines(reading), pieces(coder, Path())
    assert sorted(rows(read(source, opener), coder)) == [("c-1", 1, 0), ("s-1", 0, 2)]
    os.close(reading)


def test_t1_from_files_to_looks_without_a_reason(tmp_path: Path, coder: Coder) -> None:
    log = tmp_path / "looks.csv"
    body = [f"s-1,2026-11-23 12:{minute:02}:00,YT1,查看,成功\n" for minute in range(10)]
    log.write_text(HEADER + "".join(body) + "x-9,2026-11-23 12:02:00,YT1,查看,成功\n", "utf-8")
    pq.write_table(pa.Table.from_batches([work_batch([work(1)])]), tmp_path / "scans.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "scans.parquet").read_bytes()[:100] + b"PAR1")
    (tmp_path / "web.log").write_bytes(b'203.0.113.7 - - [23/Nov/2026:04:00:00 +0000] "GET / HTTP/1.1" 200 1\n')
    troubles: list[str] = []
    told: list[str] = []
    stop = Stop()
    source = Folder(tmp_path)
    waits = iter([False, True])

    def wait(seconds: float) -> None:
        stop.asked = next(waits)

    source.wait = wait  # type: ignore[method-assign]

    def judge(made: Made) -> list[str]:
        return coder.names["actor"].text(made.open["actor"]).to_pylist()

    def trouble(piece: Piece, fault: ParcelveilError) -> None:
        assert isinstance(fault, InputError)
        troubles.append(piece.name)

    follow(
        source,
        pieces(coder, tmp_path),
        Stream(lambda: rule_table(read_rules(), coder.names["role"].code)),
        judge,  # type: ignore[arg-type]
        lambda cases, history: told.extend(cases),  # type: ignore[arg-type]
        stop=stop,
        patience=0,
        on_trouble=trouble,
    )
    assert sorted(troubles) == ["half.parquet", "web.log"]
    assert told == ["x-9"]
