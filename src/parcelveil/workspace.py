"""A workspace: a folder with settings, keys and state. The only place that picks adapters.

::

    Workspace.init(Path("acme"), Settings(tenant="acme"), passphrase)
    with Workspace.open(find(None), passphrase) as workspace:
        workspace.ring.erase(["YT0000000000001"])

``parcelveil.toml`` in the folder says who the tenant is and which adapters are used; ``kek.key`` holds the
key-encryption key; ``state.db`` everything else. Commands find the workspace by ``--workspace``, the environment
variable ``PARCELVEIL_WORKSPACE``, or the nearest folder upwards that has a ``parcelveil.toml``.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from parcelveil.adapt.engine_local import LocalEngine
from parcelveil.adapt.key_file import FileKeyStore
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.errors import OutputError, ParcelveilError, WorkspaceError
from parcelveil.ports import Clock, Engine, KeyStore, Run, SealedSource, Store, VirtualNumber
from parcelveil.seal.keyring import KeyRing
from parcelveil.seal.pseudonym import period_of

if TYPE_CHECKING:  # sealing needs none of it, and it takes a while to import
    import pyarrow as pa

    from parcelveil.audit.log import Log
    from parcelveil.label.bindings import Bindings
    from parcelveil.reveal.custody import Custody
    from parcelveil.reveal.desk import Desk
    from parcelveil.seal.keyring import Erasure
    from parcelveil.seal.meter import Drawn

SETTINGS_FILE = "parcelveil.toml"
ENVIRONMENT = "PARCELVEIL_WORKSPACE"
FORMAT = 1
#: What the log calls whoever holds the workspace's passphrase.
KEYHOLDER = "keyholder"

_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ORIGIN = re.compile(r"[A-Za-z0-9._~/:-]{1,200}")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")

_TEMPLATE = """\
# Settings of a parcelveil workspace. Keys are in {key_store}, state is in {store}.
format = {format}
tenant = "{tenant}"         # bound into every sealed value; never change it
country = "{country}"           # where phones without a country code belong
utc_offset = "{utc_offset}"    # where a day of waybills begins and ends
key_store = "{key_store}"
store = "{store}"
engine = "{engine}"
sealed = "{sealed}"      # where the reveal desk finds sealed waybills (Parquet, Arrow)
custody = "{custody}"    # where each parcel is: the index that 'reveal load-work' builds
audit = "{audit}"        # the audit log as tiles, for everybody who verifies it
origin = "{origin}"              # the audit log's name; empty: TENANT.parcelveil/log. Never change it
audit_days = {audit_days}         # entries are kept at least so long
virtual_numbers = "{virtual_numbers}"      # who provides virtual numbers for labels; "" for none
"""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``parcelveil.toml`` holds."""

    tenant: str
    format: int = FORMAT
    country: str = "CN"
    utc_offset: str = "+08:00"
    key_store: str = "file:kek.key"
    store: str = "sqlite:state.db"
    engine: str = "local:"
    sealed: str = "files:sealed"
    custody: str = "files:custody"
    audit: str = "files:audit"
    origin: str = ""
    audit_days: int = 1096
    virtual_numbers: str = ""

    @property
    def log_origin(self) -> str:
        """The audit log's name, as its checkpoints carry it."""
        return self.origin or f"{self.tenant}.parcelveil/log"

    @property
    def utc_offset_minutes(self) -> int:
        """The offset in minutes east of UTC."""
        match = _OFFSET.fullmatch(self.utc_offset)
        if not match or int(match[2]) > 14 or int(match[3]) > 59:
            raise WorkspaceError("utc_offset {value} is not of the form +08:00", value=self.utc_offset)
        minutes = int(match[2]) * 60 + int(match[3])
        return -minutes if match[1] == "-" else minutes


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def uptime(self) -> tuple[str, int]:
        return _boot_id(), time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@functools.cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""  # no Linux: the wall clock is all there is


def find(given: str | None) -> Path:
    """The workspace's folder: as given, from the environment, or the nearest upwards. Raises WorkspaceError."""
    named = given or os.environ.get(ENVIRONMENT)
    if named:
        if not Path(named, SETTINGS_FILE).is_file():
            raise WorkspaceError(
                "{folder} is not a workspace", hint="make one with 'parcelveil init {folder}'", folder=named
            )
        return Path(named)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise WorkspaceError(
        "no workspace here or above", hint="make one with 'parcelveil init DIR', or name one with --workspace DIR"
    )


def read_settings(folder: Path) -> Settings:
    """The settings of the workspace in ``folder``."""
    try:
        text = (folder / SETTINGS_FILE).read_bytes()
        settings = msgspec.toml.decode(text, type=Settings)
    except OSError as error:
        raise WorkspaceError("{file} cannot be read: {why}", file=SETTINGS_FILE, why=error.strerror) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            "{file} is not right: {why}", hint="correct that line", file=SETTINGS_FILE, why=str(error)
        ) from None
    if settings.format > FORMAT:
        raise WorkspaceError("this workspace was made by a newer parcelveil", hint="update parcelveil to work here")
    if not _ORIGIN.fullmatch(settings.log_origin):
        raise WorkspaceError(
            "the log's origin {origin} is not usable",
            hint="use a name like example.com/log, without blanks and plus signs",
            origin=settings.log_origin,
        )
    if not _TENANT.fullmatch(settings.tenant):
        raise WorkspaceError(
            "the tenant {tenant} is not usable",
            hint="use up to 63 lower-case letters, digits, '.', '_' and '-'",
            tenant=settings.tenant,
        )
    settings.utc_offset_minutes  # noqa: B018  a wrong offset is refused now, not in the middle of a run
    return settings


class Workspace:
    """An open workspace. Its ``repr`` shows the folder only."""

    def __init__(self, folder: Path, settings: Settings, keys: KeyStore, store: Store, clock: Clock) -> None:
        self.folder, self.settings, self.store = folder, settings, store
        self.engine: Engine = engine(settings.engine)
        self.clock = clock
        self.ring = KeyRing(settings.tenant, keys, store, clock, settings.utc_offset_minutes)

    def __repr__(self) -> str:
        return f"<Workspace {self.folder}>"

    @classmethod
    def init(cls, folder: Path, settings: Settings, passphrase: str | None, clock: Clock | None = None) -> None:
        """Make a workspace in ``folder`` (new or empty of one). Without a passphrase it gets no keys yet."""
        path = folder / SETTINGS_FILE
        if path.exists():
            raise WorkspaceError("{folder} is a workspace already", hint="nothing was changed", folder=str(folder))
        text = _TEMPLATE.format(**msgspec.structs.asdict(settings))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise OutputError(
                "no workspace can be made in {folder}: {why}",
                hint="choose another folder",
                folder=str(folder),
                why=error.strerror,
            ) from None
        try:
            read_settings(folder)
            SqliteStore(_path(folder, settings.store, "sqlite")).close()
            if passphrase is not None:
                cls.make_keys(folder, passphrase, clock)
        except BaseException:
            path.unlink()  # half a workspace is none
            raise

    @classmethod
    def make_keys(cls, folder: Path, passphrase: str, clock: Clock | None = None) -> None:
        """Make the keys of a workspace that has none."""
        settings = read_settings(folder)
        keys = FileKeyStore.new(_path(folder, settings.key_store, "file"), passphrase)
        store = SqliteStore(_path(folder, settings.store, "sqlite"))
        KeyRing.create(settings.tenant, keys, store, clock or SystemClock(), settings.utc_offset_minutes)
        store.close()

    @classmethod
    def open(cls, folder: Path, passphrase: Callable[[], str], clock: Clock | None = None) -> Self:
        """Open a workspace; ``passphrase`` is asked only if there is something to unlock."""
        settings = read_settings(folder)
        key_path = _path(folder, settings.key_store, "file")
        if not key_path.exists():
            raise WorkspaceError(
                "this workspace has no keys", hint="run 'parcelveil keys init', or restore {file}", file=key_path.name
            )
        keys = FileKeyStore(key_path, passphrase())
        store = SqliteStore(_path(folder, settings.store, "sqlite"))
        try:
            return cls(folder, settings, keys, store, clock or SystemClock())
        except BaseException:
            store.close()
            raise

    @cached_property
    def log(self) -> Log:
        """The audit log."""
        from parcelveil.audit.log import Log
        from parcelveil.audit.note import Signer
        from parcelveil.audit.rowseal import RowSeal
        from parcelveil.audit.subjects import Subjects

        settings = self.settings
        subjects = Subjects(self.ring.secret, self.ring.periods, lambda: period_of(self.ring.today()))
        return Log(
            self.store,
            _path(self.folder, settings.audit, "files"),
            Signer.from_seed(settings.log_origin, self.ring.secret("log")),
            self.clock,
            subjects,
            settings.utc_offset_minutes,
            RowSeal(self.ring.secret("rows")),
        )

    @cached_property
    def custody(self) -> Custody:
        """Where each parcel is."""
        from parcelveil.reveal.custody import Custody

        return Custody(_path(self.folder, self.settings.custody, "files"))

    @cached_property
    def numbers(self) -> Bindings:
        """Which virtual number each waybill has."""
        from parcelveil.label.bindings import Bindings

        provider = functools.partial(virtual_number, self.folder, self.settings.virtual_numbers, self.clock)
        seal, key = self.log.rows, self.ring.secret("numbers")
        return Bindings(provider, store=self.store, seal=seal, key=key, clock=self.clock, engine=self.engine)

    def desk(self, source: SealedSource | None = None) -> Desk:
        """The reveal desk over ``source``; by default over the sealed files that the settings name."""
        from parcelveil.reveal.desk import Desk

        folder = _path(self.folder, self.settings.sealed, "files")
        return Desk(
            log=self.log,
            store=self.store,
            ring=self.ring,
            custody=self.custody,
            source=source or self.sealed([folder] if folder.exists() else []),
        )

    def sealed(self, paths: Sequence[Path]) -> SealedSource:
        """Sealed waybills in these files and folders."""
        from parcelveil.adapt.sealed_files import SealedFiles

        return SealedFiles(paths, self.settings.tenant)

    @classmethod
    def reading(cls, folder: Path) -> tuple[Settings, Store, Path]:
        """Settings, store and audit folder of a workspace, for who verifies: no key is unlocked."""
        settings = read_settings(folder)
        store = SqliteStore.reader(_path(folder, settings.store, "sqlite"))
        return settings, store, _path(folder, settings.audit, "files")

    # -- the key holder, who is logged like everybody ----------------------------------------------------------

    def release(self, scene: str, batch: pa.RecordBatch, fields: Sequence[str]) -> Drawn:
        """Log that the key holder is about to open ``fields`` of a sealed batch; what the kernel may then open."""
        from parcelveil.audit.entry import Export
        from parcelveil.seal.kernel import values_in
        from parcelveil.seal.meter import Drawn

        values = values_in(batch, fields)
        with self.log.begin() as entries:
            entries.append(
                Export(
                    time=entries.time,
                    actor=KEYHOLDER,
                    role=KEYHOLDER,
                    scene=scene,
                    fields=tuple(fields),
                    form="full",
                    waybills=batch.num_rows,
                    values=values,
                )
            )
            if values:
                entries.tx.draw(entries.day, values)
        return Drawn(values)

    def erase(self, numbers: Sequence[str], day: date | None = None) -> Erasure:
        """Erase waybills, and the salts of every entry that spoke of them. The log says that, and how many."""
        from parcelveil.audit.entry import Erasure as Erased

        with self.log.begin() as batch:
            batch.append(Erased(time=batch.time, action="waybills", count=len(numbers)))
        done = self.ring.erase(numbers, day=day)
        if day is None:  # after the keys: a look in between has left salts too
            tokens = self.log.subjects.tokens(("waybill", number) for number in numbers)
            with self.store.transaction() as tx:
                tx.erase_subjects(tokens)
        try:
            self.numbers.forget(numbers)
        finally:
            self.store.settle()
        return done

    def erase_before(self, day: date) -> list[date]:
        """Destroy the epochs of all days before ``day``, and log it."""
        from parcelveil.audit.entry import Erasure as Erased

        count = sum(not row.destroyed_at and header.day < day for header, row in self.ring.headers())
        with self.log.begin() as batch:
            batch.append(Erased(time=batch.time, action="days", count=count))
        gone = self.ring.destroy_before(day)
        zone = timezone(timedelta(minutes=self.settings.utc_offset_minutes))
        self.numbers.forget_before(datetime(day.year, day.month, day.day, tzinfo=zone))
        return gone

    def key_event(self, action: str, detail: str = "") -> None:
        """Log something about keys, before it happens."""
        from parcelveil.audit.entry import KeyEvent

        self.log.append(KeyEvent(time=0, action=action, detail=detail))

    def record(self, command: str, started: datetime, *, rows: int, values: int, rejected: int) -> None:
        """Note a finished run in the state."""
        seconds = (self.clock.now() - started).total_seconds()
        with self.store.transaction() as tx:
            tx.add_run(Run(command, started.isoformat(timespec="seconds"), seconds, rows, values, rejected))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if "log" in self.__dict__:  # it was used: what it acknowledged is published now
                with suppress(ParcelveilError):  # or by the next command: nobody shall lose an answer over it
                    self.log.close()
            if "numbers" in self.__dict__:
                self.numbers.close()
        finally:
            self.store.close()


def engine(uri: str) -> Engine:
    """``local:`` for all cores, ``local:2`` for two threads."""
    scheme, _, threads = uri.partition(":")
    if scheme != "local" or not (threads == "" or threads.isdecimal()):
        raise WorkspaceError("no engine {uri}", hint='write engine = "local:"', uri=uri)
    return LocalEngine(int(threads) if threads else None)


def virtual_number(folder: Path, uri: str, clock: Clock) -> VirtualNumber | None:
    """``simulator:NAME``: a file in the folder; None for ``""``."""
    from parcelveil.adapt.virtual_simulator import VirtualSimulator

    return VirtualSimulator(_path(folder, uri, "simulator"), clock) if uri else None


def _path(folder: Path, uri: str, scheme: str) -> Path:
    found, _, name = uri.partition(":")
    if found != scheme or not name:
        raise WorkspaceError("{uri} is not understood", hint="write {scheme}:NAME", uri=uri, scheme=scheme)
    return folder / name
