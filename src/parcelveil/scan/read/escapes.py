r"""``\uXXXX`` escapes turned into UTF-8, compiled: programs write whole logs of Chinese this way.

::

    >>> unescape(b'{"name": "\\u5f20\\u4f1f", "x": "\\\\u5f20"}').decode()
    '{"name": "张伟", "x": "张"}'

Any number of backslashes stands before the ``u``: JSON inside of JSON doubles them. Two surrogates are one character,
a single one is U+FFFD. Control characters become blanks, so that lines keep their numbers, and U+0022 stays as it is
written, for it would end a string.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]


def unescape(text: bytes) -> bytes:
    """``text`` with its escapes decoded; never longer than it was."""
    data = np.frombuffer(text, np.uint8)
    out = np.empty(data.size, np.uint8)
    return out[: _unescape(data, out)].tobytes()


@compiled
def _unescape(data: Bytes, out: Bytes) -> int:
    size, place, end = data.size, 0, 0
    while place < size:
        if data[place] != 0x5C:
            out[end] = data[place]
            place += 1
            end += 1
            continue
        behind, code = _escape(data, place)
        if 0xD800 <= code < 0xDC00:
            last, second = _escape(data, behind)
            if 0xDC00 <= second < 0xE000:
                behind = last
                code = 0x10000 + ((code & 0x3FF) << 10) + (second & 0x3FF)
        if code < 0 or code == 0x22:
            while place < behind:
                out[end] = data[place]
                place += 1
                end += 1
            continue
        place = behind
        if 0xD800 <= code < 0xE000:
            code = 0xFFFD
        elif code < 32 or code == 127:
            code = 32
        if code < 0x80:
            out[end] = code
            end += 1
        elif code < 0x800:
            out[end] = 0xC0 | code >> 6
            out[end + 1] = 0x80 | code & 63
            end += 2
        elif code < 0x10000:
            out[end] = 0xE0 | code >> 12
            out[end + 1] = 0x80 | code >> 6 & 63
            out[end + 2] = 0x80 | code & 63
            end += 3
        else:
            out[end] = 0xF0 | code >> 18
            out[end + 1] = 0x80 | code >> 12 & 63
            out[end + 2] = 0x80 | code >> 6 & 63
            out[end + 3] = 0x80 | code & 63
            end += 4
    return end


@compiled
def _escape(data: Bytes, place: int) -> tuple[int, int]:
    """The place behind an escape and its code; without one the place behind its backslashes and -1."""
    size = data.size
    start = place
    while place < size and data[place] == 0x5C:
        place += 1
    if place == start or place + 5 > size or data[place] != 0x75:
        return place, -1
    code = 0
    for at in range(place + 1, place + 5):
        digit = data[at]
        if 48 <= digit < 58:
            code = code * 16 + digit - 48
        elif 97 <= digit < 103:
            code = code * 16 + digit - 87
        elif 65 <= digit < 71:
            code = code * 16 + digit - 55
        else:
            return place, -1
    return place + 5, code
