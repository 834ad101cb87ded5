"""Verdicts as OCSF events, for a SIEM: one Data Security Finding (class 2006) a document, as each is finished.

::

    for verdict in tally.verdicts():
        line = ocsf_line(verdict, time_ms=1_795_500_000_000, scan="9f3a")

The schema is version 1.8.0 of the Open Cybersecurity Schema Framework (https://schema.ocsf.io), as for the audit log. An
event a document, not a finding: a table of a million customers is one finding to whoever watches a SIEM.

* ``severity_id`` is the verdict's severity, ``is_alert`` from high on, ``message`` the verdict in English,
  ``confidence_score`` the mean confidence of the findings behind it.
* ``data_security.discovery_details`` has each kind with its count and a few places (line, row, column, page): never a value,
  for which OCSF has a field too.
* ``finding_info.uid`` is a hash of the place, so that the same document has the same uid in every scan. What a scan's events
  have in common is ``metadata.correlation_uid``.
* People, columns, and what is masked, sealed or allowed stand in ``unmapped``.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import msgspec

from parcelveil import __version__
from parcelveil.audit.ocsf import SCHEMA
from parcelveil.scan.findings import Place
from parcelveil.scan.places import STDIN, is_uri, uri_of
from parcelveil.scan.tally import Example, Verdict

_PRODUCT = "parcelveil"
_NAME = "Data Security Finding"
_CLASS = 2006
_CREATE = 1
#: Severity of a verdict -> severity_id and its caption.
_SEVERITIES = {
    "none": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_ALERTS = ("high", "critical")


def to_ocsf(verdict: Verdict, *, time_ms: int, scan: str) -> dict[str, object]:
    """The event that a verdict is. ``time_ms``: milliseconds since 1970-01-01 UTC; ``scan``: an id that its events share.

    The dictionary holds nothing but what JSON has, and validates against its class.
    """
    severity, caption = _SEVERITIES[verdict.severity]
    said = verdict.words("en")
    place = verdict.place
    partly = verdict.read is not None and verdict.read.outcome == "partly"
    event: dict[str, object] = {
        "class_uid": _CLASS,
        "class_name": _NAME,
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": _CREATE,
        "activity_name": "Create",
        "type_uid": _CLASS * 100 + _CREATE,
        "type_name": f"{_NAME}: Create",
        "severity_id": severity,
        "severity": caption,
        "status_id": 1,
        "status": "New",
        "time": time_ms,
        "message": said,
        "is_alert": verdict.severity in _ALERTS,
        "count": 1,
        "metadata": {
            "version": SCHEMA,
            "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": __version__},
            "uid": f"{scan}/{_uid(place)}",
            "correlation_uid": scan,
            "log_provider": _PRODUCT,
            "event_code": verdict.code,
        },
        "finding_info": {
            "uid": _uid(place),
            "title": said,
            "types": sorted(verdict.facts.kinds),
            "analytic": {"name": "parcelveil scan", "type_id": 1, "type": "Rule", "version": __version__},
            "created_time": time_ms,
        },
        "data_security": {
            "category_id": 1,
            "category": "Personal",
            "data_lifecycle_state_id": 1,
            "data_lifecycle_state": "Data at-Rest",
            "detection_system_id": 4,
            "detection_system": "Data Discovery & Classification",
            "status_id": 2 if partly else 1,
            "status": "Partial" if partly else "Complete",
            "total": verdict.findings,
            "discovery_details": [_details(kind, count, verdict) for kind, count in verdict.facts.kinds.items()],
        },
        "resources": [{"name": place.text, "type": "database" if is_uri(place.source) else "file"}],
        "unmapped": _unmapped(verdict),
    }
    if verdict.confidence:
        event |= {"confidence_score": round(100 * verdict.confidence)}
    return event | _resource(verdict)


def ocsf_line(verdict: Verdict, *, time_ms: int, scan: str) -> bytes:
    """The event as a line of JSON, with its line feed."""
    return msgspec.json.encode(to_ocsf(verdict, time_ms=time_ms, scan=scan)) + b"\n"


def _uid(place: Place) -> str:
    text = "\0".join((place.source, place.member, place.part))
    return hashlib.sha256(f"parcelveil v1 place\0{text}".encode()).hexdigest()[:32]


def _details(kind: str, count: int, verdict: Verdict) -> dict[str, object]:
    found: dict[str, object] = {"type": kind, "count": count}
    places = [said for example in verdict.examples.get(kind, ()) if (said := _occurrence(example))]
    if places:
        found["occurrences"] = places
    return found


def _occurrence(example: Example) -> dict[str, object]:
    said: dict[str, object] = {}
    if example.line > 0:
        said |= {"start_line": example.line, "end_line": example.line}
    if example.row > 0:
        said["row_number"] = example.row
    if example.column:
        said["column_name"] = example.column
    if example.page > 0:
        said["page_number"] = example.page
    return said


def _resource(verdict: Verdict) -> dict[str, object]:
    """The file, or the database and its table, in which the findings are."""
    place = verdict.place
    if is_uri(place.source):
        found: dict[str, object] = {"database": {"name": place.source, "type_id": 1, "type": "Relational"}}
        if place.part:
            found["table"] = {"name": place.part}
        return found
    path = PurePosixPath(place.member or place.source)
    file: dict[str, object] = {
        "name": "stdin" if place.source == STDIN and not place.member else path.name or place.source,
        "path": place.text,
        "uri": uri_of(place.source),
        "type_id": 1,
        "type": "Regular File",
    }
    if verdict.read is not None and verdict.read.bytes:
        file["size"] = verdict.read.bytes
    return {"file": file}


def _unmapped(verdict: Verdict) -> dict[str, object]:
    facts = verdict.facts
    told: dict[str, object] = {
        "verdict": verdict.code,
        "people": facts.people,
        "people_exact": facts.people_exact,
        "sensitive_people": facts.sensitive,
        "values": dict(verdict.values),
    }
    counts = ("masked", "protected", "keys", "unsure", "allowed")
    told |= {name: getattr(facts, name) for name in counts if getattr(facts, name)}
    if facts.label:
        told["label"] = facts.label
    if verdict.columns:
        told["columns"] = msgspec.to_builtins(verdict.columns)
    return told
