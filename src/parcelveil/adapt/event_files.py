"""Files of events for ``watch``: Parquet with its names kept encoded, the other formats as they are read everywhere, web logs.

::

    files = EventFiles()
    for path in files.find(["access/", "more/*.csv"]):
        with files.open(path, encoded=("actor", "device")) as source:
            for raw in source.batches(): ...

What ``watch`` needs of it is :class:`parcelveil.watch.reading.Opener`. Names of accounts, outlets and devices repeat a lot, and
Parquet holds them encoded: as such they take a twentieth of the time to read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from parcelveil.adapt.source import Source, expand, open_source
from parcelveil.adapt.text_input import compression_of, inflated
from parcelveil.errors import InputError

#: Rows of a batch: as many as keep the cost of a batch small beside that of its rows.
BATCH_ROWS = 1 << 17
BLOCK = 4 << 20
_MAGIC = b"PAR1"
#: What is written beside inputs, and is none.
_OUTPUTS = (".rejects.csv",)


class EventFiles:
    """Finds and opens files on disk."""

    def find(self, paths: Sequence[str], *, logs: bool = False) -> list[str]:
        """The files that files, folders and globs mean, in the order of their names within each.

        With ``logs`` folders are of web logs: all their files count, whatever their ending. Raises InputError for a path
        under which nothing is found.
        """
        inside = [_all_in(path) if logs and Path(path).is_dir() else [path] for path in paths]
        files = expand([path for part in inside for path in part])
        return [path for path in files if path in paths or not path.endswith(_OUTPUTS)]

    def size(self, path: str) -> int | None:
        """Bytes on disk; None for a pipe. Raises InputError when the file cannot be looked at."""
        try:
            place = Path(path)
            return place.stat().st_size if path != "-" and place.is_file() else None
        except OSError as error:
            raise _unreadable(path, error) from None

    def open(self, path: str, *, encoded: Collection[str] = ()) -> Source:
        """Open one file; the text columns in ``encoded`` may come dictionary-encoded. Raises InputError."""
        if path != "-" and self._head(path) == _MAGIC:
            from parcelveil.adapt.read_arrow import ParquetSource

            stream = Path(path).open("rb")  # noqa: SIM115  the source closes it
            try:
                size = stream.seek(0, 2)
                stream.seek(0)
                return ParquetSource(path, stream, size=size, batch_rows=BATCH_ROWS, encoded=encoded)
            except BaseException:
                stream.close()
                raise
        return open_source(path, batch_rows=BATCH_ROWS)

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of a log in blocks, decompressed where they are (gzip, bzip2, xz, zstd).

        Raises InputError when the file cannot be read, or its compression is damaged or ends early.
        """
        try:
            with Path(path).open("rb") as stream:
                kind = compression_of(stream.peek(16)[:16])
                read = inflated(path, stream, kind) if kind else stream.read
                while block := read(BLOCK):
                    yield block
        except OSError as error:
            raise _unreadable(path, error) from None

    def _head(self, path: str) -> bytes:
        try:
            with Path(path).open("rb") as stream:
                return stream.read(len(_MAGIC))
        except OSError as error:
            raise _unreadable(path, error) from None


def _all_in(folder: str) -> list[str]:
    """Every file in a folder that is not hidden; the folder itself where there is none, for others to say so."""
    found = sorted(
        str(path)
        for path in Path(folder).rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return found or [folder]


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(
        "{file} cannot be read: {why}",
        hint="check the spelling and the permissions",
        file=path,
        why=error.strerror or "?",
    )
