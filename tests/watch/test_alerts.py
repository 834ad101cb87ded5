"""Alerts: what may be in them, what may not, and that they come back as they were."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.alerts import (
    DETECTORS,
    MOST_ROWS,
    SEVERITIES,
    Alert,
    Day,
    Names,
    Reason,
    Row,
    alert_uid,
    decided,
    decode,
    encode,
    is_identifier,
    is_outlet,
    merged,
    severity_of,
)
from watch.alerts_made import KEY, NOON, of_each_detector, slow_insider

#: What must never leave, as people and systems write it.
PERSONAL = [
    "王小明", "王小明13800000001", "13800000001", "138-0000-0001", "+86 138 0000 0001", "+8613800000001",
    "021-60000001", "张三.cs", "a.b@example.com", "北京市朝阳区幸福路1号", "11010119900101001X", "YT1234567890123",
    "SF1000000000001", "RR123456785CN", "rr123456785cn", "6222020000000000000", "Zhang San", "\u202e70-SC", "",
    "x" * 65, "CS-07\n", "JT-1234-5678-90123",
]  # fmt: skip


@pytest.mark.parametrize("alert", of_each_detector(), ids=lambda alert: alert.reasons[0].name)
def test_an_alert_of_each_detector_comes_back_as_it_was(alert: Alert) -> None:
    data = encode(alert)
    assert decode(data) == alert and encode(decode(data)) == data
    assert set(DETECTORS.values()) <= set(SEVERITIES)


@pytest.mark.parametrize("text", PERSONAL)
def test_t2_what_is_no_identifier_leaves_as_a_keyed_hash_only(text: str) -> None:
    names = Names(KEY)
    made = names.actor(text)
    assert re.fullmatch("#[a-p]{12}", made)
    alert = slow_insider(actor=made, devices=((names.device(text), 1),), outlet=names.outlet(text))
    assert not text or text not in encode(alert).decode()
    assert names.actor(text) == names.actor(text) != Names(bytes(32)).actor(text), "the hash is keyed"


@pytest.mark.parametrize("text", [text for text in PERSONAL if text])
@pytest.mark.parametrize(
    "field", ["actor", "role", "outlet", "decided_by", "devices", "row", "reason", "net", "parcel"]
)
def test_t2_no_field_of_an_alert_takes_personal_text(field: str, text: str) -> None:
    row = slow_insider().rows[0]
    special: dict[str, dict[str, Any]] = {
        "devices": {"devices": ((text, 1),)},
        "row": {"rows": (msgspec.structs.replace(row, device=text),)},
        "parcel": {"rows": (msgspec.structs.replace(row, parcel=text),)},
        "reason": {"reasons": (Reason("pair", NOON, 1, other=text),)},
        "net": {"actor": f"net:{text}"},
    }
    changes = special.get(field, {field: text})
    with pytest.raises(ValueError, match="an alert's") as caught:
        encode(slow_insider(**changes))
    assert text not in str(caught.value)


@given(st.text(max_size=70))
def test_whatever_an_account_is_called_its_alert_can_be_written_and_read(text: str) -> None:
    names = Names(KEY)
    for kind in ("actor", "device", "outlet", "network", "system"):
        alert = slow_insider(actor=names.subject(kind, text), outlet=names.outlet(text), role=names.role(text))
        assert decode(encode(alert)) == alert


@given(st.from_regex(r"(\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}", fullmatch=True))
def test_no_mobile_number_is_an_identifier(text: str) -> None:
    assert not is_identifier(text) and not is_outlet(text)
    assert not is_identifier("K" + text), "nor with a letter before it"


def test_identifiers_that_carriers_use_stay_readable() -> None:
    good = ("CS-07", "cs07", "10086", "021007", "KD20231", "PDA-000231", "wx:7f3a", "api.partner_4", "HZ01-R04")
    assert all(map(is_identifier, good))
    assert all(map(is_outlet, ("青浦徐泾网点", "上海虹桥转运中心", "021007")))
    assert not is_outlet("王小明") and not is_outlet("朝阳区幸福路1号")


def test_the_uid_is_that_of_account_opening_and_detector_under_the_key() -> None:
    uid = alert_uid(KEY, "CS-07", NOON, "slow")
    assert uid == alert_uid(KEY, "CS-07", NOON, "slow") and re.fullmatch("[0-9a-f]{16}", uid)
    others = {alert_uid(bytes(32), "CS-07", NOON, "slow"), alert_uid(KEY, "CS-08", NOON, "slow"),
              alert_uid(KEY, "CS-07", NOON + 1, "slow"), alert_uid(KEY, "CS-07", NOON, "bulk")}  # fmt: skip
    assert uid not in others and len(others) == 4


def test_a_case_that_is_judged_again_keeps_what_a_person_decided() -> None:
    first = slow_insider()
    assert merged(None, first) is first and merged(first, slow_insider()) is first
    more = slow_insider(looks=41, updated_at=NOON + 1, state="escalated")
    second = merged(first, more)
    assert (second.revision, second.state, second.looks, second.uid) == (2, "escalated", 41, first.uid)
    assert merged(second, more) is second, "the same again is nothing new"
    assert merged(second, first) is second, "nor is what was known earlier"
    done = decided(second, "harmless", by="keyholder", at=NOON + 5, note="stand-in")
    assert (done.revision, done.state, done.note, done.decided_by) == (3, "harmless", "stand-in", "keyholder")
    again = merged(done, slow_insider(looks=50, updated_at=NOON + 9))
    assert (again.revision, again.state, again.decided_at, again.looks) == (4, "harmless", NOON + 5, 50)
    back = decided(again, "open", by="keyholder", at=NOON + 20)
    assert (back.revision, back.state, back.decided_by, back.note) == (5, "open", "", "")
    decode(encode(done))


def test_severity_is_that_of_the_gravest_and_rises_with_weight() -> None:
    low, slow, bulk = (Reason(name, NOON, 1) for name in ("hours", "slow", "bulk"))
    assert severity_of((low,)) == "low"
    assert severity_of((slow,)) == "medium"
    assert severity_of((low, slow, bulk)) == "critical", "high, one up for three detectors"
    assert severity_of((slow,), lost=500) == "high"
    assert severity_of((Reason("decoy", NOON, 1),), lost=10_000) == "critical"


@pytest.mark.parametrize(
    "changes",
    [
        {"reasons": ()},
        {"reasons": (Reason("thief", NOON, 1),)},
        {"reasons": (Reason("slow", NOON, float("nan")),)},
        {"rows": (Row(NOON, "0" * 16, 0, "reveal"),) * (MOST_ROWS + 1)},
        {"rows": (Row(NOON, "0" * 16, 0, "偷看"),)},
        {"chart": (Day(1, float("inf"), 0),)},
        {"note": "because"},
        {"uid": "CS-07"},
    ],
)
def test_what_is_no_alert_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an alert's"):
        encode(slow_insider(**changes))


def test_numbers_of_numpy_are_numbers() -> None:
    plain = slow_insider(peers=1.5, looks=23)
    assert encode(slow_insider(peers=np.float64(1.5), looks=np.int64(23))) == encode(plain)
    with pytest.raises(ValueError, match=r"."):
        encode(slow_insider(looks="23"))


def test_bytes_that_are_no_alert_are_refused() -> None:
    data = encode(slow_insider())
    for wrong in (b"{}", b"[]", data.replace(b"alert.v1", b"alert.v2"), data.replace(b'"open', b'"closed_'),
                  data[:-1] + b',"name":"x"}', data.replace(b'"CS-07"', '"王小明"'.encode())):  # fmt: skip
        if wrong != data:
            with pytest.raises(ValueError, match=r"."):
                decode(wrong)
