"""Where the fields of web access log lines stand: one compiled pass over a block, for which no line is too hostile.

::

    >>> line = b'::1 - ab [23/Nov/2026:08:15:00 +0800] "GET /t/1 HTTP/1.1" 200 5 "-" "curl/8"'
    >>> data = np.frombuffer(line, np.uint8)
    >>> places, good = fields(data, np.array([0]), np.array([len(line)]))
    >>> [line[start:end] for start, end in places[0].reshape(-1, 2).tolist()], good.tolist()
    ([b'::1', b'ab', b'23/Nov/2026:08:15:00 +0800', b'GET', b'/t/1', b'200', b'5', b'curl/8'], [True])

A field that quotes stand around ends at the first quote that no backslash escapes, as Apache and nginx write them. The user,
which has no quotes, goes to the first time in brackets that a quote follows: blanks and brackets in a name that somebody
tried to log in with do not hide the line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import Bytes, Index, compiled

#: Columns of what :func:`fields` gives, a start and an end each.
FIELDS = ("host", "user", "time", "method", "path", "status", "bytes", "agent")
TIME_LENGTH = len("23/Nov/2026:08:15:00 +0800")
_MOST_DIGITS = 15
_BLANK, _QUOTE, _ESCAPE = 32, 34, 92


@compiled
def _is_digits(data: Bytes, start: int, end: int) -> bool:
    for at in range(start, end):  # noqa: SIM110  a generator is nothing that numba compiles well
        if data[at] < 48 or data[at] > 57:
            return False
    return True


@compiled
def _is_time(data: Bytes, at: int) -> bool:
    """Whether ``dd/Mon/20yy:hh:mm:ss +hhmm`` stands there, with hours, minutes and seconds that there are."""
    if data[at + 2] != 47 or data[at + 6] != 47 or data[at + 20] != _BLANK:
        return False
    if data[at + 11] != 58 or data[at + 14] != 58 or data[at + 17] != 58:
        return False
    if data[at + 7] != 50 or data[at + 8] != 48 or (data[at + 21] != 43 and data[at + 21] != 45):
        return False
    for start, end in ((0, 2), (9, 11), (12, 14), (15, 17), (18, 20), (22, 26)):
        if not _is_digits(data, at + start, at + end):
            return False
    hour = (int(data[at + 12]) - 48) * 10 + int(data[at + 13]) - 48
    return bool(hour < 24 and data[at + 15] < 54 and data[at + 18] < 55 and data[at + 22] < 50 and data[at + 24] < 54)


@compiled
def _quote_after(data: Bytes, at: int, end: int) -> int:
    """The place of the first quote from ``at`` on that is not escaped; ``end`` where there is none."""
    while at < end and data[at] != _QUOTE:
        at += 2 if data[at] == _ESCAPE else 1
    return min(at, end)


@compiled
def _blank_after(data: Bytes, at: int, end: int) -> int:
    while at < end and data[at] != _BLANK:
        at += 1
    return at


@compiled
def _fields_of(data: Bytes, start: int, end: int, out: npt.NDArray[np.int64]) -> bool:
    """Fill ``out`` with the starts and ends of the fields of one line; whether it is a request."""
    at = _blank_after(data, start, end)
    out[0], out[1] = start, at
    at = _blank_after(data, at + 1, end) + 1  # the identity of RFC 1413, which nobody has
    out[2] = at
    while at + TIME_LENGTH + 4 < end:
        framed = data[at] == _BLANK and data[at + 1] == 91 and data[at + 2 + TIME_LENGTH] == 93
        quoted = data[at + 3 + TIME_LENGTH] == _BLANK and data[at + 4 + TIME_LENGTH] == _QUOTE
        if framed and quoted and _is_time(data, at + 2):
            break
        at += 1
    else:
        return False
    if out[1] == start or at <= out[2]:
        return False
    out[3], out[4], out[5] = at, at + 2, at + 2 + TIME_LENGTH
    at += TIME_LENGTH + 5
    close = _quote_after(data, at, end)
    out[6] = at
    while at < close and 65 <= data[at] <= 90:
        at += 1
    if close == end or at == out[6] or at == close or data[at] != _BLANK:
        return False
    out[7], out[8] = at, at + 1
    out[9] = _blank_after(data, at + 1, close)
    at = close + 2
    if at + 5 > end or data[close + 1] != _BLANK or data[at + 3] != _BLANK:
        return False
    if not _is_digits(data, at, at + 3) or data[at] < 49 or data[at] > 53:
        return False
    out[10], out[11], out[12] = at, at + 3, at + 4
    at = _blank_after(data, at + 4, end)
    if at == end and data[end - 1] == 13:
        at -= 1
    out[13] = at
    size = at - out[12]
    if not (size == 1 and data[at - 1] == 45) and not (0 < size <= _MOST_DIGITS and _is_digits(data, out[12], at)):
        return False
    out[14] = out[15] = at
    if at + 2 < end and data[at + 1] == _QUOTE:
        referrer = _quote_after(data, at + 2, end)
        if referrer + 2 < end and data[referrer + 1] == _BLANK and data[referrer + 2] == _QUOTE:
            out[14], out[15] = referrer + 3, _quote_after(data, referrer + 3, end)
    return True


@compiled
def fields(data: Bytes, starts: Index, ends: Index) -> tuple[Index, npt.NDArray[np.bool_]]:
    """The places of :data:`FIELDS` in each line ``data[start:end]``, ``(n, 16)``, and which lines are requests.

    An agent that is not there is empty. Where a line is no request its places mean nothing.
    """
    places = np.zeros((len(starts), 16), np.int64)
    good = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        good[row] = _fields_of(data, starts[row], ends[row], places[row])
    return places, good


@compiled
def copied(data: Bytes, starts: Index, offsets: npt.NDArray[np.int32]) -> Bytes:
    """The pieces of ``data`` that begin at ``starts``, one after the other; ``offsets`` (n + 1) says how long they are."""
    out = np.empty(offsets[-1], np.uint8)
    for row in range(len(starts)):
        source = np.uint64(starts[row])
        first = np.uint64(offsets[row])
        for position in range(np.uint64(offsets[row + 1]) - first):
            out[first + position] = data[source + position]
    return out
