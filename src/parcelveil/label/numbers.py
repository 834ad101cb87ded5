"""Virtual numbers on labels: how long one lives, and the file that the print station reads. Pure: no key, no provider.

A label may show a number X and an extension instead of the masked phone. Who dials them reaches the recipient while the
parcel is on its way, and nobody afterwards. The key holder binds them before printing
(:mod:`parcelveil.label.bindings`) and hands the print station a side file of schema :data:`NUMBERS`::

    >>> printed, at = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    >>> rows = pa.table([["YT1"], ["95013000000001"], ["4711"], [at], ["b1"]], schema=NUMBERS)
    >>> number, extension = numbers_for(pa.array(["YT0", "YT1"]), rows, printed)
    >>> number.to_pylist(), extension.to_pylist()
    ([None, '95013000000001'], [None, '4711'])
    >>> by_waybill(rows, at)                                    # it has expired
    {}

**How long a number lives** (:func:`decide`) follows from what custody knows of the parcel and from nothing else:

* while the parcel is on its way, returned ones too, the number is extended whenever less than ``ahead`` is left;
* after delivery it stays for ``grace``, for claims, and is then unbound, even when it would live longer;
* a parcel without any event for ``silent`` may have been delivered without a scan: its number runs out by itself;
* nothing lives longer than ``longest`` after it was bound.

The latest event counts, whenever it arrives: a delivery scan that comes days late unbinds at once, and a parcel that
moves again after its delivery is on its way again. If its number has ended meanwhile, it stays ended: the extension may
be somebody else's by now, and the parcel needs a new label.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.event import BizStep
from parcelveil.ports import NumberRow
from parcelveil.waybill import SCHEMA_KEY

NUMBERS_VERSION = "numbers.v1"

#: The side file: which number the label of a waybill shows. Digits only; of two rows of a waybill the later counts.
NUMBERS = pa.schema(
    [
        pa.field("waybill_no", pa.string(), nullable=False),
        pa.field("number", pa.string(), nullable=False),
        pa.field("extension", pa.string(), nullable=False),
        pa.field("expires_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("bind_id", pa.string(), nullable=False),
    ],
    metadata={SCHEMA_KEY: NUMBERS_VERSION.encode()},
)

_NUMBER, _EXTENSION = r"^[0-9]{5,20}$", r"^[0-9]{3,8}$"
_DAY = 86_400 * 1_000_000


class Rules(NamedTuple):
    """How long numbers live; microseconds, made from days by :meth:`of`."""

    first: int  # a new binding, from when it is bound
    ahead: int  # a parcel on its way has at least so much left
    grace: int  # from delivery
    silent: int  # from the last sign of life
    longest: int  # from when it was bound

    @classmethod
    def of(cls, *, first: int = 15, ahead: int = 7, grace: int = 3, silent: int = 30, longest: int = 90) -> Rules:
        """The rules in days."""
        return cls(first * _DAY, ahead * _DAY, grace * _DAY, silent * _DAY, longest * _DAY)


class Position(NamedTuple):
    """What custody says of a parcel: its latest event that counts. ``step`` is "" and ``since`` 0 where there is none."""

    step: str
    since: int


class Decision(NamedTuple):
    """What becomes of a binding, and why. ``until``: where it ends, for extend."""

    act: Literal["extend", "unbind", "keep"]
    why: Literal["on-its-way", "delivered", "silent", "longest"]
    until: int = 0


def decide(row: NumberRow, position: Position, now: int, rules: Rules, steps: tuple[int, ...]) -> Decision:
    """What to do with a living binding.

    ``now`` is in microseconds; ``steps`` are the days by which the provider extends in one call.
    """
    most = row.bound_at + rules.longest
    if now >= most:
        return Decision("unbind", "longest")
    if position.step == BizStep.DELIVERED:
        end = position.since + rules.grace
        if now >= end:
            return Decision("unbind", "delivered")
        return _reaching(row.expires_at, end, most, steps, "delivered")
    if now - max(position.since, row.bound_at) >= rules.silent:
        return Decision("keep", "silent")
    return _reaching(row.expires_at, now + rules.ahead, most, steps, "on-its-way")


def _reaching(
    expires: int, wanted: int, most: int, steps: tuple[int, ...], why: Literal["on-its-way", "delivered"]
) -> Decision:
    """Extend by the smallest step that reaches ``wanted``, or by the largest there is, but never beyond ``most``."""
    if expires >= wanted:
        return Decision("keep", why)
    ends = [end for days in steps if (end := expires + days * _DAY) <= most]
    if not ends:
        return Decision("keep", why)
    return Decision("extend", why, next((end for end in ends if end >= wanted), ends[-1]))


def moving(position: Position) -> bool:
    """Whether the parcel is known to be on its way."""
    return position.step not in ("", BizStep.DELIVERED)


# -- the side file -----------------------------------------------------------------------------------------------------


def side_rows(rows: Iterable[NumberRow]) -> pa.RecordBatch:
    """Rows of the state as the side file has them."""
    listed = [(row.waybill_no, row.number, row.extension, row.expires_at, row.bind_id) for row in rows]
    columns = zip(*listed, strict=True) if listed else [()] * len(NUMBERS)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, NUMBERS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=NUMBERS)


def side_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: str) -> pa.Table:
    """The side file as a table, checked. Raises InputError when it is another file, or its numbers are no numbers.

    Without an extension of three to eight digits nothing is a virtual number here: a real phone that somebody put into
    such a file would go to print.
    """
    if (schema.metadata or {}).get(SCHEMA_KEY) != NUMBERS_VERSION.encode() or schema.names != NUMBERS.names:
        raise InputError(
            "{file} is no file of virtual numbers", hint="'parcelveil label numbers bind' writes one", file=file
        )
    try:
        table = pa.Table.from_batches(list(batches), schema=schema).cast(NUMBERS)
    except (pa.ArrowException, ValueError):
        raise _not_right(file) from None
    right = not any(column.null_count for column in table.columns)
    for name, form in (("number", _NUMBER), ("extension", _EXTENSION)):
        right &= pc.all(pc.match_substring_regex(table[name], form), min_count=0).as_py()
    if not right:
        raise _not_right(file)
    return table


def _not_right(file: str) -> InputError:
    return InputError(
        "{file} holds what is no virtual number and extension", hint="take the file as it was written", file=file
    )


def numbers_for(
    waybill_no: pa.Array, table: pa.Table, now: datetime
) -> tuple[pa.StringArray | pa.ChunkedArray, pa.StringArray | pa.ChunkedArray]:
    """Number and extension for each waybill, null where there is none or it has expired at ``now``."""
    living = _living(table, now)
    place = pc.index_in(waybill_no.cast(pa.string()), value_set=living["waybill_no"].combine_chunks())
    return living["number"].take(place), living["extension"].take(place)


def by_waybill(table: pa.Table, now: datetime) -> dict[str, tuple[str, str]]:
    """Waybill number -> number and extension, for a program that asks one by one; expired ones are left out."""
    living = _living(table, now)
    pairs = zip(living["number"].to_pylist(), living["extension"].to_pylist(), strict=True)
    return dict(reversed(list(zip(living["waybill_no"].to_pylist(), pairs, strict=True))))


def _living(table: pa.Table, now: datetime) -> pa.Table:
    """The rows that have not expired, the later ones first."""
    moment = pa.scalar(now.astimezone(UTC), pa.timestamp("us", tz="UTC"))
    living = table.filter(pc.greater(table["expires_at"], moment))
    return living.take(pa.array(range(living.num_rows - 1, -1, -1), pa.int64()))
