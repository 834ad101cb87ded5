"""``parcelveil simulate``."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from cyclopts import App, Parameter

from parcelveil.cli import simulate_carrier
from parcelveil.cli.terminal import Progress, summary
from parcelveil.errors import UsageError

app = App(name="simulate", help="Make realistic data of people who do not exist.")
app.command(simulate_carrier.carrier)


@app.command
def parcels(
    *,
    count: int = 100_000,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    seed: int = 0,
    day: str | None = None,
    foreign: float = 0.04,
    dirty: bool = False,
    encoding: str = "utf-8-sig",
    force: bool = False,
    json: bool = False,
) -> None:
    """Make a day of waybills. The same seed gives the same bytes.

    Example: parcelveil simulate parcels --count 1000000 -o day.parquet

    Parameters
    ----------
    count
        How many waybills.
    output
        File to write; its ending says the format.
    seed
        Another seed, another day.
    day
        The day (2026-11-23) they were made on.
    foreign
        Share that goes abroad.
    dirty
        Write an order export (CSV) as outlets upload it, with bad rows among the good.
    encoding
        Encoding of a dirty export: utf-8-sig or gb18030.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.simulate.dirty import write_dirty_csv
    from parcelveil.simulate.parcels import DEFAULT_DAY
    from parcelveil.simulate.parcels import parcels as generate

    if dirty:
        kinds = write_dirty_csv(output, count, seed=seed, encoding=encoding)
        summary({"rows": count, "kinds": kinds}, [f"wrote {count:,} rows to {output}: {kinds}"], as_json=json)
        return
    from parcelveil.adapt.sink import open_sink
    from parcelveil.waybill import WAYBILL

    try:
        chosen = date.fromisoformat(day) if day else DEFAULT_DAY
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=day) from None
    rows = 0
    progress = Progress("making parcels", count, lambda: rows)
    try:
        with open_sink(output, WAYBILL, force=force) as sink:
            for batch in generate(count, seed=seed, day=chosen, foreign=foreign):
                sink.write(batch)
                rows += batch.num_rows
                progress.advance(rows)
            sink.commit()
    finally:
        progress.close()
    summary({"rows": rows}, [f"made {rows:,} waybills of {chosen} in {output}"], as_json=json)
