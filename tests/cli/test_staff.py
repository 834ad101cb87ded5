"""``parcelveil staff``: one by one and as a list, devices and their keys, and lists with mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Desk


def test_add_enrol_withdraw_forget(desk: Desk) -> None:
    assert desk.run("staff", "list").err.startswith("nobody is registered yet")
    assert desk.run("staff", "add", "c-104", "--role", "courier", "--outlet", "310-A12").code == 0
    assert desk.run("staff", "add", "c-104", "--role", "courier", "--outlet", "310-B1").err == "0 added, 1 changed\n"
    assert desk.run("staff", "enrol", "c-104", "pda-7").code == 0
    key = Path("pda-7.key")
    assert len(bytes.fromhex(key.read_text().strip())) == 32
    assert key.stat().st_mode & 0o077 == 0
    assert "310-B1" in desk.run("staff", "list").text
    assert desk.run("staff", "withdraw", "pda-7").code == 0
    desk.run("staff", "withdraw", "pda-7").refused(11, "no device pda-7")
    desk.run("staff", "forget", "c-104", stdin=b"").refused(2, "--yes")
    assert desk.run("staff", "forget", "c-104", "--yes").code == 0
    desk.run("staff", "forget", "c-104", "--yes").refused(11, "no member of staff c-104")


def test_no_key_is_left_behind_or_overwritten(desk: Desk) -> None:
    desk.run("staff", "add", "c-1", "--role", "courier", "--outlet", "A")
    desk.run("staff", "add", "c-2", "--role", "courier", "--outlet", "A")
    assert desk.run("staff", "enrol", "c-1", "pda-1").code == 0
    before = Path("pda-1.key").read_text()
    desk.run("staff", "enrol", "c-1", "pda-1").refused(6, "pda-1.key exists already")
    desk.run("staff", "enrol", "c-2", "pda-1", "-o", "mine.key").refused(11, "somebody else")
    desk.run("staff", "enrol", "c-9", "pda-9").refused(11, "c-9")
    desk.run("staff", "enrol", "c-1", "a/b").refused(2, "-o FILE")
    desk.run("staff", "enrol", "c-1", "pda-3", "-o", "nowhere/pda-3.key").refused(6, "could not be written")
    assert Path("pda-1.key").read_text() == before
    assert desk.names() == {"pda-1.key"}
    assert "pda-3" not in desk.run("staff", "list").text


def test_wrong_passphrase_makes_no_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", "wrong")
    desk.run("staff", "enrol", "c-1", "pda-1").refused(4, "passphrase")
    assert desk.names() == set()


def test_roles_that_are_none_or_exclude_each_other(desk: Desk) -> None:
    desk.run("staff", "add", "x").refused(2, "--role is missing")
    desk.run("staff", "add", "x", "--role", "courer").refused(11, "no known role", "courier")
    desk.run("staff", "add", "x", "--role", "auditor", "--role", "salt_keeper").refused(11, "at once")
    desk.run("staff", "add", "", "--role", "courier").refused(11, "staff number")


LISTS = {
    "english": "number,roles,outlets,active\nc-1,courier,310-A12,yes\nk-1,clerk analyst,310-A12 310-B1,no\n",
    "chinese": "工号,角色,网点,在岗\nc-1,快递员,310-A12,是\nk-1,clerk；analyst,310-A12；310-B1,否\n",
    "blank lines": "number;roles;outlets;active\r\n\r\nc-1;courier;310-A12;\r\n;;;\r\nk-1;clerk,analyst;310-A12 310-B1;0\r\n",
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_lists(desk: Desk, kind: str, encoding: str) -> None:
    Path("staff.csv").write_text(LISTS[kind], encoding, newline="")
    ran = desk.run("staff", "load", "staff.csv")
    assert ran.code == 0, ran.err
    assert ran.err == "2 added, 0 changed\n"
    listed = desk.run("staff", "list", "--json").text
    assert '"outlets": ["310-A12", "310-B1"], "active": false' in listed
    assert '"roles": ["courier"], "outlets": ["310-A12"], "active": true' in listed


BAD = {
    "active": ("number,roles,active\nc-1,courier,yes\nc-2,courier,maybe\n", 3, "row 3", "yes or no"),
    "no number": ("number,roles\n,courier\n", 3, "row 2", "no staff number"),
    "no role": ("number,roles\nc-1,\n", 3, "row 2", "no role"),
    "twice": ("number,roles\nc-1,courier\nc-1,clerk\n", 3, "row 3", "twice"),
    "cut row": ("number,roles,outlets\nc-1,courier\n", 3, "row 2", "cannot be read"),
    "unknown role": ("number,roles\nc-1,courier\nc-2,courer\n", 11, "c-2", "no known role"),
    "no columns": ("name,job\nx,y\n", 3, "number and roles", "工号"),
    "nobody": ("number,roles\n", 3, "names nobody", "one row"),
    "empty": ("", 3, "is empty", ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_list_is_taken_not_at_all(desk: Desk, kind: str) -> None:
    text, code, *words = BAD[kind]
    Path("staff.csv").write_text(str(text), "utf-8")
    desk.run("staff", "load", "staff.csv").refused(int(code), *map(str, words))
    assert desk.run("staff", "list", "--json").text == "[]\n"


def test_no_such_list(desk: Desk) -> None:
    desk.run("staff", "load", "nowhere.csv").refused(3, "nowhere.csv")


def test_the_table_lines_up_in_chinese(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("staff", "add", "c-1", "--role", "courier", "--outlet", "A")
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    header, rule, *_ = desk.run("staff", "list").text.splitlines()
    assert header.split() == ["工号", "代号", "角色", "网点", "在岗", "设备"]
    assert (
        header.index("代") + 2 == rule.index(" -") + 1
    )  # two Chinese characters are two columns wider than they count
