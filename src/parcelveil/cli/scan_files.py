"""The documents of files and folders, with readers for the databases and pictures among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.read.limits import Limits
from parcelveil.scan.read.walk import documents

if TYPE_CHECKING:
    from parcelveil.ports import Tables
    from parcelveil.scan.survey import Survey
    from parcelveil.scan.waybill_label import LabelSeen


def documents_of(
    paths: Sequence[str],
    survey: Survey,
    *,
    ocr: bool,
    depth: int | None = None,
    labels: list[tuple[Place, LabelSeen]] | None = None,
) -> Iterator[Document]:
    """The documents behind ``paths``; pictures are read with ``ocr`` only. Labels that are seen are put into ``labels``."""
    limits = Limits() if depth is None else Limits(depth=depth)

    def database(place: Place, source: bytes | Path) -> Iterator[Document]:
        return _database(place, source, survey)

    def picture(place: Place, source: bytes | Path) -> Iterator[Document]:
        from parcelveil.scan.picture import read_picture

        def seen(at: Place, label: LabelSeen) -> None:
            if labels is not None:
                labels.append((at, label))
            if label.is_label:
                survey.label(at, label.masked)

        return read_picture(place, source, ocr=True, note=survey.note, seen=seen)

    return documents(paths, limits, survey.note, database=database, picture=picture if ocr else None, skip=survey.skip)


def _database(place: Place, source: bytes | Path, survey: Survey) -> Iterator[Document]:
    """The tables of a SQLite file. Its own line in the manifest is its reader's; what tables lack has lines of their own."""
    from parcelveil.adapt.tables_sqlite import SqliteTables

    opened = SqliteTables.open(source) if isinstance(source, Path) else SqliteTables.of_bytes(place.text, source)
    with closing(opened) as database:
        yield from tables_of(database, place, "sqlite", survey)


def tables_of(
    database: Tables,
    place: Place,
    format: str,
    survey: Survey,
    *,
    names: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> Iterator[Document]:
    """A document a table. Tables that are not read, or not wholly, are noted, each with the first reason."""
    for name in database.tables() if names is None else names:
        at = msgspec.structs.replace(place, part=name)
        batches = database.batches(name, sample=sample, seed=seed)
        yield Document(at, "table", format, batches=batches)
        for why in database.left_out(name):
            survey.note(Read(at, format, "partly", why))
    for name, why in database.skipped().items() if names is None else ():
        survey.note(Read(msgspec.structs.replace(place, part=name), format, "skipped", why))
