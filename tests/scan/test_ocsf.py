"""Verdicts as OCSF events: valid by the published schema of class 2006, and no value in them."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-untyped]

from parcelveil.audit.ocsf import SCHEMA
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.ocsf import ocsf_line, to_ocsf
from parcelveil.scan.tally import Tally, Verdict
from scan.made_findings import batch
from scan.test_sinks import ROW
from scan.test_verdict import customers, lines_of

TIME = 1_795_500_000_000


@functools.cache
def validator() -> Any:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=SCHEMA))
    return jsonschema.Draft202012Validator(schema.get_class_schema("data_security_finding", []))


def problems(event: Any) -> list[str]:
    return [error.message for error in validator().iter_errors(event)]


def event_of(verdict: Verdict) -> Any:
    event = to_ocsf(verdict, time_ms=TIME, scan="9f3a")
    assert problems(event) == []
    assert json.loads(json.dumps(event)) == event
    line = ocsf_line(verdict, time_ms=TIME, scan="9f3a")
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and json.loads(line) == event
    return event


def verdicts(
    rows: list[dict[str, Any]], read: Read | None = None, *, format: str = "csv", allowed: Any = None
) -> list[Verdict]:
    tally = Tally()
    tally.add(batch(rows), allowed, format=format)
    if read is not None:
        tally.read(read)
    return list(tally.verdicts())


def test_a_customer_list_in_full() -> None:
    place = Place("old.zip", "2019/clients.csv")
    (verdict,) = verdicts(
        customers(600, source="old.zip", member="2019/clients.csv"), Read(place, "csv", "read", bytes=48_000, rows=601)
    )
    event = event_of(verdict)
    assert (event["severity_id"], event["severity"], event["is_alert"]) == (4, "High", True)
    assert event["message"] == event["finding_info"]["title"] == "customer list: 600 people"
    assert (event["type_uid"], event["time"], event["confidence_score"]) == (200601, TIME, 99)
    assert event["file"] == {
        "name": "clients.csv",
        "path": "old.zip!2019/clients.csv",
        "uri": "old.zip",
        "type_id": 1,
        "type": "Regular File",
        "size": 48_000,
    }
    details = {one["type"]: one for one in event["data_security"]["discovery_details"]}
    assert {kind: one["count"] for kind, one in details.items()} == {
        "person.name": 600,
        "phone.mobile": 600,
        "address.cn": 600,
    }
    assert details["phone.mobile"]["occurrences"][:2] == [
        {"row_number": 2, "column_name": "电话"},
        {"row_number": 3, "column_name": "电话"},
    ]
    assert (event["data_security"]["status"], event["data_security"]["total"]) == ("Complete", 1800)
    assert event["unmapped"]["people"] == 600 and event["unmapped"]["values"]["person.name"] == 50


def test_a_table_of_a_database() -> None:
    (verdict,) = verdicts(customers(6, source="postgresql://crm.example/orders", part="public.clients"))
    event = event_of(verdict)
    assert event["database"] == {"name": "postgresql://crm.example/orders", "type_id": 1, "type": "Relational"}
    assert event["table"] == {"name": "public.clients"} and "file" not in event
    assert event["resources"] == [{"name": "postgresql://crm.example/orders#public.clients", "type": "database"}]


def test_a_file_that_was_read_partly_says_so() -> None:
    (verdict,) = verdicts(
        lines_of("phone.mobile", 3, source="-"), Read(Place("-"), "log", "partly", "damaged"), format="log"
    )
    event = event_of(verdict)
    assert (event["data_security"]["status_id"], event["data_security"]["status"]) == (2, "Partial")
    assert event["file"]["name"] == "stdin"
    assert not event["is_alert"] and event["severity"] == "Low"


def test_an_event_is_known_again_in_another_scan() -> None:
    one, other = (to_ocsf(verdicts(customers(6, source="a.csv"))[0], time_ms=TIME, scan=scan) for scan in ("s1", "s2"))
    assert one["finding_info"]["uid"] == other["finding_info"]["uid"]  # type: ignore[index]
    assert one["metadata"]["uid"] != other["metadata"]["uid"]  # type: ignore[index]
    elsewhere = to_ocsf(verdicts(customers(6, source="b.csv"))[0], time_ms=TIME, scan="s1")
    assert elsewhere["finding_info"]["uid"] != one["finding_info"]["uid"]  # type: ignore[index]


@pytest.mark.parametrize("masked", ["masked", "clear", "partly", "unknown"])
def test_labels_masked_and_allowed_ones_are_told(masked: str) -> None:
    tally = Tally()
    tally.label(Place("label.jpg"), masked)
    rows = lines_of("phone.mobile", 4, source="label.jpg", state="masked", box=[1.0, 2.0, 3.0, 4.0])
    tally.add(batch(rows), np.array([0, 0, 0, 1], dtype=np.uint8), format="image")
    (verdict,) = tally.verdicts()
    told = event_of(verdict)["unmapped"]
    assert (told["label"], told["masked"], told["allowed"]) == (masked, 3, 1)


@given(st.lists(ROW, min_size=1, max_size=6), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_findings_give_valid_events_without_values_or_fingerprints(rows: list[dict[str, Any]], sure: bool) -> None:
    findings = batch([row | {"confidence": 0.9, "tier": 1} if sure else row for row in rows])
    tally = Tally()
    tally.add(findings)
    prints = [one.hex() for one in findings["fingerprint"].to_pylist()]
    for verdict in tally.verdicts():
        said = json.dumps(event_of(verdict))
        assert not any(one in said for one in prints)


def test_the_validator_refuses_a_broken_event() -> None:
    event = to_ocsf(verdicts(customers(6))[0], time_ms=TIME, scan="s")
    for name in ("class_uid", "finding_info", "metadata", "severity_id", "time"):
        assert problems({key: value for key, value in event.items() if key != name})
    assert problems(event | {"severity_id": 7}) and problems(event | {"data_security": {"category_id": 1}})
    assert problems(event | {"people": 6})
