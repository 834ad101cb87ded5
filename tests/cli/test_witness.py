"""``parcelveil audit witness`` and ``audit cosign``: from making one to the alarm, and what people get wrong."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Desk
from cli.office import OWN, Office, open_office

RUN = ("audit", "witness", "run", "w1")
ORIGIN = "acme.parcelveil/log"


@pytest.fixture
def office(desk: Desk) -> Office:
    office = open_office(desk)
    assert office.run("audit", "witness", "init", "w1", "--name", "regulator.example/w1").code == 0
    assert office.run("audit", "witness", "trust", "w1", "acme/audit/log.vkey").err == ""
    return office


def test_cosign_and_take_over(office: Office) -> None:
    facts = office.json(*RUN, "--from", "acme/audit", "--once", "-o", "w1.note")
    assert facts["size"] == facts["new"] > 0
    again = office.run(*RUN, "--from", "acme/audit", "--once", "-o", "w1.note")
    assert "(0 new entries)" in again.err
    assert office.run("audit", "cosign", "w1.note", "--key", "w1/witness.vkey").code == 0
    assert "regulator.example/w1" in office.run("audit", "prove", "1").text
    office.run("audit", "cosign", "w1.note", "--key", "acme/audit/log.vkey").refused(10, "no cosignature")
    assert office.run("audit", "cosign", "nowhere", "--key", "w1/witness.vkey").code == 10


def test_mistakes(office: Office) -> None:
    office.run("audit", "witness", "init", "w2").refused(2, "--name is missing")
    office.run("audit", "witness", "init", "w2", "--name", "a b").refused(10, "regulator.example/w1")
    office.run("audit", "witness", "init", "w1", "--name", "x/y").refused(10, "already")
    assert not Path("w2").exists()
    office.run("audit", "witness", "trust", "w1", "nowhere").refused(2, "nowhere cannot be read")
    office.run("audit", "witness", "trust", "w1", "orders.csv").refused(10, "not a log's key")
    office.run(*RUN, "--once").refused(2, "--from is missing")
    office.run(*RUN, "--from", "nowhere", "--once").refused(2, "nowhere is no folder")
    office.run(*RUN, "--from", "home", "--once").refused(10, "no checkpoint")
    office.run(*RUN, "--from", "acme/audit", "--once", "-o", "nowhere/n").refused(6, "could not be written")
    office.run(*RUN, "--from", "acme/audit", "--once", "--serve", "0").refused(2, "--serve")
    office.run(*RUN, "--from", "acme/audit", "--every", "0").refused(2, "--every")
    office.run(*RUN, "--from", "acme/audit", "--every", "soon").refused(2, "has to be a number")
    office.run(*RUN, "--from", "acme/audit", "--once", "--origin", "other/log").refused(10, "not watched")
    office.run("audit", "witness", "run", "nowhere", "--from", "acme/audit", "--once").refused(
        10, "no witness's folder"
    )
    assert office.run("audit", "witness", "clear", "w1", ORIGIN).code == 10
    office.run("audit", "witness", "init", "w3", "--name", "regulator.example/w3")
    office.run("audit", "witness", "run", "w3", "--from", "acme/audit", "--once").refused(2, "which log")


def test_t10_a_rollback_is_an_alarm_and_forgets_nothing(office: Office) -> None:
    shutil.copytree("acme/audit", "old")
    office.look(OWN)
    assert office.run(*RUN, "--from", "acme/audit", "--once").code == 0
    office.run(*RUN, "--from", "old", "--once").refused(10, "fewer entries")
    assert office.run(*RUN, "--from", "acme/audit", "--once").code == 0  # the log as it was seen goes on
    office.run(*RUN, "--from", "old", "--once").refused(10, "fewer entries")
    office.run("audit", "witness", "clear", "w1", ORIGIN).refused(10, "no alarm")  # only a fork stops it


def test_an_alarm_in_chinese(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.run(*RUN, "--from", "acme/audit", "--once")
    shutil.copytree("acme/audit", "old")
    office.look(OWN)
    office.run(*RUN, "--from", "acme/audit", "--once")
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    ran = office.run(*RUN, "--from", "old", "--once")
    assert ran.err.startswith(f"错误: {ORIGIN} 的记录比以前少")


def test_run_until_ctrl_c(office: Office, environment: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "parcelveil",
        *RUN,
        "--from",
        "acme/audit",
        "--every",
        "1",
        "--serve",
        "0",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert b"answering add-checkpoint on 127.0.0.1:" in process.stderr.readline()
        assert json.loads(process.stdout.readline())["origin"] == ORIGIN
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == b"stopped; what was cosigned is kept\n"
