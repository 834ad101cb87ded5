"""``parcelveil reveal scan``, and the column it reads: in every format, and in files from before it was there."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.conftest import Desk
from cli.office import NAME, OTHERS, OWN, PHONE, Office, open_office
from parcelveil.waybill import LABEL_TOKEN, SEALED

FORGED = base64.b32encode(b"\1" + (202605).to_bytes(3, "big") + bytes(32)).decode().rstrip("=")


@pytest.fixture
def office(desk: Desk) -> Office:
    return open_office(desk)


def tokens(path: str = "acme/sealed/day.parquet") -> dict[str, str]:
    """The token on each parcel's label."""
    table = pq.read_table(path)
    return dict(zip(table["waybill_no"].to_pylist(), table[LABEL_TOKEN].to_pylist(), strict=True))


def who(number: str = "c-104") -> tuple[str, ...]:
    """The words by which somebody speaks; the role is the command's own."""
    return ("--as", number, "--outlet", "310-A12", "--device", "pda-7", "--device-key", "pda-7.key")


def test_a_courier_scans_his_own_parcel_with_a_receipt(office: Office) -> None:
    ran = office.run("reveal", "scan", tokens()[OWN], *who(), "--receipts", "r")
    assert ran.code == 0, ran.err
    for word in (OWN, NAME, PHONE):
        assert word in ran.text
    assert "opened: 1 of 1; log entries: 1" in ran.err
    assert "left today in this scene: 299" in ran.err
    assert len(list(Path("r").iterdir())) == 1
    assert office.run("audit", "verify", "--receipt", "r").code == 0


def test_t6_anothers_parcel_stays_shut_and_its_number_is_not_told(office: Office) -> None:
    token = tokens()[OTHERS]
    ran = office.run("reveal", "scan", token, *who())
    assert ran.code == 12
    assert "not-in-custody" in ran.text
    assert token in ran.text
    assert OTHERS not in ran.text + ran.err
    assert "policy explain" not in ran.err  # it takes numbers, which who scanned does not have
    facts = json.loads(office.run("reveal", "scan", token, *who(), "--json").out)
    assert [(a["waybill"], a["answer"]) for a in facts["answers"]] == [(token, "not-in-custody")]
    assert OTHERS not in json.dumps(facts)


def test_t8_forged_and_senseless_tokens_are_refused_and_logged(office: Office) -> None:
    before = office.entries()
    ran = office.run("reveal", "scan", FORGED, "NOPE", OWN, "\x1b[31m", *who())
    assert ran.code == 12
    assert ran.text.count("no-such-token") == 4
    assert "or one whose month was destroyed" in ran.err
    assert "\x1b" not in ran.text
    assert office.entries() == before + 1


def test_from_standard_input_as_scanners_type(office: Office) -> None:
    codes = tokens()
    typed = f"\ufeff{codes[OWN]}\r\n\r\n  {codes[OTHERS].lower()} \r\n{FORGED}".encode() + b"\r\n\xff\xfe\n"
    facts = json.loads(office.run("reveal", "scan", "-", *who(), "--json", stdin=typed).out)
    assert [(a["waybill"], a["answer"]) for a in facts["answers"]] == [
        (OWN, "opened"),
        (codes[OTHERS].lower(), "not-in-custody"),
        (FORGED, "refused"),
        ("\ufffd\ufffd", "refused"),
    ]
    assert len(facts["receipts"]) == 3
    office.run("reveal", "scan", "-", *who(), stdin=b"\r\n \n").refused(2, "which labels")


def test_other_scenes_roles_fields_and_forms(office: Office) -> None:
    token = tokens()[OWN]
    masked = office.run("reveal", "scan", token, *who(), "--form", "masked")
    assert masked.code == 0
    assert NAME not in masked.text
    one = office.json("reveal", "scan", token, *who(), "--fields", "to_phone")
    assert set(one["answers"][0]["values"]) == {"to_phone"}
    assert "role-not-held" in office.run("reveal", "scan", token, *who(), "--role", "clerk").text
    assert "unknown-scene" in office.run("reveal", "scan", token, *who(), "--scene", "delivr").text
    contact = office.run("reveal", "scan", token, *who(), "--scene", "contact", "--fields", "to_phone")
    assert (contact.code, PHONE in contact.text) == (0, True)


def test_words_that_are_missing_or_wrong_ask_nobody(office: Office) -> None:
    before = office.entries()
    office.run("reveal", "scan").refused(2, "which labels", "QR codes")
    office.run("reveal", "scan", FORGED).refused(2, "who is asking")
    office.run("reveal", "scan", FORGED, *who(), "--from", "nowhere").refused(3, "nowhere")
    office.run("reveal", "scan", FORGED, *who(), "--receipts", "orders.csv").refused(6, "is no folder")
    office.run("reveal", "scan", FORGED, *who(), "--secret-word=hunter2").refused(2, "no option --secret-word")
    assert office.entries() == before


def test_an_erased_waybill(office: Office) -> None:
    token = tokens()[OWN]
    assert office.run("erase", "waybill", OWN, "--yes").code == 0
    ran = office.run("reveal", "scan", token, *who())
    assert ran.code == 12
    assert "erased" in ran.text
    assert OWN not in ran.text


def test_t7_tokens_of_a_destroyed_month(office: Office) -> None:
    token = tokens()[OWN]
    assert office.run("erase", "before", "2026-06-01", "--yes").code == 0
    ran = office.run("reveal", "scan", token, *who())
    assert (ran.code, "no-such-token" in ran.text) == (12, True)


def test_in_chinese(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    ran = office.run("reveal", "scan", FORGED, tokens()[OTHERS], *who())
    assert "拒绝" in ran.text
    assert "不是本公司面单的二维码" in ran.err
    assert office.run("reveal", "scan").err.startswith("错误: 是哪些面单？\n提示: ")


# -- the column ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "tsv", "jsonl", "xlsx"])
def test_every_format_carries_it_and_rewrapping_gives_the_same(desk: Desk, orders: Path, ending: str) -> None:
    assert desk.run("seal", "orders.csv", "-o", "first.parquet").code == 0
    assert desk.run("seal", "orders.csv", "-o", f"s.{ending}").code == 0
    assert desk.run("rewrap", f"s.{ending}", "-o", "again.parquet").code == 0
    first, again = tokens("first.parquet"), tokens("again.parquet")
    assert first == again
    assert set(first) == {"YT1", "YT2", "YT3"}
    assert {len(token) for token in first.values()} == {58}
    assert pq.read_schema("again.parquet").names == SEALED.names
    opened = desk.run("open", f"s.{ending}", "-o", "clear.csv")
    assert opened.code == 0, opened.err
    assert LABEL_TOKEN not in Path("clear.csv").read_text()
    if ending in ("csv", "tsv", "jsonl"):
        assert first["YT1"] in Path(f"s.{ending}").read_text()


def test_files_from_before_there_were_tokens(office: Office) -> None:
    """They open, are searched, found by the desk and rewrapped; rewrapping gives them their tokens."""
    path = Path("acme/sealed/day.parquet")
    expected = tokens()
    table = pq.read_table(path).drop_columns([LABEL_TOKEN])
    assert pa.schema(table.schema).names == SEALED.names[:-1]
    pq.write_table(table, path)
    assert office.run("open", str(path), "-o", "clear.csv").code == 0
    assert NAME in Path("clear.csv").read_text()
    assert office.look(OWN).code == 0
    assert office.run("reveal", "scan", expected[OWN], *who()).code == 0  # the desk needs the number only
    assert office.run("rewrap", str(path), "-o", "new.parquet").code == 0
    assert tokens("new.parquet") == expected
    staff = open_investigator(office)
    found = office.run("reveal", "search", *staff, stdin=PHONE.encode())
    assert (found.code, OWN in found.text) == (0, True)


def open_investigator(office: Office) -> tuple[str, ...]:
    """Words by which an investigator speaks who was hired just now."""
    assert office.run("staff", "add", "i-1", "--role", "investigator").code == 0
    assert office.run("staff", "enrol", "i-1", "desk-4").code == 0
    return office.by("i-1")


def test_old_text_files_open_and_are_rewrapped(desk: Desk, orders: Path) -> None:
    assert desk.run("seal", "orders.csv", "-o", "new.csv").code == 0
    lines = [line.rpartition(",")[0] for line in Path("new.csv").read_text("utf-8").splitlines()]
    assert lines[0].endswith('"revision"')
    Path("old.csv").write_text("\n".join(lines) + "\n", "utf-8")
    assert desk.run("open", "old.csv", "-o", "clear.csv").code == 0
    assert "欧阳娜娜" in Path("clear.csv").read_text("utf-8")
    assert desk.run("rewrap", "old.csv", "-o", "again.csv").code == 0
    assert '"label_token"' in Path("again.csv").read_text("utf-8").splitlines()[0]
    names = [line.rpartition(",")[2] for line in Path("new.csv").read_text("utf-8").splitlines()]
    again = [line.rpartition(",")[2] for line in Path("again.csv").read_text("utf-8").splitlines()]
    assert names == again
