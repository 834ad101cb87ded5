"""Opens a part of a growing file, or a pipe's latest lines, as a source of rows.

::

    with open_part("drop/looks.csv", "csv", stream) as source:      # stream: the header line and the new lines
        for raw in source.batches(): ...

``name`` is for messages only. Row numbers count from the part's own first row.
"""

from __future__ import annotations

from typing import IO

from parcelveil.adapt.event_files import BATCH_ROWS
from parcelveil.adapt.source import Source


def open_part(name: str, form: str, stream: IO[bytes]) -> Source:
    """``form``: csv, tsv or jsonl. The stream is closed with the source. Raises InputError, EncodingError, HeaderError."""
    try:
        if form == "jsonl":
            from parcelveil.adapt.read_jsonl import JsonLinesSource

            return JsonLinesSource(name, stream, size=None, batch_rows=BATCH_ROWS)
        from parcelveil.adapt.read_csv import CsvSource

        return CsvSource(name, form, stream, size=None, batch_rows=BATCH_ROWS)
    except BaseException:
        stream.close()
        raise
