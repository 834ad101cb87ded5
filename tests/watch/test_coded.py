"""Events as integers: names, pseudonyms, serials, clocks, the register of accounts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import KeyAccessError
from parcelveil.event import ACCESS, ACCOUNT, RECEIVED_AT, WORK, BizStep, folded
from parcelveil.seal.passes import buffers
from parcelveil.watch.coded import (
    ACTIONS,
    AHEAD,
    CHANNELS,
    CODED_ACCESS,
    CODED_WORK,
    CUSTOMER_CODE,
    HOUR,
    NEVER,
    OUTCOMES,
    UNREGISTERED,
    Coder,
    outlet_regions,
    pseudonym_text,
)
from parcelveil.watch.coded_pass import serials
from parcelveil.watch.codes import Codes

KEY = bytes(range(32))
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
MICROS = int(NOON.timestamp()) * 1_000_000


def accesses(*rows: dict[str, Any]) -> pa.RecordBatch:
    filled = [
        dict.fromkeys(ACCESS.names)
        | {"event_id": place + 1, "event_time": NOON, "actor": "c1", "records": 1, "fields": 0, "outcome": "ok"}
        | row
        for place, row in enumerate(rows)
    ]
    return pa.RecordBatch.from_pylist(filled, schema=ACCESS)


def works(*rows: dict[str, Any]) -> pa.RecordBatch:
    schema = WORK.append(RECEIVED_AT)
    filled = [
        dict.fromkeys(schema.names) | {"event_id": f"w{place}", "event_time": NOON, "biz_step": "arrived"} | row
        for place, row in enumerate(rows)
    ]
    return pa.RecordBatch.from_pylist(filled, schema=schema)


def encoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With every text column dictionary-encoded."""
    columns = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain_serial(text: str) -> int:
    if re.fullmatch(r"[A-Za-z]{2}[0-9]{9}[A-Za-z]{2}", text):
        return int(text[2:10])
    runs = re.findall(r"[0-9]+", text)
    return int(max(reversed(runs), key=len)[-18:]) if runs else -1


def plain_pseudonym(text: str, label: bytes = b"waybill") -> int:
    mac = CMAC(AES(HKDF(SHA256(), 32, salt=None, info=b"parcelveil v1 watch " + label).derive(KEY)))
    mac.update(text.encode())
    return int.from_bytes(mac.finalize()[:8], "big", signed=True)


# -- serials and pseudonyms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "serial"),
    [
        ("YT8800001234567", 8800001234567),
        ("RR123456785CN", 12345678),
        ("rr123456785cn", 12345678),
        ("R1123456785CN", 1123456785),
        ("JDVA00123456789-1-3-", 123456789),
        ("7" * 25, int("7" * 18)),
        ("0" * 20 + "12", 12),
        ("none", -1),
        ("运单12", 12),
        ("12-34", 34),
    ],
)
def test_the_serial_is_the_number_that_was_issued(number: str, serial: int) -> None:
    assert Coder(KEY).waybills(pa.array([number]))[1].tolist() == [serial]


@given(st.lists(st.text("AZaz09158 -运", max_size=30), max_size=20))
def test_serials_agree_with_plain_python(numbers: list[str]) -> None:
    found, otherwise = serials(*buffers(pa.array(numbers, pa.string())))
    assert found.tolist() == [plain_serial(number) for number in numbers]
    assert otherwise == bool(re.search("[a-z ]", "".join(numbers)))


@given(st.lists(st.none() | st.text("AZ019x ", max_size=40), max_size=20))
def test_pseudonyms_are_the_cmac_of_the_number_as_it_is_compared(numbers: list[str | None]) -> None:
    found, _ = Coder(KEY).waybills(pa.array(numbers, pa.string()))
    bare = [(number or "").strip().upper() for number in numbers]
    assert found.tolist() == [plain_pseudonym(number) if number else 0 for number in bare]


def test_numbers_issued_one_after_the_other_stay_neighbours_and_pseudonyms_do_not() -> None:
    pseudonyms, found = Coder(KEY).waybills(pa.array([f"YT88{number:011}" for number in range(1000)]))
    assert (np.diff(found) == 1).all()
    assert len(set(pseudonyms.tolist())) == 1000
    assert np.abs(np.diff(pseudonyms.astype(float))).min() > 1e9


def test_another_key_gives_other_pseudonyms_and_a_wrong_one_none() -> None:
    number = pa.array(["YT1"])
    assert Coder(KEY).waybills(number)[0] != Coder(bytes(32)).waybills(number)[0]
    with pytest.raises(KeyAccessError, match="has 16 bytes, not 32"):
        Coder(bytes(16))
    assert "1f" not in repr(Coder(KEY))


@given(st.integers(-(2**63), 2**63 - 1))
def test_pseudonyms_are_written_with_16_digits(waybill: int) -> None:
    text = pseudonym_text(waybill)
    assert len(text) == 16
    assert int(text, 16) == waybill % 2**64


# -- names ---------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.none() | st.sampled_from(["a", "A ", "b", "", "c", "客户"]), max_size=30), st.data())
def test_codes_follow_the_rows_however_they_come(texts: list[str | None], data: st.DataObject) -> None:
    rows: list[str] = []
    expected = []
    for text in texts:
        name = folded(text or "")
        if name not in ("", "customer") and name not in rows:
            rows.append(name)
        expected.append(-1 if not name else -2 if name == "customer" else rows.index(name))
    codes, column, got, at = Codes(folded, {"customer": -2}), pa.array(texts, pa.string()), [], 0
    while at < len(texts):
        part = column.slice(at, data.draw(st.integers(1, 10)))
        at += len(part)
        if data.draw(st.booleans()):
            values = pa.array(["never", *sorted({t for t in part.to_pylist() if t is not None})])
            places = [None if t is None else values.to_pylist().index(t) for t in part.to_pylist()]
            part = pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), values)
        got += codes.codes(part).tolist()
    assert got == expected
    assert len(codes) == len(rows)
    known = [name if name else None for name in (folded(t or "") for t in texts)]
    assert codes.text(np.array(got, np.int64)).to_pylist() == known


def test_a_dictionary_that_stays_is_looked_at_again_for_values_that_come_later() -> None:
    codes, values = Codes(), pa.array(["x", "y"])
    assert codes.codes(pa.DictionaryArray.from_arrays(pa.array([1, 1]), values)).tolist() == [0, 0]
    assert codes.codes(pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), values)).tolist() == [1, 0, -1]
    assert codes.codes(pa.nulls(2)).tolist() == [-1, -1]
    assert codes.codes(pa.array([], pa.string())).tolist() == []


# -- looks and work ------------------------------------------------------------------------------------------------------


def test_a_look_in_integers() -> None:
    coder = Coder(KEY)
    row = {
        "event_id": 2**64 - 2,
        "received_at": NOON + timedelta(hours=1),
        "actor": " C1",
        "role": "Courier",
        "outlet": "SH01",
        "device": "pda-7",
        "network": "10.2.3.0/24",
        "channel": "api",
        "action": "search",
        "outcome": "denied",
        "fields": 3,
        "records": 2**32 - 1,
        "waybill_no": "YT12",
        "subject": 2**64 - 1,
        "ticket": "T-1",
    }
    table = coder.accesses(accesses(row, {}))
    assert table.schema.equals(CODED_ACCESS)
    first, second = table.to_pylist()
    assert first == {
        "id": -2,
        "time": MICROS,
        "received": MICROS + HOUR,
        **dict.fromkeys(("actor", "role", "outlet", "device", "network", "ticket"), 0),
        "channel": CHANNELS.index("api"),
        "action": ACTIONS.index("search"),
        "outcome": OUTCOMES.index("denied"),
        "fields": 3,
        "records": 2**31 - 1,
        "waybill": plain_pseudonym("YT12"),
        "serial": 12,
        "subject": -1,
    }
    assert (second["device"], second["channel"], second["waybill"], second["serial"]) == (-1, 6, 0, -1)
    assert coder.names["actor"].text(table["actor"]).to_pylist() == ["c1", "c1"]
    assert coder.names["outlet"].text(table["outlet"]).to_pylist() == ["sh01", None]


def test_work_in_integers_shares_names_and_parcels_with_looks() -> None:
    coder = Coder(KEY)
    look = coder.accesses(accesses({"waybill_no": "YT12", "outlet": "SH01", "device": "d", "ticket": "t"}))
    table = coder.works(
        works(
            {"waybill_no": "yt12 ", "outlet": "sh01", "to_outlet": "BJ02", "actor": "C1", "device": "d", "ticket": "t"},
            {"biz_step": "ticket_opened", "actor": "客户", "route_id": "r"},
            {"biz_step": "nonsense"},
        )
    )
    assert table.schema.equals(CODED_WORK)
    for column in ("waybill", "outlet", "device", "ticket", "actor"):
        assert table[column][0] == look[column][0], column
    steps = list(BizStep)
    assert table["step"].to_pylist() == [steps.index(BizStep.ARRIVED) + 1, steps.index(BizStep.TICKET_OPENED) + 1, 0]
    assert table["actor"].to_pylist() == [0, CUSTOMER_CODE, -1]
    assert table["to_outlet"].to_pylist() == [1, -1, -1]
    assert table["id"][0].as_py() == plain_pseudonym("w0", b"event")
    assert table["received"].to_pylist() == table["time"].to_pylist()
    bare = works({"waybill_no": "yt12"}).drop_columns([RECEIVED_AT.name])
    assert Coder(KEY).works(bare)["received"].to_pylist() == [MICROS]


def test_dictionary_columns_and_tables_of_chunks_give_the_same() -> None:
    rows = [{"waybill_no": f"YT{n}", "actor": f"c{n % 3}", "channel": "app", "outlet": "A"} for n in range(7)]
    batch = accesses(*rows)
    plain = Coder(KEY).accesses(batch)
    assert Coder(KEY).accesses(encoded(batch)).equals(plain)
    assert Coder(KEY).accesses(pa.Table.from_batches([batch.slice(0, 3), batch.slice(3)])).equals(plain)
    work = works(*({"waybill_no": f"YT{n}", "outlet": f"o{n}"} for n in range(4)))
    assert Coder(KEY).works(encoded(work)).equals(Coder(KEY).works(work))
    assert Coder(KEY).works(work.slice(0, 0)).num_rows == 0


def test_looks_of_nobody_and_of_the_customer_are_left_out_and_counted() -> None:
    coder = Coder(KEY)
    table = coder.accesses(accesses({"actor": "c9"}, {"actor": "客户"}, {"actor": ""}, {"actor": "c9"}))
    assert table["id"].to_pylist() == [1, 4]
    assert (coder.nobody, coder.customers) == (1, 1)


@pytest.mark.parametrize(
    ("own", "counts"),
    [
        (timedelta(0), "own"),
        (timedelta(hours=-12), "own"),
        (timedelta(hours=-12, microseconds=-1), "received"),
        (timedelta(microseconds=AHEAD), "own"),
        (timedelta(microseconds=AHEAD + 1), "received"),
        (timedelta(days=-900), "received"),
    ],
)
def test_a_look_counts_at_its_own_time_only_near_the_time_it_was_received(own: timedelta, counts: str) -> None:
    coder = Coder(KEY)
    row = coder.accesses(accesses({"event_time": NOON + own, "received_at": NOON})).to_pylist()[0]
    assert row["received"] == MICROS
    assert row["time"] == (MICROS + own // timedelta(microseconds=1) if counts == "own" else MICROS)
    assert coder.clocks_off == (counts == "received")


@pytest.mark.parametrize(("own", "off"), [(1, False), (1.0001, True), (-300, False)])
def test_work_may_be_told_late_but_lies_an_hour_ahead_at_most(own: float, off: bool) -> None:
    coder = Coder(KEY)
    row = coder.works(works({"event_time": NOON + timedelta(hours=own), "received_at": NOON})).to_pylist()[0]
    assert (row["time"] == row["received"]) == off
    assert coder.clocks_off == off


def test_the_register_by_account_code() -> None:
    coder = Coder(KEY)
    coder.accesses(accesses({"actor": "Z"}, {"actor": "c1"}))
    rows = [
        {"actor": "C1", "role": "courier", "outlet": "a", "region": "east", "opened_at": NOON, "shift_start": 480},
        {"actor": "c2", "role": "clerk", "owner": "P", "shift_start": 1320, "shift_end": 1800},
        {"actor": "c2", "role": "sorter", "owner": "P"},
    ]
    register = coder.accounts(pa.Table.from_pylist([dict.fromkeys(ACCOUNT.names) | r for r in rows], schema=ACCOUNT))
    assert register.known.tolist() == [False, True, True]
    assert coder.names["role"].text(register.role).to_pylist() == [None, "courier", "sorter"]
    assert coder.names["region"].text(register.region).to_pylist() == [None, "east", None]
    assert coder.names["owner"].text(register.owner).to_pylist() == [None, None, "p"]
    assert register.opened_at.tolist() == [NEVER, MICROS, NEVER]
    assert register.shift_start.tolist() == [-1, 480, -1]
    assert register.shift_end.tolist() == [-1, -1, -1]
    more = register.sized(5)
    assert more.known.tolist() == [False, True, True, False, False]
    assert (more.outlet[4], more.leaves_at[4], more.shift_end.dtype) == (-1, NEVER, np.int16)


def test_decoys_are_known_by_their_numbers_and_kept_by_their_pseudonyms() -> None:
    def decoy(numbers: pa.Array) -> Any:
        return np.array([number == "YT2" for number in numbers.to_pylist()])

    coder = Coder(KEY, decoy=decoy)
    batch = accesses({"waybill_no": "YT1"}, {"waybill_no": "YT2"}, {"waybill_no": None})
    coder.works(works({"waybill_no": "YT2"}))
    assert coder.decoys == set()
    coder.accesses(batch)
    coder.accesses(encoded(batch))
    assert coder.decoys == {plain_pseudonym("YT2")}


def test_the_region_of_an_outlet_is_that_of_most_of_its_accounts() -> None:
    outlet, region = [0, 0, 0, 1, 1, 3, 3, -1], [2, 5, 5, 4, 1, -1, -1, 7]
    register = UNREGISTERED.sized(8)._replace(outlet=np.array(outlet, np.int32), region=np.array(region, np.int32))
    regions = outlet_regions(register)
    assert regions.dtype == np.int32
    assert regions.tolist() == [5, 1, -1, -1]
    assert outlet_regions(UNREGISTERED).tolist() == []
