"""What watch/running.py must count, in plain Python, row by row."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from parcelveil.watch.coded import ACTIONS, HOUR, OUTCOMES
from parcelveil.watch.running import NAMES

Row = dict[str, Any]


def key_of(row: Row, kind: str) -> int:
    if kind != "actor_device":
        return int(row[kind])
    return -1 if row["actor"] < 0 or row["device"] < 0 else (row["actor"] << 32) + row["device"]


def counted(
    rows: list[Row], day: int, known: set[tuple[int, int]], kind: str, offset: int
) -> list[tuple[dict[str, dict[int, int]], Row, int]]:
    """After each row of the day: all counts by name and key, the row, and its key."""
    parcels: dict[str, set[tuple[int, int]]] = defaultdict(set)
    blocks: dict[tuple[int, int], int] = defaultdict(int)
    last: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=8))
    counts: dict[str, dict[int, int]] = {name: defaultdict(int) for name in NAMES}
    made = []
    for row in rows:
        key = key_of(row, kind)
        if (row["time"] + offset * 60_000_000) // (24 * HOUR) != day or key < 0:
            continue
        ok = row["outcome"] == OUTCOMES.index("ok")
        level, parcel, serial = row["provisional"], row["waybill"], row["serial"]

        def new(name: str, key: int = key, parcel: int = parcel) -> bool:
            fresh = bool(parcel) and (key, parcel) not in parcels[name]
            parcels[name].add((key, parcel))
            return fresh

        if level == 0 and new("unexplained"):
            counts["unexplained"][key] += 1
        if level in {0, 1} and new("indirect"):
            counts["indirect"][key] += 1
        if level == 0 and row["device"] >= 0 and (row["actor"], row["device"]) not in known and new("device"):
            counts["device"][key] += 1
        counts["failed"][key] += not ok
        if ok and row["action"] == ACTIONS.index("export"):
            counts["exported"][key] += row["records"]
        if level < 2 and serial >= 0:
            if serial not in last[key]:
                counts["steps"][key] += any(1 <= abs(serial - before) <= 3 for before in last[key])
                last[key].append(serial)
            if new("block"):
                blocks[key, serial // 1000] += 1
                counts["block"][key] = max(counts["block"][key], blocks[key, serial // 1000])
        made.append(({name: dict(by) for name, by in counts.items()}, row, key))
    return made


def crossings(
    made: list[tuple[dict[str, dict[int, int]], Row, int]], limits: dict[str, Any]
) -> list[tuple[int, str, int, int, int]]:
    """``limits``: by name a function of the key."""
    found, done = [], set()
    for counts, row, key in made:
        for name, limit in limits.items():
            value = counts[name].get(key, 0)
            if value > limit(key) and (name, key) not in done:
                done.add((name, key))
                found.append((key, name, row["received"], row["id"], value))
    return sorted(found, key=lambda one: (one[2], one[3], one[1], one[0]))
