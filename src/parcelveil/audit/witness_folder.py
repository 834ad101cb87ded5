"""The folder of a witness: its key, what it has seen of each log, and the evidence of alarms.

::

    folder = WitnessFolder(path)
    with folder.alone():                     # no other thread or process is inside
        log, key = folder.log(origin)
        folder.save(origin, msgspec.structs.replace(log, cleared=1))

::

    witness.key                 parcelveil-witness-key-v1 NAME BASE64(32-byte Ed25519 seed)
    witness.vkey                the public key, for those who check cosignatures
    log-ORIGIN.json             the log's key, and the newest checkpoint we cosigned     (WatchedLog)
    alarm-ORIGIN-1.json         the evidence of a fork, kept for good                    (Alarm)
    alarm-ORIGIN-rollback-DIGEST.json, alarm-ORIGIN-key-DIGEST.json
                                evidence of what stops nothing, one file for each note that was shown (Alarm)

``ORIGIN`` is percent-encoded. Whatever is written is on the disk when the call returns, and a file is either the old or the new
one, wholly. A fork's alarm stands while its number is above ``cleared``, so the evidence file itself is the alarm: a
crash cannot leave one without the other. The others have no number and do not stand; of them at most
:data:`MOST_KEPT` of a kind are kept for each log, the first ones, because anybody can cause them.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from parcelveil.audit.note import COSIGNATURE, Signer
from parcelveil.audit.proof import ProofError, VerifierKey, read_checkpoint, unbase64, verify_note
from parcelveil.errors import LogError

#: Files of evidence of one kind that stop nothing, for each log.
MOST_KEPT = 32
_MOST_ORIGIN = 150  # letters of its quoted form, which is part of file names
_KEY_LINE = re.compile(r"parcelveil-witness-key-v1 (\S+) (\S+)\n")
_LOG_FORMAT = "parcelveil.witness-log.v1"
_ALARM_FORMAT = "parcelveil.witness-alarm.v1"


class WatchedLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ``log-`` file says."""

    vkey: str
    note: str = ""  #: the newest checkpoint we cosigned, with the log's signature and ours; empty before the first
    cleared: int = 0  #: alarms (of forks) up to this number were cleared by a person
    format: str = _LOG_FORMAT


class Alarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an ``alarm-`` file says. ``seen`` and, unless ``kind`` is "key", ``shown`` carry the log's signature.

    ``seen`` is empty where another key's note was shown before the log's own ever was.
    """

    origin: str
    kind: str  #: "fork", "rollback" or "key"
    time: int  #: seconds since 1970
    vkey: str  #: the log's key
    seen: str  #: the newest checkpoint that we had cosigned; for a fork from a rollback, the one shown then
    shown: str  #: what the log showed now
    implied_root: str = ""  #: fork: the root that the shown log has at the size of the seen one, base64
    proof: tuple[str, ...] = ()  #: fork: the consistency proof from that root to the shown one, base64
    number: int = 0  #: forks are counted; 0 for what does not stand
    format: str = _ALARM_FORMAT


class WitnessFolder:
    """See the module. Raises LogError when a file is damaged or cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, signer: Signer, seed: bytes) -> None:
        """Put a new key there. Raises LogError when there is one already."""
        name = signer.key.name
        secret = f"parcelveil-witness-key-v1 {name} {base64.b64encode(seed).decode()}\n"
        temporary = self.path / f".witness.key.{os.getpid()}"
        with _writing(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(temporary, secret.encode())
            try:
                os.link(temporary, self.path / "witness.key")  # unlike a rename, this never replaces a key
            except FileExistsError:
                raise LogError(
                    "{folder} is a witness already", hint="keys are never overwritten", folder=self.path.name
                ) from None
            finally:
                temporary.unlink()
        self._replace("witness.vkey", f"{signer.key}\n".encode())

    def signer(self) -> Signer:
        """The witness's key, from a file that nobody else may read."""
        try:
            with (self.path / "witness.key").open("r", encoding="utf-8") as file:
                open_to_others = os.fstat(file.fileno()).st_mode & 0o077
                text = file.read(1000)
        except FileNotFoundError:
            raise LogError(
                "{folder} is no witness's folder", hint="make one: audit witness init DIR", folder=self.path.name
            ) from None
        except (OSError, UnicodeDecodeError):
            text, open_to_others = "", 0
        if open_to_others:
            raise LogError(
                "witness.key can be read by others", hint="make it yours alone (chmod 600), and think of a new key"
            )
        match = _KEY_LINE.fullmatch(text)
        try:
            if match:
                return Signer.from_seed(match[1], unbase64(match[2]), COSIGNATURE)
        except ValueError:
            pass
        raise LogError("witness.key is damaged, or no key", hint="restore it")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one thread of one process at a time is inside."""
        with _writing(self.path):
            fd = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def origins(self) -> list[str]:
        """The origins of all logs that are watched."""
        try:
            names = [path.read_bytes() for path in self.path.glob("log-*.json")]
            return sorted(VerifierKey.parse(msgspec.json.decode(data, type=WatchedLog).vkey).name for data in names)
        except (ValueError, OSError):
            raise LogError("a file of the witness is damaged", hint="restore it; never remove it") from None

    def watches(self, origin: str) -> bool:
        return len(quote(origin, safe="")) <= _MOST_ORIGIN and (self.path / _log_name(origin)).exists()

    def log(self, origin: str) -> tuple[WatchedLog, VerifierKey]:
        """What was seen of a log, and its key. Raises LogError for a log that is not watched."""
        try:
            log = msgspec.json.decode((self.path / _log_name(origin)).read_bytes(), type=WatchedLog)
            key = VerifierKey.parse(log.vkey)
            if log.format != _LOG_FORMAT or key.name != origin:
                raise ProofError("of another version or log")
            if log.note:  # nobody but the log and we have written this
                read_checkpoint(log.note, key)
                verify_note(log.note, self.signer().key)
        except FileNotFoundError:
            raise LogError(
                "{origin} is not watched here", hint="audit witness trust DIR LOG.vkey", origin=ascii(origin)
            ) from None
        except (ValueError, OSError):
            raise LogError("{file} is damaged", hint="restore it; never remove it", file=_log_name(origin)) from None
        return log, key

    def save(self, origin: str, log: WatchedLog) -> None:
        """Remember, durably."""
        self._replace(_log_name(origin), msgspec.json.format(msgspec.json.encode(log)))

    def alarms(self, origin: str) -> int:
        """The number of the newest alarm (of a fork) about a log, 0 for none."""
        head = alarm_name(origin, "")[:-5]
        found = (path.name[len(head) : -5] for path in self.path.iterdir() if path.name.startswith(head))
        return max((int(name) for name in found if re.fullmatch("[0-9]{1,9}", name)), default=0)

    def save_alarm(self, alarm: Alarm) -> str:
        """Keep the evidence, durably, under the next number: from now on the alarm stands. Returns the file's name."""
        number = self.alarms(alarm.origin) + 1
        name = alarm_name(alarm.origin, str(number))
        self._replace(name, msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(alarm, number=number))))
        return name

    def keep(self, alarm: Alarm, note: str) -> str:
        """Keep evidence that stops nothing, durably, once for each ``note``. Returns the file's name, "-" for none.

        Call under the lock.
        """
        digest = hashlib.sha256(note.encode()).hexdigest()[:16]
        name = alarm_name(alarm.origin, f"{alarm.kind}-{digest}")
        if not (self.path / name).exists():
            if len(self._kept(alarm.origin, alarm.kind)) >= MOST_KEPT:
                return "-"
            self._replace(name, msgspec.json.format(msgspec.json.encode(alarm)))
        return name

    def rollbacks(self, origin: str, key: VerifierKey) -> list[str]:
        """The checkpoints that the log's key has signed and that were shown when more had been seen."""
        try:
            shown = [
                msgspec.json.decode((self.path / name).read_bytes(), type=Alarm).shown
                for name in self._kept(origin, "rollback")
            ]
            for text in shown:
                read_checkpoint(text, key)
        except (ValueError, OSError):
            raise LogError("a file of the witness is damaged", hint="restore it; never remove it") from None
        return shown

    def _kept(self, origin: str, kind: str) -> list[str]:
        """The files of evidence of one kind. No origin's file looks like another's: numbers are shorter than digests."""
        fits = re.compile(re.escape(alarm_name(origin, kind)[:-5]) + r"-[0-9a-f]{16}\.json")
        return sorted(path.name for path in self.path.iterdir() if fits.fullmatch(path.name))

    def _replace(self, name: str, data: bytes) -> None:
        """Put a file there, or another in its place."""
        with _writing(self.path):
            temporary = self.path / f".{name}.{os.getpid()}"
            _write(temporary, data)
            temporary.replace(self.path / name)
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def alarm_name(origin: str, number: str) -> str:
    """The name of an alarm's file."""
    return f"alarm-{_quoted(origin)}-{number}.json"


def _log_name(origin: str) -> str:
    return f"log-{_quoted(origin)}.json"


def _quoted(origin: str) -> str:
    name = quote(origin, safe="")
    if len(name) > _MOST_ORIGIN:
        raise LogError("an origin of more than {most} letters", most=_MOST_ORIGIN)
    return name


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LogError(
            "the witness's folder {folder} cannot be written: {why}",
            hint="nothing was cosigned",
            folder=folder.name,
            why=error.strerror,
        ) from None


def _write(path: Path, data: bytes) -> None:
    """A file that only its owner reads, on the disk when this returns."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
