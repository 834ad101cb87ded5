"""Reads any supported file as batches: finds the files, tells the format, and streams.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "orders.csv").write_text("运单号,收件人\\nYT1,张三\\n\\n", encoding="gb18030")
    ...     (path,) = expand([folder])
    ...     with open_source(path) as source:
    ...         batches = [(raw.batch.to_pylist(), raw.rows.tolist(), raw.rejects) for raw in source.batches()]
    ...         source.format, source.encoding, batches
    ('csv', 'gb18030', [([{'运单号': 'YT1', '收件人': '张三'}], [2], [])])

**Row numbers.** CSV and XLSX count records as a spreadsheet does: the first record of the file is row 1, whether it is
the header or blank. JSON lines count lines, Parquet and Arrow count rows, both from 1.

**Text sources** (CSV, TSV, JSON lines, XLSX) give every column as text, empty cells as null, and infer nothing.
When their header has the sealed shape (some ``x`` together with ``x_mask``) they give batches typed by
:data:`parcelveil.waybill.SEALED` instead (:mod:`parcelveil.adapt.sealed_text`).

**Limits.** A cell holds at most 1 MiB, a line 16 MiB, a table 4096 columns; what exceeds them is rejected or refused.
"""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError, UsageError
from parcelveil.waybill import RawBatch, Reject, is_sealed

MAX_CELL = 1 << 20
MAX_LINE = 16 << 20
MAX_COLUMNS = 4096
#: Formats that need random access are held in memory when they come through a pipe.
MAX_PIPED = 512 << 20
BATCH_ROWS = 16384

_FORMATS = {
    "csv": "csv",
    "txt": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "xlsx": "xlsx",
    "parquet": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "arrows": "arrow",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_BINARY = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow", b"PK\x03\x04": "xlsx"}


def format_of_name(path: str) -> str | None:
    """The format that a file name's ending stands for (``orders.csv.gz`` is ``"csv"``), or None."""
    name = path.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return _FORMATS.get(name.rpartition(".")[2]) if "." in name else None


def expand(paths: Sequence[str]) -> list[str]:
    """The files that ``paths`` mean: files, folders (all known formats inside, sorted), globs, ``-`` for stdin.

    Hidden files and folders are skipped unless named. Raises InputError for a path that matches nothing.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path == "-" or Path(path).is_file() or (Path(path).exists() and not Path(path).is_dir()):
            found[path] = None
            continue
        if Path(path).is_dir():
            matches = _inside(path)
        else:
            hits = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207  Path.glob takes no absolute pattern  # noqa: PTH207  # absolute too
            matches = [file for hit in hits for file in (_inside(hit) if Path(hit).is_dir() else [hit])]
            if not hits:
                raise InputError(
                    "nothing is found under {file}",
                    hint="check the spelling; the current folder is {folder}",
                    file=path,
                    folder=str(Path.cwd()),
                )
        if not matches:
            raise InputError(
                "{file} holds no file that can be read",
                hint="known are .csv .tsv .jsonl .xlsx .parquet .arrow; name a file of another ending itself",
                file=path,
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _inside(folder: str) -> list[str]:
    files: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and format_of_name(name) and path.is_file():
                files.append(str(path))
    return sorted(files)


class Source(ABC):
    """An open input. Use it as a context manager; :meth:`batches` can be run through once.

    ``name`` as the person gave it; ``format`` one of ``csv tsv jsonl xlsx parquet arrow``; ``size`` bytes on disk, None
    for a pipe; ``schema`` of the batches; ``sealed`` whether they hold sealed waybills.
    """

    def __init__(self, name: str, format: str, schema: pa.Schema, *, size: int | None, text: bool) -> None:
        if len(schema) > MAX_COLUMNS:
            raise InputError(
                "{file} has {count} columns, more than the {limit} that are read",
                hint="is this a table of waybills? a wrong delimiter gives such counts too",
                file=name,
                count=len(schema),
                limit=MAX_COLUMNS,
            )
        self.name = name
        self.format = format
        self.size = size
        self._typed = None
        if text:
            from parcelveil.adapt.sealed_text import typed_schema

            self._typed = typed_schema(schema)
        self.schema: pa.Schema = schema if self._typed is None else self._typed
        self.sealed = is_sealed(self.schema)

    @property
    def encoding(self) -> str | None:
        """The text encoding, as given or detected; None for formats that have none."""
        return None

    def batches(self) -> Iterator[RawBatch]:
        """The rows in order. Raises InputError when the rest of the file cannot be used."""
        for raw in self._read():
            bounded = within_limits(raw, self.name)
            if self._typed is not None:
                from parcelveil.adapt.sealed_text import decode

                bounded = decode(bounded, self._typed, self.name)
            yield bounded

    @abstractmethod
    def _read(self) -> Iterator[RawBatch]:
        """The rows as the format has them."""

    @abstractmethod
    def position(self) -> int:
        """Bytes of the file read so far, for a progress bar."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def unique_names(names: Sequence[str]) -> list[str]:
    """``names`` with `` (2)``, `` (3)`` … behind those that occurred before."""
    seen: set[str] = set()
    count: dict[str, int] = {}
    unique: list[str] = []
    taken = set(names)
    for name in names:
        free = name
        while free in seen or (free != name and free in taken):
            count[name] = count.get(name, 1) + 1
            free = f"{name} ({count[name]})"
        seen.add(free)
        unique.append(free)
    return unique


def within_limits(raw: RawBatch, source: str) -> RawBatch:
    """``raw`` without the rows that have a cell of more than 1 MiB; they become rejects ``cell.length``."""
    long = np.zeros(raw.batch.num_rows, dtype=bool)
    rejects = list(raw.rejects)
    for field, column in zip(raw.batch.schema, raw.batch.columns, strict=True):
        kind = column.type
        if not (pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind)):
            continue
        if column.nbytes <= MAX_CELL:  # the whole column, so each cell too
            continue
        hit = pc.greater(pc.binary_length(column), MAX_CELL).fill_null(False).to_numpy(zero_copy_only=False)
        for row in raw.rows[hit & ~long].tolist():
            reason = f"a cell of this row holds more than {MAX_CELL >> 20} MiB"
            rejects.append(Reject(source, row, None, field.name, "cell.length", reason))
        long |= hit
    if not long.any():
        return raw
    rejects.sort(key=lambda reject: reject.row)
    return RawBatch(raw.batch.filter(pa.array(~long)), raw.rows[~long], rejects)


def open_source(
    path: str,
    *,
    format: str | None = None,
    encoding: str | None = None,
    batch_rows: int = BATCH_ROWS,
    sheet: str | None = None,
) -> Source:
    """Opens ``path`` (``-`` is stdin) for reading.

    The format is told by the first bytes, then by the ending, then by the look of the text; ``format`` overrides that.
    ``sheet`` names a sheet of an XLSX file. Raises InputError, EncodingError, UsageError, DependencyError.
    """
    if batch_rows < 1:
        raise UsageError("batch_rows must be at least 1")
    if format is not None and format.lower() not in _FORMATS:
        raise UsageError(
            "{format} is not a known format", hint="use csv, tsv, jsonl, xlsx, parquet or arrow", format=format
        )
    stream, size = _open_bytes(path)
    try:
        head = _peek(stream)
        if size == 0 or not head:
            raise InputError("{file} is empty", hint="check the export and try again", file=path)
        chosen = _FORMATS[format.lower()] if format else _choose(path, head)
        if chosen in ("csv", "tsv"):
            from parcelveil.adapt.read_csv import CsvSource

            return CsvSource(path, chosen, stream, size=size, encoding=encoding, batch_rows=batch_rows)
        if chosen == "jsonl":
            from parcelveil.adapt.read_jsonl import JsonLinesSource

            return JsonLinesSource(path, stream, size=size, encoding=encoding, batch_rows=batch_rows)
        if chosen == "xlsx":
            from parcelveil.adapt.read_xlsx import XlsxSource

            return XlsxSource(path, hold(path, stream), size=size, batch_rows=batch_rows, sheet=sheet)
        from parcelveil.adapt.read_arrow import ArrowSource, ParquetSource

        if chosen == "parquet":
            return ParquetSource(path, hold(path, stream), size=size, batch_rows=batch_rows)
        return ArrowSource(path, stream, size=size, batch_rows=batch_rows)
    except BaseException:
        stream.close()
        raise


def _open_bytes(path: str) -> tuple[io.BufferedReader, int | None]:
    if path == "-":
        # A copy of the descriptor, so that closing the source leaves stdin itself open.
        try:
            return os.fdopen(os.dup(sys.stdin.fileno()), "rb"), None
        except (OSError, ValueError, AttributeError):
            raise InputError("standard input is closed", hint="pipe a file in, or name one") from None
    try:
        stream = Path(path).open("rb")  # noqa: SIM115  the Source closes it  # noqa: SIM115  # the source closes it
        state = os.fstat(stream.fileno())
    except (OSError, ValueError) as error:
        raise InputError(
            "{file} cannot be opened: {why}",
            hint="check the spelling and the permissions",
            file=path,
            why=getattr(error, "strerror", None) or "not a file name",
        ) from None
    return stream, state.st_size if stat.S_ISREG(state.st_mode) else None


def _peek(stream: io.BufferedReader) -> bytes:
    try:
        return stream.peek(16)[:4096]
    except OSError:
        return b""


def _choose(path: str, head: bytes) -> str:
    from parcelveil.adapt.text_input import compression_of

    named = format_of_name(path)
    for magic, kind in _BINARY.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            "{file} is an old .xls workbook, or one locked with a password",
            hint="open it and save it as .xlsx without a password, or as CSV",
            file=path,
        )
    if named in ("xlsx", "parquet", "arrow"):
        raise InputError(
            "{file} is damaged, or is no {format} file in spite of its name",
            hint="fetch it again; if it is really text, pass --format csv",
            file=path,
            format=named,
        )
    if compression_of(head):
        return named or "csv"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"<" and start[:14].lower().startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta")):
        raise InputError(
            "{file} is a web page or XML, not a table", hint="open it in a spreadsheet and save it as CSV", file=path
        )
    if named:
        return named
    return "jsonl" if start[:1] == b"{" else "csv"


def hold(path: str, stream: io.BufferedReader) -> IO[bytes]:
    """``stream`` itself when it can be rewound, else all of it in memory. Raises InputError above 512 MiB."""
    if stream.seekable():
        return stream
    data = stream.read(MAX_PIPED + 1)
    stream.close()
    if len(data) > MAX_PIPED:
        raise InputError(
            "this format cannot be streamed from {file}, and there is too much of it to hold in memory",
            hint="save it into a file first, or pipe CSV, JSON lines or an Arrow stream",
            file="standard input" if path == "-" else path,
        )
    return io.BytesIO(data)
