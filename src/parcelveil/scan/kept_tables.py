"""The automaton of a rule set, kept on disk: making it takes a second, reading it some milliseconds.

::

    automaton = automaton_of(patterns)        # made once for these patterns, read from then on

It lies beside the compiled passes: in the package's ``__pycache__``, or, where that cannot be written, in the user's cache
folder. It is named by a hash of the patterns and of the module that makes it, holds nothing but numbers, and is made anew when
it cannot be read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from parcelveil.scan import shapes
from parcelveil.scan.shapes import Automaton, compile_patterns

_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def automaton_of(patterns: Sequence[Sequence[str]]) -> Automaton:
    """The automaton of :func:`~parcelveil.scan.shapes.compile_patterns`, from disk where it is there."""
    name = f"automaton-{_hash(patterns)}.npz"
    for folder in _folders():
        try:
            with np.load(folder / name, allow_pickle=False) as file:
                return Automaton(*(file[field] for field in Automaton._fields))
        except _BROKEN:
            continue
    made = compile_patterns(patterns)
    for folder in _folders():
        try:
            _keep(made, folder, name)
            break
        except OSError:
            continue  # a disk that is full or read-only costs a second a run, no more
    return made


def _hash(patterns: Sequence[Sequence[str]]) -> str:
    source = Path(shapes.__file__).read_bytes()
    return hashlib.sha256(source + repr([list(one) for one in patterns]).encode()).hexdigest()[:32]


def _folders() -> Iterator[Path]:
    yield Path(__file__).with_name("__pycache__")
    home = os.environ.get("XDG_CACHE_HOME") or (str(Path.home() / ".cache") if os.environ.get("HOME") else "")
    if home:
        yield Path(home) / "parcelveil"


def _keep(made: Automaton, folder: Path, name: str) -> None:
    """Write it whole, or not at all: another process may be reading."""
    folder.mkdir(parents=True, exist_ok=True)
    number, part = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            np.savez_compressed(file, **made._asdict())
        Path(part).replace(folder / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
