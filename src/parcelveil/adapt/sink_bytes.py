"""Writes bytes that hold nothing personal (labels) into a file, a pipe or a device: whole, or nothing of them.

    >>> import pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels.zpl")
    ...     with open_bytes(str(path)) as file:
    ...         _ = file.write(b"^XA^XZ")
    ...         before = path.exists()
    ...         file.commit()
    ...     before, path.read_bytes()
    (False, b'^XA^XZ')

What a printer or the next program of a pipe has got cannot be taken back. So it gets nothing before the commit: until
then all of it waits in a file without a name in the folder for temporary files, which is why this is for public bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator

from parcelveil.adapt.sink import Target, output_error, stdout_fd, target_of
from parcelveil.errors import OutputError

_PIECE = 1 << 20


class Spooled(Target):
    """A pipe or device behind a temporary file. ``device`` is its descriptor, which is closed in the end."""

    def __init__(self, device: int) -> None:
        self._device = device
        try:
            self._spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed by discard
        except OSError as error:
            os.close(device)
            raise _spool_error(error) from None
        super().__init__(self._spool.fileno())

    def commit(self) -> None:
        """Sends everything on."""
        at = 0
        while piece := os.pread(self.fd, _PIECE, at):
            at += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(self._device, view) :]

    def discard(self) -> None:
        """Closes both; what was not sent on is gone."""
        if not self.closed:
            self.closed = True
            self._spool.close()
            os.close(self._device)


def _spool_error(error: OSError) -> OutputError:
    why = os.strerror(error.errno) if error.errno else "input/output error"
    return OutputError(
        "the output cannot be gathered in a temporary file: {why}",
        hint="free some space, or name another folder for temporary files with TMPDIR",
        why=why,
    )


@contextlib.contextmanager
def open_bytes(path: str, *, force: bool = False) -> Iterator[Target]:
    """Begins an output of bytes; it appears with :meth:`~parcelveil.adapt.sink.Target.commit`.

    ``-`` is standard output. ``force`` replaces an existing file. Leaving the context without a commit leaves nothing
    behind. Raises OutputError.
    """
    shown = "standard output" if path == "-" else path
    try:
        target = Spooled(_stdout()) if path == "-" else target_of(path, clear=False, force=force, device=Spooled)
    except (OSError, ValueError) as error:
        raise output_error(
            shown, error if isinstance(error, OSError) else OSError(errno.EINVAL, "no file name")
        ) from None
    try:
        yield target
    except OSError as error:
        if isinstance(target, Spooled) and target.failed is not None:
            raise _spool_error(target.failed) from None
        raise output_error(shown, target.failed or error) from None
    finally:
        target.discard()


def _stdout() -> int:
    fd = stdout_fd()
    if os.isatty(fd):
        os.close(fd)
        raise OutputError(
            "labels are not written to a terminal",
            hint="send them into a file (-o labels.pdf), a pipe, or to the printer: … -o - | lp",
        )
    return fd
