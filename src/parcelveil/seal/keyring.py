"""The key ring of one tenant: its epochs and pseudonym keys, and everything that changes them.

::

    ring = KeyRing("acme", key_store, store, clock)
    keys = ring.seal_keys([20780])          # makes the day's epoch if it does not exist yet
    ring.erase(["YT0000000000001"])         # forget one waybill in every copy
    ring.destroy_before(date(2026, 1, 1))   # forget whole days

Each epoch's state is encrypted under a data key of its own, the data keys are wrapped under the KEK. **A change
that must not be undone** (an erasure, a destroyed epoch) makes a new KEK version, wraps every data key anew,
commits that, and only then destroys the old version. A backup of the store from before the change is then as
unreadable as the erased waybill. A crash in between leaves either the old ring with the old KEK, or the new
ring with both; the next start destroys the older one, the next change a half-made newer one.

**The store may be an old one, or edited**, and keys are gone for good once destroyed. So nothing is read, made or
destroyed unless the version that the store names exists and unwraps what the store holds; and reading the store
destroys only versions older than that one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from parcelveil.errors import EpochError, KeyAccessError
from parcelveil.ports import Clock, EpochRow, KeyStore, PseudonymRow, Store, Transaction
from parcelveil.seal.epoch import Epoch, EpochHeader, day_of, epoch_id, generation_of
from parcelveil.seal.kernel import SealKeys
from parcelveil.seal.pseudonym import PseudonymKey, Pseudonyms, period_of
from parcelveil.seal.token import PURPOSE as LABEL
from parcelveil.seal.token import LabelKey, LabelKeys, read

_DATA_KEY_BYTES = 64
_DAY_ZERO = date(1970, 1, 1)
#: Days from which waybills are sealed: a clock set wrong, or a hostile date, must not make thousands of epochs.
FIRST_DAY = date(2000, 1, 1)
_DAYS_AHEAD = 2
#: The period of secrets that stay.
FOR_GOOD = 0
#: Secrets of each month that sealing needs.
_SEALING = ("search", LABEL)


class Erasure(NamedTuple):
    """What an erasure did."""

    waybills: int  # numbers asked for
    epochs: int  # epochs in which at least one of them was still alive
    kek_version: int  # the version that is in force now; all earlier ones are destroyed


class KeyRing:
    """See the module. Not shared between threads; the keys it hands out may be."""

    def __init__(self, tenant: str, keys: KeyStore, store: Store, clock: Clock, utc_offset_minutes: int = 480) -> None:
        self.tenant = tenant
        self._keys, self._store, self._clock = keys, store, clock
        self._utc_offset = timedelta(minutes=utc_offset_minutes)
        self._rows: dict[int, EpochRow] = {}
        self._pseudonym_rows: dict[tuple[str, int], PseudonymRow] = {}
        self._epochs: dict[int, Epoch] = {}
        self._pseudonym_keys: dict[tuple[str, int], PseudonymKey] = {}
        self._label_keys: dict[int, LabelKey] = {}
        self._secrets: dict[tuple[str, int], bytes] = {}
        self._version = 0
        self.refresh()

    @classmethod
    def create(cls, tenant: str, keys: KeyStore, store: Store, clock: Clock, utc_offset_minutes: int = 480) -> KeyRing:
        """A ring for a store that has none yet."""
        with store.transaction() as tx:
            if tx.kek_version():
                raise KeyAccessError(
                    "this workspace has keys already", hint="use 'parcelveil keys rotate' for new ones"
                )
            keys.create(1)
            tx.set_kek_version(1)
        return cls(tenant, keys, store, clock, utc_offset_minutes)

    # -- reading ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the store again: another process may have erased, rotated or added."""
        with self._store.transaction() as tx:
            self._load(tx)
            self._destroy_older()

    def _load(self, tx: Transaction) -> None:
        """Read the ring; raises KeyAccessError, and keeps the ring that was, when the key store cannot have it."""
        version = tx.kek_version()
        if not version:
            raise KeyAccessError("this workspace has no keys yet", hint="run 'parcelveil keys init'")
        rows = {row.epoch: row for row in tx.epochs()}
        pseudonym_rows = {(row.purpose, row.period): row for row in tx.pseudonym_keys()}
        if version not in self._keys.versions():
            raise _of_another_time(version)
        self._try(version, itertools.islice(self._live(rows, pseudonym_rows), 1))
        for number, row in rows.items():
            if self._rows.get(number) != row:
                self._epochs.pop(number, None)
        self._version, self._rows, self._pseudonym_rows = version, rows, pseudonym_rows
        alive = {key for key, row in self._pseudonym_rows.items() if not row.destroyed_at}
        self._pseudonym_keys = {k: v for k, v in self._pseudonym_keys.items() if k in alive}
        self._label_keys = {p: v for p, v in self._label_keys.items() if (LABEL, p) in alive}
        self._secrets = {k: v for k, v in self._secrets.items() if k in alive}

    def _live(
        self, rows: Mapping[int, EpochRow], pseudonym_rows: Mapping[tuple[str, int], PseudonymRow]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Every wrapped key that is not destroyed, with its context."""
        for key in pseudonym_rows.values():  # first, and usually there: they open no personal field
            if not key.destroyed_at:
                yield key.wrapped_key, self._context("pseudonym", key.purpose, key.period)
        for row in rows.values():
            if not row.destroyed_at:
                yield row.wrapped_key, self._context("epoch", row.epoch)

    def _try(self, version: int, wrapped: Iterable[tuple[bytes, bytes]]) -> int:
        """Unwrap each, and keep none; how many there were. Raises KeyAccessError for one that does not fit."""
        count = 0
        for secret, context in wrapped:
            try:
                self._keys.unwrap(version, secret, context)
            except KeyAccessError:
                raise _of_another_time(version) from None
            count += 1
        return count

    def _destroy_older(self) -> None:
        """Destroy what a crash at the end of a rotation left: only when all that is alive opens without it.

        Versions newer than the ring's stay: they are half-made, or the ring was read from an old store.
        """
        older = [version for version in self._keys.versions() if version < self._version]
        if older and self._try(self._version, self._live(self._rows, self._pseudonym_rows)):
            for version in older:
                self._keys.destroy(version)

    def headers(self) -> list[tuple[EpochHeader, EpochRow]]:
        """All epochs there ever were, oldest first. Public: no key is used."""
        return [(EpochHeader.of(row.header), row) for _, row in sorted(self._rows.items())]

    @property
    def known(self) -> Set[int]:
        """The numbers of all epochs there ever were."""
        return self._rows.keys()

    @property
    def kek_version(self) -> int:
        """The version of the KEK in force."""
        return self._version

    def _epoch(self, number: int) -> Epoch:
        if number not in self._epochs:
            row = self._rows[number]
            header = EpochHeader.of(row.header)
            data_key = self._keys.unwrap(self._version, row.wrapped_key, self._context("epoch", number))
            try:
                state = AESSIV(data_key).decrypt(row.state, [header.canonical()])
            except InvalidTag:
                raise KeyAccessError(
                    "the stored keys of {day} were changed", hint="restore the workspace", day=header.day.isoformat()
                ) from None
            self._epochs[number] = Epoch.from_state(header, state)
        return self._epochs[number]

    def _context(self, *parts: object) -> bytes:
        return "\0".join(["parcelveil v1", self.tenant, *map(str, parts)]).encode()

    def open_keys(self, epochs: Iterable[int], *, meter: Callable[[int], None] | None = None) -> SealKeys:
        """Keys that open values of ``epochs``; those unknown or destroyed are left out.

        Every opening is counted durably before it happens: by ``meter`` (a :class:`~parcelveil.seal.meter.Drawn`, when the count stands in
        the transaction of a log entry), else by :meth:`draw`, which no log entry stands behind. ``audit reconcile``
        sees the difference.
        """
        live = {n: self._epoch(n) for n in epochs if n in self._rows and not self._rows[n].destroyed_at}
        return SealKeys(self.tenant, live, {}, Pseudonyms({}), self._offset_minutes, meter=meter or self.draw)

    def draw(self, values: int) -> None:
        """Count ``values`` as opened, durably."""
        if values:
            with self._store.transaction() as tx:
                tx.draw(self.today(), values)

    @property
    def _offset_minutes(self) -> int:
        return int(self._utc_offset.total_seconds() // 60)

    def today(self) -> int:
        """Days since 1970-01-01, in the tenant's time zone."""
        return ((self._clock.now() + self._utc_offset).date() - _DAY_ZERO).days

    # -- sealing ---------------------------------------------------------------------------------------------

    def seal_keys(self, days: Iterable[int], *, default_day: int | None = None) -> SealKeys:
        """Keys that seal waybills of ``days``, made now where they do not exist.

        Days whose epoch was destroyed, and days before 2000 or more than two ahead, get none: their rows
        are told apart by :func:`parcelveil.seal.kernel.sealable`.
        """
        default = self.today() if default_day is None else default_day
        wanted = sorted({int(day) for day in days} | {default})
        wanted = [d for d in wanted if (FIRST_DAY - _DAY_ZERO).days <= d <= self.today() + _DAYS_AHEAD]
        current = self._current()
        secrets = {(purpose, period_of(day)) for purpose in _SEALING for day in wanted}
        if any(day not in current for day in wanted) or secrets - self._pseudonym_rows.keys():
            with self._store.transaction() as tx:
                self._load(tx)
                current = self._current()
                for day in wanted:
                    if day not in current:
                        tx.put_epoch(self._row(Epoch.new(self.tenant, epoch_id(_DAY_ZERO + timedelta(days=day)))))
                for purpose, period in sorted(secrets):
                    self._ensure_pseudonym_key(tx, purpose, period)
                self._load(tx)
            current = self._current()
        live = {day: current[day] for day in wanted if not self._rows[current[day]].destroyed_at}
        periods = sorted({period_of(day) for day in live})
        pseudonyms = Pseudonyms({p: self.pseudonym_key("search", p) for p in periods})
        labels = LabelKeys({p: self._label_key(p) for p in periods})
        epochs = {number: self._epoch(number) for number in live.values()}
        return SealKeys(self.tenant, epochs, live, pseudonyms, self._offset_minutes, default, self.draw, labels)

    def _current(self) -> dict[int, int]:
        """The newest generation of each day."""
        return {(day_of(number) - _DAY_ZERO).days: number for number in sorted(self._rows)}

    def _row(self, epoch: Epoch, version: int | None = None, erased: int = 0) -> EpochRow:
        data_key = os.urandom(_DATA_KEY_BYTES)
        number = epoch.header.epoch
        return EpochRow(
            epoch=number,
            header=msgspec.json.encode(epoch.header),
            wrapped_key=self._keys.wrap(version or self._version, data_key, self._context("epoch", number)),
            state=AESSIV(data_key).encrypt(epoch.to_state(), [epoch.header.canonical()]),
            erased=erased,
        )

    def _ensure_pseudonym_key(self, tx: Transaction, purpose: str, period: int) -> None:
        if (purpose, period) not in self._pseudonym_rows:
            wrapped = self._keys.wrap(self._version, os.urandom(32), self._context("pseudonym", purpose, period))
            tx.put_pseudonym_key(PseudonymRow(purpose, period, wrapped))

    def pseudonym_key(self, purpose: str, period: int) -> PseudonymKey:
        """The key of one purpose and period, made now where it does not exist. Raises once it was destroyed."""
        key = (purpose, period)
        if key not in self._pseudonym_keys:
            self._pseudonym_keys[key] = PseudonymKey(self.secret(purpose, period), self.tenant, purpose, period)
        return self._pseudonym_keys[key]

    def _label_key(self, period: int) -> LabelKey:
        if period not in self._label_keys:
            self._label_keys[period] = LabelKey(self.secret(LABEL, period), self.tenant, period)
        return self._label_keys[period]

    def open_token(self, text: str) -> str | None:
        """The waybill number in a label's token; None for whatever is no token of a live key. Makes no key."""
        token = read(text)
        row = self._pseudonym_rows.get((LABEL, token.period)) if token else None
        if token is None or row is None or row.destroyed_at:
            return None
        return self._label_key(token.period).number_of(token)

    def periods(self, purpose: str) -> list[int]:
        """The periods of which ``purpose`` has a key, oldest first."""
        rows = self._pseudonym_rows.values()
        return sorted(row.period for row in rows if row.purpose == purpose and not row.destroyed_at)

    def secret(self, purpose: str, period: int = FOR_GOOD) -> bytes:
        """The 32 random bytes of one purpose and period, made now where they do not exist.

        Period ``FOR_GOOD`` stands for secrets that no day outlives, like the audit log's signing key.
        """
        key = (purpose, period)
        if key not in self._pseudonym_rows:
            with self._store.transaction() as tx:
                self._load(tx)
                self._ensure_pseudonym_key(tx, purpose, period)
                self._load(tx)
        row = self._pseudonym_rows[key]
        if row.destroyed_at:
            raise EpochError("the pseudonym key of {period} was destroyed", period=period)
        if key not in self._secrets:
            context = self._context("pseudonym", purpose, period)
            self._secrets[key] = self._keys.unwrap(self._version, row.wrapped_key, context)
        return self._secrets[key]

    # -- forgetting ------------------------------------------------------------------------------------------

    def erase(self, waybill_no: Sequence[str], *, day: date | None = None) -> Erasure:
        """Make the waybills of these numbers unreadable in every copy: in all live epochs, or in those of ``day``.

        Without ``day`` every live epoch is punctured, so that nobody has to know when a waybill was sealed;
        each puncture leaves up to 1.6 kB of state behind.
        """
        numbers = pa.array(list(waybill_no), pa.string())
        touched = 0

        def puncture(row: EpochRow) -> EpochRow | None:
            nonlocal touched
            if day is not None and day_of(row.epoch) != day:
                return None
            epoch = self._epoch(row.epoch)
            paths = epoch.paths(numbers)
            alive = int(epoch.tree.alive(np.unique(paths)).sum())
            if not alive:
                return None
            touched += 1
            return self._row(epoch.puncture(paths), self._version + 1, row.erased + alive)

        self._rotate(puncture)
        return Erasure(len(numbers), touched, self._version)

    def destroy_before(self, day: date) -> list[date]:
        """Destroy every epoch of a day before ``day``, and the pseudonym keys of months that ended before it."""
        gone: list[date] = []
        now = self._clock.now().isoformat(timespec="seconds")

        def bury(row: EpochRow) -> EpochRow | None:
            if day_of(row.epoch) >= day:
                return None
            gone.append(day_of(row.epoch))
            return msgspec.structs.replace(row, wrapped_key=b"", state=b"", destroyed_at=now)

        self._rotate(bury, pseudonyms_before=day.year * 100 + day.month, now=now)
        return gone

    def rotate_kek(self) -> int:
        """Wrap everything under a new KEK version and destroy the old one. Returns the new version."""
        self._rotate(lambda _row: None)
        return self._version

    def rotate_epoch(self, day: date) -> int:
        """Open a new generation of ``day``'s epoch; from now on it seals that day. Returns the epoch number."""
        with self._store.transaction() as tx:
            self._load(tx)
            newest = self._current().get((day - _DAY_ZERO).days)
            if newest is not None and self._rows[newest].destroyed_at:
                raise EpochError("the epoch of {day} was destroyed", hint="it stays so", day=day.isoformat())
            number = epoch_id(day, 0 if newest is None else generation_of(newest) + 1)
            tx.put_epoch(self._row(Epoch.new(self.tenant, number)))
            self._load(tx)
        return number

    def _rotate(
        self, change: Callable[[EpochRow], EpochRow | None], *, pseudonyms_before: int = 0, now: str = ""
    ) -> None:
        """Apply ``change`` to every live epoch, wrap everything under a new KEK, destroy the old one."""
        with self._store.transaction() as tx:
            self._load(tx)
            self._destroy_older()
            old, new = self._version, self._version + 1
            for version in self._keys.versions():
                if version > old:  # half-made, from an earlier crash
                    self._keys.destroy(version)
            self._keys.create(new)
            for row in self._rows.values():
                if row.destroyed_at:
                    continue
                changed = change(row)
                if changed is None:
                    wrapped = self._rewrapped(old, new, row.wrapped_key, self._context("epoch", row.epoch))
                    changed = msgspec.structs.replace(row, wrapped_key=wrapped)
                tx.put_epoch(changed)
            for (purpose, period), key in self._pseudonym_rows.items():
                if key.destroyed_at:
                    continue
                end = min(pseudonyms_before, period_of(self.today())) if purpose == "salts" else pseudonyms_before
                if FOR_GOOD < period < end:  # the salts of this month's log entries are still being written
                    tx.put_pseudonym_key(msgspec.structs.replace(key, wrapped_key=b"", destroyed_at=now))
                    continue
                wrapped = self._rewrapped(old, new, key.wrapped_key, self._context("pseudonym", purpose, period))
                tx.put_pseudonym_key(msgspec.structs.replace(key, wrapped_key=wrapped))
            tx.set_kek_version(new)
            self._load(tx)
        # Committed: from here on nothing needs the old version, and nothing may be able to use it.
        self._keys.destroy(old)
        self._epochs.clear()

    def _rewrapped(self, old: int, new: int, wrapped: bytes, context: bytes) -> bytes:
        return self._keys.wrap(new, self._keys.unwrap(old, wrapped, context), context)


def _of_another_time(version: int) -> KeyAccessError:
    return KeyAccessError(
        "the state does not fit the keys: it names key version {version}",
        hint="an older state or another key file was put here, or the state was edited: put the newest back; no key was destroyed",
        version=version,
    )
