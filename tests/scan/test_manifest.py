"""Manifests: every document in them, a reason for what was not read, and an end that a cut would take away."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.scan import manifest as module
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.manifest import Manifest, read_manifest

READS = [
    Read(Place("a.csv"), "csv", "read", encoding="gb18030", bytes=1200, rows=30, findings=12),
    Read(Place("old.zip", "2019/客户.xlsx", "Sheet1"), "xlsx", "partly", "damaged", bytes=800, rows=5, findings=2),
    Read(Place("old.zip", "b.pdf"), "pdf", "skipped", "encrypted", bytes=5000),
    Read(Place("c.pdf"), "pdf", "skipped", "encrypted"),
]


def written(reads: list[Read], *, close: bool = True) -> tuple[Manifest, bytes]:
    file = io.BytesIO()
    manifest = Manifest(file, started="2026-11-24T09:00:00+08:00", key_id="2d4f72b94f828a2c", rules="ab" * 32)
    for read in reads:
        manifest.note(read)
    if close:
        manifest.close()
    return manifest, file.getvalue()


def test_counts() -> None:
    manifest, _ = written(READS)
    assert (manifest.documents, dict(manifest.outcomes)) == (4, {"read": 1, "partly": 1, "skipped": 2})
    assert dict(manifest.whys) == {("partly", "damaged"): 1, ("skipped", "encrypted"): 2}
    assert dict(manifest.formats) == {"csv": 1, "xlsx": 1}
    assert (manifest.bytes, manifest.rows, manifest.findings) == (2000, 35, 14)  # what was skipped was not read
    assert manifest.problems == READS[1:]


def test_lines_are_a_header_each_document_and_an_end() -> None:
    _, data = written(READS)
    lines = [json.loads(line) for line in data.splitlines()]
    assert len(lines) == 6 and data.endswith(b"\n")
    assert {name: lines[0][name] for name in ("manifest", "key", "rules")} == {
        "manifest": 1,
        "key": "2d4f72b94f828a2c",
        "rules": "ab" * 32,
    }
    assert lines[2]["place"] == {"source": "old.zip", "member": "2019/客户.xlsx", "part": "Sheet1", "page": -1}
    assert lines[-1] == {
        "documents": 4,
        "read": 1,
        "partly": 1,
        "skipped": 2,
        "bytes": 2000,
        "rows": 35,
        "findings": 14,
    }
    assert list(read_manifest(io.BytesIO(data), "m")) == READS


def test_t10_the_hash_is_of_the_whole_file_and_salted() -> None:
    manifest, data = written(READS)
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    again, other = written(READS)
    assert again.sha256 != manifest.sha256  # so that nobody can guess a path from it
    assert other.splitlines()[1:] == data.splitlines()[1:]
    manifest.close()
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()  # once is enough


text = st.text(st.characters(codec="utf-8"), max_size=12)
reads = st.builds(
    Read,
    place=st.builds(Place, source=text, member=text, part=text, page=st.integers(-1, 9)),
    format=text,
    outcome=st.sampled_from(["read", "partly", "skipped"]),
    why=text,
    encoding=text,
    bytes=st.integers(0, 2**53),
    rows=st.integers(0, 2**53),
    findings=st.integers(0, 2**40),
)


@given(st.lists(reads, max_size=8))
def test_any_line_reads_back(found: list[Read]) -> None:
    _, data = written(found)
    assert list(read_manifest(io.BytesIO(data), "m")) == found
    assert data.count(b"\n") == len(found) + 2


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_manifest_that_was_cut_short_is_told(cut: int) -> None:
    lines = written(READS)[1].splitlines(keepends=True)
    with pytest.raises(InputError, match="cut short"):
        list(read_manifest(io.BytesIO(b"".join(lines[:-cut])), "m"))
    with pytest.raises(InputError, match=r"cut short|not one of a manifest"):
        list(read_manifest(io.BytesIO(b"".join(lines)[:-5]), "m"))


def test_a_line_that_was_taken_out_or_added_is_told() -> None:
    lines = written(READS)[1].splitlines(keepends=True)
    for changed in ([*lines[:1], *lines[2:]], [*lines[:2], lines[1], *lines[2:]]):
        with pytest.raises(InputError, match="cut short"):
            list(read_manifest(io.BytesIO(b"".join(changed)), "m"))
    with pytest.raises(InputError, match="behind its end"):
        list(read_manifest(io.BytesIO(b"".join([*lines, lines[1]])), "m"))


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "is not a manifest"), (b"{}\n", "is not a manifest"), (b"x\n", "is not a manifest"), (None, "line 2 of m")],
)
def test_what_is_none(data: Any, said: str) -> None:
    data = written([])[1].splitlines(keepends=True)[0] + b"nonsense\n" if data is None else data
    with pytest.raises(InputError, match=said):
        list(read_manifest(io.BytesIO(data), "m"))


def test_memory_stays_bounded_when_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBLEMS", 5)
    monkeypatch.setattr(module, "WHYS", 3)
    manifest, _ = written([Read(Place(f"{n}.bin"), "", "skipped", f"reason {n}") for n in range(40)])
    assert (len(manifest.problems), manifest.documents) == (5, 40)
    assert dict(manifest.whys) == {("skipped", f"reason {n}"): 1 for n in range(3)} | {
        ("skipped", "for other reasons"): 37
    }


def test_without_a_file_it_only_counts() -> None:
    manifest = Manifest()
    manifest.note(READS[0])
    manifest.close()
    assert manifest.totals.documents == 1
