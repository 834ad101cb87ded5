"""``parcelveil scan rules``, ``scan key`` and ``scan prepare``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Desk
from parcelveil.scan import warm
from parcelveil.scan.key import ScanKey
from parcelveil.scan.rules import builtin

MINE = """
family = "acme"
[[rule]]
kind = "acme.badge"
en = "badge"
zh = "工牌"
patterns = ['BDG-\\d{6}']
match = ["badge BDG-123456 ok"%s]
no_match = ["XBDG-123456"%s]
[[custom]]
kind = "acme.contract"
regex = 'HT-20\\d{2}-\\d{6}'
match = ["HT-2026-000001"]
no_match = ["HT-1999-000001"]
"""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm.prepare()


def test_rules_lists_every_kind_in_both_languages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = desk.run("scan", "rules", "--json")
    listed = json.loads(ran.text)
    kinds = {rule.kind for family in builtin() for rule in family.rule}
    assert {row["kind"] for row in listed} == kinds
    assert all(set(row) == {"kind", "what", "state", "tier", "zh", "family"} for row in listed)
    assert "mobile number of mainland China" in desk.run("scan", "rules").text
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    assert "手机号" in desk.run("scan", "rules").text


def test_check_tries_the_examples_and_shows_none(desk: Desk) -> None:
    Path("good.toml").write_text(MINE % ("", ""), "utf-8")
    ran = desk.run("scan", "rules", "--check", "good.toml")
    assert (ran.code, ran.err) == (0, "4 examples were tried, 0 fail\n")
    Path("bad.toml").write_text(MINE % (', "BDG-12345678"', ', "BDG-999999"'), "utf-8")
    ran = desk.run("scan", "rules", "--check", "bad.toml", "--json")
    assert ran.code == 13
    assert [(one["kind"], one["example"], one["problem"]) for one in json.loads(ran.text)] == [
        ("acme.badge", "match 2", "it is not found"),
        ("acme.badge", "no_match 2", "it is found"),
    ]
    ran = desk.run("scan", "rules", "--check", "bad.toml", "good.toml")
    assert "BDG-9" not in ran.text + ran.err
    listed = desk.run("scan", "rules", "--rules", "good.toml")
    assert "acme.contract" in listed.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("family = 3", "is not a file of rules"),
        ("family = 'x'\n[[rule]]\nkind='a.b'\nen='a'\nzh='b'\npatterns=['a*']\n", "not understood"),
        ("family = 'x'\n[[custom]]\nkind='a.b'\nregex='(?=a)'\n", "RE2"),
    ],
)
def test_wrong_rules_are_one_line(desk: Desk, text: str, said: str) -> None:
    Path("wrong.toml").write_text(text, "utf-8")
    Path("a.txt").write_text("a", "utf-8")
    desk.run("scan", "rules", "--check", "wrong.toml").refused(3, said)
    desk.run("scan", "a.txt", "--rules", "wrong.toml").refused(3, said)


def test_a_key_is_made_once_and_is_private(desk: Desk) -> None:
    ran = desk.run("scan", "key", "-o", "scan.key")
    made = ScanKey.read(Path("scan.key"))
    assert made.key_id in ran.err
    assert Path("scan.key").stat().st_mode & 0o077 == 0
    desk.run("scan", "key", "-o", "scan.key").refused(6, "exists already")
    desk.run("scan", "key").refused(2, "--output")
    assert ScanKey.read(Path("scan.key")).key_id == made.key_id
    Path("scan.key").chmod(0o644)
    Path("a.txt").write_text("a", "utf-8")
    desk.run("scan", "a.txt", "--key", "scan.key").refused(4, "may be read by others")


def test_prepare_says_what_it_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.run("scan", "prepare").err == "the scanner is prepared already\n"
    Path("a.txt").write_text("a", "utf-8")
    assert desk.run("scan", "a.txt").err == ""
    answers = iter([False, True])
    monkeypatch.setattr(warm, "prepared", lambda: next(answers))
    assert desk.run("scan", "prepare").err.startswith(
        "preparing the scanner for this machine, once: a minute or two\nprepared in "
    )
    monkeypatch.setattr(warm, "prepared", lambda: False)
    assert "nothing can be kept" in desk.run("scan", "prepare").err
    assert desk.run("scan", "a.txt").err.startswith("preparing the scanner")
