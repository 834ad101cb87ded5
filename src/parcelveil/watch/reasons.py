"""An alert in words: what was seen, against what is usual, since when, what would explain it. English and Chinese.

::

    words = words_of(alert, "en", offset_minutes=480)
    words.title        # CS-07 (customer service, 021007): 18 of 23 looks have no route, scan or ticket; peers: 1.4
    words.reasons      # one sentence a detector, the one that opened the case first
    words.details      # devices and hours, records seen before the case
    words.excuses      # what the data themselves say in its favour
    words.explained    # what would explain it

**Words never accuse.** They say what an account's looks were and what they were not explained by; whether somebody harvests
is for people to find out. The texts are data: ``reasons.toml`` has them for every detector of
:data:`~parcelveil.watch.alerts.DETECTORS`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, NamedTuple

from parcelveil.watch.alerts import Alert, Reason, Row

_DAY = 86_400_000_000
#: Devices that are named, and reasons in a title.
_MOST_DEVICES = 3
_SPACE = {"en": " ", "zh": ""}
_HEAD = {
    "counts": {
        "en": "{unexplained} of {looks} looks have no route, scan, call or ticket; peers: {peers}",
        "zh": "{looks} 次查询中 {unexplained} 次没有派件、扫描、来电或工单；同类人员：{peers}",
    },
    "lost": {
        "en": "Until the case was opened, {lost} records had been seen without a reason.",
        "zh": "立案之前已有 {lost} 条记录在没有原因的情况下被查看。",
    },
    "devices": {"en": "Without a reason: {devices}.", "zh": "没有原因的查询：{devices}。"},
    "device": {"en": "{count} from {device}", "zh": "{device} 上 {count} 次"},
    "hours": {"en": "They lay between {first} and {last} o'clock.", "zh": "集中在 {first} 点至 {last} 点之间。"},
    "grouped": {
        "en": "Another {grouped} are explained only by what the outlet had.",
        "zh": "另有 {grouped} 次仅可由网点经手的包裹解释。",
    },
    "subjects": {"net": "network", "device": "device", "system": "system", "outlet": "outlet"},
    "subjects_zh": {"net": "网络", "device": "设备", "system": "系统", "outlet": "网点"},
}


class Words(NamedTuple):
    """An alert in one language."""

    subject: str  # CS-07 (customer service, 021007)
    title: str
    what: str  # the opening detector's headline
    reasons: tuple[str, ...]
    details: tuple[str, ...]
    excuses: tuple[str, ...]
    explained: tuple[str, ...]


@functools.cache
def texts() -> dict[str, Any]:
    """``reasons.toml``."""
    return tomllib.loads(resources.files(__package__).joinpath("reasons.toml").read_text("utf-8"))


def words_of(alert: Alert, language: str = "en", offset_minutes: int = 480) -> Words:
    """``alert`` in ``language`` (``en`` or ``zh``); times at ``offset_minutes`` east of UTC."""
    table = texts()
    subject = _subject(alert, language)
    first = table[alert.reasons[0].name]["what"][language]
    head = first
    if alert.looks and alert.unexplained:
        head = _HEAD["counts"][language].format(
            unexplained=_number(alert.unexplained), looks=_number(alert.looks), peers=_number(alert.peers)
        )
    said = tuple(_sentence(one, language, offset_minutes) for one in alert.reasons)
    wanted = dict.fromkeys(table[one.name].get("explains", "work") for one in alert.reasons)
    excuses = tuple(
        table["excuses"][one][language].format(late=f"{100 * alert.late_share:.0f} %") for one in alert.excuses
    )
    explained = tuple(table["explained_by"][one][language] for one in wanted)
    colon = "：" if language == "zh" else ": "
    return Words(
        subject,
        f"{subject}{colon}{head}",
        first,
        said,
        tuple(_details(alert, language, offset_minutes)),
        excuses,
        explained,
    )


def row_words(row: Row, language: str = "en", offset_minutes: int = 480) -> str:
    """The work that explains a look, or what fails."""
    table = texts()
    step = table["steps"].get(row.step, {}).get(language, row.step)
    said = table["why"][row.why][language].format(step=step) if row.why else step
    if not said:
        return "-"
    when = moment(row.step_time, offset_minutes) if row.step_time else ""
    return ("，" if language == "zh" else ", ").join(one for one in (said, when) if one)


def moment(time: int, offset_minutes: int = 480) -> str:
    """``2026-11-23 12:00``."""
    return _local(time, offset_minutes).strftime("%Y-%m-%d %H:%M")


def day_text(day: int) -> str:
    """``2026-11-23`` of days since 1970-01-01."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def _local(time: int, offset_minutes: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time, minutes=offset_minutes)


def _number(value: float) -> str:
    """``1,240``, ``1.4``, ``0.02``: as few digits as say it."""
    if value < 0:
        return "-" + _number(-value)
    if value == int(value):
        return f"{int(value):,}"
    if value >= 20:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def _sentence(reason: Reason, language: str, offset_minutes: int) -> str:
    local = _local(reason.time, offset_minutes)
    since = moment(reason.since, offset_minutes)[:10] if reason.since else day_text(0)
    day = moment(reason.since or reason.time, offset_minutes)[:10]
    other = reason.other or "?"
    text = texts()[reason.name]["says"][language].format(
        value=_number(reason.value),
        of=_number(reason.of),
        expected=_number(reason.expected),
        threshold=_number(reason.threshold),
        since=since,
        at=local.strftime("%Y-%m-%d %H:%M"),
        day=day,
        other=other,
        other_en=f" ({reason.other})" if reason.other else "",
        other_zh=f"（{reason.other}）" if reason.other else "",
    )
    return str(text)


def _subject(alert: Alert, language: str) -> str:
    kind, colon, name = alert.actor.partition(":")
    kinds = _HEAD["subjects_zh" if language == "zh" else "subjects"]
    if colon and kind in kinds:
        return f"{kinds[kind]} {name}"
    role = texts()["roles"].get(alert.role, {}).get(language, alert.role)
    told = [one for one in (role, alert.outlet) if one]
    if not told:
        return alert.actor
    return f"{alert.actor}（{'，'.join(told)}）" if language == "zh" else f"{alert.actor} ({', '.join(told)})"


def _details(alert: Alert, language: str, offset_minutes: int) -> list[str]:
    said = []
    if alert.grouped and alert.unexplained:
        said.append(_HEAD["grouped"][language].format(grouped=_number(alert.grouped)))
    devices = [(device, count) for device, count in alert.devices[:_MOST_DEVICES] if device]
    if devices:
        one = _HEAD["device"][language]
        named = [one.format(device=device, count=_number(count)) for device, count in devices]
        said.append(_HEAD["devices"][language].format(devices=("，" if language == "zh" else ", ").join(named)))
    hours = _hours([row for row in alert.rows if row.level < 2], offset_minutes)
    if hours is not None:
        said.append(_HEAD["hours"][language].format(first=hours[0], last=hours[1]))
    if alert.lost:
        said.append(_HEAD["lost"][language].format(lost=_number(alert.lost)))
    return said


def _hours(rows: Sequence[Row], offset_minutes: int) -> tuple[int, int] | None:
    """The shortest span of local hours (from, to; over midnight too) that the rows lie in; None if it is most of the day."""
    hours = sorted({_local(row.time, offset_minutes).hour for row in rows})
    if not hours:
        return None
    gaps = [
        ((after - before) % 24 or 24, before, after) for before, after in zip(hours, hours[1:] + hours[:1], strict=True)
    ]
    longest, last, first = max(gaps)
    return (first, (last + 1) % 24) if longest >= 12 else None
