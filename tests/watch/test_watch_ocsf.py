"""Alerts as OCSF events: valid by the published schema of class 2004, and nothing in them that alerts have not."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-untyped]

from parcelveil.audit.ocsf import SCHEMA
from parcelveil.watch.alerts import STATES, Alert, Reason, decided
from parcelveil.watch.ocsf import ocsf_line, to_ocsf
from watch.alerts_made import NOON, of_each_detector, slow_insider


@functools.cache
def validator() -> Any:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=SCHEMA))
    return jsonschema.Draft202012Validator(schema.get_class_schema("detection_finding", []))


def event_of(alert: Alert) -> Any:
    event: Any = to_ocsf(alert)
    assert [error.message for error in validator().iter_errors(event)] == []
    line = ocsf_line(alert)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert json.loads(line) == json.loads(json.dumps(event))
    return event


@pytest.mark.parametrize("alert", of_each_detector(), ids=lambda alert: alert.reasons[0].name)
def test_an_event_of_each_detector_is_valid(alert: Alert) -> None:
    event = event_of(alert)
    assert event["finding_info"]["types"] == [alert.reasons[0].name]
    assert event["observables"][0]["value"] == alert.actor.partition(":")[2] or alert.actor


@pytest.mark.parametrize("state", STATES)
def test_each_state_says_what_became_of_the_case(state: Any) -> None:
    event = event_of(decided(slow_insider(), state, by="keyholder", at=NOON + 1, note="stand-in"))
    assert (event["activity_name"], event["status"]) == {
        "open": ("Update", "New"),
        "escalated": ("Update", "In Progress"),
        "harvest": ("Close", "Resolved"),
        "harmless": ("Close", "Resolved"),
    }[state]
    assert event.get("status_detail") == {"harvest": "harvest: stand-in", "harmless": "harmless: stand-in"}.get(state)


def test_the_numbers_behind_a_case_are_in_it() -> None:
    alert = slow_insider()
    event = event_of(alert)
    assert (event["type_uid"], event["severity_id"], event["is_alert"]) == (200401, 3, True)
    assert event["message"].startswith("CS-07 (customer service, 021007): 18 of 23 looks have no route")
    assert event["metadata"]["uid"] == f"{alert.uid}:1" and event["metadata"]["correlation_uid"] == alert.uid
    (analysis,) = event["anomaly_analyses"]
    assert analysis["anomalies"][0]["observations"][0]["value"] == "18"
    assert analysis["baselines"][0]["observations"][0]["value"] == "1.4"
    assert len(event["evidences"]) == 21
    first = event["evidences"][0]
    assert first["device"]["uid"] == "PC-9" and first["data"]["why"] == "other-outlet"
    assert first["actor"] == {"user": {"uid": "CS-07"}}
    assert event["unmapped"]["lost"] == 18 and event["time"] == NOON // 1000


def test_confidence_rises_when_detectors_agree_or_nothing_is_left_to_chance() -> None:
    slow, bulk, decoy = (Reason(name, NOON, 3) for name in ("slow", "bulk", "decoy"))
    volume = Reason("volume", NOON, 3)
    assert event_of(slow_insider(reasons=(slow, bulk)))["confidence"] == "Medium"
    assert event_of(slow_insider(reasons=(slow, bulk, volume)))["confidence"] == "High"
    assert event_of(slow_insider(reasons=(decoy,)))["confidence"] == "High"


def test_an_alert_that_may_not_leave_is_no_event_either() -> None:
    with pytest.raises(ValueError, match="an alert's actor"):
        to_ocsf(slow_insider(actor="王小明"))
