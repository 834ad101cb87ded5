"""The count that stands between a log entry and the values that may be opened for it.

::

    >>> drawn = Drawn(3)
    >>> drawn(2)
    >>> drawn(2)
    Traceback (most recent call last):
    parcelveil.errors.KeyAccessError: more values were to be opened than were logged
"""

from __future__ import annotations

import threading

from parcelveil.errors import KeyAccessError


class Drawn:
    """A count of values that a log entry stands behind: the kernel spends it, and gets no value beyond it."""

    def __init__(self, values: int) -> None:
        self._left = values
        self._turn = threading.Lock()

    def __call__(self, values: int) -> None:
        with self._turn:
            if values > self._left:
                raise KeyAccessError("more values were to be opened than were logged", hint="nothing was opened")
            self._left -= values
