"""``parcelveil scan table``: personal data in databases and column files, in a sample of the rows or in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from parcelveil.cli.scan_options import Known, Look, Out
from parcelveil.cli.terminal import Where
from parcelveil.errors import InputError, UsageError

if TYPE_CHECKING:
    from parcelveil.ports import Tables
    from parcelveil.scan.document import Document
    from parcelveil.scan.findings import Place, Read
    from parcelveil.scan.survey import Survey

#: Rows of a table that are looked at, unless more is asked for: enough for the share of a column within one percent.
SAMPLE = 10_000
#: Why a table was read in part.
SAMPLED = "a sample of its rows was read; --full reads all"
FAILED = "it could not be read to its end"


def table(
    *uris: str,
    table: list[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
    full: bool = False,
    look: Look | None = None,
    out: Out | None = None,
    known: Known | None = None,
    where: Where | None = None,
) -> int:
    """Find personal data in databases (SQLite, PostgreSQL, MySQL, MariaDB) and column files (Parquet, Arrow).

    Example: parcelveil scan table postgresql://clerk@db.example/parcels --full

    Nothing is written into the database. Of each table 10,000 rows are looked at, the same ones for the same seed.
    A password is better given by PGPASSWORD or MYSQL_PWD than in the URI.

    Parameters
    ----------
    uris
        sqlite:PATH, postgresql://USER@HOST/DATABASE, mysql://…, mariadb://…, parquet:PATH, or a path ending so.
    table
        Only this table (may be repeated). Default: all tables and views.
    sample
        How many rows of each table. Default: 10000.
    seed
        Which rows: the same for the same seed.
    full
        All rows.
    look
        What is looked for.
    out
        Where findings go.
    known
        What is known already.
    where
        Which workspace, for --log.
    """
    if not uris:
        raise UsageError("which database?", hint="parcelveil scan table sqlite:old.db")
    if full and sample is not None:
        raise UsageError("--full and --sample contradict each other", hint="give one of them")
    if sample is not None and sample < 1:
        raise UsageError("{option} has to be a number from 1 on", hint="--sample 10000", option="--sample")
    if seed < 0:
        raise UsageError("{option} has to be a number from 0 on", hint="--seed 0", option="--seed")
    from parcelveil.cli.scan_run import Subject
    from parcelveil.cli.scan_run import scan as run

    rows = None if full else sample or SAMPLE

    def documents(survey: Survey) -> Iterator[Document]:
        for uri in uris:
            yield from _documents(uri, table, survey, rows, seed)

    return run(Subject(documents), look or Look(), out or Out(), known or Known(), where)


def _documents(
    uri: str, only: Sequence[str] | None, survey: Survey, sample: int | None, seed: int
) -> Iterator[Document]:
    """The tables behind a URI, each noted behind its document."""
    from parcelveil.adapt.tables import open_tables
    from parcelveil.scan.document import Document
    from parcelveil.scan.findings import Place, Read

    with closing(open_tables(uri)) as database:
        known = database.tables()
        for name in only or ():
            if name not in known:
                raise InputError(
                    "{database} has no table {table}", hint="it has: {tables}", database=database.name, table=name,
                    tables=", ".join(known[:20]) or "-",
                )  # fmt: skip
        for name in only or known:
            place = Place(database.name, part=name)
            rows = _Rows(database, name, sample, seed)
            yield Document(place, "table", "table", batches=rows.batches())
            survey.note(rows.read(place))
        for name, why in database.skipped().items() if only is None else ():
            survey.note(Read(Place(database.name, part=name), "table", "skipped", why))


class _Rows:
    """The rows of a table, and the line of the manifest for them."""

    def __init__(self, database: Tables, table: str, sample: int | None, seed: int) -> None:
        self._database, self._table, self._sample, self._seed = database, table, sample, seed
        self._count = self._bytes = 0
        self._failed = ""

    def batches(self) -> Iterator[tuple[int, object]]:
        try:
            for first, batch in self._database.batches(self._table, sample=self._sample, seed=self._seed):
                self._count += batch.num_rows
                self._bytes += batch.nbytes
                yield first, batch
        except InputError as error:  # a view without permission, a broken page: the other tables go on
            self._failed = str(error.values.get("why") or FAILED)

    def read(self, place: Place) -> Read:
        from parcelveil.scan.findings import Read

        lacking = next(iter(self._database.left_out(self._table)), "")
        sampled = self._sample is not None and self._count >= self._sample and self._more()
        why = self._failed or lacking or (SAMPLED if sampled else "")
        outcome = "read" if not why else "partly" if self._count or not self._failed else "skipped"
        return Read(place, "table", outcome, why, bytes=self._bytes, rows=self._count)  # type: ignore[arg-type]

    def _more(self) -> bool:
        """Whether the table has more rows than were looked at; yes where nobody knows."""
        try:
            count = self._database.count(self._table)
        except InputError:
            return True
        return count is None or count > self._count
