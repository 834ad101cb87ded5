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

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from parcelveil.adapt.engine_local import LocalEngine
from parcelveil.adapt.key_file import FileKeyStore
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.errors import OutputError, WorkspaceError
from parcelveil.ports import Clock, Engine, KeyStore, Run, Store
from parcelveil.seal.keyring import KeyRing

SETTINGS_FILE = "parcelveil.toml"
ENVIRONMENT = "PARCELVEIL_WORKSPACE"
FORMAT = 1

_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
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
        return cls(folder, settings, keys, store, clock or SystemClock())

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
        self.store.close()


def engine(uri: str) -> Engine:
    """``local:`` for all cores, ``local:2`` for two threads."""
    scheme, _, threads = uri.partition(":")
    if scheme != "local" or not (threads == "" or threads.isdecimal()):
        raise WorkspaceError("no engine {uri}", hint='write engine = "local:"', uri=uri)
    return LocalEngine(int(threads) if threads else None)


def _path(folder: Path, uri: str, scheme: str) -> Path:
    found, _, name = uri.partition(":")
    if found != scheme or not name:
        raise WorkspaceError("{uri} is not understood", hint="write {scheme}:NAME", uri=uri, scheme=scheme)
    return folder / name
