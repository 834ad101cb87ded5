"""Sealed files made for labels, and what is read from files of labels."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pypdfium2

from label.made import clear_batch, sealed_batch


def shown(path: str) -> list[str]:
    """The text layer of each page."""
    document = pypdfium2.PdfDocument(path)
    return [document[place].get_textpage().get_text_bounded() for place in range(len(document))]


def left_over() -> list[str]:
    return [path.name for path in Path().rglob(".*") if ".part" in path.name]


def write(batch: pa.RecordBatch, path: str) -> None:
    pq.write_table(pa.Table.from_batches([batch]), path)


def bad(row: dict[str, object], **columns: object) -> pa.RecordBatch:
    """A good label, and one that cannot be."""
    batch = sealed_batch(clear_batch([{"waybill_no": "YT0000000001"}, {"waybill_no": "YT0000000002", **row}]))
    for column, value in columns.items():
        place = batch.schema.get_field_index(column)
        values = [*batch.column(place).to_pylist()[:1], value]
        batch = batch.set_column(place, batch.schema.field(place), pa.array(values, batch.schema.field(place).type))
    return batch
