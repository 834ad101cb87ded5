"""``parcelveil reveal``: the desk, from the command line."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.asking import What, Who, refuse_words, sealed_source, stdin_bytes, waybills
from parcelveil.cli.asking import tokens as given_tokens
from parcelveil.cli.language import say
from parcelveil.cli.output import fitted, listed, whole_file, writable_folder
from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import EXIT_NOT_OPENED, EXIT_REJECTS, UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.request import Answers

app = App(
    name="reveal",
    help="Look at sealed waybills for a purpose: policy, custody, quota, log first, then open.",
    error_formatter=refuse_words,
)


@app.default
def reveal(
    *numbers: str,
    what: What | None = None,
    who: Who | None = None,
    source: Annotated[list[str] | None, Parameter(name="--from")] = None,
    receipts: str | None = None,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Look at waybills. Every attempt is logged before anything is opened.

    Example: parcelveil reveal YT0000000000001 --scene deliver --as c-104 --role courier --outlet 310-A12 --device pda-7 --device-key pda-7.key

    Parameters
    ----------
    numbers
        Waybill numbers; - reads them from standard input, one a line.
    what
        What is asked for.
    who
        Who asks.
    source
        Sealed Parquet or Arrow files or folders. Default: the workspace's folder 'sealed'.
    receipts
        Folder to write the receipts to, one file a log entry.
    json
        The whole answer as one JSON object on standard output.
    """
    return _asked(waybills(numbers), what or What(), who or Who(), source, receipts, json, where, scanned=False)


@app.command
def scan(
    *tokens: str,
    what: What | None = None,
    who: Who | None = None,
    source: Annotated[list[str] | None, Parameter(name="--from")] = None,
    receipts: str | None = None,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Look at the waybills whose labels were scanned: the token in a label's QR code says which, to the desk alone.

    Example: parcelveil reveal scan AEBRO47TFSTMRNM3MNK2L4WV5SWL53SNLK6UNBYUXF2AUT4GY53LIRKHHE --as c-104 --outlet 310-A12 --device pda-7 --device-key pda-7.key

    Scene and role are deliver and courier unless others are named. Of what is not opened, no waybill number is told.

    Parameters
    ----------
    tokens
        Texts of QR codes; - reads them from standard input, one a line, as scanners type them.
    what
        What is asked for.
    who
        Who asks.
    source
        Sealed Parquet or Arrow files or folders. Default: the workspace's folder 'sealed'.
    receipts
        Folder to write the receipts to, one file a log entry.
    json
        The whole answer as one JSON object on standard output.
    """
    chosen, asking = what or What(), who or Who()
    chosen = replace(chosen, scene=chosen.scene or "deliver")
    asking = replace(asking, role=asking.role or "courier")
    return _asked(given_tokens(tokens), chosen, asking, source, receipts, json, where, scanned=True)


def _asked(
    numbers: tuple[str, ...],
    what: What,
    who: Who,
    source: list[str] | None,
    receipts: str | None,
    json: bool,
    where: Where | None,
    *,
    scanned: bool,
) -> int:
    with (where or Where()).open() as workspace:
        request = what.request(numbers, who, workspace)
        desk = workspace.desk(sealed_source(source, workspace))
        folder = writable_folder(receipts) if receipts else None  # before the look, which cannot be taken back
        answers = desk.scan(request) if scanned else desk.look(request)
    _show(answers, request.fields, as_json=json, scanned=scanned)
    if folder is not None:
        _keep(answers, folder)
    return 0 if answers.opened else EXIT_NOT_OPENED


def _show(answers: Answers, fields: tuple[str, ...], *, as_json: bool, scanned: bool = False) -> None:
    import msgspec

    if as_json:
        print(re.sub("[\x7f-\x9f]", lambda c: f"\\u{ord(c[0]):04x}", msgspec.json.encode(answers).decode()))
        return
    shown = [name for name in fields if any(a.values and a.values.get(name) for a in answers.answers)]
    rows = [
        [a.waybill or "-", f"{say(a.answer)} ({a.reason})" if a.reason else say(a.answer)]
        + [(a.values or {}).get(name) or "" for name in shown]
        for a in answers.answers
    ]
    if rows:
        print(fitted([say("waybill"), say("answer"), *shown], rows), flush=True)
    for line in _remarks(answers, scanned=scanned):
        print(line, file=sys.stderr)


def _remarks(answers: Answers, *, scanned: bool) -> list[str]:
    said = [answer.answer for answer in answers.answers]
    lines = [
        say("opened: {count} of {total}; log entries: {entries}").format(
            count=said.count("opened"), total=len(said), entries=len(answers.receipts)
        )
    ]
    if not said:
        lines.insert(0, say("nothing was found"))
    if "needs-approval" in said:
        lines.append(say("ask a second person to run: parcelveil reveal approve {id}").format(id=answers.approval))
    elif scanned and "no-such-token" in {answer.reason for answer in answers.answers}:
        lines.append(say("no-such-token: no QR code of a label of yours, or one whose month was destroyed"))
    elif (
        not scanned
        and set(said) & {"refused", "not-in-custody", "over-quota"}
        and "" not in {a.waybill for a in answers.answers}
    ):
        lines.append(say("'parcelveil policy explain' with the same words says why"))
    if answers.left is not None:
        lines.append(say("left today in this scene: {left}").format(left=answers.left))
    return lines


def _keep(answers: Answers, folder: Path) -> None:
    """The receipts as files. One that cannot be written can be made again: the entry stands in the log."""
    for text in answers.receipts:
        index = next(line for line in text.splitlines() if line.startswith("index ")).removeprefix("index ")
        with whole_file(folder / f"{index}.tlog-proof") as file:
            file.write(text.encode())


@app.command
def search(
    *,
    column: str = "to_phone",
    months: int = 2,
    scene: str = "search",
    ticket: str = "",
    who: Who | None = None,
    source: Annotated[list[str] | None, Parameter(name="--from")] = None,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Find the waybills of a phone (or e-mail); shows masks only. The value is read from standard input, or asked for.

    Example: parcelveil reveal search --as cs-3 --role customer_service --device desk-3 --device-key desk-3.key < phone.txt

    Parameters
    ----------
    column
        Which column: to_phone, from_phone, to_email, from_email.
    months
        How many months back, this one included.
    scene
        The purpose.
    ticket
        Ticket, where the scene needs one.
    who
        Who asks.
    source
        Sealed Parquet or Arrow files or folders. Default: the workspace's folder 'sealed'.
    json
        The whole answer as one JSON object on standard output.
    """
    import getpass

    import msgspec

    from parcelveil.reveal.request import Search, Secret

    credentials = (who or Who()).credentials()
    value = getpass.getpass(f"{column}: ").encode() if sys.stdin.isatty() else stdin_bytes().readline(4096)
    with (where or Where()).open() as workspace:
        request = Search(
            **msgspec.structs.asdict(credentials),
            scene=scene,
            column=column,
            value=Secret(value.strip()),
            months=months,
            ticket=ticket,
        )
        desk = workspace.desk(sealed_source(source, workspace))
        answers = desk.search(request, country=workspace.settings.country)
    names = sorted({name for a in answers.answers for name in a.values or {}})
    _show(answers, tuple(names), as_json=json)
    return 0 if all(answer.answer == "opened" for answer in answers.answers) else EXIT_NOT_OPENED


@app.command
def approve(
    id: str, /, *, reject: bool = False, who: Who | None = None, json: bool = False, where: Where | None = None
) -> None:
    """Approve what somebody asked for, as another person on another device.

    Example: parcelveil reveal approve a-0123456789abcdef --as m-2 --device desk-2 --device-key desk-2.key

    Parameters
    ----------
    id
        The approval's id, as the one who asked was told.
    reject
        Say no.
    who
        Who approves.
    json
        Summary as one JSON object on standard output.
    """
    with (where or Where()).open() as workspace:
        receipt = workspace.desk().approve(id, (who or Who()).credentials("approver"), reject=reject)
    state = "rejected" if reject else "approved"
    lines = [say("{id} is {state}").format(id=id, state=say(state))]
    if not reject:
        lines.append(say("the one who asked repeats the request with --approval {id}").format(id=id))
    summary({"approval": id, "state": state, "receipt": receipt}, lines, as_json=json)


@app.command
def approvals(*, json: bool = False, where: Where | None = None) -> None:
    """List what waits for a second person, and what became of earlier requests."""
    from datetime import datetime

    with (where or Where()).open() as workspace, workspace.store.reading() as tx:
        zone = timezone(timedelta(minutes=workspace.settings.utc_offset_minutes))
        rows = [
            {
                "id": row.id,
                "state": row.state,
                "scene": row.scene,
                "by": row.actor,
                "waybills": row.waybills,
                "until": datetime.fromtimestamp(row.until / 1e6, zone).isoformat(timespec="seconds"),
            }
            for row in tx.approvals()
        ]
    listed(rows, say("nothing waits for a second person"), as_json=json)


@app.command
def quota(
    number: str,
    scene: str,
    limit: int,
    /,
    *,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Set another limit for one member of staff, one scene, today only. Logged.

    Example: parcelveil reveal quota c-104 deliver 600

    Parameters
    ----------
    number
        Staff number.
    scene
        The scene.
    limit
        Waybills today, instead of the scene's limit.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.rulebook import Rulebook
    from parcelveil.reveal.staff import set_limit

    with (where or Where()).open() as workspace:
        with workspace.store.reading() as tx:
            scenes = Rulebook.of(tx).scenes
        if scene not in scenes:
            raise UsageError("there is no scene {name}", hint="see 'parcelveil scenes list'", name=scene)
        day = set_limit(workspace.log, number, scene, limit)
    summary(
        {"day": day, "limit": limit}, [say("the limit is {limit} for {day}").format(limit=limit, day=day)], as_json=json
    )


@app.command(name="load-work")
def load_work(
    *files: str,
    map: Annotated[str | None, Parameter(name="--map")] = None,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Load work events (scans, routes, tickets): from them the desk knows where each parcel is.

    Example: parcelveil reveal load-work scans-2026-11-24.csv

    Loading a file twice changes nothing; late events never override newer ones. See docs/work-events.md. Where virtual
    numbers are set up, those of parcels on their way are extended, and those of delivered ones end in time.

    Parameters
    ----------
    files
        CSV, JSON lines, Parquet … as 'seal' reads them; - for standard input.
    map
        TOML file with a table [columns]: their column name = ours.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.cli.label_numbers import keep_after_load
    from parcelveil.cli.work import load

    if not files:
        raise UsageError("which files?", hint="parcelveil reveal load-work FILE…")
    with (where or Where()).open() as workspace:
        facts, lines = load(list(files), map, workspace)
        numbers, told = keep_after_load(workspace)
    summary({**facts, **numbers}, [*lines, *told], as_json=json)
    return EXIT_REJECTS if facts["rejected"] else 0
