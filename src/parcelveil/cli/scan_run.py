"""Runs a scan with everything that its options ask for, and says what came of it."""

from __future__ import annotations

import hashlib
import json as json_of
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from parcelveil.cli.label_output import Ended, ending_orderly
from parcelveil.cli.language import say
from parcelveil.cli.scan_options import Known, Look, Out
from parcelveil.cli.scan_output import Outputs, format_of, naming
from parcelveil.cli.scan_show import Report, facts_of, show, sized
from parcelveil.cli.terminal import Progress, Where, plain
from parcelveil.errors import EXIT_FINDINGS, UsageError
from parcelveil.scan import warm
from parcelveil.scan.allowing import Allowing
from parcelveil.scan.allowlist import load_allow
from parcelveil.scan.audited import scan_entry
from parcelveil.scan.baseline import BaselineWriter, read_baseline
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import Place
from parcelveil.scan.key import ScanKey
from parcelveil.scan.manifest import Manifest
from parcelveil.scan.resume import Identity, Journal, rules_digest
from parcelveil.scan.survey import Survey

if TYPE_CHECKING:
    from parcelveil.scan.document import Document
    from parcelveil.scan.waybill_label import LabelSeen
    from parcelveil.workspace import Workspace


@dataclass(frozen=True)
class Subject:
    """What is scanned. ``documents`` are made for a survey; ``size`` is known where a bar can be drawn."""

    documents: Callable[[Survey], Iterator[Document]]
    size: Callable[[], int | None] = lambda: None
    options: dict[str, str] | None = None  # what else makes it this scan, for a journal
    journal: Path | None = None
    resume: Path | None = None
    labels: list[tuple[Place, LabelSeen]] | None = None  # where documents() puts the labels that it saw


# Parameters of mallopt(3).
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def scan(subject: Subject, look: Look, out: Out, known: Known, where: Where | None) -> int:
    """Scan, write, and say what came of it. Returns the exit code. Raises ParcelveilError for what cannot be done."""
    try:
        with ending_orderly():
            return _scan(subject, look, out, known, where)
    except Ended as ended:
        print(say("ended by {signal}").format(signal=ended.name), file=sys.stderr)
        return ended.exit_code


def _scan(subject: Subject, look: Look, out: Out, known: Known, where: Where | None) -> int:
    families = look.families()
    wanted = look.wanted(families)
    threshold = known.threshold(look.min_confidence)
    key = ScanKey.find(look.key, os.environ)
    journalled = _journalled(subject, out)
    with ExitStack() as stack:
        workspace = stack.enter_context((where or Where()).open()) if out.log else None
        allowing, baseline = _allowing(known, key)
        warmed()
        _give_memory_back()
        names = not look.no_names
        threads = look.threads or len(os.sched_getaffinity(0))
        scanner = Scanner(families, key, threads=threads, least=look.min_confidence, names=names)
        digest = rules_digest(families)
        journal = None
        if journalled is not None:
            identity = Identity(key.key_id, digest, _options(subject, look, known))
            opened = Journal.resume if subject.resume else Journal.begin
            journal = opened(subject.resume or subject.journal or Path(), Path(journalled), identity)
            stack.callback(journal.close)
        outputs = stack.enter_context(Outputs(out, families, lasting=key.lasting, journalled=journalled))
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        survey = Survey(
            scanner,
            wanted=wanted,
            allowing=allowing,
            manifest=Manifest(outputs.manifest, started=started, key_id=key.key_id, rules=digest),
            sinks=outputs.sinks,
            baseline=baseline,
            journal=journal,
        )
        stopped, seconds = _through(subject, survey, journalled)
        finished = not stopped
        if finished:
            survey.finish()
        else:
            survey.tally.finish()
        told = outputs.finish(survey, time_ms=time.time_ns() // 1_000_000, scan=secrets.token_hex(8), finished=finished)
        if journalled is not None:
            told.insert(0, journalled)
        if out.manifest:
            told.append(out.manifest)
        if baseline is not None and known.write_baseline and finished:
            _save(baseline, known.write_baseline, out, told)
        if workspace is not None:
            _log(workspace, survey, key, digest, finished=finished)
    report = Report(
        survey=survey, families=families, key=key, rules=digest, outputs=told, seconds=seconds, finished=finished,
        exceeded=finished and threshold.exceeded(survey.tally), labels=subject.labels,
        journal=str(subject.resume or subject.journal) if journalled else "",
        logged=workspace is not None,
    )  # fmt: skip
    if out.json:
        print(json_of.dumps(facts_of(report), ensure_ascii=False))
    else:
        show(report, sys.stderr if "-" in (out.output or ()) else sys.stdout)
    if not finished:
        print(_stopped(report), file=sys.stderr)
        return stopped
    return EXIT_FINDINGS if report.exceeded else 0


def _give_memory_back() -> None:
    """Arrays of blocks go back to the system when they are done with: else heaps of several threads grow with the file."""
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(AttributeError, OSError):  # not the GNU C library: then it is as it is
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 1 << 20)


def warmed() -> None:
    """Have the passes compiled, and say so before that takes a minute."""
    if not warm.prepared():
        print(say("preparing the scanner for this machine, once: a minute or two"), file=sys.stderr, flush=True)
        warm.prepare()


def _stopped(report: Report) -> str:
    if report.journal:
        told = say("stopped: go on by the same command with --resume {file} in place of --journal")
        return plain(told.format(file=report.journal))
    if report.outputs:
        return plain(say("stopped: what was found until then is in {files}").format(files=", ".join(report.outputs)))
    return say("stopped: nothing was written")


def _through(subject: Subject, survey: Survey, journalled: str | None) -> tuple[int, float]:
    """Take all documents, with a bar. Returns the exit code of what stopped it, 0 at the end, and how many seconds it took."""
    started = time.perf_counter()
    total = subject.size() if sys.stderr.isatty() else None
    bar = Progress(say("scanning"), total, lambda: survey.bytes if total is None else min(survey.bytes, total))
    stopped = 0
    try:
        with _stoppable(survey) as stop:

            def moved() -> None:
                bar.advance(survey.manifest.documents, lambda seconds: _said(survey, seconds))
                if stop:
                    raise stop[0]

            survey.moved = moved
            survey.restore()
            with naming(journalled or say("an output")):
                for document in subject.documents(survey):
                    survey.take(document)
    except Ended as ended:
        stopped = ended.exit_code
    finally:
        survey.moved = lambda: None
        bar.close()
    return stopped, time.perf_counter() - started


@contextmanager
def _stoppable(survey: Survey) -> Iterator[list[Ended]]:
    """Within, Ctrl-C, SIGTERM and SIGHUP raise Ended, and are noted in the list that is given.

    Python drops what is raised in a destructor or a callback, and nothing is raised while findings are written and
    counted: who reads on looks into the list now and then.
    """
    noted: list[Ended] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        found = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        before = {one: handler for one, handler in found.items() if handler not in (signal.SIG_IGN, None)}

    def end(number: int, frame: object) -> None:  # noqa: ARG001
        noted.append(Ended(number))
        if not survey.counting:
            raise noted[-1]

    for one in before:
        signal.signal(one, end)
    try:
        yield noted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _said(survey: Survey, seconds: float) -> str:
    """How far it is, behind the bar."""
    return say("{files} files, {size}, {rate}/s, {findings} findings").format(
        files=f"{survey.manifest.documents:,}",
        size=sized(survey.bytes),
        rate=sized(round(survey.bytes / max(seconds, 1e-3))),
        findings=f"{survey.findings:,}",
    )


def _journalled(subject: Subject, out: Out) -> str | None:
    """The output that a journal keeps. Raises UsageError."""
    if subject.journal is None and subject.resume is None:
        return None
    if subject.journal is not None and subject.resume is not None:
        raise UsageError("--journal begins a scan and --resume goes on with it", hint="give one of them")
    lines = [target for target in out.output or () if target != "-" and format_of(target, out.format) == "jsonl"]
    if len(lines) != 1:
        raise UsageError(
            "a scan that can be resumed keeps its findings in one file of JSON lines", hint="give -o findings.jsonl"
        )
    return lines[0]


def _options(subject: Subject, look: Look, known: Known) -> dict[str, str]:
    """What changes what a scan finds, beside key and rules: a journal holds for equal ones only."""
    told = {
        "--min-confidence": str(look.min_confidence),
        "--tier": str(look.tier),
        "--only": ",".join(sorted(look.only or ())),
        "--except": ",".join(sorted(look.except_ or ())),
        "--no-names": str(look.no_names),
        "--no-comments": str(known.no_comments),
        **(subject.options or {}),
    }
    for name, path in (("--baseline", known.baseline), ("--allow", known.allow)):
        if path is not None:
            told[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return told


class _Allowed(NamedTuple):
    allowing: Allowing
    baseline: BaselineWriter | None


def _allowing(known: Known, key: ScanKey) -> _Allowed:
    here = Path.cwd()
    today = datetime.now().astimezone().date()
    allow = load_allow(known.allow, key, today=today, current=here) if known.allow else None
    before = read_baseline(known.baseline, key, current=here) if known.baseline else None
    writer = BaselineWriter(key, Path(known.write_baseline).parent, here) if known.write_baseline else None
    return _Allowed(Allowing(allow, before, comments=not known.no_comments), writer)


def _save(baseline: BaselineWriter, target: str, out: Out, told: list[str]) -> None:
    from parcelveil.cli.output import whole_file

    with whole_file(target, force=out.force, private=True) as file:
        baseline.save(file)
    told.append(target)


def _log(workspace: Workspace, survey: Survey, key: ScanKey, rules: str, *, finished: bool) -> None:
    entry = scan_entry(survey.tally, survey.manifest, key_id=key.key_id, rules=rules, finished=finished)
    workspace.log.append(entry)


def sizes(paths: Sequence[str]) -> int | None:
    """About how many bytes lie under paths, for the bar; None where looking would take long, or nobody can know."""
    most, total, stack = 200_000, 0, list(paths)
    if "-" in stack or any(not os.path.lexists(path) for path in stack):
        return None
    try:
        while stack and most:
            here = stack.pop()
            if os.path.isdir(here) and (here in paths or not os.path.islink(here)):  # noqa: PTH112, PTH114
                with os.scandir(here) as entries:
                    stack += [entry.path for entry in entries]
            else:
                total += os.lstat(here).st_size
                most -= 1
    except OSError:
        return None
    return total if not stack else None
