"""Where the labels of a run go: a file, a folder of pictures, standard output, a device. Whole, or not at all.

::

    place = place_of("day.sealed.parquet", "labels.pdf", None)     # what is meant; raises UsageError
    with ending_orderly(), opened(place, press, force=False) as (output, commit):
        ...                                                        # an Output for the printer
        commit()                                                   # only now there is anything to be seen

Until the commit, a file has no name, a folder has a hidden one and is removed on every way out but ``kill -9``, and
what is meant for a pipe or a printer waits in a temporary file.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from parcelveil.errors import OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.label.compose import Press
    from parcelveil.label.printing import Output

FORMATS = ("pdf", "png", "zpl")


class Place(NamedTuple):
    """Where labels go, and in which format; ``folder``: one picture a label."""

    target: str
    format: str
    folder: bool

    @property
    def rejects(self) -> str | None:
        """The file that lists waybills without a label; None where there is no place beside the output."""
        beside = self.target != "-" and (Path(self.target).is_dir() or not _device(Path(self.target)))
        return f"{self.target}.rejects.csv" if beside else None


def _device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def place_of(file: str, output: str | None, given: str | None) -> Place:
    """What ``-o`` (None: beside the file) and ``--format`` mean together. Raises UsageError."""
    kind = given.lower() if given is not None else None
    if kind is not None and kind not in FORMATS:
        raise _unknown(given or "")
    if output is None:
        if file == "-":
            raise UsageError("where shall the labels go?", hint="give -o FILE, or -o - for standard output")
        name = Path(file).name.removesuffix(".parquet").removesuffix(".sealed")
        ending = "" if kind == "png" else f".{kind or 'pdf'}"
        return Place(str(Path(file).with_name(f"{name}.labels{ending}")), kind or "pdf", kind == "png")
    if output == "-":
        if kind == "png":
            raise UsageError(
                "pictures do not go to standard output",
                hint="name a folder: -o labels/ --format png; or choose pdf or zpl",
            )
        return Place("-", kind or "pdf", folder=False)
    target = output.rstrip("/") or output
    named = "" if output.endswith("/") else Path(target).suffix.lower().removeprefix(".")
    if named in FORMATS and kind not in (None, named):
        raise UsageError(
            "{file} and --format {format} contradict each other",
            hint="leave --format away, or name another file",
            file=output,
            format=kind,
        )
    kind = kind or named
    if kind not in FORMATS:
        raise _unknown(Path(target).name or output)
    return Place(target, kind, kind == "png" and named != "png")


def _unknown(word: str) -> UsageError:
    return UsageError(
        "labels are written as pdf, png or zpl, not as {word}",
        hint="name a file like labels.pdf, or give --format",
        word=word,
    )


@contextmanager
def opened(place: Place, press: Press, *, force: bool) -> Iterator[tuple[Output, Callable[[], object]]]:
    """The output of a run, and what makes it appear. Raises OutputError."""
    from parcelveil.adapt.sink_bytes import open_bytes
    from parcelveil.label.printing import PdfOutput, PngOutput, ZplOutput

    if place.folder:
        with _folder(place.target, force=force) as (folder, commit):
            yield PngOutput(press, lambda count, data: _put(folder / f"label-{count:06d}.png", data)), commit
        return
    with open_bytes(place.target, force=force) as file:
        if place.format == "png":
            yield PngOutput(press, _only_one(file.write)), file.commit
        else:
            yield (PdfOutput(file.write) if place.format == "pdf" else ZplOutput(press, file.write)), file.commit


def _only_one(write: Callable[[bytes], object]) -> Callable[[int, bytes], object]:
    def one(place: int, data: bytes) -> object:
        if place > 1:
            raise UsageError(
                "one .png holds one label, and there are more",
                hint="name a folder: -o labels/ --format png; or choose with --waybill",
            )
        return write(data)

    return one


@contextmanager
def _folder(target: str, *, force: bool) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A folder that appears whole or not at all. An empty one in its place is replaced."""
    try:
        place = Path(os.path.realpath(target))
        if place.is_dir():
            _refuse_folder(place, target, force=force)
        elif place.exists():
            raise OutputError("{file} exists already", hint="choose another name; it is not overwritten", file=target)
        part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
        try:
            part.mkdir()
            yield part, lambda: _appear(part, place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise OutputError("the folder of {file} does not exist", hint="create it first", file=target) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                "the disk is full; {file} was not written",
                hint="free some space, or choose another disk",
                file=target,
            ) from None
        raise OutputError(
            "{file} could not be written: {why}", hint="check the path and its permissions", file=target, why=why
        ) from None


def _refuse_folder(place: Path, target: str, *, force: bool) -> None:
    if any(place.iterdir()):
        told = "{file} holds something already, and --force replaces no folder" if force else "{file} exists already"
        raise OutputError(told, hint="name a new folder, or empty this one first", file=target)
    if place.samefile("."):
        raise OutputError(
            "{file} is the folder that you are in; it cannot be replaced by one of labels",
            hint="name a new folder in it: -o labels/",
            file=target,
        )


def _appear(part: Path, place: Path) -> None:
    """All names durable, then visible, then that durable too."""
    _sync(part)
    part.replace(place)
    with suppress(OSError):  # some network file systems cannot; the pictures themselves are safe
        _sync(place.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class Ended(BaseException):
    """SIGTERM or SIGHUP came, ``late`` when labels were on their way out already. It is no Exception, so that nothing
    on the way takes it for an error of its own."""

    def __init__(self, number: int, *, late: bool = False) -> None:
        super().__init__(number)
        self.number, self.late = number, late
        self.name = signal.Signals(number).name
        #: As a shell tells it: 143 for SIGTERM, 129 for SIGHUP, 130 for Ctrl-C.
        self.exit_code = 128 + number


@contextmanager
def appearing() -> Iterator[None]:
    """Within, the labels are sent on. Who ends that, with Ctrl-C too, is not told that nothing was written."""
    try:
        yield
    except (Ended, KeyboardInterrupt) as error:
        raise Ended(error.number if isinstance(error, Ended) else signal.SIGINT, late=True) from None


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise :class:`Ended`, once, so that what is half made is cleared away.

    A signal that is ignored (``nohup``) or has a handler keeps it; so do all outside the main thread.
    """
    numbers: list[int] = []
    if threading.current_thread() is threading.main_thread():
        numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) == signal.SIG_DFL]

    def end(number: int, frame: object) -> None:  # noqa: ARG001
        for one in numbers:  # a closing terminal sends several; the first is being obeyed
            signal.signal(one, signal.SIG_IGN)
        raise Ended(number)

    for one in numbers:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in numbers:
            signal.signal(one, signal.SIG_DFL)
