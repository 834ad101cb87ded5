"""``parcelveil audit show``, ``tail``, ``export``, ``subjects``: reading the log."""

from __future__ import annotations

import json as json_format
import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from parcelveil.cli.language import say
from parcelveil.cli.log_source import source
from parcelveil.cli.reveal import Who
from parcelveil.cli.terminal import Progress, Where, plain, table
from parcelveil.errors import LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.entry import AnyEntry


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
        File with the log's verifier key; needed for a folder or address.
    json
        One JSON object a line.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.entry import KINDS, encode

    if kind is not None and kind not in KINDS:
        raise UsageError("no entry is a {kind}", hint="there are: {known}", kind=kind, known=", ".join(KINDS))
    found = source(log, key, workspace)
    if index is not None:
        if not found.minimum <= index < found.size:
            raise LogError("the log has no entry {index}", hint="it has {size}", index=index, size=found.size)
        [(_, entry)] = found.entries(index, index + 1)
        record = json_format.loads(encode(entry))
        print(json_format.dumps({"index": index, **record}, ensure_ascii=False, indent=None if json else 1))
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
    _print(rows[-last:] if last > 0 else [], as_json=json)


def _print(rows: list[tuple[int, AnyEntry]], *, as_json: bool, header: bool = True) -> None:
    from parcelveil.audit.entry import encode

    if as_json:
        for index, entry in rows:
            print(
                json_format.dumps({"index": index, **json_format.loads(encode(entry))}, ensure_ascii=False), flush=True
            )
        return
    cells = [[plain(cell) for cell in _cells(index, entry)] for index, entry in rows]
    if header:
        print(table([say(name) for name in ("entry", "time", "kind", "who", "what", "answer")], cells))
    else:
        for row in cells:
            print("  ".join(row), flush=True)


def _cells(index: int, entry: AnyEntry) -> list[str]:
    at = datetime.fromtimestamp(entry.time / 1e6, UTC).astimezone().isoformat(timespec="seconds")
    who = getattr(entry, "actor", "")
    role = getattr(entry, "role", "")
    if role and role != who:
        who += f" ({role})"
    words = [
        str(getattr(entry, name, ""))
        for name in ("action", "scene", "target", "approval", "version", "detail", "count")
    ]
    waybills = getattr(entry, "waybills", 0)
    fields = " ".join(getattr(entry, "fields", ()))
    what = " ".join([*filter(None, words), fields, f"×{waybills}" if waybills else ""]).strip()
    answer = getattr(entry, "answer", "")
    values = getattr(entry, "values", 0)
    said = (
        f"{answer}: {getattr(entry, 'reason', '')}"
        if answer
        else say("{values} values").format(values=values)
        if values
        else ""
    )
    return [str(index), at, entry.kind, who, what, said]


def tail(
    *,
    last: int = 10,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    every: float = 1.0,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> None:
    """Show the newest entries, and with --follow those that come.

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
    found = source(None, None, workspace)
    seen = max(0, found.size - last)
    header = True
    while True:
        rows = list(found.entries(seen, found.size))
        if rows or header:
            _print(rows, as_json=json, header=header)
        seen, header = found.size, False
        if not follow:
            return
        time.sleep(every)
        found = source(None, None, workspace)


def export(
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])] = "-",
    ocsf: bool = False,
    first: Annotated[int, Parameter(name="--from")] = 0,
    log: str | None = None,
    key: str | None = None,
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
        File with the log's verifier key; needed for a folder or address.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.entry import encode
    from parcelveil.audit.ocsf import ocsf_lines

    found = source(log, key, workspace)
    entries = ((index, encode(entry)) for index, entry in found.entries(first, found.size))
    lines = ocsf_lines(entries, origin=found.key.name) if ocsf else (
        b'{"index":%d,%b\n' % (index, data[1:]) for index, data in entries
    )  # fmt: skip
    count = 0
    progress = Progress(say("exporting"), found.size - first, lambda: count)
    try:
        with nullcontext(sys.stdout.buffer) if output == "-" else Path(output).open("wb") as out:
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

    Example: parcelveil audit subjects --waybill YT0000000000001 --as k-1 --role salt_keeper --device d-1 --device-key d-1.key

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
        found = read_salts(workspace.log, (who or Who()).credentials(), entry=index, waybill=waybill)
    rows = [[str(s.entry), s.kind, plain(s.value), s.salt.hex(), s.commitment] for s in found]
    header = ["entry", "kind", "value", "salt", "commitment"]
    if json:
        print(json_format.dumps([dict(zip(header, row, strict=True)) for row in rows], ensure_ascii=False))
    else:
        print(table([say(name) for name in header], rows) if rows else say("nothing: it was erased, or never logged"))
