"""Writes batches into a file that appears whole, under its name, or not at all.

    >>> import pathlib, tempfile
    >>> schema = pa.schema([("waybill_no", pa.string())])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "out.csv")
    ...     with open_sink(str(path), schema) as sink:
    ...         sink.write(pa.record_batch({"waybill_no": ["YT1"]}, schema=schema))
    ...         before = path.exists()
    ...         sink.commit()
    ...     before, path.read_text()
    (False, '"waybill_no"\\n"YT1"\\n')

Until :meth:`Sink.commit` the data lies in a file without a name (``O_TMPFILE``), so that even a killed process leaves
neither half an output nor clear data behind. Where the file system lacks that, a hidden file of mode 0600 is used and
removed on the way out. A file with clear data (its schema is not sealed) is readable for its owner only.

``-`` is standard output: an Arrow stream for sealed batches, CSV for clear ones unless a format is given. Pipes and
devices get the data as it comes; nothing can be taken back there (but see :mod:`~parcelveil.adapt.sink_bytes`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from parcelveil.errors import OutputError, UsageError
from parcelveil.waybill import is_sealed

_FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "xlsx": "xlsx",
    "parquet": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "arrows": "arrows",
}
_COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Encoder(Protocol):
    """A format. It writes bytes to the :class:`Target` it was made with."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def finish(self) -> None: ...


class Target:
    """A descriptor as the file object that encoders want. The first error stays in :attr:`failed`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.failed: OSError | None = None
        self.dropped = False  # from then on writes do nothing: encoders write their ends when they are collected
        self.closed = False
        self.mode = "wb"
        self._written = 0

    def write(self, data: bytes | bytearray | memoryview | pa.Buffer) -> int:
        """Writes all of ``data``."""
        view = memoryview(data).cast("B")
        size = len(view)
        if not self.dropped:
            try:
                while len(view):
                    view = view[os.write(self.fd, view) :]
            except OSError as error:
                self.failed = self.failed or error
                raise
        self._written += size
        return size

    def tell(self) -> int:
        """Bytes written so far."""
        return self._written

    def writable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """False: a zip archive is then written straight on."""
        return False

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """The sink closes the descriptor, not the encoder."""

    def commit(self) -> None:
        """Everything was written already."""

    def discard(self) -> None:
        """Closes the descriptor; what is not committed is gone."""
        if not self.closed:
            self.closed = True
            os.close(self.fd)


class _File(Target):
    """A regular file, nameless until :meth:`commit`."""

    def __init__(self, path: str, *, clear: bool, force: bool) -> None:
        self._path, self._force = Path(path), force
        self._name = self._path.name
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._part: str | None = None
        try:
            fd = self._create(0o600 if clear else 0o666)
        except BaseException:
            os.close(self._folder)
            raise
        super().__init__(fd)
        # Also for a sink that nobody closes: at collection or when the interpreter ends.
        self._remove = weakref.finalize(self, _unlink, self._path.parent / self._part) if self._part else None

    def _create(self, mode: int) -> int:
        try:
            fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
        else:
            if Path(f"/proc/self/fd/{fd}").exists():
                return fd
            os.close(fd)  # without /proc it could never get its name
        self._part = f".parcelveil-{secrets.token_hex(8)}.part"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._part, flags, mode, dir_fd=self._folder)

    def commit(self) -> None:
        """Makes the data durable, then visible, then the name durable."""
        os.fsync(self.fd)
        if self._part is None:
            name = f".parcelveil-{secrets.token_hex(8)}.part" if self._force else self._name
            os.link(f"/proc/self/fd/{self.fd}", name, dst_dir_fd=self._folder, follow_symlinks=True)
            if self._force:
                self._rename(name)
        elif self._force:
            self._rename(self._part)
        else:
            self._give_name(self._part)
        with contextlib.suppress(OSError):  # some network file systems cannot; the file itself is safe
            os.fsync(self._folder)

    def _rename(self, part: str) -> None:
        try:
            os.replace(part, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=self._folder)
            raise

    def _give_name(self, part: str) -> None:
        try:
            os.link(part, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.unlink(part, dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # No hard links here: reserve the name, then rename over the reservation.
            os.close(os.open(self._name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=self._folder))
            os.replace(part, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def discard(self) -> None:
        """Closes; a file that was not committed vanishes."""
        if self.closed:
            return
        super().discard()
        if self._part is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._part, dir_fd=self._folder)
        if self._remove is not None:
            self._remove.detach()
        os.close(self._folder)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


class Sink:
    """An output being written. Leaving the context without :meth:`commit` leaves nothing behind."""

    def __init__(self, path: str, target: Target, schema: pa.Schema, kind: str, compression: str | None) -> None:
        self.path = path
        self.schema = schema
        self.format = kind
        #: Rows written so far.
        self.rows = 0
        self._target = target
        self._done = False
        try:
            self._encoder = _encoder(target, schema, kind, compression, path)
        except BaseException as error:  # noqa: BLE001  raised again as what it means  # noqa: BLE001  # Ctrl-C too leaves nothing behind
            self._abandon()
            raise self._told(error) from None

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows. ``batch`` has the sink's columns; ValueError otherwise, OutputError when it cannot be written."""
        if self._done:
            raise ValueError("the sink is closed")
        if batch.schema.names != self.schema.names:
            raise ValueError("the batch has other columns than the sink")
        if not batch.schema.equals(self.schema, check_metadata=True):
            batch = batch.cast(self.schema)
        try:
            self._encoder.write(batch)
        except BaseException as error:  # noqa: BLE001  raised again as what it means  # noqa: BLE001  # Ctrl-C too leaves nothing behind
            self._abandon()
            raise self._told(error) from None
        self.rows += batch.num_rows

    def commit(self) -> None:
        """Finishes the file and lets it appear. OutputError when that fails; then nothing appears."""
        if self._done:
            raise ValueError("the sink is closed")
        try:
            self._encoder.finish()
            self._target.commit()
        except BaseException as error:  # noqa: BLE001  raised again as what it means  # noqa: BLE001  # Ctrl-C too leaves nothing behind
            self._abandon()
            raise self._told(error) from None
        self._done = True
        self._target.discard()

    def _abandon(self) -> None:
        self._done = True
        self._target.dropped = True
        self._target.discard()

    def _told(self, error: BaseException) -> BaseException:
        cause = self._target.failed or error
        return output_error(self.path, cause) if isinstance(cause, OSError) else error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._abandon()


def open_sink(path: str, schema: pa.Schema, *, format: str | None = None, force: bool = False) -> Sink:
    """Begins the output ``path`` for batches of ``schema``.

    Formats by ending: ``.parquet .arrow .feather .arrows .csv .tsv .jsonl .ndjson .xlsx``, the text ones also with
    ``.gz`` or ``.zst``. ``force`` replaces an existing file. Raises OutputError, UsageError, DependencyError.
    """
    kind, compression = _kind(path, schema, format)
    clear = not is_sealed(schema)
    if path == "-":
        return Sink("standard output", Target(_stdout(kind)), schema, kind, compression)
    try:
        target = target_of(path, clear=clear, force=force)
    except (OSError, ValueError) as error:
        raise output_error(
            path, error if isinstance(error, OSError) else OSError(errno.EINVAL, "no file name")
        ) from None
    return Sink(path, target, schema, kind, compression)


def _kind(path: str, schema: pa.Schema, given: str | None) -> tuple[str, str | None]:
    name = path.lower()
    compression = None
    for ending, codec in _COMPRESSED.items():
        if name.endswith(ending):
            name, compression = name.removesuffix(ending), codec
    if given is not None:
        kind = _FORMATS.get(given.lower())
    elif path == "-":
        kind = "arrows" if is_sealed(schema) else "csv"
    else:
        kind = _FORMATS.get(name.rpartition(".")[2]) if "." in name else None
    if kind is None:
        raise UsageError(
            "no known format is named by {word}",
            hint="use .parquet .arrow .csv .tsv .jsonl or .xlsx, the text ones also with .gz or .zst; or pass --format",
            word=given if given is not None else path,
        )
    if compression and kind not in ("csv", "tsv", "jsonl"):
        raise UsageError(
            "{file}: only text formats are compressed from outside",
            hint="leave {codec} off",
            file=path,
            codec=compression,
        )
    return "arrows" if kind == "arrow" and path == "-" else kind, compression


def stdout_fd() -> int:
    """A copy of the descriptor of standard output. Raises OutputError when that is closed."""
    try:
        sys.stdout.flush()
        return os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        raise OutputError("standard output is closed", hint="name a file instead") from None


def _stdout(kind: str) -> int:
    fd = stdout_fd()
    if kind not in ("csv", "tsv", "jsonl") and os.isatty(fd):
        os.close(fd)
        raise OutputError(
            "binary data is not written to a terminal", hint="send it into a file or a pipe, or pass --format csv"
        )
    return fd


def target_of(path: str, *, clear: bool, force: bool, device: Callable[[int], Target] = Target) -> Target:
    """Where bytes for ``path`` go; a pipe's or device's descriptor to ``device``. Raises OSError, ValueError."""
    if not Path(path).name or path.endswith("/"):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        state = Path(path).stat()
    except FileNotFoundError:
        exists = Path(path).is_symlink()
    else:
        exists = True
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(state.st_mode):  # a pipe or device has nothing to replace
            return device(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY))
    if exists and not force:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return _File(path, clear=clear, force=force)


def _encoder(target: Target, schema: pa.Schema, kind: str, compression: str | None, path: str) -> Encoder:
    if kind in ("csv", "tsv", "jsonl"):
        from parcelveil.adapt.write_text import TextEncoder

        return TextEncoder(target, schema, kind, compression)
    if kind == "xlsx":
        from parcelveil.adapt.write_xlsx import XlsxEncoder

        return XlsxEncoder(target, schema, path)
    from parcelveil.adapt.write_arrow import ArrowEncoder, ParquetEncoder

    return (
        ParquetEncoder(target, schema) if kind == "parquet" else ArrowEncoder(target, schema, stream=kind == "arrows")
    )


_TOLD = {
    errno.EEXIST: ("{file} exists already", "choose another name, or replace it with --force"),
    errno.EISDIR: ("{file} is a folder", "name a file in it"),
    errno.ENOENT: ("the folder of {file} does not exist", "create it first"),
    errno.ENOTDIR: ("the folder of {file} does not exist", "create it first"),
    errno.EACCES: ("{file} may not be written here: no permission", "choose a folder of your own"),
    errno.EPERM: ("{file} may not be written here: no permission", "choose a folder of your own"),
    errno.EROFS: ("{file} lies on a disk that is read-only", "choose another folder"),
    errno.ENOSPC: ("the disk is full; {file} was not written", "free some space, or choose another disk"),
    errno.EDQUOT: ("your quota of disk space is used up; {file} was not written", "free some space"),
    errno.EFBIG: ("{file} grew beyond the largest size allowed here and was not written", "write it in parts"),
    errno.EPIPE: ("the program that reads {file} has ended", "check the command behind the pipe"),
}


def output_error(path: str, error: OSError) -> OutputError:
    """What an error of the system means for who wanted ``path`` written."""
    told = _TOLD.get(error.errno or 0)
    if told is not None:
        return OutputError(told[0], hint=told[1], file=path)
    why = os.strerror(error.errno) if error.errno else "input/output error"
    return OutputError("{file} could not be written: {why}", hint="check the disk", file=path, why=why)
