"""``parcelveil label``: prints masked labels from sealed waybills. It needs no key and opens no workspace."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from parcelveil.cli import label_check, label_numbers
from parcelveil.cli.asking import refuse_words
from parcelveil.cli.language import say
from parcelveil.cli.output import listed, whole_file
from parcelveil.cli.terminal import Progress, summary
from parcelveil.errors import EXIT_REJECTS, InputError, OutputError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.adapt.source import Source
    from parcelveil.cli.streams import Rejects
    from parcelveil.label.compose import Press
    from parcelveil.label.content import Refused
    from parcelveil.label.gate import Clear
    from parcelveil.label.printing import Output

app = App(
    name="label",
    help="Print labels that show masks, a bar code and an opaque token; check anybody's labels.",
    error_formatter=refuse_words,
)

app.command(label_check.check)
app.command(label_numbers.app)

FORMATS = ("pdf", "png", "zpl")


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """How labels are printed."""

    layout: str = "100x180"
    "Layout: 100x180, 100x150, 76x130, or a TOML file of your own (see 'parcelveil label layouts')."
    format: str | None = None
    "pdf, png (a folder of pictures, or one .png) or zpl; else by the output's name."
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
    """Print the labels of sealed waybills. No key is needed, and nothing of a clear value is there to be stolen.

    Example: parcelveil label orders.sealed.parquet -o labels.pdf --station 310-A12-P2

    Each label is read back (both codes, the mark, the text) before anything is written. A waybill that can have no
    label ends the run with nothing written, unless --skip says otherwise.

    Parameters
    ----------
    file
        The sealed file, or - for standard input.
    output
        File, folder (for png) or - for standard output. Default: NAME.labels.pdf beside the file.
    how
        How labels are printed.
    waybill
        Only these waybill numbers.
    clear
        The clear file of the same waybills, where it may be read: makes sure that none of its values is on a label.
    skip
        Print the others when a waybill can have no label, and list it in OUTPUT.rejects.csv.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    """
    from datetime import datetime

    from parcelveil.adapt.source import open_source
    from parcelveil.cli.label_numbers import read_numbers
    from parcelveil.cli.streams import Rejects
    from parcelveil.label.compose import DOTS, Press
    from parcelveil.label.content import Job, station_of
    from parcelveil.label.font import FontSet
    from parcelveil.label.gate import Gate
    from parcelveil.label.layout import load
    from parcelveil.label.printing import Printer

    how = how or How()
    if how.dpi not in DOTS:
        raise UsageError("labels are drawn for 203 or 300 dpi, not {dpi}", hint="give --dpi 203", dpi=how.dpi)
    target = output or _beside(file)
    kind = _format(target, how.format)
    started = datetime.now().astimezone()
    numbers = read_numbers(how.numbers, started) if how.numbers else {}
    job = Job(load(how.layout), station_of(how.station), started, numbers)
    press = Press(job.layout, FontSet(how.font or ()), how.dpi)
    gate = Gate(press, _clear(clear) if clear else None)
    rejects = Rejects(f"{target}.rejects.csv" if skip and target != "-" else None)
    with ExitStack() as stack:
        stack.callback(rejects.close)
        source = stack.enter_context(open_source(file))
        columns = _columns(source)
        out, commit = stack.enter_context(_output(target, kind, press, force=force))
        printer = Printer(job, press, gate=gate, output=out, refuse=_refuser(source.name, rejects, skip=skip))
        place = _Place(source)
        progress = Progress(say("printing {file}").format(file=Path(source.name).name), source.size, place.position)
        stack.callback(progress.close)
        for batch, rows in _rows(source, columns, rejects, waybill, skip=skip):
            place.begin(batch.num_rows)
            printer.take(batch, rows, place.telling(progress))
        printer.finish()
        if not printer.printed:
            raise InputError(
                "there is no label to print in {file}", hint="check the file and --waybill", file=source.name
            )
        rejects.commit()
        commit()
    seconds = (datetime.now().astimezone() - started).total_seconds()
    facts = {
        "input": file,
        "output": target,
        "labels": printer.printed,
        "refused": dict(rejects.counts),
        "layout": job.layout.name,
        "format": kind,
        "station": job.station,
        "serial": job.serial,
        "seconds": round(seconds, 3),
    }
    summary(facts, _lines(facts, rejects, seconds), as_json=json)
    return EXIT_REJECTS if rejects.total else 0


class _Place:
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
    rate = f", {facts['labels'] / seconds:,.0f}/s" if seconds > 1 else ""
    lines = [
        say("printed {count} labels ({layout}, {format}) of {input} into {output}").format(
            count=f"{facts['labels']:,}",
            layout=facts["layout"],
            format=facts["format"],
            input=facts["input"],
            output=facts["output"],
        )
        + rate,
        "  "
        + say("print station {station}; serials {serial}-…").format(station=facts["station"], serial=facts["serial"]),
    ]
    if rejects.total:
        reasons = ", ".join(f"{code} {count:,}" for code, count in rejects.counts.most_common())
        told = say("{count} waybills get no label ({reasons})").format(count=f"{rejects.total:,}", reasons=reasons)
        lines.append(f"  {told}" + (f": {rejects.path}" if rejects.path else ""))
    return lines


def _beside(file: str) -> str:
    if file == "-":
        raise UsageError("where shall the labels go?", hint="give -o FILE, or -o - for standard output")
    name = Path(file).name.removesuffix(".parquet").removesuffix(".sealed")
    return str(Path(file).with_name(f"{name}.labels.pdf"))


def _format(target: str, given: str | None) -> str:
    kind = given.lower() if given else Path(target).suffix.lower().removeprefix(".") if target != "-" else "pdf"
    if kind not in FORMATS:
        raise UsageError(
            "labels are written as pdf, png or zpl, not as {word}",
            hint="name a file like labels.pdf, or give --format",
            word=given or Path(target).name,
        )
    return kind


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
    source: Source, columns: Sequence[str], rejects: Rejects, wanted: Sequence[str] | None, *, skip: bool
) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
    """The rows that labels are made of, only of the columns that stand on them: sealed values are not kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from parcelveil.waybill import SEALED

    for raw in source.batches():
        if raw.rejects:
            rejects.add(raw.rejects)
            if not skip:
                first = raw.rejects[0]
                raise InputError(
                    "{file} row {row} cannot be read", hint="--skip prints the others", file=source.name, row=first.row
                )
        plain = [raw.batch[name].cast(SEALED.field(name).type) for name in columns]
        batch, rows = pa.RecordBatch.from_arrays(plain, names=list(columns)), raw.rows
        if wanted is not None:
            chosen = pc.is_in(batch["waybill_no"], pa.array(wanted, pa.string()))
            batch, rows = batch.filter(chosen), rows[chosen.to_numpy(zero_copy_only=False)]
        if batch.num_rows:
            yield batch, rows.tolist()


def _refuser(file: str, rejects: Rejects, *, skip: bool) -> Callable[[Refused], None]:
    from parcelveil.label.problems import reason, refusal
    from parcelveil.waybill import Reject

    def refuse(refused: Refused) -> None:
        if not skip:
            raise refusal(refused.problem, refused.waybill)
        told = reason(refused.problem, refused.waybill)
        number = None if refused.waybill.startswith("row ") else refused.waybill
        rejects.add([Reject(file, refused.row, number, refused.problem.detail or None, refused.problem.code, told)])

    return refuse


@contextmanager
def _output(target: str, kind: str, press: Press, *, force: bool) -> Iterator[tuple[Output, Callable[[], object]]]:
    """Where labels go, and what makes them appear."""
    from parcelveil.adapt.sink import open_bytes
    from parcelveil.label.printing import PdfOutput, PngOutput, ZplOutput

    if kind == "png" and not target.lower().endswith(".png"):
        with _folder(target) as (folder, commit):
            yield PngOutput(press, lambda place, data: _put(folder / f"label-{place:06d}.png", data)), commit
        return
    with open_bytes(target, force=force) as file:
        if kind == "png":
            yield PngOutput(press, _only_one(file.write)), file.commit
        else:
            yield (PdfOutput(file.write) if kind == "pdf" else ZplOutput(press, file.write)), file.commit


def _only_one(write: Callable[[bytes], object]) -> Callable[[int, bytes], object]:
    def one(place: int, data: bytes) -> object:
        if place > 1:
            raise UsageError(
                "one .png holds one label, and there are more",
                hint="name a folder: -o labels/ --format png; or choose with --waybill",
            )
        return write(data)

    return one


@contextmanager
def _folder(target: str) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A folder that appears whole or not at all."""
    place = Path(target)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise OutputError("{file} exists already", hint="choose another name; it is not overwritten", file=target)
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir()
        yield part, lambda: part.replace(place)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise OutputError("{file} could not be written: {why}", file=target, why=why) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _clear(path: str) -> Clear:
    """The clear values of a file of orders. They stay in memory only."""
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.streams import refuse_sealed
    from parcelveil.intake.headers import recognise
    from parcelveil.intake.rows import Intake
    from parcelveil.label.gate import Clear
    from parcelveil.waybill import WAYBILL

    with open_source(path) as source:
        refuse_sealed(source)
        intake = Intake(recognise(source.schema.names, {}), source.name, schema=WAYBILL)
        return Clear.of([intake.take(raw).batch for raw in source.batches()])


@app.command
def layouts(
    *,
    copy: str | None = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    fields: bool = False,
    json: bool = False,
) -> None:
    """List the layouts, or copy one to change it.

    Example: parcelveil label layouts --copy 100x150 -o ours.toml

    Parameters
    ----------
    copy
        Name of the layout to copy.
    output
        File to write it to.
    fields
        List what a layout can show instead.
    json
        As JSON.
    """
    from parcelveil.label.layout import FIELDS, FOLDER, load, names

    if copy is not None:
        load(copy)
        if output is None:
            raise UsageError("where shall the copy go?", hint="give -o FILE.toml")
        with whole_file(output, force=None) as file:
            file.write((FOLDER / f"{copy}.toml").read_bytes())
        summary(
            {"layout": copy, "output": output},
            [say("{name} is copied into {file}").format(name=copy, file=output)],
            as_json=json,
        )
    elif fields:
        listed([{"field": name, "what": what} for name, what in FIELDS.items()], "", as_json=json)
    else:
        known = [load(name) for name in names()]
        rows = [
            {"layout": one.name, "width_mm": one.width_mm, "height_mm": one.height_mm, "languages": list(one.languages)}
            for one in known
        ]
        listed(rows, "", as_json=json)
