"""Binds virtual numbers for waybills, keeps them alive as long as their parcels, and ends them. For the key holder.

::

    rows = workspace.numbers.bind([Wanted("YT0000000000001", 0, Secret(b"+8613812345678"))])
    rows[0].number, rows[0].extension         # what the label shows
    workspace.numbers.keep(workspace.custody)  # after new work events, or from cron

Which number belongs to which waybill lies in the workspace's state, without any phone; whom it reaches only the
provider knows (:class:`~parcelveil.ports.VirtualNumber`). The provider is not told the waybill number: a binding's key
is a keyed hash of number and revision, so that a repeated run finds what it bound before, and nobody looks up parcels
by it. Rows carry the key ring's seal; one that a database administrator wrote counts as none.

Everything may be killed at any moment and run again. What was bound when a run died is either in the state, or found at
the provider by its key, or ends by itself within fifteen days because nobody extends it.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import msgspec
import pyarrow as pa

from parcelveil.audit.rowseal import RowSeal
from parcelveil.errors import ProviderError, WorkspaceError
from parcelveil.label.numbers import Position, Rules, decide, moving
from parcelveil.ports import Clock, Engine, NumberBinding, NumberRequest, NumberRow, Secret, Store, VirtualNumber
from parcelveil.reveal.custody import STATES, Custody, micros

#: Rows that are looked at together.
PAGE = 1000
#: Days that the row of a number that has ended is still shown.
SHOWN_DAYS = 30
#: After so many failures in a row the provider is taken to be gone.
GIVE_UP = 20
_LABEL = b"parcelveil v1 virtual number"
_DAY = 86_400 * 1_000_000


class Wanted(NamedTuple):
    """A waybill that shall have a number, and the phone it shall reach. Its ``repr`` shows no phone."""

    waybill_no: str
    revision: int
    phone: Secret


class Kept(NamedTuple):
    """What one run of :meth:`Bindings.keep` came to."""

    bound: int  # bindings that live
    extended: int
    unbound: int  # delivered and past the days of grace, or older than any may be
    expired: int
    lapsed: int  # of these, parcels still on their way: they need a number and a label anew
    failed: int  # the provider refused or was not there
    forged: int  # rows without our seal; left alone
    error: str = ""  # what the provider said first


class Bindings:
    """See the module. ``provider`` is asked for when it is first needed; it may give None: none is set up."""

    def __init__(
        self,
        provider: Callable[[], VirtualNumber | None],
        *,
        store: Store,
        seal: RowSeal,
        key: bytes,
        clock: Clock,
        engine: Engine,
        rules: Rules | None = None,
    ) -> None:
        self._open, self._store, self._seal, self._key = provider, store, seal, key
        self._clock, self._engine, self._rules = clock, engine, rules or Rules.of()

    def __repr__(self) -> str:
        return "<Bindings>"

    @cached_property
    def _opened(self) -> VirtualNumber | None:
        return self._open()

    @property
    def provider(self) -> VirtualNumber:
        """The provider. Raises WorkspaceError when none is set up."""
        if self._opened is None:
            raise WorkspaceError(
                "no provider of virtual numbers is set up",
                hint='write virtual_numbers = "simulator:numbers.db" into parcelveil.toml; see docs/virtual-numbers.md',
            )
        return self._opened

    def close(self) -> None:
        """Close the provider, if it was used."""
        if "_opened" in self.__dict__ and self._opened is not None:
            self._opened.close()

    def _now(self) -> int:
        return micros(self._clock.now())

    # -- binding -----------------------------------------------------------------------------------------------------

    def living(self, waybill_no: Sequence[str]) -> dict[str, NumberRow]:
        """The rows of these waybills whose numbers live and that are really ours."""
        now = self._now()
        with self._store.reading() as tx:
            rows = tx.numbers_of(waybill_no)
        return {row.waybill_no: row for row in rows if row.lives(now) and self._seal.genuine(row)}

    def bind(self, wanted: Sequence[Wanted]) -> list[NumberRow]:
        """Bind a number for each waybill, at most one a waybill. A number of an older revision is unbound.

        What was bound is in the state when this returns, and also when the provider fails in the middle.
        Raises ProviderError, WorkspaceError.
        """
        before = self.living([one.waybill_no for one in wanted])
        now, provider = self._now(), self.provider
        expires = _at(now + self._rules.first)

        failures: list[ProviderError] = []

        def one(asked: Wanted) -> NumberRow | None:
            if failures:  # who is full or down is not asked for the rest
                return None
            name = f"{asked.waybill_no}\0{asked.revision}".encode()
            key = hmac.digest(self._key, _LABEL + name, "sha256")[:16].hex()
            try:
                binding = provider.bind(NumberRequest(key=key, phone=asked.phone, expires_at=expires))
            except ProviderError as failure:
                failures.append(failure)
                return None
            return _row(asked, binding, now)

        rows: list[NumberRow] = []
        try:
            for row in self._engine.map(one, wanted):
                if row is not None:  # one by one: what came before or beside a failure counts, for they run at once
                    rows.append(row)
        finally:
            if rows:
                with self._store.transaction() as tx:
                    tx.put_numbers([self._seal.sealed(row) for row in rows])
        if failures:
            raise failures[0]
        for row in rows:
            old = before.get(row.waybill_no)
            if old is not None and old.bind_id != row.bind_id:
                provider.unbind(old.bind_id)
        return rows

    # -- keeping -----------------------------------------------------------------------------------------------------

    def keep(self, custody: Custody) -> Kept:
        """Extend and unbind as custody says now. Safe to repeat, and beside another process that does the same."""
        custody.refresh()
        provider, now = self.provider, self._now()
        count: Counter[str] = Counter()
        error, row_of_failures = "", 0
        for page in self._pages():
            rows = [row for row in page if row.state == "bound"]
            ours = [row for row in rows if self._seal.genuine(row)]
            count["forged"] += len(rows) - len(ours)
            changed: list[tuple[NumberRow, NumberRow]] = []
            placed = _positions(ours, custody, now)
            todo = [item for item in placed if not self._stays(*item, now)]  # mostly few: only these take a call
            count["bound"] += len(placed) - len(todo)

            def act(item: tuple[NumberRow, Position]) -> tuple[NumberRow, NumberRow | ProviderError, bool]:
                row, position = item
                try:
                    return row, self._kept(provider, row, position, now), moving(position)
                except ProviderError as failure:
                    return row, failure, moving(position)

            for row, new, on_its_way in self._engine.map(act, todo):
                if isinstance(new, ProviderError):
                    error, row_of_failures = error or str(new), row_of_failures + 1
                    count["failed"] += 1
                    if row_of_failures == GIVE_UP:
                        break
                    continue
                row_of_failures = 0
                count[new.state] += 1
                count["lapsed"] += new.state == "expired" and on_its_way
                count["extended"] += new.state == "bound" and new.expires_at > row.expires_at
                if new != row:
                    changed.append((row, new))
            self._write(changed)
            if row_of_failures == GIVE_UP:
                break
        with self._store.transaction() as tx:
            tx.drop_ended_numbers(now - SHOWN_DAYS * _DAY)
        return Kept(**{name: count[name] for name in Kept._fields if name != "error"}, error=error)

    def _stays(self, row: NumberRow, position: Position, now: int) -> bool:
        """Whether the binding lives and is good as it is."""
        return row.lives(now) and decide(row, position, now, self._rules, self.provider.steps).act == "keep"

    def _kept(self, provider: VirtualNumber, row: NumberRow, position: Position, now: int) -> NumberRow:
        """The row as it stands after what has to be done with its binding."""
        if not row.lives(now):  # unless it was extended by who was killed before he could note it
            row = _as_it_stands(row, provider.query(row.bind_id), now)
            if row.state != "bound":
                return row
        decision = decide(row, position, now, self._rules, provider.steps)
        if decision.act == "unbind":
            provider.unbind(row.bind_id)
            return msgspec.structs.replace(row, state="unbound", expires_at=now)
        if decision.act == "extend":
            try:
                binding: NumberBinding | None = provider.extend(row.bind_id, _at(decision.until))
            except ProviderError:
                binding = provider.query(row.bind_id)
                if binding is not None and binding.state == "bound":
                    raise
            return _as_it_stands(row, binding, now)
        return row

    def _write(self, changed: Sequence[tuple[NumberRow, NumberRow]]) -> None:
        """Write rows, each unless it was changed or erased since it was read."""
        if changed:
            with self._store.transaction() as tx:
                there = {row.waybill_no: row for row in tx.numbers_of([old.waybill_no for old, _ in changed])}
                tx.put_numbers([self._seal.sealed(new) for old, new in changed if there.get(old.waybill_no) == old])

    # -- looking and ending ------------------------------------------------------------------------------------------

    def rows(self, waybill_no: Sequence[str] = ()) -> Iterator[NumberRow]:
        """The rows of these waybills, or all, in order of the waybill number; one that has expired says so."""
        now = self._now()
        if waybill_no:
            with self._store.reading() as tx:
                pages: Iterator[list[NumberRow]] = iter([sorted(tx.numbers_of(waybill_no), key=lambda r: r.waybill_no)])
        else:
            pages = self._pages()
        for page in pages:
            for row in page:
                over = row.state == "bound" and not row.lives(now)
                yield msgspec.structs.replace(row, state="expired") if over else row

    def unbind(self, waybill_no: Sequence[str]) -> int:
        """End the numbers of these waybills now. How many lived."""
        now, ended = self._now(), []
        for row in self.living(waybill_no).values():
            self.provider.unbind(row.bind_id)
            ended.append((row, msgspec.structs.replace(row, state="unbound", expires_at=now)))
        self._write(ended)
        return len(ended)

    def forget(self, waybill_no: Sequence[str]) -> None:
        """End the numbers of erased waybills and delete their rows.

        Raises ProviderError when some could not be ended; their rows stay, so that a repetition finds them.
        """
        with self._store.reading() as tx:
            rows = tx.numbers_of(waybill_no)
        failed: list[ProviderError] = []
        gone = []
        for row in rows:
            try:
                if row.state == "bound" and self._opened is not None and self._seal.genuine(row):
                    self._opened.unbind(row.bind_id)
                gone.append(row.waybill_no)
            except ProviderError as error:
                failed.append(error)
        if gone:
            with self._store.transaction() as tx:
                tx.drop_numbers(gone)
        if failed:
            raise ProviderError(
                "the waybills are erased, but {count} virtual numbers could not be unbound: {why}",
                hint="run the same command again when the provider answers",
                count=len(failed),
                why=str(failed[0]),
            )

    def forget_before(self, moment: datetime) -> None:
        """Like :meth:`forget`, for all that were bound before ``moment``."""
        while True:
            with self._store.reading() as tx:
                rows = tx.numbers_bound_before(micros(moment), PAGE)
            if not rows:
                return
            self.forget([row.waybill_no for row in rows])

    def _pages(self) -> Iterator[list[NumberRow]]:
        after = ""
        while True:
            with self._store.reading() as tx:
                rows = tx.numbers_after(after, PAGE)
            if not rows:
                return
            yield rows
            after = rows[-1].waybill_no


def _positions(rows: Sequence[NumberRow], custody: Custody, now: int) -> list[tuple[NumberRow, Position]]:
    """Each row with what custody says of its parcel."""
    if not rows:
        return []
    where = custody.at(pa.array([row.waybill_no for row in rows], pa.string()), now)
    facts = zip(rows, where.known.tolist(), where.state.tolist(), where.since.tolist(), strict=True)
    return [(row, Position(STATES[state], since) if known else Position("", 0)) for row, known, state, since in facts]


def _row(asked: Wanted, binding: NumberBinding, now: int) -> NumberRow:
    return NumberRow(
        waybill_no=asked.waybill_no,
        bind_id=binding.bind_id,
        model=binding.model,
        number=binding.number,
        extension=binding.extension,
        bound_at=now,
        expires_at=micros(binding.expires_at),
        revision=asked.revision,
    )


def _as_it_stands(row: NumberRow, binding: NumberBinding | None, now: int) -> NumberRow:
    """The row after what the provider says of its binding."""
    if binding is None:
        return msgspec.structs.replace(row, state="expired", expires_at=min(row.expires_at, now))
    return msgspec.structs.replace(row, state=binding.state, expires_at=micros(binding.expires_at))


def _at(moment: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment)
