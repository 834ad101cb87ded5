"""Work events: the record and the Arrow schema agree, and neither has room for personal data."""

from __future__ import annotations

import typing
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.event import (
    CUSTOMER,
    EMSEVT,
    EPCIS,
    LONGEST,
    NEEDED,
    POSITIONS,
    WORK,
    BizStep,
    Work,
    folded,
    work_batch,
    works,
)
from parcelveil.waybill import SCHEMA_KEY, personal_fields

TIME = datetime(2026, 11, 23, 8, 15, 0, 123_456, tzinfo=UTC)


def test_record_and_schema_agree() -> None:
    info = {field.name: field for field in msgspec.structs.fields(Work)}
    assert list(info) == WORK.names
    for field in WORK:
        hint = info[field.name].type
        optional = type(None) in typing.get_args(hint)
        assert field.nullable == optional == (info[field.name].default is None), field.name
        assert field.type == (pa.timestamp("us", tz="UTC") if field.name == "event_time" else pa.string())
    assert WORK.metadata[SCHEMA_KEY] == b"work.v1"
    assert not personal_fields(WORK)


names = st.one_of(st.none(), st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=LONGEST))
records = st.builds(
    Work,
    event_id=st.text("abc-019", min_size=1, max_size=LONGEST),
    event_time=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    biz_step=st.sampled_from(BizStep),
    emsevt=st.sampled_from([None, *EMSEVT]),
    **dict.fromkeys(WORK.names[4:], names),
)


@given(st.lists(records, max_size=5))
def test_records_and_batches_say_the_same(events: list[Work]) -> None:
    batch = work_batch(events)
    assert batch.schema.equals(WORK, check_metadata=True)
    assert works(batch) == events
    assert msgspec.json.decode(msgspec.json.encode(events), type=list[Work]) == events


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": ""},
        {"waybill_no": "x" * (LONGEST + 1)},
        {"outlet": "a\nb"},
        {"outlet": "a\u202eb"},
        {"outlet": ""},
        {"biz_step": "eaten"},
        {"emsevt": "ema"},
        {"emsevt": "EMAA"},
        {"event_time": "2026-11-23T08:15:00"},
        {"event_time": None},
        {"note": "call 13800000001"},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, object]) -> None:
    sound = {"event_id": "1", "event_time": "2026-11-23T08:15:00Z", "biz_step": "arrived", "outlet": "A"}
    msgspec.json.decode(msgspec.json.encode(sound), type=Work)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(sound | change), type=Work)


def test_times_are_kept_to_the_microsecond_and_in_utc() -> None:
    here = timezone(timedelta(hours=8))
    batch = work_batch([Work(event_id="1", event_time=TIME.astimezone(here), biz_step=BizStep.ARRIVED)])
    assert works(batch)[0].event_time == TIME
    assert works(batch)[0].event_time.tzinfo == UTC


def test_names_are_compared_without_case_and_blanks_and_the_customer_is_one_word() -> None:
    assert {folded(name) for name in ("cs-1", "CS-1", "\tCs-1 ", "\u3000cs-1")} == {"cs-1"}
    assert {folded(name) for name in ("customer", "Customer ", "客户", " 客户")} == {CUSTOMER}
    assert folded(" ") == ""
    assert len({folded(name) for name in ("cs-1", "cs1", "cs-01", "cs_1", "客户1")}) == 5


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)


def test_every_list_of_steps_is_complete() -> None:
    assert set(NEEDED) == set(BizStep)
    assert set(EMSEVT) == {f"EM{letter}" for letter in "ABCDEFGHI"}
    assert {*EMSEVT.values(), *EPCIS.values()} <= set(POSITIONS)
    order = list(BizStep)
    here = [BizStep.POSTED, BizStep.ARRIVED, BizStep.CUSTOMS_HELD, BizStep.OUT_FOR_DELIVERY, BizStep.ATTEMPTED]
    gone = [BizStep.DEPARTED, BizStep.RETURNED, BizStep.DELIVERED]
    assert {*here, *gone} == set(POSITIONS)
    assert max(map(order.index, here)) < min(map(order.index, gone)), (
        "of two events of one moment the one that ends access"
    )
    assert all(column in WORK.names for columns in NEEDED.values() for column in columns)
