"""Where a scan's findings go: files by their format, opened before anything is read and closed in order.

::

    with Outputs(out, families, lasting=True) as outputs:
        ...                                     # outputs.sinks take the findings
        outputs.finish(survey, time_ms, finished=True)

JSON lines are written as they come, so that what was found is there however the scan ends. The other formats appear
whole: SARIF also when the scan was stopped, for it can say so; Parquet and OCSF only when it was not.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from parcelveil.cli.output import whole_file
from parcelveil.cli.scan_options import Out
from parcelveil.errors import OutputError, UsageError
from parcelveil.scan.ocsf import ocsf_line
from parcelveil.scan.rules import every_rule
from parcelveil.scan.sarif import SarifSink
from parcelveil.scan.sinks import Allowed, JsonLines, ParquetSink, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from parcelveil.scan.rules import Family
    from parcelveil.scan.survey import Survey

#: Ending -> format. Longer ones come first.
_ENDINGS = {
    ".ocsf.jsonl": "ocsf", ".ocsf.json": "ocsf", ".ocsf": "ocsf", ".sarif.json": "sarif", ".sarif": "sarif",
    ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
FORMATS = ("jsonl", "sarif", "ocsf", "parquet")


def format_of(target: str, given: str | None) -> str:
    """The format of an output. Raises UsageError."""
    kind = given.lower() if given is not None else None
    if kind is not None and kind not in FORMATS:
        raise UsageError(
            "findings are written as jsonl, sarif, ocsf or parquet, not as {word}",
            hint="name a file like findings.jsonl, or give --format",
            word=given,
        )
    named = next((kind for ending, kind in _ENDINGS.items() if target.lower().endswith(ending)), None)
    found = named or kind or ("jsonl" if target == "-" else None)
    if found is None:
        raise UsageError(
            "findings are written as jsonl, sarif, ocsf or parquet, not as {word}",
            hint="name a file like findings.jsonl, or give --format",
            word=Path(target).name or target,
        )
    return found


class _Dropped(Exception):  # noqa: N818  ends the making of a file that shall not appear
    pass


class _Guarded:
    """A sink whose errors of the system name its file."""

    def __init__(self, sink: Sink, name: str) -> None:
        self.sink, self.name = sink, name

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        with naming(self.name):
            self.sink.write(findings, allowed)

    def close(self) -> None:
        with naming(self.name):
            self.sink.close()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of the system as OutputErrors of the file ``name``."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        hint = "free some space, and scan again" if error.errno == errno.ENOSPC else "check path and permissions"
        raise OutputError("{file} could not be written: {why}", hint=hint, file=name, why=why) from None


class _Raw(io.RawIOBase):
    """A descriptor, written to at once: nothing of half a line stays in a buffer to come out later."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, data: bytes) -> int:  # type: ignore[override]
        view = memoryview(data)
        while view:
            view = view[os.write(self._number, view) :]
        return len(data)

    def cut(self, length: int) -> None:
        """Cut off what stands behind ``length``, where that is possible."""
        with suppress(OSError):
            if stat.S_ISREG(os.fstat(self._number).st_mode):
                os.ftruncate(self._number, length)

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._number)


class Outputs:
    """See the module. ``journalled``: of an output that a journal keeps; it is not opened here."""

    def __init__(self, out: Out, families: Sequence[Family], *, lasting: bool, journalled: str | None = None) -> None:
        self._out, self._families, self._lasting = out, families, lasting
        self.targets = list(dict.fromkeys(out.output or ()))
        formats = [format_of(target, out.format) for target in self.targets]
        self._plan = [pair for pair in zip(self.targets, formats, strict=True) if pair[0] != journalled]
        files = [name for name in (*self.targets, out.manifest) if name and name != "-"]
        if len({Path(name).absolute() for name in files}) < len(files):
            raise UsageError("two outputs have one name", hint="give each its own file")
        if out.json and "-" in self.targets:
            raise UsageError(
                "findings and summary cannot both go to standard output",
                hint="name a file: -o findings.jsonl; or leave --json away",
            )
        self.sinks: list[Sink] = []
        self.manifest: BinaryIO | None = None
        self._whole: list[tuple[str, ExitStack, Sink | None, BinaryIO]] = []
        self._lines: list[tuple[JsonLines, _Raw]] = []
        self._manifest = ExitStack()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            for target, kind in self._plan:
                self._open(target, kind)
            if self._out.manifest:
                file = whole_file(self._out.manifest, force=self._out.force, private=True)
                self.manifest = self._manifest.enter_context(file)
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._drop()
        self._stack.close()

    def finish(self, survey: Survey, *, time_ms: int, scan: str, finished: bool) -> list[str]:
        """End every file. Returns the names of those that appear; of a stopped scan not all do."""
        shown = [target for target, kind in self._plan if kind == "jsonl"]
        self._cut()
        for target, stack, sink, file in self._whole:
            with naming(target):
                if isinstance(sink, SarifSink):
                    sink.finish(survey.manifest.problems, successful=finished)
                elif not finished:
                    self._abandon(stack, sink)
                    continue
                elif sink is not None:
                    sink.close()
                else:
                    for verdict in survey.tally.verdicts():
                        file.write(ocsf_line(verdict, time_ms=time_ms, scan=scan))
                file.flush()
            stack.close()
            shown.append(target)
        self._whole = []
        if finished:
            survey.manifest.close()
        self._manifest.close()
        return [target for target in self.targets if target in shown]

    def _open(self, target: str, kind: str) -> None:
        if kind == "jsonl":
            if target == "-":
                self.sinks.append(JsonLines(sys.stdout.buffer))
                return
            raw = self._stack.enter_context(_fresh(target, self._out.force))
            lines = JsonLines(cast(BinaryIO, raw))
            self._lines.append((lines, raw))
            self.sinks.append(_Guarded(lines, target))
            return
        stack = ExitStack()
        file = (
            sys.stdout.buffer
            if target == "-"
            else stack.enter_context(whole_file(target, force=self._out.force, private=True))
        )
        sink: Sink | None = None
        if kind == "sarif":
            sink = SarifSink(file, every_rule(self._families), lasting=self._lasting)
        elif kind == "parquet":
            sink = ParquetSink(file)
        self._whole.append((target, stack, sink, file))
        if sink is not None:
            self.sinks.append(_Guarded(sink, target))

    def _cut(self) -> None:
        """Cut off half a line, which an interruption may have left."""
        for lines, file in self._lines:
            file.cut(lines.length)

    def _drop(self) -> None:
        """Nothing appears but JSON lines, which are there already."""
        self._cut()
        for _, stack, sink, _ in self._whole:
            self._abandon(stack, sink)
        self._whole = []
        self._abandon(self._manifest)

    @staticmethod
    def _abandon(stack: ExitStack, sink: Sink | None = None) -> None:
        if isinstance(sink, ParquetSink):
            sink.abandon()
        with suppress(_Dropped, OutputError):
            stack.__exit__(_Dropped, _Dropped(), None)


def _fresh(target: str, force: bool) -> _Raw:
    """A new file that only its owner may read: findings say where to look. Pipes and devices are what they are."""
    place = Path(target)
    with naming(target):
        if place.exists() and not place.is_file() and not place.is_dir():
            return _Raw(os.open(place, os.O_WRONLY | os.O_CLOEXEC))
        if force and place.is_file():
            place.unlink()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            return _Raw(os.open(place, flags, 0o600))
        except FileExistsError:
            raise OutputError(
                "{file} exists already", hint="choose another name, or replace it with --force", file=target
            ) from None
