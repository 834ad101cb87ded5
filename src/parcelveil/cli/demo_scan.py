"""The demo's scan: a folder of the kinds of files in which parcels' data leaked, and what the scan says of each."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.cli.terminal import table

if TYPE_CHECKING:
    from parcelveil.scan.survey import Survey
    from parcelveil.scan.tally import Verdict
    from parcelveil.simulate.leak_files import LeakFile

#: Files that are nobody's, as leak_folder() calls them.
_INNOCENT = "nobody's data"


def scan_demo(folder: Path, first: int) -> int:
    """Make the files, and scan them; steps from ``first``. Returns the number of the step that comes next."""
    from parcelveil.scan import warm
    from parcelveil.simulate.leak_files import leak_folder

    files = leak_folder(folder / "leak")
    planted = set().union(*(file.planted for file in files))
    print(f"\n{first}. a folder of the kinds of files in which parcels' data leaked: {len(files)} files, with "
          f"{len(planted):,} values of people who do not exist")  # fmt: skip
    if not warm.prepared():
        print("   the scanner is prepared for this machine, once: a minute or two", flush=True)
        warm.prepare()
    survey, written, took = _scan(folder / "leak")
    size = sum((folder / "leak" / file.name).stat().st_size for file in files)
    print(f"{first + 1}. scanned: {survey.findings:,} findings in {size / 1e3:,.0f} kB, pictures too ({took:.1f} s)\n")
    verdicts = list(survey.tally.verdicts())
    print(table(["file", "what it is", "people in it", "verdict"], list(_rows(files, verdicts, survey))))
    found, there = _people(files, verdicts)
    clean = "nothing in nobody's files" if not _in_innocent(files, verdicts) else "SOMETHING in nobody's files"
    print(f"\n   people found: {found:,} of {there:,}; {clean}")
    for why, names in _not_read(survey).items():
        print(f"   not read, or in part: {', '.join(names)} ({why})")
    shown = sum(value.encode() in written for value in planted)
    print(f"   the findings: {survey.findings:,} lines that say what stands where, how sure that is and why; "
          f"of the {len(planted):,} values they hold {shown or 'none'}")  # fmt: skip
    return first + 2


def _scan(folder: Path) -> tuple[Survey, bytes, float]:
    """The scan of a folder, its findings as JSON lines, and how long it took."""
    from parcelveil.cli.scan_files import documents_of
    from parcelveil.scan.engine import Scanner
    from parcelveil.scan.sinks import JsonLines
    from parcelveil.scan.survey import Survey

    written = io.BytesIO()
    scanner = Scanner.default(threads=len(os.sched_getaffinity(0)))
    scanner.scan_bytes(b"")
    started = time.perf_counter()
    survey = Survey(scanner, sinks=[JsonLines(written)])
    for document in documents_of([str(folder)], survey, ocr=True):
        survey.take(document)
    survey.finish()
    return survey, written.getvalue(), time.perf_counter() - started


def _of(file: LeakFile, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on a file, and on what is in it; what is in its codes says no more than its text."""
    return [one for one in verdicts if one.place.source.endswith(f"/{file.name}") and one.code != "keys"]


def _rows(files: Sequence[LeakFile], verdicts: Sequence[Verdict], survey: Survey) -> Iterator[list[str]]:
    outcomes = {read.place.source: read.outcome for read in survey.manifest.problems}
    for file in files:
        own = _of(file, verdicts)
        said = [f"{one.words('en')} ({one.severity})" if one.severity != "none" else one.words("en") for one in own]
        outcome = next((outcome for source, outcome in outcomes.items() if source.endswith(f"/{file.name}")), "")
        said = said or [{"partly": "read in part", "skipped": "not read"}.get(outcome, "nothing found")]
        yield [file.name, file.what, f"{file.people or ''}", said[0]]
        yield from (["", "", "", more] for more in said[1:])


def _people(files: Sequence[LeakFile], verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """People that were found in files, and people that were put there."""
    found = [min(file.people, sum(one.facts.people for one in _of(file, verdicts))) for file in files]
    return sum(found), sum(file.people for file in files)


def _in_innocent(files: Sequence[LeakFile], verdicts: Sequence[Verdict]) -> int:
    return sum(one.facts.people for file in files if file.what == _INNOCENT for one in _of(file, verdicts))


def _not_read(survey: Survey) -> dict[str, list[str]]:
    """Why -> names of the files that were not read, or not wholly: silence is never "clean"."""
    found: dict[str, list[str]] = {}
    for read in survey.manifest.problems:
        found.setdefault(read.why, []).append(Path(read.place.source).name)
    return found
