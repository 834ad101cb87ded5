"""``parcelveil audit``: reading, proving, verifying, reconciling, and a log that is empty, damaged or somebody else's."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest

from cli.conftest import PASSPHRASE, Desk
from cli.office import OTHERS, OWN, Office, open_office
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.audit import tiles
from parcelveil.audit.entry import KeyEvent, encode
from parcelveil.audit.note import Signer
from parcelveil.audit.tree import Frontier, leaf_hash
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


def edit(statement: str, *values: object) -> None:
    """What somebody does who may write the database and has no key."""
    with closing(sqlite3.connect("acme/state.db")) as db, db:
        db.execute(statement, values)


def unpublished() -> int:
    """An entry that is durable and not in the folder yet; the log's size with it."""
    with Workspace.open(Path("acme"), lambda: PASSPHRASE) as workspace:
        workspace.log.append(KeyEvent(time=0, action="log-read", actor="s-1"))
        size = workspace.log.state().size
        workspace.__dict__.pop("log")  # else it is published now
    return size


def test_t10_a_forged_tail_is_found(office: Office) -> None:
    """Entries that are not published yet, their heads and the frontier lie unsigned in one database."""
    unpublished()
    size = unpublished()
    assert office.json("audit", "verify")["size"] == size
    with closing(sqlite3.connect("acme/state.db")) as db:
        groups = db.execute("SELECT first, bundle FROM log_group ORDER BY first").fetchall()
    fetch = tiles.directory(Path("acme/audit"))
    entries = list(tiles.TileReader(fetch, groups[0][0]).entries(0, groups[0][0]))
    frontier = Frontier()
    frontier.extend([leaf_hash(entry) for entry in entries])
    for first, bundle in groups:
        (entry,) = tiles.unbundle(bundle)
        entry = entry.replace(b'"s-1"', b'"s-2"')
        frontier.append(leaf_hash(entry))
        edit("UPDATE log_group SET bundle = ? WHERE first = ?", tiles.bundle([entry]), first)
        edit("UPDATE log_head SET root = ? WHERE size = ?", frontier.root(), frontier.size)
    edit("UPDATE log_state SET frontier = ?", frontier.to_bytes())
    office.run("audit", "verify").refused(10, "not what its newest checkpoint signs")
    office.run("audit", "reconcile").refused(10)
    edit("DELETE FROM log_head WHERE size = ?", size)
    office.run("audit", "verify").refused(10, f"the first {size} entries do not give the root")
    office.run("staff", "add", "c-9", "--role", "courier", "--outlet", "310-A12").refused(10, "was changed")


def test_t10_entries_that_nobody_signed_are_found(office: Office) -> None:
    size = unpublished()
    entry = KeyEvent(time=2_000_000_000_000_000, action="log-read")
    edit("INSERT INTO log_group VALUES (?, ?)", size, tiles.bundle([encode(entry)]))
    edit("UPDATE log_state SET size = ?", size + 1)
    office.run("audit", "verify").refused(10, "not what its newest checkpoint signs")
    edit("UPDATE log_state SET size = ?, checkpoint = 'no note'", size)
    office.run("audit", "verify").refused(10, "does not verify")


def test_t10_an_auditor_brings_the_key(office: Office) -> None:
    key = Path("acme/audit/log.vkey").read_text("ascii").strip()
    Path("mine.vkey").write_text(f"{key}\n")
    ran = office.run("audit", "verify")
    assert f"signed by {key}" in ran.err
    assert "own word" in ran.err
    ran = office.run("audit", "verify", "--key", "mine.vkey")
    assert (ran.code, f"signed by {key}" in ran.err, "own word" in ran.err) == (0, True, False)
    facts = office.json("audit", "verify", "--key", "mine.vkey")
    assert (facts["key"], facts["key_given"]) == (key, True)
    assert office.json("audit", "verify")["key_given"] is False
    assert office.json("audit", "reconcile", "--key", "mine.vkey")["alarm"] is False
    assert office.run("audit", "show", "--key", "mine.vkey").out == office.run("audit", "show").out
    stranger = Signer.from_seed("acme.parcelveil/log", bytes(32)).key
    Path("acme/audit/log.vkey").write_text(f"{stranger}\n")  # the folder is not asked
    assert office.run("audit", "verify", "--key", "mine.vkey").code == 0
    Path("other.vkey").write_text(f"{stranger}\n")
    for command in ("verify", "show", "export", "reconcile"):
        office.run("audit", command, "--key", "other.vkey").refused(10, "does not verify")
        office.run("audit", command, "--key", "orders.csv").refused(2, "no verifier key")
        office.run("audit", command, "--key", "nowhere").refused(2, "nowhere")


def test_a_damaged_key_of_the_folder_is_told(office: Office) -> None:
    for text in (b"", b"\xff\xfe", b"acme+00000000+AA=="):
        Path("acme/audit/log.vkey").write_bytes(text)
        office.run("audit", "verify").refused(2, "log.vkey is no verifier key")


def test_t10_a_clock_far_ahead_stops_the_desk_until_it_is_accepted(office: Office) -> None:
    shown = office.json("audit", "clock")
    assert set(shown) == {"wall", "desk", "ahead_seconds"}
    assert abs(shown["ahead_seconds"]) < 60
    edit("UPDATE log_state SET boot = 'another', time = time - 864000000000")  # as if ten days had passed, shut down
    office.run("staff", "add", "c-9", "--role", "courier", "--outlet", "310-A12").refused(
        10, "10 days ahead", "audit clock --accept"
    )
    office.run("audit", "prune", "2020-01-01", "--yes").refused(10, "differ by more than a day")
    ran = office.run("audit", "clock")
    assert (ran.code, "+10 days, 0:0" in ran.err) == (0, True)
    office.run("audit", "clock", "--accept", stdin=b"").refused(2, "cannot be undone", "--yes")
    assert office.json("audit", "clock", "--accept", "--yes")["accepted_days"] == 10
    assert office.run("staff", "add", "c-9", "--role", "courier", "--outlet", "310-A12").code == 0
    assert office.run("audit", "prune", "2020-01-01", "--yes").code == 0
    shown_entry = office.run("audit", "show", "--kind", "key").text
    assert "clock-accepted 10" in shown_entry
    assert office.run("audit", "verify", "--deep").code == 0
    edit("UPDATE log_state SET time = 9223372036854775807")
    ran = office.run("audit", "clock")
    assert (ran.code, "desk clock 9999-12-31" in ran.err) == (0, True)
    office.run("audit", "clock", "--accept", "--yes").refused(10, "nothing to accept", "never runs back")


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


def test_t10_reconcile_tells_of_rows_that_are_not_as_the_log_tells(office: Office) -> None:
    office.look(OWN)
    assert "as the log tells" in office.run("audit", "reconcile").err
    store = SqliteStore(Path("acme/state.db"))
    with store.transaction() as tx:
        (row,) = [row for row in tx.staff() if row.number == "c-104"]
        tx.put_staff(msgspec.structs.replace(row, roles="approver courier"))
        tx.use(row.handle, "deliver", tx.log_state().time // 86_400_000_000, 1)
    store.close()
    found = office.json("audit", "reconcile", code=10)
    assert found["alarm"]
    assert any("is not as the log tells" in text for text in found["rows"])


def test_a_publisher_beside_the_desk(office: Office, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "parcelveil", "audit", "publish", "--every", "0.05", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    try:
        with Workspace.open(Path("acme"), lambda: PASSPHRASE) as workspace:
            workspace.log.publish_elsewhere()
            with workspace.log.begin() as batch:
                batch.append(KeyEvent(time=batch.time, action="kek-rotated"))
            until = time.monotonic() + 60
            while workspace.log.state().published < workspace.log.state().size and time.monotonic() < until:
                time.sleep(0.05)
            assert workspace.log.state().published == workspace.log.state().size
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["entries"] > 0
