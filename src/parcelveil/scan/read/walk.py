"""From the paths a person names to documents: files, folders, patterns and standard input, in an order that stays.

::

    for document in documents(["mail", "*.csv", "-"], Limits(), note=manifest.append):
        for chunk in document.chunks or (): ...

Folders are walked in the order of their names, without following symbolic links: no loop can be entered. A link that
was named itself is followed. Only regular files are opened, and never a pipe or a device waited for. What could not
be read is noted, and the rest goes on. A path that was reached already is not read again.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.read import why
from parcelveil.scan.read.dispatch import read_item
from parcelveil.scan.read.item import Hook, Item, Readable, Run, of_system, shown
from parcelveil.scan.read.limits import Budget, Limits


def documents(
    paths: Sequence[str],
    limits: Limits,
    note: Callable[[Read], None],
    *,
    database: Hook | None = None,
    picture: Hook | None = None,
    skip: Callable[[Place], bool] | None = None,
) -> Iterator[Document]:
    """The documents of files, folders (with all that is in them), patterns (``*.csv``, ``**``) and ``-``.

    A document has to be read before the next one is asked for. ``note`` is called once for each file and each
    member of one, behind its documents: with what was read of it, or why not. Nothing of a file makes this raise.

    ``database`` and ``picture`` read a SQLite file and a picture: they get the path, or the bytes of a member of
    something, and give documents; ``picture`` notes by itself what it read. Without them both are noted as skipped.
    What ``skip`` says yes to is neither read nor noted: whoever knows that place already has its line.
    """
    run = Run(limits, note, lambda item: read_item(item, run), database, picture, skip)
    seen: set[str] = set()
    for path in paths:
        if path == "-":
            if "-" not in seen:
                seen.add("-")
                stream = cast(Readable, getattr(sys.stdin, "buffer", sys.stdin))
                yield from read_item(Item(Place("-"), stream, budget=Budget(limits, None)), run)
            continue
        for found, named in _named(path):
            real = _real(found)
            if _covered(real, seen):
                continue
            seen.add(real)
            yield from _path(found, real, seen, run, named=named)


def _named(path: str) -> Iterator[tuple[str, bool]]:
    """The paths that an argument stands for, and whether each was named itself."""
    if not os.path.lexists(path) and glob.has_magic(path):
        found = sorted(glob.glob(path, recursive=True, include_hidden=True))  # noqa: PTH207
        if found:
            yield from ((one, False) for one in found)
            return
    yield path, True


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a zero byte in a name that was typed
        return path


def _covered(real: str, seen: set[str]) -> bool:
    """Whether a path was named already, or lies in a folder that was."""
    while real not in seen:
        above = os.path.dirname(real)  # noqa: PTH120  realpath gave a string
        if above in (real, ""):
            return False
        real = above
    return True


def _path(path: str, real: str, seen: set[str], run: Run, *, named: bool) -> Iterator[Document]:
    """A path, and all below it but what was ``seen``: a stack instead of recursion, for trees of any depth."""
    stack = [path]
    while stack:
        here = stack.pop()
        named, first = False, named
        if here != path and real.rstrip("/") + here[len(path.rstrip("/")) :] in seen:
            continue  # no link was followed below ``path``
        try:
            mode = os.stat(here, follow_symlinks=first).st_mode  # noqa: PTH116  strings: a tree may hold millions
            if stat.S_ISDIR(mode):
                with os.scandir(here) as entries:
                    stack += sorted((entry.path for entry in entries), reverse=True)
                continue
        except OSError as error:
            missing = first and isinstance(error, FileNotFoundError | NotADirectoryError)
            _skipped(here, "unknown", why.NOT_FOUND if missing else of_path(error), run)
            continue
        except ValueError:  # a zero byte in a name that was typed
            _skipped(here, "unknown", why.NOT_FOUND, run)
            continue
        if stat.S_ISLNK(mode):
            _skipped(here, "link", why.LINK, run)
        elif not stat.S_ISREG(mode):
            _skipped(here, "special", why.SPECIAL, run)
        else:
            yield from _file(here, run, follow=first)


def _file(path: str, run: Run, *, follow: bool) -> Iterator[Document]:
    """One regular file. It may be exchanged between two looks: what counts is what was opened."""
    place = Place(shown(path))
    if run.skip is not None and run.skip(place):
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not follow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        _skipped(path, "unknown", of_path(error), run)
        return
    with os.fdopen(number, "rb", buffering=1 << 17) as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            _skipped(path, "special", why.SPECIAL, run)
            return
        item = Item(
            place, file, budget=Budget(run.limits, status.st_size), path=Path(path), file=file, size=status.st_size
        )
        item.asked = True
        yield from read_item(item, run)


def of_path(error: OSError) -> str:
    """The sentence for a path that could not be opened."""
    said = of_system(error)
    return why.NOT_READABLE if said == why.DAMAGED else said


def _skipped(path: str, kind: str, reason: str, run: Run) -> None:
    place = Place(shown(path))
    if run.skip is None or not run.skip(place):
        run.note(Read(place=place, format=kind, outcome="skipped", why=reason))
