"""Files of events: in order, each row coded, and an account of all that was odd. Nothing odd makes a flood of anything."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt.event_files import EventFiles
from parcelveil.errors import InputError
from parcelveil.event import ACCESS, ACCOUNT, RECEIVED_AT, WORK
from parcelveil.watch.coded import Coder
from parcelveil.watch.mapping import mapping_of
from parcelveil.watch.own_rows import REASONS, OwnRows, fits
from parcelveil.watch.reading import Events, Reading
from parcelveil.watch.register import take_accounts
from parcelveil.waybill import RawBatch, Reject

KEY = bytes(range(32))
DAY1 = datetime(2026, 9, 1, 2, tzinfo=UTC)  # ten o'clock there


def access_table(rows: list[dict[str, Any]]) -> pa.Table:
    sound = {"event_time": DAY1, "actor": "c1", "records": 1, "fields": 7, "outcome": "ok", "waybill_no": "YT1"}
    filled = [dict.fromkeys(ACCESS.names) | sound | {"event_id": place + 1} | row for place, row in enumerate(rows)]
    return pa.Table.from_pylist(filled, schema=ACCESS)


def work_table(rows: list[dict[str, Any]]) -> pa.Table:
    schema = WORK.append(RECEIVED_AT)
    sound = {"event_time": DAY1, "biz_step": "arrived", "waybill_no": "YT1", "outlet": "o1"}
    filled = [dict.fromkeys(schema.names) | sound | {"event_id": f"w{n}"} | row for n, row in enumerate(rows)]
    return pa.Table.from_pylist(filled, schema=schema)


def put(path: Path, table: pa.Table) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    pq.write_table(table, path)
    return str(path)


def read(reading: Reading, access: list[str], work: list[str] = []) -> list[Events]:  # noqa: B006  only read
    return list(reading.events(access, work))


def opened(**said: Any) -> Reading:
    return Reading(EventFiles(), Coder(KEY), **said)


# -- order, names, duplicates --------------------------------------------------------------------------------------------


def test_files_come_by_the_date_in_their_names_and_work_before_looks(tmp_path: Path) -> None:
    for day in (2, 1):
        moment = DAY1 + timedelta(days=day - 1)
        put(tmp_path / f"access/2026-09-0{day}.parquet", access_table([{"event_time": moment, "event_id": day}]))
        put(tmp_path / f"work/2026-09-0{day}.parquet", work_table([{"event_time": moment, "event_id": f"w{day}"}]))
    reading = opened()
    events = read(reading, [str(tmp_path / "access")], [str(tmp_path / "work")])
    assert [Path(part.source).parts[-2:] for part in events] == [
        (kind, f"2026-09-0{day}.parquet") for day in (1, 2) for kind in ("work", "access")
    ]
    assert events[1].accesses["waybill"] == events[0].works["waybill"]
    assert (events[0].accesses.num_rows, events[1].works.num_rows) == (0, 0)
    summary = reading.summary
    assert (summary.files, summary.accesses, summary.works, summary.days) == (4, 2, 2, 2)
    assert (summary.first_day, summary.last_day, summary.days_without_work) == ("2026-09-01", "2026-09-02", [])


def test_files_without_a_date_come_by_their_first_row(tmp_path: Path) -> None:
    late = put(tmp_path / "a.parquet", access_table([{"event_time": DAY1 + timedelta(days=1), "event_id": 7}]))
    early = put(tmp_path / "b.parquet", access_table([{}]))
    assert [part.source for part in read(opened(), [late, early])] == [early, late]


def test_what_comes_twice_counts_once(tmp_path: Path) -> None:
    rows = [{"event_id": n, "waybill_no": f"YT{n}"} for n in (1, 2, 2, 3)]
    one, other = put(tmp_path / "1.parquet", access_table(rows)), put(tmp_path / "2.parquet", access_table(rows[2:]))
    later = put(tmp_path / "3.parquet", access_table([{"event_id": 3, "event_time": DAY1 + timedelta(days=5)}]))
    work = put(tmp_path / "w.parquet", work_table([{"event_id": "w"}] * 3))
    reading = opened()
    events = read(reading, [one, other, later], [work])
    assert sum(part.accesses.num_rows for part in events) == 4
    assert sum(part.works.num_rows for part in events) == 1
    assert reading.summary.duplicates == 3 + 2


def test_a_csv_in_gb18030_and_the_same_again(tmp_path: Path) -> None:
    text = "工号,操作时间,运单号,操作类型,操作结果\nKF01,2026-09-01 10:00:00,YT1,查看,成功\n李雷,2026-09-01 10:00:00,YT2,查看,成功\n"
    text += "KF01,2026-09-01 10:00:00,YT1,登录,成功\n"
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(text.encode("gb18030"))
    (tmp_path / "a.csv.rejects.csv").write_text("this,is\nno,input\n")
    told: list[Reject] = []
    reading = opened(rejects=told.extend)
    events = read(reading, [str(tmp_path)])
    assert [part.accesses.num_rows for part in events] == [1, 0]
    summary = reading.summary
    assert (summary.accesses, summary.duplicates, summary.rejected, summary.ignored) == (
        1,
        1,
        {"actor.malformed": 2},
        {"ignore": 2},
    )
    assert [(reject.row, reject.code) for reject in told] == [(3, "actor.malformed")] * 2
    assert "李雷" not in repr(told)


def test_json_lines_through_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"who": "a1", "when": "2026-09-01T02:00:00Z", "what": "YT1"}\n')
    mapping = mapping_of({"columns": {"actor": "who", "event_time": "when", "waybill_no": "what"}})
    assert read(opened(mapping=mapping), [str(tmp_path / "log.jsonl")])[0].accesses["time"][0].as_py() == (
        int(DAY1.timestamp()) * 1_000_000
    )


# -- what is odd ---------------------------------------------------------------------------------------------------------


def test_a_day_without_work_is_told(tmp_path: Path) -> None:
    access = [
        {"event_time": DAY1 + timedelta(days=day, minutes=n), "event_id": 100 * day + n}
        for day in range(5)
        for n in range(9)
    ]
    work = [
        {"event_time": DAY1 + timedelta(days=day), "event_id": f"w{day}-{n}"}
        for day, count in enumerate((40, 0, 50, 3, 45))
        for n in range(count)
    ]
    reading = opened()
    read(reading, [put(tmp_path / "a.parquet", access_table(access))], [put(tmp_path / "w.parquet", work_table(work))])
    assert reading.summary.days_without_work == ["2026-09-02"]
    assert reading.summary.days_of_little_work == ["2026-09-04"]


def test_clocks_order_customers_and_accounts_that_nobody_knows(tmp_path: Path) -> None:
    rows = [
        {"event_time": DAY1 + timedelta(hours=30), "received_at": DAY1},
        {"event_time": DAY1, "received_at": DAY1 - timedelta(minutes=1), "actor": "C2 "},
        {"actor": "客户"},
        {"actor": "stranger"},
        {"actor": "stranger"},
    ]
    register = put(tmp_path / "r.parquet", pa.Table.from_pylist([
        dict.fromkeys(ACCOUNT.names) | {"actor": name, "role": "courier"} for name in ("c1", "c2")
    ], schema=ACCOUNT))  # fmt: skip
    reading = opened()
    reading.accounts([register])
    [events] = read(reading, [put(tmp_path / "a.parquet", access_table(rows))])
    assert events.accesses.num_rows == 3  # "C2 " has a blank: no account's name, as in files of others
    summary = reading.summary
    assert (summary.clocks_off, summary.unordered, summary.customers, summary.accounts) == (1, 0, 1, 2)
    assert (summary.unknown_accounts, summary.unknown_accesses) == (1, 2)
    assert summary.rejected == {"actor.malformed": 1}


def test_unordered_rows_are_counted(tmp_path: Path) -> None:
    rows = [{"event_time": DAY1 + timedelta(minutes=minute)} for minute in (5, 3, 6, 1)]
    reading = opened()
    read(reading, [put(tmp_path / "a.parquet", access_table(rows))])
    assert reading.summary.unordered == 2


def test_a_clock_of_next_year_does_not_get_in(tmp_path: Path) -> None:
    rows = [{}, {"received_at": DAY1 + timedelta(days=300)}, {"received_at": DAY1 + timedelta(hours=20)}]
    reading = opened(now=int(DAY1.timestamp()) * 1_000_000)
    [events] = read(reading, [put(tmp_path / "a.parquet", access_table(rows))])
    assert events.accesses.num_rows == 2
    assert reading.summary.rejected == {"received_at.future": 1}
    (tmp_path / "b.csv").write_text("工号,操作时间,运单号\nc1,2026-09-01 10:00:00,YT1\nc1,2027-09-01 10:00:00,YT2\n")
    reading = opened(now=int(DAY1.timestamp()) * 1_000_000)
    assert read(reading, [str(tmp_path / "b.csv")])[0].accesses.num_rows == 1
    assert reading.summary.rejected == {"received_at.future": 1}


def test_an_empty_file_is_counted_and_no_looks_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    none = put(tmp_path / "none.parquet", access_table([]))
    some = put(tmp_path / "some.parquet", access_table([{}]))
    reading = opened()
    read(reading, [str(tmp_path / "empty.csv"), none, some])
    assert (reading.summary.empty_files, reading.summary.files) == (1, 2)
    with pytest.raises(InputError, match="there is no access event in 1 files"):
        read(opened(), [none, str(tmp_path / "empty.csv")])
    with pytest.raises(InputError, match="nothing is found under"):
        read(opened(), [str(tmp_path / "nowhere")])


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_half_a_parquet_file_is_named(tmp_path: Path, share: float) -> None:
    whole = Path(put(tmp_path / "2026-09-01.parquet", access_table([{"event_id": n} for n in range(500)])))
    data = whole.read_bytes()
    whole.write_bytes(data[: int(len(data) * share)])
    good = put(tmp_path / "2026-09-02.parquet", access_table([{}]))
    with pytest.raises(InputError, match=r"2026-09-01\.parquet is damaged") as caught:
        read(opened(), [str(whole), good])
    assert caught.value.exit_code == 3


def test_files_that_fit_nothing_are_named_with_their_columns(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("店铺,金额\n一,2\n")
    (tmp_path / "scans.csv").write_text("店铺,金额\n一,2\n")
    good = put(tmp_path / "a.parquet", access_table([{}]))
    with pytest.raises(InputError, match=r"orders\.csv: this is no access log .* among 店铺, 金额"):
        read(opened(), [str(tmp_path / "orders.csv")])
    with pytest.raises(InputError, match=r"scans\.csv: no column"):
        read(opened(), [good], [str(tmp_path / "scans.csv")])


def test_work_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(
        "扫描时间,扫描类型,运单号,网点\n2026-09-01 10:00:00,到件,YT1,O1\nsoon,到件,YT2,O1\n"
    )
    reading = opened()
    events = read(reading, [put(tmp_path / "a.parquet", access_table([{}]))], [str(tmp_path / "w.csv")])
    works = pa.concat_tables([part.works for part in events])
    assert works.num_rows == 1
    assert works["waybill"][0].as_py() == Coder(KEY).waybills(pa.array(["YT1"]))[0][0]
    assert reading.summary.rejected == {"event_time.malformed": 1}


# -- our own schema, written by somebody else ----------------------------------------------------------------------------


def test_t10_own_rows_are_looked_at_before_they_are_believed() -> None:
    good = {"event_time": DAY1, "actor": "c1", "records": 1, "fields": 0, "outcome": "ok", "event_id": 1}
    rows = [
        {},
        {"actor": None},
        {"actor": "李雷"},
        {"actor": "13812345678"},
        {"device": "13812345678"},
        {"device": "李雷的手机"},
        {"outlet": "13812345678"},
        {"event_time": datetime(1999, 1, 1, tzinfo=UTC)},
        {"received_at": datetime(2100, 1, 1, tzinfo=UTC)},
        {"waybill_no": "Y" * 65},
        {"ticket": "T" * 65},
        {"outcome": None},
        {"actor": "客户", "outlet": "上海"},
    ]
    schema = pa.schema([pa.field(f.name, f.type) for f in ACCESS])
    table = pa.RecordBatch.from_pylist([dict.fromkeys(ACCESS.names) | good | row for row in rows], schema=schema)
    for batch in (table, dictionaries(table)):
        taken = OwnRows("a.parquet", ACCESS).take(RawBatch(batch, np.arange(len(rows)), []))
        assert taken.rows.tolist() == [0, 12]
        assert [reject.code for reject in taken.rejects] == [
            "missing", "actor.malformed", "actor.malformed", "device.malformed", "device.malformed", "outlet.malformed",
            "event_time.out_of_range", "received_at.out_of_range", "too_long", "too_long", "missing",
        ]  # fmt: skip
        assert {reject.reason for reject in taken.rejects} <= set(REASONS.values())
        assert "李雷" not in repr(taken.rejects)


def dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def test_other_types_become_ours_or_are_an_error() -> None:
    columns = {"event_id": pa.array([5], pa.int64()), "event_time": pa.array([DAY1], pa.timestamp("ms", "UTC")),
               "actor": pa.array(["a"], pa.large_string()), "records": pa.array([1], pa.int64()),
               "fields": pa.array([3], pa.int8()), "outcome": ["ok"]}  # fmt: skip
    assert fits(list(columns), ACCESS)
    assert not fits([*columns, "note"], ACCESS)
    assert not fits(list(columns)[1:], ACCESS)
    taken = OwnRows("a", ACCESS).take(RawBatch(pa.record_batch(columns), np.array([1]), []))
    assert Coder(KEY).accesses(taken.batch)["id"].to_pylist() == [5]
    with pytest.raises(InputError, match="column records of a holds values that are no uint32"):
        OwnRows("a", ACCESS).take(RawBatch(pa.record_batch(columns | {"records": ["李雷"]}), np.array([1]), []))


# -- registers and web logs ----------------------------------------------------------------------------------------------


def test_a_register_of_other_systems() -> None:
    raw = pa.record_batch(
        {
            "工号": ["C1", "S2", "李雷", "13812345678", None, "X9", "Y8"],
            "角色": ["快递员", "Night Watch", "客服", "客服", "客服", None, "客服"],
            "所属网点": ["O1"] * 7,
            "入职日期": ["2026-01-05", None, None, None, None, None, "someday"],
            "上班时间": ["08:30", "22:00", "", "", "", "", ""],
            "下班时间": ["17:00", "1800", "", "", "", "", ""],
        }
    )
    table, rejects = take_accounts(RawBatch(raw, np.arange(7) + 2, []), "staff.csv", 480)
    first, second = table.to_pylist()
    assert (first["actor"], first["role"], first["shift_start"], first["shift_end"]) == ("C1", "courier", 510, 1020)
    assert first["opened_at"] == datetime(2026, 1, 4, 16, tzinfo=UTC)
    assert (second["role"], second["shift_start"], second["shift_end"]) == ("night watch", 1320, 1800)
    assert [(reject.row, reject.code) for reject in rejects] == [
        (4, "actor.malformed"), (5, "actor.malformed"), (6, "actor.missing"), (7, "role.missing"), (8, "time.malformed")
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"staff\.csv is no register of accounts: no column for actor among 姓名"):
        take_accounts(RawBatch(pa.record_batch({"姓名": ["李雷"]}), np.array([2]), []), "staff.csv", 480)


def test_web_logs_plain_and_compressed(tmp_path: Path) -> None:
    def lines(day: int, count: int) -> bytes:
        return b"".join(
            b'203.0.113.%d - - [%02d/Sep/2026:10:00:00 +0800] "GET /track/YT88000012%02d HTTP/1.1" 200 5 "-" "x"\n'
            % (n, day, n)
            for n in range(count)
        )

    (tmp_path / "z.log").write_bytes(lines(1, 3) + b"nonsense")
    with gzip.open(tmp_path / "a.log.gz", "wb") as file:
        file.write(lines(2, 4))
    reading = opened()
    tables = [table for _, table in reading.requests([str(tmp_path / "a.log.gz"), str(tmp_path / "z.log")])]
    days = [time // 86_400_000_000 for table in tables for time in table["time"].to_pylist()]
    assert days == sorted(days)
    assert (reading.summary.requests, reading.summary.odd_lines, reading.summary.files) == (7, 1, 2)
    data = (tmp_path / "a.log.gz").read_bytes()
    (tmp_path / "cut.log.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.log\.gz is damaged or incomplete"):
        list(reading.requests([str(tmp_path / "cut.log.gz")]))
