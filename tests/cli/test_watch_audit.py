"""``watch run --audit``: the desk's own looks, out of the log, held against the same work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.conftest import Desk
from cli.office import NAME, NOBODYS, OTHERS, OWN, PHONE, Office, open_office


@pytest.fixture
def office(desk: Desk) -> Office:
    return open_office(desk)


def judged(office: Office, *words: str) -> dict[str, Any]:
    ran = office.run("watch", "run", "--audit", "--work", "scans.csv", "--json", *words)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_the_desks_own_looks_are_judged_and_that_is_logged(office: Office) -> None:
    assert office.look(OWN).code == 0
    assert office.look(OTHERS, NOBODYS).code == 12
    found = judged(office)
    assert found["read"]["accesses"] == 3, "one look, two refusals"
    assert found["accounts"] >= 1
    assert found["cases"] == []
    log = [json.loads(line) for line in office.run("audit", "export").out.splitlines()]
    entries = [line.get("entry", line) for line in log]
    assert any(entry.get("kind") == "key" and entry.get("detail") == "watch" for entry in entries)
    text = office.run("audit", "export").out.decode()
    assert NAME not in text and PHONE not in text
    assert judged(office)["read"]["accesses"] == 3, "the same looks have the same numbers"


def test_without_work_and_without_a_workspace_it_says_what_is_missing(office: Office) -> None:
    office.run("watch", "run", "--audit").refused(2, "without work events")
    office.run("watch", "run", "--audit", "--work", "scans.csv", "--no-store").refused(2, "audit log", "--no-store")


def test_a_log_in_which_nobody_looked(office: Office) -> None:
    ran = office.run("watch", "run", "--audit", "--work", "scans.csv")
    assert ran.code == 0
    assert "0 cases" in ran.err
