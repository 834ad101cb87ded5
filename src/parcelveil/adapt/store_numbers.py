"""The table of virtual numbers in SQLite: the part of a transaction that :mod:`.store_sqlite` adds it with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from parcelveil.ports import NumberRow

#: Numbers in one statement; SQLite takes 32,766.
_PART = 1000


class NumberTables:
    """Reads and writes of virtual numbers in one transaction."""

    _db: sqlite3.Connection

    def numbers_of(self, waybill_no: Sequence[str]) -> list[NumberRow]:
        found: list[NumberRow] = []
        for part in _parts(waybill_no):
            marks = ",".join("?" * len(part))
            statement = f"SELECT * FROM virtual_number WHERE waybill_no IN ({marks})"  # noqa: S608  marks only
            found += _rows(self._db.execute(statement, part))
        return found

    def numbers_after(self, waybill_no: str, most: int) -> list[NumberRow]:
        statement = "SELECT * FROM virtual_number WHERE waybill_no > ? ORDER BY waybill_no LIMIT ?"
        return _rows(self._db.execute(statement, (waybill_no, most)))

    def numbers_bound_before(self, moment: int, most: int) -> list[NumberRow]:
        statement = "SELECT * FROM virtual_number WHERE bound_at < ? LIMIT ?"
        return _rows(self._db.execute(statement, (moment, most)))

    def put_numbers(self, rows: Sequence[NumberRow]) -> None:
        statement = "INSERT OR REPLACE INTO virtual_number VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._db.executemany(statement, map(msgspec.structs.astuple, rows))

    def drop_numbers(self, waybill_no: Sequence[str]) -> None:
        statement = "DELETE FROM virtual_number WHERE waybill_no = ?"
        self._db.executemany(statement, ((number,) for number in waybill_no))

    def drop_ended_numbers(self, before: int) -> int:
        statement = "DELETE FROM virtual_number WHERE state <> 'bound' AND expires_at < ?"
        return self._db.execute(statement, (before,)).rowcount


def _rows(found: Iterable[tuple[Any, ...]]) -> list[NumberRow]:
    return [NumberRow(*row[:-1], seal=row[-1]) for row in found]


def _parts(numbers: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(numbers), _PART):
        yield list(numbers[start : start + _PART])
