"""Which rows were the attackers': the tables that a detector is judged by, and must not see.

======================  ===============================================================================================
``attackers.parquet``   an attack: id, strategy, knowledge, rate, accounts, first and last deed, where it can be seen
                        (``access``, ``web``, ``keyuse``, ``none``), records taken, income in yuan
``accesses.parquet``    a look: attack, event_id and time as in ``access/``, its number within the attack (from 0)
``web.parquet``         a request to the public pages: attack, address, network, time as in ``web/``
``keyuse.parquet``      values opened beside the logs: attack, hour, system, values
======================  ===============================================================================================

Rows are in order of attack and time. A look that was told so late that the simulation had ended is in no table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from parcelveil.simulate.attack.agent import Agent
from parcelveil.simulate.attack.sight import SECOND
from parcelveil.simulate.carrier.day import Marked
from parcelveil.simulate.carrier.rows import KeyRows, WebRows
from parcelveil.simulate.carrier.web import SYSTEMS
from parcelveil.simulate.carrier.world import DAY_US, World

_TIME = pa.timestamp("us", tz="UTC")
_Kind = TypeVar("_Kind", WebRows, KeyRows)

ATTACKERS = pa.schema(
    [
        pa.field("attack", pa.int32(), nullable=False),
        pa.field("strategy", pa.string(), nullable=False),
        pa.field("knowledge", pa.int8(), nullable=False),
        pa.field("rate", pa.float64(), nullable=False),  # records a day and account that the plan says
        pa.field("actors", pa.list_(pa.string()), nullable=False),
        pa.field("start", _TIME, nullable=False),  # first and last deed; where there is none, as planned
        pa.field("end", _TIME, nullable=False),
        pa.field("seen", pa.string(), nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("income", pa.float64(), nullable=False),
    ]
)
ACCESSES = pa.schema(
    [
        pa.field("attack", pa.int32(), nullable=False),
        pa.field("event_id", pa.uint64(), nullable=False),
        pa.field("event_time", _TIME, nullable=False),
        pa.field("number", pa.int32(), nullable=False),
    ]
)
WEB = pa.schema(
    [
        pa.field("attack", pa.int32(), nullable=False),
        pa.field("address", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),  # its /24
        pa.field("event_time", _TIME, nullable=False),
    ]
)
KEYUSE = pa.schema(
    [
        pa.field("attack", pa.int32(), nullable=False),
        pa.field("hour", _TIME, nullable=False),
        pa.field("system", pa.string(), nullable=False),
        pa.field("values", pa.int64(), nullable=False),
    ]
)


class Truth(NamedTuple):
    """The four tables, of schemas :data:`ATTACKERS`, :data:`ACCESSES`, :data:`WEB` and :data:`KEYUSE`."""

    attackers: pa.Table
    accesses: pa.Table
    web: pa.Table
    keyuse: pa.Table


def write_truth(truth: Truth, folder: Path) -> None:
    """Write the tables into ``folder``, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in truth._asdict().items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=1)


class Found:
    """What is known so far. A day's rows count when the day is whole (:meth:`close`)."""

    def __init__(self) -> None:
        self._looks: list[Marked] = []
        self._open: list[tuple[int, WebRows | KeyRows]] = []
        self._closed: list[tuple[int, WebRows | KeyRows]] = []
        self._taken: dict[int, int] = {}

    def did(self, attack: int, rows: WebRows | KeyRows) -> None:
        """Rows of an attack in the web log or at the key service, on the day that is being made."""
        if rows.count:
            self._open.append((attack, rows))

    def close(self, looks: Marked, taken: dict[int, int]) -> None:
        """The day is whole: its looks with the numbers they got, and by attack the records taken up to now."""
        self._looks.append(looks)
        self._closed += self._open
        self._open, self._taken = [], taken

    def tables(self, agents: Sequence[Agent], world: World) -> Truth:
        """All that was found."""
        mark, event_id, time = (np.concatenate([getattr(one, name) for one in self._looks]) for name in Marked._fields)
        order = np.lexsort((event_id, time, mark))
        mark, event_id, time = mark[order], event_id[order], time[order]
        first = np.searchsorted(mark, mark)  # row at which each attack begins
        accesses = _table(ACCESSES, mark, event_id, time, np.arange(len(mark)) - first)
        web, at_web = _joined(self._closed, WebRows)
        keys, at_keys = _joined(self._closed, KeyRows)
        addresses = web["ip"]
        web_table = _table(
            WEB, at_web, _dotted(addresses), _dotted(addresses >> 8 << 8, "/24"), web["time"] // SECOND * SECOND
        )
        systems = [SYSTEMS[code] for code in keys["system"].tolist()]
        key_table = _table(KEYUSE, at_keys, keys["time"], systems, keys["values"])
        deeds = np.concatenate([mark, at_web, at_keys]), np.concatenate([time, web["time"], keys["time"]])
        rows = [self._attacker(agent, world, deeds[1][deeds[0] == agent.attack.number]) for agent in agents]
        return Truth(pa.Table.from_pylist(rows, schema=ATTACKERS), accesses, web_table, key_table)

    def _attacker(self, agent: Agent, world: World, times: npt.NDArray[np.int64]) -> dict[str, Any]:
        attack = agent.attack
        begin, end = world.midnight(agent.first), world.midnight(attack.stop) - 1
        taken = self._taken.get(attack.number, 0)
        return {
            "attack": attack.number,
            "strategy": attack.strategy.name,
            "knowledge": attack.knowledge,
            "rate": attack.rate,
            "actors": world.names.account.of(agent.accounts).to_pylist() if len(agent.accounts) else [],
            "start": int(times.min()) if len(times) else begin,
            "end": int(times.max()) if len(times) else max(end, begin + DAY_US - 1),
            "seen": attack.strategy.seen,
            "records": taken,
            "income": taken * attack.strategy.income,
        }


def _joined(parts: list[tuple[int, WebRows | KeyRows]], kind: type[_Kind]) -> tuple[_Kind, npt.NDArray[np.int32]]:
    """The rows of one kind in order of attack and time, and the attack of each."""
    mine = [(attack, rows) for attack, rows in parts if isinstance(rows, kind)]
    rows = kind.join([rows for _, rows in mine])
    attacks = np.repeat(
        np.array([attack for attack, _ in mine], np.int32), np.array([rows.count for _, rows in mine], np.int64)
    )
    order = np.lexsort((rows["time"], attacks))
    return rows.take(order), attacks[order]


def _table(schema: pa.Schema, *columns: Any) -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array(column).cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _dotted(addresses: npt.NDArray[np.int64], tail: str = "") -> pa.StringArray:
    """IPv4 addresses as text."""
    numbers = addresses.tolist()
    return pa.array([f"{n >> 24 & 255}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}{tail}" for n in numbers], pa.string())
