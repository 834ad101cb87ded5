"""What is compiled beforehand is all that a scan needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from parcelveil.scan import warm
from parcelveil.scan.engine import Scanner
from parcelveil.scan.read.limits import Limits
from parcelveil.scan.read.walk import documents
from parcelveil.simulate.leak_files import leak_folder


def compiled_for() -> dict[str, int]:
    """Of each compiled pass of the scan, for how many kinds of arguments it is compiled."""
    found: dict[str, Any] = {}
    for name, module in sys.modules.items():
        if name.startswith("parcelveil.scan"):
            found |= {f"{name}.{key}": one for key, one in vars(module).items() if hasattr(one, "nopython_signatures")}
    return {name: len(one.nopython_signatures) for name, one in found.items()}


def test_prepared_is_known_again_and_nothing_more_is_compiled(tmp_path: Path) -> None:
    warm.prepare()
    assert warm.prepared()
    before = compiled_for()
    assert sum(before.values()) > 20  # the passes that are called; those they call come with them
    leak_folder(tmp_path, people=8)
    scanner = Scanner.default(threads=2)
    found = 0
    for document in documents([str(tmp_path)], Limits(), lambda read: None):
        found += sum(batch.num_rows for batch in scanner.scan(document))
    assert found > 100
    assert compiled_for() == before


def test_other_code_or_another_machine_is_not_prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    warm.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(warm.passes, "made_for", lambda: "another processor")
        assert not warm.prepared()
    monkeypatch.setattr(warm.passes, "kept_in", lambda function: None)
    assert not warm.prepared()
    monkeypatch.setattr(warm.passes, "kept_in", lambda function: tmp_path / "gone")
    warm.prepare()  # a folder that cannot be written to is no error
    assert not warm.prepared()
