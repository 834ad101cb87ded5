"""Texts of codes: account numbers, outlets, devices, networks, routes, tickets, waybill numbers.

::

    >>> names = Names(7)
    >>> names.account.of(np.array([0, 1])).to_pylist() == names.account.of(np.array([0, 1])).to_pylist()
    True
    >>> names.waybill.of(np.array([42])).to_pylist()[0][2:]
    '0000000000042'

A text is a prefix and the code's scattered number (a waybill: the serial number itself) in decimal digits, all of one
length. So it can be made for millions of rows at once, is never repeated, and says nothing about the code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.simulate.draw import scatter

_FOUR = np.array([f"{number:04d}".encode() for number in range(10_000)]).view(np.uint32)

Codes = npt.NDArray[np.int32] | npt.NDArray[np.int64]


def decimals(numbers: npt.NDArray[np.int64], digits: int, prefix: str) -> pa.StringArray:
    """``prefix`` and each number in ``digits`` decimal digits (zeros in front), one text a number.

    >>> decimals(np.array([7, 123456]), 6, "T").to_pylist()
    ['T000007', 'T123456']
    """
    groups = -(-digits // 4)
    quads = np.empty((len(numbers), groups), np.uint32)
    rest = numbers.astype(np.uint64)
    for at in range(groups - 1, -1, -1):
        head = rest // np.uint64(10_000)
        quads[:, at] = _FOUR.take((rest - head * np.uint64(10_000)).astype(np.int32))
        rest = head
    width = len(prefix) + digits
    text = np.empty((len(numbers), width), np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    text[:, len(prefix) :] = quads.view(np.uint8).reshape(len(numbers), groups * 4)[:, groups * 4 - digits :]
    ends = np.arange(0, (len(numbers) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(ends), pa.py_buffer(text))


@dataclass(frozen=True)
class Decimal:
    """Texts of one kind. ``bits`` 0: the number itself, else its place in a permutation of ``2**bits``."""

    prefix: str
    digits: int
    bits: int
    seed: int

    def of(self, codes: Codes) -> pa.StringArray:
        """The text of each code; a negative code has none, and must not be asked for."""
        numbers = codes.astype(np.int64, copy=False)
        return decimals(
            scatter(numbers, bits=self.bits, seed=self.seed) if self.bits else numbers, self.digits, self.prefix
        )

    def __getitem__(self, code: int) -> str:
        return str(self.of(np.array([code], np.int64))[0].as_py())


@dataclass(frozen=True)
class Network:
    """Prefixes of 256 addresses within 10.0.0.0/8 (RFC 1918), so that none is anybody's."""

    seed: int

    def number(self, codes: Codes) -> npt.NDArray[np.int64]:
        """The first address of each network, as a number."""
        return (10 << 24) + (scatter(codes.astype(np.int64), bits=16, seed=self.seed) << 8)

    def of(self, codes: Codes) -> pa.StringArray:
        """The text of each, such as ``10.7.20.0/24``."""
        numbers = self.number(codes)
        return pa.array([f"10.{n >> 16 & 255}.{n >> 8 & 255}.0/24" for n in numbers.tolist()], pa.string())

    def __getitem__(self, code: int) -> str:
        return str(self.of(np.array([code], np.int64))[0].as_py())


class Names:
    """Texts of all codes of the world with this seed."""

    def __init__(self, seed: int) -> None:
        letters = scatter(np.arange(1), bits=16, seed=seed)[0]
        prefix = "".join("ABCDEFGHJKLMNPQRSTUVWXYZ"[int(letters) // step % 24] for step in (1, 24))
        self.account = Decimal("", 9, 29, seed)
        self.outlet = Decimal("", 7, 23, seed + 1)
        self.device = Decimal("H", 10, 33, seed + 2)
        self.network = Network(seed + 3)
        self.route = Decimal("R", 9, 29, seed + 4)
        self.ticket = Decimal("W", 12, 39, seed + 5)
        self.scan = Decimal("", 18, 59, seed + 6)
        self.waybill = Decimal(prefix, 13, 0, 0)
        self.subject_seed = seed + 7

    def subjects(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """The pseudonym of each recipient; of a negative code 0."""
        values = scatter(np.maximum(codes, 0), bits=62, seed=self.subject_seed).astype(np.uint64)
        return np.where(codes >= 0, values + np.uint64(1), np.uint64(0))
