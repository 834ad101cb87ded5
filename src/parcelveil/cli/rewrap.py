"""``parcelveil rewrap``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from parcelveil.cli.terminal import Progress, Where, summary
from parcelveil.errors import EXIT_REJECTS, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.seal.kernel import SealKeys


def rewrap(
    file: str | None = None,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    day: str | None = None,
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> int:
    """Seal a sealed file anew under the newest keys; without a file, wrap all keys under a new key-encryption key.

    Example: parcelveil keys rotate --day 2026-11-23 && parcelveil rewrap old.sealed.parquet -o new.sealed.parquet

    Clear values exist in memory only. Rows that do not open (erased, changed) are left out and listed.

    Parameters
    ----------
    file
        The sealed file.
    output
        The new sealed file.
    day
        Day of waybills that carry no time, as it was given to 'seal'. Default: today.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    """
    import numpy as np

    from parcelveil.adapt.sink import open_sink
    from parcelveil.adapt.source import open_source
    from parcelveil.cli.seal import parse_day
    from parcelveil.cli.streams import Rejects, check_sealed, opened
    from parcelveil.seal import kernel
    from parcelveil.waybill import sealed_schema

    with (where or Where()).open() as workspace:
        started = workspace.clock.now()
        if file is None:
            workspace.key_event("kek-rotated")
            version = workspace.ring.rotate_kek()
            workspace.record("rewrap", started, rows=0, values=0, rejected=0)
            summary({"kek_version": version}, [f"all keys are wrapped under key version {version} now"], as_json=json)
            return 0
        if output is None:
            raise UsageError("where shall the new file go?", hint="give -o FILE")
        default = parse_day(day)
        rejected = Rejects(f"{output}.rejects.csv" if output != "-" else None)
        rows = 0
        with open_source(file) as source:
            schema = check_sealed(source, workspace.settings.tenant)
            clear = opened(source, schema, workspace, rejected, scene="rewrap")

            def jobs() -> Iterator[tuple[pa.RecordBatch, SealKeys]]:
                for batch in clear:
                    fallback = workspace.ring.today() if default is None else default
                    days = kernel.days_of(batch, workspace.settings.utc_offset_minutes, fallback)
                    yield batch, workspace.ring.seal_keys(np.unique(days).tolist(), default_day=fallback)

            progress = Progress(f"rewrapping {file}", source.size, source.position)
            target = sealed_schema(kernel.clear_schema(schema), workspace.settings.tenant)
            try:
                with open_sink(output, target, force=force) as sink:
                    for sealed in workspace.engine.map(lambda job: kernel.seal_batch(*job), jobs()):
                        sink.write(sealed)
                        rows += sealed.num_rows
                        progress.advance(rows)
                    rejected.commit()
                    sink.commit()
            finally:
                progress.close()
                rejected.close()
        workspace.record("rewrap", started, rows=rows, values=0, rejected=rejected.total)
    lines = [f"sealed {rows:,} waybills anew into {output}"]
    if rejected.total:
        lines.append(f"  left out {rejected.total:,} rows that do not open: see {rejected.path}")
    summary({"rows": rows, "rejected": dict(rejected.counts)}, lines, as_json=json)
    return EXIT_REJECTS if rejected.total else 0
