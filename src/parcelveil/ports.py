"""What parcelveil needs of the outside world, as protocols. Adapters are in :mod:`parcelveil.adapt`.

:mod:`parcelveil.workspace` is the only place that picks them, by URI: ``file:`` for a :class:`KeyStore`,
``sqlite:`` for a :class:`Store`, ``local:`` for an :class:`Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

Item = TypeVar("Item")
Result = TypeVar("Result")


class KeyStore(Protocol):
    """Holds key-encryption keys (KEKs) by version. The KEK itself never leaves the store.

    Every version is a separate random key. After :meth:`destroy` returns, nothing that was wrapped under that
    version can be unwrapped again by anybody: erasure rests on this.
    """

    def versions(self) -> list[int]:
        """The versions that exist, ascending."""

    def create(self, version: int) -> None:
        """Make a new random KEK and keep it durably under ``version``."""

    def destroy(self, version: int) -> None:
        """Destroy a KEK durably. Destroying one that does not exist is no error."""

    def wrap(self, version: int, secret: bytes, context: bytes) -> bytes:
        """Encrypt ``secret``; ``context`` must be given again to unwrap it."""

    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> bytes:
        """The secret. Raises :class:`~parcelveil.errors.KeyAccessError` when key or context do not fit."""


class EpochRow(msgspec.Struct, frozen=True):
    """One epoch as it is stored: nothing here is secret without the KEK. ``state`` is empty once destroyed."""

    epoch: int
    header: bytes  # JSON of parcelveil.seal.epoch.EpochHeader
    wrapped_key: bytes  # the data key, under the KEK
    state: bytes  # the epoch's state, under the data key
    erased: int = 0  # waybills erased so far
    destroyed_at: str = ""  # ISO 8601; empty while the epoch lives


class PseudonymRow(msgspec.Struct, frozen=True):
    """One pseudonym key as it is stored."""

    purpose: str
    period: int  # year * 100 + month
    wrapped_key: bytes
    destroyed_at: str = ""


class Run(msgspec.Struct, frozen=True):
    """One finished run of a command: what was opened and sealed, in numbers. No personal data, no file contents."""

    command: str
    started_at: str
    seconds: float
    rows: int
    values: int
    rejected: int


class Transaction(Protocol):
    """Reads and writes that happen together or not at all, while no other process writes."""

    def kek_version(self) -> int: ...
    def set_kek_version(self, version: int) -> None: ...
    def epochs(self) -> list[EpochRow]: ...
    def put_epoch(self, row: EpochRow) -> None: ...
    def pseudonym_keys(self) -> list[PseudonymRow]: ...
    def put_pseudonym_key(self, row: PseudonymRow) -> None: ...
    def add_run(self, run: Run) -> None: ...
    def runs(self) -> list[Run]: ...


class Store(Protocol):
    """The workspace's state."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin; commit durably at the end of the ``with`` block, roll back when it raises."""

    def close(self) -> None: ...


class Engine(Protocol):
    """Runs a kernel over a stream of items."""

    def map(self, kernel: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of ``items``; at most a bounded number of items is held at once."""


class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def now(self) -> datetime:
        """The present moment, with its time zone."""
