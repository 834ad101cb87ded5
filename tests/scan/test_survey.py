"""One scan from beginning to end: what is left out, marked, counted and restored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa

from parcelveil.scan.document import Document
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import FINDINGS, Place, Read
from parcelveil.scan.key import ScanKey
from parcelveil.scan.read.limits import Limits
from parcelveil.scan.read.walk import documents
from parcelveil.scan.resume import Identity, Journal
from parcelveil.scan.sinks import Allowed, example
from parcelveil.scan.survey import Survey, Wanted


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        self.batches.append(findings)

    def close(self) -> None:
        pass

    @property
    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.batches, FINDINGS)


def test_what_is_not_wanted_is_left_out() -> None:
    kinds = ("phone.mobile", "phone.landline", "id.resident", "phones.other")
    batch = pa.concat_batches([example(Place("a"), kind=kind, tier=tier) for kind in kinds for tier in (1, 2)])
    assert Wanted().of(batch)["kind"].to_pylist() == list(kinds)
    assert Wanted(tier=2).of(batch).num_rows == 8
    assert Wanted(only=["phone"]).of(batch)["kind"].to_pylist() == ["phone.mobile", "phone.landline"]
    assert Wanted(but=["phone", "id.resident"]).of(batch)["kind"].to_pylist() == ["phones.other"]
    assert Wanted(only=["phone"], but=["phone.landline"]).of(batch)["kind"].to_pylist() == ["phone.mobile"]
    assert Wanted(only=["phone"]).of(batch.slice(0, 0)).num_rows == 0


def test_weak_findings_are_counted_and_the_manifest_has_the_findings() -> None:
    kept = Kept()
    survey = Survey(Scanner.default(), sinks=[kept])
    text = "电话16312345678\nMr. John Miller, 12 Long Street, Springfield, IL 62704\n张三丰说今天不来了\n".encode()
    place = Place("a.txt")
    survey.take(Document(place, "text", "text", chunks=iter([text])))
    survey.note(Read(place, "text", "read", bytes=len(text)))
    survey.finish()
    assert survey.weak > 0
    assert survey.bytes == len(text)
    assert set(kept.table["tier"].to_pylist()) == {1}
    assert survey.manifest.findings == kept.table.num_rows == survey.findings
    (verdict,) = survey.tally.verdicts()
    assert verdict.read is not None


def test_sheets_and_tables_get_the_line_of_their_file() -> None:
    survey = Survey(Scanner.default())
    for part in ("one", "two"):
        batch = pa.RecordBatch.from_pydict({"电话": ["16312345678"]})
        survey.take(Document(Place("b.xlsx", part=part), "table", "xlsx", batches=iter([(1, batch)])))
    survey.note(Read(Place("b.xlsx"), "xlsx", "partly", "encrypted"))
    verdicts = list(survey.tally.verdicts())
    assert [one.place.part for one in verdicts] == ["one", "two"]
    assert {one.read.outcome for one in verdicts if one.read} == {"partly"}
    assert survey.rows == 2


def test_a_restored_scan_counts_like_a_whole_one(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(80):
        (folder / f"{number:02d}.csv").write_text(
            f"姓名,电话\n张三丰,163000{number:05d}\n李四光,163001{number:05d}\n", "utf-8"
        )
    (folder / "broken.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 99)
    scanner, key = Scanner.default(), ScanKey(bytes(32), lasting=True)
    identity = Identity(key.key_id, "0" * 64)

    def through(survey: Survey, most: int) -> Iterator[None]:
        survey.restore()
        for document in documents([str(folder)], Limits(), survey.note, skip=survey.skip):
            if most == 0:
                return
            most -= 1
            survey.take(document)
            yield
        survey.finish()

    journal = Journal.begin(tmp_path / "j", tmp_path / "f.jsonl", identity)
    first = Survey(scanner, journal=journal)
    assert len(list(through(first, 70))) == 70
    journal.close()
    journal = Journal.resume(tmp_path / "j", tmp_path / "f.jsonl", identity)
    kept, again = Kept(), Kept()
    second = Survey(scanner, journal=journal, sinks=[kept])
    ran = len(list(through(second, 99)))
    journal.close()
    assert 0 < ran < 80
    assert second.restored == 80 - ran
    whole = Survey(scanner, sinks=[again])
    list(through(whole, 99))
    for name in ("source", "kind", "row", "start", "fingerprint"):
        assert kept.table[name].to_pylist() == again.table[name].to_pylist(), name
    assert second.manifest.totals == whole.manifest.totals
    # A finding that was written has three digits of its confidence.
    both = [
        [msgspec.structs.replace(verdict, confidence=0.0) for verdict in one.tally.verdicts()]
        for one in (second, whole)
    ]
    assert both[0] == both[1]
    assert len((tmp_path / "f.jsonl").read_bytes().splitlines()) == again.table.num_rows
