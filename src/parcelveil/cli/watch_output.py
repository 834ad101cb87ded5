"""Files that cases are written to: JSON lines, OCSF, and a folder of charts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import Parameter

from parcelveil.cli.language import language
from parcelveil.errors import OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.watch.alerts import Alert

Line = Callable[["Alert"], bytes]


@Parameter(name="*")
@dataclass(frozen=True)
class Out:
    """Where cases go."""

    output: Annotated[list[str] | None, Parameter(name=["--output", "-o"])] = None
    "A file for the cases, by its name .jsonl or .ocsf.jsonl; - is standard output, as .jsonl (may be repeated)."
    charts: Path | None = None
    "A folder for a chart (SVG) of each case."
    force: bool = False
    "Overwrite existing files."
    json: bool = False
    "Summary as one JSON object on standard output."
    no_store: bool = False
    "Keep nothing: no workspace is needed, pseudonyms are good for this run only, and there are no decoys."

    def lines(self, offset_minutes: int) -> list[tuple[str, Line]]:
        """Each output with what makes its lines. Raises UsageError for a name that says no format."""
        from parcelveil.watch.lines import line_of
        from parcelveil.watch.ocsf import ocsf_line

        def plain(alert: Alert) -> bytes:
            return line_of(alert, language(), offset_minutes)

        found: list[tuple[str, Line]] = []
        for target in self.output or ():
            if target.endswith(".ocsf.jsonl"):
                found.append((target, ocsf_line))
            elif target == "-" or target.endswith((".jsonl", ".ndjson")):
                found.append((target, plain))
            else:
                raise UsageError(
                    "{file} does not say what it shall hold", hint="end its name in .jsonl or .ocsf.jsonl", file=target
                )
        if self.json and any(target == "-" for target, _ in found):
            raise UsageError("cases and the summary cannot both go to standard output", hint="leave out --json")
        return found

    def check(self, offset_minutes: int) -> None:
        """Raise what would be raised in the end: a slip of the hand is told before hours of work."""
        for target, _ in self.lines(offset_minutes):
            if target != "-" and not self.force and Path(target).exists() and Path(target).is_file():
                raise OutputError(
                    "{file} exists already", hint="choose another name, or replace it with --force", file=target
                )

    def write(self, alerts: Sequence[Alert], offset_minutes: int) -> list[str]:
        """Write the newest revision of each case; files appear whole or not at all. Returns what was written."""
        from parcelveil.cli.output import whole_file, writable_folder
        from parcelveil.watch.chart import svg
        from parcelveil.watch.reasons import words_of

        written = []
        for target, line in self.lines(offset_minutes):
            if target == "-":
                sys.stdout.buffer.write(b"".join(map(line, alerts)))
                sys.stdout.flush()
                continue
            with whole_file(target, force=self.force, private=True) as file:
                for alert in alerts:
                    file.write(line(alert))
            written.append(target)
        if self.charts is not None:
            folder = writable_folder(self.charts)
            for alert in alerts:
                if alert.chart:
                    title = words_of(alert, language(), offset_minutes).subject
                    picture = svg(alert.chart, title=title, language=language(), standalone=True)
                    with whole_file(folder / f"{alert.uid}.svg", force=True, private=True) as file:
                        file.write(picture.encode())
            written.append(str(folder))
        return written


class Appending:
    """The same outputs while cases come one by one: each as a whole line at the end of its file, at once durable."""

    def __init__(self, out: Out, offset_minutes: int) -> None:
        self._files: list[tuple[BinaryIO, Line]] = []
        for target, line in out.lines(offset_minutes):
            if target == "-":
                self._files.append((sys.stdout.buffer, line))
                continue
            try:
                self._files.append((_appender(Path(target)), line))
            except OSError as error:
                raise OutputError("{file} cannot be written: {why}", file=target, why=error.strerror or "?") from None

    def write(self, alerts: Iterable[Alert]) -> None:
        import os

        lines = list(alerts)
        for file, line in self._files:
            file.write(b"".join(map(line, lines)))
            file.flush()
            if file is not sys.stdout.buffer:
                os.fsync(file.fileno())

    def close(self) -> None:
        for file, _ in self._files:
            if file is not sys.stdout.buffer:
                file.close()


def _appender(path: Path) -> BinaryIO:
    import os

    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")


def counted_lines(counts: object, templates: dict[str, str]) -> list[str]:
    """A line for each count that is not zero: ``templates`` by attribute of ``counts``, with the place ``{count}``."""
    return [
        template.format(count=f"{getattr(counts, name):,}")
        for name, template in templates.items()
        if getattr(counts, name)
    ]
