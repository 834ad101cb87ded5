"""Runs the kernel over files: read, take in, seal (or open), write whole or not at all.

The rim of the pure parts: everything here is about files, batches in flight and counting. Rejected rows go to a
file of their own with row number, waybill number and reason, never with the row's contents.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.adapt.sink import Sink, open_sink
from parcelveil.adapt.source import Source
from parcelveil.cli.terminal import Progress
from parcelveil.errors import AlreadySealedError, HeaderError, InputError
from parcelveil.intake.headers import Recognised, recognise
from parcelveil.intake.lines import OrderLines, SeenNumbers
from parcelveil.intake.rows import Intake, Taken
from parcelveil.seal import kernel
from parcelveil.waybill import SCHEMA_KEY, SEALED_VERSION, TENANT_KEY, WAYBILL, Reject, personal_fields, sealed_schema

if TYPE_CHECKING:
    from parcelveil.seal.kernel import SealKeys
    from parcelveil.workspace import Workspace

REJECTS = pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in Reject._fields])
REASONS = {
    "waybill_no.doubled": "the waybill number stands further up in this input",
    "waybill_no.erased": "the waybill was erased that day and is not sealed again",
    "epoch.closed": "the day's epoch was destroyed, or the day is before 2000 or in the future",
}
_STATUS_CODE = {kernel.ERASED: "waybill_no.erased", kernel.NO_EPOCH: "epoch.closed"}
#: What `open` and `rewrap` say of rows that stay shut.
SHUT_CODE = {
    kernel.ERASED: "row.erased",
    kernel.TAMPERED: "row.tampered",
    kernel.NO_EPOCH: "row.no_epoch",
    kernel.MALFORMED: "row.malformed",
}


def read_mapping(path: str | None) -> dict[str, Any]:
    """A mapping file, parsed."""
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError("{file} cannot be read: {why}", file=path, why=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HeaderError("{file} is not TOML: {why}", hint="see docs/reading.md", file=path, why=str(error)) from None


class Rejects:
    """Collects rejected rows, and writes them once there is one. Counts by reason."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.first: list[Reject] = []
        self._sink: Sink | None = None

    def add(self, rejects: list[Reject]) -> None:
        if not rejects:
            return
        self.counts.update(reject.code for reject in rejects)
        self.first.extend(rejects[: 10 - len(self.first)])
        if self.path is not None:
            if self._sink is None:
                self._sink = open_sink(self.path, REJECTS, format="csv", force=True)
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*rejects, strict=True), REJECTS, strict=True)
            ]
            self._sink.write(pa.RecordBatch.from_arrays(columns, schema=REJECTS))

    def commit(self) -> None:
        if self._sink is not None:
            self._sink.commit()

    def close(self) -> None:
        if self._sink is not None:
            self._sink.__exit__(None, None, None)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Result(NamedTuple):
    """What one run over one source came to."""

    rows: int
    values: int
    lines_merged: int
    warnings: Counter[str]
    recognised: Recognised | None


def refuse_sealed(source: Source) -> None:
    """Raise when the source holds sealed waybills."""
    if source.sealed:
        raise AlreadySealedError(
            "{file} is sealed already",
            hint="open it with 'parcelveil open', or re-key it with 'rewrap'",
            file=source.name,
        )


def _taken(
    source: Source, intake: Intake, rejects: Rejects, warnings: Counter[str], lines: OrderLines | None
) -> Iterator[Taken]:
    """What the source gives, with the lines of one order joined and doubled numbers taken out."""
    seen = SeenNumbers()

    def unique(taken: Taken) -> Taken:
        rejects.add(taken.rejects)
        warnings.update(taken.warnings)
        again = seen.add(taken.batch["waybill_no"])
        return _without(taken, again, source.name, "waybill_no.doubled", rejects) if again.any() else taken

    for raw in source.batches():
        taken = intake.take(raw)
        yield unique(lines.feed(taken) if lines is not None else taken)
    held = lines.flush() if lines is not None else None
    if held is not None:
        yield unique(held)


def _without(taken: Taken, bad: npt.NDArray[np.bool_], source: str, code: str, rejects: Rejects) -> Taken:
    """``taken`` less its ``bad`` rows, which go to the rejects."""
    places = np.flatnonzero(bad)
    numbers = taken.batch["waybill_no"].take(pa.array(places)).to_pylist()
    rejects.add(
        [
            Reject(source, int(taken.rows[place]), number, None, code, REASONS[code])
            for place, number in zip(places, numbers, strict=True)
        ]
    )
    return taken._replace(batch=taken.batch.filter(pa.array(~bad)), rows=taken.rows[~bad])


def seal_source(
    source: Source,
    sink: Sink,
    workspace: Workspace,
    rejects: Rejects,
    *,
    mapping: dict[str, Any],
    revision: int = 0,
    default_day: int | None = None,
) -> Result:
    """Seal every row of ``source`` into ``sink`` (not committed)."""
    refuse_sealed(source)
    settings = workspace.settings
    recognised = recognise(source.schema.names, mapping)
    intake = Intake(
        recognised,
        source.name,
        schema=WAYBILL,
        country=settings.country,
        utc_offset_minutes=settings.utc_offset_minutes,
        tenant=settings.tenant,
        revision=revision,
    )
    warnings: Counter[str] = Counter()
    lines = OrderLines() if recognised.line_items else None

    def jobs() -> Iterator[tuple[pa.RecordBatch, SealKeys]]:
        for taken in _taken(source, intake, rejects, warnings, lines):
            default = workspace.ring.today() if default_day is None else default_day
            days = kernel.days_of(taken.batch, settings.utc_offset_minutes, default)
            keys = workspace.ring.seal_keys(np.unique(days).tolist(), default_day=default)
            status = kernel.sealable(taken.batch, keys)
            for code in np.unique(status[status != kernel.OK]):
                at = status == code
                taken = _without(taken, at, source.name, _STATUS_CODE[int(code)], rejects)  # noqa: PLW2901
                status = status[~at]
            if taken.batch.num_rows:
                yield taken.batch, keys

    rows = values = 0
    progress = Progress(f"sealing {Path(source.name).name}", source.size, source.position)
    try:
        for count, sealed in workspace.engine.map(lambda job: (_values(job[0]), kernel.seal_batch(*job)), jobs()):
            sink.write(sealed)
            rows, values = rows + sealed.num_rows, values + count
            progress.advance(rows)
    finally:
        progress.close()
    return Result(rows, values, lines.merged if lines else 0, warnings, recognised)


def _values(batch: pa.RecordBatch) -> int:
    """How many personal values a batch holds."""
    return sum(batch.num_rows - batch[field.name].null_count for field in personal_fields(batch.schema))


def sealed_output_schema(tenant: str) -> pa.Schema:
    """The schema of what :func:`seal_source` writes."""
    return sealed_schema(WAYBILL, tenant)


def check_sealed(source: Source, tenant: str) -> pa.Schema:
    """The sealed schema of a source. Raises when it is not sealed, or for another tenant."""
    if not source.sealed:
        raise InputError("{file} is not sealed", hint="seal it first with 'parcelveil seal'", file=source.name)
    metadata = source.schema.metadata or {}
    owner = metadata.get(TENANT_KEY, tenant.encode()).decode()
    if owner != tenant:
        raise InputError(
            "{file} was sealed by the tenant {owner}; this workspace is {tenant}'s",
            hint="name the right workspace with --workspace",
            file=source.name,
            owner=owner,
            tenant=tenant,
        )
    names = {field.name: field for field in sealed_schema(WAYBILL)}
    # Text files, and files that other programs passed on, may have lost the fields' metadata.
    fields = [names[field.name].with_type(field.type) if field.name in names else field for field in source.schema]
    return pa.schema(fields, metadata={**metadata, SCHEMA_KEY: SEALED_VERSION.encode()})


def opened(
    source: Source,
    schema: pa.Schema,
    workspace: Workspace,
    rejects: Rejects,
    *,
    fields: list[str] | None = None,
    numbers: set[str] | None = None,
    scene: str = "open",
) -> Iterator[pa.RecordBatch]:
    """The clear batches of a sealed source, each logged before it is opened; rows that stay shut go to ``rejects``."""
    names = [f.name for f in personal_fields(schema) if fields is None or f.name in fields]

    def jobs() -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64], SealKeys]]:
        for raw in source.batches():
            rejects.add(raw.rejects)
            batch, rows = _typed(raw.batch, schema), raw.rows
            if numbers is not None:
                wanted = np.isin(np.asarray(batch["waybill_no"].to_pylist(), dtype=object), list(numbers))
                batch, rows = batch.filter(pa.array(wanted)), rows[wanted]
            if batch.num_rows:
                epochs = set(kernel.epochs_in(batch))
                if epochs - {header.epoch for header, _ in workspace.ring.headers()}:
                    workspace.ring.refresh()  # made since by who seals at the other end of the pipe
                yield batch, rows, workspace.ring.open_keys(epochs, meter=workspace.release(scene, batch, names))

    def work(job: tuple[pa.RecordBatch, npt.NDArray[np.int64], SealKeys]) -> tuple[Any, ...]:
        batch, rows, keys = job
        return (*kernel.open_rows(batch, keys, fields=fields), rows)

    for clear, status, rows in workspace.engine.map(work, jobs()):
        bad = status != kernel.OK
        if bad.any():
            places = np.flatnonzero(bad)
            named = clear["waybill_no"].take(pa.array(places)).to_pylist()
            rejects.add(
                [
                    Reject(
                        source.name,
                        int(rows[p]),
                        number,
                        None,
                        SHUT_CODE[int(status[p])],
                        kernel.STATUS_TEXT[int(status[p])],
                    )
                    for p, number in zip(places, named, strict=True)
                ]
            )
            yield clear.filter(pa.array(~bad))
        else:
            yield clear


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the schema's metadata; large binaries and the like made plain."""
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        plain = SEALED_TYPES.get(field.name, field.type)
        columns.append(column if column.type == plain else column.cast(plain))
    fields = [field.with_type(column.type) for field, column in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


SEALED_TYPES = {field.name: field.type for field in sealed_schema(WAYBILL)}
