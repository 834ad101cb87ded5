"""Loads files of work events into the custody index: read, take in, index; bad rows are listed, never dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from parcelveil.adapt.source import Source, open_source
from parcelveil.cli.language import say
from parcelveil.cli.streams import Rejects, read_mapping
from parcelveil.cli.terminal import Progress
from parcelveil.errors import HeaderError
from parcelveil.event import WORK
from parcelveil.intake.work import take_work
from parcelveil.waybill import RawBatch
from parcelveil.workspace import Workspace


def load(files: list[str], map: str | None, workspace: Workspace) -> tuple[dict[str, Any], list[str]]:
    """Load ``files``, each whole or not at all. Returns the facts of the summary, and its lines."""
    names = read_mapping(map).get("columns", {})
    if not isinstance(names, dict) or not set(names.values()) <= set(WORK.names):
        raise HeaderError("the mapping names columns that work events do not have", hint="see docs/work-events.md")
    total: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    lines = []
    for file in files:
        name = say("standard input") if file == "-" else Path(file).name
        rejects = Rejects(None if file == "-" else f"{file}.rejects.csv")
        try:
            with open_source(file) as source:
                progress = Progress(say("loading {file}").format(file=name), source.size, source.position)
                try:
                    loaded = workspace.custody.load(_events(source, names, workspace, rejects, progress))
                finally:
                    progress.close()
            rejects.commit()
        finally:
            rejects.close()
        total.update({**loaded._asdict(), "rejected": rejects.total})
        reasons.update(rejects.counts)
        lines.append(
            say("{file}: {events} events, {applied} new, {passed_over} known or older").format(
                file=name, **{word: f"{count:,}" for word, count in loaded._asdict().items()}
            )
        )
        if rejects.total:
            why = ", ".join(f"{code} {count:,}" for code, count in rejects.counts.most_common())
            seen = f": {rejects.path}" if rejects.path else ""
            lines.append(
                say("  {count} rows were no events ({why})").format(count=f"{rejects.total:,}", why=why) + seen
            )
    facts: dict[str, Any] = {name: total[name] for name in ("events", "applied", "passed_over", "other", "rejected")}
    return {**facts, "reasons": dict(reasons)}, lines


def _events(
    source: Source, names: dict[str, str], workspace: Workspace, rejects: Rejects, progress: Progress
) -> Iterator[pa.RecordBatch]:
    done = 0
    for raw in source.batches():
        rejects.add(raw.rejects)
        taken = take_work(_renamed(raw, names), source.name, utc_offset_minutes=workspace.settings.utc_offset_minutes)
        rejects.add(taken.rejects)
        done += raw.batch.num_rows
        progress.advance(done)
        yield taken.batch


def _renamed(raw: RawBatch, names: dict[str, str]) -> RawBatch:
    return raw._replace(batch=raw.batch.rename_columns([names.get(name, name) for name in raw.batch.schema.names]))
