"""``parcelveil inspect``."""

from __future__ import annotations

from parcelveil.cli.terminal import table

_SAMPLES = 3


def inspect(
    file: str,
    /,
    *,
    map: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    country: str = "CN",
) -> None:
    """Show what would be recognised in a file, with three masked values a column. Writes nothing, needs no keys.

    Example: parcelveil inspect orders.csv

    Parameters
    ----------
    file
        The file, or - for standard input.
    map
        Mapping file (TOML) for columns that are not recognised.
    format
        csv, tsv, xlsx, jsonl, parquet or arrow; else by name and content.
    encoding
        utf-8, gb18030, utf-16 …; else detected.
    country
        Where phones without a country code belong.
    """
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.streams import read_mapping, refuse_sealed
    from parcelveil.intake.headers import recognise
    from parcelveil.intake.rows import Intake
    from parcelveil.seal.mask import mask_column
    from parcelveil.waybill import WAYBILL, kind_of

    with open_source(file, format=format, encoding=encoding) as source:
        refuse_sealed(source)
        found = recognise(source.schema.names, read_mapping(map))
        intake = Intake(found, source.name, schema=WAYBILL, country=country)
        raw = next(source.batches(), None)
        encoding = source.encoding
        kind = source.format
    taken = intake.take(raw) if raw is not None else None
    print(f"{file}: {kind}{', ' + encoding if encoding else ''}" + (f", {found.profile}" if found.profile else ""))
    rows = []
    for target in (name for name in WAYBILL.names if name in found.columns or _filled(taken, name)):
        field = WAYBILL.field(target)
        samples = ""
        if taken is not None and taken.batch.num_rows:
            column = taken.batch[target].drop_null().slice(0, _SAMPLES)
            shown = mask_column(column, str(kind_of(field))) if kind_of(field) else column
            samples = ", ".join(str(value)[:40] for value in shown.to_pylist())
        source_names = " + ".join(found.columns.get(target, ("(from the address)",)))
        rows.append([target, source_names, "sealed" if kind_of(field) else "", samples])
    print(table(["column", "read from", "", "samples, masked"], rows))
    for note in found.notes:
        print(f"note: {note}")
    if found.unrecognised:
        print("not taken over: " + ", ".join(name.strip() or "(no name)" for name in found.unrecognised))
    if taken is not None and taken.rejects:
        first = taken.rejects[0]
        print(f"rows that would be rejected so far: {len(taken.rejects)}, the first is row {first.row}: {first.reason}")


def _filled(taken: object, name: str) -> bool:
    """Whether intake found values for a column that the source does not have (areas split from an address)."""
    batch = getattr(taken, "batch", None)
    if batch is None or not name.startswith(("from_", "to_")):
        return False
    return bool(batch[name].null_count < batch.num_rows)
