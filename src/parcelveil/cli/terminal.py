"""What the commands have in common on a terminal: options, errors, progress, summaries."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from parcelveil.errors import ParcelveilError, PassphraseError

if TYPE_CHECKING:
    from parcelveil.workspace import Workspace

PASSPHRASE = "PARCELVEIL_PASSPHRASE"  # noqa: S105  the name of a variable, not a passphrase


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Which workspace, and how its keys are unlocked."""

    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None
    "Folder of the workspace; else PARCELVEIL_WORKSPACE, else the nearest folder upwards."
    passphrase_file: str | None = None
    "File with the passphrase in its first line; else PARCELVEIL_PASSPHRASE, else you are asked."

    def passphrase(self) -> str:
        """The passphrase, from where it can be had. It is never an argument: arguments show in process lists."""
        if self.passphrase_file:
            try:
                lines = Path(self.passphrase_file).read_text("utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                raise PassphraseError(
                    "{file} cannot be read", hint="check the path", file=self.passphrase_file
                ) from None
            if not lines or not lines[0]:
                raise PassphraseError("{file} is empty", hint="put it in the first line", file=self.passphrase_file)
            return lines[0]
        if os.environ.get(PASSPHRASE):
            return os.environ[PASSPHRASE]
        if sys.stdin.isatty():
            return getpass.getpass("Passphrase: ")
        raise PassphraseError("no passphrase", hint="set PARCELVEIL_PASSPHRASE or give --passphrase-file")

    def new_passphrase(self) -> str:
        """Like :meth:`passphrase`; typed twice when it is typed."""
        typed = not self.passphrase_file and not os.environ.get(PASSPHRASE) and sys.stdin.isatty()
        first = self.passphrase()
        if not first:
            raise PassphraseError("the passphrase is empty", hint="choose one of some length")
        if typed and getpass.getpass("Once more: ") != first:
            raise PassphraseError("the two passphrases differ", hint="nothing was made; try again")
        return first

    def open(self) -> Workspace:
        """The open workspace."""
        import pyarrow as pa

        from parcelveil.workspace import Workspace, find

        # The system's allocator gives memory back between batches; Arrow's own keeps a fifth more.
        pa.set_memory_pool(pa.system_memory_pool())
        return Workspace.open(find(self.workspace), self.passphrase)


def fail(error: ParcelveilError) -> int:
    """Say what went wrong in one line, with a hint. Returns the exit code."""
    from parcelveil.cli.language import say

    print(f"{say('error')}: {_one_line(say(error.template), error.values)}", file=sys.stderr)
    if error.hint_template:
        print(f"{say('hint')}: {_one_line(say(error.hint_template), error.values)}", file=sys.stderr)
    return error.exit_code


def _one_line(template: str, values: dict[str, object]) -> str:
    from parcelveil.cli.language import say

    spoken = {name: say(value) if isinstance(value, str) else value for name, value in values.items()}
    return plain(template.format(**spoken))


class Progress:
    """A bar with rate and time left, on a terminal only; silent when piped."""

    def __init__(self, label: str, total: int | None, position: Callable[[], int]) -> None:
        self._position, self._started, self._last = position, time.monotonic(), 0.0
        self._bar: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = [
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
            ]
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(label, total=total, rate="")
            self._bar.start()

    def advance(self, rows: int, said: Callable[[float], str] | None = None) -> None:
        """``rows`` so far; ``said`` makes the words for what is no rows, from the seconds so far."""
        now = time.monotonic()
        if self._bar is not None and now - self._last > 0.1:
            self._last = now
            rate = said(now - self._started) if said else f"{rows:,} rows, {rows / (now - self._started):,.0f}/s"
            self._bar.update(self._task, completed=self._position(), rate=rate)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def summary(facts: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    """What a run did: lines for a person on stderr (stdout may carry data), or one JSON object on stdout."""
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        for line in lines:
            print(line, file=sys.stderr)


def plain(text: str) -> str:
    """Text that no terminal can be steered with."""
    return "".join(c if c.isprintable() else " " for c in text)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A plain table whose columns line up with Chinese characters too."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
