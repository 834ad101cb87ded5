"""``parcelveil scenes`` and ``parcelveil policy``: reading, checking and changing the rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Desk
from cli.office import OWN, open_office


def test_scenes_need_no_passphrase_and_fit_a_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    shown = desk.run("scenes", "list")
    assert shown.code == 0
    assert "deliver: hand the parcel to its recipient" in shown.text
    assert "300 a person and day" in shown.text
    assert "needs document + second_person (240 min)" in shown.text
    assert max(map(len, shown.text.splitlines())) <= 100
    roles = desk.run("scenes", "list", "--roles").text
    assert max(map(len, roles.splitlines())) <= 105
    facts = {scene["scene"]: scene for scene in json.loads(desk.run("scenes", "list", "--json").out)}
    assert facts["deliver"]["quota_actor_day"] == 300
    assert facts["deliver"]["roles"]["courier"]["custody"] == ["on_route"]
    assert desk.run("policy", "list", "--json").text.startswith('[{"version": 1, "state": "active"')


def test_scenes_in_chinese(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    shown = desk.run("scenes", "list").text
    assert "每人每天 300" in shown
    assert "不得兼任" in desk.run("scenes", "list", "--roles").text


def test_documents_are_written_together_and_kept(desk: Desk) -> None:
    assert desk.run("policy", "show", "-o", "rules").code == 0
    assert {p.name for p in Path("rules").iterdir()} == {"scenes.toml", "policy.cedar", "schema.cedarschema"}
    assert desk.run("policy", "check", "rules").code == 0
    assert desk.run("scenes", "check", "rules/scenes.toml").code == 0
    Path("rules/scenes.toml").unlink()
    desk.run("policy", "show", "-o", "rules").refused(6, "exists already")
    assert not Path("rules/scenes.toml").exists()
    desk.run("policy", "show", "--version", "9").refused(2, "no version 9")
    Path("file").write_text("")
    desk.run("policy", "show", "-o", "file").refused(6)
    assert desk.run("policy", "show").text.startswith("# version 1, active\n")


def test_documents_with_mistakes(desk: Desk) -> None:
    desk.run("policy", "show", "-o", "rules")
    scenes = Path("rules/scenes.toml")
    good = scenes.read_text("utf-8")
    scenes.write_text(good.replace("quota_actor_day = 300", "quota_actor_dy = 300"), "utf-8")
    for words in (("scenes", "check", "rules/scenes.toml"), ("policy", "check", "rules")):
        desk.run(*words).refused(11, "scene deliver", "did you mean quota_actor_day")
    scenes.write_bytes(b"\xff\xfe\x00" * 9)
    desk.run("scenes", "check", "rules/scenes.toml").refused(3, "not UTF-8")
    scenes.write_text(good, "utf-8-sig")
    assert desk.run("scenes", "check", "rules/scenes.toml").code == 0
    desk.run("scenes", "check", "nowhere.toml").refused(3, "nowhere.toml")
    desk.run("policy", "check", "nowhere").refused(3, "holds no policy", "policy show -o nowhere")
    Path("rules/policy.cedar").write_text("permit (principal, action, resource) whn { true };", "utf-8")
    desk.run("policy", "check", "rules").refused(11)


def test_a_change_takes_two_people(desk: Desk) -> None:
    office = open_office(desk, ("p-1", "p-2", "c-104"))
    desk.run("policy", "show", "-o", "rules")
    scenes = Path("rules/scenes.toml")
    scenes.write_text(scenes.read_text("utf-8").replace("quota_actor_day = 300", "quota_actor_day = 250"), "utf-8")
    office.run("policy", "propose", "rules", *office.by("c-104")).refused(11, "policy_author")
    assert office.json("policy", "propose", "rules", *office.by("p-1"))["version"] == 2
    office.run("policy", "approve", "2", *office.by("p-1")).refused(11, "not approved")
    office.run("policy", "approve", "7", *office.by("p-2")).refused(11, "version 7")
    office.run("policy", "approve", "two", *office.by("p-2")).refused(2, "has to be a number")
    assert "receipt" in office.json("policy", "approve", "2", *office.by("p-2"))
    assert "250 a person and day" in office.run("scenes", "list").text
    assert [row["state"] for row in office.json("policy", "list")] == ["replaced", "active"]
    assert office.look(OWN).code == 0
    assert "left today in this scene: 249" in office.look(OWN).err.replace("248", "249")


def test_explain_opens_and_counts_nothing_and_is_logged(desk: Desk) -> None:
    office = open_office(desk)
    before = office.entries()
    (said,) = office.json("policy", "explain", OWN, "--scene", "deliver", *office.by("c-104"))
    assert said["waybill"] == OWN
    assert said["why"][0].startswith("opened: ")
    office.run("policy", "explain").refused(2, "which waybills")
    office.run("policy", "explain", OWN, *office.by("c-104")).refused(2, "for what purpose")
    assert office.entries() == before + 1
    entry = office.json("audit", "show", "--last", "1")
    assert (entry["action"], entry["reason"], entry["waybills"]) == ("explain", "only-explained", 1)
