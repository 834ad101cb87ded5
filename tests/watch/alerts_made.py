"""Alerts for tests: one of a slow insider, and one of each detector."""

from __future__ import annotations

from typing import Any

from parcelveil.watch.alerts import DETECTORS, Alert, Day, Reason, Row, alert_uid, severity_of

KEY = bytes(range(32))
HOUR = 3_600_000_000
DAY = 24 * HOUR
#: 2026-11-23 12:00 in China.
NOON = 1_795_406_400_000_000
TODAY = (NOON + 8 * HOUR) // DAY


def slow_insider(**changes: Any) -> Alert:
    """Eighteen of twenty-three looks without a reason, over a week."""
    rows = tuple(
        Row(
            time=NOON - 6 * DAY + day * DAY + look * HOUR // 3, parcel=f"{0x5EED0000 + 16 * day + look:016x}",
            level=0, action="reveal", device="PC-4" if look else "PC-9", why="no-work" if look else "other-outlet",
            step="" if look else "arrived", step_time=0 if look else NOON - 20 * DAY, id=day * 10 + look,
        )
        for day in range(7)
        for look in range(3)
    )  # fmt: skip
    values: dict[str, Any] = {
        "uid": alert_uid(KEY, "CS-07", NOON, "slow"),
        "actor": "CS-07",
        "role": "service",
        "outlet": "021007",
        "opened_at": NOON,
        "updated_at": NOON,
        "since": NOON - 7 * DAY,
        "until": NOON,
        "severity": "medium",
        "reasons": (Reason("slow", NOON, value=18, expected=1.4, p=2e-9, threshold=6.1, since=NOON - 7 * DAY, of=23),),
        "looks": 23,
        "unexplained": 18,
        "grouped": 3,
        "peers": 1.4,
        "lost": 18,
        "devices": (("PC-4", 12), ("PC-9", 6)),
        "excuses": ("late-work",),
        "late_share": 0.04,
        "rows": rows,
        "chart": tuple(Day(TODAY - 27 + day, 3.0 if day > 20 else 0.0, 0.2) for day in range(28)),
    }
    return Alert(**(values | changes))


def of_each_detector() -> list[Alert]:
    """One alert a detector, with what it names beside it."""
    others = {"pair": "CS-08", "shared": "HH-17", "device": "HH-99", "places": "203.0.113.0/24"}
    actors = {"stuffing": "net:203.0.113.0/24", "scraping": "net:198.51.100.0/24", "reconcile": "system:kms-1",
              "outlet": "outlet:021007"}  # fmt: skip
    made = []
    for name in DETECTORS:
        reasons = (
            Reason(name, NOON, value=40, expected=2.5, p=1e-7, threshold=20, since=NOON - DAY, of=60,
                   other=others.get(name, "")),
        )  # fmt: skip
        actor = actors.get(name, "CS-07")
        made.append(
            slow_insider(
                uid=alert_uid(KEY, actor, NOON, name), actor=actor, reasons=reasons, severity=severity_of(reasons)
            )
        )
    return made
