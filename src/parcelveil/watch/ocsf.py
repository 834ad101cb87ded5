"""Alerts as OCSF events, for a SIEM: one Detection Finding (class 2004) each time that a case is opened or changes.

::

    for alert in alerts:
        line = ocsf_line(alert)

The schema is version 1.8.0 of the Open Cybersecurity Schema Framework (https://schema.ocsf.io), as for the audit log.

* ``finding_info.uid`` is the case, ``metadata.uid`` the case and its revision: a SIEM that gets the same twice can tell.
  ``activity_id`` is Create, Update, or Close once a person has decided; ``status_detail`` says what was decided.
* ``message`` is the title in English, ``finding_info.desc`` the reasons in words; ``anomaly_analyses`` has what was seen
  against what is usual, detector by detector, in numbers.
* ``evidences`` are the rows behind the case: who, from which device, when, the parcel's pseudonym, and why no work explains
  it. ``observables`` are account, devices, networks and parcels, to be searched for.
* ``finding_info.attacks`` names techniques of MITRE ATT&CK.

An event says no more than its alert, so it holds no personal data.
"""

from __future__ import annotations

import msgspec

from parcelveil import __version__
from parcelveil.audit.ocsf import SCHEMA
from parcelveil.watch.alerts import Alert, Reason, Row, check
from parcelveil.watch.reasons import words_of

_PRODUCT = "parcelveil"
_NAME = "Detection Finding"
_CLASS = 2004
_ACTIVITIES = {1: "Create", 2: "Update", 3: "Close"}
_SEVERITIES = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}
_STATUS = {"open": (1, "New"), "escalated": (2, "In Progress"), "harvest": (4, "Resolved"), "harmless": (4, "Resolved")}
_CONFIDENCE = {2: "Medium", 3: "High"}
#: Detectors that do not rest on what is usual: what they say cannot be chance.
_CERTAIN = frozenset({"decoy", "reconcile"})
#: Techniques of MITRE ATT&CK (Enterprise): of every case, and those of single detectors besides.
_COLLECTION = ("T1213", "Data from Information Repositories")
_TECHNIQUES = {
    "stuffing": ("T1110.004", "Credential Stuffing"),
    **dict.fromkeys(("dormant", "changed", "device", "places", "shared"), ("T1078", "Valid Accounts")),
}
#: Parcels among the observables.
_MOST_PARCELS = 20


def to_ocsf(alert: Alert, *, version: str = __version__) -> dict[str, object]:
    """The event that this revision of a case is. Raises ValueError for an alert that may not leave.

    The dictionary holds nothing but what JSON has, and validates against its class.
    """
    check(alert)
    words = words_of(alert, "en")
    decided = alert.state in ("harvest", "harmless")
    activity = 3 if decided else 1 if alert.revision == 1 else 2
    severity, status = _SEVERITIES[alert.severity], _STATUS[alert.state]
    names = {one.name for one in alert.reasons}
    confidence = 3 if names & _CERTAIN or len(names) >= 3 else 2
    event: dict[str, object] = {
        "class_uid": _CLASS,
        "class_name": _NAME,
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity,
        "activity_name": _ACTIVITIES[activity],
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"{_NAME}: {_ACTIVITIES[activity]}",
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": status[0],
        "status": status[1],
        "confidence_id": confidence,
        "confidence": _CONFIDENCE[confidence],
        "time": alert.updated_at // 1000,
        "start_time": alert.since // 1000,
        "end_time": alert.until // 1000,
        "is_alert": True,
        "count": max(1, alert.unexplained),
        "message": words.title,
        "metadata": {
            "version": SCHEMA,
            "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": version},
            "uid": f"{alert.uid}:{alert.revision}",
            "correlation_uid": alert.uid,
            "log_provider": _PRODUCT,
            "event_code": alert.reasons[0].name,
            "sequence": alert.revision,
        },
        "finding_info": {
            "uid": alert.uid,
            "title": words.title,
            "desc": " ".join((*words.reasons, *words.details)),
            "types": [one.name for one in alert.reasons],
            "analytic": {"name": "parcelveil watch", "type_id": 2, "type": "Behavioral", "version": version},
            "related_analytics": [_analytic(one) for one in alert.reasons],
            "created_time": alert.opened_at // 1000,
            "modified_time": alert.updated_at // 1000,
            "first_seen_time": alert.since // 1000,
            "last_seen_time": alert.until // 1000,
            "attacks": [
                {"technique": {"uid": uid, "name": name}}
                for uid, name in dict.fromkeys(
                    [_COLLECTION, *(_TECHNIQUES[one] for one in names if one in _TECHNIQUES)]
                )
            ],
        },
        "anomaly_analyses": [_analysis(alert, one) for one in alert.reasons],
        "observables": _observables(alert),
        "unmapped": _unmapped(alert, words.explained, words.excuses),
    }
    if decided:
        event["status_detail"] = alert.state + (f": {alert.note}" if alert.note else "")
    if alert.rows:
        event["evidences"] = [_evidence(alert, row) for row in alert.rows]
    return event


def ocsf_line(alert: Alert) -> bytes:
    """The event as a line of JSON, with its line feed."""
    return msgspec.json.encode(to_ocsf(alert)) + b"\n"


def _analytic(reason: Reason) -> dict[str, object]:
    certain = reason.name in _CERTAIN
    return {"uid": reason.name, "type_id": 1 if certain else 3, "type": "Rule" if certain else "Statistical"}


def _analysis(alert: Alert, reason: Reason) -> dict[str, object]:
    """What one detector saw, and what is usual."""

    def observed(value: float) -> dict[str, object]:
        return {"observation_parameter": reason.name, "observations": [{"value": f"{value:g}"}]}

    return {
        "analysis_targets": [{"name": alert.actor, "type": _subject(alert)[0]}],
        "anomalies": [observed(reason.value)],
        "baselines": [observed(reason.expected)],
    }


def _subject(alert: Alert) -> tuple[str, str]:
    kind, colon, name = alert.actor.partition(":")
    return (kind, name) if colon and kind in ("net", "device", "system", "outlet") else ("account", alert.actor)


def _evidence(alert: Alert, row: Row) -> dict[str, object]:
    data = {name: value for name, value in msgspec.to_builtins(row).items() if name not in ("id", "device")}
    found: dict[str, object] = {"data": data, "uid": str(row.id)}
    kind, name = _subject(alert)
    if kind == "account":
        found["actor"] = {"user": {"uid": name}}
    elif kind == "net":
        found["src_endpoint"] = {"name": name}
    if row.device:
        found["device"] = {"uid": row.device, "type_id": 0, "type": "Unknown"}
    return found


def _observables(alert: Alert) -> list[dict[str, object]]:
    kind, name = _subject(alert)
    of = {
        "account": ("evidences[].actor.user.uid", 31, "User Object: uid"),
        "net": ("evidences[].src_endpoint.name", 12, "Subnet"),
        "device": ("evidences[].device.uid", 47, "Device Object: uid"),
    }
    label, type_id, type_name = of.get(kind, ("anomaly_analyses[].analysis_targets[].name", 99, kind))
    found = [{"name": label, "type_id": type_id, "type": type_name, "value": name}]
    if alert.outlet:
        found.append({"name": "unmapped.outlet", "type_id": 99, "type": "Outlet", "value": alert.outlet})
    found += [
        {"name": "evidences[].device.uid", "type_id": 47, "type": "Device Object: uid", "value": device}
        for device, _ in alert.devices
        if device
    ]
    parcels = dict.fromkeys(row.parcel for row in alert.rows if row.parcel)
    found += [
        {"name": "evidences[].data.parcel", "type_id": 10, "type": "Resource UID", "value": parcel}
        for parcel in list(parcels)[:_MOST_PARCELS]
    ]
    return found


def _unmapped(alert: Alert, explained: tuple[str, ...], excuses: tuple[str, ...]) -> dict[str, object]:
    told: dict[str, object] = {
        "role": alert.role,
        "outlet": alert.outlet,
        "looks": alert.looks,
        "unexplained": alert.unexplained,
        "grouped": alert.grouped,
        "peers": alert.peers,
        "lost": alert.lost,
        "reasons": [msgspec.to_builtins(one) for one in alert.reasons],
        "would_explain": list(explained),
        "excuses": list(excuses),
        "decided_by": alert.decided_by,
    }
    return {name: value for name, value in told.items() if value not in ("", [])}
