"""All work that can still explain a look, by parcel, in memory.

::

    index = WorkIndex(rule_table(read_rules(), coder.names["role"].code))
    index.add(columns_of_coded_work)                          # work of any age, in any order
    index.explain(columns_of_coded_accesses, known, levels)   # levels 0 -> 0, 1 or 2
    index.in_region(columns_of_coded_accesses, known, regions)   # of unexplained ones: is there work in the same region?
    index.prune(floor)                                        # nothing earlier than this will be asked any more

Only work whose step has a rule is kept, about 50 bytes an event, and no longer than its rule reaches: a parcel's arrival for
a week (ten days with the rules of regions), a partner's order for 45 days, and a quarter longer until it is swept out. The
same rows give the same levels in whatever order and pieces they come. What is compiled is in :mod:`parcelveil.watch.index_pass`; a plain-Python reference of it stands
beside the tests.

**Regions** are looked up when somebody asks, not when work is kept: an outlet's region may become known later.

**Whoever has the route.** A parcel that is out for delivery without an account belongs to whoever had the route at that
time: by its last assignment, not older than :data:`HELD`, unless the route was released or assigned anew since. Of events of
one moment an assignment counts more than a release, then the larger id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.event import BizStep
from parcelveil.watch import index_pass as passes
from parcelveil.watch.coded import DAY
from parcelveil.watch.explaining import BY_ACTOR, BY_OUTLET, BY_REGION, BY_ROLE, BY_TICKET, STEP

I64 = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[Any]]

#: How long an assignment of a route holds when nothing ends it.
HELD = 7 * DAY
#: Rows of a bucket, on the average, at which the buckets are made twice as many.
_CROWDED = 8
#: Rows that are looked at for being too old, for every one that is added.
_SWEPT = 4
_STEPS = 256
_EVER = np.iinfo(np.int64).min // 2

# What the compiled functions have as numbers of their own.
_COMPILED_WHOM = (passes.BY_ACTOR, passes.BY_OUTLET, passes.BY_TICKET, passes.BY_ROLE, passes.BY_REGION)
if _COMPILED_WHOM != (BY_ACTOR, BY_OUTLET, BY_TICKET, BY_ROLE, BY_REGION):
    raise ImportError("index_pass and explaining number the rules differently")
_COMPILED_STEPS = (BizStep.OUT_FOR_DELIVERY, BizStep.ROUTE_RELEASED, BizStep.ROUTE_ASSIGNED)
if tuple(STEP[step] for step in _COMPILED_STEPS) != (passes.CARRIED, passes.RELEASED, passes.ASSIGNED):
    raise ImportError("index_pass and event number the steps differently")


class _Chains:
    """Rows of five words by their first one: see :mod:`~parcelveil.watch.index_pass`."""

    def __init__(self, bits: int = 10) -> None:
        self.bits = bits
        self.heads = np.full(1 << bits, -1, np.int32)
        self.blocks = np.zeros(passes.STRIDE * 256, np.int64)
        self.state = np.array([0, -1, 0, 0, 0], np.int64)
        self._swept = 0

    def __len__(self) -> int:
        return int(self.state[passes.COUNT])

    def add(self, rows: I64) -> None:
        done = 0
        while done < len(rows):
            done = passes.insert(self.heads, self.blocks, self.state, self.bits, rows, done)
            if done < len(rows):
                self._grow(len(self.blocks) // (4 * passes.STRIDE))
            if len(self) > _CROWDED * len(self.heads):
                self._split()

    def sweep(self, rows: int, floor: int, reach: I64) -> None:
        """Forget what is too old in the next buckets: with ``rows`` that were added, in as many as held four times that."""
        size = len(self.heads)
        high = self._swept + 1 + _SWEPT * rows * size // max(1, len(self))
        high = min(high, size)
        passes.rebuild(self.heads, self.heads, self.blocks, self.state, self.bits, floor, reach, self._swept, high)
        self._swept = high % size

    def _split(self) -> None:
        heads = np.full(2 * len(self.heads), -1, np.int32)
        free = len(self.blocks) // passes.STRIDE - int(self.state[passes.USED])
        if free < len(self.heads):
            self._grow(len(self.heads) - free)
        nothing = np.zeros(_STEPS, np.int64)
        passes.rebuild(self.heads, heads, self.blocks, self.state, self.bits + 1, _EVER, nothing, 0, len(self.heads))
        self._swept = 0
        self.heads, self.bits = heads, self.bits + 1

    def _grow(self, blocks: int) -> None:
        # In place: the machine moves pages instead of copying, so that growing never needs the memory twice.
        self.blocks.resize(len(self.blocks) + blocks * passes.STRIDE, refcheck=False)


class WorkIndex:
    """See the module. ``rules``: of schema :data:`~parcelveil.watch.explaining.RULE`."""

    def __init__(self, rules: pa.Table) -> None:
        self._parcels, self._routes = _Chains(), _Chains(6)
        self._floor = _EVER
        self.rules = rules

    def __len__(self) -> int:
        """Work rows that are kept."""
        return len(self._parcels) + len(self._routes)

    @property
    def rules(self) -> pa.Table:
        """The rules. May be set anew with more roles, never with other steps: work without a rule is not kept."""
        return self._table

    @rules.setter
    def rules(self, rules: pa.Table) -> None:
        column = {name: np.asarray(rules[name], np.int64) for name in rules.schema.names}
        of_region = column["whom"] == BY_REGION  # asked of few looks, so that the others do not pay for them
        self._table = rules
        self._rules, self._starts = _by_step({name: part[~of_region] for name, part in column.items()})
        self._near_rules, self._near_starts = _by_step({name: part[of_region] for name, part in column.items()})
        self._reach = np.zeros(_STEPS, np.int64)
        np.maximum.at(self._reach, column["step"], column["after_us"])
        self._lasting = np.full(_STEPS, int(self._reach[passes.CARRIED]) + HELD, np.int64)  # of routes
        by = np.where(column["onward"] > 0, 0, column["whom"])  # 0: the outlet that the parcel goes to
        self._has = np.zeros((6, _STEPS), np.bool_)
        self._has[by, column["step"]] = True

    @property
    def repeated(self) -> int:
        """Work rows that said nothing new."""
        return int(self._parcels.state[passes.REPEATED] + self._routes.state[passes.REPEATED])

    @property
    def bytes_held(self) -> int:
        """Memory of the index."""
        return sum(chains.blocks.nbytes + chains.heads.nbytes for chains in (self._parcels, self._routes))

    def add(self, works: Columns) -> None:
        """Keep the rows of ``works`` (arrays by the names of CODED_WORK) that can explain anything."""
        step = works["step"].view(np.uint8)
        waybill, time = works["waybill"], works["time"]
        actor, outlet, to_outlet = works["actor"], works["outlet"], works["to_outlet"]
        ticket, route = works["ticket"], works["route"]
        lives = (waybill != 0) & (time >= self._floor - self._reach[step])
        by_route = (step == passes.CARRIED) & (actor == -1) & (route >= 0)
        somebody = actor != -1
        plain = self._has[BY_ACTOR][step] & ((actor >= 0) | by_route)
        plain |= (self._has[BY_OUTLET] | self._has[BY_REGION])[step] & (outlet >= 0)
        plain |= self._has[BY_TICKET][step] & (ticket >= 0) & somebody
        plain |= self._has[BY_ROLE][step] & somebody
        self._keep(works, np.flatnonzero(plain & lives), outlet, 0)
        self._keep(works, np.flatnonzero(self._has[0][step] & (to_outlet >= 0) & lives), to_outlet, passes.ONWARD)
        routed = (step == passes.RELEASED) | (step == passes.ASSIGNED)
        rows = np.flatnonzero(routed & (route >= 0)) if routed.any() else np.zeros(0, np.int64)
        if rows.size:
            words = np.empty((len(rows), passes.WORDS), np.int64)
            words[:, 0], words[:, 4] = route[rows], works["id"][rows]
            words[:, 1], words[:, 2] = time[rows], works["received"][rows]
            words[:, 3] = (actor[rows].astype(np.int64) << 32) | step[rows]
            self._routes.add(words)
            self._routes.sweep(len(words), self._floor, self._lasting)

    def _keep(self, works: Columns, rows: I64, place: npt.NDArray[Any], kind: int) -> None:
        if not rows.size:
            return
        step = works["step"][rows].astype(np.int64)
        words = np.empty((len(rows), passes.WORDS), np.int64)
        words[:, 0], words[:, 1] = works["waybill"][rows], works["time"][rows]
        words[:, 2] = works["received"][rows]
        words[:, 3] = (works["actor"][rows].astype(np.int64) << 32) | place[rows].astype(np.uint32)
        if kind:  # of a parcel on its way only the outlet matters
            words[:, 3] |= np.int64(-1) << 32
            words[:, 4] = (np.int64(-1) << 32) | kind | step
        else:
            named = np.where(step == passes.CARRIED, works["route"][rows], works["ticket"][rows]).astype(np.int64)
            words[:, 4] = (named << 32) | step
        self._parcels.add(words)
        self._parcels.sweep(len(words), self._floor, self._reach)

    def explain(self, looks: Columns, known: I64, levels: npt.NDArray[np.int8]) -> None:
        """Raise ``levels`` in place, of looks (arrays by the names of CODED_ACCESS) by work received up to ``known``.

        A level below 0 says that none applies, and stays.
        """
        parcels, routes = self._parcels, self._routes
        passes.explain(
            parcels.heads,
            parcels.blocks,
            parcels.bits,
            routes.heads,
            routes.blocks,
            routes.bits,
            HELD,
            self._rules,
            self._starts,
            looks["waybill"],
            looks["time"],
            known,
            looks["actor"],
            looks["role"],
            looks["outlet"],
            looks["ticket"],
            levels,
        )

    def in_region(self, looks: Columns, known: I64, regions: npt.NDArray[np.int32]) -> npt.NDArray[np.int8]:
        """Of each look, whether a rule of the region holds by work received up to ``known``: 1 or 0.

        ``regions`` by the code of the outlet, -1 for what is not known. -1 where that of the look's outlet is not.
        """
        parcels, found = self._parcels, np.empty(len(known), np.int8)
        passes.in_region(
            parcels.heads,
            parcels.blocks,
            parcels.bits,
            self._near_rules,
            self._near_starts,
            regions,
            looks["waybill"],
            looks["time"],
            known,
            looks["outlet"],
            found,
        )
        return found

    def prune(self, floor: int) -> None:
        """Nothing before ``floor`` will be asked any more. What is too old goes little by little, as other work comes."""
        self._floor = max(floor, self._floor)


def _by_step(column: Columns) -> tuple[I64, I64]:
    """Rules as the compiled functions take them, sorted by step, and where each step's begin."""
    order = np.argsort(column["step"], kind="stable")
    names = ("whom", "onward", "level", "before_us", "after_us", "role")
    rules = np.column_stack([column[name][order] for name in names]).reshape(-1, len(names))
    return rules, np.searchsorted(column["step"][order], np.arange(_STEPS + 1)).astype(np.int64)
