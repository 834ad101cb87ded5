"""A provider of virtual numbers that is none (``simulator:`` URIs): for tests, demonstrations and drills.

::

    provider = VirtualSimulator(folder / "provider.db", clock)     # None instead of a path: in memory only
    binding = provider.bind(NumberRequest(key="k1", phone=Secret(b"+8613812345678"), expires_at=in_two_weeks))
    provider.rings(binding.number, binding.extension, b"+8613812345678")    # True: who dials that reaches this phone

It behaves as platforms do: numbers come from a pool and run out; a binding expires; one call extends it by 7, 15 or 30
days and nothing in between; no expiry lies more than :data:`LONGEST_DAYS` days ahead; an X of the AXB shape serves many
pairs as long as no phone occurs in two of them. An extension rests for :data:`REST_DAYS` days after its binding has
ended, so that who dials an old label does not reach a stranger. Its numbers, 950130000…, are invented: nobody answers.

**The file holds no phone**, only an HMAC of each under a random secret, and that secret lies in the same file. This
keeps phones out of what is copied, searched and backed up; it does not stop who takes the file and tries all mobile
numbers, which is minutes of work. A real provider has to know the phones: that is its trade, and why the choice of one
is a matter of trust. The HMAC goes when the binding ends.

The file (mode 0600) is SQLite with a write-ahead log: what was answered survives ``kill -9``, and any number of
processes may use it. A power cut may lose the last moments: a simulator need not wait for the disk.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from parcelveil.adapt.store_sqlite import write_ahead
from parcelveil.errors import ProviderError
from parcelveil.ports import Clock, NumberBinding, NumberRequest, Secret

#: Days by which one call can extend.
STEPS = (7, 15, 30)
#: No expiry lies further ahead than this when a number is bound.
LONGEST_DAYS = 30
#: Days an extension is not given to anybody else after its binding has ended.
REST_DAYS = 7
#: Pairs that one X of the AXB shape serves.
MOST_PAIRS = 200
_FIRST_EXTENSION, _EXTENSIONS = 1000, 9000
_TRIES = 16  # at random, before the free ones are counted out
_UNBOUND = 1  # in the column ended; 0 stands for what lives, 2 for what has expired
_WAIT_SECONDS = 30
_DAY = timedelta(days=1)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS binding (
    bind_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    number TEXT NOT NULL,
    extension TEXT NOT NULL,
    expires INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    a BLOB NOT NULL,
    b BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS binding_key ON binding (key);
CREATE INDEX IF NOT EXISTS binding_expires ON binding (expires);
CREATE INDEX IF NOT EXISTS binding_living ON binding (expires) WHERE ended = 0;
CREATE UNIQUE INDEX IF NOT EXISTS binding_extension ON binding (number, extension) WHERE extension <> '';
CREATE UNIQUE INDEX IF NOT EXISTS binding_a ON binding (number, a) WHERE extension = '' AND ended = 0;
CREATE UNIQUE INDEX IF NOT EXISTS binding_b ON binding (number, b) WHERE extension = '' AND ended = 0;
"""
#: Conditions spelled as the partial indexes are, so that SQLite sees that they apply.
_EXTENDED = "number = ? AND extension = ? AND extension <> ''"
_PAIRED = "number = ? AND extension = '' AND ended = 0"
_COLUMNS = "bind_id, key, model, number, extension, expires, ended, a, b"


class VirtualSimulator:
    """See the module. ``numbers``: how many X each pool has. Its ``repr`` shows the path only."""

    steps = STEPS

    def __init__(self, path: Path | None, clock: Clock, *, numbers: int = 100) -> None:
        self._path, self._clock, self._turn = path, clock, threading.RLock()
        self._extended = [f"950130000{n:05d}" for n in range(numbers)]
        self._pairing = [f"950130001{n:05d}" for n in range(numbers)]
        if path is not None:
            with suppress(OSError):  # what is wrong with the path, SQLite says below
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self._db = sqlite3.connect(
                path or ":memory:", timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._secret = self._begin()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _begin(self) -> bytes:
        write_ahead(self._db)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (os.urandom(32),))
        value: bytes = self._db.execute("SELECT value FROM secret").fetchone()[0]
        return value

    def __repr__(self) -> str:
        return f"<VirtualSimulator {self._path or 'in memory'}>"

    def _unusable(self, error: sqlite3.Error) -> ProviderError:
        return ProviderError(
            "the simulator of virtual numbers cannot use its file: {why}",
            hint="check the setting virtual_numbers, permissions and free space",
            why=str(error),
        )

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """A transaction; gives the present moment in microseconds."""
        with self._turn:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    now = _micros(self._clock.now())
                    yield now
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._unusable(error) from None

    # -- the port ----------------------------------------------------------------------------------------------------

    def bind(self, request: NumberRequest) -> NumberBinding:
        """Bind a number; see :class:`~parcelveil.ports.VirtualNumber`."""
        if (request.model == "axb") != (request.peer is not None):
            raise ProviderError("axb joins two phones, and axn-extension serves one", hint="give what the model needs")
        if request.peer is not None and request.peer.value == request.phone.value:
            raise ProviderError("a phone is not joined with itself", hint="give two phones")
        expires = _micros(request.expires_at)
        with self._writing() as now:
            if not now < expires <= now + LONGEST_DAYS * _MICROS_DAY:
                raise ProviderError(
                    "a number is bound for {days} days at the most", hint="extend it later", days=LONGEST_DAYS
                )
            old = self._one("key = ? AND ended = 0 AND expires > ?", request.key, now)
            if old is not None:
                return self._same(old, request, now)
            self._sweep(now)
            bind_id = f"sim-{secrets.token_hex(8)}"
            number, extension, a, b = self._free(bind_id, request)
            row = (bind_id, request.key, request.model, number, extension, expires, 0, a, b)
            self._db.execute("INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            return _binding(row, now)

    def extend(self, bind_id: str, until: datetime) -> NumberBinding:
        """Let a binding live longer; see :class:`~parcelveil.ports.VirtualNumber`."""
        wanted = _micros(until)
        with self._writing() as now:
            row = self._one("bind_id = ? AND ended = 0 AND expires > ?", bind_id, now)
            if row is None:
                raise ProviderError("the binding {id} has ended or is not known", hint="bind anew", id=bind_id)
            if wanted > row[5]:
                if wanted - row[5] not in {days * _MICROS_DAY for days in STEPS}:
                    steps = ", ".join(map(str, STEPS))
                    raise ProviderError("one call extends by {steps} days", hint="choose one of them", steps=steps)
                self._db.execute("UPDATE binding SET expires = ? WHERE bind_id = ?", (wanted, bind_id))
                row = (*row[:5], wanted, *row[6:])
            return _binding(row, now)

    def unbind(self, bind_id: str) -> None:
        """End a binding now, and forget whom it reached."""
        with self._writing() as now:
            # The end takes the place of the expiry: the extension rests from now on.
            self._db.execute(
                "UPDATE binding SET ended = 1, expires = min(expires, ?), a = x'', b = x'' WHERE bind_id = ? AND ended = 0",
                (now, bind_id),
            )

    def query(self, bind_id: str) -> NumberBinding | None:
        """How a binding stands; see :class:`~parcelveil.ports.VirtualNumber`."""
        with self._turn:
            try:
                row = self._one("bind_id = ?", bind_id)
            except sqlite3.Error as error:
                raise self._unusable(error) from None
        return None if row is None else _binding(row, _micros(self._clock.now()))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- what only a simulator can tell ------------------------------------------------------------------------------

    def rings(self, number: str, extension: str, phone: bytes, *, caller: bytes | None = None) -> bool:
        """Whether ``phone`` rings when somebody dials ``number`` and ``extension``.

        An AXB number (no extension) rings for its pair only, so it needs the ``caller``'s phone.
        """
        now = _micros(self._clock.now())
        with self._turn:
            if extension:
                row = self._one(f"{_EXTENDED} AND ended = 0 AND expires > ?", number, extension, now)
                return row is not None and hmac.compare_digest(row[7], self._sealed(row[0], phone))
            if caller is None:
                return False
            called, calling = self._sealed(number, phone), self._sealed(number, caller)
            pair = f"{_PAIRED} AND expires > ? AND (a = ? AND b = ? OR b = ? AND a = ?)"
            return self._one(pair, number, now, called, calling, called, calling) is not None

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _one(self, condition: str, *values: Any) -> tuple[Any, ...] | None:
        statement = f"SELECT {_COLUMNS} FROM binding WHERE {condition}"  # noqa: S608  conditions of this module
        row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row

    def _sealed(self, scope: str, phone: bytes) -> bytes:
        """What is kept of a phone: an HMAC that differs from binding to binding (axb: from number to number)."""
        return hmac.digest(self._secret, b"%b\0%b" % (scope.encode(), phone), "sha256")

    def _same(self, row: tuple[Any, ...], request: NumberRequest, now: int) -> NumberBinding:
        scope = row[3] if request.model == "axb" else row[0]
        fits = row[2] == request.model and hmac.compare_digest(row[7], self._sealed(scope, request.phone.value))
        if request.peer is not None:
            fits &= hmac.compare_digest(row[8], self._sealed(scope, request.peer.value))
        if not fits:
            raise ProviderError(
                "this key is bound to another phone already", hint="unbind it, or bind under another key"
            )
        return _binding(row, now)

    def _sweep(self, now: int) -> None:
        """Forget whom expired bindings reached, and give back numbers that have rested."""
        self._db.execute("UPDATE binding SET ended = 2, a = x'', b = x'' WHERE ended = 0 AND expires <= ?", (now,))
        self._db.execute("DELETE FROM binding WHERE expires < ?", (now - REST_DAYS * _MICROS_DAY,))

    def _free(self, bind_id: str, request: NumberRequest) -> tuple[str, str, bytes, bytes]:
        """A number that is free for this request, its extension, and what is kept of the phones."""
        if request.peer is not None:
            return self._free_pair(request.phone, request.peer)
        kept = self._sealed(bind_id, request.phone.value)
        for _ in range(_TRIES):
            number, extension = secrets.choice(self._extended), f"{_FIRST_EXTENSION + secrets.randbelow(_EXTENSIONS)}"
            if self._one(_EXTENDED, number, extension) is None:
                return number, extension, kept, b""
        for number in secrets.SystemRandom().sample(self._extended, len(self._extended)):
            taken = self._db.execute(
                "SELECT extension FROM binding WHERE number = ? AND extension <> ''", (number,)
            ).fetchall()
            if len(taken) < _EXTENSIONS:
                free = {f"{_FIRST_EXTENSION + n}" for n in range(_EXTENSIONS)} - {one for (one,) in taken}
                return number, secrets.choice(sorted(free)), kept, b""
        raise _used_up()

    def _free_pair(self, phone: Secret, peer: Secret) -> tuple[str, str, bytes, bytes]:
        """An X on which neither phone occurs, on either side."""
        for number in self._pairing:
            a, b = self._sealed(number, phone.value), self._sealed(number, peer.value)
            pairs = f"SELECT count(*), coalesce(max(a IN (?, ?) OR b IN (?, ?)), 0) FROM binding WHERE {_PAIRED}"  # noqa: S608
            count, met = self._db.execute(pairs, (a, b, a, b, number)).fetchone()
            if count < MOST_PAIRS and not met:
                return number, "", a, b
        raise _used_up()


_MICROS_DAY = _DAY // timedelta(microseconds=1)


def _used_up() -> ProviderError:
    return ProviderError(
        "the pool of virtual numbers is used up", hint="wait until parcels are delivered, or order more numbers"
    )


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _binding(row: tuple[Any, ...], now: int) -> NumberBinding:
    bind_id, _, model, number, extension, expires, ended, *_ = row
    return NumberBinding(
        bind_id=bind_id,
        model=model,
        number=number,
        extension=extension,
        expires_at=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=expires),
        state="unbound" if ended == _UNBOUND else "bound" if expires > now else "expired",
    )
