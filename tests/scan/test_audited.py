"""A scan as an audit entry: canonical, without paths, and bound to its manifest."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from parcelveil.audit.entry import Scan, decode, encode
from parcelveil.scan.audited import CUSTOM, scan_entry
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.manifest import Manifest
from parcelveil.scan.rules import builtin
from parcelveil.scan.tally import Tally
from scan.made_findings import batch
from scan.test_verdict import customers

KNOWN = sorted({rule.kind for family in builtin() for rule in family.rule})


def counted(source: str = "张伟的客户.csv") -> tuple[Tally, Manifest]:
    tally, manifest = Tally(), Manifest(io.BytesIO(), started="now", key_id="2d4f72b94f828a2c", rules="ab" * 32)
    rows = customers(600, source=source)
    rows += [{"source": source, "kind": "张伟的规则", "value": n} for n in range(3)]
    rows += [{"source": source, "kind": "phone.mobile", "state": "masked", "value": n} for n in range(2)]
    tally.add(batch(rows), np.array([0] * (len(rows) - 1) + [2], dtype=np.uint8))
    for read in (
        Read(Place(source), "csv", "read", bytes=9000, rows=601, findings=len(rows)),
        Read(Place("x"), "", "skipped", "encrypted"),
    ):
        manifest.note(read)
        tally.read(read)
    manifest.close()
    return tally, manifest


def test_an_entry_says_how_much_and_of_what_kind() -> None:
    tally, manifest = counted()
    entry = scan_entry(
        tally, manifest, key_id="2d4f72b94f828a2c", rules="ab" * 32, actor="s-4", role="security", time=5
    )
    assert decode(encode(entry)) == entry
    assert (entry.action, entry.actor, entry.role, entry.time) == ("finished", "s-4", "security", 5)
    assert (entry.documents, entry.partly, entry.skipped, entry.bytes) == (2, 0, 1, 9000)
    assert (entry.people, entry.worst, entry.allowed) == (600, "high", 1)
    assert (entry.key, entry.rules, entry.manifest) == ("2d4f72b94f828a2c", "ab" * 32, manifest.sha256)
    found = dict(one.rsplit(" ", 1) for one in entry.findings)
    assert list(entry.findings) == sorted(entry.findings)
    assert found["phone.mobile clear"] == "600" and found["phone.mobile masked"] == "1"
    assert sum(map(int, found.values())) == tally.findings


def test_t10_no_path_and_no_free_text_is_in_it() -> None:
    tally, manifest = counted()
    said = json.loads(encode(scan_entry(tally, manifest, key_id="k", rules="r")))
    assert "张伟" not in json.dumps(said, ensure_ascii=False)
    found = dict(one.rsplit(" ", 1) for one in said["findings"])
    assert {one.partition(" ")[0] for one in found} <= {*KNOWN, CUSTOM}
    assert int(found[f"{CUSTOM} clear"]) >= 3


def test_a_scan_that_was_stopped_and_one_that_found_nothing() -> None:
    tally, manifest = Tally(), Manifest()
    manifest.close()
    entry = scan_entry(tally, manifest, key_id="k", rules="r", finished=False)
    assert entry == Scan(time=0, action="stopped", worst="none", key="k", rules="r", manifest=manifest.sha256)


def test_the_manifest_can_be_shown_to_be_the_one(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with path.open("wb") as file:
        manifest = Manifest(file)
        manifest.note(Read(Place("a"), "csv", "read"))
        manifest.close()
    entry = scan_entry(Tally(), manifest, key_id="k", rules="r")
    assert entry.manifest == hashlib.sha256(path.read_bytes()).hexdigest()
