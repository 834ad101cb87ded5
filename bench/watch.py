"""How fast looks are explained and counted, against a bare scan of the same table in the same run.

::

    python bench/watch.py                 # 30 million looks and as many work events, 20,000 accounts, five days
    python bench/watch.py --scale 0.05    # small

A carrier's five days are made inside DuckDB, in about the proportions of ``parcelveil simulate carrier``: parcels with eight
events each (posted, departed and arrived twice, out for delivery, delivered, and an attempt, an order or a ticket), half of
which name an account; of half of the parcels out for delivery only the route is known. Of 100 looks 90 are the courier's own,
5 a colleague's, 2 quote a ticket, 3 have no reason. The
statements measured are the files that :mod:`parcelveil.watch.batch` runs. The scan reads every column of every look (XOR of
each column: the cheapest aggregate that no statistics answer). What is reported is millions of looks a CPU second, all
threads counted, over that of the scan. At small scale the same rows go through SQLite as well, and must come out equal.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pyarrow as pa

from parcelveil.adapt.sql_duckdb import DuckdbSql
from parcelveil.adapt.sql_sqlite import SqliteSql
from parcelveil.watch.batch import Batch, parameters, region_table, statement
from parcelveil.watch.coded import CODED_ACCESS, CODED_WORK, DAY, HOUR
from parcelveil.watch.explaining import read_rules, rule_table
from parcelveil.watch.streaming import Stream
from ratios import interleaved, report

OFFSET = 480
ROLES = {"service": 3, "clerk": 1}
AHEAD = OFFSET * 60_000_000
START = 20_700 * DAY - AHEAD
#: Aims and floors of the ratios.
WANTED = {"actor_day_vs_scan": (0.5, 0.8), "actor_hour_vs_scan": (0.07, 0.1), "explain_vs_scan": (0.03, 0.05)}

#: Events a parcel has.
EVENTS = 8
WORKS = f"""
CREATE TABLE work AS
WITH parcel AS (
  SELECT i, waybill, (hash(i + 1) % 2000)::INT AS a, (hash(i + 2) % 2000)::INT AS b, (hash(i + 6) % 100)::INT AS hub,
         (hash(i + 4) % 10)::INT AS courier, i % 20 = 0 AS asked, i % 3 = 0 AS partner, i % 2 = 0 AS routed,
         i % 3 = 1 AS named, {START} + (hash(i + 3) % (84 * {HOUR}))::BIGINT AS posted
    FROM (SELECT i, (hash(i) >> 1)::BIGINT + 1 AS waybill FROM range($parcels) r(i))),
event AS (
  SELECT (i * {EVENTS} + k)::BIGINT AS id, posted + later AS time,
         posted + later + 2000000 + CASE WHEN hash(i * {EVENTS} + k) % 30 = 0 THEN 3 * {HOUR} ELSE 0 END AS received,
         (CASE WHEN k = 7 AND asked THEN 12 WHEN k = 7 AND partner THEN 15 ELSE step END)::TINYINT AS step, waybill,
         CASE WHEN k < 2 THEN a WHEN k < 4 THEN hub ELSE b END AS outlet,
         CASE k WHEN 1 THEN hub WHEN 3 THEN b ELSE -1 END AS to_outlet,
         CASE WHEN k = 5 AND routed THEN b * 10 + courier ELSE -1 END AS route,
         CASE WHEN k = 7 AND asked THEN -2 WHEN k = 7 AND partner THEN 20000 + b % 50 WHEN k = 0 THEN a * 10 + courier
              WHEN (k = 4 AND named) OR (k = 5 AND NOT routed) OR k > 5 THEN b * 10 + courier ELSE -1 END AS actor,
         -1::INT AS device, CASE WHEN k = 7 AND asked THEN i ELSE -1 END::INT AS ticket
    FROM parcel, (VALUES (0, 2, 0), (1, 7, 2 * {HOUR}), (2, 3, 5 * {HOUR}), (3, 7, 6 * {HOUR}), (4, 3, 15 * {HOUR}),
                         (5, 5, 18 * {HOUR}), (6, 9, 21 * {HOUR}), (7, 6, 20 * {HOUR})) v(k, step, later)
   UNION ALL
  SELECT -1 - route - 20000 * night, {START} + night * {DAY}, {START} + night * {DAY} + 2000000, 11, 0, route // 10, -1,
         route, route, -1, -1
    FROM (SELECT route::INT AS route, night FROM range(20000) r(route), range(6) n(night)))
SELECT * FROM event ORDER BY time // {DAY}, waybill
"""
# One day's looks; LOOK makes them what Batch loads: by account and receipt, which costs it 0.2 microseconds a look.
LOOKS = f"""
WITH drawn AS (
  SELECT j, hash(j * 7 + 1) AS h, (hash(j * 11 + 5) % $parcels)::BIGINT AS i FROM range($looks) r(j)),
seen AS (
  SELECT j, h, CASE WHEN h % 100 IN (95, 96) THEN i - i % 20 ELSE i END AS i FROM drawn),
looked AS (
  SELECT j, h, i, (hash(i) >> 1)::BIGINT + 1 AS waybill, (hash(i + 2) % 2000)::INT AS b, hash(i + 4) % 10 AS courier,
         {START} + (hash(i + 3) % (84 * {HOUR}))::BIGINT + 18 * {HOUR} + (h // 1000 % (3 * {HOUR}))::BIGINT AS time
    FROM seen),
made AS (
  SELECT *, (CASE WHEN h % 100 < 90 THEN b * 10 + courier WHEN h % 100 < 95 THEN b * 10 + h // 1000 % 10
                  ELSE h // 1000 % 20000 END)::INT AS actor FROM looked)
SELECT j::BIGINT AS id, time, time + 2000000 + (h % 1000000)::BIGINT AS received, actor, actor % 8 AS role,
       actor // 10 AS outlet, (actor + h % 2)::INT AS device, (actor // 40)::INT AS network, (h % 4)::TINYINT AS channel,
       (CASE WHEN h % 50 = 7 THEN 1 ELSE 0 END)::TINYINT AS action, 0::TINYINT AS outcome, (h % 8)::SMALLINT AS fields,
       1::INT AS records, waybill, i AS serial, (hash(i + 9) >> 1)::BIGINT AS subject,
       (CASE WHEN h % 100 IN (95, 96) THEN i ELSE -1 END)::INT AS ticket
  FROM made
 WHERE (time - {START}) // {DAY} = $number
"""
LOOK = f"""
SELECT *, ((time + {AHEAD}) // {DAY})::INT AS day, ((time + {AHEAD}) % {DAY} // {HOUR})::INT AS hour,
       row_number() OVER (ORDER BY actor, received, id) + $number * 100000000000 AS place,
       (lead(actor) OVER (ORDER BY actor, received, id) IS DISTINCT FROM actor)::TINYINT AS newest
  FROM ({LOOKS}) ORDER BY place
"""
COLUMNS = [*CODED_ACCESS.names, "day", "hour", "place", "newest"]
SCAN = f"SELECT {', '.join(f'bit_xor({name}) AS {name}' for name in COLUMNS)} FROM look"


def carrier(sql: DuckdbSql, looks: int) -> None:
    """Make the tables ``look``, ``work``, ``route``, ``rule``, ``outlet_region``."""
    parcels = max(looks // EVENTS, 100)
    sql.run(WORKS, parcels=parcels)
    for number in range(5):
        sql.run(
            f"{'INSERT INTO look' if number else 'CREATE TABLE look AS'} {LOOK}",
            looks=looks,
            parcels=parcels,
            number=number,
        )
    sql.run("CREATE TABLE route AS SELECT * FROM work WHERE step IN (10, 11)")
    sql.load("rule", rule_table(read_rules(), lambda name: ROLES.get(name, -1)))
    sql.load("outlet_region", region_table(regions()))


def regions() -> np.ndarray:
    """Of 2,000 outlets the region: a hundred lie in each; of every thirteenth nobody knows."""
    outlets = np.arange(2000, dtype=np.int32)
    return np.where(outlets % 13 == 0, -1, outlets // 100).astype(np.int32)


def explain(sql: DuckdbSql) -> None:
    for name in ("routes", "explain", "near_region"):
        sql.run(statement(name), **parameters(OFFSET))


def proven(looks: int = 20_000) -> None:
    """The measured statements give what Batch gives on SQLite, row by row. Raises AssertionError."""
    with closing(DuckdbSql(threads=2)) as sql:
        carrier(sql, looks)
        explain(sql)
        sql.run(statement("actor_day"))
        rows, days = sql.query(statement("open_rows")), sql.query(statement("volume"))
        accesses = sql.query(f"SELECT {', '.join(CODED_ACCESS.names)} FROM look").cast(CODED_ACCESS)
        works = sql.query(f"SELECT {', '.join(CODED_WORK.names)} FROM work").cast(CODED_WORK)
        rules = sql.query("SELECT * FROM rule")
        with closing(Batch(SqliteSql, rules, OFFSET, regions=regions, rows_at_once=2000)) as batch:
            batch.add(accesses, works)
            made = list(batch.settled())
    for name in ("id", "provisional", "settled", "near"):
        assert rows[name].to_pylist() == [one for day in made for one in day.rows[name].to_pylist()], name
    for name in ("actor", "role", "outlet", "looks", "direct", "grouped", "none", "first", "last"):
        assert days[name].to_pylist() == [one for day in made for one in day.volume[name].to_pylist()], name
    assert {0, 1} <= set(rows["settled"].to_pylist())
    assert {-1, 0, 1} == set(rows["near"].to_pylist())


def streamed(sql: DuckdbSql, looks: int) -> float:
    """Events a CPU second of the stream, looks and work together, in pieces of 50,000 by the time of receipt."""
    until = sql.query(f"SELECT received FROM look ORDER BY received LIMIT 1 OFFSET {min(looks - 1, 2_000_000)}")[0][0]
    where = f"WHERE received < {until.as_py()} ORDER BY received"
    accesses = sql.query(f"SELECT {', '.join(CODED_ACCESS.names)} FROM look {where}").cast(CODED_ACCESS)
    works = sql.query(f"SELECT {', '.join(CODED_WORK.names)} FROM work {where}").cast(CODED_WORK)
    times = [table["received"].to_numpy() for table in (accesses, works)]
    stream = Stream(sql.query("SELECT * FROM rule"), OFFSET)
    for _ in stream.feed(accesses.slice(0, 1000), works.slice(0, 1000)):  # compiled before the clock runs
        pass
    cuts = np.quantile(np.concatenate(times), np.linspace(0, 1, 2 + sum(map(len, times)) // 50_000))[1:]
    stream, before, started = Stream(sql.query("SELECT * FROM rule"), OFFSET), [0, 0], time.process_time()
    for cut in [*cuts[:-1], np.inf]:
        ends = [int(np.searchsorted(column, cut)) for column in times]
        parts = [
            table.slice(begin, end - begin) for table, begin, end in zip((accesses, works), before, ends, strict=True)
        ]
        for _ in stream.feed(*parts):
            pass
        before = ends
    for _ in stream.flush():
        pass
    return sum(map(len, times)) / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="1: 30 million looks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="8GB")
    chosen = parser.parse_args()
    proven()
    looks = int(30_000_000 * chosen.scale)
    with closing(DuckdbSql(memory=chosen.memory, threads=2)) as sql:
        started = time.process_time()
        carrier(sql, looks)
        made = time.process_time() - started
        ways: dict[str, Callable[[], object]] = {
            "scan": lambda: sql.query(SCAN),
            "explain": lambda: explain(sql),
            "actor_day": lambda: sql.run(statement("actor_day")),
            # Left in the database: moving the rows into Python is no part of it.
            "actor_hour": lambda: sql.run(f"CREATE OR REPLACE TABLE answer AS {statement('actor_hour')}"),
        }
        explain(sql)
        figures = interleaved(ways, chosen.rounds)
        levels = sql.query("SELECT settled, COUNT(*) AS looks FROM open_row GROUP BY settled ORDER BY settled")
        stream = streamed(sql, looks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    speed = {name: looks / figure.cpu / 1e6 for name, figure in figures.items()}
    ratios = {f"{name}_vs_scan": speed[name] / speed["scan"] for name in ways if name != "scan"}
    rows = [
        (f"{name}, {looks / 1e6:g} M looks", f"{figures[name].cpu:.2f} CPU s, {speed[name]:.1f} M/s", text)
        for name in ways
        for key in [f"{name}_vs_scan"]
        for text in [f"{ratios[key]:.3f} (floor {WANTED[key][0]}, aim {WANTED[key][1]})" if key in ratios else "1"]
    ]
    rows += [
        ("stream, looks and work", "in pieces of 50,000", f"{stream / 1e6:.2f} M events a CPU s"),
        ("looks that want a reason", _share(levels, looks), "of all"),
        ("made inside DuckDB", f"{made:.0f} CPU s", f"peak memory {peak:.1f} GB"),
    ]
    report(rows, ratios | {"stream_events_s": stream, "peak_gb": peak})


def _share(levels: pa.Table, looks: int) -> str:
    return ", ".join(f"{row['looks'] / looks:.1%} at level {row['settled']}" for row in levels.to_pylist())


if __name__ == "__main__":
    main()
