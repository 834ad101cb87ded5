"""Work events for the tests of custody: hours of one day, and questions in one word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal.custody import Custody, Facts, micros

T0 = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(hours: float) -> int:
    return micros(T0) + round(hours * HOUR)


def event(hours: float, step: BizStep | str, event_id: str = "", **columns: str | None) -> Work:
    moment = T0 + timedelta(hours=hours)
    return Work(event_id=event_id or f"{step}-{hours}", event_time=moment, biz_step=BizStep(step), **columns)


def loaded(folder: Path, *events: Work, now: float = 24.0) -> Custody:
    custody = Custody(folder)
    custody.load([work_batch(events)], now=at(now))
    return custody


def ask(
    custody: Custody, waybill: str = "YT1", actor: str = "c1", outlet: str = "A", hours: float = 24.0, **more: object
) -> set[str]:
    """The names of the conditions that hold for one parcel."""
    facts = custody.facts(pa.array([waybill]), actor=actor, outlet=outlet, now=at(hours), **more)  # type: ignore[arg-type]
    return {name for name, values in zip(Facts._fields, facts, strict=True) if values[0]}
