"""A baseline: what was there when scanning began, so that a scan speaks up for what is new only.

::

    baseline = read_baseline(path, key, current=Path.cwd())
    known = baseline.allows(batch)          # True: it was there already
    baseline.was_read(read)                 # for each line of the manifest
    baseline.stale()                        # entries that are not there any more: write the baseline anew

A file of JSON lines, sorted, one line a value and place, so that a change of it is a change of a line. It holds no value
and no line number: a finding is known by **fingerprint, kind and place**, the place being source, member and part
without line, row and column. So it survives moved lines, and a changed column's name. Each entry counts how often the
value stood there; one more than that is new.

What is known by fingerprint and kind, and stands at another place:

* in **another part of the same file** (a renamed sheet, a member moved inside an archive) it counts as moved;
* in **another file** it counts as moved when the file of the entry is not there any more (renamed); when it is, the value
  has been copied, and that is new.

An entry can be used up once: a value that was in one place and is now in two is one new finding. Only readable values
(state ``clear``) are in a baseline: the rest raises no alarm.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.scan.findings import FINGERPRINT, Read
from parcelveil.scan.key import ScanKey
from parcelveil.scan.places import STDIN, is_uri, portable

VERSION = 1
_LONGEST_LINE = 1 << 16


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    baseline: int  # version of the format
    key: str  # id of the scan key


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, order=True):
    """A line of a baseline. The order of fields is the order of lines. ``source`` is portable, see places."""

    source: str
    member: str = ""
    part: str = ""
    kind: str = ""
    fingerprint: str = ""
    count: int = 1


class Baseline:
    """Entries of a baseline, and how much of each is left. ``exists`` says whether a file is there (portable name)."""

    def __init__(self, entries: Iterable[Known], base: Path, current: Path, exists: Callable[[str], bool]) -> None:
        self._entries = list(entries)
        self._left = [entry.count for entry in self._entries]
        self._base, self._current = base, current
        self._last = ("", portable("", base, current))
        self._exists = exists
        self._seen: set[str] = set()  # sources of which everything was read
        self._partly: set[str] = set()
        self._there: dict[str, bool] = {}
        # Three ways to an entry: by its place, by its file, and from anywhere. Lists are eaten up from their front, so
        # that a value that stands in very many places costs no more for it.
        self._exact: dict[tuple[bytes, str, str, str, str], int] = {}
        self._by_file: dict[tuple[bytes, str, str], deque[int]] = defaultdict(deque)
        self._anywhere: dict[tuple[bytes, str], deque[int]] = defaultdict(deque)
        for number, entry in enumerate(self._entries):
            value = bytes.fromhex(entry.fingerprint)
            self._exact[value, entry.kind, entry.source, entry.member, entry.part] = number
            self._by_file[value, entry.kind, entry.source].append(number)
            self._anywhere[value, entry.kind].append(number)
        self._values = pa.array(sorted({value for value, _ in self._anywhere}), pa.binary(FINGERPRINT))
        self.moved = 0  # findings that were known from another place

    def allows(self, findings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which findings were there when the baseline was written. Uses up the entries that say so."""
        known = np.zeros(findings.num_rows, dtype=np.bool_)
        candidates = np.asarray(pc.is_in(findings["fingerprint"], value_set=self._values))
        candidates = candidates & np.asarray(pc.equal(findings["state"], "clear"))
        rows = np.flatnonzero(candidates)
        if not len(rows):
            return known
        part = findings.take(pa.array(rows))
        columns = (part[name].to_pylist() for name in ("source", "member", "part", "kind", "fingerprint"))
        held: list[tuple[int, bytes, str, str]] = []
        for row, source, member, inner, kind, value in zip(rows, *columns, strict=True):
            place = self._portable(source)
            exact = self._exact.get((value, kind, place, member, inner), -1)
            if exact >= 0 and self._left[exact]:
                self._left[exact] -= 1
                known[row] = True
            else:
                held.append((row, value, kind, place))
        # After the exact ones, so that what has not moved is never used up by what has.
        for row, value, kind, place in held:
            if self._moved(value, kind, place):
                self.moved += 1
                known[row] = True
        return known

    def _moved(self, value: bytes, kind: str, source: str) -> bool:
        """Use up an entry that may have been what now stands in ``source``; False when there is none."""
        within = self._by_file.get((value, kind, source))
        if within:
            while within and not self._left[within[0]]:
                within.popleft()
            if within:
                self._left[within[0]] -= 1
                return True
        others = self._anywhere.get((value, kind))
        while others:
            number = others[0]
            if self._left[number] and self._is_gone(self._entries[number].source):
                self._left[number] -= 1
                return True
            others.popleft()  # used up, or its file is there: neither changes while this scan runs
        return False

    def _is_gone(self, source: str) -> bool:
        if source == STDIN or is_uri(source):
            return False  # nobody can look whether a stream or a database is there
        if source not in self._there:
            self._there[source] = self._exists(source)
        return not self._there[source]

    def _portable(self, source: str) -> str:
        if source != self._last[0]:  # findings come file by file
            self._last = (source, portable(source, self._base, self._current))
        return self._last[1]

    def was_read(self, read: Read) -> None:
        """Take note of a line of the manifest: entries can be stale only in what was read to the end."""
        source = self._portable(read.place.source)
        (self._seen if read.outcome == "read" else self._partly).add(source)

    def stale(self) -> list[Known]:
        """Entries of which less was found than they say, though their file was read, or is gone. ``count`` is what is missing."""
        return [
            msgspec.structs.replace(entry, count=left)
            for entry, left in zip(self._entries, self._left, strict=True)
            if left and self._judged(entry.source)
        ]

    def _judged(self, source: str) -> bool:
        return (source in self._seen and source not in self._partly) or self._is_gone(source)


def read_baseline(path: Path, key: ScanKey, *, current: Path) -> Baseline:
    """The baseline in a file. Raises InputError for a broken one, KeyAccessError for one of another key."""
    key.lasts()
    base = path.parent.absolute()
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            key.fits(header.key, str(path))
            entries = list(_entries(file, path))
    except OSError as error:
        raise InputError(
            "{file} cannot be read: {why}", file=str(path), why=error.strerror or type(error).__name__
        ) from None
    return Baseline(entries, base, current, lambda source: (base / source).exists())


def _header(file: BinaryIO, path: Path) -> _Header:
    try:
        header = msgspec.json.decode(file.readline(_LONGEST_LINE), type=_Header)
    except ValueError:
        raise InputError("{file} is not a baseline", hint=_HINT, file=str(path)) from None
    if header.baseline != VERSION:
        raise InputError(
            "{file} is a baseline of version {version}, and this program knows {known}",
            hint="use the version of parcelveil that wrote it, or write it anew",
            file=str(path),
            version=header.baseline,
            known=VERSION,
        )
    return header


def _entries(file: BinaryIO, path: Path) -> Iterator[Known]:
    decoder = msgspec.json.Decoder(Known)
    number = 1
    while line := file.readline(_LONGEST_LINE):
        number += 1
        try:
            entry = decoder.decode(line)
            if len(bytes.fromhex(entry.fingerprint)) != FINGERPRINT or entry.count < 1:
                raise ValueError
        except ValueError:
            raise InputError(
                "line {line} of {file} is no entry of a baseline", hint=_HINT, file=str(path), line=number
            ) from None
        yield entry


_HINT = "write it anew: parcelveil scan … --write-baseline"


class BaselineWriter:
    """Collects the readable findings of a scan, and writes them as a baseline beside which sources lie in ``base``."""

    def __init__(self, key: ScanKey, base: Path, current: Path) -> None:
        key.lasts()
        self._key, self._base, self._current = key, base.absolute(), current
        self._counts: Counter[tuple[str, str, str, str, bytes]] = Counter()

    def write(self, findings: pa.RecordBatch) -> None:
        """Take a batch of findings."""
        clear = findings.filter(pc.equal(findings["state"], "clear"))
        names = ("source", "member", "part", "kind", "fingerprint")
        self._counts.update(zip(*(clear[name].to_pylist() for name in names), strict=True))

    def save(self, file: BinaryIO) -> int:
        """Write the baseline; return how many entries it has."""
        names = {source: portable(source, self._base, self._current) for source in {key[0] for key in self._counts}}
        merged: Counter[tuple[str, str, str, str, str]] = Counter()
        for (source, member, part, kind, value), count in self._counts.items():
            merged[names[source], member, part, kind, value.hex()] += count
        encoder = msgspec.json.Encoder()
        file.write(encoder.encode(_Header(VERSION, self._key.key_id)) + b"\n")
        for (source, member, part, kind, digits), count in sorted(merged.items()):
            file.write(encoder.encode(Known(source, member, part, kind, digits, count)) + b"\n")
        return len(merged)
