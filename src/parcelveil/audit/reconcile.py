"""Reconciliation: what the kernel was let open, against what the log says was opened.

::

    for day in compare(verdict.values, tx.drawn()):
        day.opened - day.logged          # anything but 0 is an alarm

The desk counts both in one transaction, and so does the key holder's ``open``; whoever calls the kernel with the key
ring but without the log is counted by the key ring alone. The comparison also sees a log whose entries were lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple


class Day(NamedTuple):
    """One day: values the kernel was let open, and values that entries of the log speak of."""

    day: str
    opened: int
    logged: int


def compare(logged: Mapping[str, int], drawn: Mapping[int, int]) -> list[Day]:
    """Every day on which anything was opened or logged, in order. ``drawn`` has days since 1970-01-01."""
    opened = {(date(1970, 1, 1) + timedelta(days=day)).isoformat(): count for day, count in drawn.items()}
    days = sorted({*logged, *opened})
    return [Day(day, opened.get(day, 0), logged.get(day, 0)) for day in days if opened.get(day) or logged.get(day)]
