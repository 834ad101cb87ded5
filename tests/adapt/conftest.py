"""Reading and writing whole files in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from parcelveil.adapt.sink import open_sink
from parcelveil.adapt.source import open_source
from parcelveil.waybill import Reject


class Whole(NamedTuple):
    table: pa.Table
    rows: list[int]
    rejects: list[Reject]
    encoding: str | None
    sealed: bool
    format: str

    def codes(self) -> list[tuple[int, str]]:
        return [(reject.row, reject.code) for reject in self.rejects]


def read_whole(path: Path | str, **options: Any) -> Whole:
    with open_source(str(path), **options) as source:
        raws = list(source.batches())
        for raw in raws:
            raw.batch.validate(full=True)
            assert len(raw.rows) == raw.batch.num_rows
        table = pa.Table.from_batches([raw.batch for raw in raws], schema=source.schema)
        rows = [row for raw in raws for row in raw.rows.tolist()]
        assert rows == sorted(set(rows))
        rejects = [reject for raw in raws for reject in raw.rejects]
        assert not {reject.row for reject in rejects} & set(rows)
        size = Path(path).stat().st_size
        assert source.size == size
        assert 0 <= source.position() <= size
        return Whole(table, rows, rejects, source.encoding, source.sealed, source.format)


def write_whole(path: Path | str, *batches: pa.RecordBatch, **options: Any) -> None:
    with open_sink(str(path), batches[0].schema, **options) as sink:
        for batch in batches:
            sink.write(batch)
        sink.commit()


@pytest.fixture
def read() -> Callable[..., Whole]:
    return read_whole


@pytest.fixture
def write() -> Callable[..., None]:
    return write_whole
