"""What is said while the day runs: bulk, enumeration, new devices, refused looks, exports, decoys.

::

    live = Live(day, limits, usual.fixed(), decoys)
    signals = live.take(rows)                     # rows that want a reason, as they come; a part, or the whole day
    live.end(actors)                              # the day's statistics, for the thresholds of days to come

Counts are those of :class:`~parcelveil.watch.running.Running`. A count ``c`` is measured against the account's usual ``u`` on
the scale ``2 sqrt(k) (arsinh sqrt((c + 3/8) / k) - arsinh sqrt((u + 3/8) / k))`` on which negative-binomial counts of size ``k``
vary alike, however many they are (Anscombe 1948): like square roots for few, like logarithms for many. The threshold
is one on that scale, from the weeks before. It is fixed when the day begins, and so the moment of crossing does not
depend on how the stream was cut.

**An outage is not a raid.** When scans do not come in, all people of an outlet seem to look without a reason; on a promotion
day the whole carrier does so thrice as often. The usual of ``bulk`` is therefore raised by what the *others* of the outlet, and of the
carrier, have at that very moment beyond their usual whole day. A raid by one account does not raise it, for his own
looks are left out. What the carrier had too much on the day before raises the limits of all counts: a peak lasts for days.

Before anything is known of a carrier only :data:`HARD` limits count, which no work comes near.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.event import SEEN_FIELDS
from parcelveil.watch.baseline import Codes
from parcelveil.watch.by_code import firsts, spread
from parcelveil.watch.coded import ACTIONS, OUTCOMES
from parcelveil.watch.quantiles import Floats
from parcelveil.watch.running import Kind, Running
from parcelveil.watch.signals import Signal
from parcelveil.watch.streaming import NEW_ROWS
from parcelveil.watch.usual import BULK, COUNTS, DEVICE, HARD, LIVE, Fixed, Shelf, of_keys

I64 = npt.NDArray[np.int64]

_KINDS: tuple[Kind, ...] = ("actor", "device", "network")
_MORE, _ANYBODY = 1.6, 150.0  # times the usual looks of a day; and what is much for anybody
#: Counts which no small class of accounts makes harmless, and how many times the usual is much for anybody.
_NEVER_MORE, _TIMES = {"actor.steps": 200.0, "actor.failed": 80.0}, 5.0
_NOBODY = 1.0  # on that scale, the most that counts are worth which are too few to call anybody
#: Records from which on an export is a list.
_LIST = 100.0
_EXPORT, _OK = ACTIONS.index("export"), OUTCOMES.index("ok")
_PERSONAL = SEEN_FIELDS["phone"] | SEEN_FIELDS["address"]
_FARTHEST = 50.0  # a limit on the scale of counts that no count reaches
#: Size of the negative binomial whose scale counts are put on.
_SIZE = 3.0
#: Parcels that an outlet may have more than usual before that says anything.
_SLACK = 3.0
#: Of what happened on a device or network, who did so much of it is named beside it.
_PART, _AT_LEAST = 0.15, 3
_MOST_ROWS = 200


class Live:
    """One day as it runs. ``limits``: of each statistic one number a code, on the scale of counts; empty: none yet."""

    def __init__(
        self,
        day: int,
        limits: Mapping[str, Floats],
        fixed: Fixed,
        shelf: Shelf,
        decoys: set[int],
        offset_minutes: int = 480,
        carried: float = 1.0,
    ) -> None:
        self._carried = carried
        self.day, self._limits, self._fixed, self._shelf, self._decoys = day, limits, fixed, shelf, decoys
        none = np.zeros(0, np.int64)
        self._running = {kind: Running(day, none, key=kind, offset_minutes=offset_minutes) for kind in _KINDS}
        self._rows: list[pa.Table] = []
        self._said: set[tuple[str, int]] = set()
        self.exports: set[tuple[int, int]] = set()  # roles and fields of today's
        self._waiting: dict[tuple[str, int], tuple[int, int, float]] = {}  # shared things over their limit

    def take(self, rows: pa.Table) -> list[Signal]:
        """Count these rows, and say what they show for the first time today."""
        if not rows.num_rows:
            return []
        self._rows.append(rows.select(_KEPT))
        signals = self._hits(rows) + self._new_exports(rows)
        for kind, running in self._running.items():
            running.feed(rows)
            wanted = {}
            for name in LIVE:
                if name.startswith(kind + ".") and name not in (BULK, DEVICE):
                    wanted[name.removeprefix(kind + ".")] = lambda keys, name=name: self.count_limit(name, keys)
            crossed = running.crossings(wanted, fresh=True)
            for key, count, time, row, value in zip(
                *(crossed[c].to_pylist() for c in crossed.column_names), strict=True
            ):
                if kind == "actor":
                    signals += self._crossed(f"{kind}.{count}", key, time, row, value)
                else:
                    self._waiting.setdefault((f"{kind}.{count}", key), (time, row, value))
        return signals + self._shared() + self._new_devices() + self._bulk()

    def end(self, actors: Codes) -> dict[str, tuple[npt.NDArray[np.integer], Floats]]:
        """By statistic, keys and values on the scale of counts: of accounts all ``actors``, of others those seen."""
        made: dict[str, tuple[npt.NDArray[np.integer], Floats]] = {}
        keys: npt.NDArray[np.integer]
        for name in LIVE:
            keys, counts = self.counts(name)
            usual = self.usual(name, actors if name.startswith("actor.") else keys)
            if name.startswith("actor."):
                keys, counts = actors, spread(keys, counts, actors)
            if name == BULK:
                usual = usual * self._surges(actors, counts)
            few = counts < COUNTS[name][2]  # for which nobody is ever called
            made[name] = keys, np.minimum(_scale(counts) - _scale(usual), np.where(few, _NOBODY, np.inf))
        return made

    def counts(self, name: str) -> tuple[I64, Floats]:
        """Keys that have any of a count, ascending, and how many."""
        if name == DEVICE:
            keys, counts = np.unique(self._strangers(new_device=True)[0], return_counts=True)
            return keys, counts.astype(np.float64)
        kind, count = name.split(".")
        keys, counts = self._running[kind].finals()[count]  # type: ignore[index]
        return keys, counts.astype(np.float64)

    def usual(self, name: str, keys: npt.NDArray[np.integer]) -> Floats:
        """What is usual of each key; of one that is new, what is usual of all."""
        known = self._fixed.usual.get(name, np.zeros(0))
        return of_keys(known, keys, float(known.mean()) if len(known) else 0.0)

    def count_limit(self, name: str, keys: npt.NDArray[np.integer], surge: Floats | float = 1.0) -> Floats:
        """The count above which a key is told of."""
        limits = self._limits.get(name, np.zeros(0))
        if not len(limits):
            return np.full(len(keys), HARD[name])
        surge = np.maximum(surge, self._carried)
        usual = self.usual(name, keys) * (surge if name == BULK else self._carried)
        limit = of_keys(limits, keys, np.inf) if name.startswith("actor.") else np.full(len(keys), limits[0])
        unknown = np.maximum(HARD[name], 4 * usual)  # of a new account, or a class that is too small
        counts = _unscale(_scale(usual) + np.clip(limit, 0.0, _FARTHEST))
        if name == BULK:  # nobody has more without work than he ever looks at, however late his scans come
            most = _MORE * of_keys(self._fixed.looks, keys, 0.0) * surge
            counts = np.minimum(counts, np.maximum(most, _ANYBODY))
        elif name in _NEVER_MORE:
            counts = np.minimum(counts, np.maximum(_NEVER_MORE[name], _TIMES * usual))
        return np.where(np.isfinite(limit), np.maximum(counts, COUNTS[name][2] * self._carried), unknown)

    def surge_before(self, moment: int) -> float:
        """How much more than usual the whole carrier had by ``moment`` (of receipt) that no work explained."""
        received = self._strangers()[2]
        return max(1.0, int(np.count_nonzero(received < moment)) / (self._fixed.everywhere + 10 * _SLACK))

    # -- counts that need the rows themselves -------------------------------------------------------------------------

    def _new_devices(self) -> list[Signal]:
        """Parcels that no work explains on a device that is new to account and outlet."""
        keys, counts = self.counts(BULK)  # which no account's count on new devices exceeds
        if not (counts > self.count_limit(DEVICE, keys)).any():
            return []
        key, row, time = self._strangers(new_device=True)
        signals: list[Signal] = []
        keys, times = np.unique(key, return_counts=True)
        for one in keys[times > self.count_limit(DEVICE, keys)].tolist():
            mine = np.flatnonzero(key == one)
            at = int(np.floor(self.count_limit(DEVICE, np.array([one]))[0]))
            signals += self._crossed(DEVICE, one, int(time[mine[at]]), int(row[mine[at]]), at + 1)
        return signals

    def _bulk(self) -> list[Signal]:
        keys, counts = self.counts(BULK)
        candidates = keys[counts > self.count_limit(BULK, keys)]
        candidates = np.array([key for key in candidates.tolist() if (BULK, key) not in self._said], np.int64)
        if not len(candidates):
            return []
        key, row, time = self._strangers()
        outlet = of_keys(self._fixed.outlet_of, key, -1)
        signals: list[Signal] = []
        for one in candidates.tolist():
            mine = np.flatnonzero(key == one)
            own = np.arange(1, len(mine) + 1)
            home = int(of_keys(self._fixed.outlet_of, np.array([one]), -1)[0])
            beside = np.flatnonzero(outlet == home) if home >= 0 else np.zeros(0, np.int64)
            others = np.searchsorted(beside, mine, side="right") - own if home >= 0 else np.zeros(len(mine))
            surge = self._surge(np.full(len(mine), one), home, others, mine + 1 - own)
            over = own > self.count_limit(BULK, np.full(len(mine), one), surge)
            if over.any():
                at = int(np.argmax(over))
                signals += self._crossed(BULK, one, int(time[mine[at]]), int(row[mine[at]]), at + 1)
        return signals

    def _surge(
        self, keys: I64, outlet: int, beside: npt.NDArray[np.number], everywhere: npt.NDArray[np.number]
    ) -> Floats:
        """How much more than in a usual whole day the others at the outlet, and of the carrier, have by now."""
        total = float(of_keys(self._fixed.outlet, np.array([outlet]), 0.0)[0]) if outlet >= 0 else 0.0
        return self._factor(self.usual(BULK, keys), total, beside, everywhere)

    def _surges(self, actors: Codes, counts: Floats) -> Floats:
        """The factor of each account at the end of the day."""
        outlets = of_keys(self._fixed.outlet_of, actors, -1)
        there = outlets >= 0
        totals = np.bincount(outlets[there], weights=counts[there]) if there.any() else np.zeros(1)
        others = np.where(there, totals[np.maximum(outlets, 0)] - counts, 0.0)
        usual = np.where(there, of_keys(self._fixed.outlet, np.maximum(outlets, 0), 0.0), 0.0)
        return self._factor(self.usual(BULK, actors), usual, others, counts.sum() - counts)

    def _factor(
        self, own: Floats, outlet: Floats | float, beside: npt.NDArray[np.number], everywhere: npt.NDArray[np.number]
    ) -> Floats:
        """How far what the others have, ``beside`` and ``everywhere``, is above what is usual of the ``outlet`` and the carrier."""
        at_home = beside / (np.maximum(outlet - own, 0.0) + _SLACK)
        overall = everywhere / (self._fixed.everywhere + 10 * _SLACK)
        factor: Floats = np.maximum(1.0, np.maximum(at_home, overall))
        return factor

    def _strangers(self, *, new_device: bool = False) -> tuple[I64, I64, I64]:
        """Account, id and receipt of each look at a parcel that the account had not seen today, at level 0."""
        table = self._table()
        level, waybill = table["provisional"].to_numpy(), table["waybill"].to_numpy()
        wanted = (level == 0) & (waybill != 0)
        if new_device:
            wanted &= self._shelf.new(*(table[name].to_numpy() for name in ("actor", "device", "outlet")))
        at = np.flatnonzero(wanted)
        actor, waybill = table["actor"].to_numpy()[at].astype(np.int64), waybill[at]
        rows = firsts(actor, waybill)
        at, actor = at[rows], actor[rows]
        return actor, table["id"].to_numpy()[at], table["received"].to_numpy()[at]

    # -- signals ------------------------------------------------------------------------------------------------------

    def _hits(self, rows: pa.Table) -> list[Signal]:
        """Looks at decoys: one is enough, and no work leads there."""
        if not self._decoys:
            return []
        at = np.flatnonzero(np.isin(rows["waybill"].to_numpy(), np.fromiter(self._decoys, np.int64)))
        signals = []
        for actor, time, row in zip(
            *(rows[c].to_numpy()[at].tolist() for c in ("actor", "received", "id")), strict=True
        ):
            if ("decoy", actor) not in self._said:
                self._said.add(("decoy", actor))
                ids = np.array([row], np.int64)
                signals.append(Signal("actor", actor, "decoy", time, self.day, 1.0, 0.0, 0.0, 0.0, ids))
        return signals

    def _new_exports(self, rows: pa.Table) -> list[Signal]:
        """Exports of fields that nobody of the role has exported before: what is returned tells more than how much."""
        at = np.flatnonzero((rows["action"].to_numpy() == _EXPORT) & (rows["outcome"].to_numpy() == _OK))
        names = ("actor", "role", "fields", "records", "received", "id")
        signals = []
        for actor, role, fields, records, time, row in zip(
            *(rows[c].to_numpy()[at].tolist() for c in names), strict=True
        ):
            self.exports.add((role, fields))
            new = self._limits and (role, fields) not in self._fixed.exports and fields & _PERSONAL
            if new and records >= _LIST and ("export", actor) not in self._said:
                self._said.add(("export", actor))
                ids = np.array([row], np.int64)
                signals.append(Signal("actor", actor, "export", time, self.day, records, 0.0, 0.0, _LIST, ids))
        return signals

    def _crossed(self, name: str, key: int, time: int, row: int, value: float) -> list[Signal]:
        if (name, key) in self._said:
            return []
        self._said.add((name, key))
        table = self._table()
        received, ids = table["received"].to_numpy(), table["id"].to_numpy()
        mine = ((received < time) | ((received == time) & (ids <= row))) & (table["actor"].to_numpy() == key)
        return [self._signal(name, "actor", key, time, value, ids[mine], key)]

    def _shared(self) -> list[Signal]:
        """Devices and networks over their limit, as soon as two accounts have a part in it: one alone is told as himself."""
        signals: list[Signal] = []
        for (name, key), (time, row, value) in list(self._waiting.items()):
            kind, table = name.split(".", maxsplit=1)[0], self._table()
            at = np.flatnonzero(table[kind].to_numpy() == key)
            received, ids, actor = (table[column].to_numpy()[at] for column in ("received", "id", "actor"))
            since = int(np.searchsorted(received, time)) + int(np.count_nonzero((received == time) & (ids < row)))
            until, parts = np.arange(1, len(at) + 1), {}
            for one in np.unique(actor).tolist():  # few: those of one outlet
                parts[one] = np.cumsum(actor == one) >= np.maximum(_AT_LEAST, _PART * until)
            both = np.flatnonzero(np.sum(list(parts.values()), axis=0)[since:] > 1)
            if not len(both):
                continue
            end = since + int(both[0])
            del self._waiting[name, key]
            self._said.add((name, key))
            signals.append(self._signal(name, kind, key, int(received[end]), value, ids[: end + 1], key))
            for one, part in parts.items():
                if part[end]:
                    rows = ids[: end + 1][actor[: end + 1] == one]
                    signals.append(self._signal(name, "actor", one, int(received[end]), value, rows, key))
        return signals

    def _signal(self, name: str, kind: str, subject: int, time: int, value: float, rows: I64, key: int) -> Signal:
        codes = np.array([key])
        expected, limit = float(self.usual(name, codes)[0]), float(self.count_limit(name, codes)[0])
        detector = COUNTS[name][0]
        return Signal(kind, subject, detector, time, self.day, value, expected, 1.0, limit, rows[-_MOST_ROWS:])

    def _table(self) -> pa.Table:
        if not self._rows:
            return NEW_ROWS.empty_table().select(_KEPT)
        if len(self._rows) > 1:
            self._rows = [pa.concat_tables(self._rows).combine_chunks()]
        return self._rows[0]


_KEPT = ["id", "received", "actor", "outlet", "device", "network", "waybill", "provisional"]


def _scale(counts: Floats) -> Floats:
    result: Floats = 2 * np.sqrt(_SIZE) * np.arcsinh(np.sqrt((np.maximum(counts, 0.0) + 0.375) / _SIZE))
    return result


def _unscale(values: Floats) -> Floats:
    result: Floats = _SIZE * np.sinh(values / (2 * np.sqrt(_SIZE))) ** 2 - 0.375
    return result
