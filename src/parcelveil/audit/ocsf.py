"""Audit entries as OCSF events, for a SIEM: what the carrier's security team already reads, joins and alerts on.

::

    >>> entry = KeyEvent(time=1_795_500_000_000_000, action="log-created", detail="1")
    >>> event = to_ocsf(entry, 0, origin="acme.parcelveil/log", version="0.1.0")
    >>> event["class_name"], event["type_name"], event["api"]["operation"]
    ('API Activity', 'API Activity: Create', 'key.log-created')

The schema is version 1.8.0 of the Open Cybersecurity Schema Framework (https://schema.ocsf.io). What was asked of
the desk, and what the key holder opened, is ``datastore_activity`` (6005): Read for a look, Query for a search,
Decrypt for an export. All else is ``api_activity`` (6003). A refusal has the status Failure and the disposition
Blocked. Profiles: ``security_control`` where something was allowed or denied, ``host`` where a device is known.

* ``metadata.uid`` is the log's origin, a slash and the entry's index: the same event always has the same uid, so
  what is sent twice can be told. ``metadata.original_event_uid`` and ``sequence`` are the index; with it anybody
  can fetch the entry and prove that it stands in the log.
* ``time`` is in milliseconds since 1970-01-01 UTC, rounded down. ``metadata.original_time`` keeps the microseconds.
* ``metadata.correlation_uid`` is the request's id: the entries of one request share it.
* What OCSF has no attribute for stands in ``unmapped`` under the entry's own names. Nothing of an entry is lost.

An event says no more than its entry, so it holds no personal data: people are staff handles, and waybills are
commitments. Severity is a first guess for a SIEM's own rules: looks are Informational, refusals and changes Low;
exports, read salts, a policy put in force, an accepted clock, and refused attempts at any of the desk's own powers are Medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from parcelveil import __version__
from parcelveil.audit.entry import (
    VERSION,
    AnyEntry,
    Approval,
    Asked,
    Erasure,
    KeyEvent,
    PolicyChange,
    QuotaChange,
    Refusal,
    Scan,
    StaffChange,
    Watch,
    decode,
)
from parcelveil.errors import LogError

SCHEMA = "1.8.0"
_CATEGORY = {"category_uid": 6, "category_name": "Application Activity"}
_PRODUCT = "parcelveil"
_KEYHOLDER = "keyholder"
_UNKNOWN = "?"  # what an entry says of somebody or something that the registry does not know

_OTHER = 99
_DATASTORE = {1: "Read", 4: "Query", 10: "Decrypt", _OTHER: "Other"}
_API = {1: "Create", 2: "Read", 3: "Update", 4: "Delete", _OTHER: "Other"}
_SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium"}
_INFORMATIONAL, _LOW, _MEDIUM = _SEVERITIES

#: What was asked for -> (activity_id, severity_id when it was given).
_ASKED = {"look": (1, _INFORMATIONAL), "search": (4, _INFORMATIONAL), "export": (10, _MEDIUM)}
#: The desk's own powers, as kind and action -> (activity_id, severity_id).
_DONE = {
    "quota.changed": (3, _LOW),
    "policy.proposed": (1, _LOW),
    "policy.approved": (3, _MEDIUM),
    "policy.rejected": (3, _LOW),
    "staff.added": (1, _LOW),
    "staff.changed": (3, _LOW),
    "staff.suspended": (3, _LOW),
    "staff.enrolled": (1, _LOW),
    "staff.withdrawn": (4, _LOW),
    "staff.forgotten": (4, _LOW),
    "erasure.waybills": (4, _INFORMATIONAL),
    "erasure.days": (4, _LOW),
    "erasure.staff": (4, _LOW),
    "key.log-created": (1, _LOW),
    "key.kek-rotated": (3, _LOW),
    "key.epoch-rotated": (3, _LOW),
    "key.salts-read": (2, _MEDIUM),
    "key.salts-refused": (2, _MEDIUM),
    "key.log-read": (2, _INFORMATIONAL),
    "key.pruned": (4, _LOW),
    "key.clock-held": (_OTHER, _LOW),
    "key.clock-accepted": (_OTHER, _MEDIUM),
    "scan.finished": (2, _INFORMATIONAL),
    "scan.stopped": (2, _INFORMATIONAL),
    "watch.finished": (2, _INFORMATIONAL),
    "watch.stopped": (2, _INFORMATIONAL),
    "watch.decided": (3, _LOW),
    "watch.decoys-planted": (1, _LOW),
    "watch.decoys-listed": (2, _MEDIUM),
    "approval.requested": (1, _INFORMATIONAL),
    "approval.approved": (3, _LOW),
    "approval.rejected": (3, _LOW),
    "approval.used": (3, _INFORMATIONAL),
    "approval.expired": (3, _INFORMATIONAL),
}


def to_ocsf(entry: AnyEntry, index: int, *, origin: str, version: str) -> dict[str, object]:
    """The event that entry number ``index`` of the log ``origin`` is. ``version`` is the product's.

    The dictionary holds nothing but what JSON has. It validates against its class of OCSF 1.8.0 with the profiles
    that its ``metadata`` names.
    """
    if isinstance(entry, Asked):
        event, mapped = _datastore(entry)
    else:
        event, mapped = _api(entry, origin, version)
    profiles = [name for name, mark in (("host", "device"), ("security_control", "action_id")) if mark in event]
    metadata: dict[str, object] = {
        "version": SCHEMA,
        "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": version},
        "uid": f"{origin}/{index}",
        "log_name": origin,
        "log_provider": _PRODUCT,
        "log_version": str(VERSION),
        "event_code": entry.kind,
        "original_event_uid": str(index),
        "original_time": str(entry.time),
        "sequence": index,
    }
    if profiles:
        metadata["profiles"] = profiles
    if entry.request:
        metadata["correlation_uid"] = entry.request
    event |= _CATEGORY | {"time": entry.time // 1000, "metadata": metadata}
    said = {"kind", "time", "v", "request", *mapped}
    told: dict[str, object] = msgspec.to_builtins(entry)  # leaves out what has its default
    rest = {
        name: list(value) if isinstance(value, tuple) else value for name, value in told.items() if name not in said
    }
    if rest:
        event["unmapped"] = rest
    return event


def ocsf_lines(entries: Iterable[tuple[int, bytes]], *, origin: str) -> Iterator[bytes]:
    """One line of JSON, with its line feed, for each ``(index, entry's bytes)``. As lazy as ``entries`` is.

    Raises :class:`~parcelveil.errors.LogError` at the first bytes that are no audit entry.
    """
    encoder = msgspec.json.Encoder()
    for index, data in entries:
        try:
            entry = decode(data)
        except ValueError:
            raise LogError(
                "entry {index} of the log is no audit entry of this version",
                hint="run: parcelveil audit verify",
                index=index,
            ) from None
        yield encoder.encode(to_ocsf(entry, index, origin=origin, version=__version__)) + b"\n"


def _datastore(entry: Asked) -> tuple[dict[str, object], list[str]]:
    """A ``datastore_activity``, and which of the entry's attributes it says."""
    refused = isinstance(entry, Refusal)
    action: str = getattr(entry, "action", "export")
    activity, severity = _ASKED.get(action, (_OTHER, _LOW))
    event = _class(6005, "Datastore Activity", activity, _DATASTORE[activity], action)
    event |= _severity(_LOW if refused else severity) | _outcome(denied=refused)
    event |= _origin(entry.actor, entry.device, [(entry.role, "role"), (entry.outlet, "outlet")])
    event["type_id"], event["type"] = 1, "Database"
    event["database"] = {"name": "waybills", "type_id": _OTHER, "type": "Sealed waybills"}
    mapped = ["actor", "action", "role", "outlet", *_device_said(event)]
    if isinstance(entry, Refusal):
        event["status_code"], event["status_detail"] = entry.answer, entry.reason
        mapped += ["answer", "reason"]
    if entry.policy:
        event["policy"] = {"name": "reveal", "type": "Cedar", "version": str(entry.policy), "is_applied": True}
        mapped.append("policy")
    if entry.rules:
        decision = "denied" if refused else "allowed"
        event["authorizations"] = [{"decision": decision, "policy": {"uid": rule}} for rule in entry.rules]
        mapped.append("rules")
    return event, mapped


def _api(
    entry: QuotaChange | PolicyChange | StaffChange | Erasure | KeyEvent | Approval | Scan | Watch,
    origin: str,
    version: str,
) -> tuple[dict[str, object], list[str]]:
    """An ``api_activity``, and which of the entry's attributes it says."""
    action = "changed" if isinstance(entry, QuotaChange) else entry.action
    operation = f"{entry.kind}.{action}"
    denied = action == "refused" or action.endswith("-refused")
    activity, severity = _DONE.get(operation, (_OTHER, _MEDIUM if denied else _LOW))
    event = _class(6003, "API Activity", activity, _API[activity], action)
    event |= _severity(severity)
    event |= _outcome(denied=True) if denied else {"status_id": 1, "status": "Success"}
    device = entry.device if isinstance(entry, Approval) else ""
    event |= _origin(entry.actor, device, [])
    api: dict[str, object] = {"operation": operation, "service": {"name": _PRODUCT, "version": version}}
    if entry.request:
        api["request"] = {"uid": entry.request}
    event["api"] = api
    resources, mapped = _resources(entry, origin)
    event["resources"] = [{"role_id": 1, "role": "Target"} | resource for resource in resources]
    return event, ["actor", "action", *mapped, *_device_said(event)]


def _resources(
    entry: QuotaChange | PolicyChange | StaffChange | Erasure | KeyEvent | Approval | Scan | Watch, origin: str
) -> tuple[list[dict[str, object]], list[str]]:
    """What was changed or read, and which of the entry's attributes that says."""
    match entry:
        case QuotaChange():
            return [{"uid": entry.target, "type": "staff"}], ["target"]
        case PolicyChange():
            policy: dict[str, object] = {"name": "reveal", "type": "policy", "version": str(entry.version)}
            if entry.sha256:
                policy["uid"] = entry.sha256
            return [policy], ["version", "sha256"]
        case StaffChange():
            staff: list[dict[str, object]] = [{"uid": entry.target, "type": "staff"}]
            if entry.device:
                staff.append({"uid": entry.device, "type": "device"})
            return staff, ["target", "device"]
        case Erasure():
            return [{"name": entry.action, "type": "erased"}], []
        case Approval():
            return [{"uid": entry.approval, "type": "approval"}], ["approval"]
        case Scan():
            manifest: dict[str, object] = {"name": "manifest", "type": "scan"}
            if entry.manifest:
                manifest["uid"] = entry.manifest
            return [manifest], ["manifest"]
        case Watch():
            return (
                ([{"uid": entry.case, "type": "case"}], ["case"])
                if entry.case
                else ([{"name": "cases", "type": "watch"}], [])
            )
        case KeyEvent():
            what = entry.action.partition("-")[0]
            if what in ("kek", "epoch"):
                return [{"name": what, "type": "key"}], []
            return [{"uid": origin, "type": "audit log"}], []


def _class(uid: int, name: str, activity: int, caption: str, action: str) -> dict[str, object]:
    return {
        "class_uid": uid,
        "class_name": name,
        "activity_id": activity,
        "activity_name": action if activity == _OTHER else caption,  # OCSF wants the source's own word for Other
        "type_uid": uid * 100 + activity,
        "type_name": f"{name}: {caption}",
    }


def _severity(severity: int) -> dict[str, object]:
    return {"severity_id": severity, "severity": _SEVERITIES[severity]}


def _outcome(*, denied: bool) -> dict[str, object]:
    """Status, and what the profile ``security_control`` adds."""
    status = (2, "Failure", 2, "Denied", 2, "Blocked") if denied else (1, "Success", 1, "Allowed", 1, "Allowed")
    names = ("status_id", "status", "action_id", "action", "disposition_id", "disposition")
    return dict(zip(names, status, strict=True))


def _origin(actor: str, device: str, groups: list[tuple[str, str]]) -> dict[str, object]:
    """Who did it and from where. Entries hold no addresses, so a device's id is all that is known of the place."""
    kind = (2, "Admin") if actor == _KEYHOLDER else (0, "Unknown") if actor == _UNKNOWN else (1, "User")
    user: dict[str, object] = {"uid": actor, "type_id": kind[0], "type": kind[1]}
    if told := [{"uid": uid, "type": type_} for uid, type_ in groups if uid]:
        user["groups"] = told
    found: dict[str, object] = {"actor": {"user": user}}
    if device and device != _UNKNOWN:
        found["src_endpoint"] = {"uid": device}
        found["device"] = {"uid": device, "type_id": 0, "type": "Unknown"}
    elif actor == _KEYHOLDER:
        found["src_endpoint"] = {"svc_name": _PRODUCT}  # the command line, where the workspace is
    else:
        found["src_endpoint"] = {"name": "unknown"}
    return found


def _device_said(event: dict[str, object]) -> list[str]:
    return ["device"] if "device" in event else []
