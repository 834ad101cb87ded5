"""What was read, what was not, and why: a scan that says nothing about a file has not found it clean.

::

    manifest = Manifest(file, started="2026-11-24T09:00:00+08:00", key_id=key.key_id, rules=digest)
    manifest.note(read)                     # for each document, as readers give them
    manifest.outcomes["skipped"], manifest.whys[("skipped", "encrypted")]
    manifest.close()                        # the last line; then .sha256 commits to all of it

The file is JSON lines: a header, a :class:`~parcelveil.scan.findings.Read` a line, and a last line with the counts, by
which a manifest that was cut short is told. Paths may hold names, so a bare hash of the file would be a guess away
from them: the header has 16 random bytes of salt, and ``sha256``, which goes into the audit log, says nothing
once the file is gone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from parcelveil.errors import InputError
from parcelveil.scan.findings import Read

VERSION = 1
SALT_BYTES = 16
#: Documents that were not read, or not wholly, and are kept for the summary and for SARIF; the file has all.
PROBLEMS = 1_000
#: Different reasons that are counted one by one. Readers have a closed list; this bounds what a broken one could do.
WHYS = 200
_LONGEST_LINE = 1 << 20


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    manifest: int
    salt: str
    started: str
    key: str
    rules: str


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line."""

    documents: int
    read: int
    partly: int
    skipped: int
    bytes: int
    rows: int
    findings: int


class Manifest:
    """Counts lines, and writes them to ``file`` if there is one."""

    def __init__(self, file: BinaryIO | None = None, *, started: str = "", key_id: str = "", rules: str = "") -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._encoder = msgspec.json.Encoder()
        self._closed = False
        self.outcomes: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()  # of what was read, wholly or partly
        self.whys: Counter[tuple[str, str]] = Counter()  # (outcome, why)
        self.problems: list[Read] = []
        self.bytes = self.rows = self.findings = 0
        self._write(Header(VERSION, secrets.token_hex(SALT_BYTES), started, key_id, rules))

    def note(self, read: Read) -> None:
        """Take a line."""
        self.outcomes[read.outcome] += 1
        if read.outcome != "skipped":
            self.formats[read.format] += 1
            self.bytes += read.bytes
            self.rows += read.rows
        self.findings += read.findings
        if read.outcome != "read" or read.why:
            reason = (read.outcome, read.why)
            self.whys[
                reason if reason in self.whys or len(self.whys) < WHYS else (read.outcome, "for other reasons")
            ] += 1
            if len(self.problems) < PROBLEMS:
                self.problems.append(read)
        self._write(read)

    def close(self) -> None:
        """Write the last line. The file stays open, for whoever opened it."""
        if not self._closed:
            self._write(self.totals)
            self._closed = True
            if self._file is not None:
                self._file.flush()

    @property
    def documents(self) -> int:
        """How many documents there were, read or not."""
        return self.outcomes.total()

    @property
    def totals(self) -> Totals:
        """The counts so far."""
        done = self.outcomes
        return Totals(
            self.documents, done["read"], done["partly"], done["skipped"], self.bytes, self.rows, self.findings
        )

    @property
    def sha256(self) -> str:
        """The hash of what has been written, salt and all, in hex."""
        return self._hash.hexdigest()

    def _write(self, line: msgspec.Struct) -> None:
        data = self._encoder.encode(line) + b"\n"
        self._hash.update(data)
        if self._file is not None:
            self._file.write(data)


def read_manifest(file: BinaryIO, name: str) -> Iterator[Read]:
    """The lines of a manifest. Raises InputError when it is none, was cut short, or its counts are wrong."""
    line = file.readline(_LONGEST_LINE)
    try:
        if msgspec.json.decode(line, type=Header).manifest != VERSION:
            raise ValueError
    except ValueError:
        raise InputError("{file} is not a manifest of this version", file=name) from None
    counted = Manifest()
    totals: Totals | None = None
    while line := file.readline(_LONGEST_LINE):
        if totals is not None:
            raise InputError("{file} goes on behind its end", file=name)
        try:
            if line.startswith(b'{"documents"'):
                totals = msgspec.json.decode(line, type=Totals)
                continue
            read = msgspec.json.decode(line, type=Read)
        except ValueError:
            raise InputError(
                "line {line} of {file} is not one of a manifest", file=name, line=counted.documents + 2
            ) from None
        counted.note(read)
        yield read
    if totals != counted.totals:
        raise InputError(
            "{file} was cut short: it has not the end that it should have",
            hint="the scan was stopped, or somebody changed the file",
            file=name,
        )
