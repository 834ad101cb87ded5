"""How well ``watch`` finds those who harvest, and whom it calls for nothing: ``python bench/watch_quality.py``.

Ten simulated carriers, each with a plan of attacks of its own, drawn from seeds that were used for nothing else. In one run:
*watch*, and what people build first (raw count, count of unexplained looks, isolation forest), all under one budget of false
cases. It prints Markdown tables and one JSON object of the keys. ``--seeds 2 --staff 800`` is a short run.

The keys ``recall_*`` are of the attacks of all worlds together; ``*_worst`` of the worst world. ``false_ratio`` is the number of
measured false cases by that of promised ones.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from parcelveil.simulate.draw import Draw
from watch_judging import Found, Judged, by_threshold, explained, isolation, raw_count, unexplained_count, watched

#: No other seed from here on was ever used for tuning.
FIRST_SEED = 5_000
BUDGET = 10.0
#: Days of the world, the first day on which cases are counted, and those on which attacks may begin.
DAYS, SINCE, STARTS = 46, 29, (29, 31)
#: Strategy, records a day, days it lasts, and how many a world has: every asked figure, and two of the rest.
ASKED = (
    ("bulk", 1000, 3, 1),
    ("export_before_leaving", 5000, 3, 1),
    ("sequential", 1000, 1, 1),
    ("in_block", 800, 2, 1),
    ("rented", 100, 7, 1),
    ("slow", 10, 14, 1),
    ("slow", 5, 14, 2),
    ("pair", 5, 14, 1),
    ("neighbours", 3, 14, 1),
)
OTHERS = (
    ("distributed", 200, 4), ("by_phone", 40, 7), ("slow", 3, 14), ("slow", 20, 14), ("below_threshold", 45, 14),
    ("on_demand", 8, 14), ("own_station", 30, 12), ("phished", 300, 3), ("ex_partner", 2, 14), ("franchise_owner", 200, 7),
    ("poisoning", 20, 14), ("self_tickets", 20, 14), ("photographs", 300, 9),
)  # fmt: skip
#: Partners walk through numbers too, but these are mostly of their own parcels, which their orders explain: so clerks do it here.
WALKING, WALKERS = ("sequential", "in_block"), 'role = "clerk"\n'
#: Key, strategies, records a day (None: any), hours within which, what is asked.
KEYS: tuple[tuple[str, tuple[str, ...], float | None, float, float], ...] = (
    ("recall_bulk_export_enumeration", ("bulk", "export_before_leaving", "sequential", "in_block"), None, 72, 0.98),
    ("recall_rented_24h", ("rented",), 100, 24, 0.90),
    ("recall_10_a_day_7d", ("slow",), 10, 168, 0.90),
    ("recall_5_a_day_7d", ("slow",), 5, 168, 0.75),
    ("recall_5_a_day_14d", ("slow",), 5, 336, 0.90),
    ("recall_pair_14d", ("pair",), 5, 336, 0.70),
    ("recall_neighbours_14d", ("neighbours",), None, 336, 0.50),
)
WAYS = ("watch", "unexplained count", "raw count", "isolation forest")


class Result(NamedTuple):
    """What one world gave."""

    seed: int
    found: dict[str, list[Found]]  # by way
    false: dict[str, list[tuple[str, int, str]]]
    promised: dict[tuple[str, int], float]
    cpu_s: float


def plan(seed: int) -> str:
    """A plan of attacks for a world: what is asked, two other strategies, at knowledge levels of 0 to 2."""
    draw = Draw(seed, 0xBE)
    others = [OTHERS[at] for at in np.argsort(draw.words(len(OTHERS)))[:2].tolist()]
    rows = [*((s, rate, days) for s, rate, days, count in ASKED for _ in range(count)), *others]
    levels = draw.below(3, len(rows)).tolist()
    return "\n".join(
        f'[[attacker]]\n{WALKERS if s in WALKING else ""}strategy = "{s}"\nknowledge = {level}\nrate = {rate}\nstart_day = {list(STARTS)}\ndays = {days}\n'
        for (s, rate, days), level in zip(rows, levels, strict=True)
    )


def judge(task: tuple[int, int]) -> Result:
    """Simulate a world, and judge every way on it."""
    seed, staff = task
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plan.toml")
        file.write_text(plan(seed), "utf-8")
        world = explained(seed, str(file), staff, DAYS)
    judged = Judged(world)
    counts: dict[str, Callable[..., object]] = {"raw count": raw_count, "unexplained count": unexplained_count}
    cases = {"watch": watched(world, BUDGET)}
    for name, count in counts.items():
        cases[name] = by_threshold(world, {rows.day: count(rows) for rows, _ in world.rows}, BUDGET)  # type: ignore[misc]
    cases["isolation forest"] = by_threshold(world, isolation(world), BUDGET)
    return Result(
        seed,
        {way: judged.attacks(cases[way]) for way in WAYS},
        {way: judged.false_cases(cases[way], SINCE) for way in WAYS},
        judged.promised(BUDGET, SINCE),
        time.process_time() - began,
    )


def recall(found: list[Found], strategies: tuple[str, ...], rate: float | None, hours: float) -> tuple[int, int]:
    """Attacks found within so many hours, and all."""
    of = [one for one in found if one.strategy in strategies and (rate is None or one.rate == rate)]
    return sum(one.hours <= hours for one in of), len(of)


def between(found: int, of: int) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    if not of:
        return "—"
    p, z = found / of, 1.96
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (max(0.0, middle - half) / (1 + z * z / of), min(1.0, (middle + half) / (1 + z * z / of)))
    return f"{p:.2f} ({low:.2f}–{high:.2f})"


def poisson(count: int, promised: float) -> str:
    """Measured by promised, with a 95 % interval of the Poisson mean (by the square root, continuity corrected)."""
    low = max(0.0, math.sqrt(count) - 0.98) ** 2
    high = (math.sqrt(count + 1) + 0.98) ** 2
    return f"{count} / {promised:.1f} = {count / promised:.2f} ({low / promised:.2f}–{high / promised:.2f})"


def report(results: list[Result]) -> dict[str, float]:
    """Print the tables; the keys."""
    keys: dict[str, float] = {}
    every = {way: [one for result in results for one in result.found[way]] for way in WAYS}
    print(
        "| found in time, of all attacks (95 % interval) | asked | median world | worst world | "
        + " | ".join(WAYS)
        + " |"
    )
    print("|---|---|---|---|" + "---|" * len(WAYS))
    for key, strategies, rate, hours, asked in KEYS:
        counted = {way: recall(every[way], strategies, rate, hours) for way in WAYS}
        worlds = [recall(result.found["watch"], strategies, rate, hours) for result in results]
        shares = sorted(found / of for found, of in worlds if of)
        found, of = counted["watch"]
        keys[key] = found / of if of else float("nan")
        keys[f"{key}_worst"] = shares[0]
        name = key.removeprefix("recall_").replace("_", " ")
        line = f"| {name} | {asked:.2f} | {statistics.median(shares):.2f} | {shares[0]:.2f} |"
        print(line + "".join(f" {between(*counted[way])} |" for way in WAYS))
    lost(every)
    promises(results, keys)
    print(json.dumps({name: round(value, 3) for name, value in keys.items()}))
    return keys


def lost(every: dict[str, list[Found]]) -> None:
    """Records lost before the case, of every strategy."""
    groups: dict[tuple[str, float], dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for way, found in every.items():
        for one in found:
            groups[one.strategy, one.rate][way].append(one)
    print(
        "\n| strategy, a day | attacks | records in all, median | first said by | "
        + " | ".join(f"lost before: {way}" for way in WAYS)
        + " |"
    )
    print("|---|---|---|---|" + "---|" * len(WAYS))
    for (strategy, rate), ways in sorted(groups.items()):
        of = ways["watch"]
        detector = Counter(one.detector for one in of if one.detector).most_common(1)
        name = detector[0][0] if detector else "nobody"
        line = f"| {strategy}, {rate:g} | {len(of)} | {statistics.median(one.records for one in of):g} | {name} |"
        print(line + "".join(f" {statistics.median(one.lost for one in ways[way]):g} |" for way in WAYS))


def promises(results: list[Result], keys: dict[str, float]) -> None:
    """Measured over promised false cases: in all, by week, by role, by world."""
    promised = sum(sum(result.promised.values()) for result in results)
    print(
        "\n| false cases, measured / promised (95 % interval) | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS)
    )
    totals = {way: sum(len(result.false[way]) for result in results) for way in WAYS}
    print("| all worlds, roles and weeks |" + "".join(f" {poisson(totals[way], promised)} |" for way in WAYS))
    keys["false_ratio"] = totals["watch"] / promised
    for label, place in (("week", 1), ("role", 0)):
        shares: Counter[object] = Counter()
        for result in results:
            for key, value in result.promised.items():
                shares[key[place]] += value  # type: ignore[assignment]
        for group, share in sorted(shares.items(), key=lambda item: str(item[0])):
            said = [sum(case[place] == group for r in results for case in r.false[way]) for way in WAYS]
            name = f"{label} {int(group) + 1}" if label == "week" else group  # type: ignore[call-overload]
            print(f"| {name} |" + "".join(f" {poisson(count, share)} |" for count in said))
    worlds = [len(r.false["watch"]) / sum(r.promised.values()) for r in results]
    keys["false_ratio_worst_world"] = max(worlds)
    keys["false_ratio_median_world"] = statistics.median(worlds)
    print(f"| worlds: median, worst | {statistics.median(worlds):.2f}, {max(worlds):.2f} |" + " |" * (len(WAYS) - 1))
    detectors = Counter(case[2] for r in results for case in r.false["watch"])
    print(f"\nFalse cases by detector: {dict(detectors.most_common())}")


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(
        description="How well watch finds those who harvest, and whom it calls for nothing."
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--staff", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    tasks = [(asked.first_seed + at, asked.staff) for at in range(asked.seeds)]
    results = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for result in pool.map(judge, tasks):
            results.append(result)
            false = len(result.false["watch"])
            print(f"world {result.seed}: {false} false cases, {result.cpu_s:.0f} CPU s", file=sys.stderr, flush=True)
    report(results)


if __name__ == "__main__":
    main()
