"""Access logs of other systems: headers, words, and a reason for every row that is no access."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import HeaderError, InputError
from parcelveil.event import ACCESS
from parcelveil.intake.headers import fold
from parcelveil.seal.siv import Cmac
from parcelveil.watch import mapping as mapping_module
from parcelveil.watch.access_cells import network_of
from parcelveil.watch.coded import ACTIONS, CHANNELS, OUTCOMES
from parcelveil.watch.mapped import REASONS, AccessRows, TakenAccess
from parcelveil.watch.mapping import Mapping, mapping_of, read_fields, read_word, recognise_access
from parcelveil.waybill import RawBatch

KEY = Cmac(bytes(32))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def raw(columns: dict[str, Any]) -> RawBatch:
    batch = pa.record_batch({n: v if isinstance(v, pa.Array) else pa.array(v) for n, v in columns.items()})
    return RawBatch(batch, np.arange(batch.num_rows) + 2, [])


def take(columns: dict[str, Any], said: dict[str, Any] | None = None) -> TakenAccess:
    rows = raw(columns)
    return AccessRows("log.csv", rows.batch.schema.names, KEY, mapping_of(said or {})).take(rows)


SOUND = {"event_time": "2026-11-23T12:00:00Z", "actor": "cs-1", "waybill_no": "YT1", "action": "view"}


def one(said: dict[str, Any] | None = None, **columns: Any) -> TakenAccess:
    """A sound look with some columns changed; None takes a column away."""
    row = {name: value for name, value in (SOUND | columns).items() if value is not None}
    return take(
        {name: pa.array([value]) if not isinstance(value, pa.Array) else value for name, value in row.items()}, said
    )


def code(taken: TakenAccess) -> str:
    assert taken.batch.num_rows + len(taken.rejects) + taken.ignored.total() == 1
    return taken.rejects[0].code if taken.rejects else ""


# -- columns -------------------------------------------------------------------------------------------------------------


def test_a_chinese_log() -> None:
    taken = take(
        {
            "操作时间": ["2026-11-23 20:00:00", "2026/11/23 20:00", "2026-11-23 20:00:00.250"],
            "工号": ["021007-12", "KF003", "KF003"],
            "岗位": ["快递员", "客服", "总裁"],
            "所属网点": ["上海青浦一部", None, None],
            "设备号": ["PDA-1", None, None],
            "登录IP": ["203.0.113.77", "2001:db8::1", "-"],
            "渠道": ["巴枪", "客服系统", "新系统"],
            "操作类型": ["查看", "查件", "导出"],
            "运单号": ["YT1", "13812345678", None],
            "条数": [None, None, "1,200"],
            "查看字段": ["姓名,手机号", "脱敏", "明文"],
            "操作结果": ["成功", "查无此单", "拒绝"],
            "工单号": [None, "T-9", None],
        }
    )
    assert taken.rejects == []
    assert taken.batch.schema.equals(ACCESS, check_metadata=True)
    first, second, third = taken.batch.to_pylist()
    assert {k: v for k, v in first.items() if k != "event_id"} == {
        "event_time": NOON,
        "received_at": None,
        "actor": "021007-12",
        "role": "courier",
        "outlet": "上海青浦一部",
        "device": "PDA-1",
        "network": "203.0.113.0/24",
        "channel": "app",
        "action": "reveal",
        "waybill_no": "YT1",
        "subject": None,
        "records": 1,
        "fields": 3,
        "outcome": "ok",
        "ticket": None,
    }
    assert (second["role"], second["action"], second["outcome"], second["fields"]) == (
        "service",
        "search",
        "notfound",
        0,
    )
    assert (second["waybill_no"], second["network"], second["ticket"]) == (None, "2001:db8::/48", "T-9")
    assert (third["role"], third["network"], third["channel"], third["records"]) == (None, None, "other", 1200)
    assert third["event_time"].microsecond == 250_000


def test_a_mapping_goes_before_the_words() -> None:
    said = {
        "columns": {"actor": "OPER", "event_time": ["D", "T"], "waybill_no": ["NO1", "NO2"], "outcome": "ST"},
        "constants": {"channel": "api", "outlet": "HQ"},
        "values": {"action": {"QRY": "reveal", "*": "ignore"}, "outcome": {"9": "denied"}},
        "options": {"time_zone": "-05:30", "time_format": "%d.%m.%Y %H:%M:%S"},
    }
    columns = {
        "OPER": ["a", "b", "c"],
        "D": ["23.11.2026"] * 3,
        "T": ["06:30:00"] * 3,
        "NO1": ["YT1", "", "YT3"],
        "NO2": ["YT9", "YT2", "YT9"],
        "action": ["QRY", "qry", "PING"],
        "ST": ["ok", "9", "ok"],
        "actor": ["wrong"] * 3,
    }
    taken = take(columns, said)
    assert taken.rejects == []
    assert dict(taken.ignored) == {"ignore": 1}
    assert taken.rows.tolist() == [2, 3]
    assert taken.batch["event_time"].to_pylist() == [NOON, NOON]
    assert taken.batch["actor"].to_pylist() == ["a", "b"]
    assert taken.batch["waybill_no"].to_pylist() == ["YT1", "YT2"]
    assert taken.batch["outcome"].to_pylist() == ["ok", "denied"]
    assert set(taken.batch["outlet"].to_pylist()) == {"HQ"}


def test_a_mapping_that_fits_nothing_says_what_was_seen_and_what_is_missing() -> None:
    with pytest.raises(HeaderError) as caught:
        recognise_access(["店铺", "金额", "13812345678"])
    assert isinstance(caught.value, InputError)
    text = str(caught.value)
    assert "no column for actor, event_time, waybill_no among 店铺, 金额, (a number)" in text
    assert "docs/watch-inputs.md" in caught.value.hint
    assert "\n" not in text
    with pytest.raises(HeaderError, match="does not have: NOPE") as absent:
        recognise_access(["工号", "时间"], mapping_of({"columns": {"actor": "NOPE"}}))
    assert "工号, 时间" in absent.value.hint


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"columns": {"who": "X"}}, "do not have: who"),
        ({"colums": {}}, "cannot be used"),
        ({"values": {"actor": {"a": "b"}}}, "translates words of actor"),
        ({"values": {"outcome": {"a": "fine"}}}, "makes fine of words of outcome"),
        ({"options": {"time_zone": "Shanghai"}}, "time_zone"),
        ({"options": {"time_zone": "+24:00"}}, "time_zone"),
        ({"constants": {"channel": 1.5}}, "cannot be used"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(HeaderError, match=words):
        mapping_of(said)


def test_the_words_are_told_apart() -> None:
    """No word stands in two lists of one column, and every list is of something that there is."""
    document = tomllib.loads((Path(mapping_module.__file__).parent / "access_words.toml").read_text("utf-8"))
    assert set(document["columns"]) == set(ACCESS.names)
    allowed = {"action": {*ACTIONS, "ignore"}, "outcome": {*OUTCOMES, "broken"}, "channel": set(CHANNELS)}
    for column, lists in document.items():
        assert set(lists) <= allowed.get(column, set(lists))
        if column not in ("columns", "register"):
            seen: dict[str, str] = {}
            for ours, words in lists.items():
                for word in words:
                    assert seen.setdefault(fold(word), ours) == ours, word


def test_words_and_fields() -> None:
    assert read_word("outcome", "HTTP-200", Mapping()) is None
    statuses = {
        "200": "ok",
        "304": "ok",
        "401": "denied",
        "429": "denied",
        "404": "notfound",
        "500": "broken",
        "400": "broken",
    }
    for status, outcome in statuses.items():
        assert read_word("outcome", status, Mapping()) == outcome
    said = mapping_of({"values": {"fields": {"SJ": "phone", "XM": "name,other", "Z": "masked"}}})
    assert read_fields("SJ|XM", said) == 11
    assert read_fields("Z", said) == 0
    assert read_fields("idcard", said) == 8
    assert read_fields("17", Mapping()) == 8  # no sum of bits


# -- rows that are none --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, ""),
        ({"event_time": ""}, "event_time.missing"),
        ({"event_time": "soon"}, "event_time.malformed"),
        ({"event_time": "2026-11-23"}, "event_time.malformed"),
        ({"event_time": "1999-12-31T00:00:00Z"}, "event_time.out_of_range"),
        ({"received_at": "later"}, "received_at.malformed"),
        ({"received_at": "2026-11-23T12:00:05Z"}, ""),
        ({"actor": " "}, "actor.missing"),
        ({"actor": "张三"}, "actor.malformed"),
        ({"actor": "Wang Wei"}, "actor.malformed"),
        ({"actor": "wang@acme.example"}, "actor.malformed"),
        ({"actor": "13812345678"}, "actor.personal"),
        ({"actor": "+8613812345678"}, "actor.personal"),
        ({"actor": "客户"}, "actor.customer"),
        ({"actor": "021007-12"}, ""),
        ({"device": "张三的手机"}, "device.malformed"),
        ({"device": "13912345678"}, "device.personal"),
        ({"device": "866123041234567"}, ""),
        ({"outlet": "13912345678"}, "outlet.personal"),
        ({"network": "somewhere"}, "network.malformed"),
        ({"network": "unknown"}, ""),
        ({"waybill_no": ""}, "waybill_no.missing"),
        ({"waybill_no": "13912345678"}, "waybill_no.personal"),
        ({"waybill_no": "13912345678", "action": "search"}, ""),
        ({"waybill_no": "", "action": "search"}, ""),
        ({"waybill_no": "", "outcome": "denied"}, ""),
        ({"waybill_no": "1.38E+13"}, "digits_lost"),
        ({"waybill_no": pa.array([1.38e13])}, "digits_lost"),
        ({"waybill_no": "Y" * 65}, "too_long"),
        ({"waybill_no": "YT\x001"}, "control_characters"),
        ({"action": "teleport"}, "action.unknown"),
        ({"outcome": "perhaps"}, "outcome.unknown"),
        ({"outcome": "超时"}, ""),
        ({"action": "登录"}, ""),
        ({"records": "0"}, "records.malformed"),
        ({"records": "-3"}, "records.malformed"),
        ({"records": str(2**32)}, "records.malformed"),
        ({"subject": "13812345678"}, "subject.malformed"),
        ({"subject": "00ff00ff00ff00ff"}, ""),
        ({"subject": str(2**64)}, "subject.malformed"),
    ],
)
def test_every_row_is_taken_rejected_or_counted(columns: dict[str, Any], expected: str) -> None:
    taken = one(**columns)
    assert code(taken) == expected
    if expected:
        assert taken.rejects[0].reason == REASONS[expected]
        assert taken.rejects[0].row == 2


def test_what_the_log_does_not_say() -> None:
    row = one(action=None).batch.to_pylist()[0]
    assert (row["action"], row["outcome"], row["records"], row["fields"]) == ("reveal", "ok", 1, 7)
    assert one(subject="00ff00ff00ff00ff").batch["subject"].to_pylist() == [0x00FF00FF00FF00FF]


def test_an_outage_of_their_system_is_no_raid() -> None:
    """Rows of looks that failed by no fault of the account are counted, and are neither looks nor rejects."""
    many = {name: [value] * 500 for name, value in SOUND.items()} | {"outcome": ["503"] * 400 + ["ok"] * 100}
    taken = take(many)
    assert taken.batch.num_rows == 100
    assert taken.rejects == []
    assert dict(taken.ignored) == {"broken": 400}


def test_typed_columns() -> None:
    taken = take(
        {
            "event_time": pa.array([NOON], pa.timestamp("ms", "UTC")),
            "actor": pa.array([1007]),
            "waybill_no": pa.array([880000123456]),
            "outcome": pa.array([200]),
            "records": pa.array([3], pa.int16()),
            "subject": pa.array([2**63 + 5], pa.uint64()),
        }
    )
    row = taken.batch.to_pylist()[0]
    assert (row["event_time"], row["actor"], row["waybill_no"]) == (NOON, "1007", "880000123456")
    assert (row["records"], row["subject"]) == (3, 2**63 + 5)
    with pytest.raises(InputError, match="column actor has type list"):
        one(actor=pa.array([["a"]]))


def test_rejects_show_no_personal_value() -> None:
    taken = one(actor="李雷", waybill_no="李雷的件")
    assert "李雷" not in repr(taken.rejects)
    assert one(actor="李雷").rejects[0].waybill_no == "YT1"


# -- numbers of events ---------------------------------------------------------------------------------------------------

ROWS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2), st.sampled_from([None, "7"])), max_size=25)


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(1, 9), max_size=10))
def test_numbers_do_not_depend_on_how_rows_are_cut(rows: list[tuple[str, int, str | None]], cuts: list[int]) -> None:
    columns = {
        "event_time": [f"2026-11-2{day}T00:00:00Z" for _, day, _ in rows],
        "actor": [actor for actor, _, _ in rows],
        "waybill_no": ["YT1"] * len(rows),
        "event_id": pa.array([number for *_, number in rows], pa.string()),
    }
    whole = raw(columns)
    names = whole.batch.schema.names
    expected = AccessRows("a", names, KEY).take(whole).batch["event_id"].to_pylist()
    parts, at, again = [], 0, AccessRows("b", names, KEY)
    for cut in [*cuts, len(rows)]:
        part = RawBatch(whole.batch.slice(at, cut), whole.rows[at : at + cut], [])
        parts += again.take(part).batch["event_id"].to_pylist()
        at += cut
    assert parts == expected
    own = [number for number, (*_, given) in zip(expected, rows, strict=True) if given is None]
    assert len(set(own)) == len(own), "rows that say the same are told apart by how often it was said"
    assert len({number for number, (*_, given) in zip(expected, rows, strict=True) if given}) <= 1


def test_numbers_of_two_systems_and_two_keys_do_not_meet() -> None:
    crm = {"options": {"system": "crm"}}
    numbers = {one(said, event_id=n).batch["event_id"][0].as_py() for said in (crm, None) for n in ("7", None)}
    assert len(numbers) == 4
    other = AccessRows("x", list(SOUND), Cmac(bytes(31) + b"1"))
    plain = raw({name: [value] for name, value in SOUND.items()})
    assert other.take(plain).batch["event_id"] != AccessRows("x", list(SOUND), KEY).take(plain).batch["event_id"]


CELLS = (
    st.none()
    | st.text(max_size=12)
    | st.sampled_from(["13812345678", "cs-1", "2026-11-23 10:00:00", "YT1", "查看", "ok", "5"])
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_hostile_rows_are_taken_or_rejected_and_nothing_personal_gets_in(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 6))
    names = data.draw(st.lists(st.sampled_from(ACCESS.names), unique=True))
    names = list(dict.fromkeys(["actor", "event_time", "waybill_no", *names]))
    columns = {name: pa.array(data.draw(st.lists(CELLS, min_size=size, max_size=size)), pa.string()) for name in names}
    taken = take(columns)
    assert taken.batch.num_rows + len(taken.rejects) + taken.ignored.total() == size
    taken.batch.validate(full=True)
    for row in taken.batch.to_pylist():
        assert row["actor"].isascii()
        assert "13812345678" not in {row["actor"], row["device"], row["outlet"], row["waybill_no"]}
        assert row["event_time"] is not None
        assert row["outcome"] in OUTCOMES


@given(st.text(max_size=40) | st.ip_addresses().map(str))
def test_a_network_is_never_a_whole_address(text: str) -> None:
    found = network_of(text)
    if found not in (None, "-"):
        assert found.startswith("AS") or int(found.partition("/")[2]) <= 48
