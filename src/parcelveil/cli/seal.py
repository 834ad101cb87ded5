"""``parcelveil seal``."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import EXIT_REJECTS, UsageError


def seal(
    *files: str,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    map: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    to: str | None = None,
    rejects: str | None = None,
    revision: int = 0,
    day: str | None = None,
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Seal every personal field of waybills.

    Example: parcelveil seal orders.csv

    Parameters
    ----------
    files
        Files, folders, globs, or - for standard input.
    output
        File, folder, or - for standard output. Default: NAME.sealed.parquet beside each file.
    map
        Mapping file (TOML) for columns that are not recognised.
    format
        Format of the input, if its name and content do not tell.
    encoding
        Encoding of the input: utf-8, gb18030 …; else detected.
    sheet
        Sheet of a workbook; default: the first with content.
    to
        Format of the output: parquet, arrow, csv, tsv, jsonl, xlsx; else by the output's name.
    rejects
        Where rejected rows are listed. Default: OUTPUT.rejects.csv.
    revision
        Revision for rows that have none: raise it when you seal corrected values under the same numbers.
    day
        Day (2026-11-23) of waybills that carry no time. Default: today.
    force
        Overwrite existing outputs.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.adapt.sink import open_sink
    from parcelveil.adapt.source import expand, open_source
    from parcelveil.cli.streams import Rejects, read_mapping, seal_source, sealed_output_schema

    if not files:
        raise UsageError("nothing to seal", hint="name a file: parcelveil seal orders.csv")
    default_day = parse_day(day)
    mapping = read_mapping(map)
    inputs = expand(files)
    targets = outputs(inputs, output, "sealed.parquet" if to is None else f"sealed.{to}")
    worst, facts = 0, []
    with (where or Where()).open() as workspace:
        for path, target in zip(inputs, targets, strict=True):
            started = workspace.clock.now()
            listed = rejects or (None if target == "-" else f"{target}.rejects.csv")
            schema = sealed_output_schema(workspace.settings.tenant)
            rejected = Rejects(listed)
            try:
                with (
                    open_sink(target, schema, format=to, force=force) as sink,  # first: a full pipe is not read in vain
                    open_source(path, format=format, encoding=encoding, sheet=sheet) as source,
                ):
                    result = seal_source(
                        source, sink, workspace, rejected, mapping=mapping, revision=revision, default_day=default_day
                    )
                    rejected.commit()
                    sink.commit()
            finally:
                rejected.close()
            seconds = (workspace.clock.now() - started).total_seconds()
            workspace.record("seal", started, rows=result.rows, values=result.values, rejected=rejected.total)
            left = result.recognised.unrecognised if result.recognised else ()
            facts.append(
                {
                    "input": path,
                    "output": target,
                    "rows": result.rows,
                    "values": result.values,
                    "rejected": dict(rejected.counts),
                    "lines_merged": result.lines_merged,
                    "warnings": dict(result.warnings),
                    "not_taken_over": list(left),
                    "seconds": round(seconds, 3),
                }
            )
            summary(
                {},
                _lines(facts[-1], rejected.path, rejected.counts, result.recognised.notes if result.recognised else ()),
                as_json=False,
            )
            worst = max(worst, EXIT_REJECTS if rejected.total else 0)
    if json:
        summary({"files": facts}, [], as_json=True)
    return worst


def _lines(fact: dict[str, object], listed: str | None, counts: Counter[str], notes: tuple[str, ...]) -> list[str]:
    seconds = float(str(fact["seconds"]))
    rate = f", {int(str(fact['rows'])) / seconds:,.0f} rows/s" if seconds > 1 else ""
    lines = [
        f"sealed {fact['rows']:,} waybills ({fact['values']:,} values) of {fact['input']} into {fact['output']}{rate}"
    ]
    lines += [f"  note: {note}" for note in notes]
    if fact["lines_merged"]:
        lines.append(f"  {fact['lines_merged']:,} further lines of orders joined")
    if isinstance(fact["warnings"], dict):
        lines += [f"  warning: {code} ({count:,})" for code, count in fact["warnings"].items()]
    left = fact["not_taken_over"]
    if isinstance(left, list) and left:
        lines.append("  not taken over: " + ", ".join(name.strip() or "(no name)" for name in left))
    if counts:
        reasons = ", ".join(f"{code} {count:,}" for code, count in counts.most_common())
        lines.append(f"  rejected {counts.total():,} rows ({reasons})" + (f": see {listed}" if listed else ""))
    return lines


def parse_day(text: str | None) -> int | None:
    """A day as days since 1970-01-01."""
    if text is None:
        return None
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=text) from None


def outputs(inputs: list[str], output: str | None, ending: str) -> list[str]:
    """The output of each input."""
    if output is not None and not Path(output).is_dir() and len(inputs) > 1:
        raise UsageError(
            "{count} inputs cannot all go to {file}",
            hint="name an existing folder with -o",
            count=len(inputs),
            file=output,
        )
    targets = []
    for path in inputs:
        name = f"{_stem(Path(path).name)}.{ending}"
        if output is None:
            targets.append("-" if path == "-" else str(Path(path).with_name(name)))
        else:
            targets.append(str(Path(output) / name) if Path(output).is_dir() else output)
    doubled = [name for name, count in Counter(targets).items() if count > 1 and name != "-"]
    if doubled:
        raise UsageError("two inputs would both become {file}", hint="seal them one by one with -o", file=doubled[0])
    return targets


def _stem(name: str) -> str:
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(ending)
    return name.rsplit(".", 1)[0] if "." in name else name
