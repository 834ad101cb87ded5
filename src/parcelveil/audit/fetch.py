"""Get the files of a published log, from a directory or a web server. Every byte of both may be hostile.

::

    fetch = directory(Path("log"))              # or http("https://log.example/acme")
    fetch("checkpoint"), fetch("tile/0/000")    # bytes, or None when there is no such file

A :data:`Fetch` raises LogError when a file cannot be had, and for names that no file of a log has. It never reads
more than the largest file of that kind: 8,192 bytes of a tile, 16 MiB of an entry bundle.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from parcelveil.errors import LogError

#: ``fetch("tile/0/000")``: the bytes of one file, None when there is none, LogError when it cannot be had.
Fetch = Callable[[str], bytes | None]

TILE_BYTES = 256 * 32
BUNDLE_BYTES = 256 * (2 + 65_535)
_NOTE_BYTES = 4_000_000
_BELOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_HELD = 8
#: Small letters, digits, dots and dashes: never ``..``, never a hidden name, never the root.
_PATH = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,63}/){0,24}[a-z0-9][a-z0-9.-]{0,63}")


def limit_of(path: str) -> int:
    """The most bytes that a file of this name has. Raises LogError for a name that no file of a log has."""
    if not _PATH.fullmatch(path):
        raise LogError("no file of a log has such a name")
    if path.startswith("tile/"):
        return BUNDLE_BYTES if path.startswith("tile/entries/") else TILE_BYTES
    return _NOTE_BYTES


def unreadable(path: str, why: str) -> LogError:
    """The error for a file that is there and cannot be had."""
    return LogError("{tile} of the log cannot be read: {why}", tile=path, why=why)


def directory(folder: Path) -> Fetch:
    """Read a log from a directory. Follows no symbolic link below ``folder`` and opens regular files only."""
    return _Directory(folder)


class _Directory:
    """What :func:`directory` returns. Can be pickled, so that other processes may help to read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] | None = None  # folders that are kept open, see held()

    def __reduce__(self) -> tuple[type[_Directory], tuple[Path]]:
        return _Directory, (self._folder,)

    def __call__(self, path: str) -> bytes | None:
        limit = limit_of(path)
        above, _, name = path.rpartition("/")
        try:
            at = self._enter(above)
            try:
                fd = os.open(name, _BELOW, dir_fd=at)
            finally:
                if self._open is None:
                    os.close(at)
            try:
                about = os.fstat(fd)
                if not stat.S_ISREG(about.st_mode):
                    raise unreadable(path, "not a regular file")
                data = _read(fd, about.st_size, limit)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(path, error.strerror or type(error).__name__) from None
        if len(data) > limit:
            raise unreadable(path, "too long")
        return data

    def _enter(self, path: str) -> int:
        """A descriptor of a folder of the log, opened anew or kept open."""
        if self._open is None:
            return _walk(self._folder, path)
        if path not in self._open:
            if len(self._open) >= _MOST_HELD:
                self._close()
            self._open[path] = _walk(self._folder, path)
        return self._open[path]

    def _close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    @contextmanager
    def held(self) -> Iterator[_Directory]:
        copy = _Directory(self._folder)
        copy._open = {}
        try:
            yield copy
        finally:
            copy._close()


def held(fetch: Fetch) -> AbstractContextManager[Fetch]:
    """The same fetch, quicker when many files are read: folders of a directory stay open until the context ends."""
    return fetch.held() if isinstance(fetch, _Directory) else nullcontext(fetch)


def _read(fd: int, size: int, limit: int) -> bytes:
    """A file that had ``size`` bytes just now, to its end, or one byte more than ``limit``."""
    data = os.read(fd, min(size, limit) + 1)  # no more: a buffer of the limit costs more than the reading
    while len(data) <= limit and (more := os.read(fd, min(limit + 1 - len(data), 1 << 20))):
        data += more
    return data


def _walk(folder: Path, path: str) -> int:
    """A descriptor of the folder at ``path`` below ``folder``, reached one step at a time without following links."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for step in path.split("/") if path else ():
        try:
            down = os.open(step, _BELOW | os.O_DIRECTORY, dir_fd=at)
        finally:
            os.close(at)
        at = down
    return at


def http(url: str, timeout: float = 10.0) -> Fetch:
    """Read a log from a web address: http or https, no user name, query or fragment in it.

    ``timeout``: seconds for each wait; one file, from connecting to its last byte, may take ten times as long.
    Redirects are not followed. The answer's size is bounded, before and after decompression. A missing file (404,
    410) is None; what else is no answer, a LogError.
    """
    from urllib.parse import urlsplit  # slow to import, and who reads no log from a server needs none

    from parcelveil.audit.fetch_http import Http

    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[!-~]+", url) or "?" in url or "#" in url:
        raise LogError("no address of a log", hint="write http(s)://host/path, without user name, ? and #")
    return Http(url, timeout)
