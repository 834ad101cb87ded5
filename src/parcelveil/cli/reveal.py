"""``parcelveil reveal``: the desk, from the command line."""

from __future__ import annotations

import json as json_format
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from parcelveil.cli.language import say
from parcelveil.cli.terminal import Where, plain, summary, table
from parcelveil.errors import EXIT_NOT_OPENED, EXIT_REJECTS, UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.request import Answers, Credentials, Request
    from parcelveil.workspace import Workspace

app = App(name="reveal", help="Look at sealed waybills for a purpose: policy, custody, quota, log first, then open.")

DEVICE_KEY = "PARCELVEIL_DEVICE_KEY"


@Parameter(name="*")
@dataclass(frozen=True)
class Who:
    """Who speaks."""

    as_: Annotated[str | None, Parameter(name="--as")] = None
    "Staff number."
    role: str = ""
    "In which role."
    outlet: str = ""
    "At which outlet."
    device: str = ""
    "From which device."
    device_key: str | None = None
    "File with the device's key, as 'staff enrol' wrote it; else the key itself in PARCELVEIL_DEVICE_KEY."

    def credentials(self) -> Credentials:
        """The credentials, with the device's key read. Raises UsageError when nobody is named."""
        from parcelveil.reveal.request import Credentials, Secret

        if not self.as_:
            raise UsageError("who is asking?", hint="give --as NUMBER, and --device with its key")
        key = Secret(self._key())
        return Credentials(actor=self.as_, role=self.role, outlet=self.outlet, device=self.device, device_key=key)

    def _key(self) -> bytes:
        text = os.environ.get(DEVICE_KEY, "")
        if self.device_key:
            try:
                text = Path(self.device_key).read_text("ascii")
            except (OSError, UnicodeDecodeError):
                raise UsageError("{file} cannot be read", hint="check the path", file=self.device_key) from None
        try:
            return bytes.fromhex(text.strip())
        except ValueError:
            raise UsageError("the device's key is not one", hint="it is 64 hex digits") from None


@Parameter(name="*")
@dataclass(frozen=True)
class What:
    """What is asked for."""

    scene: str = ""
    "The purpose; 'parcelveil scenes list' shows them."
    fields: list[str] | None = None
    "Personal columns, like to_name,to_phone. Default: what the scene shows this role."
    form: str = "full"
    "full, or masked: then no key of personal fields is used."
    ticket: str = ""
    "Ticket that names the waybill."
    document: str = ""
    "Id of the authority's document."
    approval: str = ""
    "Id of the approval a second person gave."

    def request(self, numbers: tuple[str, ...], who: Who, workspace: Workspace) -> Request:
        """The request that these words make."""
        import msgspec

        from parcelveil.reveal.request import Request
        from parcelveil.reveal.rulebook import Rulebook

        if not self.scene:
            raise UsageError("for what purpose?", hint="give --scene NAME; see 'parcelveil scenes list'")
        credentials = who.credentials()
        asked = [name.strip() for text in self.fields or [] for name in text.split(",") if name.strip()]
        if not asked:
            with workspace.store.transaction() as tx:
                scenes = Rulebook.of(tx).scenes
            asked = list(scenes[self.scene].fields_for(who.role)) if self.scene in scenes else []
        return Request(
            **msgspec.structs.asdict(credentials),
            scene=self.scene,
            waybills=numbers,
            fields=tuple(asked),
            form=self.form,
            ticket=self.ticket,
            document=self.document,
            approval=self.approval,
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
    asked = tuple(line.strip() for line in sys.stdin if line.strip()) if numbers == ("-",) else numbers
    if not asked:
        raise UsageError("which waybills?", hint="give their numbers, or - for standard input")
    with (where or Where()).open() as workspace:
        request = (what or What()).request(asked, who or Who(), workspace)
        desk = workspace.desk(workspace.sealed([Path(path) for path in source]) if source else None)
        answers = desk.look(request)
        if receipts:
            _keep(answers, Path(receipts))
    _show(answers, request.fields, as_json=json)
    return 0 if answers.opened else EXIT_NOT_OPENED


def _show(answers: Answers, fields: tuple[str, ...], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.encode(answers).decode())
        return
    shown = [name for name in fields if any(a.values and name in a.values for a in answers.answers)]
    rows = [
        [a.waybill, f"{say(a.answer)}{f' ({a.reason})' if a.reason else ''}"]
        + [(a.values or {}).get(name) or "" for name in shown]
        for a in answers.answers
    ]
    print(table([say("waybill"), say("answer"), *shown], [[plain(cell) for cell in row] for row in rows]))
    count = sum(a.answer == "opened" for a in answers.answers)
    lines = [say("opened {count} of {total}; {entries} log entries").format(
        count=count, total=len(answers.answers), entries=len(answers.receipts)
    )]  # fmt: skip
    if any(a.answer == "needs-approval" for a in answers.answers):
        lines.append(say("ask a second person to run: parcelveil reveal approve {id}").format(id=answers.approval))
    if answers.left is not None:
        lines.append(say("left today in this scene: {left}").format(left=answers.left))
    for line in lines:
        print(line, file=sys.stderr)


def _keep(answers: Answers, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for text in answers.receipts:
        index = next(line for line in text.splitlines() if line.startswith("index ")).removeprefix("index ")
        (folder / f"{index}.tlog-proof").write_text(text, "utf-8")


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

    value = getpass.getpass(f"{column}: ") if sys.stdin.isatty() else sys.stdin.readline()
    with (where or Where()).open() as workspace:
        credentials = (who or Who()).credentials()
        desk = workspace.desk(workspace.sealed([Path(path) for path in source]) if source else None)
        request = Search(
            **msgspec.structs.asdict(credentials),
            scene=scene,
            column=column,
            value=Secret(value.strip().encode()),
            months=months,
            ticket=ticket,
        )
        answers = desk.search(request, country=workspace.settings.country)
    names = sorted({name for a in answers.answers for name in a.values or {}})
    _show(answers, tuple(names), as_json=json)
    return 0 if answers.opened else EXIT_NOT_OPENED


@app.command
def approve(
    id: str, /, *, reject: bool = False, who: Who | None = None, json: bool = False, where: Where | None = None
) -> None:
    """Approve what somebody asked for, as another person on another device.

    Example: parcelveil reveal approve a-0123456789abcdef --as m-2 --role approver --device desk-2 --device-key desk-2.key

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
        receipt = workspace.desk().approve(id, (who or Who()).credentials(), reject=reject)
    state = "rejected" if reject else "approved"
    lines = [say("{id} is {state}").format(id=id, state=say(state))]
    if not reject:
        lines.append(say("the one who asked repeats the request with --approval {id}").format(id=id))
    summary({"approval": id, "state": state, "receipt": receipt}, lines, as_json=json)


@app.command
def approvals(*, json: bool = False, where: Where | None = None) -> None:
    """List what waits for a second person, and what became of earlier requests."""
    from datetime import UTC, datetime

    with (where or Where()).open() as workspace, workspace.store.transaction() as tx:
        rows = [
            {
                "id": row.id,
                "state": row.state,
                "scene": row.scene,
                "by": row.actor,
                "waybills": row.waybills,
                "until": datetime.fromtimestamp(row.until / 1e6, UTC).isoformat(timespec="seconds"),
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
        with workspace.store.transaction() as tx:
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

    Loading a file twice changes nothing; late events never override newer ones. See docs/work-events.md.

    Parameters
    ----------
    files
        CSV, JSON lines, Parquet … as 'seal' reads them; - for standard input.
    map
        TOML file with a table [columns]: their column name = ours.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.cli.work import load

    if not files:
        raise UsageError("which files?", hint="parcelveil reveal load-work FILE…")
    with (where or Where()).open() as workspace:
        facts, lines = load(list(files), map, workspace)
    summary(facts, lines, as_json=json)
    return EXIT_REJECTS if facts["rejected"] else 0


def listed(rows: list[dict[str, Any]], empty: str, *, as_json: bool) -> None:
    """A table of records, or JSON; ``empty`` is said when there are none."""
    if as_json:
        print(json_format.dumps(rows, ensure_ascii=False))
    elif rows:
        print(table(list(rows[0]), [[plain(str(value)) for value in row.values()] for row in rows]))
    else:
        print(empty, file=sys.stderr)
