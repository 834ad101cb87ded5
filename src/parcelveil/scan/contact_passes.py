"""The checks of ``contact_checks.py``, compiled. What each says stands there.

::

    >>> import numpy as np
    >>> check_ip(np.frombuffer(b"93.184.216.34", np.uint8), 0, 13)
    2
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import AREAS_THREE, AREAS_TWO, BAD, GOOD, WEAK
from parcelveil.scan.frequent_passes import check_mobile, whole
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

_TWO = np.zeros(100, np.uint8)
_TWO[list(AREAS_TWO)] = 1
_THREE = np.zeros(1000, np.uint8)
for _first, _thirds in AREAS_THREE.items():
    _THREE[[_first * 10 + int(third) for third in _thirds]] = 1


@compiled
def _digit(byte: int) -> bool:
    return 48 <= byte <= 57


@compiled
def _groups(data: Bytes, start: int, end: int, sizes: Index, values: Index) -> int:
    """The runs of digits: how long each is, and its number. Returns how many there are; -1: too many, or too long."""
    count, place = 0, start
    while place < end:
        if not _digit(data[place]):
            place += 1
            continue
        if count == len(sizes):
            return -1
        while place < end and _digit(data[place]):
            if sizes[count] == 18:
                return -1
            values[count] = values[count] * 10 + whole(data[place]) - 48
            sizes[count] += 1
            place += 1
        count += 1
    return count


@compiled
def check_landline(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.landline."""
    sizes, values = np.zeros(8, np.int64), np.zeros(8, np.int64)
    count = _groups(data, start, end, sizes, values)
    if count <= 0:
        return BAD
    at, zero = 0, values[0] < 10 ** (sizes[0] - 1)
    if values[0] == 86 and (sizes[0] == 2 or sizes[0] == 4):
        at += 1
    elif data[start] == 43 and sizes[0] >= 2 and values[0] // 10 ** (sizes[0] - 2) == 86:
        sizes[0] -= 2
        values[0] -= 86 * 10 ** sizes[0]
        if sizes[0] == 0:
            at += 1
    elif not zero:
        return BAD
    if at < count and sizes[at] == 1 and values[at] == 0:  # +86 (0)21
        at += 1
    if at >= count:
        return BAD
    size, value = sizes[at], values[at]
    if size > 0 and value < 10 ** (size - 1):  # a trunk 0, once
        size -= 1
        if size == 0 or value < 10 ** (size - 1):
            return BAD
    bare = size > 3
    area, area_size = value, size
    local, local_size = whole(0), whole(0)
    at += 1
    if bare:
        area_size = 2 if _TWO[value // 10 ** (size - 2)] else 3
        local_size = size - area_size
        area, local = value // 10**local_size, value % 10**local_size
    elif at < count:
        local, local_size = values[at], sizes[at]
        at += 1
    two = area_size == 2 and _TWO[area] == 1
    if not two and not (area_size == 3 and _THREE[area] == 1):
        return BAD
    if at < count and local_size in (3, 4) and sizes[at] == 4:
        local = local * 10_000 + values[at]
        local_size += 4
        at += 1
    if local_size not in (7, 8):
        return BAD
    first = local // 10 ** (local_size - 1)
    if first == 0 or count - at > 1 or (at < count and sizes[at] > 6):
        return BAD
    return WEAK if bare or first in (1, 9) or (two and local_size == 7) else GOOD


@compiled
def check_service(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.service."""
    count, value = 0, 0
    for place in range(start, end):
        if _digit(data[place]):
            if count < 18:
                value = value * 10 + whole(data[place]) - 48
            count += 1
    if count == 10:
        return GOOD if value // 10_000_000 in (400, 800) else BAD
    return WEAK if count in (5, 6) else BAD


@compiled
def _extension_word(data: Bytes, start: int, end: int) -> bool:
    """Whether a word for an extension stands there: 转, 轉, 分机, ext, #, a bracket."""
    for place in range(start, end):
        byte = data[place]
        if byte in (35, 91, 40):  # # [ (
            return True
        if place + 3 <= end:
            one, two, three = data[place], data[place + 1], data[place + 2]
            if one == 0xE8 and ((two == 0xBD and three == 0xAC) or (two == 0xBD and three == 0x89)):
                return True
            if one | 32 == 101 and two | 32 == 120 and three | 32 == 116:
                return True
            fen = place + 6 <= end and one == 0xE5 and two == 0x88 and three == 0x86
            if fen and data[place + 3] == 0xE6 and data[place + 4] == 0x9C and data[place + 5] == 0xBA:
                return True
    return False


@compiled
def check_virtual(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.virtual."""
    last = end
    if last > start and (data[last - 1] == 93 or data[last - 1] == 41):
        last -= 1
    first = last
    while first > start and _digit(data[first - 1]):
        first -= 1
    extension = last - first
    if extension < 1 or extension > 6:
        return BAD
    high = first
    while high > start and data[high - 1] in (32, 46, 58):
        high -= 1
    low = high
    while low > start and not _digit(data[low - 1]):
        low -= 1
    if low == start:
        return BAD
    if check_mobile(data, start, low) == BAD:
        count, head = 0, 0
        for place in range(start, low):
            if _digit(data[place]):
                if count < 5:
                    head = head * 10 + whole(data[place]) - 48
                count += 1
        if head != 95013 or count < 9 or count > 17:
            return BAD
    if _extension_word(data, low, high):
        return GOOD
    while low < high and data[low] == 32:
        low += 1
    while high > low and data[high - 1] == 32:
        high -= 1
    if high - low != 1 or data[low] != 45:  # a hyphen
        return BAD
    return GOOD if extension == 4 else WEAK


@compiled
def check_north_american(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.north_american."""
    count, value = 0, 0
    for place in range(start, end):
        if _digit(data[place]):
            if count == 10:
                return BAD
            value = value * 10 + whole(data[place]) - 48
            count += 1
    area, rest = value // 10_000_000, value % 10_000_000
    exchange = rest // 10_000
    if count != 10 or area < 200 or exchange < 200 or area // 10 % 10 == 9:
        return BAD
    if area % 100 == 11 or exchange % 100 == 11 or rest % 1_111_111 == 0:
        return BAD
    return GOOD if data[start] == 40 else WEAK


@compiled
def _hex(byte: int) -> int:
    """The value of a hexadecimal digit, or -1."""
    if 48 <= byte <= 57:
        return byte - 48
    low = byte | 32
    return low - 87 if 97 <= low <= 102 else -1


@compiled
def check_ip(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.ip."""
    for place in range(start, end):
        if data[place] == 58:
            return _ip_six(data, start, end)
    count, value, size, code, largest = 0, whole(0), 0, whole(0), whole(0)
    for place in range(start, end + 1):
        if place < end and _digit(data[place]):
            if size == 1 and value == 0:
                return BAD  # a leading zero
            value = value * 10 + whole(data[place]) - 48
            size += 1
            if value > 255:
                return BAD
        elif place == end or data[place] == 46:
            if size == 0:
                return BAD
            code = code * 256 + value
            largest = max(largest, value)
            count += 1
            value, size = whole(0), 0
        else:
            return BAD
    if count != 4:
        return BAD
    first, second = code >> 24, code >> 16 & 255
    special = first in (0, 10, 127) or first >= 224 or (first == 100 and 64 <= second < 128)
    special = special or (first == 172 and 16 <= second < 32) or (first == 169 and second == 254)
    special = special or (first == 192 and second == 168) or (first == 198 and second in (18, 19))
    return GOOD if not special and largest >= 32 else WEAK


@compiled
def _ip_six(data: Bytes, start: int, end: int) -> int:
    groups, first, gap = 0, whole(-1), False
    place = start
    while place < end:
        if data[place] == 58:
            if place + 1 >= end or data[place + 1] != 58 or gap:
                return BAD
            gap = True
            if groups == 0:
                first = whole(0)
            place += 2
            continue
        value, size = whole(0), 0
        while place < end and _hex(data[place]) >= 0:
            value = value * 16 + _hex(data[place])
            size += 1
            place += 1
        if size < 1 or size > 4:
            return BAD
        if groups == 0 and first < 0:
            first = value
        groups += 1
        if place < end:
            if data[place] != 58 or place + 1 >= end:
                return BAD
            if data[place + 1] != 58:
                place += 1
    if groups > 8 or (gap and groups > 7) or (not gap and groups != 8):
        return BAD
    return GOOD if 0x2000 <= first <= 0x3FFF else WEAK


@compiled
def check_mac(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.mac."""
    count, first, pair = 0, whole(0), whole(0)
    same, letters = True, False
    for place in range(start, end):
        value = whole(_hex(data[place]))
        if value < 0:
            continue
        letters = letters or value > 9
        pair = pair * 16 + value
        count += 1
        if count == 2:
            first = pair
        if count % 2 == 0:
            same = same and pair == first
            pair = whole(0)
    if count != 12 or same:
        return BAD
    if not letters and data[start + 2] not in (45, 58):
        return BAD
    return WEAK if first & 1 else GOOD


@compiled
def check_wechat(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.wechat."""
    size = end - start
    wx = size >= 5 and data[start] == 119 and data[start + 1] == 120
    if wx and data[start + 2] == 105 and data[start + 3] == 100 and data[start + 4] == 95:
        return GOOD
    if size < 6 or size > 20 or not 97 <= (data[start] | 32) <= 122:
        return BAD
    letters, hexadecimal = True, True
    for place in range(start, end):
        byte = data[place]
        letters = letters and 97 <= (byte | 32) <= 122
        if place >= start + 2:
            hexadecimal = hexadecimal and (48 <= byte <= 57 or 97 <= byte <= 102)
    if size == 18 and hexadecimal and data[start] == 119 and data[start + 1] == 120:
        return BAD
    return WEAK if letters else GOOD


@compiled
def check_position(data: Bytes, start: int, end: int) -> int:
    """See contact_checks.position."""
    count, one, two, negative = 0, 0, 0, False
    place = start
    while place < end:
        if data[place] == 45 and place + 1 < end and _digit(data[place + 1]):
            negative = True
        if not _digit(data[place]):
            place += 1
            continue
        degrees, size = 0, 0
        while place < end and _digit(data[place]):
            if size < 17:
                degrees = degrees * 10 + whole(data[place]) - 48
            size += 1
            place += 1
        if place + 1 < end and data[place] == 46 and _digit(data[place + 1]):
            place += 1
            while place < end and _digit(data[place]):
                place += 1
            count += 1
            if count == 1:
                one = degrees
            else:
                two = degrees
    low, high = min(one, two), max(one, two)
    if count != 2 or low >= 90 or high >= 180:
        return BAD
    return GOOD if 3 <= low < 54 and 73 <= high < 136 and not negative else WEAK
