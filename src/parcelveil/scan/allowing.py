"""Everything that may allow a finding, asked in one order, and the report of what was allowed.

::

    allowing = Allowing(allow_list, baseline)
    codes = allowing.codes(batch)              # a code of sinks.ALLOWED a row: for sinks and for the tally
    allowing.report()                          # how many by what, what ran out, what is not needed any more

What a comment in the line allows, the scanner has marked in the finding's reason: text is gone when findings are there.
Such a comment comes first, then the list, then the baseline: so an entry of a baseline becomes stale, and is
reported, as soon as somebody has given a reason for it in the list.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.allowlist import Allow, AllowList
from parcelveil.scan.baseline import Baseline, Known
from parcelveil.scan.findings import Read
from parcelveil.scan.reasons import ALLOWED_HERE
from parcelveil.scan.sinks import ALLOWED, Allowed

_INLINE, _LIST, _BASELINE = (ALLOWED.index(name) for name in ("inline", "list", "baseline"))


class Report(NamedTuple):
    """What was allowed in a scan. ``counts`` is of findings, by what allowed them; it is never left out."""

    counts: dict[str, int]
    moved: int  # of those that the baseline allowed, how many stood elsewhere
    stale: list[Known]  # entries of the baseline that were not found any more
    expired: list[Allow]  # entries of the list that have run out
    unused: list[Allow]  # entries of the list that allowed nothing


class Allowing:
    """See the module. Any of the two may be missing. ``comments``: whether those in the scanned data count at all.

    They do not where others than the owner of the list write the data: whoever hides something would comment it.
    """

    def __init__(
        self, allow_list: AllowList | None = None, baseline: Baseline | None = None, *, comments: bool = True
    ) -> None:
        self._list, self._baseline, self._comments = allow_list, baseline, comments
        self._counts = np.zeros(len(ALLOWED), dtype=np.int64)

    def codes(self, findings: pa.RecordBatch) -> Allowed:
        """What allows each finding."""
        found = np.zeros(findings.num_rows, dtype=np.uint8)
        if self._comments:
            found[np.asarray(pc.match_substring(findings["reason"], ALLOWED_HERE))] = _INLINE
        for code, allower in ((_LIST, self._list), (_BASELINE, self._baseline)):
            rest = np.flatnonzero(found == 0)
            if allower is not None and len(rest):
                part = findings if len(rest) == len(found) else findings.take(pa.array(rest))
                found[rest[allower.allows(part)]] = code
        self._counts += np.bincount(found, minlength=len(ALLOWED))
        return found

    def was_read(self, read: Read) -> None:
        """Take note of a line of the manifest."""
        if self._baseline is not None:
            self._baseline.was_read(read)

    def report(self) -> Report:
        """What has been allowed so far."""
        return Report(
            {name: int(count) for name, count in zip(ALLOWED, self._counts, strict=True) if name},
            self._baseline.moved if self._baseline else 0,
            self._baseline.stale() if self._baseline else [],
            self._list.expired if self._list else [],
            self._list.unused if self._list else [],
        )
