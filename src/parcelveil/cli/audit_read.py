"""``parcelveil audit show``, ``tail``, ``export``, ``subjects``: reading the log."""

from __future__ import annotations

import json as json_format
import sys
import time
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from parcelveil.cli.asking import Who
from parcelveil.cli.language import say
from parcelveil.cli.log_source import Source, begun, source
from parcelveil.cli.output import listed, reader_gone, whole_file
from parcelveil.cli.terminal import Progress, Where, plain, table
from parcelveil.errors import EXIT_INTERRUPTED, LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.entry import AnyEntry

#: Seconds between two looks of ``tail --follow``, at least.
_SHORTEST_WAIT = 0.1


def show(
    index: int | None = None,
    /,
    *,
    last: int = 20,
    kind: str | None = None,
    actor: str | None = None,
    request: str | None = None,
    log: str | None = None,
    key: str | None = None,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> None:
    """Show entries. Needs no passphrase: entries hold no personal data.

    Example: parcelveil audit show --kind refusal --last 50

    Parameters
    ----------
    index
        One entry, whole.
    last
        The last so many that match.
    kind
        look, refusal, export, quota, policy, staff, erasure, key or approval.
    actor
        Only of this staff handle.
    request
        Only of this request.
    log
        Folder or http(s) address of a log. Default: this workspace's.
    key
        File with the log's verifier key. Needed for a folder or address; default: the workspace's own.
    json
        One JSON object a line.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.entry import KINDS

    if kind is not None and kind not in KINDS:
        raise UsageError("no entry is a {kind}", hint="there are: {known}", kind=kind, known=", ".join(KINDS))
    if last < 0:
        raise UsageError("--last is a number of entries", hint="0 or more")
    if log is None and not begun(workspace) and index is None:
        print(say("the log is empty"), file=sys.stderr)
        return
    found = source(log, key, workspace)
    if index is not None:
        if not found.minimum <= index < found.size:
            raise LogError(
                "the log has no entry {index}", hint="it has those from {first} to {last}",
                index=index, first=found.minimum, last=found.size - 1,
            )  # fmt: skip
        [(_, entry)] = found.entries(index, index + 1)
        print(_json(index, entry, indent=None if json else 1))
        return
    rows: list[tuple[int, AnyEntry]] = []
    for end in range(found.size, found.minimum, -1024):  # from the newest back
        part = [
            row
            for row in found.entries(end - 1024, end)
            if (kind is None or row[1].kind == kind)
            and (actor is None or getattr(row[1], "actor", "") == actor)
            and (request is None or row[1].request == request)
        ]
        rows = part + rows
        if len(rows) >= last:
            break
    _print(rows[-last:] if last else [], found, as_json=json)
    if not rows and not json:
        print(say("no entry matches"), file=sys.stderr)


def _json(index: int, entry: AnyEntry, *, indent: int | None = None) -> str:
    from parcelveil.audit.entry import encode

    return json_format.dumps({"index": index, **json_format.loads(encode(entry))}, ensure_ascii=False, indent=indent)


def _print(rows: list[tuple[int, AnyEntry]], log: Source, *, as_json: bool, header: bool = True) -> None:
    if as_json:
        for index, entry in rows:
            print(_json(index, entry), flush=True)
        return
    cells = [[plain(cell) for cell in _cells(index, entry, log.offset_minutes)] for index, entry in rows]
    if header and cells:
        print(table([say(name) for name in ("entry", "time", "kind", "who", "what", "answer")], cells), flush=True)
    else:
        for row in cells:
            print("  ".join(row), flush=True)


def _cells(index: int, entry: AnyEntry, offset_minutes: int) -> list[str]:
    """An entry in the columns of a table: short; ``audit show INDEX`` has all of it."""
    at = datetime.fromtimestamp(entry.time / 1e6, timezone(timedelta(minutes=offset_minutes)))

    def of(name: str, default: object = "") -> object:
        return getattr(entry, name, default)

    who, role = str(of("actor")), of("role")
    action = "" if of("action") == entry.kind else of("action")
    words = [action, *(of(name) for name in ("scene", "target", "approval", "version", "limit", "detail", "count"))]
    fields = getattr(entry, "fields", ())
    if of("waybills"):
        words.append(f"×{of('waybills')}")
    if fields:
        words.append(" ".join(fields) if len(fields) < 3 else say("{count} fields").format(count=len(fields)))
    said = str(of("reason") or of("answer"))
    if of("values"):
        said = say("{values} values").format(values=f"{of('values'):,}")
    what = " ".join(str(word) for word in words if word not in ("", 0))
    time_of_day = at.isoformat(" ", timespec="seconds").removesuffix("+00:00")
    return [str(index), time_of_day, entry.kind, f"{who} {role}" if role not in ("", who) else who, what, said]


def tail(
    *,
    last: int = 10,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    every: float = 1.0,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> int:
    """Show the newest entries, and with --follow those that come.

    Example: parcelveil audit tail -f

    Parameters
    ----------
    last
        How many to begin with.
    follow
        Go on until Ctrl-C.
    every
        Look again after so many seconds.
    json
        One JSON object a line.
    workspace
        Folder of the workspace.
    """
    if last < 0 or not every >= _SHORTEST_WAIT:
        raise UsageError(
            "--last is a number of entries, --every of seconds", hint="at least 0, and at least {least}",
            least=_SHORTEST_WAIT,
        )  # fmt: skip
    try:
        seen = -1
        while True:
            if begun(workspace):
                found = source(None, None, workspace)
                start = max(0, found.size - last) if seen < 0 else seen
                _print(list(found.entries(start, found.size)), found, as_json=json, header=seen < 0)
                seen = found.size
            elif seen < 0:
                print(say("the log is empty"), file=sys.stderr)
                seen = 0
            if not follow:
                return 0
            time.sleep(every)
            if reader_gone():
                return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def export(
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])] = "-",
    ocsf: bool = False,
    first: Annotated[int, Parameter(name="--from")] = 0,
    log: str | None = None,
    key: str | None = None,
    force: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> None:
    """Export entries for other systems, one JSON object a line.

    Example: parcelveil audit export --ocsf -o audit.ocsf.jsonl

    Parameters
    ----------
    output
        File, or - for standard output.
    ocsf
        As OCSF events (datastore_activity, api_activity), for a SIEM.
    first
        From this entry on.
    log
        Folder or http(s) address of a log. Default: this workspace's.
    key
        File with the log's verifier key. Needed for a folder or address; default: the workspace's own.
    force
        Overwrite an existing output.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.entry import encode
    from parcelveil.audit.ocsf import ocsf_lines

    if first < 0:
        raise UsageError("--from is the number of an entry", hint="0 is the first")
    found = source(log, key, workspace)
    entries = ((index, encode(entry)) for index, entry in found.entries(first, found.size))
    lines = ocsf_lines(entries, origin=found.key.name) if ocsf else (
        b'{"index":%d,%b\n' % (index, data[1:]) for index, data in entries
    )  # fmt: skip
    count = 0
    progress = Progress(say("exporting"), max(0, found.size - first), lambda: count)
    try:
        with nullcontext(sys.stdout.buffer) if output == "-" else whole_file(output, force=force) as out:
            for line in lines:
                out.write(line if line.endswith(b"\n") else line + b"\n")
                count += 1
                progress.advance(count)
            out.flush()
    finally:
        progress.close()
    print(say("exported {count} entries").format(count=f"{count:,}"), file=sys.stderr)


def subjects(
    index: int | None = None,
    /,
    *,
    waybill: str | None = None,
    who: Who | None = None,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Read salts: whom an entry is about, or which entries are about a waybill. For a salt_keeper; logged.

    Example: parcelveil audit subjects --waybill YT0000000000001 --as k-1 --device d-1 --device-key d-1.key

    Parameters
    ----------
    index
        Number of the entry.
    waybill
        A waybill number.
    who
        Who asks.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.salts import read_salts

    if (index is None) == (waybill is None):
        raise UsageError("an entry or a waybill?", hint="give an entry's number, or --waybill NO")
    with (where or Where()).open() as workspace:
        keeper = (who or Who()).credentials("salt_keeper")
        found = read_salts(workspace.log, keeper, entry=index, waybill=waybill)
    rows = [
        {"entry": s.entry, "kind": s.kind, "value": s.value, "salt": s.salt.hex(), "commitment": s.commitment}
        for s in found
    ]
    listed(rows, say("nothing: it was erased, or never logged"), as_json=json)
