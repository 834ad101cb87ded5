"""How many different values there were: exactly while they are few, from then on within about one percent.

::

    >>> seen = Distinct()
    >>> seen.add(np.array([7, 7, 9], dtype=np.uint64))
    >>> seen.count, seen.exact
    (2, True)

Values are 64-bit hashes that are spread evenly, as the first half of a keyed fingerprint is: with 65,536 of them the
chance that two different values fall together is one in eight thousand million. Beyond :data:`MOST` they are counted by
HyperLogLog (Flajolet, Fusy, Gandouet and Meunier 2007) with 2^14 registers, standard error 0.81 %, 16 KiB.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.scan.findings import FINGERPRINT

Hashes = npt.NDArray[np.uint64]
Registers = npt.NDArray[np.uint8]

#: Values that are kept exactly: 512 KiB of them.
MOST = 65_536
_BITS = 14
_REGISTERS = 1 << _BITS
_REST = 64 - _BITS
_ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)
_NONE: Hashes = np.zeros(0, dtype=np.uint64)


class Distinct:
    """Counts different hashes. ``most``: how many are kept exactly."""

    __slots__ = ("_exact", "_held", "_holds", "_most", "_registers")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._exact = _NONE
        self._held: list[Hashes] = []  # not sorted in yet
        self._holds = 0
        self._registers: Registers | None = None

    def add(self, hashes: Hashes) -> None:
        """Count ``hashes`` too."""
        if self._registers is not None:
            _raise(self._registers, hashes)
        elif len(hashes):
            self._held.append(hashes)
            self._holds += len(hashes)
            # Sorting in only when as much waits as is there keeps the work at n log n in all.
            if self._holds > max(1_024, len(self._exact)):
                self._settle()

    def merge(self, other: Distinct) -> None:
        """Count what ``other`` has counted too."""
        other._settle()
        if other._registers is None:
            self.add(other._exact)
        else:
            registers = self._estimate()
            np.maximum(registers, other._registers, out=registers)

    @property
    def exact(self) -> bool:
        """Whether :attr:`count` is right to the last one."""
        self._settle()
        return self._registers is None

    @property
    def count(self) -> int:
        """How many different ones there were."""
        self._settle()
        if self._registers is None:
            return len(self._exact)
        raw = _ALPHA * _REGISTERS**2 / np.ldexp(1.0, -self._registers.astype(np.int32)).sum()
        empty = int((self._registers == 0).sum())
        if raw <= 2.5 * _REGISTERS and empty:
            raw = _REGISTERS * np.log(_REGISTERS / empty)  # few: counting the empty registers is better
        return round(float(raw))

    def _settle(self) -> None:
        if self._held:
            every = np.sort(np.concatenate([self._exact, *self._held]))  # np.unique hashes, which takes thrice as long
            self._exact = every[np.append(True, every[1:] != every[:-1])]
            self._held, self._holds = [], 0
            if len(self._exact) > self._most:
                self._estimate()

    def _estimate(self) -> Registers:
        """Go over to registers."""
        if self._registers is None:
            self._registers = np.zeros(_REGISTERS, dtype=np.uint8)
            _raise(self._registers, np.concatenate([self._exact, *self._held]))
            self._exact, self._held, self._holds = _NONE, [], 0
        return self._registers


def _raise(registers: Registers, hashes: Hashes) -> None:
    index = (hashes >> np.uint64(_REST)).astype(np.int64)
    rest = (hashes & np.uint64((1 << _REST) - 1)).astype(np.float64)  # below 2^53: exact
    rank = (_REST + 1 - np.frexp(rest)[1]).astype(np.uint8)  # place of the first bit that is set, from 1
    np.maximum.at(registers, index, rank)


def hashes_of(fingerprints: pa.Array) -> Hashes:
    """The first eight bytes of each fingerprint."""
    if not len(fingerprints):
        return _NONE
    data = np.frombuffer(fingerprints.buffers()[1], dtype=np.uint64)
    width = FINGERPRINT // 8
    return data.reshape(-1, width)[fingerprints.offset : fingerprints.offset + len(fingerprints), 0]
