"""Findings that a comment in their line allows are marked while the text is there; afterwards nobody could tell.

::

    >>> import numpy as np
    >>> from parcelveil.scan.findings import Place
    >>> from parcelveil.scan.sinks import example
    >>> text = np.frombuffer(b"tel 16312345678  # parcelveil:allow=phone", np.uint8)
    >>> marked(example(Place("a.py"), kind="phone.mobile", reason="check"), text, np.array([4]))["reason"][0].as_py()
    'check; allowed here'

What such a comment says is in :mod:`~parcelveil.scan.allowlist`; whether it counts, :mod:`~parcelveil.scan.allowing`
decides. A text without a mark costs one search for it, and only where something was found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.allowlist import Comment, comment_allows, inline_comments
from parcelveil.scan.reasons import ALLOWED_HERE, JOINT

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]


def marked(findings: pa.RecordBatch, data: Bytes, starts: Index) -> pa.RecordBatch:
    """``findings``, those that a comment allows with a reason more. ``starts`` are their places in ``data``, text as bytes."""
    if not findings.num_rows:
        return findings
    comments = inline_comments(_raw(data))
    if not comments:
        return findings
    allowed = _allowed(comments, starts, findings["kind"])
    if not allowed.any():
        return findings
    reason = findings["reason"]
    said = pc.if_else(pa.array(allowed), pc.binary_join_element_wise(reason, ALLOWED_HERE, JOINT), reason)
    return findings.set_column(findings.schema.get_field_index("reason"), findings.schema.field("reason"), said)


def _raw(data: Bytes) -> bytes:
    """The bytes of an array: those that it was made from where they are all of it, else a copy."""
    base: object = data.base
    return base if isinstance(base, bytes) and len(base) == len(data) else data.tobytes()


def _allowed(comments: list[Comment], starts: Index, kinds: pa.Array) -> npt.NDArray[np.bool_]:
    begins = np.array([comment.start for comment in comments], np.int64)
    ends = np.array([comment.end for comment in comments], np.int64)
    line = np.searchsorted(begins, starts, side="right") - 1
    inside = (line >= 0) & (starts < ends[line])
    for row in np.flatnonzero(inside).tolist():
        inside[row] = comment_allows(comments[line[row]].kinds, kinds[row].as_py())
    return inside
