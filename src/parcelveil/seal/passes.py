"""The passes over memory between two AES calls, compiled to machine code.

AES runs inside ``cryptography``; what is left is moving and XORing bytes of many rows. Each function here is
one loop over rows, releases the GIL, and knows nothing of keys or formats beyond its few arguments. ``text``
stands for an Arrow string or binary array taken apart by :func:`buffers`::

    >>> import pyarrow as pa
    >>> pad_rows(*buffers(pa.array(["ab", "c"])), np.array([0, 1]), 4, True).tolist()
    [[97, 98, 128, 0], [99, 128, 0, 0]]

The first call of each function in a fresh installation compiles it (a few seconds in all); the result is
kept beside the module, or in the user's cache when that folder is read-only.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Index = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

MARKER = 0x80
#: Modules whose constants are compiled in.
_CONSTANTS = ("tables", "checksums", "vocabulary")

if sys.byteorder != "little":
    # The passes see blocks as 64-bit words and place counters by byte position.
    raise ImportError("parcelveil's kernel needs a little-endian machine")


@functools.cache
def _digest() -> str:
    """Of the source of everything that is compiled: passes call passes of other files, and have to be made anew with them."""
    folder = Path(__file__).parent.parent
    paths = sorted(path for verb in ("seal", "scan") for path in (folder / verb).rglob("*.py"))
    sources = {path: path.read_bytes() for path in paths}
    own = [source for path, source in sources.items() if b"@compiled" in source or path.stem.endswith(_CONSTANTS)]
    return hashlib.sha256(b"".join(own)).hexdigest()


def compiled(function: Function) -> Function:
    """Compile with numba; without its on-disk cache where no folder can be written."""
    try:
        made: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # "no locator available": neither the package's folder nor a home to cache in
        return cast(Function, numba.njit(nogil=True)(function))
    # Numba stamps what it keeps with the function's own file only, and would run old code of a callee in another one.
    kept = made._cache._cache_file
    kept._source_stamp = (kept._source_stamp, _digest())
    return cast(Function, made)


def kept_in(function: Callable[..., Any]) -> Path | None:
    """The folder in which the machine code of a :func:`compiled` function is kept; None where it cannot be."""
    folder = cast(Any, function).stats.cache_path
    return Path(folder) if folder else None


def made_for() -> str:
    """What kept machine code is good for: this source, this numba, this processor and its features."""
    from numba.core.registry import cpu_target

    return f"{_digest()} {numba.__version__} {cpu_target.target_context.codegen().magic_tuple()}"


def buffers(values: pa.Array) -> tuple[npt.NDArray[np.int32], Bytes]:
    """Offsets (``n + 1``) and data of a string or binary array, as they lie in memory."""
    _, offsets, data = values.buffers()
    if offsets is None or not len(values):
        return np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.uint8)
    window = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    return window, np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)


def from_buffers(
    offsets: npt.NDArray[np.int32], data: Bytes, valid: npt.NDArray[np.bool_], dtype: pa.DataType
) -> pa.Array:
    """The inverse of :func:`buffers`; rows that are not ``valid`` become null."""
    nulls = int(len(valid) - valid.sum())
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(dtype, len(valid), [bitmap, pa.py_buffer(offsets), pa.py_buffer(data)], nulls)


@compiled
def pad_rows(offsets: npt.NDArray[np.int32], data: Bytes, index: Index, width: int, marked: bool) -> Bytes:
    """The strings at ``index``, zero-filled to ``width`` bytes, with 0x80 after the last one if ``marked``."""
    out = np.zeros((len(index), width), dtype=np.uint8)
    # Flat arrays and unsigned positions: rows as slices, or a look for negative positions, cost more than the copy.
    flat, size = out.reshape(-1), np.uint64(width)
    for row in range(len(index)):
        start, target = np.uint64(offsets[index[row]]), np.uint64(row) * size
        length = np.uint64(offsets[index[row] + 1]) - start
        for position in range(length):
            flat[target + position] = data[start + position]
        if marked and length < size:
            flat[target + length] = MARKER
    return out


@compiled
def add_subkeys(padded: Words, offsets: npt.NDArray[np.int32], index: Index, full: Words, partial: Words) -> None:
    """XOR CMAC's subkey into the last block of each row: ``full`` where the string fills the row, else ``partial``."""
    width = padded.shape[1]
    for row in range(len(index)):
        filled = offsets[index[row] + 1] - offsets[index[row]] == width * 8
        subkey = full if filled else partial
        padded[row, width - 2] ^= subkey[0, 0]
        padded[row, width - 1] ^= subkey[0, 1]


@compiled
def absorb(state: Words, words: Words, block: int, extra: Words) -> None:
    """One step of CBC-MAC: XOR block ``block`` of each row, and ``extra`` (one row, or one for each), into ``state``."""
    single = extra.shape[0] == 1
    for row in range(len(state)):
        other = 0 if single else row
        state[row, 0] ^= words[row, 2 * block] ^ extra[other, 0]
        state[row, 1] ^= words[row, 2 * block + 1] ^ extra[other, 1]


@compiled
def counters(tags: Words, blocks: int) -> Words:
    """The CTR input blocks that each row's tag starts (RFC 5297 2.5): ``(n, 2 * blocks)``."""
    out = np.empty((len(tags), 2 * blocks), dtype=np.uint64)
    for row in range(len(tags)):
        first = tags[row, 0]
        second = tags[row, 1] & np.uint64(0xFFFFFF7FFFFFFF7F)  # clears bits 63 and 31 of the big-endian half
        second = _swapped(second)
        for block in range(blocks):
            out[row, 2 * block] = first
            out[row, 2 * block + 1] = _swapped(second + np.uint64(block))
    return out


@compiled
def _swapped(word: np.uint64) -> np.uint64:
    """The word with its bytes in the opposite order."""
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | (
        (word >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    )
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | (
        (word >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    )
    return (word << np.uint64(32)) | (word >> np.uint64(32))


@compiled
def flip(seeds: Words, paths: Words, level: int) -> None:
    """XOR each path's bit ``level`` (0 is the most significant) into the lowest bit of its seed's block."""
    for row in range(len(seeds)):
        bit = (paths[row] >> np.uint64(63 - level)) & np.uint64(1)
        seeds[row, 1] ^= bit << np.uint64(56)


@compiled
def tweaked(leaves: Words, tweak: Words) -> Words:
    """Each leaf XORed with each block of ``tweak`` ``(blocks, 2)``: ``(n, 2 * blocks)``."""
    blocks = len(tweak)
    out = np.empty((len(leaves), 2 * blocks), dtype=np.uint64)
    for row in range(len(leaves)):
        for block in range(blocks):
            out[row, 2 * block] = leaves[row, 0] ^ tweak[block, 0]
            out[row, 2 * block + 1] = leaves[row, 1] ^ tweak[block, 1]
    return out


@compiled
def xored(left: Words, right: Words) -> Words:
    """XOR of two ``(n, 2)`` arrays, either of which may be ``(1, 2)``."""
    count = max(len(left), len(right))
    if not min(len(left), len(right)):
        count = 0
    out = np.empty((count, 2), dtype=np.uint64)
    for row in range(count):
        one = 0 if len(left) == 1 else row
        two = 0 if len(right) == 1 else row
        out[row, 0] = left[one, 0] ^ right[two, 0]
        out[row, 1] = left[one, 1] ^ right[two, 1]
    return out


@compiled
def fold(target: Words, other: Words) -> None:
    """``target ^= other``, word for word."""
    left, right = target.reshape(-1), other.reshape(-1)
    for position in range(len(left)):
        left[position] ^= right[position]


@compiled
def cover(pad: Words, tags: Words, text: Words, keystream: Words) -> None:
    """``pad ^= tag | text ^ keystream``, row for row: what was the pad is then the sealed body."""
    for row in range(len(pad)):
        pad[row, 0] ^= tags[row, 0]
        pad[row, 1] ^= tags[row, 1]
        for position in range(text.shape[1]):
            pad[row, 2 + position] ^= text[row, position] ^ keystream[row, position]


@compiled
def write_sealed(
    out: Bytes, starts: npt.NDArray[np.int32], header: Bytes, revisions: npt.NDArray[np.uint16], bodies: Bytes
) -> None:
    """Write whole sealed values at ``starts``: header, revision, body."""
    head, width, flat = np.uint64(len(header)), np.uint64(bodies.shape[1]), bodies.reshape(-1)
    for row in range(len(starts)):
        place, source = np.uint64(starts[row]), np.uint64(row) * width
        for position in range(head):
            out[place + position] = header[position]
        place += head
        out[place] = revisions[row] >> 8
        out[place + np.uint64(1)] = revisions[row] & 0xFF
        place += np.uint64(2)
        for position in range(width):
            out[place + position] = flat[source + position]


@compiled
def write_base32(out: Bytes, starts: npt.NDArray[np.int32], rows: Bytes) -> None:
    """Write each row at its place of ``starts`` in RFC 4648 base32: upper case, no padding, spare bits zero."""
    flat, width = rows.reshape(-1), np.uint64(rows.shape[1])
    for row in range(len(starts)):
        place, source = np.uint64(starts[row]), np.uint64(row) * width
        stop = source + width
        while source < stop:
            bits, size = np.uint64(0), min(np.uint64(5), stop - source)
            for position in range(size):
                bits |= np.uint64(flat[source + position]) << (np.uint64(32) - np.uint64(8) * position)
            digits = np.uint64(8) if size == 5 else (size * np.uint64(8) + np.uint64(4)) // np.uint64(5)
            for position in range(digits):
                digit = np.uint8(bits >> (np.uint64(35) - np.uint64(5) * position)) & np.uint8(31)
                out[place + position] = digit + (np.uint8(65) if digit < 26 else np.uint8(24))
            place += digits
            source += size


@compiled
def read_rows(data: Bytes, starts: npt.NDArray[np.int32], width: int) -> Bytes:
    """The ``width`` bytes at each of ``starts``."""
    out = np.empty((len(starts), width), dtype=np.uint8)
    flat, size = out.reshape(-1), np.uint64(width)
    for row in range(len(starts)):
        place, target = np.uint64(starts[row]), np.uint64(row) * size
        for position in range(size):
            flat[target + position] = data[place + position]
    return out


@compiled
def uncover(bodies: Words, pad: Words, tags: Words, ciphertext: Words) -> None:
    """Take the pad off sealed bodies: fills ``tags`` and ``ciphertext``."""
    for row in range(len(bodies)):
        tags[row, 0] = bodies[row, 0] ^ pad[row, 0]
        tags[row, 1] = bodies[row, 1] ^ pad[row, 1]
        for position in range(ciphertext.shape[1]):
            ciphertext[row, position] = bodies[row, 2 + position] ^ pad[row, 2 + position]


@compiled
def clear_lengths(padded: Bytes) -> npt.NDArray[np.int32]:
    """How many bytes of each row stand before the 0x80 marker; -1 for a row without one (such as all zeros)."""
    count, width = padded.shape
    lengths = np.empty(count, dtype=np.int32)
    for row in range(count):
        position = width - 1
        while position >= 0 and padded[row, position] == 0:
            position -= 1
        lengths[row] = position if position >= 0 and padded[row, position] == MARKER else -1
    return lengths


@compiled
def write_clear(
    out: Bytes, starts: npt.NDArray[np.int32], place: Index, padded: Bytes, lengths: npt.NDArray[np.int32]
) -> None:
    """Copy the first ``lengths`` bytes of each padded row to where its value begins in ``out``."""
    flat, width = padded.reshape(-1), np.uint64(padded.shape[1])
    for row in range(len(place)):
        if lengths[row] > 0:
            start, source = np.uint64(starts[place[row]]), np.uint64(row) * width
            for position in range(np.uint64(lengths[row])):
                out[start + position] = flat[source + position]


@compiled
def cut_after_road(
    offsets: npt.NDArray[np.int32], data: Bytes, numbered: npt.NDArray[np.bool_], ending: Bytes
) -> tuple[npt.NDArray[np.int32], Bytes]:
    """Each text up to its first 路, 街 or 道, where ``numbered`` also the digits and the 号 behind it, then ``ending``.

    The texts are UTF-8 and known to hold such a road (and number) at their start.
    """
    starts = np.zeros(len(numbered) + 1, dtype=np.int32)
    out = np.empty(offsets[-1] - offsets[0] + len(numbered) * len(ending), dtype=np.uint8)
    place = np.uint64(0)
    for row in range(len(numbered)):
        position, stop = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        after = position
        while position + np.uint64(2) < stop:
            one, two, three = data[position], data[position + np.uint64(1)], data[position + np.uint64(2)]
            if (one == 0xE8 and ((two == 0xB7 and three == 0xAF) or (two == 0xA1 and three == 0x97))) or (
                one == 0xE9 and two == 0x81 and three == 0x93
            ):
                after = position + np.uint64(3)
                break
            position += np.uint64(1)
        if numbered[row]:
            while after < stop and 0x30 <= data[after] <= 0x39:
                after += np.uint64(1)
            after = min(after + np.uint64(3), stop)
        for source in range(np.uint64(offsets[row]), after):
            out[place] = data[source]
            place += np.uint64(1)
        for byte in ending:
            out[place] = byte
            place += np.uint64(1)
        starts[row + 1] = place
    return starts, out[:place]


@compiled
def covering(
    starts: Words, spans: Words, first: npt.NDArray[np.int32], shift: int, paths: Words
) -> tuple[Index, npt.NDArray[np.bool_]]:
    """The last of the ascending ``starts`` at or below each path, and whether the path lies within its span.

    ``first[k]`` is the answer for the smallest path whose upper bits are ``k``: it leaves a short walk.
    """
    node, inside = np.empty(len(paths), dtype=np.int64), np.empty(len(paths), dtype=np.bool_)
    for row in range(len(paths)):
        path = paths[row]
        low, high = first[path >> np.uint64(shift)], first[(path >> np.uint64(shift)) + np.uint64(1)]
        while low < high:
            middle = (low + high + 1) // 2
            if starts[middle] <= path:
                low = middle
            else:
                high = middle - 1
        node[row] = max(low, 0)
        inside[row] = low >= 0 and path - starts[low] <= spans[low]
    return node, inside


@compiled
def only_phone_characters(offsets: npt.NDArray[np.int32], data: Bytes) -> bool:
    """Whether the text consists of digits, ``+`` and ``;ext=`` alone, as canonical phone numbers do."""
    for position in range(offsets[0], offsets[-1]):
        byte = data[position]
        digit = 0x30 <= byte <= 0x39
        if not (digit or byte in (0x2B, 0x3B, 0x3D, 0x65, 0x78, 0x74)):  # + ; = e x t
            return False
    return True
