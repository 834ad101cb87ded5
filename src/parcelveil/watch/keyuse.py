"""Counters of the key service: how many values each system opened in each hour, and how many its looks account for.

::

    for counted in key_use(opener, ["keyuse/"]):
        signals = reconciling.feed(*counted)          # systems, hours, values, logged

Files of any format with the columns ``hour`` (a timestamp, or ISO 8601 with a zone), ``system``, ``values`` and ``logged``; hours
ascend from file to file, a file's rows in any order. A column that is missing or holds something else stops the run with one
clear line: a counter that is not read would look like one that agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import HeaderError, InputError

if TYPE_CHECKING:
    from parcelveil.watch.reading import Opener

COLUMNS = ("hour", "system", "values", "logged")
_MICROS = pa.timestamp("us", "UTC")
_LONGEST = 64


class Counted(NamedTuple):
    """Rows of one file, by hour. ``hour``: microseconds since 1970."""

    system: list[str]
    hour: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    logged: npt.NDArray[np.int64]


def key_use(opener: Opener, paths: Sequence[str]) -> Iterator[Counted]:
    """The counters of files, folders and globs, in the order of their names. Raises HeaderError, InputError."""
    for path in opener.find(paths):
        with opener.open(path) as source:
            parts = [_taken(raw.batch, source.name) for raw in source.batches()]
        if not parts:
            continue
        table = pa.concat_tables(parts).sort_by([("hour", "ascending"), ("system", "ascending")])
        yield Counted(
            table["system"].to_pylist(),
            *(table[name].cast(pa.int64()).to_numpy() for name in ("hour", "values", "logged")),
        )


def _taken(batch: pa.RecordBatch, source: str) -> pa.Table:
    missing = [name for name in COLUMNS if name not in batch.schema.names]
    if missing:
        raise HeaderError(
            "{file} has no column {column}",
            hint="counters of the key service have hour, system, values and logged",
            file=source,
            column=missing[0],
        )
    made = {}
    for name, kind in zip(COLUMNS, (_MICROS, pa.string(), pa.int64(), pa.int64()), strict=True):
        column = batch.column(name)
        if pa.types.is_string(column.type):
            column = pc.utf8_trim_whitespace(column)
        try:
            made[name] = column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise _wrong(source, name) from None
        if made[name].null_count:
            raise _wrong(source, name)
    if pc.max(pc.binary_length(made["system"])).as_py() is not None and (
        pc.max(pc.binary_length(made["system"])).as_py() > _LONGEST
    ):
        raise _wrong(source, "system")
    return pa.table(made)


def _wrong(source: str, column: str) -> InputError:
    return InputError(
        "{file}: the column {column} does not hold what it should in every row",
        hint="hours are timestamps with a zone, values and logged are whole numbers",
        file=source,
        column=column,
    )
