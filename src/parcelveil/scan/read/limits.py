"""How much a hostile file may cost: bounds of reading, and what is left of them for one file.

::

    Limits(seconds=30)                       # everything else as it is by default

A bound that is reached ends the reading of that file or member, never the scan: the manifest says which one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from parcelveil.scan.read import why


class Stopped(Exception):  # noqa: N818  no error: a bound was reached
    """Ends the reading of one file or member. ``why`` is a sentence of :mod:`parcelveil.scan.read.why`."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True)
class Limits:
    """Bounds of reading. The defaults read what people have, on a machine with 2 GB of memory to spare."""

    #: Archives, compressions, mails and attachments around a document; people nest three, bombs without end.
    depth: int = 6
    #: Members of one archive that are read.
    members: int = 100_000
    #: Bytes that everything inside one file may inflate to; eight times the file where that is more, so that large
    #: archives of honest logs are read and the time stays linear in what lies on the disk.
    inflated: int = 4 << 30
    #: From so many inflated bytes on, no more than ``ratio`` times the file: text reaches 20, repetitive logs 100.
    ratio: int = 200
    ratio_from: int = 64 << 20
    #: Bytes held in memory at a time, for formats that need random access (zip in zip, XLSX, PDF in an archive, mail).
    held: int = 512 << 20
    #: For one file with all that is in it, plus a second for each MiB of it.
    seconds: float = 600.0
    #: Columns of a table.
    columns: int = 16_384


class Budget:
    """What one file, with everything in it, may still cost."""

    def __init__(self, limits: Limits, size: int | None) -> None:
        self.limits = limits
        self.size = size or 0
        self.inflated = self.held = 0
        self._start = time.monotonic()

    @property
    def spent(self) -> str:
        """Why nothing more may be read of the file; empty as long as there is something left."""
        limits = self.limits
        if self.inflated > max(limits.inflated, 8 * self.size):
            return why.BOMB
        if self.inflated > max(limits.ratio_from, limits.ratio * self.size):
            return why.BOMB
        allowed = limits.seconds + self.size / (1 << 20)
        return why.TOO_LONG if time.monotonic() - self._start > allowed else ""

    def inflate(self, count: int) -> None:
        """Counts bytes that came out of a container. Raises Stopped."""
        self.inflated += count
        if spent := self.spent:
            raise Stopped(spent)

    def hold(self, count: int) -> None:
        """Counts bytes that stay in memory. Raises Stopped."""
        if self.held + count > self.limits.held:
            raise Stopped(why.TOO_LARGE)
        self.held += count

    def release(self, count: int) -> None:
        """Takes back a :meth:`hold`."""
        self.held -= count
