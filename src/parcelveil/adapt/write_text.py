r"""CSV, TSV and JSON lines, rendered column by column.

    >>> batch = pa.record_batch({"phone": ["+8613800138000", None], "note": ["1 \\\\ 2", "=1+1"], "pieces": [1, -2]})
    >>> print(csv_bytes(batch, ",").to_pybytes().decode(), end="")
    "'+8613800138000","1 \\ 2",1
    ,"'=1+1",-2
    >>> print(jsonl_bytes(batch).to_pybytes().decode(), end="")
    {"phone":"+8613800138000","note":"1 \\\\ 2","pieces":1}
    {"phone":null,"note":"=1+1","pieces":-2}

**Formulas.** A spreadsheet runs a CSV cell that begins with ``= + - @`` (also full-width), a tab or a line break. Such
text gets an apostrophe in front, and our own reader takes one away again, so every text survives the way there and back,
``+86…`` phones and texts that begin with apostrophes included. Numbers are no text and stay as they are.

Times are ISO 8601 in UTC, sealed values and pseudonyms have the form of :mod:`parcelveil.adapt.sealed_text`. Empty
text and null are the same in CSV.
"""

from __future__ import annotations

import csv
import io
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from parcelveil.adapt.read_csv import GUARDED
from parcelveil.adapt.sealed_text import to_text
from parcelveil.errors import OutputError

_ESCAPED = '["\\\\\\x00-\\x1f\\x7f]'
_LARGE = pa.large_string()


def text_column(column: pa.Array) -> pa.Array:
    """Any flat column as text (string or large string); nulls stay null. OutputError for nested types."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind):
        return to_text(column)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            column = column.cast(pa.timestamp(kind.unit, "UTC"))
        text = pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
        return pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        raise OutputError(
            "columns of type {kind} cannot be written as text", hint="write .parquet or .arrow instead", kind=str(kind)
        ) from None


def csv_bytes(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer:
    """The rows of ``batch`` as CSV in UTF-8, without header."""
    columns = []
    for column in batch.columns:
        text = text_column(column)
        if text is column:  # only text that people wrote can be a formula
            text = _guarded(text)
        elif not _needs_quotes(column.type):
            text = column
        columns.append(text)
    out = pa.BufferOutputStream()
    options = pacsv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="needed")
    pacsv.write_csv(pa.RecordBatch.from_arrays(columns, names=[str(i) for i in range(len(columns))]), out, options)
    return out.getvalue()


def _needs_quotes(kind: pa.DataType) -> bool:
    return not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _guarded(column: pa.Array) -> pa.Array:
    formula = pc.match_substring_regex(column, GUARDED.replace("''*", "'*", 1))
    if not pc.any(formula).as_py():
        return column
    marks = [pa.scalar("'", column.type), column, pa.scalar("", column.type)]
    return pc.if_else(formula, pc.binary_join_element_wise(*marks), column)


def csv_header(names: list[str], delimiter: str) -> bytes:
    """The header row, every cell quoted."""
    out = io.StringIO(newline="")
    guarded = _guarded(pa.array(names, pa.string())).to_pylist()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(guarded)
    return out.getvalue().encode()


def jsonl_bytes(batch: pa.RecordBatch) -> pa.Buffer:
    """The rows of ``batch`` as JSON lines in UTF-8."""
    if not batch.num_rows:
        return pa.py_buffer(b"")
    pieces: list[Any] = []
    lead = "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces.append(pa.scalar(lead + msgspec.json.encode(name).decode() + ":", _LARGE))
        pieces.append(_json(column))
        lead = ","
    pieces += [pa.scalar("}\n", _LARGE), pa.scalar("", _LARGE)]
    lines = pc.binary_join_element_wise(*pieces)
    ends = np.frombuffer(lines.buffers()[1], np.int64)
    start, stop = int(ends[lines.offset]), int(ends[lines.offset + len(lines)])
    return lines.buffers()[2].slice(start, stop - start)


def _json(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    text = text_column(column).cast(_LARGE)
    if not _needs_quotes(kind) or pa.types.is_decimal(kind):
        return text.fill_null("null")
    mark = pa.scalar('"', _LARGE)
    quoted = pc.binary_join_element_wise(mark, text, mark, pa.scalar("", _LARGE))
    special = pc.match_substring_regex(text, _ESCAPED).fill_null(False)
    if pc.any(special).as_py():
        cells = [msgspec.json.encode(cell).decode() for cell in text.filter(special).to_pylist()]
        quoted = pc.replace_with_mask(quoted, special, pa.array(cells, _LARGE))
    return quoted.fill_null("null")


class TextEncoder:
    """Writes ``csv``, ``tsv`` or ``jsonl`` to ``target``; ``compression`` is ``gzip``, ``zstd`` or None."""

    def __init__(self, target: IO[bytes] | Any, schema: pa.Schema, kind: str, compression: str | None) -> None:
        self._delimiter = {"csv": ",", "tsv": "\t"}.get(kind)
        self._out: Any = target
        self._compressed = compression is not None
        if compression is not None:
            self._out = pa.CompressedOutputStream(pa.PythonFile(target, mode="w"), compression)
        for field in schema:  # refuse what cannot be written before anything is
            text_column(pa.array([], field.type))
        if self._delimiter is not None:
            self._out.write(csv_header(schema.names, self._delimiter))

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of ``batch``."""
        self._out.write(jsonl_bytes(batch) if self._delimiter is None else csv_bytes(batch, self._delimiter))

    def finish(self) -> None:
        """Ends the compressed stream."""
        if self._compressed:
            self._out.close()
