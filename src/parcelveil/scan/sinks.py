"""Where findings go: JSON lines and Parquet, written as they come, and JSON lines read back.

::

    sink = JsonLines(file)
    for batch in batches:           # of FINDINGS
        sink.write(batch)           # whole lines, flushed: what is written is there
    sink.close()                    # ends the format; the file stays open, for whoever opened it

A line is one finding, with what says nothing left out (no column, no page, no box), fingerprints in hex::

    >>> from io import BytesIO
    >>> from parcelveil.scan.findings import Place
    >>> file = BytesIO()
    >>> JsonLines(file).write(example(Place("app.log"), kind="phone.mobile", line=3, start=20, end=31))
    >>> file.getvalue().decode()[:75]
    '{"source":"app.log","line":3,"start":20,"end":31,"kind":"phone.mobile","sta'
    >>> read_lines(file.getvalue().splitlines())["line"].to_pylist()
    [3]

``allowed`` says of each row what allows it (:data:`ALLOWED`, see :mod:`~parcelveil.scan.allowlist`): allowed findings
are written too, and marked. No sink ever sees a value: findings have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import InputError
from parcelveil.scan.findings import FINDINGS, FINGERPRINT, Place

#: What may allow a finding; the index is the code in ``allowed`` arrays. 0: nothing does.
ALLOWED = ("", "inline", "list", "baseline")
Allowed = npt.NDArray[np.uint8]

#: Rows that are turned into lines, or read from them, at a time: bounds the Python objects in memory.
ROWS = 8_192
#: Rows of a Parquet row group. Findings compress well together, and a group is held in memory until it is full.
GROUP = 65_536
#: Bytes a line may have when it is read back. A longer one is none of ours.
LONGEST_LINE = 1 << 20


class Sink(Protocol):
    """Takes findings. ``close`` ends what is written; it does not close files that it was given."""

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        """Write a batch of FINDINGS; ``allowed`` holds a code of :data:`ALLOWED` for each row."""

    def close(self) -> None:
        """Write what remains."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A finding as a line of JSON. Fields are those of FINDINGS, in its order, and ``allowed``."""

    source: str
    member: str = ""
    part: str = ""
    page: int = -1
    box: list[float] | None = None
    line: int = -1
    row: int = -1
    column: str = ""
    start: int = -1
    end: int = -1
    kind: str = ""
    state: str = ""
    tier: int = 1
    confidence: float = 0.0
    reason: str = ""
    fingerprint: str = ""
    allowed: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


class JsonLines:
    """JSON lines into ``file``. ``length`` is the number of bytes written so far."""

    def __init__(self, file: BinaryIO, *, length: int = 0) -> None:
        self._file = file
        self.length = length

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        """Whole lines, handed to the operating system before this returns."""
        for first in range(0, findings.num_rows, ROWS):
            part = findings.slice(first, ROWS)
            data = _encoder.encode_lines(_lines(part, None if allowed is None else allowed[first : first + ROWS]))
            self._file.write(data)
            self.length += len(data)
        self._file.flush()

    def close(self) -> None:
        """Nothing remains: every line was written when it came."""
        self._file.flush()


def _lines(findings: pa.RecordBatch, allowed: Allowed | None) -> list[Line]:
    columns: dict[str, list[Any]] = {name: findings[name].to_pylist() for name in FINDINGS.names}
    columns["fingerprint"] = [value.hex() for value in columns["fingerprint"]]
    # float32 has seven digits that mean something; the confidence of a finding has three.
    columns["confidence"] = np.round(np.asarray(findings["confidence"], dtype=np.float64), 3).tolist()
    if allowed is not None:
        columns["allowed"] = [ALLOWED[code] for code in allowed]
    return [Line(*row) for row in zip(*columns.values(), strict=True)]


class ParquetSink:
    """Parquet into ``file``, a row group at a time. The file can be read after :meth:`close` only."""

    #: FINDINGS, and what allowed each.
    SCHEMA = FINDINGS.append(pa.field("allowed", pa.string(), nullable=False))

    def __init__(self, file: BinaryIO) -> None:
        from pyarrow.parquet import ParquetWriter

        self._writer = ParquetWriter(file, self.SCHEMA, compression="zstd")
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        """Hold a batch until a row group is full."""
        codes = np.zeros(findings.num_rows, dtype=np.uint8) if allowed is None else allowed
        words = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(ALLOWED)).cast(pa.string())
        self._held.append(pa.RecordBatch.from_arrays([*findings.columns, words], schema=self.SCHEMA))
        self._rows += findings.num_rows
        if self._rows >= GROUP:
            self._group()

    def _group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._held, self.SCHEMA), row_group_size=GROUP)
        self._held, self._rows = [], 0

    def close(self) -> None:
        """Write the last group and the footer."""
        if self._rows:
            self._group()
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more, and no footer: the file is thrown away."""
        self._writer.is_open = False


def findings_of(lines: Iterable[Line]) -> pa.RecordBatch:
    """Lines as a batch of FINDINGS."""
    rows = [msgspec.structs.astuple(line)[: len(FINDINGS)] for line in lines]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in FINDINGS]
    columns[-1] = [bytes.fromhex(value) for value in columns[-1]]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, FINDINGS, strict=True)], schema=FINDINGS
    )


def read_lines(lines: Iterable[bytes], name: str = "the findings") -> pa.RecordBatch:
    """Lines of JSON as one batch of FINDINGS. Raises InputError, which names the line that is none of ours."""
    return findings_of(_decoded(lines, name, 1))


def read_findings(file: BinaryIO, name: str, end: int) -> Iterator[tuple[pa.RecordBatch, Allowed]]:
    """The findings in the first ``end`` bytes of a file of JSON lines, and what allowed each: a bounded number at a time."""
    number, left = 1, end
    while left > 0:
        lines: list[bytes] = []
        while left > 0 and len(lines) < ROWS:
            line = file.readline(min(left, LONGEST_LINE))
            if not line:
                raise InputError("{file} is shorter than it was", hint="its end was cut off", file=name)
            lines.append(line)
            left -= len(line)
        found = list(_decoded(lines, name, number))
        number += len(lines)
        codes = np.array([ALLOWED.index(line.allowed) for line in found], dtype=np.uint8)
        yield findings_of(found), codes


def _decoded(lines: Iterable[bytes], name: str, number: int) -> Iterator[Line]:
    for place, line in enumerate(lines, number):
        try:
            found = _decoder.decode(line)
            if len(bytes.fromhex(found.fingerprint)) != FINGERPRINT or found.allowed not in ALLOWED:
                raise ValueError
        except ValueError:
            raise InputError(
                "line {line} of {file} is not a finding", hint="another program wrote it", file=name, line=place
            ) from None
        yield found


def example(
    place: Place,
    *,
    kind: str,
    state: str = "clear",
    line: int = -1,
    row: int = -1,
    column: str = "",
    start: int = 0,
    end: int = 0,
    tier: int = 1,
    confidence: float = 1.0,
    reason: str = "shape",
    fingerprint: bytes = bytes(FINGERPRINT),
    box: tuple[float, float, float, float] | None = None,
) -> pa.RecordBatch:
    """A batch of one finding: for examples and tests, and for whoever makes findings one by one."""
    return findings_of(
        [
            Line(
                source=place.source, member=place.member, part=place.part, page=place.page,
                box=None if box is None else list(box), line=line, row=row, column=column, start=start, end=end,
                kind=kind, state=state, tier=tier, confidence=confidence, reason=reason, fingerprint=fingerprint.hex(),
            )
        ]
    )  # fmt: skip
