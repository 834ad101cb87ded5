"""Measures several ways of doing one thing side by side: interleaved rounds, medians, CPU time and wall."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Figures(NamedTuple):
    """Medians over the rounds, in seconds. ``cpu`` counts all threads of the process."""

    cpu: float
    wall: float


def interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, Figures]:
    """Run each way once a round (after one round of warming up), so that drift of the machine hits all alike."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            started, busy = time.perf_counter(), time.process_time()
            way()
            if round_:
                wall[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - busy)
    return {name: Figures(statistics.median(cpu[name]), statistics.median(wall[name])) for name in ways}


def report(rows: list[tuple[str, str, str]], ratios: dict[str, float]) -> None:
    """A table for people, then one JSON object of the ratios on the last line."""
    print("| what | measured | ratio or figure |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(json.dumps({name: round(value, 3) for name, value in ratios.items()}))
