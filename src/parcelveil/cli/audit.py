"""``parcelveil audit``: read, prove and verify the audit log."""

from __future__ import annotations

import json as json_format
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli import witness
from parcelveil.cli.language import say
from parcelveil.cli.reveal import Who
from parcelveil.cli.terminal import Progress, Where, plain, summary, table
from parcelveil.errors import LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.entry import AnyEntry
    from parcelveil.audit.proof import VerifierKey
    from parcelveil.audit.tiles import Fetch
    from parcelveil.audit.verify import Verdict

app = App(
    name="audit", help="The log of every look: read it, prove an entry, verify all of it, witness it from elsewhere."
)
app.command(witness.app)


@dataclass
class Source:
    """A log to read: this workspace's, with what it has not published yet, or anybody's folder or address."""

    fetch: Fetch
    key: VerifierKey
    size: int
    tail: list[bytes] = field(default_factory=list)
    tail_from: int = 0
    heads: list[tuple[int, bytes]] = field(default_factory=list)
    minimum: int = 0
    offset_minutes: int = 0
    drawn: dict[int, int] | None = None  # only a workspace knows what its kernel opened

    def entries(self, first: int, last: int) -> Iterator[tuple[int, AnyEntry]]:
        """The entries from ``first`` up to ``last``, those that are not published yet included."""
        from parcelveil.audit.entry import decode
        from parcelveil.audit.tiles import TileReader

        reader = TileReader(self.fetch, self.tail_from) if self.tail_from else None
        for index in range(max(first, self.minimum), min(last, self.size)):
            data = self.tail[index - self.tail_from] if index >= self.tail_from else None
            if data is None and reader is not None:
                data = reader.entry(index)
            if data is not None:
                try:
                    yield index, decode(data)
                except ValueError:
                    raise LogError(
                        "entry {index} is not an entry", hint="run 'parcelveil audit verify'", index=index
                    ) from None


def source(log: str | None, key: str | None, workspace: str | None) -> Source:
    """The log at a folder or address, else the workspace's. Needs no passphrase."""
    from parcelveil.audit import tiles
    from parcelveil.audit.proof import ProofError, VerifierKey
    from parcelveil.audit.verify import published_checkpoint

    if log is not None:
        fetch = tiles.http(log) if log.startswith(("http://", "https://")) else tiles.directory(Path(log))
        if key is None:
            raise UsageError("whose log is it?", hint="give --key FILE: the log's log.vkey, from somebody you trust")
        try:
            verifier = VerifierKey.parse(Path(key).read_text("ascii"))
        except (OSError, UnicodeDecodeError, ProofError):
            raise UsageError("{file} is no verifier key", hint="it is one line: name+hash+key", file=key) from None
        size = published_checkpoint(fetch, verifier).size
        return Source(fetch, verifier, size, tail_from=size)
    return _workspace_source(workspace)


def _workspace_source(workspace: str | None) -> Source:
    from parcelveil.audit import tiles
    from parcelveil.audit.proof import VerifierKey
    from parcelveil.workspace import Workspace, find

    settings, store, folder = Workspace.reading(find(workspace))
    with closing(store), store.transaction() as tx:
        state, groups, heads, drawn = tx.log_state(), tx.groups(), tx.heads(), tx.drawn()
    if not state.size:
        raise LogError("the log is empty", hint="the first look, erasure or key event begins it")
    key_file = folder / "log.vkey"
    if not key_file.exists():
        raise LogError("nothing was published yet", hint="run 'parcelveil audit publish'")
    tail_from = groups[0][0] if groups else state.size
    tail = [entry for _, bundle in groups for entry in tiles.unbundle(bundle)]
    skip = max(0, state.published - tail_from)
    return Source(
        tiles.directory(folder),
        VerifierKey.parse(key_file.read_text("ascii")),
        state.size,
        tail=tail[skip:],
        tail_from=tail_from + skip,
        heads=[head for head in heads if head[0] > state.minimum],
        minimum=state.minimum,
        offset_minutes=settings.utc_offset_minutes,
        drawn=drawn,
    )


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
        File with the log's verifier key (log.vkey); needed for a folder or address.
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

    found = source(log, key, workspace)
    verdict = checked(found, deep=deep)
    texts = list(_receipts(receipt or []))
    bad = [r for r in verify_receipts(texts, found.key, found.fetch, tail=found.tail) if r.problem] if texts else []
    lines = [
        say("{origin}: {entries} entries hold ({kinds})").format(
            origin=verdict.origin,
            entries=f"{verdict.entries:,}",
            kinds=", ".join(f"{kind} {count:,}" for kind, count in verdict.kinds.most_common()),
        ),
        say("root {root} at {size}; {heads} checkpoints that receipts rest on hold too").format(
            root=verdict.root.hex()[:16], size=f"{verdict.size:,}", heads=f"{verdict.heads:,}"
        ),
        *(say("{name}: {problem}").format(name=r.name, problem=r.problem) for r in bad),
        *verdict.remarks,
    ]
    if texts:
        lines.append(say("{good} of {all} receipts hold").format(good=len(texts) - len(bad), all=len(texts)))
    facts = {**verdict._asdict(), "root": verdict.root.hex(), "receipts": len(texts), "bad_receipts": len(bad)}
    summary(facts, lines, as_json=json)
    return LogError.exit_code if bad else 0


def _receipts(paths: list[str]) -> Iterator[tuple[str, str]]:
    for path in map(Path, paths):
        for file in sorted(path.glob("*.tlog-proof")) if path.is_dir() else [path]:
            try:
                yield file.name, file.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                raise UsageError("{file} cannot be read", hint="check the path", file=str(file)) from None


@app.command
def prove(
    index: int,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
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
    """
    with (where or Where()).open() as workspace:
        cosigned = workspace.log.folder / "cosigned"
        note = cosigned.read_text("utf-8") if cosigned.exists() else ""
        text = workspace.log.receipt(index, note)
    if output is None:
        print(text, end="")
    else:
        Path(output).write_text(text, "utf-8")
        print(say("wrote the receipt of entry {index} to {file}").format(index=index, file=output), file=sys.stderr)


@app.command
def publish(*, where: Where | None = None) -> None:
    """Write to the folder of tiles what is acknowledged and not there yet. Other commands do it when they end."""
    with (where or Where()).open() as workspace:
        size = workspace.log.publish()
    print(say("{size} entries are published").format(size=f"{size:,}"), file=sys.stderr)


@app.command
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


@app.command
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


@app.command
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
    out = sys.stdout.buffer if output == "-" else Path(output).open("wb")
    progress = Progress(say("exporting"), found.size - first, lambda: count)
    try:
        for line in lines:
            out.write(line if line.endswith(b"\n") else line + b"\n")
            count += 1
            progress.advance(count)
        out.flush()
    finally:
        progress.close()
        if output != "-":
            out.close()
    print(say("exported {count} entries").format(count=f"{count:,}"), file=sys.stderr)


@app.command
def reconcile(
    *,
    json: bool = False,
    workspace: Annotated[str | None, Parameter(name=["--workspace", "-w"])] = None,
) -> int:
    """Compare what the kernel was let open with what the log says was opened, day by day. A difference is an alarm.

    The log is verified on the way. Needs no passphrase.

    Parameters
    ----------
    json
        Summary as one JSON object on standard output.
    workspace
        Folder of the workspace.
    """
    from parcelveil.audit.reconcile import compare

    found = source(None, None, workspace)
    verdict = checked(found)
    days = compare(verdict.values, found.drawn or {})
    off = [day for day in days if day.opened != day.logged]
    lines = [table([say(name) for name in ("day", "opened", "logged", "difference")],
                   [[d.day, f"{d.opened:,}", f"{d.logged:,}", f"{d.opened - d.logged:+,}"] for d in days])]  # fmt: skip
    if off:
        lines.append(
            say("ALARM: on {count} day(s) values were opened that no entry speaks of, or entries are missing").format(
                count=len(off)
            )
        )
    else:
        lines.append(say("every value that was opened is logged"))
    summary({"days": [d._asdict() for d in days], "alarm": bool(off)}, lines, as_json=json)
    return LogError.exit_code if off else 0


@app.command
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


@app.command
def prune(before: str, /, *, yes: bool = False, json: bool = False, where: Where | None = None) -> None:
    """Drop entries older than a day, after the retention period (audit_days). Every proof about the rest still holds.

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
    ask(f"Drop the entries of all days before {day}?", yes)
    with (where or Where()).open() as workspace:
        offset = workspace.settings.utc_offset_minutes
        midnight = ((day - date(1970, 1, 1)).days * 1440 - offset) * 60_000_000
        done = prune_log(workspace.log, midnight, workspace.settings.audit_days, offset)
        workspace.store.settle()
    lines = [say("{entries} entries dropped; the log begins at {minimum} now").format(**done._asdict())]
    summary(done._asdict(), lines, as_json=json)


@app.command
def cosign(
    note: str,
    /,
    *,
    key: str,
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
    """
    from parcelveil.audit.cosigned import take_over

    with (where or Where()).open() as workspace:
        when = take_over(workspace.log, Path(note), Path(key))
    print(say("cosigned at {time}").format(time=datetime.fromtimestamp(when, UTC)), file=sys.stderr)
