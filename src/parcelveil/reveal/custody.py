"""Where each parcel is, and who may therefore see it: the custody index.

It is a folder that work events are loaded into and that answers for a hundred million parcels without holding them in
memory::

    >>> import tempfile
    >>> from parcelveil.event import Work, work_batch
    >>> day = datetime(2026, 11, 23, tzinfo=UTC)
    >>> def scan(hour, step, **columns):
    ...     at = day + timedelta(hours=hour)
    ...     return Work(event_id=f"{hour}", event_time=at, biz_step=step, waybill_no="YT1", outlet="A7", **columns)
    >>> custody = Custody(Path(tempfile.mkdtemp()) / "custody")
    >>> events = [scan(6, "arrived"), scan(8, "out_for_delivery", actor="c12")]
    >>> custody.load([work_batch(events)], now=micros(day + timedelta(hours=9)))
    Loaded(events=2, applied=1, passed_over=1, other=0)
    >>> parcels = pa.array(["YT1", "YT2"])
    >>> facts = custody.facts(parcels, actor="c12", outlet="B3", now=micros(day + timedelta(hours=9)))
    >>> facts.known.tolist(), facts.on_route.tolist(), facts.at_outlet.tolist()
    ([True, False], [True, False], [False, False])

**Which event counts.** Of a parcel's events the one with the latest ``event_time``; between equals the later step in
:class:`~parcelveil.event.BizStep`, then the event id (by its hash). The order of arrival does not matter: an event that
comes twelve hours late never hides a newer one, and a file loaded twice changes nothing. A pickup assignment counts only as
long as there is no other event of the parcel, whatever the times.

**Clocks.** A position that is more than five minutes later than ``now`` does not count: an outlet's clock that runs
ahead gives nobody custody. The event stays in the index, beside the newest event that was not in the future when it
was loaded, and counts once its time has come. Routes and tickets come from systems with good clocks and plans for
tomorrow: there only what is not later than ``now`` counts. Questions about a time more than ten minutes before the last
load are not for this index: it may have dropped what counted then, and says no.

**Custody ends by itself.** A courier's after :data:`ROUTE_DAYS` days without a later event, an outlet's after
:data:`OUTLET_DAYS`: a lost scan must not keep a door open for years.

**An event that says less gives less.** A position without an outlet, or out for delivery without an actor or route,
takes away what there was before and gives nothing.

**A ticket explains a look when somebody else is known to have opened it**: another of the staff, or the customer. One without
an opener explains nothing. Staff numbers and outlets are compared as they are :func:`~parcelveil.event.folded`; a
ticket system that spells them in another way than the register of staff makes everybody's own tickets somebody else's.

Look-ups take arrays; one row costs some 50 to 150 µs, many rows about 1 µs each. Any number of threads may ask; one process
at a time loads, while others ask, and see its work after :meth:`Custody.refresh`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.event import BizStep, folded
from parcelveil.reveal import custody_load
from parcelveil.reveal.custody_files import Files, View
from parcelveil.reveal.custody_load import CODES, Hashes, Loaded, texts, words
from parcelveil.reveal.segments import HOLDER, LATEST, PLACE, ROUTE, Words, find, steps, times
from parcelveil.seal.siv import Bytes2D

__all__ = ["STATES", "TOLERANCE", "Custody", "Facts", "Loaded", "Where", "micros"]

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint32]

#: How long custody lasts that no later event has ended, in days: a scan that was lost must not keep a door open.
ROUTE_DAYS = 7
OUTLET_DAYS = 90
#: A position may be this much later than now, in microseconds.
TOLERANCE = 5 * 60 * 1_000_000
_DAY = 86_400 * 1_000_000
#: The code of names that the index does not have, and of no name at all: no record holds it.
_NOBODY = 0xFFFF_FFFF
_MOST_CACHED = 1 << 16


def _flags(*chosen: BizStep) -> Bools:
    """A table of all step numbers, true at those of ``chosen``."""
    table = np.zeros(256, np.bool_)
    table[[CODES[step] for step in chosen]] = True
    return table


_CARRIED = _flags(BizStep.OUT_FOR_DELIVERY, BizStep.ATTEMPTED)
_HERE = _CARRIED | _flags(BizStep.POSTED, BizStep.ARRIVED, BizStep.CUSTOMS_HELD)
_GONE = _flags(BizStep.DEPARTED, BizStep.RETURNED, BizStep.DELIVERED)
#: Names of the steps by number; empty for 0.
STATES = ["", *(step.value for step in BizStep)]


class Facts(NamedTuple):
    """What custody says about each row: the conditions that a scene can ask for. Arrays of ``n`` truth values."""

    known: Bools  #: an event of the parcel counts now
    at_outlet: Bools  #: it lies at this outlet, or is out for delivery from it
    on_route: Bools  #: this actor carries it to the door, or is the one to collect it
    handled: Bools  #: its last event was here, within the days asked for, and ended this outlet's part
    ticket: Bools  #: the ticket is open, names this parcel, and somebody known, not the actor, opened it


class Where(NamedTuple):
    """Where each parcel is. Arrays of ``n``; outlet, holder and route are codes for :meth:`Custody.names`, 0 for none."""

    known: Bools
    state: npt.NDArray[np.uint8]  #: place in :data:`STATES`
    outlet: Codes
    holder: Codes  #: the courier who has it now, or who will collect it
    route: Codes
    since: npt.NDArray[np.int64]  #: time of the event that counts, microseconds; 0 for what is not known


class _State(NamedTuple):
    """What a question needs, taken once: another thread may load or refresh meanwhile."""

    view: View
    hashes: Hashes
    codes: dict[str, int]  # of names looked up before; codes never change, so only names that exist are kept

    def __repr__(self) -> str:
        return repr(self.view)


def micros(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of a time with a zone."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Custody:
    """The index in ``folder``, which need not exist before something is loaded.

    Raises WorkspaceError when the folder is damaged or cannot be read. Times are microseconds since 1970 UTC.
    """

    def __init__(self, folder: Path) -> None:
        self._files = Files(folder)
        self._state = _state(self._files.view())

    def __repr__(self) -> str:
        return f"<Custody {self._files.folder}>"

    def refresh(self) -> bool:
        """See what other processes have loaded since; whether there was anything. Takes microseconds when not."""
        if self._files.stamp() == self._state.view.stamp:
            return False
        before, view = self._state, self._files.view()
        # Codes never change while an index grows; one that was restored from a backup may give them anew.
        grown = view.key == before.hashes.key and view.manifest.generation > before.view.manifest.generation
        self._state = before._replace(view=view) if grown else _state(view)
        return True

    def check(self) -> None:
        """Read the whole index and compare its checksums. Raises WorkspaceError; about a second a gigabyte."""
        self._files.check(self._state.view)

    @property
    def generation(self) -> int:
        """How often the index was changed."""
        return self._state.view.manifest.generation

    @property
    def records(self) -> int:
        """How many records the index has: one a parcel, and some for names, routes, tickets and what is not merged."""
        return sum(segment.count for segment in self._state.view.segments)

    def load(self, events: Iterable[pa.RecordBatch], *, now: int | None = None) -> Loaded:
        """Add batches of :data:`~parcelveil.event.WORK`: all of them, durably, or none when anything goes wrong.

        ``now`` (default: the system's clock) says what is in the future. Waits while another process loads.
        Raises InputError for batches of another schema, WorkspaceError when the folder cannot be written.
        """
        with self._files.writing() as view:
            moment = time.time_ns() // 1000 if now is None else now
            loaded = custody_load.load(self._files, view, Hashes(view.key), events, moment)
        self.refresh()
        return loaded

    # -- questions ---------------------------------------------------------------------------------------------------

    def facts(
        self, waybill_no: pa.Array, *, actor: str, outlet: str, now: int, ticket: str = "", handled_days: int = 30
    ) -> Facts:
        """What holds at ``now`` between each parcel and one actor, his outlet and, if he names one, his ticket."""
        state = self._state
        codes = self._codes(state, [actor, outlet])
        tickets = state.hashes.ticket(ticket) if ticket else None
        return _facts(state, texts(waybill_no), codes[:1], codes[1:], tickets, None, now, handled_days)

    def facts_many(
        self,
        waybill_no: pa.Array,
        actor: pa.Array,
        outlet: pa.Array,
        ticket: pa.Array | None,
        now: int,
        *,
        handled_days: int = 30,
    ) -> Facts:
        """:meth:`facts` where each row has an actor, an outlet and a ticket of its own; null and "" are none.

        Raises ValueError for arrays of different lengths.
        """
        if not len(waybill_no) == len(actor) == len(outlet) == (len(waybill_no) if ticket is None else len(ticket)):
            raise ValueError("the columns have different lengths")
        state = self._state
        actors, outlets = self._column(state, actor), self._column(state, outlet)
        hashed, asked = None, None
        if ticket is not None:
            tickets = texts(ticket)
            asked = pc.binary_length(tickets).to_numpy(zero_copy_only=False) > 0
            hashed = state.hashes.tickets(tickets) if asked.any() else None
        return _facts(state, texts(waybill_no), actors, outlets, hashed, asked, now, handled_days)

    def at(self, waybill_no: pa.Array, now: int) -> Where:
        """Where each parcel is at ``now``."""
        view, hashes, _ = self._state
        known, rows = find(view.segments, *_asked(hashes.parcels(texts(waybill_no)), now + TOLERANCE))
        state, holder = steps(rows), rows[:, HOLDER].copy()
        carried = _CARRIED[state]
        holder[~carried & (state != CODES[BizStep.PICKUP_ASSIGNED])] = 0
        open_ = np.flatnonzero(carried & (holder == 0) & (rows[:, ROUTE] != 0))
        if open_.size:
            holder[open_] = _route_holders(view, hashes, rows[open_, ROUTE], now)
        since = np.where(known, times(rows), 0)
        return Where(known, state, rows[:, PLACE].copy(), holder, rows[:, ROUTE].copy(), since)

    def names(self, codes: Codes) -> pa.StringArray:
        """The outlets, staff numbers or routes that codes in :class:`Where` stand for; null for 0."""
        return self._state.view.names(codes)

    def ticket_known(self, ticket: str) -> bool:
        """Whether any event ever named this ticket."""
        view, hashes, _ = self._state
        known, _ = find(view.segments, *_asked(hashes.ticket(ticket), LATEST))
        return bool(known[0])

    # -- names into codes --------------------------------------------------------------------------------------------

    def _column(self, state: _State, names: pa.Array) -> Codes:
        column = texts(names)
        if len(column) < 32:
            return self._codes(state, column.to_pylist())
        encoded = column.dictionary_encode()
        codes = self._codes(state, encoded.dictionary.to_pylist())
        column_codes: Codes = codes[encoded.indices.to_numpy(zero_copy_only=False)]
        return column_codes

    def _codes(self, state: _State, names: list[str]) -> Codes:
        """The codes of outlets or staff numbers. (Nobody asks by route.)"""
        view, hashes, cached = state
        names = [folded(name) for name in names]
        codes = [cached.get(name, _NOBODY) for name in names]
        if _NOBODY in codes:
            missing = list({name for name, code in zip(names, codes, strict=True) if code == _NOBODY and name})
            if missing:
                known, rows = find(view.segments, *_asked(hashes.names(pa.array(missing, pa.string())), LATEST))
                found = dict(zip(np.array(missing, object)[known], rows[known, PLACE].tolist(), strict=True))
                if len(cached) + len(found) <= _MOST_CACHED:
                    cached.update(found)
                codes = [found.get(name, code) for name, code in zip(names, codes, strict=True)]
        return np.array(codes, np.uint32)


def _state(view: View) -> _State:
    return _State(view, Hashes(view.key or bytes(32)), {})


def _asked(hashes: Bytes2D, limit: int) -> tuple[Words, npt.NDArray[np.int64]]:
    return words(hashes), np.full(len(hashes), limit, np.int64)


def _facts(
    state: _State,
    waybill_no: pa.StringArray,
    actors: Codes,
    outlets: Codes,
    tickets: Bytes2D | None,
    asked: Bools | None,
    now: int,
    handled_days: int,
) -> Facts:
    """``actors``, ``outlets`` and ``tickets`` (hashes) have a row for each parcel, or one row for all."""
    view, hashes, _ = state
    parcels = hashes.parcels(waybill_no)
    known, rows = find(view.segments, *_asked(parcels, now + TOLERANCE))
    step = steps(rows)
    age = now - times(rows)
    outlet_fits, actor_fits = (rows[:, PLACE] == outlets) & (age <= OUTLET_DAYS * _DAY), rows[:, HOLDER] == actors
    lasting = age <= ROUTE_DAYS * _DAY
    carried = _CARRIED[step] & lasting
    on_route = actor_fits & (carried | ((step == CODES[BizStep.PICKUP_ASSIGNED]) & lasting))
    # The rest is asked only where it can still say yes.
    by_route = np.flatnonzero(carried & ~on_route & (rows[:, ROUTE] != 0) & (actors != _NOBODY))
    if by_route.size:
        holders = _route_holders(view, hashes, rows[by_route, ROUTE], now)
        on_route[by_route] = holders == (actors[by_route] if len(actors) == len(rows) else actors)
    handled = _GONE[step] & (rows[:, PLACE] == outlets) & (age <= handled_days * _DAY)
    named = np.zeros(len(rows), np.bool_)
    if tickets is not None:
        named = _tickets_fit(state, tickets, asked, parcels, actors, now)
    return Facts(known, _HERE[step] & outlet_fits, on_route, handled, named)


def _route_holders(view: View, hashes: Hashes, routes: Codes, now: int) -> Codes:
    """Who has each route now; 0 for nobody."""
    distinct, inverse = np.unique(routes, return_inverse=True)
    _, rows = find(view.segments, *_asked(hashes.routes(distinct), now))
    holders = np.where(steps(rows) == CODES[BizStep.ROUTE_ASSIGNED], rows[:, HOLDER], np.uint32(0))
    return holders[inverse]


def _tickets_fit(
    state: _State, tickets: Bytes2D, asked: Bools | None, parcels: Bytes2D, actors: Codes, now: int
) -> Bools:
    """Where a ticket was opened about the parcel by somebody known, not the actor, and has not been closed since.

    ``tickets`` are hashes, one for each parcel or one for all; ``asked`` says which rows name one (None: all).
    """
    view, hashes, _ = state
    fits = np.ones(len(parcels), np.bool_) if asked is None else asked
    each, mine = len(tickets) == len(parcels), len(actors) == len(parcels)
    at = np.flatnonzero(fits)
    named = tickets[at] if each else np.repeat(tickets, at.size, axis=0)
    opened, opening = find(view.segments, *_asked(hashes.about(named, parcels[at]), now))
    # Who opened it himself explains nothing by it, and what nobody opened may have been opened by himself.
    opened &= (opening[:, HOLDER] != 0) & (opening[:, HOLDER] != (actors[at] if mine else actors))
    if opened.any():
        closed, closing = find(view.segments, *_asked(hashes.closed(named if each else tickets), now))
        opened &= ~(closed & (times(closing) >= times(opening)))  # closed at the very moment of opening is closed
    fits = np.zeros(len(parcels), np.bool_)
    fits[at] = opened
    return fits
