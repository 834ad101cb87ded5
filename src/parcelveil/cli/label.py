"""``parcelveil label``: prints masked labels from sealed waybills. It needs no key and opens no workspace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import App, Parameter

from parcelveil.cli import label_check, label_layouts, label_numbers
from parcelveil.cli.asking import refuse_words
from parcelveil.cli.label_output import Ended, Place, appearing, ending_orderly, opened, place_of
from parcelveil.cli.language import say
from parcelveil.cli.terminal import Progress, plain, summary
from parcelveil.errors import EXIT_REJECTS, AlreadySealedError, InputError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.adapt.source import Source
    from parcelveil.cli.streams import Rejects
    from parcelveil.label.clear import Clear
    from parcelveil.label.content import Refused

app = App(
    name="label",
    help="Print labels that show masks, a bar code and an opaque token; check anybody's labels.\n\n"
    "Example: parcelveil label orders.sealed.parquet -o labels.pdf --station 310-A12-P2\n\n"
    "No key is needed: masks and tokens were made at sealing, and nothing of a clear value is there to be stolen. "
    "Before anything is written each label is read back as it will be printed: bar code, token, the station's mark, "
    "the text. A waybill that can have no label ends the run with nothing written, unless --skip says otherwise.",
    error_formatter=refuse_words,
)

app.command(label_check.check)
app.command(label_numbers.app)
app.command(label_layouts.layouts)


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """How labels are printed."""

    layout: str = "100x180"
    "Layout: 100x180, 100x150, 76x130, or a TOML file of your own (see 'parcelveil label layouts')."
    format: str | None = None
    "pdf, png (a folder of pictures, or one .png) or zpl; else by the output's name, else pdf."
    dpi: int = 203
    "Resolution of the printer: 203 or 300."
    station: str | None = None
    "Name of this print station, up to 10 letters and digits; it stands in the serial and the mark. Default: one made from the machine's id."
    font: list[Path] | None = None
    "A font for characters that the default ones lack (may be repeated)."
    numbers: str | None = None
    "File of virtual numbers, as 'label numbers bind' wrote it."


@app.default
def label(
    file: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    how: How | None = None,
    waybill: list[str] | None = None,
    clear: str | None = None,
    skip: bool = False,
    force: bool = False,
    json: bool = False,
) -> int:
    """Print the labels of sealed waybills. The group's help says how.

    Parameters
    ----------
    file
        The sealed file, or - for standard input.
    output
        File, folder (for png) or - for standard output. Default: NAME.labels.pdf beside the file, by the format also
        NAME.labels.zpl or the folder NAME.labels.
    how
        How labels are printed.
    waybill
        Only these waybill numbers. What is not in the file is told.
    clear
        The clear file of the same waybills, where it may be read: makes sure that none of its values is on a label.
    skip
        Print the others when a waybill can have no label, and list it in OUTPUT.rejects.csv (replaced without asking).
    force
        Overwrite an existing file. A folder that holds something never is.
    json
        Summary as one JSON object on standard output.
    """
    how = how or How()
    place = _checked(file, output, how, clear, as_json=json)
    try:
        with ending_orderly():
            run = _print(file, place, how, _Wishes(waybill, clear, skip, force))
    except Ended as ended:
        told = say(
            "ended by {signal} while labels were written: look how far they came"
            if ended.late
            else "ended by {signal}: nothing was written"
        )
        print(told.format(signal=ended.name), file=sys.stderr)
        return ended.exit_code
    summary(run.facts, [plain(line) for line in run.lines], as_json=json)
    return EXIT_REJECTS if run.facts["refused"] or run.facts["not_found"] else 0


def _checked(file: str, output: str | None, how: How, clear: str | None, *, as_json: bool) -> Place:
    """Where the labels go. Raises what is wrong with the words, before anything is read."""
    from parcelveil.label.compose import DOTS

    if how.dpi not in DOTS:
        raise UsageError("labels are drawn for 203 or 300 dpi, not {dpi}", hint="give --dpi 203", dpi=how.dpi)
    if file != "-" and Path(file).is_dir():
        raise InputError("{file} is a folder", hint="name a sealed file in it", file=file)
    if "-" in (clear, how.numbers) and (file == "-" or clear == how.numbers):
        raise UsageError("two files cannot both come from standard input", hint="give the path of one of them")
    place = place_of(file, output, how.format)
    if as_json and place.target == "-":
        raise UsageError(
            "labels and summary cannot both go to standard output",
            hint="name a file: -o labels.pdf; or leave --json away",
        )
    return place


class _Wishes(NamedTuple):
    """Which labels, and what is done about the others."""

    waybills: list[str] | None
    clear: str | None
    skip: bool
    force: bool


class _Run(NamedTuple):
    """What a run did: for JSON, and for people."""

    facts: dict[str, Any]
    lines: list[str]


def _print(file: str, place: Place, how: How, wishes: _Wishes) -> _Run:
    from datetime import datetime

    from parcelveil.adapt.source import open_source
    from parcelveil.cli.label_numbers import read_numbers
    from parcelveil.cli.streams import Rejects
    from parcelveil.label.compose import Press
    from parcelveil.label.content import Job, run_letters, station_of
    from parcelveil.label.font import FontSet
    from parcelveil.label.gate import Gate
    from parcelveil.label.layout import load
    from parcelveil.label.printing import Printer

    started = datetime.now().astimezone()
    numbers = read_numbers(how.numbers, started) if how.numbers else {}
    job = Job(load(how.layout), station_of(how.station), started, numbers, run_letters())
    press = Press(job.layout, FontSet(how.font or ()), how.dpi)
    clear, missed = _clear(wishes.clear) if wishes.clear else (None, 0)
    gate = Gate(press, clear)
    rejects = Rejects(place.rejects if wishes.skip else None)
    wanted = None if wishes.waybills is None else _Wanted(wishes.waybills)
    with ExitStack() as stack:
        stack.callback(rejects.close)
        source = stack.enter_context(open_source(file))
        columns = _columns(source)
        out, commit = stack.enter_context(opened(place, press, force=wishes.force))
        printer = Printer(job, press, gate=gate, output=out, refuse=_refuser(source.name, rejects, skip=wishes.skip))
        far = _Far(source)
        progress = Progress(say("printing {file}").format(file=Path(source.name).name), source.size, far.position)
        stack.callback(progress.close)
        for batch, rows in _rows(source, columns, rejects, wanted, skip=wishes.skip):
            far.begin(batch.num_rows)
            printer.take(batch, rows, far.telling(progress))
        printer.finish()
        if not printer.printed and not rejects.total:
            raise InputError(
                "there is no label to print in {file}", hint="check the file and --waybill", file=source.name
            )
        with appearing():
            if printer.printed:
                commit()  # before the list: it is of no use without the labels
            rejects.commit()
    seconds = (datetime.now().astimezone() - started).total_seconds()
    facts = {
        "input": file,
        "output": place.target if printer.printed else None,
        "labels": printer.printed,
        "refused": dict(rejects.counts),
        "not_found": wanted.missing if wanted else [],
        "clear_not_compared": missed,
        "layout": job.layout.name,
        "format": place.format,
        "station": job.station,
        "serial": job.serial,
        "seconds": round(seconds, 3),
    }
    return _Run(facts, _lines(facts, rejects, seconds))


class _Wanted:
    """The waybills that were asked for, and which of them did not turn up."""

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = dict.fromkeys(numbers)
        self._found: set[str] = set()

    def among(self, numbers: pa.Array) -> pa.BooleanArray:
        """True for each that is wanted."""
        import pyarrow as pa
        import pyarrow.compute as pc

        chosen = pc.is_in(numbers, pa.array(self._numbers, pa.string()))
        self._found.update(numbers.filter(chosen).to_pylist())
        return chosen

    @property
    def missing(self) -> list[str]:
        """As they were given."""
        return [number for number in self._numbers if number not in self._found]


class _Far:
    """How far a run is, in bytes of its source: files are read faster than labels are made, many rows at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._from = self._to = 0
        self._before = self._count = self._rows = 0

    def begin(self, rows: int) -> None:
        """A batch of so many rows was read."""
        self._from, self._to = self._to, self._source.position()
        self._before, self._rows = self._count, rows

    def telling(self, progress: Progress) -> Callable[[int], None]:
        """What is told how many labels are printed in all, and tells the bar."""

        def tell(count: int) -> None:
            self._count = count
            progress.advance(count)

        return tell

    def position(self) -> int:
        share = min(1.0, (self._count - self._before) / max(1, self._rows))
        return int(self._from + (self._to - self._from) * share)


def _lines(facts: dict[str, Any], rejects: Rejects, seconds: float) -> list[str]:
    if facts["labels"]:
        rate = f", {facts['labels'] / seconds:,.0f}/s" if seconds > 1 else ""
        told = say(
            "printed {count} label ({layout}, {format}) of {input} into {output}"
            if facts["labels"] == 1
            else "printed {count} labels ({layout}, {format}) of {input} into {output}"
        )
        named = {name: facts[name] for name in ("layout", "format", "input", "output")}
        station = say("print station {station}; serials {serial}-…")
        lines = [
            told.format(count=f"{facts['labels']:,}", **named) + rate,
            "  " + station.format(station=facts["station"], serial=facts["serial"]),
        ]
    else:
        lines = [say("no label was printed of {input}").format(input=facts["input"])]
    if rejects.total:
        reasons = ", ".join(f"{code} {count:,}" for code, count in rejects.counts.most_common())
        told = say(
            "{count} waybill gets no label ({reasons})"
            if rejects.total == 1
            else "{count} waybills get no label ({reasons})"
        )
        told = told.format(count=f"{rejects.total:,}", reasons=reasons)
        lines.append(f"  {told}" + (f": {rejects.path}" if rejects.path else ""))
    if facts["not_found"]:
        told = say("not in the file: {waybills}").format(waybills=", ".join(facts["not_found"]))
        lines.append(f"  {told}")
    if facts["clear_not_compared"]:
        told = say("rows of the clear file that could not be read and compared: {count}")
        lines.append(f"  {told.format(count=format(facts['clear_not_compared'], ','))}")
    return lines


def _columns(source: Source) -> list[str]:
    from parcelveil.label.content import columns_of

    if not source.sealed:
        raise InputError(
            "{file} is not sealed",
            hint="labels are printed from sealed waybills: parcelveil seal {file}",
            file=source.name,
        )
    return columns_of(source.schema, source.name)


def _rows(
    source: Source, columns: Sequence[str], rejects: Rejects, wanted: _Wanted | None, *, skip: bool
) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
    """The rows that labels are made of, only of the columns that stand on them: sealed values are not kept."""
    import pyarrow as pa

    for raw in source.batches():
        if raw.rejects:
            rejects.add(raw.rejects)
            if not skip:
                first = raw.rejects[0]
                raise InputError(
                    "{file} row {row} cannot be read", hint="--skip prints the others", file=source.name, row=first.row
                )
        arrays = [_typed(raw.batch, name, source.name) for name in columns]
        batch, rows = pa.RecordBatch.from_arrays(arrays, names=list(columns)), raw.rows
        if wanted is not None:
            chosen = wanted.among(batch["waybill_no"])
            batch, rows = batch.filter(chosen), rows[chosen.to_numpy(zero_copy_only=False)]
        if batch.num_rows:
            yield batch, rows.tolist()


def _typed(batch: pa.RecordBatch, name: str, file: str) -> pa.Array:
    """A column in the type that sealing writes. Raises InputError when it holds what cannot be that."""
    import pyarrow as pa

    from parcelveil.waybill import SEALED

    try:
        return batch[name].cast(SEALED.field(name).type)
    except (pa.ArrowException, KeyError):  # KeyError: there are two of that name
        raise InputError(
            "{file}: column {column} is not what sealing writes",
            hint="take the file as 'parcelveil seal' wrote it",
            file=file,
            column=name,
        ) from None


def _refuser(file: str, rejects: Rejects, *, skip: bool) -> Callable[[Refused], None]:
    from parcelveil.label.problems import reason, refusal
    from parcelveil.waybill import LABEL_TOKEN, SEALED, Reject

    def column(code: str, detail: str) -> str | None:
        """The column that a problem is about, if it is about one."""
        about = LABEL_TOKEN if code.startswith("token.") else code.partition(".")[0]
        return next((name for name in (detail, about) if name in SEALED.names), None)

    def refuse(refused: Refused) -> None:
        if not skip:
            raise refusal(refused.problem, refused.waybill)
        told = reason(refused.problem, refused.waybill)
        number = None if refused.waybill.startswith("row ") else refused.waybill
        code, detail = refused.problem
        rejects.add([Reject(file, refused.row, number, column(code, detail), code, told)])

    return refuse


def _clear(path: str) -> tuple[Clear, int]:
    """The clear values of a file of orders, in memory only; and how many of its rows cannot be compared."""
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.streams import refuse_sealed
    from parcelveil.intake.headers import recognise
    from parcelveil.intake.rows import Intake
    from parcelveil.label.clear import Clear
    from parcelveil.waybill import WAYBILL, personal_fields

    missed = 0

    def batches(source: Source, intake: Intake) -> Iterator[pa.RecordBatch]:
        nonlocal missed
        for raw in source.batches():
            taken = intake.take(raw)
            missed += len(taken.rejects)
            yield taken.batch

    with open_source(path) as source:
        try:
            refuse_sealed(source)
            recognised = recognise(source.schema.names, {})
        except AlreadySealedError:
            raise AlreadySealedError(
                "{file} is sealed already",
                hint="--clear takes the clear file that the sealed one was made from",
                file=source.name,
            ) from None
        if not any(field.name in recognised.columns for field in personal_fields(WAYBILL)):
            raise InputError(
                "{file} has no column of names, phones or addresses to compare with",
                hint="give the clear file that this sealed file was made from",
                file=source.name,
            )
        return Clear.of(list(batches(source, Intake(recognised, source.name, schema=WAYBILL)))), missed
