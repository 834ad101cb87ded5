"""``parcelveil reveal``: looks, searches, approvals, quotas, and the mistakes people make with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest

from cli.conftest import Desk
from cli.office import NAME, NOBODYS, OTHERS, OWN, PHONE, Office, open_office


@pytest.fixture
def office(desk: Desk) -> Office:
    return open_office(desk)


def test_a_courier_sees_his_own_parcel_with_a_receipt(office: Office) -> None:
    ran = office.look(OWN, more=("--receipts", "r"))
    assert ran.code == 0, ran.err
    assert NAME in ran.text
    assert PHONE in ran.text
    assert "opened: 1 of 1; log entries: 1" in ran.err
    assert "left today in this scene: 299" in ran.err
    (receipt,) = Path("r").iterdir()
    assert office.run("audit", "verify", "--receipt", "r").code == 0
    assert "c2sp.org/tlog-proof@v1" in receipt.read_text()
    assert not [name for name in office.desk.names() if name.endswith(".part")]


def test_a_parcel_that_was_sealed_before_a_column_was_added(office: Office) -> None:
    day = Path("acme/sealed/day.parquet")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(day).drop_columns(["pay_type"]), day)
    ran = office.look(OWN)
    assert ran.code == 0, ran.err
    assert NAME in ran.text
    assert PHONE in ran.text


def test_t6_others_parcels_and_unknown_ones_stay_shut(office: Office) -> None:
    ran = office.look(OTHERS, NOBODYS, "NOPE")
    assert ran.code == 12
    assert ran.text.count("not-in-custody") == 3
    assert "policy explain" in ran.err
    assert "李雷" not in ran.text
    words = office.run("policy", "explain", OTHERS, "--scene", "deliver", *office.by("c-104"))
    assert words.code == 0
    assert "not in custody" in words.text
    assert max(map(len, words.text.splitlines())) <= 100


def test_masks_and_single_fields(office: Office) -> None:
    masked = office.look(OWN, more=("--form", "masked"))
    assert masked.code == 0
    assert NAME not in masked.text
    assert PHONE not in masked.text
    one = office.json("reveal", OWN, "--scene", "deliver", *office.by("c-104"), "--fields", "to_phone,to_name")
    assert set(one["answers"][0]["values"]) == {"to_phone", "to_name"}
    assert one["left"] == 298


def test_numbers_from_standard_input(office: Office) -> None:
    text = f"\ufeff{OWN}\r\n\r\n  {OTHERS} \r\n\n".encode()
    facts = json.loads(office.run("reveal", "-", "--scene", "deliver", *office.by("c-104"), "--json", stdin=text).out)
    assert [(a["waybill"], a["answer"]) for a in facts["answers"]] == [(OWN, "opened"), (OTHERS, "not-in-custody")]
    office.run("reveal", "-", "--scene", "deliver", *office.by("c-104"), stdin=b"\r\n \n").refused(2, "which waybills")


def test_words_that_are_missing_or_wrong_ask_nobody(office: Office) -> None:
    before = office.entries()
    who = office.by("c-104")
    office.run("reveal").refused(2, "which waybills")
    office.run("reveal", OWN, *who).refused(2, "for what purpose", "scenes list")
    office.run("reveal", OWN, "--scene", "deliver").refused(2, "who is asking")
    office.run("reveal", OWN, "--scene", "deliver", "--as", "c-104").refused(2, "in which role")
    office.run("reveal", OWN, "--scene", "deliver", *who, "--form", "full", "--form", "full").refused(2)
    office.run("reveal", OWN, "--scene", "deliver", *who, "--secret-word=hunter2").refused(2, "no option --secret-word")
    assert b"hunter2" not in b"".join(office.desk.said)
    office.run("reveal", OWN, "--scene", "deliver", *who[:-1], "nowhere").refused(2, "nowhere cannot be read")
    office.run("reveal", OWN, "--scene", "deliver", *who[:-1], "orders.csv").refused(2, "holds no device key")
    office.look(OWN, more=("--from", "nowhere")).refused(3, "nowhere")
    office.look(OWN, more=("--receipts", "orders.csv")).refused(6, "orders.csv is no folder")
    assert office.entries() == before


def test_typos_are_refusals_and_logged(office: Office) -> None:
    before = office.entries()
    assert "unknown-scene" in office.look(OWN, scene="delivr").text
    assert "unknown-field" in office.look(OWN, more=("--fields", "to_nam")).text
    assert "unknown-form" in office.look(OWN, more=("--form", "ful")).text
    assert office.entries() == before + 3


def test_a_key_of_another_device(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.key").write_text("ab" * 32 + "\n")
    who = (*office.by("c-104")[:-1], "other.key")
    ran = office.run("reveal", OWN, "--scene", "deliver", *who)
    assert (ran.code, "device-not-enrolled" in ran.text) == (12, True)
    monkeypatch.setenv("PARCELVEIL_DEVICE_KEY", Path("pda-7.key").read_text())
    assert office.run("reveal", OWN, "--scene", "deliver", *who[:-2]).code == 0


def test_files_the_desk_cannot_use(office: Office) -> None:
    office.look(OWN, more=("--from", "orders.csv")).refused(3, "neither Parquet nor Arrow")
    Path("junk.parquet").write_bytes(b"junk")
    ran = office.look(OWN, more=("--from", "junk.parquet"))
    assert ran.code == 3
    assert ran.err.startswith("error: junk.parquet")


def test_a_receipt_is_not_overwritten(office: Office) -> None:
    assert office.look(OWN, more=("--receipts", "r")).code == 0
    (first,) = Path("r").iterdir()
    following = first.with_name(f"{int(first.name.partition('.')[0]) + 1}.tlog-proof")
    following.write_text("another log's")
    ran = office.look(OWN, more=("--receipts", "r"))
    assert ran.code == 6
    assert NAME in ran.text  # the look was logged and counted: it is shown
    assert following.read_text() == "another log's"


def test_quota_of_today(office: Office) -> None:
    assert office.json("reveal", "quota", "c-104", "deliver", "0")["limit"] == 0
    ran = office.look(OWN)
    assert (ran.code, "over-quota" in ran.text) == (12, True)
    office.run("reveal", "quota", "c-104", "delivr", "9").refused(2, "delivr")
    office.run("reveal", "quota", "c-999", "deliver", "9").refused(11, "c-999")
    office.run("reveal", "quota", "c-104", "deliver", "ten").refused(2, "has to be a number")
    office.run("reveal", "quota", "c-104", "deliver", "-5").refused(11, "a limit is 0 to")


def test_loading_work_again_and_badly(office: Office) -> None:
    assert office.json("reveal", "load-work", "scans.csv")["applied"] == 0
    Path("bad.csv").write_text("运单号,扫描时间,扫描类型\n,2026-11-24 10:00:00,派件\nYT1,yesterday,派件\n", "utf-8")
    ran = office.run("reveal", "load-work", "bad.csv")
    assert ran.code == 9
    assert "waybill_no.missing" in Path("bad.csv.rejects.csv").read_text("utf-8")
    office.run("reveal", "load-work").refused(2, "which files")
    office.run("reveal", "load-work", "nowhere.csv").refused(3, "nowhere.csv")
    office.run("reveal", "load-work", "orders.csv").refused(3)
    piped = office.run("reveal", "load-work", "-", stdin=Path("scans.csv").read_bytes())
    assert piped.err.startswith("standard input: 3 events")


def test_a_lawful_request_needs_two(desk: Desk) -> None:
    office = open_office(desk, ("i-1", "m-1"))
    ask = ("reveal", OWN, "--scene", "lawful_request", *office.by("i-1"))
    assert "document-missing" in office.run(*ask).text
    asked = office.run(*ask, "--document", "JY-17")
    assert asked.code == 12
    assert NAME not in asked.text
    (row,) = office.json("reveal", "approvals")
    assert (row["state"], row["scene"], row["waybills"]) == ("requested", "lawful_request", 1)
    assert f"reveal approve {row['id']}" in asked.err
    office.run("reveal", "approve", row["id"], *office.by("i-1")).refused(11, "not approved")
    office.run("reveal", "approve", "a-0000000000000000", *office.by("m-1")).refused(11, "no such request")
    boss = tuple(word for word in office.by("m-1") if word not in ("--role", "approver"))
    assert office.run("reveal", "approve", row["id"], *boss).code == 0  # the role goes without saying here
    opened = office.run(*ask, "--document", "JY-17", "--approval", row["id"])
    assert (opened.code, NAME in opened.text) == (0, True)
    assert max(len(line.encode("gb18030")) for line in opened.text.splitlines()) <= 100
    assert "approval-used" in office.run(*ask, "--document", "JY-17", "--approval", row["id"]).text


def test_search_shows_masks_and_takes_the_value_from_standard_input(desk: Desk) -> None:
    office = open_office(desk, ("i-1",))
    who = office.by("i-1")
    found = office.run("reveal", "search", *who, stdin=f"{PHONE}\r\n".encode())
    assert found.code == 0, found.err
    assert OWN in found.text
    assert PHONE not in found.text + found.err
    nothing = office.run("reveal", "search", *who, stdin=b"13000000000\n")
    assert (nothing.code, nothing.text) == (0, "")
    assert "nothing was found" in nothing.err
    office.run("reveal", "search", *who, stdin=b"").refused(3, "no value of to_phone")
    office.run("reveal", "search", *who, "--column", "to_name", stdin=b"x\n").refused(3, "there are:")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_for_receipts(office: Office) -> None:
    Path("r").mkdir(mode=0o500)
    before = office.entries()
    office.look(OWN, more=("--receipts", "r")).refused(6, "could not be written")
    assert office.entries() == before


def test_in_chinese(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    ran = office.look(OTHERS)
    assert "不在经手范围" in ran.text
    assert "审计日志条目" in ran.err
    assert office.run("reveal", OWN).err.startswith("错误: 出于什么目的？\n提示: ")
