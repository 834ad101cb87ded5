"""Work events as carriers have them: headers, EPCIS, times, and a reason for every row that is no event."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt.read_jsonl import JsonLinesSource
from parcelveil.errors import HeaderError, InputError
from parcelveil.event import EMSEVT, EPCIS, LONGEST, WORK, BizStep, works
from parcelveil.intake.headers import fold
from parcelveil.intake.work import MOST_IN_LIST, REASONS, TakenWork, take_work
from parcelveil.intake.work_words import _WORDS, HEADERS, from_uri, read_step, recognise_work
from parcelveil.waybill import RawBatch, Reject

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def take(offset: int = 480, **columns: object) -> TakenWork:
    batch = pa.record_batch(
        {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    )
    return take_work(RawBatch(batch, np.arange(batch.num_rows) + 2, []), "scans.csv", utc_offset_minutes=offset)


def one(**columns: object) -> TakenWork:
    """A sound scan with some columns changed; None takes a column away."""
    row: dict[str, object] = {
        "event_time": "2026-11-23T12:00:00Z",
        "biz_step": "arrived",
        "waybill_no": "YT1",
        "outlet": "A",
    }
    row |= columns
    return take(**{name: [value] for name, value in row.items() if value is not None})


def code(taken: TakenWork) -> str:
    assert taken.batch.num_rows + len(taken.rejects) == 1
    return taken.rejects[0].code if taken.rejects else ""


def test_chinese_headers() -> None:
    taken = take(
        运单号=["YT1", "'YT2", " YT3 "],
        扫描时间=["2026-11-23 20:00:00", "2026/11/23 20:00", "2026年11月23日 20时00分"],
        扫描类型=["到件", "派件", "签收"],
        网点=["上海青浦一部", "021007", None],
        快递员工号=[None, "021007-12", None],
        线路=[None, "R7", None],
    )
    assert taken.rejects == []
    events = works(taken.batch)
    assert [e.waybill_no for e in events] == ["YT1", "YT2", "YT3"]
    assert {e.event_time for e in events} == {NOON}
    assert [e.biz_step.value for e in events] == ["arrived", "out_for_delivery", "delivered"]
    assert [e.outlet for e in events] == ["上海青浦一部", "021007", None]
    assert (events[1].actor, events[1].route_id) == ("021007-12", "R7")
    assert taken.batch.schema.equals(WORK, check_metadata=True)
    assert taken.rows.tolist() == [2, 3, 4]


def test_epcis_json_lines() -> None:
    lines = b"""
{"type":"ObjectEvent","action":"OBSERVE","eventID":"ni:///sha-256;1?ver=CBV2.0","eventTime":"2026-11-23T20:00:00.000+08:00","eventTimeZoneOffset":"+08:00","epcList":["urn:epc:id:sscc:0614141.1234567890","https://id.gs1.org/00/106141412345678908"],"bizStep":"arriving","readPoint":{"id":"urn:epc:id:sgln:0614141.00777.0"}}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":["https://acme.example/parcels/YT1"],"bizStep":"https://ref.gs1.org/cbv/BizStep-departing","readPoint":{"id":"https://acme.example/outlets/021007"}}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":["YT2"],"bizStep":"urn:epcglobal:cbv:bizstep:holding"}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":["YT3"],"bizStep":"accepting","emsevt":"emi"}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":["YT4"],"bizStep":"accepting"}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":[],"bizStep":"arriving"}
{"type":"ObjectEvent","eventTime":"2026-11-23T12:00:00Z","epcList":["YT5",6],"bizStep":"arriving"}
""".strip()
    source = JsonLinesSource("e.jsonl", BytesIO(lines + b"\n"), size=None)
    (raw,) = source.batches()
    taken = take_work(raw, "e.jsonl")
    said = [(e.waybill_no, e.biz_step.value, e.outlet, e.event_time) for e in works(taken.batch)]
    assert said == [
        ("106141412345678908", "arrived", "urn:epc:id:sgln:0614141.00777.0", NOON),
        ("106141412345678908", "arrived", "urn:epc:id:sgln:0614141.00777.0", NOON),
        ("YT1", "departed", "021007", NOON),
        ("YT2", "customs_held", None, NOON),
        ("YT3", "delivered", None, NOON),
    ]
    assert taken.rows.tolist() == [1, 1, 2, 3, 4]
    assert [(r.row, r.code) for r in taken.rejects] == [
        (5, "biz_step.unknown"),
        (6, "waybill_no.missing"),
        (7, "waybill_no.too_many"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00Z",
        "2026-11-23T20:00:00+08:00",
        "2026-11-23 20:00:00.000000+0800",
        "2026-11-23T12:00Z",
        "2026-11-23 20:00:00",
        "2026-11-23 20:00:00.0",
        "2026/11/23 20:00",
        "20261123200000",
        "1795435200",
        "1795435200.000",
        "1795435200000",
        "1795435200000000",
    ],
)
def test_times(text: str) -> None:
    assert works(one(event_time=text).batch)[0].event_time == NOON
    assert code(one(event_time=text)) == ""


def test_times_of_typed_columns() -> None:
    for column in (
        pa.array([NOON], pa.timestamp("ns", "Asia/Shanghai")),
        pa.array([NOON], pa.timestamp("ms", "UTC")),
        pa.array([datetime(2026, 11, 23, 20)], pa.timestamp("s")),
        pa.array([1795435200]),
        pa.array([1795435200000.0]),
        pa.array([1795435200000000]),
    ):
        taken = take(event_time=column, biz_step=["arrived"], waybill_no=["YT1"])
        assert [e.event_time for e in works(taken.batch)] == [NOON], column.type
    taken = take(event_time=pa.array([1795435200.25]), biz_step=["arrived"], waybill_no=["YT1"])
    assert works(taken.batch)[0].event_time.microsecond == 250_000


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"event_time": " "}, "event_time.missing"),
        ({"event_time": "soon"}, "event_time.malformed"),
        ({"event_time": "2026-02-30T12:00:00Z"}, "event_time.malformed"),
        ({"event_time": "2026-11-23T12:00:00+99:99"}, "event_time.malformed"),
        ({"event_time": "2026-11-23"}, "event_time.malformed"),
        ({"event_time": "20261123"}, "event_time.malformed"),
        ({"event_time": "11/23/2026 12:00"}, "event_time.malformed"),
        ({"event_time": "179543520"}, "event_time.out_of_range"),
        ({"event_time": "1999-12-31T23:59:59Z"}, "event_time.out_of_range"),
        ({"event_time": "2100-01-01T00:00:00Z"}, "event_time.out_of_range"),
        ({"event_time": "1" * 15}, "event_time.out_of_range"),
        ({"biz_step": ""}, "biz_step.missing"),
        ({"biz_step": "eaten"}, "biz_step.unknown"),
        ({"biz_step": "eaten", "emsevt": "EMI"}, "biz_step.unknown"),
        ({"biz_step": " ", "emsevt": "EMX"}, "biz_step.unknown"),
        ({"biz_step": "loading"}, "biz_step.unknown"),
        ({"waybill_no": ""}, "waybill_no.missing"),
        ({"waybill_no": "7.3E+15"}, "digits_lost"),
        ({"waybill_no": "x" * (LONGEST + 1)}, "too_long"),
        ({"outlet": "网" * 22}, "too_long"),
        ({"outlet": "a\x00b"}, "control_characters"),
        ({"outlet": "a\u202eb"}, "control_characters"),
        ({"device": "a\tb"}, "control_characters"),
        ({"actor": "王小明"}, "actor.malformed"),
        ({"actor": "c 12"}, "actor.malformed"),
        ({"actor": "-12"}, "actor.malformed"),
        ({"actor": "someone@example.com"}, "actor.malformed"),
        ({"biz_step": "route_assigned", "actor": "c1"}, "route_id.missing"),
        ({"biz_step": "route_assigned", "route_id": "R"}, "actor.missing"),
        ({"biz_step": "pickup_assigned"}, "actor.missing"),
        ({"biz_step": "ticket_opened"}, "ticket.missing"),
        ({"biz_step": "ticket_opened", "ticket": "T", "waybill_no": ""}, "waybill_no.missing"),
        ({"biz_step": "ticket_closed"}, "ticket.missing"),
        ({"waybill_no": '["YT1", ["YT2"]]'}, "waybill_no.too_many"),
        ({"waybill_no": '["YT1"'}, "waybill_no.too_many"),
        ({"waybill_no": "[" * 5_000}, "waybill_no.too_many"),
        ({"waybill_no": "[" + '"x",' * MOST_IN_LIST + '"x"]'}, "waybill_no.too_many"),
        ({"waybill_no": "[" + " " * 2_000_000}, "waybill_no.too_many"),
    ],
)
def test_rows_that_are_no_events(columns: dict[str, object], reason: str) -> None:
    taken = one(**columns)
    assert code(taken) == reason
    reject = taken.rejects[0]
    assert (reject.source, reject.row, reject.reason) == ("scans.csv", 2, REASONS[reason])
    assert reject.waybill_no in (None, "YT1")
    assert not set(reject.reason) & set("王\x00\u202e")


def test_steps_come_from_emsevt_when_there_is_none() -> None:
    for emsevt, step in EMSEVT.items():
        assert works(one(biz_step=None, emsevt=emsevt.lower()).batch)[0].biz_step == step
        assert works(one(biz_step=None, emsevt=emsevt).batch)[0].emsevt == emsevt
    event = works(one(biz_step="delivered", emsevt="EMG").batch)[0]
    assert (event.biz_step, event.emsevt) == (BizStep.DELIVERED, "EMG"), "what is said goes before the code"
    assert works(one(emsevt="ZZZ").batch)[0].emsevt is None
    for step in BizStep:
        assert read_step(step.value) == read_step(step.value.upper().replace("_", " ")) == step.value


def test_steps_that_need_no_parcel() -> None:
    for step, columns in (
        ("route_assigned", {"route_id": "R", "actor": "c"}),
        ("route_released", {"route_id": "R"}),
        ("ticket_closed", {"ticket": "T"}),
        ("inbound_call", {}),
    ):
        assert code(one(biz_step=step, waybill_no="", **columns)) == ""


def test_t6_who_opened_a_ticket_is_kept_as_it_is_and_the_customer_is_one_word() -> None:
    def opener(actor: str | None) -> str | None:
        return works(one(biz_step="ticket_opened", ticket="T", actor=actor).batch)[0].actor

    assert [opener(word) for word in ("customer", "Customer", " 客户 ", "urn:acme:staff:客户")] == ["customer"] * 4
    assert opener("CS-1 ") == "CS-1"
    assert opener("") is None and opener(None) is None, "an event, though it explains nothing"
    assert code(one(biz_step="ticket_opened", ticket="T", actor="客户王")) == "actor.malformed"


def test_events_without_a_name_get_the_same_one_every_time() -> None:
    first, again = one(), one()
    assert first.batch.equals(again.batch)
    assert len(works(first.batch)[0].event_id) == 24
    assert one(outlet="B").batch["event_id"] != first.batch["event_id"]
    assert works(one(event_id="S-1").batch)[0].event_id == "S-1"


def test_lists_of_arrow() -> None:
    taken = take(
        event_time=["2026-11-23T12:00:00Z", "soon", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z"],
        biz_step=["arrived"] * 4,
        epcList=pa.array([["YT1", "YT2"], ["YT3", "YT4"], None, ["YT5"]]),
        outlet=["A", "B", "C", "D"],
    )
    assert [(e.waybill_no, e.outlet) for e in works(taken.batch)] == [("YT1", "A"), ("YT2", "A"), ("YT5", "D")]
    assert taken.rows.tolist() == [2, 2, 5]
    assert [(r.row, r.code) for r in taken.rejects] == [(3, "event_time.malformed")] * 2 + [(4, "waybill_no.missing")]


def test_the_readers_own_rejects_come_first() -> None:
    own = Reject("scans.csv", 7, None, None, "row.cells", "too many cells")
    batch = pa.record_batch({"time": ["x"], "step": ["arrived"]})
    assert [r.row for r in take_work(RawBatch(batch, np.array([9]), [own]), "scans.csv").rejects] == [7, 9]


def test_headers() -> None:
    for target, spellings in HEADERS.items():
        for spelling in (target, *spellings):
            columns = recognise_work(["zz", "event_time", "biz_step", spelling.upper()])
            assert columns[target] in (spelling.upper(), target), spelling
    assert recognise_work(["时间", "扫描时间", "状态", "动作"]) == {"event_time": "扫描时间", "biz_step": "动作"}
    with pytest.raises(HeaderError, match="time"):
        recognise_work(["biz_step", "waybill_no"])
    with pytest.raises(HeaderError, match="what happened"):
        recognise_work(["event_time", "waybill_no"])
    with pytest.raises(InputError, match="outlet has type"):
        take(event_time=["2026-11-23T12:00:00Z"], biz_step=["arrived"], outlet=pa.array([b"\xff"]))


def test_the_documentation_has_every_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "work-events.md").read_text("utf-8")
    folded = "".join(fold(line) for line in page.splitlines())
    for spelling in (spelling for spellings in HEADERS.values() for spelling in spellings):
        assert fold(spelling) in folded, spelling
    for words in (*_WORDS.values(), *EPCIS, *EMSEVT, *BizStep):
        assert all(word in page for word in words.split()), words
    assert all(code in page or f"`.{code.partition('.')[2]}`" in page for code in REASONS)


def test_no_header_means_two_things() -> None:
    seen: dict[str, str] = {}
    for target, spellings in HEADERS.items():
        for spelling in spellings:
            assert seen.setdefault(spelling, target) == target


def test_identifiers_in_uris() -> None:
    assert from_uri("urn:acme:outlet:021007") == "021007"
    assert from_uri("https://acme.example/outlets/021007/") == "021007"
    assert from_uri("HTTP://acme.example/x/7") == "7"
    assert from_uri("urn:epc:id:sgln:0614141.00777.0") == "urn:epc:id:sgln:0614141.00777.0"
    assert from_uri("urn:epc:id:sscc:0614141.12345") == "urn:epc:id:sscc:0614141.12345", "no SSCC has so few digits"
    assert from_uri("021/007") == "021/007"


cells = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["YT1", "2026-11-23 08:00:00", "arrived", "派件", "EMI", '["a","b"]', "urn:a:b", "1795435200"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(WORK.names, cells)), min_size=1, max_size=6))
def test_any_rows_become_sound_events_or_rejects(rows: list[dict[str, str | None]]) -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([row[name] for row in rows], pa.string()) for name in WORK.names], WORK.names
    )
    taken = take_work(RawBatch(batch, np.arange(len(rows)), []), "any")
    taken.batch.validate(full=True)
    works(taken.batch)  # every one passes the record's own checks
    assert {*taken.rows.tolist(), *(reject.row for reject in taken.rejects)} == set(range(len(rows)))
    assert all(reject.code in REASONS for reject in taken.rejects)
