"""``parcelveil open``: the key holder's offline tool."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parcelveil.cli.terminal import Progress, Where, summary, table
from parcelveil.errors import EXIT_REJECTS, AuthenticityError, UsageError


def open_(
    file: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    waybill: list[str] | None = None,
    fields: list[str] | None = None,
    to: str | None = None,
    rejects: str | None = None,
    strict: bool = False,
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Open sealed waybills, as the holder of the keys.

    Example: parcelveil open orders.sealed.parquet --waybill YT0000000000001

    Parameters
    ----------
    file
        The sealed file, or - for standard input.
    output
        File or - for standard output. Without it, and with --waybill, the waybills are shown here.
    waybill
        Only these waybill numbers.
    fields
        Only these personal columns (to_name, to_phone …); the others stay empty.
    to
        Format of the output; else by its name.
    rejects
        Where rows that do not open are listed. Default: OUTPUT.rejects.csv.
    strict
        Write nothing if any row does not open.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.adapt.sink import open_sink
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.streams import Rejects, check_sealed, opened
    from parcelveil.seal.kernel import clear_schema
    from parcelveil.waybill import WAYBILL, personal_fields

    known = [field.name for field in personal_fields(WAYBILL)]
    wrong = [name for name in fields or [] if name not in known]
    if wrong:
        raise UsageError(
            "{name} is no personal column", hint="there are: {known}", name=wrong[0], known=", ".join(known)
        )
    if output is None and not waybill:
        raise UsageError("where shall the clear data go?", hint="give -o FILE, or --waybill NO to see one waybill")
    rows = values = 0
    listed = rejects or (f"{output}.rejects.csv" if output not in (None, "-") else None)
    rejected = Rejects(listed)
    with (where or Where()).open() as workspace, open_source(file) as source:
        started = workspace.clock.now()
        schema = check_sealed(source, workspace.settings.tenant)
        batches = opened(source, schema, workspace, rejected, fields=fields, numbers=set(waybill) if waybill else None)
        progress = Progress(f"opening {file}", source.size, source.position)
        try:
            if output is None:
                for batch in batches:
                    rows += batch.num_rows
                    for record in batch.to_pylist():
                        shown = [[k, str(v)] for k, v in record.items() if v is not None]
                        values += sum(record[name] is not None for name in known if name in record)
                        print(table(["column", "value"], shown), end="\n\n")
            else:
                with open_sink(output, clear_schema(schema), format=to, force=force) as sink:
                    for batch in batches:
                        sink.write(batch)
                        rows += batch.num_rows
                        values += sum(
                            batch.num_rows - batch[name].null_count for name in known if name in batch.schema.names
                        )
                        progress.advance(rows)
                    if strict and rejected.total:
                        raise AuthenticityError("{count} rows do not open; nothing was written", count=rejected.total)
                    rejected.commit()
                    sink.commit()
        finally:
            progress.close()
            rejected.close()
        workspace.record("open", started, rows=rows, values=values, rejected=rejected.total)
    reasons = ", ".join(f"{code} {count:,}" for code, count in rejected.counts.most_common())
    lines = [f"opened {rows:,} waybills ({values:,} values)"]
    if rejected.total:
        lines.append(f"  {rejected.total:,} rows stay shut ({reasons})" + (f": see {listed}" if listed else ""))
    elif waybill and not rows:
        lines.append("  no such waybill in this file")
    facts = {"rows": rows, "values": values, "rejected": dict(rejected.counts)}
    summary(facts, lines, as_json=json)
    return EXIT_REJECTS if rejected.total else 0
