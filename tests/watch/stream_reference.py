"""What watch/streaming.py must make, in plain Python: every look against every work event, by the words of explains.toml."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyarrow as pa

from parcelveil.event import BizStep
from parcelveil.watch.coded import ACTIONS, GRACE, HOUR, OUTCOMES
from parcelveil.watch.daily import OPEN_ROWS, VOLUME, DayRows
from parcelveil.watch.explaining import Rule

Row = dict[str, Any]
STEPS = tuple(BizStep)
HELD = 7 * 24 * HOUR
OK, SEARCH, EXPORT = OUTCOMES.index("ok"), ACTIONS.index("search"), ACTIONS.index("export")


def holder(works: list[Row], work: Row, known: int) -> int:
    """Who had the route of ``work`` when it went out, by what was received up to ``known``."""
    events = [
        (other["time"], other["step"], other["id"], other["actor"])
        for other in works
        if other["route"] == work["route"]
        and STEPS[other["step"] - 1] in {BizStep.ROUTE_ASSIGNED, BizStep.ROUTE_RELEASED}
        and work["time"] - HELD <= other["time"] <= work["time"]
        and other["received"] <= known
    ]
    if not events:
        return -1
    last = max(events)
    return last[3] if STEPS[last[1] - 1] is BizStep.ROUTE_ASSIGNED else -1


def explained(rules: tuple[Rule, ...], roles: list[str], works: list[Row], look: Row, known: int) -> int:
    """The level of one look by the work received up to ``known``."""
    level = 0
    for work in works:
        if work["waybill"] != look["waybill"] or work["received"] > known or not work["step"]:
            continue
        for rule in rules:
            if rule.step is not STEPS[work["step"] - 1]:
                continue
            if not work["time"] - rule.before * HOUR <= look["time"] <= work["time"] + rule.after * HOUR:
                continue
            actor = work["actor"]
            if rule.whom == "actor":
                if rule.step is BizStep.OUT_FOR_DELIVERY and actor == -1 and work["route"] >= 0:
                    actor = holder(works, work, known)
                fits = actor == look["actor"]
            elif rule.whom in {"outlet", "to_outlet"}:
                fits = work[rule.whom] >= 0 and work[rule.whom] == look["outlet"]
            elif rule.whom == "region" or actor in {-1, look["actor"]}:
                fits = False
            elif rule.whom == "quoted":
                fits = work["ticket"] >= 0 and work["ticket"] == look["ticket"]
            else:
                fits = look["role"] >= 0 and roles[look["role"]] in rule.roles
            level = max(level, rule.level if fits else 0)
    return level


def near(rules: tuple[Rule, ...], regions: list[int], works: list[Row], look: Row, known: int) -> int:
    """Whether the parcel of an unexplained look was near its outlet's region; ``regions`` by outlet, as far as known."""
    region_of = {outlet: region for outlet, region in enumerate(regions) if region >= 0}
    if look["outlet"] not in region_of:
        return -1
    for work in works:
        if work["waybill"] != look["waybill"] or work["received"] > known or not work["step"]:
            continue
        if region_of.get(work["outlet"]) != region_of[look["outlet"]]:
            continue
        for rule in rules:
            if rule.whom != "region" or rule.step is not STEPS[work["step"] - 1]:
                continue
            if work["time"] - rule.before * HOUR <= look["time"] <= work["time"] + rule.after * HOUR:
                return 1
    return 0


def days(
    rules: tuple[Rule, ...],
    roles: list[str],
    looks: list[Row],
    works: list[Row],
    offset: int,
    regions: list[int] | None = None,
) -> list[DayRows]:
    """All days with any look; ``looks`` without repetitions, in any order."""
    by_day: dict[int, list[Row]] = defaultdict(list)
    for look in sorted(looks, key=lambda one: (one["received"], one["id"])):
        day = (look["time"] + offset * 60_000_000) // (24 * HOUR)
        row = dict(look, provisional=-1, settled=-1, near=-1)
        if look["outcome"] == OK and look["waybill"]:
            settles = (day + 1) * 24 * HOUR - offset * 60_000_000 + GRACE
            row["provisional"] = explained(rules, roles, works, look, look["received"])
            row["settled"] = max(row["provisional"], explained(rules, roles, works, look, settles - 1))
            if row["settled"] == 0 and regions is not None:
                row["near"] = near(rules, regions, works, look, settles - 1)
        by_day[day].append(row)
    return [DayRows(day, _volume(rows, offset), _open(rows)) for day, rows in sorted(by_day.items())]


def _open(rows: list[Row]) -> pa.Table:
    kept = [r for r in rows if r["outcome"] != OK or r["action"] == EXPORT or r["provisional"] < 2]
    return pa.Table.from_pylist(kept, OPEN_ROWS)


def _volume(rows: list[Row], offset: int) -> pa.Table:
    made = []
    for actor in sorted({row["actor"] for row in rows}):
        own = [row for row in rows if row["actor"] == actor]
        looks = [row for row in own if row["outcome"] == OK and row["action"] != EXPORT]
        levels = [row["settled"] for row in looks]
        made.append(
            {
                "actor": actor,
                "role": own[-1]["role"],
                "outlet": own[-1]["outlet"],
                "looks": len(looks),
                "direct": levels.count(2),
                "grouped": levels.count(1),
                "none": levels.count(0),
                "searches": sum(row["action"] == SEARCH for row in looks),
                "failed": sum(row["outcome"] != OK for row in own),
                "exported": sum(r["records"] for r in own if r["outcome"] == OK and r["action"] == EXPORT),
                "hours": len({(row["time"] + offset * 60_000_000) // HOUR for row in looks}),
                "first": min(row["time"] for row in own),
                "last": max(row["time"] for row in own),
            }
        )
    return pa.Table.from_pylist(made, VOLUME)
