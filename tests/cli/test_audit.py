"""``parcelveil audit``: reading, proving, verifying, reconciling, and a log that is empty, damaged or somebody else's."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

from cli.conftest import PASSPHRASE, Desk
from cli.office import OTHERS, OWN, Office, open_office
from parcelveil.seal import kernel
from parcelveil.workspace import Workspace

LOG = ("--log", "acme/audit", "--key", "acme/audit/log.vkey")


@pytest.fixture
def office(desk: Desk) -> Office:
    office = open_office(desk)
    office.look(OWN, OTHERS)
    return office


def around_the_log() -> None:
    """Somebody with the key ring opens a waybill and logs nothing."""
    batch = pyarrow.parquet.read_table("acme/sealed/day.parquet").slice(0, 1).combine_chunks().to_batches()[0]
    with Workspace.open(Path("acme"), lambda: PASSPHRASE) as workspace:
        kernel.open_batch(batch, workspace.ring.open_keys(kernel.epochs_in(batch)))


def test_t10_opening_past_the_log_is_an_alarm(office: Office) -> None:
    assert office.json("audit", "reconcile")["alarm"] is False
    around_the_log()
    ran = office.run("audit", "reconcile")
    assert ran.code == 10
    assert "ALARM" in ran.err
    facts = office.json("audit", "reconcile", code=10)
    assert facts["alarm"] is True
    assert facts["days"][0]["opened"] > facts["days"][0]["logged"] > 0


def test_t10_an_empty_log_hides_no_alarm(desk: Desk, orders: Path) -> None:
    assert desk.run("audit", "reconcile").code == 0
    (desk.folder / "acme" / "sealed").mkdir(exist_ok=True)
    desk.sealed("orders.csv", "-o", "acme/sealed/day.parquet")
    around_the_log()
    ran = desk.run("audit", "reconcile")
    assert (ran.code, "ALARM" in ran.err) == (10, True)


def test_an_empty_log(desk: Desk) -> None:
    for words in (("show",), ("tail",)):
        ran = desk.run("audit", *words)
        assert (ran.code, ran.text, ran.err) == (0, "", "the log is empty\n")
    for command in ("verify", "show 0", "export"):
        desk.run("audit", *command.split()).refused(10, "the log is empty")
    desk.run("audit", "prove", "0").refused(10, "no entry 0")


def test_show_is_short_and_whole(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")  # entries hold no personal data
    shown = office.run("audit", "show").text
    assert "log-created" in shown
    assert "custody-missing" in shown
    assert "+08:00" in shown
    assert max(map(len, shown.splitlines())) <= 112
    last = json.loads(office.run("audit", "show", "--last", "1", "--json").text)
    assert json.loads(office.run("audit", "show", str(last["index"])).text) == last
    assert office.run("audit", "show", "--kind", "refusal").text.count("\n") == 3
    assert office.run("audit", "show", *LOG, "--last", "1").code == 0
    none = office.run("audit", "show", "--actor", "s-0")
    assert (none.code, none.text, none.err) == (0, "", "no entry matches\n")


def test_show_with_mistakes(office: Office) -> None:
    office.run("audit", "show", "999").refused(10, "no entry 999", "from 0 to")
    office.run("audit", "show", "--kind", "lok").refused(2, "look, refusal")
    office.run("audit", "show", "--last=-3").refused(2, "--last")
    office.run("audit", "show", "--log", "acme/audit").refused(2, "--key FILE")
    office.run("audit", "show", "--log", "nowhere", *LOG[2:]).refused(2, "nowhere")
    office.run("audit", "show", *LOG[:3], "orders.csv").refused(2, "no verifier key")
    office.run("audit", "show", *LOG[:3], "nowhere").refused(2, "nowhere cannot be read")
    office.run("audit", "tail", "--every", "0").refused(2, "--every")
    office.run("audit", "tail", "--every", "nan").refused(2, "--every")


def test_prove_and_verify(office: Office) -> None:
    assert office.run("audit", "prove", "2", "-o", "2.tlog-proof").code == 0
    before = Path("2.tlog-proof").read_text()
    office.run("audit", "prove", "1", "-o", "2.tlog-proof").refused(6, "--force")
    assert Path("2.tlog-proof").read_text() == before
    assert office.run("audit", "prove", "1", "-o", "2.tlog-proof", "--force").code == 0
    assert Path("2.tlog-proof").read_text() == office.run("audit", "prove", "1").text
    office.run("audit", "prove", "1", "-o", "nowhere/1").refused(6, "could not be written")
    office.run("audit", "prove", "999").refused(10, "no entry 999")
    facts = office.json("audit", "verify", "--deep", "--receipt", "2.tlog-proof")
    assert (facts["receipts"], facts["bad_receipts"]) == (1, [])
    assert office.run("audit", "verify", "acme/audit", *LOG[2:]).code == 0
    assert not [name for name in office.desk.names() if name.endswith(".part")]


def test_receipts_that_were_tampered_with(office: Office) -> None:
    office.look(OWN, more=("--receipts", "r"))
    (path,) = Path("r").iterdir()
    lines = path.read_text().splitlines()
    entry = base64.b64decode(lines[1].removeprefix("extra ")).replace(b"courier", b"auditor")
    lines[1] = "extra " + base64.b64encode(entry).decode()
    path.write_text("\n".join(lines) + "\n")
    ran = office.run("audit", "verify", "--receipt", "r")
    assert ran.code == 10
    assert "the entry is not in the log" in ran.err
    assert "0 of 1 receipts hold" in ran.err
    assert office.json("audit", "verify", "--receipt", "orders.csv", code=10)["bad_receipts"][0]["name"] == "orders.csv"
    Path("none").mkdir()
    office.run("audit", "verify", "--receipt", "none").refused(2, "holds no receipts")
    office.run("audit", "verify", "--receipt", "nowhere").refused(2, "nowhere")


def test_t6_a_changed_tile_is_found(office: Office) -> None:
    assert office.run("audit", "verify").code == 0
    tile = max(Path("acme/audit/tile/entries").rglob("*.p/*"), key=lambda path: int(path.name))
    tile.chmod(0o644)
    tile.write_bytes(tile.read_bytes().replace(b"courier", b"auditor", 1))
    office.run("audit", "verify").refused(10, "was changed")
    office.run("audit", "reconcile").refused(10, "was changed")


def test_export(office: Office) -> None:
    lines = office.run("audit", "export").out.splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
    assert office.run("audit", "export", "--ocsf", "-o", "a.jsonl").code == 0
    assert {json.loads(line)["class_uid"] for line in Path("a.jsonl").read_text().splitlines()} == {6003, 6005}
    office.run("audit", "export", "-o", "a.jsonl").refused(6, "--force")
    office.run("audit", "export", "-o", "acme").refused(6, "is a folder")
    office.run("audit", "export", "--from=-5").refused(2, "--from")
    assert office.run("audit", "export", "--from", "999").out == b""
    assert office.run("audit", "export", "-o", "/dev/null").code == 0


def test_subjects_are_for_the_salt_keeper(desk: Desk) -> None:
    office = open_office(desk, ("c-104", "k-1"))
    office.look(OWN)
    (row,) = office.json("audit", "subjects", "--waybill", OWN, *office.by("k-1"))
    assert (row["kind"], row["value"]) == ("waybill", OWN)
    assert [r["value"] for r in office.json("audit", "subjects", str(row["entry"]), *office.by("k-1"))] == [OWN]
    office.run("audit", "subjects", "--waybill", OWN, *office.by("c-104")).refused(11, "salt_keeper")
    office.run("audit", "subjects", *office.by("k-1")).refused(2, "an entry or a waybill")
    assert office.run("erase", "waybill", OWN, "--yes").code == 0
    assert office.json("audit", "subjects", "--waybill", OWN, *office.by("k-1")) == []


def test_prune_and_publish(office: Office) -> None:
    office.run("audit", "prune", "2020-01-01", stdin=b"").refused(2, "--yes")
    office.run("audit", "prune", "someday", "--yes").refused(2, "someday")
    office.run("audit", "prune", "2999-01-01", "--yes").refused(10, "1096 days")
    assert office.json("audit", "prune", "2020-01-01", "--yes")["entries"] == 0
    assert office.json("audit", "publish")["entries"] == office.entries()


def test_a_workspace_without_keys(desk: Desk) -> None:
    assert desk.run("init", "home/bare", "--no-keys").code == 0
    for words in (("staff", "list"), ("reveal", "approvals"), ("audit", "publish")):
        desk.run(*words, "-w", "home/bare").refused(5, "no keys")
    assert desk.run("scenes", "list", "-w", "home/bare").code == 0
    desk.run("audit", "show", "-w", "home/none").refused(5, "home/none")


def follow(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "parcelveil", "audit", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def test_tail_follows_until_ctrl_c(office: Office, environment: dict[str, str]) -> None:
    with follow(environment, "tail", "-f", "--every", "0.1", "--json", "--last", "0") as process:
        assert process.stdout is not None
        time.sleep(1.5)
        before = office.entries()
        office.look(OWN)
        assert json.loads(process.stdout.readline())["index"] == before
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_tail_ends_with_its_reader(office: Office, environment: dict[str, str]) -> None:
    with follow(environment, "tail", "-f", "--every", "0.1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()  # as head does
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_pipe_that_closes_early(office: Office, environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "parcelveil", "audit", "export"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(write)
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
