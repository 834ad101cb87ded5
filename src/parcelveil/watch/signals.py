"""What a detector says: a :class:`Signal`, or :class:`Scores` where a threshold is still to be put to it.

::

    scores = exports.score(day)                      # a number for each account of the day: larger is stranger
    scores.signals(threshold)                        # those above it, each with its rows
    Signal("network", "203.0.113.0/24", "scraping", time=t, day=d, value=90, expected=4, p=1e-12, threshold=1e-9, rows=rows)

A detector gives *signals* where its null needs no calibration (counters that do not agree, one account at two places), and
*scores* where the null is a habit of people, which only the days before can tell. The **score** is minus the decimal
logarithm of a nominal tail probability: 3 says "one in a thousand, were the model right". The model is not right to the
digit, so :mod:`~parcelveil.watch.calibrate` sets thresholds by the ranks that accounts have had, never by the nominal p.

``time`` is the moment at which it could be said, in microseconds since 1970: never earlier than the last row that it rests
on. ``rows`` are ids of accesses (``CODED_ACCESS.id``) or, for what comes from web logs, positions of requests; at most
:data:`MOST_ROWS` of them, for a person to look at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Float = npt.NDArray[np.float64]

#: Rows that a signal carries.
MOST_ROWS = 1000


class Signal(NamedTuple):
    """One detector's word on one subject.

    ``subject_kind``: actor, device, network, outlet or system; ``subject``: its code in :class:`~parcelveil.watch.coded.Coder`,
    or the text where it has none (networks and user names of web logs, systems). ``value`` was seen, ``expected`` by habit;
    ``p``: nominal tail probability, 1 where there is none; ``threshold``: of the value (or, where p decides, of p).
    """

    subject_kind: str
    subject: int | str
    name: str
    time: int
    day: int
    value: float
    expected: float
    p: float
    threshold: float
    rows: Int64


class Scores(NamedTuple):
    """One statistic of one day, for each account (or device) that has any.

    Arrays of one length n: ``subject`` int32 codes, ascending; ``value``, ``expected``, ``score`` float64; ``time`` int64.
    The rows of the i-th are ``rows[offsets[i]:offsets[i + 1]]`` (offsets int64, n + 1).
    """

    subject_kind: str
    name: str
    day: int
    subject: Int32
    value: Float
    expected: Float
    score: Float
    time: Int64
    offsets: Int64
    rows: Int64

    def signals(self, threshold: float | Float) -> list[Signal]:
        """A signal for each subject whose score exceeds ``threshold`` (one number, or one a subject)."""
        limits = np.broadcast_to(np.asarray(threshold, np.float64), self.score.shape)
        return [self.signal(at, float(limits[at])) for at in np.flatnonzero(self.score > limits).tolist()]

    def signal(self, at: int, threshold: float = 0.0) -> Signal:
        """The signal of the subject at a place."""
        return Signal(
            self.subject_kind,
            int(self.subject[at]),
            self.name,
            int(self.time[at]),
            self.day,
            float(self.value[at]),
            float(self.expected[at]),
            float(10.0 ** -min(self.score[at], 300.0)),
            threshold,
            self.rows[self.offsets[at] : self.offsets[at + 1]][:MOST_ROWS],
        )

    def of(self, subject: int) -> tuple[float, float, float]:
        """``(value, expected, score)`` of one subject; zeros where it has none."""
        at = int(np.searchsorted(self.subject, subject))
        if at == len(self.subject) or self.subject[at] != subject:
            return 0.0, 0.0, 0.0
        return float(self.value[at]), float(self.expected[at]), float(self.score[at])


def scores(
    kind: str,
    name: str,
    day: int,
    subject: npt.NDArray[np.integer],
    value: Float,
    expected: Float,
    score: Float,
    *,
    row_subject: npt.NDArray[np.integer],
    row_id: Int64,
    row_time: Int64,
    time: Int64 | int = 0,
) -> Scores:
    """:class:`Scores` whose rows are given flat: ``row_subject`` says whose each row is; rows of no subject are left out.

    The time of a subject is that of its last row, and no earlier than ``time``.
    """
    order = np.argsort(subject, kind="stable")
    codes: Int32 = subject[order].astype(np.int32)
    at = np.searchsorted(codes, row_subject)
    inside = at < len(codes)
    inside[inside] = codes[at[inside]] == row_subject[inside]
    at, ids, times = at[inside], row_id[inside], row_time[inside]
    by = np.lexsort((ids, times, at))
    at, ids, times = at[by], ids[by], times[by]
    offsets = np.searchsorted(at, np.arange(len(codes) + 1)).astype(np.int64)
    moment = np.broadcast_to(np.asarray(time, np.int64), codes.shape)[order].copy()
    if len(times):
        some = offsets[1:] > offsets[:-1]
        moment[some] = np.maximum(moment[some], times[offsets[1:][some] - 1])
    return Scores(
        kind, name, day, codes, value[order].astype(np.float64), expected[order].astype(np.float64),
        score[order].astype(np.float64), moment, offsets, ids.astype(np.int64),
    )  # fmt: skip
