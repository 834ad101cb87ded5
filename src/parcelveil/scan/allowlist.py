"""What people have looked at and allow: a list kept beside the data, and comments in the lines themselves.

::

    key = "2d4f72b94f828a2c"                  # of the scan key; needed for fingerprints only

    [[allow]]
    path = "docs/**"                          # any of path, kind, fingerprint; all that are given must hold
    kind = "phone.mobile"
    until = 2027-06-30                        # the last day it holds; left out: for good
    why = "numbers of the hotline, which are public"

``path`` is a glob over the file's path: ``*`` and ``?`` stop at ``/``, ``**`` does not, a pattern without ``/`` is a name
in any folder, and one that ends in ``/`` is all below. ``kind`` may be a whole class, as ``phone``. An entry that has run
out allows nothing and is reported, and so is one that nothing was found for: a list does not grow old in silence.

A line of text allows what is found in it by ``parcelveil:allow``, in whatever is a comment there; with kinds behind it
it allows those only::

    >>> text = b"tel 13800138000  # parcelveil:allow=phone.mobile,net.email\\nid 11010519491231002X\\n"
    >>> inline_allowed(text, 4) == {"phone.mobile", "net.email"}, inline_allowed(text, 60)
    (True, None)

Nothing that is allowed is hidden: it is written, marked, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.scan.findings import FINGERPRINT
from parcelveil.scan.key import ScanKey
from parcelveil.scan.places import portable

MARK = b"parcelveil:allow"
_KINDS = re.compile(rb"=([A-Za-z0-9_.,]{1,256})")
#: Bytes to each side of a finding in which its line's comment must stand: a line may have gigabytes. With the kinds that
#: a comment names it is less than what the scanner sees around a block, so blocks make no difference.
REACH = 3_072
EVERY: frozenset[str] = frozenset()


class Comment(NamedTuple):
    """A line with a mark: its bytes, and the kinds it allows, none of them named for all."""

    start: int
    end: int
    kinds: frozenset[str]


def inline_allowed(data: bytes, start: int) -> frozenset[str] | None:
    """What the line around byte ``start`` of ``data`` allows: None for nothing, the empty set for every kind."""
    first = data.rfind(b"\n", max(0, start - REACH), start) + 1 or max(0, start - REACH)
    last = data.find(b"\n", start, start + REACH)
    line_end = last if last >= 0 else min(len(data), start + REACH)
    at = data.find(MARK, first, line_end)
    return None if at < 0 else _named(data, at, line_end)


def inline_comments(data: bytes) -> list[Comment]:
    """Every line of ``data`` with a mark, in order. Quick where there is none: one search through the bytes."""
    found: list[Comment] = []
    at = data.find(MARK)
    while at >= 0:
        first = data.rfind(b"\n", max(0, at - REACH), at) + 1 or max(0, at - REACH)
        last = data.find(b"\n", at, at + REACH)
        end = last if last >= 0 else min(len(data), at + REACH)
        found.append(Comment(first, end, _named(data, at, end)))
        at = data.find(MARK, end)
    return found


def _named(data: bytes, at: int, end: int) -> frozenset[str]:
    named = _KINDS.match(data, at + len(MARK), end)
    if named is None:
        return EVERY
    return frozenset(name for name in named[1].decode().strip(".,").split(",") if name)


def covers(named: str, kind: str) -> bool:
    """Whether a kind, or a class of kinds, that somebody wrote speaks of ``kind``."""
    return named == kind or kind.startswith(named + ".")


def comment_allows(kinds: frozenset[str], kind: str) -> bool:
    """Whether what :func:`inline_allowed` found allows ``kind``."""
    return not kinds or any(covers(named, kind) for named in kinds)


class Allow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the list."""

    why: str
    fingerprint: str = ""
    path: str = ""
    kind: str = ""
    until: date | None = None

    @property
    def text(self) -> str:
        """How a report names it."""
        said = (f"{name} {getattr(self, name)}" for name in ("path", "kind", "fingerprint") if getattr(self, name))
        return ", ".join(said)


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: list[Allow] = []
    key: str = ""


class AllowList:
    """Entries that hold today. ``used`` counts what each has allowed; paths are those below ``base``."""

    def __init__(self, entries: Sequence[Allow], today: date, base: Path, current: Path) -> None:
        self.entries = [entry for entry in entries if entry.until is None or today <= entry.until]
        self.expired = [entry for entry in entries if entry.until is not None and today > entry.until]
        self.used = [0] * len(self.entries)
        self._base, self._current = base, current
        self._by_value = [bytes.fromhex(entry.fingerprint) for entry in self.entries]

    @property
    def unused(self) -> list[Allow]:
        """Entries that hold, and have allowed nothing."""
        return [entry for entry, used in zip(self.entries, self.used, strict=True) if not used]

    def allows(self, findings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which findings the list allows."""
        found = np.zeros(findings.num_rows, dtype=np.bool_)
        if not self.entries or not findings.num_rows:
            return found
        kinds, kind_of = _distinct(findings["kind"])
        places, place_of = _distinct(pc.binary_join_element_wise(findings["source"], findings["member"], "\0"))
        paths = [self._paths(place) for place in places]
        for number, entry in enumerate(self.entries):
            rows = np.ones(findings.num_rows, dtype=np.bool_)
            if entry.kind:
                rows &= np.array([covers(entry.kind, kind) for kind in kinds])[kind_of]
            if entry.path:
                rows &= matches(entry.path, paths)[place_of]
            if entry.fingerprint and rows.any():
                same = pc.equal(findings["fingerprint"], pa.scalar(self._by_value[number], pa.binary(FINGERPRINT)))
                rows &= np.asarray(same)
            self.used[number] += int((rows & ~found).sum())
            found |= rows
        return found

    def _paths(self, place: str) -> tuple[str, str]:
        source, _, member = place.partition("\0")
        outer = portable(source, self._base, self._current)
        return outer, f"{outer}!{member}" if member else outer


def _distinct(column: pa.Array) -> tuple[list[str], npt.NDArray[np.int32]]:
    encoded = pc.dictionary_encode(column)
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices)


def matches(glob: str, paths: Sequence[tuple[str, str]]) -> npt.NDArray[np.bool_]:
    """Which of ``paths`` (a file's own, and with the member inside it) a glob names. Time is linear (RE2)."""
    pattern = _regex(glob)
    found = np.zeros(len(paths), dtype=np.bool_)
    for side in (0, 1):
        texts = [pair[side] for pair in paths]
        if "/" not in glob:
            texts = [text.rsplit("/", 1)[-1] for text in texts]
        found |= np.asarray(pc.match_substring_regex(pa.array(texts, pa.string()), pattern))
    return found


def _regex(glob: str) -> str:
    if glob.endswith("/"):
        glob += "**"
    glob = glob.removeprefix("./")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    said = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "(?s)^" + "".join(said.get(part) or re.escape(part) for part in parts) + "$"


def load_allow(path: Path, key: ScanKey, *, today: date, current: Path) -> AllowList:
    """The list in a TOML file. Raises InputError, which names the entry that is wrong; KeyAccessError for another key's."""
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_List)
    except OSError as error:
        raise InputError(
            "{file} cannot be read: {why}", file=str(path), why=error.strerror or type(error).__name__
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError("{file} is not an allow-list: {why}", hint=_HINT, file=str(path), why=str(error)) from None
    for number, entry in enumerate(found.allow, 1):
        _check(entry, number, str(path))
    if any(entry.fingerprint for entry in found.allow):
        key.lasts()
        key.fits(found.key, str(path))
    return AllowList(found.allow, today, path.parent.absolute(), current)


_HINT = "see docs/scan.md"


def _check(entry: Allow, number: int, file: str) -> None:
    """Raise InputError for an entry that says too little."""
    if not entry.why.strip():
        raise InputError(
            "entry {number} of {file} has no why",
            hint="say why it is allowed: whoever comes after has to know",
            number=number,
            file=file,
        )
    if not (entry.fingerprint or entry.path or entry.kind):
        raise InputError(
            "entry {number} of {file} would allow everything",
            hint="give path, kind or fingerprint",
            number=number,
            file=file,
        )
    if entry.fingerprint and not re.fullmatch(f"[0-9a-f]{{{2 * FINGERPRINT}}}", entry.fingerprint):
        raise InputError(
            "entry {number} of {file}: a fingerprint has 32 hex digits in small letters",
            hint="copy it from the findings",
            number=number,
            file=file,
        )
