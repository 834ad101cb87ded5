"""Compound files (OLE2), in which old Office formats and encrypted new ones lie: the streams in them, by name.

::

    file = Compound(data)
    file.names                               # {"Workbook", "SummaryInformation", ...}
    file.stream("Workbook")

After [MS-CFB]: sectors, their chains, the directory, the small streams. Raises ValueError for what does not hold
together; a chain that runs in a circle is one such thing.
"""

from __future__ import annotations

import struct

import numpy as np

_END = 0xFFFFFFFA  # from here on no sector number
_SMALL = 4096


class Compound:
    """The streams of a compound file."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 512:
            raise ValueError
        self._data = data
        self._shift = struct.unpack_from("<H", data, 30)[0]
        if self._shift not in (9, 12):
            raise ValueError
        tables, first, _, _, mini, _, more, count = struct.unpack_from("<IIIIIIII", data, 44)
        self._most = len(data) >> self._shift
        if tables > self._most + 1:
            raise ValueError
        sectors = list(struct.unpack_from("<109I", data, 76))
        while more < _END and len(sectors) <= self._most and count:
            block = np.frombuffer(self._sector(more), "<u4")
            sectors += block[:-1].tolist()
            more, count = int(block[-1]), count - 1
        self._next = np.frombuffer(b"".join(self._sector(number) for number in sectors if number < _END), "<u4")
        directory = self._chain(first)
        self._entries: dict[str, tuple[int, int]] = {}
        root = (0, 0)
        for place in range(0, len(directory) - 127, 128):
            size = struct.unpack_from("<H", directory, place + 64)[0]
            if not 2 <= size <= 64:
                continue
            name = directory[place : place + size - 2].decode("utf-16-le", "replace")
            start, length = struct.unpack_from("<II", directory, place + 116)
            if directory[place + 66] == 5:
                root = (start, length)
            elif directory[place + 66] == 2:
                self._entries.setdefault(name, (start, length))
        self._mini_next = np.frombuffer(self._chain(mini), "<u4") if mini < _END else np.zeros(0, "<u4")
        self._mini = self._chain(root[0]) if root[0] < _END else b""

    @property
    def names(self) -> set[str]:
        """The names of all streams."""
        return set(self._entries)

    def stream(self, name: str) -> bytes:
        """The bytes of one stream."""
        start, size = self._entries[name]
        if size >= _SMALL:
            return self._chain(start)[:size]
        number = start
        found: list[bytes] = []
        while number < len(self._mini_next) and len(found) <= _SMALL // 64:
            found.append(self._mini[number * 64 : number * 64 + 64])
            number = int(self._mini_next[number])
        return b"".join(found)[:size]

    def _sector(self, number: int) -> bytes:
        start = (number + 1) << self._shift
        data = self._data[start : start + (1 << self._shift)]
        return data + bytes((1 << self._shift) - len(data))

    def _chain(self, number: int) -> bytes:
        found: list[bytes] = []
        while number < len(self._next):
            if len(found) > self._most:  # a loop
                raise ValueError
            found.append(self._sector(number))
            number = int(self._next[number])
        return b"".join(found)
