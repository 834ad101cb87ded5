"""What the commands of desk and log put out: tables and records, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from parcelveil.cli.language import say
from parcelveil.cli.terminal import plain, table
from parcelveil.errors import OutputError

#: Tables that would be wider than this many columns are shown as records, text is wrapped.
WIDTH = 100
#: What a line is not broken within: blanks, a word, a Chinese character; signs that end it stay with it.
_PIECES = re.compile(r"\s+|（*(?:[^\s\u2e80-\uffef]+|[\u2e80-\uffef])[，。；：、）]*")


def listed(rows: Sequence[Mapping[str, Any]], empty: str, *, as_json: bool) -> None:
    """A table of records, or JSON, where names are English and lists, numbers and truth values are what they are.

    ``empty`` is said when there are none.
    """
    if as_json:
        print(json.dumps([dict(row) for row in rows], ensure_ascii=False))
    elif rows:
        print(table([say(name) for name in rows[0]], [[_cell(value) for value in row.values()] for row in rows]))
    elif empty:
        print(empty, file=sys.stderr)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return say("yes") if value else ""
    return plain(" ".join(value) if isinstance(value, list | tuple) else str(value))


def fitted(header: list[str], rows: list[list[str]], width: int = WIDTH) -> str:
    """A table, or, where that would be too wide, a block of lines a row: its first cell, and the others under it."""
    cells = [[plain(cell) for cell in row] for row in rows]
    text = table(header, cells)
    if len(header) < 3 or max(map(columns_of, text.splitlines())) <= width:
        return text
    blocks = [
        table([header[0], row[0]], [[h, c] for h, c in zip(header[1:], row[1:], strict=True) if c]) for row in cells
    ]
    return "\n\n".join(blocks)


def columns_of(line: str) -> int:
    """Columns that a line takes on a terminal."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def terminal_width() -> int:
    """Columns that the terminal has, or COLUMNS says; :data:`WIDTH` where there is none, and never more."""
    import shutil

    return max(40, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """``text`` in lines of bounded width, the first of which begins with ``first`` and the others with ``rest``.

    Lines break at blanks and between Chinese characters, which take two columns and have no blanks between. A word is
    never broken, however long.
    """
    lines, line, empty = [], first, True
    for piece in _PIECES.findall(plain(text)):
        if not empty and columns_of(line + piece.rstrip()) > WIDTH:
            lines.append(line.rstrip())
            line, empty = rest, True
        if empty:
            piece = piece.lstrip()  # noqa: PLW2901
        line, empty = line + piece, empty and not piece
    return "\n".join(lines if empty else [*lines, line.rstrip()])


@contextmanager
def whole_file(path: str | Path, *, force: bool | None = None, private: bool = False) -> Iterator[BinaryIO]:
    """A file that is there under its name, whole and durable, when the block has ended well, and not at all otherwise.

    An existing one is kept unless ``force`` (None: the command has no such option); ``private`` ones are readable for their owner only. Pipes and devices
    get the data as it comes. Raises OutputError.
    """
    place = Path(path)
    try:
        if place.exists() and not place.is_dir() and not stat.S_ISREG(place.stat().st_mode):
            with place.open("wb") as device:
                yield device
            return
        if (os.path.lexists(place) and not force) or place.is_dir():
            raise OSError(errno.EISDIR if place.is_dir() else errno.EEXIST, "")
        with _part(place, 0o600 if private else 0o666) as part:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if force:
                part.replace(place)
            else:
                os.link(part, place)  # never over an existing one, not even one made a moment ago
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _refused(place, error, forcible=force is not None) from None


@contextmanager
def _part(place: Path, mode: int) -> Iterator[Path]:
    """A new file beside ``place``, gone in the end unless it was renamed."""
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _refused(place: Path, error: OSError, *, forcible: bool = False) -> OutputError:
    if error.errno == errno.EEXIST and forcible:
        return OutputError(
            "{file} exists already", hint="choose another name, or replace it with --force", file=str(place)
        )
    if error.errno == errno.EEXIST:
        return OutputError("{file} exists already", hint="choose another name; it is not overwritten", file=str(place))
    if error.errno == errno.EISDIR:
        return OutputError("{file} is a folder", hint="name a file in it", file=str(place))
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return OutputError(
        "{file} could not be written: {why}", hint="check the path and its permissions", file=str(place), why=why
    )


def writable_folder(path: str | Path) -> Path:
    """The folder, made where there is none, in which files can be made. Raises OutputError."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _part(folder / "try", 0o600):
            return folder
    except FileExistsError:
        raise OutputError("{file} is no folder", hint="choose another name", file=str(folder)) from None
    except OSError as error:
        raise _refused(folder, error) from None


def reader_gone() -> bool:
    """Whether whoever reads our standard output has gone, which writing would tell only at the next line."""
    import select

    try:
        watch = select.poll()
        watch.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))
    except (OSError, ValueError):
        return False
