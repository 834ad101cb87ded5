"""``parcelveil watch follow``: cases within seconds of the looks that they rest on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parcelveil.cli.language import say
from parcelveil.cli.terminal import Where, plain, summary
from parcelveil.cli.watch_hook import Hook, delivered
from parcelveil.cli.watch_options import From, Keys, checked_budget, keys, reading_of, regions_of
from parcelveil.cli.watch_output import Appending, Out, counted_lines
from parcelveil.cli.watch_show import table_of
from parcelveil.errors import ParcelveilError, UsageError

if TYPE_CHECKING:
    from parcelveil.watch.alerts import Alert
    from parcelveil.watch.arriving import Piece
    from parcelveil.watch.cases import Case
    from parcelveil.watch.evidence import Evidence
    from parcelveil.watch.following import Followed, Judge

_STATE = "watch-follow.json"


def follow(
    folder: str,
    *,
    given: From | None = None,
    false_cases_per_day: float = 10.0,
    state: Path | None = None,
    patience_for_work: float = 60.0,
    out: Out | None = None,
    hook: Hook | None = None,
    where: Where | None = None,
) -> None:
    """Judge looks as they come into a folder, until Ctrl-C. Files that are there already teach what is usual.

    Example: parcelveil watch follow drop/ --accounts accounts.parquet --webhook https://soc.example.com/hook --secret-file soc.key

    Looks and work events come as new files or as lines added to growing ones (CSV, JSON lines); which is which their
    columns say. Whoever is stopped in whatever way goes on where it was. --work, --web-log and --key-use are for 'watch run'.

    Parameters
    ----------
    folder
        The folder, or - for JSON lines on standard input.
    given
        What else is read.
    false_cases_per_day
        How many false cases a day are acceptable for 100,000 accounts.
    state
        File that says how far was read. Default: watch-follow.json in the workspace.
    patience_for_work
        Seconds that looks wait for work events that are behind.
    out
        Where cases go; files are added to.
    hook
        Where cases are sent.
    where
        Which workspace.
    """
    given, out, hook = given or From(), out or Out(), hook or Hook()
    budget = checked_budget(false_cases_per_day)
    for name, value in (("--work", given.work), ("--web-log", given.web_log), ("--key-use", given.key_use)):
        if value:
            raise UsageError("{option} is not for following", hint="work events come into the same folder", option=name)
    if out.charts is not None:
        raise UsageError(
            "{option} is not for following", hint="'parcelveil watch explain' draws one", option="--charts"
        )
    if out.no_store and hook.webhook is not None:
        raise UsageError("a webhook needs the workspace, where its queue is", hint="leave out --no-store")
    with keys(where, store=not out.no_store) as found, ExitStack() as stack:
        place = state
        if place is None and found.workspace is not None and folder != "-":
            place = found.workspace.folder / _STATE
        teller = _Teller(found, out, hook, stack)
        followed = _followed(folder, given, budget, found, teller, place, patience_for_work, stack)
        teller.end(followed)
        lines = delivered(teller.outbox, hook.patience)
    _say(followed, teller, out, lines)


def _followed(
    folder: str, given: From, budget: float, found: Keys, teller: _Teller, state: Path | None, patience: float,
    stack: ExitStack,
) -> Followed:  # fmt: skip
    from parcelveil.adapt.event_files import EventFiles
    from parcelveil.adapt.event_pieces import open_part
    from parcelveil.cli.streams import Rejects
    from parcelveil.watch.arriving import Folder, Lines
    from parcelveil.watch.evidence import Evidence
    from parcelveil.watch.explaining import read_rules, rule_table
    from parcelveil.watch.following import Stop, follow, watched
    from parcelveil.watch.judging import sums_since
    from parcelveil.watch.pieces import Pieces
    from parcelveil.watch.streaming import Stream
    from parcelveil.watch.watcher import Watcher

    rejects = Rejects(given.rejects)
    stack.callback(rejects.close)
    reading, register = reading_of(given, found, rejects.add, moving=True)
    rules = read_rules(given.rules)
    offset = found.offset_minutes
    roles = reading.coder.names["role"]
    stream = Stream(lambda: rule_table(rules, roles.code), offset, regions=regions_of(register))
    watcher = Watcher(register, false_cases=budget, offset_minutes=offset, decoys=reading.coder.decoys)
    evidence = Evidence(reading.coder, found.secret, register=register, offset_minutes=offset)

    def on_cases(cases: list[Case], history: bool) -> None:
        teller.tell([evidence.alert(one, since=sums_since(watcher)) for one in cases], history)

    def on_trouble(piece: Piece, fault: ParcelveilError) -> None:
        from parcelveil.cli.terminal import fail

        print(say("left out: {file}").format(file=plain(piece.name)), file=sys.stderr)
        fail(fault)

    source = Lines(sys.stdin.fileno()) if folder == "-" else Folder(Path(folder))
    pieces = Pieces(reading, EventFiles().open, open_part, folder=Path(folder))
    with Stop() as stop:
        followed = follow(
            source, pieces, stream, _judge(watched(watcher), evidence), on_cases,
            state=state, stop=stop, patience=patience, on_trouble=on_trouble,
        )  # fmt: skip
    rejects.commit()
    return followed


def _judge(inner: Judge, evidence: Evidence) -> Judge:
    """The watcher's judgement, with the evidence kept that its cases are told with."""

    def judge(made: Any) -> Iterator[Case]:
        evidence.looks(made.open)
        for day in made.days:
            evidence.day(day)
        return iter(inner(made))

    return judge


class _Teller:
    """Keeps cases, writes and sends those that are new or have changed, and says so."""

    def __init__(self, found: Keys, out: Out, hook: Hook, stack: ExitStack) -> None:
        from parcelveil.watch.book import Book

        self._offset = found.offset_minutes
        self._quiet = out.json or any(target == "-" for target in out.output or ())
        self._workspace = found.workspace
        self._book = None
        self.outbox = None
        self.body = hook.body(found.offset_minutes)
        self.told = 0
        self._known: dict[str, Alert] = {}  # without a store
        if found.workspace is not None:
            self._book = Book(found.workspace.log, found.workspace.store)
            self.outbox = hook.outbox(found.workspace)
            found.workspace.log.publish_in_background()
            if self.outbox is not None:
                stack.enter_context(self.outbox.running())
        self._files = Appending(out, found.offset_minutes)
        stack.callback(self._files.close)

    def tell(self, alerts: list[Alert], history: bool) -> None:
        from parcelveil.watch.alerts import merged

        if self._book is not None:
            changed = self._book.keep(alerts, outbox=self.outbox, body=self.body)
        else:
            changed = []
            for alert in alerts:
                kept = merged(self._known.get(alert.uid), alert)
                if kept is not self._known.get(alert.uid):
                    self._known[alert.uid] = kept
                    changed += [] if history else [kept]
        self.told += len(changed)
        self._files.write(changed)
        if changed and not self._quiet:
            print(table_of(changed, self._offset), flush=True)

    def end(self, followed: Followed) -> None:
        """Log that it ended."""
        from parcelveil.audit.entry import Watch

        if self._workspace is not None:
            with self._workspace.log.begin() as batch:
                batch.append(
                    Watch(
                        time=batch.time,
                        action="stopped",
                        accesses=followed.looks,
                        works=followed.works,
                        days=followed.days,
                    )
                )


def _say(followed: Followed, teller: _Teller, out: Out, more: list[str]) -> None:
    import msgspec

    lines = [
        say("{looks} looks and {works} work events of {pieces} pieces; {cases} cases told").format(
            looks=f"{followed.looks:,}",
            works=f"{followed.works:,}",
            pieces=f"{followed.pieces:,}",
            cases=f"{teller.told:,}",
        )
    ]
    counted = {
        "late": say("{count} events came too late, and count when they came"),
        "duplicates": say("{count} events came before, and count once"),
        "future": say("{count} events of the future were left out"),
        "troubles": say("{count} pieces could not be read"),
    }
    lines += counted_lines(followed, counted)
    summary({**msgspec.to_builtins(followed), "told": teller.told}, [*lines, *more], as_json=out.json)
