"""``parcelveil audit``: read, prove and verify the audit log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli import audit_read, witness
from parcelveil.cli.asking import refuse_words
from parcelveil.cli.language import say
from parcelveil.cli.log_source import Source, begun, source, state
from parcelveil.cli.output import whole_file
from parcelveil.cli.terminal import Progress, Where, plain, summary, table
from parcelveil.errors import LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.verify import Verdict

app = App(
    name="audit",
    help="The log of every look: read it, prove an entry, verify all of it, witness it from elsewhere.",
    error_formatter=refuse_words,
)
app.command(audit_read.show)
app.command(audit_read.tail)
app.command(audit_read.export)
app.command(audit_read.subjects)
app.command(witness.app)

#: Largest receipt that is read; the verifier refuses even shorter ones.
_MOST_BYTES = 4_000_000
#: How often a log that grows while it is read is read again, to compare it with what was opened.
_TRIES = 5


def checked(log: Source, *, deep: bool = False) -> Verdict:
    """Everything of a log verified, with a progress bar."""
    from parcelveil.audit.verify import verify_log

    done = 0
    progress = Progress(say("verifying"), log.size, lambda: done)

    def advance(count: int) -> None:
        nonlocal done
        done = count
        progress.advance(count)

    try:
        return verify_log(
            log.fetch,
            log.key,
            tail=log.tail,
            tail_from=log.tail_from,
            heads=log.heads,
            minimum=log.minimum,
            offset_minutes=log.offset_minutes,
            deep=deep,
            progress=advance,
        )
    finally:
        progress.close()


@app.command
def verify(
    log: str | None = None,
    /,
    *,
    key: str | None = None,
    receipt: list[str] | None = None,
    deep: bool = False,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> int:
    """Read the whole log again and check everything: hashes, tiles, checkpoints, every receipt. Needs no passphrase.

    Example: parcelveil audit verify

    Parameters
    ----------
    log
        Folder or http(s) address of a log. Default: this workspace's, with what it has not published yet.
    key
        File with the log's verifier key (log.vkey), from somebody you trust. Needed for a folder or address; without
        it, the workspace is taken at its own word which key is the log's.
    receipt
        Receipts to check against the log of today (may be repeated; a folder means all in it).
    deep
        Also demand the one canonical form of each entry. Takes about twice as long.
    json
        Summary as one JSON object on standard output.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.receipts import verify_receipts

    texts = list(_receipts(receipt or []))  # first: a slip of the hand is told before the whole log is read
    found = source(log, key, workspace)
    verdict = checked(found, deep=deep)
    bad = []
    if texts:
        checks = verify_receipts(
            texts, found.key, found.fetch, tail=found.tail, tail_from=found.tail_from, checkpoint=found.checkpoint
        )
        bad = [receipt for receipt in checks if receipt.problem]
    lines = _verified(verdict, found) + [say("{name}: {problem}").format(name=r.name, problem=r.problem) for r in bad]
    if texts:
        lines.append(say("{good} of {all} receipts hold").format(good=len(texts) - len(bad), all=len(texts)))
    facts = {
        **verdict._asdict(),
        "root": verdict.root.hex(),
        "key": str(found.key),
        "key_given": not found.own_key,
        "receipts": len(texts),
        "bad_receipts": [r._asdict() for r in bad],
    }
    summary(facts, lines, as_json=json)
    return LogError.exit_code if bad else 0


def _verified(verdict: Verdict, log: Source) -> list[str]:
    """What a log that holds contains, in lines."""
    return [
        say("{origin}: {entries} entries hold ({kinds})").format(
            origin=verdict.origin,
            entries=f"{verdict.entries:,}",
            kinds=", ".join(f"{kind} {count:,}" for kind, count in verdict.kinds.most_common()),
        ),
        say("root {root} at {size}; {heads} checkpoints that receipts rest on hold too").format(
            root=verdict.root.hex()[:16], size=f"{verdict.size:,}", heads=f"{verdict.heads:,}"
        ),
        say("signed by {key}").format(key=log.key),
        *([say("that key is the workspace's own word: compare it, or give --key FILE")] if log.own_key else []),
        *verdict.remarks,
    ]


def _receipts(paths: list[str]) -> Iterator[tuple[str, str]]:
    for path in map(Path, paths):
        files = sorted(path.glob("*.tlog-proof")) if path.is_dir() else [path]
        if not files:
            raise UsageError("{folder} holds no receipts", hint="their names end in .tlog-proof", folder=str(path))
        for name in files:
            try:
                with name.open("rb") as file:
                    yield name.name, file.read(_MOST_BYTES).decode("utf-8", "replace")
            except OSError:
                raise UsageError("{file} cannot be read", hint="check the path", file=str(name)) from None


@app.command
def prove(
    index: int,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    force: bool = False,
    where: Where | None = None,
) -> None:
    """Make a receipt of an entry: proof that it stands in the log, to be checked anywhere, offline.

    Example: parcelveil audit prove 17 -o 17.tlog-proof

    Check it with: python -m parcelveil.audit.proof 17.tlog-proof log.vkey

    Parameters
    ----------
    index
        Number of the entry.
    output
        Where it goes. Default: standard output.
    force
        Overwrite an existing output.
    """
    from parcelveil.audit.cosigned import FILE

    with (where or Where()).open() as workspace:
        cosigned = workspace.log.folder / FILE
        note = cosigned.read_text("utf-8") if cosigned.exists() else ""
        text = workspace.log.receipt(index, note)
    if output in (None, "-"):
        print(text, end="")
    else:
        with whole_file(output, force=force) as file:
            file.write(text.encode())
        print(say("wrote the receipt of entry {index} to {file}").format(index=index, file=output), file=sys.stderr)


@app.command
def publish(*, every: float | None = None, json: bool = False, where: Where | None = None) -> None:
    """Write to the folder of tiles what is acknowledged and not there yet. Other commands do it when they end.

    Example: parcelveil audit publish --every 1

    Parameters
    ----------
    every
        Go on, and publish again after so many seconds, until Ctrl-C: beside a busy service.
    json
        Summary as one JSON object on standard output.
    """
    with (where or Where()).open() as workspace:
        size = workspace.log.publish()
        with suppress(KeyboardInterrupt):
            while every is not None:
                time.sleep(max(every, 0.05))
                size = workspace.log.publish()
    summary({"entries": size}, [say("{size} entries are published").format(size=f"{size:,}")], as_json=json)


@app.command
def reconcile(
    *,
    key: str | None = None,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> int:
    """Compare what the kernel was let open with what the log says was opened, day by day, and the register, approvals,
    rules and quotas with what the log tells of them. A difference is an alarm.

    The log is verified on the way. Needs no passphrase.

    Parameters
    ----------
    key
        File with the log's verifier key, from somebody you trust. Default: the workspace's own.
    json
        Summary as one JSON object on standard output.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.reconcile import compare

    logged, drawn, other = _logged_and_drawn(key, workspace)
    days = compare(logged, drawn)
    off = [day for day in days if day.opened != day.logged]
    rows = [[d.day, f"{d.opened:,}", f"{d.logged:,}", f"{d.opened - d.logged:+,}" if d in off else "-"] for d in days]
    lines = [table([say(name) for name in ("day", "opened", "logged", "difference")], rows)] if rows else []
    if off:
        lines.append(
            say("ALARM: on {count} day(s) values were opened that no entry speaks of, or entries are missing").format(
                count=len(off)
            )
        )
    else:
        lines.append(say("every value that was opened is logged"))
    if other:
        lines.append(say("ALARM: {count} row(s) of the state are not as the log tells").format(count=len(other)))
        lines += [f"  {plain(text)}" for text in other]
    else:
        lines.append(say("register, approvals, rules and quotas are as the log tells"))
    alarm = bool(off or other)
    summary({"days": [d._asdict() for d in days], "rows": other, "alarm": alarm}, lines, as_json=json)
    return LogError.exit_code if alarm else 0


def _logged_and_drawn(key: str | None, workspace: str | None) -> tuple[dict[str, int], dict[int, int], list[str]]:
    """Values a day, by the log and by the kernel's count, and rows that are not as the log tells, of one moment."""
    from parcelveil.audit.ledger import Ledger
    from parcelveil.reveal.policy import digest_of

    if not begun(workspace):  # a log that is empty speaks of none
        with state(workspace) as tx:
            return {}, tx.drawn(), list(Ledger().differences(tx, digest_of))
    for _ in range(_TRIES):
        found = source(None, key, workspace)
        verdict = checked(found)
        ledger = Ledger(found.minimum)
        for _index, entry in found.entries(found.minimum, found.size):
            ledger.add(entry, found.offset_minutes)
        with state(workspace) as tx:
            if verdict.size == tx.log_state().size:  # else entries came while it was read
                return verdict.values, found.drawn or {}, list(ledger.differences(tx, digest_of))
    raise LogError("the log grows faster than it can be read", hint="try again when the desk is quieter")


@app.command
def prune(before: str, /, *, yes: bool = False, json: bool = False, where: Where | None = None) -> None:
    """Drop entries older than a day, after the retention period (audit_days). Every proof about the rest still holds.

    Example: parcelveil audit prune 2023-05-01 --yes

    Parameters
    ----------
    before
        The first day that is kept, like 2026-05-01.
    yes
        Do not ask.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.audit.retention import prune as prune_log
    from parcelveil.cli.erase import ask, parse_date

    day = parse_date(before)
    ask(f"Drop the entries of all days before {day}?", yes, why="this cannot be undone")
    with (where or Where()).open() as workspace:
        offset = workspace.settings.utc_offset_minutes
        midnight = ((day - date(1970, 1, 1)).days * 1440 - offset) * 60_000_000
        done = prune_log(workspace.log, midnight, workspace.settings.audit_days, offset)
        workspace.store.settle()
    lines = [say("{entries} entries dropped; the log begins at {minimum} now").format(**done._asdict())]
    summary(done._asdict(), lines, as_json=json)


@app.command
def clock(*, accept: bool = False, yes: bool = False, json: bool = False, where: Where | None = None) -> None:
    """Show the machine's wall clock and the desk's clock, which quotas and retention go by.

    After a start of the machine with a clock more than a week ahead, the desk stops until the clock is set right, or
    accepted here: it may be right, after a long pause. The log tells of it. The desk's clock never runs back.

    Example: parcelveil audit clock --accept

    Parameters
    ----------
    accept
        Go by the wall clock from here on.
    yes
        Do not ask.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.cli.erase import ask

    with (where or Where()).open() as workspace:
        wall, desk = workspace.log.wall(), workspace.log.now()
        lines = [
            say("wall clock {time}").format(time=_utc(wall)),
            say("desk clock {time}").format(time=_utc(desk)),
            say("difference {difference}").format(difference=_span(wall - desk)),
        ]
        facts: dict[str, object] = {"wall": _utc(wall), "desk": _utc(desk), "ahead_seconds": (wall - desk) // 1_000_000}
        if accept:
            ask(f"Take {_utc(wall)} for the right time?", yes, why="this cannot be undone")
            facts["accepted_days"] = days = workspace.log.accept_clock()
            lines.append(say("the wall clock is accepted, {days} days ahead").format(days=days))
    summary(facts, lines, as_json=json)


def _utc(micros: int) -> str:
    seconds = min(max(0, micros // 1_000_000), 253_402_300_799)  # to the end of 9999, whatever the state says
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _span(micros: int) -> str:
    """A difference of times, like ``-3 days, 4:05:06``."""
    return f"{'-' if micros < 0 else '+'}{timedelta(seconds=abs(micros) // 1_000_000)}"


@app.command
def cosign(
    note: str,
    /,
    *,
    key: str,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Take over a witness's cosignature, so that receipts carry it from now on.

    Example: parcelveil audit cosign w1.note --key w1.vkey

    Parameters
    ----------
    note
        The cosigned checkpoint, as the witness wrote it.
    key
        The witness's verifier key.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.audit.cosigned import take_over

    with (where or Where()).open() as workspace:
        when = take_over(workspace.log, Path(note), Path(key))
    time = _utc(when * 1_000_000)
    summary({"cosigned_at": time}, [say("cosigned at {time}").format(time=time)], as_json=json)
