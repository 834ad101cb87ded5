"""What parcelveil needs of the outside world, as protocols. Adapters are in :mod:`parcelveil.adapt`.

:mod:`parcelveil.workspace` is the only place that picks them, by URI: ``file:`` for a :class:`KeyStore`,
``sqlite:`` for a :class:`Store`, ``local:`` for an :class:`Engine`, ``simulator:`` for a
:class:`VirtualNumber`, ``duckdb:`` for :class:`Sql`. Rows are small records; those of the audit log
and the desk are written by :mod:`parcelveil.audit.log` and :mod:`parcelveil.reveal.desk` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol, TypeVar

import msgspec
import pyarrow as pa

Item = TypeVar("Item")
Result = TypeVar("Result")


class Secret:
    """Bytes that must not be printed: its ``repr`` shows nothing of them."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__


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


class LogState(msgspec.Struct, frozen=True):
    """Where the audit log stands. One row; changed in the transaction that appends."""

    size: int = 0  # entries that were acknowledged
    frontier: bytes = b""  # roots of the maximal complete subtrees, 32 bytes each
    checkpoint: str = ""  # the newest signed one
    published: int = 0  # entries that the directory of tiles holds
    minimum: int = 0  # first entry that was not pruned
    time: int = 0  # microseconds; the desk's clock at the newest entry
    uptime: int = 0  # microseconds; the machine's monotonic clock at that moment
    boot: str = ""  # which start of the machine that clock belongs to
    held: int = 0  # seconds by which the wall clock was ahead of the desk's when that was last logged


class SubjectRow(msgspec.Struct, frozen=True):
    """What an entry's subject is, sealed under the month's salts key: the row whose deletion erases the salt."""

    entry: int
    place: int  # position in the entry's subjects; -1 for its document
    period: int  # year * 100 + month: which key
    token: bytes  # 16 bytes: keyed hash of kind and value, to find all entries about one waybill
    sealed: bytes  # AES-SIV of salt, kind and value


class SealedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that decides who may see what: ``seal`` shows that the key ring's holder wrote it (audit.rowseal)."""

    seal: bytes = b""


class StaffRow(SealedRow, frozen=True):
    """One member of staff. ``handle`` is what the log calls them; forgetting the row makes the handle nobody's."""

    handle: str
    number: str  # the carrier's own staff number
    roles: str  # blank-separated, sorted
    outlet: str
    active: bool


class DeviceRow(SealedRow, frozen=True):
    """One enrolled device. The key itself is not kept: 32 random bytes need no slow hash."""

    device: str
    handle: str
    key_sha256: bytes


class PolicyRow(SealedRow, frozen=True):
    """One version of scenes and policy. ``state``: proposed, active, replaced, rejected."""

    version: int
    state: str
    scenes: str
    policy: str
    schema: str
    author: str
    approver: str


class ApprovalRow(SealedRow, frozen=True):
    """One request for a second person's approval. ``state``: requested, approved, rejected, used, expired."""

    id: str
    state: str
    scene: str
    actor: str
    device: str
    waybills: int
    digest: bytes  # keyed hash of everything asked for: an approval fits that request only
    until: int  # microseconds
    approver: str = ""


class LimitRow(SealedRow, frozen=True):
    """Another limit for one member of staff (a handle), scene and day."""

    who: str
    scene: str
    day: int
    waybills: int


class NumberRow(SealedRow, frozen=True):
    """The virtual number of one waybill. No phone is in it. Times are microseconds since 1970 UTC.

    ``state``: bound, unbound, expired. ``revision`` is that of the sealed waybill whose phone it
    reaches: a corrected waybill gets a number anew.
    """

    waybill_no: str
    bind_id: str
    model: str
    number: str
    extension: str
    bound_at: int
    expires_at: int
    state: str = "bound"
    revision: int = 0

    def lives(self, now: int) -> bool:
        """Whether it reaches anybody at ``now``."""
        return self.state == "bound" and now < self.expires_at


class AlertRow(msgspec.Struct, frozen=True):
    """The newest revision of one case. ``body`` is the alert as JSON, which holds no personal data."""

    uid: str
    revision: int
    state: str
    severity: str
    actor: str
    opened_at: int  # microseconds
    body: bytes


class DeliveryRow(msgspec.Struct, frozen=True):
    """One revision of a case that a webhook is told. ``state``: queued, delivered, refused."""

    id: int  # 0 before it is queued
    target: str  # a hash of the webhook's URL
    idempotency_key: str
    body: bytes  # empty once it is no longer queued
    state: str = "queued"
    attempts: int = 0
    next_at: int = 0  # microseconds
    why: str = ""


class DecoyRow(msgspec.Struct, frozen=True):
    """A block of waybill numbers that decoys were planted in: see :class:`parcelveil.watch.decoys.Block`."""

    letters: str
    width: int
    tail: str
    first: int
    last: int
    rate: float
    key_id: str
    planted_at: int  # microseconds


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

    # The audit log.
    def log_state(self) -> LogState: ...
    def set_log_state(self, state: LogState) -> None: ...
    def add_group(self, first: int, bundle: bytes) -> None: ...
    def groups(self) -> list[tuple[int, bytes]]: ...
    def drop_groups(self, before: int) -> None: ...
    def add_head(self, size: int, root: bytes) -> None: ...
    def heads(self) -> list[tuple[int, bytes]]: ...
    def add_subjects(self, rows: list[SubjectRow]) -> None: ...
    def index_subjects(self) -> None:
        """Make subjects of entries that are not published yet findable by their token."""

    def subjects_of_entry(self, entry: int) -> list[SubjectRow]: ...
    def subjects_of_token(self, token: bytes) -> list[SubjectRow]: ...
    def erase_subjects(self, tokens: list[bytes]) -> int: ...
    def erase_subjects_before(self, entry: int) -> int: ...

    # What the kernel was let open, by day (days since 1970-01-01).
    def draw(self, day: int, values: int) -> None: ...
    def drawn(self) -> dict[int, int]: ...

    # The desk.
    def generation(self) -> int:
        """Grows with every change of staff, devices and policy."""

    def staff(self) -> list[StaffRow]: ...
    def put_staff(self, row: StaffRow) -> None: ...
    def forget_staff(self, handle: str) -> None: ...
    def devices(self) -> list[DeviceRow]: ...
    def put_device(self, row: DeviceRow) -> None: ...
    def drop_device(self, device: str) -> None: ...
    def policies(self) -> list[PolicyRow]: ...
    def put_policy(self, row: PolicyRow) -> None: ...
    def used(self, who: str, scene: str, day: int) -> int:
        """How many waybills ``who`` (a handle, or ``outlet:ID``) saw in a scene on a day."""

    def use(self, who: str, scene: str, day: int, waybills: int) -> None: ...
    def usage(self, day: int) -> list[tuple[str, str, int]]: ...
    def limit(self, who: str, scene: str, day: int) -> LimitRow | None:
        """A limit set for one member of staff and day, where there is one."""

    def set_limit(self, row: LimitRow) -> None: ...
    def approval(self, id: str) -> ApprovalRow | None: ...
    def approvals(self) -> list[ApprovalRow]: ...
    def put_approval(self, row: ApprovalRow) -> None: ...

    # Virtual numbers: at most one row a waybill.
    def numbers_of(self, waybill_no: Sequence[str]) -> list[NumberRow]: ...
    def numbers_after(self, waybill_no: str, most: int) -> list[NumberRow]:
        """Up to ``most`` rows in order of the waybill number, of numbers greater than this one."""

    def numbers_bound_before(self, moment: int, most: int) -> list[NumberRow]: ...
    def put_numbers(self, rows: Sequence[NumberRow]) -> None: ...
    def drop_numbers(self, waybill_no: Sequence[str]) -> None: ...
    def drop_ended_numbers(self, before: int) -> int:
        """Drop rows that are no longer bound and whose number ended before this moment."""

    # Watch: cases, what a webhook is to be told of them, and decoys.
    def alert(self, uid: str) -> AlertRow | None: ...
    def alerts_like(self, start: str, most: int) -> list[AlertRow]: ...
    def alerts(self, states: Sequence[str] = (), since: int = 0, most: int = -1) -> list[AlertRow]:
        """The newest first; of all states when none is named."""

    def put_alerts(self, rows: Sequence[AlertRow]) -> None: ...
    def enqueue(self, rows: Sequence[DeliveryRow]) -> None:
        """Queue what was not queued for the same target under the same key before."""

    def deliveries_due(self, target: str, now: int, most: int) -> list[DeliveryRow]: ...
    def put_delivery(self, row: DeliveryRow) -> None: ...
    def next_delivery(self, target: str) -> int | None:
        """When the next one is due; None when nothing is queued."""

    def delivery_states(self, target: str) -> dict[str, int]: ...
    def decoys(self) -> list[DecoyRow]: ...
    def add_decoys(self, rows: Sequence[DecoyRow]) -> None: ...


class Store(Protocol):
    """The workspace's state."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin; commit durably at the end of the ``with`` block, roll back when it raises."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """Reads of one moment, which wait for no writer. Writing raises."""

    def settle(self) -> None:
        """Bring everything that was deleted out of logs and journals too."""

    def close(self) -> None: ...


class Engine(Protocol):
    """Runs a kernel over a stream of items."""

    def map(self, kernel: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of ``items``; at most a bounded number of items is held at once."""


class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def now(self) -> datetime:
        """The present moment, with its time zone."""

    def uptime(self) -> tuple[str, int]:
        """Which start of the machine this is, and the microseconds since: a clock that nobody can set."""


class SealedSource(Protocol):
    """Where sealed waybills lie: files, a table, a lake."""

    def find(self, waybill_no: Sequence[str], columns: Sequence[str]) -> pa.RecordBatch:
        """The sealed rows of these numbers, in any order, at most one a number (the highest revision).

        They have ``waybill_no`` and ``columns``, which are columns of :data:`~parcelveil.waybill.SEALED`.
        """

    def find_pseudonyms(
        self, column: str, pseudonyms: Sequence[bytes], most: int, columns: Sequence[str]
    ) -> pa.RecordBatch:
        """At most ``most`` sealed rows whose ``column`` (like ``to_phone_pn``) is one of ``pseudonyms``."""


Model = Literal["axn-extension", "axb"]


class NumberRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a virtual number is asked for.

    ``axn-extension``: whoever dials the number X and then the extension reaches A (``phone``); one X serves thousands
    of parcels, which is what labels want. ``axb``: X joins exactly A and B (``phone`` and ``peer``): each reaches the
    other by it, and nobody else anybody.
    """

    key: str  # the caller's own name for this binding: asked again with it, the provider gives the same one
    phone: Secret  # A: E.164 in ASCII, like +8613812345678
    peer: Secret | None = None  # B, for axb only
    model: Model = "axn-extension"
    expires_at: datetime  # with a zone


class NumberBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual number as it stands. No phone is in it."""

    bind_id: str  # the provider's name for it
    model: Model
    number: str  # X, digits only
    extension: str  # digits; empty for axb
    expires_at: datetime  # UTC
    state: Literal["bound", "unbound", "expired"]


class VirtualNumber(Protocol):
    """A provider of virtual numbers. Safe to be called by several threads.

    Every method may raise :class:`~parcelveil.errors.ProviderError`: refused, used up, or not reachable. Its words name
    no phone. Every method may be repeated after a crash and then has the effect of one call.
    """

    @property
    def steps(self) -> tuple[int, ...]:
        """Days by which one call of :meth:`extend` can extend, ascending."""

    def bind(self, request: NumberRequest) -> NumberBinding:
        """Bind a number. While a binding of the same ``key`` lives, that one is the answer, as it stands.

        Raises ProviderError when no number is free, the phone is not taken, the expiry lies too far ahead, or the key
        lives and belongs to another phone.
        """

    def extend(self, bind_id: str, until: datetime) -> NumberBinding:
        """Let a living binding end at ``until``, which is its present end plus one of :attr:`steps` days.

        One that ends at ``until`` or later already stays as it is: nothing is ever shortened. Raises ProviderError for
        another span, and for a binding that has ended or is not known.
        """

    def unbind(self, bind_id: str) -> None:
        """End a binding now. Ending one that has ended, or is not known, is no error."""

    def query(self, bind_id: str) -> NumberBinding | None:
        """How a binding stands; None for one that is not known (any more)."""

    def close(self) -> None: ...


class Tables(Protocol):
    """A database, or a folder of column files, whose tables are read and never written."""

    @property
    def name(self) -> str:
        """What findings call it: its URI without a password."""

    # The tables and views that can be read, sorted; what is there besides, and why it is not read.
    def tables(self) -> list[str]: ...
    def skipped(self) -> dict[str, str]: ...
    def columns(self, table: str) -> list[str]: ...
    def count(self, table: str) -> int | None: ...  # about; None where telling costs as much as reading
    def batches(
        self, table: str, *, sample: int | None = None, seed: int = 0, batch_rows: int = 16384
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """All rows, or about ``sample`` drawn at random: the same for the same seed while nothing is written.

        A batch comes with the number of its first row, from 1; -1 where rows have none (samples, servers). Columns are
        ``pa.string()``: nested values as JSON, NULL and bytes that are no text as null. InputError tells no contents.
        """

    def left_out(self, table: str) -> dict[str, int]:
        """What the batches so far lack: why (one of a few English sentences), and how often."""

    def close(self) -> None: ...


class Sql(Protocol):
    """A database to calculate in: tables of integers come in, the answers of analysis SQL go out, nothing else stays.

    The SQL is the portable subset of the verbs' ``.sql`` files: ``int64`` microseconds, no intervals, ``BIT_OR`` the only
    aggregate that is not everywhere, parameters (integers) as ``$name``. Names of tables are small letters, digits and
    underscores. Nobody calls one from two threads at once.
    """

    def load(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Make the table ``name`` anew out of ``rows``, integers only."""

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add ``rows`` to the table ``name``, which is made if there is none."""

    def union(self, name: str, tables: Sequence[str]) -> None:
        """Make the view ``name`` anew: all rows of ``tables``, one or more with the same columns."""

    def drop(self, name: str) -> None:
        """Drop the table ``name`` if there is one."""

    def run(self, text: str, **params: int) -> None:
        """Run the statements of ``text``. It may name fewer parameters than there are."""

    def query(self, text: str, **params: int) -> pa.Table:
        """The rows of one SELECT, in its order. Columns are integers of whatever width the database gives them."""

    def close(self) -> None:
        """Drop everything."""
