"""JSON lines: one object a line, streamed.

    >>> import io
    >>> data = b'{"no": 1, "to": {"name": "Ann"}}\\n{"no": 2.50, "tags": ["x"]}\\n[]\\n'
    >>> source = JsonLinesSource("a.jsonl", io.BytesIO(data), size=None)
    >>> for raw in source.batches():
    ...     raw.batch.to_pydict(), raw.rows.tolist(), [(r.row, r.code) for r in raw.rejects]
    ({'no': ['1', '2.50'], 'to.name': ['Ann', None], 'tags': [None, '["x"]']}, [1, 2], [(3, 'row.json')])

Objects inside objects become columns with dots; lists stay JSON text; numbers keep the digits they were written with.
A line that is no object is rejected (``row.json``), one of more than 16 MiB too (``row.length``).

**Columns** are all keys of the file, in order of first use: it is read once for them before the rows. What comes
through a pipe cannot be read twice: there the first 16384 lines say the columns, and a later row with another key is
rejected (``row.new_column``) rather than shortened silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.adapt.source import BATCH_ROWS, MAX_COLUMNS, MAX_LINE, Source
from parcelveil.adapt.text_input import BLOCK, TextInput
from parcelveil.errors import InputError
from parcelveil.waybill import RawBatch, Reject

#: Lines of a pipe that say which columns there are.
FIRST_LINES = 16384
_FIRST_BYTES = 64 << 20
_MAX_DEPTH = 64
_decode = msgspec.json.Decoder(float_hook=str).decode
_decode_lines = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode_lines
Line = tuple[int, bytes | None]  # number, and None for a line that is too long


class JsonLinesSource(Source):
    """A JSON lines file. ``stream`` gives its bytes and is closed with the source."""

    def __init__(
        self,
        name: str,
        stream: IO[bytes],
        *,
        size: int | None,
        encoding: str | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._text = TextInput(name, stream, encoding=encoding)
        self._batch_rows = batch_rows
        if stream.seekable():
            self._columns = _columns(name, _lines(self._text))
            stream.seek(0)
            self._text = TextInput(name, stream, encoding=self._text.encoding)
            self._source_lines: Iterator[Line] = _lines(self._text)
        else:
            lines = _lines(self._text)
            first = next(_groups(lines, FIRST_LINES, _FIRST_BYTES), [])
            self._columns = _columns(name, iter(first))
            self._source_lines = chain(first, lines)
        if not self._columns:
            raise InputError(
                "{file} holds no JSON object",
                hint="each line has to be one object; a JSON array is turned into lines by: jq -c '.[]'",
                file=name,
            )
        schema = pa.schema([(column, pa.string()) for column in self._columns])
        super().__init__(name, "jsonl", schema, size=size, text=True)
        self._raw_schema = schema

    @property
    def encoding(self) -> str | None:
        """The text encoding, as given or detected."""
        return self._text.encoding

    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._text.position()

    def close(self) -> None:
        """Closes the file."""
        self._text.close()

    def _read(self) -> Iterator[RawBatch]:
        for lines in _groups(self._source_lines, self._batch_rows):
            yield self._batch(lines)

    def _batch(self, lines: list[Line]) -> RawBatch:
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        known = self._columns.keys()
        parsed = _rows(lines)
        # Only what a pipe brings late can be new, so that the check by row is rare.
        new = bool(set().union(*(row for row in parsed if row)) - known)
        for (number, line), row in zip(lines, parsed, strict=True):
            if line is None:
                reason = f"the line is longer than {MAX_LINE >> 20} MiB"
                rejects.append(Reject(self.name, number, None, None, "row.length", reason))
            elif row is None:
                reason = "the line is not one JSON object"
                rejects.append(Reject(self.name, number, None, None, "row.json", reason))
            elif new and not row.keys() <= known:
                reason = "the row has a column that the first lines do not have; give a file instead of a pipe"
                rejects.append(Reject(self.name, number, None, None, "row.new_column", reason))
            else:
                rows.append(row)
                numbers.append(number)
        batch = pa.RecordBatch.from_arrays(self._cells(rows), schema=self._raw_schema)
        return RawBatch(batch, np.array(numbers, dtype=np.int64), rejects)

    def _cells(self, rows: list[dict[str, Any]]) -> list[pa.Array]:
        kind = pa.struct(list(self._raw_schema))
        try:
            table = pa.array(rows, kind)
        except (pa.ArrowInvalid, TypeError):  # numbers and the like
            table = pa.array([_flat(row) for row in rows], kind)
        columns = []
        for column in table.flatten():
            empty = pc.equal(column, "")
            some = pc.any(empty).as_py()
            columns.append(pc.if_else(empty, pa.scalar(None, pa.string()), column) if some else column)
        return columns


def _columns(name: str, lines: Iterator[Line]) -> dict[str, None]:
    columns: dict[str, None] = {}
    known: set[str] = set()
    for part in _groups(lines, BATCH_ROWS):
        rows = [row for row in _rows(part) if row]
        if known.issuperset(set().union(*rows)):
            continue
        for row in rows:
            columns.update(dict.fromkeys(row))
            if len(columns) > MAX_COLUMNS:
                raise InputError(
                    "{file} has more than the {limit} different keys that are read",
                    hint="keys have to name columns, not values",
                    file=name,
                    limit=MAX_COLUMNS,
                )
        known.update(columns)
    return columns


def _groups(lines: Iterator[Line], count: int, size: int = 8 << 20) -> Iterator[list[Line]]:
    """``lines`` in lists of at most ``count`` lines that begin before ``size`` bytes."""
    group: list[Line] = []
    held = 0
    for line in lines:
        group.append(line)
        held += len(line[1] or b"")
        if len(group) >= count or held >= size:
            yield group
            group, held = [], 0
    if group:
        yield group


def _rows(lines: list[Line]) -> list[dict[str, Any] | None]:
    """One object, or None, for each line; objects inside objects are flat."""
    texts = [line for _, line in lines if line is not None]
    block = b"\n".join(texts)
    # One brace a line, at its start: then no object holds another or goes over a line's end, and all parse at once.
    if len(texts) == len(lines) == block.count(b"{") and all(text.startswith(b"{") for text in texts):
        try:
            rows: list[dict[str, Any] | None] = [*_decode_lines(block)]
        except (ValueError, RecursionError):
            rows = []
        if len(rows) == len(lines):
            return rows
    return [None if line is None else _row(line) for _, line in lines]


def _lines(text: TextInput) -> Iterator[Line]:
    """The lines that are not blank, numbered. The last is None too when the text ends inside a character."""
    rest = b""
    number = 0
    skipping = False  # inside a line that is too long
    while data := text.read(BLOCK):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            number += 1
            if skipping or len(line) > MAX_LINE:
                skipping = False
                yield number, None
            elif line.strip():
                yield number, line
        if len(rest) > MAX_LINE:
            rest, skipping = b"", True
    if skipping:
        yield number + 1, None
    elif rest.strip():
        yield number + 1, rest


def _row(line: bytes) -> dict[str, Any] | None:
    """One object as flat text cells, or None when the line is none."""
    try:
        row = _decode(line)
        if type(row) is not dict:
            return None
        for value in row.values():
            if type(value) is dict:
                return _flat(row)
    except (ValueError, RecursionError):
        return None
    return row


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    waiting: list[tuple[str, int, Any]] = [(key, 0, value) for key, value in reversed(row.items())]
    while waiting:
        key, depth, value = waiting.pop()
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            waiting.extend((f"{key}.{inner}", depth + 1, cell) for inner, cell in reversed(value.items()))
        elif value is None or type(value) is str:
            flat[key] = value
        elif type(value) is bool:
            flat[key] = "true" if value else "false"
        elif type(value) is int:
            flat[key] = str(value)
        else:
            flat[key] = msgspec.json.encode(value).decode()
    return flat
