"""``parcelveil label numbers``: virtual numbers for labels. All of it is the key holder's but :func:`read_numbers`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import App, Parameter

from parcelveil.cli.asking import in_words, refuse_words, waybills
from parcelveil.cli.language import say
from parcelveil.cli.output import listed
from parcelveil.cli.terminal import Progress, Where, summary
from parcelveil.errors import EXIT_REJECTS, ParcelveilError, ProviderError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.adapt.sink import Sink
    from parcelveil.adapt.source import Source
    from parcelveil.label.bindings import Kept, Wanted
    from parcelveil.ports import NumberRow
    from parcelveil.workspace import Workspace

app = App(
    name="numbers",
    help="Virtual numbers: bound before printing, alive as long as the parcel. The print station gets a side file.",
    error_formatter=refuse_words,
)

#: What the key holder's log calls it.
SCENE = "virtual-number"
#: The only phones that platforms bind.
_MOBILE = r"^\+861[3-9][0-9]{9}$"


@app.command
def bind(
    file: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Bind a virtual number for each sealed waybill with a mobile, and write the file that the print station reads.

    Example: parcelveil label numbers bind orders.sealed.parquet -o orders.numbers.parquet

    Opening the phones is logged first, as scene virtual-number. A run that is repeated, or was killed, binds nothing
    twice. See docs/virtual-numbers.md.

    Parameters
    ----------
    file
        The sealed file, or - for standard input.
    output
        The side file (.parquet or .arrow): numbers and extensions, no phone. Default: NAME.numbers.parquet beside the file.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.adapt.sink import open_sink
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.streams import check_sealed
    from parcelveil.label.numbers import NUMBERS

    target = output or _beside(file)
    if not target.lower().endswith((".parquet", ".arrow")):
        raise UsageError(
            "{file} cannot hold virtual numbers", hint="name a file like orders.numbers.parquet", file=target
        )
    with (where or Where()).open() as workspace, open_source(file) as source:
        started = workspace.clock.now()
        schema = check_sealed(source, workspace.settings.tenant)
        workspace.numbers.provider  # noqa: B018  none is set up: said before anything is opened
        with open_sink(target, NUMBERS, force=force) as sink:
            done = _bound(source, schema, workspace, sink)
            sink.commit()
        count = done.counted
        workspace.record(
            "label numbers bind", started, rows=count["waybills"], values=count["opened"], rejected=done.shut.total()
        )
    facts = {
        "input": file,
        "output": target,
        **{name: count[name] for name in ("waybills", "bound", "known", "no_phone", "no_mobile")},
        "shut": dict(done.shut),
    }
    summary(facts, _bound_lines(facts), as_json=json)
    return EXIT_REJECTS if done.shut else 0


class _Done(NamedTuple):
    """What binding for one source came to: counts, and rows that stay shut by reason."""

    counted: Counter[str]
    shut: Counter[str]


def _bound(source: Source, schema: pa.Schema, workspace: Workspace, sink: Sink) -> _Done:
    """Bind numbers for all rows of ``source``, in batches of bounded size, and write them into the side file."""
    from parcelveil.label.bindings import PAGE
    from parcelveil.label.numbers import side_rows

    done = _Done(Counter(), Counter())
    progress = Progress(
        say("binding numbers for {file}").format(file=Path(source.name).name), source.size, source.position
    )
    try:
        for raw in source.batches():
            done.shut.update(reject.code for reject in raw.rejects)
            batch = _slim(raw.batch, schema)
            for start in range(0, batch.num_rows, PAGE):
                part = _newest(batch.slice(start, PAGE))
                numbers = part["waybill_no"].to_pylist()
                living = workspace.numbers.living(numbers)
                revisions = dict(zip(numbers, part["revision"].to_pylist(), strict=True))
                rows = [row for row in living.values() if row.revision >= revisions[row.waybill_no]]
                done.counted["known"] += len(rows)
                new = workspace.numbers.bind(_wanted(part, {row.waybill_no for row in rows}, workspace, done))
                done.counted["bound"] += len(new)
                done.counted["waybills"] += part.num_rows
                sink.write(side_rows([*rows, *new]))
                progress.advance(done.counted["waybills"])
    finally:
        progress.close()
    return done


def _slim(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Of a sealed batch only what a binding needs: number, revision, sealed phone."""
    import pyarrow as pa

    from parcelveil.waybill import SEALED

    fields = [SEALED.field(name) for name in ("waybill_no", "to_phone", "revision")]
    columns = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in fields
    ]
    columns[2] = columns[2].fill_null(0)
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


def _newest(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Of each waybill number the row with the highest revision."""
    import pyarrow as pa

    newest: dict[str, tuple[int, int]] = {}
    pairs = zip(batch["waybill_no"].to_pylist(), batch["revision"].to_pylist(), strict=True)
    for place, (number, revision) in enumerate(pairs):
        if number and (number not in newest or newest[number][0] <= revision):
            newest[number] = (revision, place)
    return batch.take(pa.array(sorted(place for _, place in newest.values()), pa.int64()))


def _wanted(batch: pa.RecordBatch, known: set[str], workspace: Workspace, done: _Done) -> list[Wanted]:
    """The waybills that need a number, their phones opened: logged first. Counts those that can have none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from parcelveil.cli.streams import SHUT_CODE
    from parcelveil.label.bindings import Wanted
    from parcelveil.ports import Secret
    from parcelveil.seal import kernel

    batch = batch.filter(pc.invert(pc.is_in(batch["waybill_no"], pa.array(sorted(known), pa.string()))))
    given = batch.filter(batch["to_phone"].is_valid())
    done.counted["no_phone"] += batch.num_rows - given.num_rows
    if not given.num_rows:
        return []
    epochs = set(kernel.epochs_in(given))
    if epochs - workspace.ring.known:
        workspace.ring.refresh()
    keys = workspace.ring.open_keys(epochs, meter=workspace.release(SCENE, given, ["to_phone"]))
    clear, status = kernel.open_rows(given, keys, fields=["to_phone"])
    done.shut.update(SHUT_CODE[int(code)] for code in status[status != kernel.OK])
    clear = clear.filter(pa.array(status == kernel.OK))
    done.counted["opened"] += clear.num_rows
    mobiles = clear.filter(pc.match_substring_regex(clear["to_phone"], _MOBILE).fill_null(False))
    done.counted["no_mobile"] += clear.num_rows - mobiles.num_rows
    columns = (mobiles[name].to_pylist() for name in ("waybill_no", "revision", "to_phone"))
    return [Wanted(number, revision, Secret(phone.encode())) for number, revision, phone in zip(*columns, strict=True)]


def _bound_lines(facts: dict[str, Any]) -> list[str]:
    counted = {name: f"{value:,}" for name, value in facts.items() if isinstance(value, int)}
    lines = [
        say("{bound} numbers bound and {known} bound before, for {waybills} waybills: {output}").format(
            output=facts["output"], **counted
        )
    ]
    if facts["no_phone"] or facts["no_mobile"]:
        told = say("without a number: {no_phone} without a phone, {no_mobile} whose phone is no mainland mobile")
        lines.append("  " + told.format(**counted))
    if facts["shut"]:
        reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(facts["shut"].items()))
        total = f"{sum(facts['shut'].values()):,}"
        lines.append("  " + say("{count} rows stay shut ({reasons})").format(count=total, reasons=reasons))
    return lines


def _beside(file: str) -> str:
    if file == "-":
        raise UsageError("where shall the numbers go?", hint="give -o FILE.parquet")
    name = Path(file).name.removesuffix(".parquet").removesuffix(".sealed")
    return str(Path(file).with_name(f"{name}.numbers.parquet"))


@app.command
def keep(*, json: bool = False, where: Where | None = None) -> int:
    """Extend the numbers of parcels on their way, and unbind those of parcels delivered some days ago.

    Example: parcelveil label numbers keep

    Custody says where each parcel is; 'reveal load-work' does the same after loading. Safe to run from cron, at any
    time and beside itself.

    Parameters
    ----------
    json
        Summary as one JSON object on standard output.
    """
    with (where or Where()).open() as workspace:
        kept = workspace.numbers.keep(workspace.custody)
    summary(kept._asdict(), kept_lines(kept), as_json=json)
    return ProviderError.exit_code if kept.failed else 0


def keep_after_load(workspace: Workspace) -> tuple[dict[str, Any], list[str]]:
    """What 'reveal load-work' does for the numbers when a provider is set up: facts and lines of its summary.

    The events are loaded by then, so what goes wrong here is said and ends nothing.
    """
    if not workspace.settings.virtual_numbers:
        return {}, []
    try:
        kept = workspace.numbers.keep(workspace.custody)
    except ParcelveilError as error:
        words = in_words(error)
        return {"numbers": {"error": words}}, [say("virtual numbers were not looked after: {why}").format(why=words)]
    return {"numbers": kept._asdict()}, kept_lines(kept)


def kept_lines(kept: Kept) -> list[str]:
    """What :meth:`~parcelveil.label.bindings.Bindings.keep` did, in words."""
    counted = {name: f"{value:,}" for name, value in kept._asdict().items() if isinstance(value, int)}
    lines = [
        say("virtual numbers: {bound} live, {extended} extended, {unbound} unbound, {expired} expired").format(
            **counted
        )
    ]
    if kept.lapsed:
        told = say("{lapsed} parcels on their way have no number any more: bind and print them again")
        lines.append("  " + told.format(**counted))
    if kept.failed:
        told = say("{failed} could not be changed, the next run tries again: {why}")
        lines.append("  " + told.format(why=say(kept.error), **counted))
    if kept.forged:
        told = say("ALARM: {forged} rows of numbers were not written with our keys; they count for nothing")
        lines.append("  " + told.format(**counted))
    return lines


@app.command
def show(*numbers: str, json: bool = False, where: Where | None = None) -> None:
    """List the virtual numbers of waybills, or all of them: state and expiry.

    Example: parcelveil label numbers show YT0000000000001

    Parameters
    ----------
    numbers
        Waybill numbers; - reads them from standard input, one a line. Default: all.
    json
        As JSON.
    """
    asked = waybills(numbers) if numbers else ()
    with (where or Where()).open() as workspace:
        zone = timezone(timedelta(minutes=workspace.settings.utc_offset_minutes))
        rows = list(_shown(workspace.numbers.rows(asked), zone, str if json else say))
    listed(rows, say("no virtual numbers"), as_json=json)


def _shown(rows: Iterator[NumberRow], zone: timezone, said: Callable[[str], str]) -> Iterator[dict[str, str]]:
    for row in rows:
        until = datetime.fromtimestamp(row.expires_at // 1_000_000, zone).isoformat(timespec="seconds")
        yield {
            "waybill": row.waybill_no,
            "virtual_number": row.number,
            "extension": row.extension,
            "state": said(row.state),
            "until": until,
            "binding": row.bind_id,
        }


@app.command
def unbind(*numbers: str, json: bool = False, where: Where | None = None) -> None:
    """End the virtual numbers of waybills now: nobody reaches the recipient by them any more.

    Example: parcelveil label numbers unbind YT0000000000001

    Parameters
    ----------
    numbers
        Waybill numbers; - reads them from standard input, one a line.
    json
        Summary as one JSON object on standard output.
    """
    asked = waybills(numbers)
    with (where or Where()).open() as workspace:
        ended = workspace.numbers.unbind(asked)
    others = len(set(asked)) - ended
    lines = [say("{count} unbound").format(count=f"{ended:,}")]
    if others:
        lines.append("  " + say("{count} had no number").format(count=f"{others:,}"))
    summary({"unbound": ended, "none": others}, lines, as_json=json)


def read_numbers(path: str, now: datetime) -> dict[str, tuple[str, str]]:
    """Waybill number -> virtual number and extension, from a side file: what the print station needs of it, without a key.

    Numbers that have expired at ``now`` are left out. Raises InputError for another file.
    """
    from parcelveil.adapt.source import open_source
    from parcelveil.label.numbers import by_waybill, side_table

    with open_source(path) as source:
        return by_waybill(side_table(source.schema, (raw.batch for raw in source.batches()), source.name), now)
