"""A scan that was stopped goes on where it was: a journal beside its findings.

::

    journal = Journal.begin(Path("scan.journal"), Path("findings.jsonl"), identity)
    # or, when it was stopped:  journal = Journal.resume(Path("scan.journal"), Path("findings.jsonl"), identity)
    for batch, allowed in journal.replay(): ...     # findings of before: into tally and other outputs
    for read in journal.reads(): ...                # and into the manifest
    for source in files:
        if not journal.done(source):
            journal.start(source)
            ...                                     # journal.sink.write(batch, allowed)
            journal.finish(source, reads)
    journal.close()

The journal is JSON lines, appended to only: a header that says what the scan is (:class:`Identity`), then a line for each
file that is finished: its size and time of change, which bytes of the findings are its own, their hash, and its lines of
the manifest. It holds no value. A line is written only after the findings before it are durable, at most once in
:data:`EVERY` seconds for all that have been finished since, so that many small files do not wait for the disk each.

Resuming, after Ctrl-C or ``kill -9``: what stands in the findings behind the last line of the journal is cut off, and scanned
again, so nothing is lost and nothing doubled. Findings of a finished file that has changed since, or is gone, are taken out;
if it is there, it is scanned again. So is what has no size and time: standard input, databases. Another key, other rules or options are
refused: the findings would not belong together.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import pyarrow as pa

from parcelveil.errors import InputError, OutputError, UsageError
from parcelveil.scan.findings import Read
from parcelveil.scan.places import STDIN, is_uri
from parcelveil.scan.rules import Family
from parcelveil.scan.sinks import Allowed, JsonLines, read_findings

VERSION = 1
#: Seconds of work that a crash may cost, beside the file that was being read.
EVERY = 1.0
_CHUNK = 1 << 20
_HASH_BYTES = 16


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes a scan this one: its key, its rules, and whatever else changes what it finds, as text."""

    key: str
    rules: str
    options: dict[str, str] = {}


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    journal: int
    identity: Identity


class _Stat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file is told to have changed. -1: nobody can tell."""

    size: int = -1
    mtime_ns: int = -1


class _Finished(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    stat: _Stat
    length: int  # bytes of its findings, which follow those of the line before
    hash: str  # BLAKE2b of them
    reads: list[Read] = []


def rules_digest(families: Iterable[Family]) -> str:
    """SHA-256 of rules, in hex: equal rules have equal digests, wherever their files are."""
    return hashlib.sha256(msgspec.json.encode(list(families), order="deterministic")).hexdigest()


def _stat(source: str) -> _Stat:
    if source == STDIN or is_uri(source):
        return _Stat()
    try:
        found = os.stat(source)  # noqa: PTH116 - a source is a text that is compared, not a path to walk
    except (OSError, ValueError):
        return _Stat()
    return _Stat(found.st_size, found.st_mtime_ns)


class _Hashed:
    """The findings file: hands bytes on and hashes those of the file that is being scanned."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.restart()

    def restart(self) -> None:
        self.hash = hashlib.blake2b(digest_size=_HASH_BYTES)

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


class Journal:
    """See the module. Made by :meth:`begin` and :meth:`resume`."""

    def __init__(self, path: Path, findings: Path, finished: list[_Finished]) -> None:
        self._path, self._findings_path = path, findings
        self._finished = {entry.source: entry for entry in finished}
        self._restored = list(finished)
        self.restored_bytes = sum(entry.length for entry in finished)
        self._end = self.restored_bytes  # of the findings of finished files
        self._waiting: list[_Finished] = []
        self._starts: dict[str, _Stat] = {}
        self._synced = time.monotonic()
        self._encoder = msgspec.json.Encoder()
        self._file = _locked(path)
        self._findings = findings.open("r+b")
        self._findings.truncate(self._end)
        self._findings.seek(self._end)
        self._hashed = _Hashed(self._findings)
        #: Where findings go.
        self.sink = JsonLines(self._hashed, length=self._end)  # type: ignore[arg-type]

    @classmethod
    def begin(cls, path: Path, findings: Path, identity: Identity) -> Self:
        """A new journal, and an empty file of findings. Raises OutputError; replaces neither."""
        for place in (findings, path):
            _create(place)
        try:
            _write_durable(path, [_Header(VERSION, identity)])
            return cls(path, findings, [])
        except OSError as error:
            raise _failed(path, error) from None

    @classmethod
    def resume(cls, path: Path, findings: Path, identity: Identity) -> Self:
        """Go on with a journal. Raises InputError when it is broken or is another scan's, OutputError when it is in use."""
        part = _beside(path)
        try:
            _locked(path).close()  # somebody who still scans must not be disturbed
            if part.exists():
                _recover(path, findings, part)
            header, finished, end = _read(path)
            _compare(header.identity, identity, path)
            if not _belong(findings, finished):
                raise InputError(
                    "{findings} is not the file of findings that {file} was kept for",
                    hint="begin the scan anew, with other names",
                    findings=str(findings),
                    file=str(path),
                )
            with path.open("r+b") as file:
                file.truncate(end)  # half a line, of a crash
            kept = [entry for entry in finished if entry.stat.size >= 0 and _stat(entry.source) == entry.stat]
            if len(kept) < len(finished):
                _without(path, findings, header, finished, {entry.source for entry in kept})
            return cls(path, findings, kept)
        except OSError as error:
            raise _failed(path, error) from None

    def done(self, source: str) -> bool:
        """Whether a file is finished. Whether it has changed was asked when the scan went on, and is not asked again."""
        return source in self._finished

    def start(self, source: str) -> None:
        """Take note of how a file is before it is read: a change while it is read makes it unfinished.

        One file is read at a time. Findings of one that was begun and given up are cut off.
        """
        if self.sink.length != self._end:
            self._findings.flush()
            self._findings.truncate(self._end)
            self._findings.seek(self._end)
            self.sink.length = self._end
            self._hashed.restart()
        self._starts = {source: _stat(source)}

    def finish(self, source: str, reads: Iterable[Read] = ()) -> None:
        """Take note that all findings of a file are in :attr:`sink`. Raises OutputError."""
        length = self.sink.length - self._end
        self._end = self.sink.length
        stat = self._starts.get(source, _Stat())
        entry = _Finished(source, stat, length, self._hashed.hash.hexdigest(), list(reads))
        self._waiting.append(entry)
        self._finished[source] = entry
        self._hashed.restart()
        if time.monotonic() - self._synced >= EVERY:
            self.sync()

    def sync(self) -> None:
        """Make everything that is finished durable: findings first, then the lines that speak of them."""
        try:
            self._findings.flush()
            os.fsync(self._findings.fileno())
            if self._waiting:
                # Ctrl-C may come at any place: a line that is lost is scanned again, one that is written twice is a lie.
                lines, self._waiting = self._encoder.encode_lines(self._waiting), []
                self._file.write(lines)
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            raise _failed(self._path, error) from None
        self._synced = time.monotonic()

    def close(self) -> None:
        """Make everything durable, and let go of the files. Findings of an unfinished file are cut off."""
        try:
            self._findings.flush()
            self._findings.truncate(self._end)
            self.sync()
        finally:
            self._findings.close()
            self._file.close()

    def reads(self) -> Iterator[Read]:
        """Lines of the manifest of the files that were finished before this run."""
        for entry in self._restored:
            yield from entry.reads

    def replay(self) -> Iterator[tuple[pa.RecordBatch, Allowed]]:
        """The findings of the files that were finished before this run, and what allowed each."""
        with self._findings_path.open("rb") as file:
            yield from read_findings(file, str(self._findings_path), self.restored_bytes)


def _create(path: Path) -> None:
    """A new empty file that only its owner may read: findings say where to look."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise OutputError(
            "{file} exists already", hint="go on with that scan by --resume, or choose another name", file=str(path)
        ) from None
    except OSError as error:
        raise _failed(path, error) from None


def _failed(path: Path, error: OSError) -> OutputError:
    return OutputError("{file} could not be written: {why}", file=str(path), why=error.strerror or type(error).__name__)


def _locked(path: Path) -> BinaryIO:
    """The journal, opened to append, with a lock that ends with this process."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        raise InputError("there is no journal {file}", hint="begin one with --journal {file}", file=str(path)) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise OutputError(
            "{file} is in use: a scan writes it now", hint="wait for it, or stop it", file=str(path)
        ) from None
    file.seek(0, os.SEEK_END)
    return file


def _read(path: Path) -> tuple[_Header, list[_Finished], int]:
    """Header and whole lines of a journal, and how many bytes they have."""
    finished: list[_Finished] = []
    with path.open("rb") as file:
        line = file.readline()
        try:
            header = msgspec.json.decode(line, type=_Header)
        except ValueError:
            raise InputError("{file} is not a journal of a scan", file=str(path)) from None
        if header.journal != VERSION:
            raise InputError("{file} is a journal of another version", file=str(path))
        end, decoder = len(line), msgspec.json.Decoder(_Finished)
        while (line := file.readline()).endswith(b"\n"):
            try:
                finished.append(decoder.decode(line))
            except ValueError:
                raise InputError(
                    "line {line} of {file} is not one of a journal",
                    hint="begin the scan anew, with other names",
                    file=str(path),
                    line=len(finished) + 2,
                ) from None
            end += len(line)
    return header, finished, end


def _compare(theirs: Identity, ours: Identity, path: Path) -> None:
    differing = [name for name in ("key", "rules") if getattr(theirs, name) != getattr(ours, name)]
    names = sorted({*theirs.options, *ours.options})
    differing += [name for name in names if theirs.options.get(name) != ours.options.get(name)]
    if differing:
        raise UsageError(
            "{file} was begun with another {what}",
            hint="give the same options as then, or begin the scan anew with other names",
            file=str(path),
            what=", ".join(differing),
        )


def _belong(findings: Path, finished: list[_Finished]) -> bool:
    """Whether a file of findings begins with those of the finished files."""
    try:
        with findings.open("rb") as file:
            for entry in finished:
                digest, left = hashlib.blake2b(digest_size=_HASH_BYTES), entry.length
                while left and (data := file.read(min(left, _CHUNK))):
                    digest.update(data)
                    left -= len(data)
                if left or digest.hexdigest() != entry.hash:
                    return False
    except FileNotFoundError:
        return False
    return True


def _without(path: Path, findings: Path, header: _Header, finished: list[_Finished], keep: set[str]) -> None:
    """Write findings and journal anew without files that have changed. Whole files replace the old ones.

    The findings are replaced first. If that is all that happens, the new journal is found beside the old one by
    :func:`_recover`, and belongs to the new findings.
    """
    part, new = _beside(path), _beside(findings)
    _fresh(new)
    with findings.open("rb") as old, new.open("wb") as file:
        for entry in finished:
            if entry.source in keep:
                left = entry.length
                while left and (data := old.read(min(left, _CHUNK))):
                    file.write(data)
                    left -= len(data)
            else:
                old.seek(entry.length, os.SEEK_CUR)
        file.flush()
        os.fsync(file.fileno())
    _fresh(part)
    _write_durable(part, [header, *(entry for entry in finished if entry.source in keep)])
    new.replace(findings)
    _sync_folder(findings)
    part.replace(path)
    _sync_folder(path)


def _recover(path: Path, findings: Path, part: Path) -> None:
    """Finish what :func:`_without` had begun, or undo it."""
    try:
        _, finished, _ = _read(part)
        whole = _belong(findings, finished)
    except InputError:
        whole = False  # it was not written to its end, so nothing was replaced
    if whole:
        part.replace(path)
    else:
        part.unlink()


def _sync_folder(path: Path) -> None:
    """Make it durable that a name stands for another file now."""
    number = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.resumed")


def _fresh(path: Path) -> None:
    path.unlink(missing_ok=True)
    _create(path)


def _write_durable(path: Path, lines: list[_Header | _Finished]) -> None:
    with path.open("wb") as file:
        file.write(msgspec.json.Encoder().encode_lines(lines))
        file.flush()
        os.fsync(file.fileno())
