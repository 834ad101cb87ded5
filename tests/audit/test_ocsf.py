"""OCSF: every entry validates against the published schema of its class, says what it should, and loses nothing."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-untyped]

from parcelveil import __version__
from parcelveil.audit import ocsf
from parcelveil.audit.entry import (
    KINDS,
    AnyEntry,
    Approval,
    Erasure,
    Export,
    KeyEvent,
    Look,
    PolicyChange,
    QuotaChange,
    Refusal,
    Scan,
    StaffChange,
    Watch,
    encode,
)
from parcelveil.audit.ocsf import SCHEMA, ocsf_lines, to_ocsf
from parcelveil.errors import LogError

ORIGIN = "acme.parcelveil/log"
TIME = 1_795_500_000_123_999  # microseconds
SUBJECTS = ("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
ASKED: dict[str, Any] = {
    "time": TIME,
    "request": "00112233445566aa",
    "actor": "s-7f3a",
    "role": "courier",
    "scene": "deliver",
    "outlet": "O-17",
    "device": "d-09",
    "fields": ("to_phone", "to_address"),
    "form": "full",
    "subjects": SUBJECTS,
    "waybills": 2,
    "policy": 3,
    "rules": ("deliver-permit", "custody"),
}
ENTRIES: list[AnyEntry] = [
    Look(**ASKED, values=4, ticket="T-1", document=SUBJECTS[0], approval="a-1"),
    Look(**ASKED | {"form": "masked"}, action="search"),
    Look(time=TIME, actor="s-1", role="courier", scene="pickup"),
    Refusal(**ASKED, answer="over-quota", reason="quota"),
    Refusal(time=TIME, actor="?", role="?", scene="?", device="?", answer="refused", reason="device", action="export"),
    Refusal(**ASKED, answer="refused", reason="x", action="trace"),
    Export(**ASKED, values=10_000),
    Export(time=TIME, actor="keyholder", role="keyholder", scene="open", form="full", values=1),
    QuotaChange(time=TIME, actor="s-2", target="s-7f3a", scene="deliver", day="2026-11-24", limit=400, approval="a-2"),
    PolicyChange(time=TIME, action="proposed", version=4, actor="s-3", sha256="ab" * 32, proposal="p-1"),
    PolicyChange(time=TIME, action="approved", version=4, actor="s-4", sha256="ab" * 32),
    PolicyChange(time=TIME, action="rejected", version=4, actor="s-4", sha256="ab" * 32),
    PolicyChange(time=TIME, action="refused", version=9, actor="s-5", sha256=""),
    StaffChange(time=TIME, action="added", actor="keyholder", target="s-8", roles=("courier", "clerk"), outlet="O-1"),
    *[StaffChange(time=TIME, action=a, actor="keyholder", target="s-8") for a in ("changed", "suspended", "forgotten")],
    StaffChange(time=TIME, action="enrolled", actor="keyholder", target="s-8", device="d-10"),
    StaffChange(time=TIME, action="withdrawn", actor="keyholder", target="s-8", device="d-10"),
    Erasure(time=TIME, action="waybills", count=12, kek_version=2),
    Erasure(time=TIME, action="days", count=3),
    Erasure(time=TIME, action="staff", count=1),
    *[
        KeyEvent(time=TIME, action=a, detail="1")
        for a in "log-created kek-rotated epoch-rotated salts-read salts-refused log-read pruned clock-held clock-accepted".split()
    ],
    Scan(
        time=TIME,
        action="finished",
        actor="s-4",
        role="security",
        documents=12,
        partly=1,
        skipped=2,
        bytes=63_300_000,
        findings=("person.name clear 4800", "phone.mobile clear 4812"),
        allowed=3,
        people=4812,
        worst="high",
        key="2d4f72b94f828a2c",
        rules="ab" * 32,
        manifest="cd" * 32,
    ),
    Scan(time=TIME, action="stopped"),
    Watch(time=TIME, action="finished", accesses=14_000, works=50_000, days=28, opened=3, changed=1, alerts="ab" * 32),
    Watch(time=TIME, action="stopped", actor="s-4", role="security"),
    Watch(time=TIME, action="decided", case="5eed5eed5eed5eed", state="harmless", note="stand-in"),
    Watch(time=TIME, action="decoys-planted", decoys=1000, key="5eed5eed"),
    Watch(time=TIME, action="decoys-listed", decoys=12, key="5eed5eed"),
    Approval(
        time=TIME,
        action="requested",
        approval="a-3",
        actor="s-1",
        device="d-1",
        scene="export",
        waybills=900,
        until=TIME + 1,
        request="00112233445566aa",
    ),
    *[Approval(time=TIME, action=a, approval="a-3", actor="s-2") for a in ("approved", "rejected", "used", "expired")],
    Approval(time=TIME, action="refused", approval="?", actor="?", device="?"),
]


@functools.cache
def schema() -> Any:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=SCHEMA))


@functools.cache
def validator(class_name: str, profiles: tuple[str, ...]) -> Any:
    return jsonschema.Draft202012Validator(schema().get_class_schema(class_name, list(profiles)))


def problems(event: Any) -> list[str]:
    """What the published schema says against an event, under the profiles that it names itself."""
    class_name = schema().lookup_class_name_from_uid(event["class_uid"])
    profiles = tuple(event["metadata"].get("profiles", ()))
    return [error.message for error in validator(class_name, profiles).iter_errors(event)]


def converted(entry: AnyEntry, index: int = 7) -> Any:
    return to_ocsf(entry, index, origin=ORIGIN, version="1.2.3")


def label(entry: AnyEntry) -> str:
    return f"{entry.kind}-{getattr(entry, 'action', '')}-{entry.actor}"


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


# ---- against the published schema


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_every_kind_of_entry_validates(entry: AnyEntry) -> None:
    event = converted(entry)
    assert problems(event) == []
    assert json.loads(json.dumps(event)) == event  # nothing that JSON has not: no tuples


def test_the_examples_have_every_kind_and_every_action_of_the_table() -> None:
    events = [converted(entry) for entry in ENTRIES]
    assert {entry.kind for entry in ENTRIES} == set(KINDS)
    assert set(ocsf._DONE) <= {event["api"]["operation"] for event in events if "api" in event}


word = st.text(st.characters(codec="utf-8"), max_size=12)
number = st.integers(0, 2**53)


@functools.cache
def any_entry() -> st.SearchStrategy[AnyEntry]:
    """Entries with any text in any place: what the desk would never write must still give valid events."""
    asked: dict[str, Any] = {
        "time": number,
        "request": word,
        "actor": word,
        "role": word,
        "scene": word,
        "outlet": word,
        "device": word,
        "fields": st.lists(word, max_size=3).map(tuple),
        "form": word,
        "subjects": st.lists(word, max_size=3).map(tuple),
        "waybills": number,
        "policy": number,
        "rules": st.lists(word, max_size=3).map(tuple),
        "ticket": word,
        "document": word,
        "approval": word,
    }
    act = word | st.sampled_from([operation.partition(".")[2] for operation in ocsf._DONE] + ["refused", "x-refused"])
    done: dict[str, Any] = {"time": number, "request": word, "action": act, "actor": word | st.just("keyholder")}
    return st.one_of(
        st.builds(Look, **asked, action=word | st.sampled_from(list(ocsf._ASKED)), values=number),
        st.builds(Refusal, **asked, action=word, answer=word, reason=word),
        st.builds(Export, **asked, values=number),
        st.builds(QuotaChange, time=number, actor=word, target=word, scene=word, day=word, limit=number, approval=word),
        st.builds(PolicyChange, **done, version=number, sha256=word, proposal=word),
        st.builds(StaffChange, **done, target=word, roles=st.tuples(word), outlet=word, device=word),
        st.builds(Erasure, **done, count=number, kek_version=number),
        st.builds(KeyEvent, **done, detail=word),
        st.builds(
            Scan,
            **done,
            role=word,
            documents=number,
            partly=number,
            skipped=number,
            bytes=number,
            findings=st.lists(word, max_size=3).map(tuple),
            allowed=number,
            people=number,
            worst=word,
            key=word,
            rules=word,
            manifest=word,
        ),
        st.builds(
            Watch,
            **done,
            role=word,
            accesses=number,
            works=number,
            days=number,
            opened=number,
            changed=number,
            alerts=word,
            case=word,
            state=word,
            note=word,
            decoys=number,
            key=word,
        ),
        st.builds(Approval, **done, approval=word, device=word, scene=word, waybills=number, until=number),
    )


@settings(deadline=None, max_examples=400)
@given(any_entry(), number)
def test_any_entry_validates_and_loses_nothing(entry: AnyEntry, index: int) -> None:
    event = converted(entry, index)
    assert problems(event) == []
    (line,) = ocsf_lines([(index, encode(entry))], origin=ORIGIN)
    assert json.loads(line) == to_ocsf(entry, index, origin=ORIGIN, version=__version__)
    said = [str(leaf) for leaf in leaves(event)]
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        if name not in ("v", "action") and value not in ("", 0, ()):
            for leaf in leaves(value):
                assert str(leaf) in said, name
    if getattr(entry, "action", "") and "api" in event:
        assert event["api"]["operation"] == f"{entry.kind}.{entry.action}"  # type: ignore[union-attr]


def broken() -> Iterator[tuple[str, dict[str, Any]]]:
    refusal, approval = converted(ENTRIES[3]), converted(ENTRIES[-6])
    for event in (refusal, approval):
        required = "activity_id category_uid class_uid time severity_id type_uid metadata actor src_endpoint".split()
        for name in required:
            yield f"no {name}", {n: v for n, v in event.items() if n != name}

    def change(event: dict[str, Any], value: Any, *path: Any) -> dict[str, Any]:
        event = copy.deepcopy(event)
        place: Any = event
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return event

    yield "no database", change(refusal, None, "database")
    yield "no api", change(approval, None, "api")
    yield "no operation", change(approval, None, "api", "operation")
    yield "no product", change(refusal, None, "metadata", "product")
    yield "no schema version", change(refusal, None, "metadata", "version")
    yield "no type_id", change(refusal, None, "database", "type_id")
    yield "empty endpoint", change(refusal, {}, "src_endpoint")
    yield "empty actor", change(refusal, {}, "actor")
    yield "profile not named", change(refusal, [], "metadata", "profiles")
    yield "no such activity", change(refusal, 11, "activity_id")
    yield "no such api activity", change(approval, 5, "activity_id")
    yield "type of another class", change(refusal, 600301, "type_uid")
    yield "category", change(refusal, 5, "category_uid")
    yield "severity", change(refusal, 7, "severity_id")
    yield "status", change(refusal, 3, "status_id")
    yield "disposition", change(refusal, 28, "disposition_id")
    yield "action", change(refusal, 5, "action_id")
    yield "user type", change(refusal, 5, "actor", "user", "type_id")
    yield "time as text", change(refusal, "2026-11-24T00:00:00Z", "time")
    yield "time with a fraction", change(refusal, 1.5, "time")
    yield "sequence as text", change(refusal, "7", "metadata", "sequence")
    yield "an attribute nobody knows", change(refusal, "deliver", "scene")
    yield "resources of another class", change(refusal, approval["resources"], "resources")
    yield "role of a resource", change(approval, 5, "resources", 0, "role_id")


@pytest.mark.parametrize(("name", "event"), list(broken()), ids=lambda value: value if isinstance(value, str) else "")
def test_the_validator_refuses_a_broken_event(name: str, event: dict[str, Any]) -> None:
    if "class_uid" in event and "metadata" in event:
        assert problems(event)
    else:  # without these the class, or its profiles, cannot be looked up at all
        assert list(validator("datastore_activity", ("host", "security_control")).iter_errors(event))


# ---- what events say


def test_captions_and_numbers_agree_with_the_schema() -> None:
    """The sibling texts (``severity`` for ``severity_id``, and so on) are those of the schema."""
    raw = get_ocsf_schema(version=SCHEMA)
    for entry in ENTRIES:
        event = converted(entry)
        attributes = raw["classes"][schema().lookup_class_name_from_uid(event["class_uid"])]["attributes"]

        def caption(name: str, of: Any = attributes, event: Any = event) -> str:
            return str(of[name]["enum"][str(event[name])]["caption"])

        assert event["class_name"] == caption("class_uid")
        assert event["category_name"] == caption("category_uid")
        assert event["type_name"] == caption("type_uid")
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        for sibling in ("severity", "status", "action", "disposition", "type"):
            if f"{sibling}_id" in event:
                assert event[sibling] == caption(f"{sibling}_id")
        if event["activity_id"] != 99:
            assert event["activity_name"] == caption("activity_id")
        user = event["actor"]["user"]
        assert user["type"] == raw["objects"]["user"]["attributes"]["type_id"]["enum"][str(user["type_id"])]["caption"]


def test_a_look_in_full() -> None:
    assert converted(ENTRIES[0]) == {
        "class_uid": 6005,
        "class_name": "Datastore Activity",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": 1,
        "activity_name": "Read",
        "type_uid": 600501,
        "type_name": "Datastore Activity: Read",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "action_id": 1,
        "action": "Allowed",
        "disposition_id": 1,
        "disposition": "Allowed",
        "time": 1_795_500_000_123,
        "actor": {
            "user": {
                "uid": "s-7f3a",
                "type_id": 1,
                "type": "User",
                "groups": [{"uid": "courier", "type": "role"}, {"uid": "O-17", "type": "outlet"}],
            }
        },
        "src_endpoint": {"uid": "d-09"},
        "device": {"uid": "d-09", "type_id": 0, "type": "Unknown"},
        "type_id": 1,
        "type": "Database",
        "database": {"name": "waybills", "type_id": 99, "type": "Sealed waybills"},
        "policy": {"name": "reveal", "type": "Cedar", "version": "3", "is_applied": True},
        "authorizations": [
            {"decision": "allowed", "policy": {"uid": "deliver-permit"}},
            {"decision": "allowed", "policy": {"uid": "custody"}},
        ],
        "metadata": {
            "version": "1.8.0",
            "product": {"name": "parcelveil", "vendor_name": "parcelveil", "version": "1.2.3"},
            "profiles": ["host", "security_control"],
            "uid": "acme.parcelveil/log/7",
            "log_name": "acme.parcelveil/log",
            "log_provider": "parcelveil",
            "log_version": "1",
            "event_code": "look",
            "original_event_uid": "7",
            "original_time": "1795500000123999",
            "sequence": 7,
            "correlation_uid": "00112233445566aa",
        },
        "unmapped": {
            "scene": "deliver",
            "fields": ["to_phone", "to_address"],
            "form": "full",
            "subjects": list(SUBJECTS),
            "waybills": 2,
            "values": 4,
            "ticket": "T-1",
            "document": SUBJECTS[0],
            "approval": "a-1",
        },
    }


def test_a_refusal_failed_and_was_blocked() -> None:
    event = converted(ENTRIES[3])
    assert (event["status_id"], event["action_id"], event["disposition_id"]) == (2, 2, 2)
    assert (event["status_code"], event["status_detail"]) == ("over-quota", "quota")
    assert event["severity_id"] == 2
    assert {each["decision"] for each in event["authorizations"]} == {"denied"}
    assert set(event["unmapped"]) == {"scene", "fields", "form", "subjects", "waybills"}  # nothing is said twice


@pytest.mark.parametrize(
    ("entry", "type_uid", "severity"),
    [
        (ENTRIES[1], 600504, 1),
        (ENTRIES[5], 600599, 2),
        (ENTRIES[6], 600510, 3),
        (ENTRIES[8], 600303, 2),
        (ENTRIES[9], 600301, 2),
        (ENTRIES[10], 600303, 3),
        (ENTRIES[12], 600399, 3),
        (Erasure(time=TIME, action="waybills", count=1), 600304, 1),
        (KeyEvent(time=TIME, action="salts-read"), 600302, 3),
        (KeyEvent(time=TIME, action="something-new"), 600399, 2),
    ],
    ids=str,
)
def test_activities_and_severities(entry: AnyEntry, type_uid: int, severity: int) -> None:
    event = converted(entry)
    assert (event["type_uid"], event["severity_id"]) == (type_uid, severity)


def test_other_activities_carry_the_desks_own_word() -> None:
    assert converted(ENTRIES[5])["activity_name"] == "trace"
    assert converted(KeyEvent(time=TIME, action="something-new"))["activity_name"] == "something-new"


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "refused" in getattr(e, "action", "")], ids=label)
def test_a_refused_power_failed_too(entry: AnyEntry) -> None:
    event = converted(entry)
    assert (event["status_id"], event["action_id"], event["disposition_id"]) == (2, 2, 2)
    assert event["severity_id"] == 3
    assert event["metadata"]["profiles"] == ["security_control"]


def test_who_is_unknown_is_said_to_be() -> None:
    event = converted(ENTRIES[4])
    assert event["actor"]["user"] == {
        "uid": "?",
        "type_id": 0,
        "type": "Unknown",
        "groups": [{"uid": "?", "type": "role"}],
    }
    assert event["src_endpoint"] == {"name": "unknown"}
    assert "device" not in event
    assert event["unmapped"]["device"] == "?"


def test_the_key_holder_is_an_administrator_on_the_machine_itself() -> None:
    event = converted(Erasure(time=TIME, action="days", count=3))
    assert event["actor"]["user"] == {"uid": "keyholder", "type_id": 2, "type": "Admin"}
    assert event["src_endpoint"] == {"svc_name": "parcelveil"}


def test_an_enrolled_device_is_what_was_changed_and_not_where_it_was_done() -> None:
    event = converted(StaffChange(time=TIME, action="enrolled", actor="keyholder", target="s-8", device="d-10"))
    assert [(each["uid"], each["type"]) for each in event["resources"]] == [("s-8", "staff"), ("d-10", "device")]
    assert "device" not in event


# ---- time and lines


@pytest.mark.parametrize(
    ("microseconds", "milliseconds"), [(0, 0), (999, 0), (1000, 1), (TIME, 1_795_500_000_123)], ids=str
)
def test_time_is_milliseconds_rounded_down_wherever_the_machine_stands(
    microseconds: int, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for zone in ("UTC", "Asia/Shanghai", "America/St_Johns"):
        monkeypatch.setenv("TZ", zone)
        event = converted(KeyEvent(time=microseconds, action="log-read"))
        assert event["time"] == milliseconds
        assert event["metadata"]["original_time"] == str(microseconds)


def test_lines_are_one_event_each_and_lazy() -> None:
    pulled = 0

    def entries() -> Iterator[tuple[int, bytes]]:
        nonlocal pulled
        for index, entry in enumerate(ENTRIES):
            pulled += 1
            yield index, encode(entry)

    lines = ocsf_lines(entries(), origin=ORIGIN)
    first = next(lines)
    assert pulled == 1
    every = [first, *lines]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in every)
    events = [json.loads(line) for line in every]
    assert [event["metadata"]["sequence"] for event in events] == list(range(len(ENTRIES)))
    assert len({event["metadata"]["uid"] for event in events}) == len(ENTRIES)
    assert {event["metadata"]["product"]["version"] for event in events} == {__version__}


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"kind":"look"}', encode(ENTRIES[0]) + b" ", b"[" * 60_000])
def test_bytes_that_are_no_entry_stop_the_export(data: bytes) -> None:
    lines = ocsf_lines([(0, encode(ENTRIES[0])), (1, data)], origin=ORIGIN)
    next(lines)
    with pytest.raises(LogError, match="entry 1 "):
        next(lines)
