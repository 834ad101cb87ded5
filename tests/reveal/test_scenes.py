"""Scenes: the defaults say what the design says, and whatever does not hold together is refused with a clear line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import PolicyError
from parcelveil.reveal.scenes import (
    CUSTODY,
    FIELDS,
    FORMS,
    MOST_BYTES,
    NEEDS,
    Scene,
    Scenes,
    default_text,
    parse_scenes,
)

TEXT = default_text()
SCENES = parse_scenes(TEXT)
DOCS = Path(__file__).parents[2] / "docs" / "scenes.md"


def changed(old: str, new: str, scene: str = "deliver") -> str:
    """The defaults with the first ``old`` of a scene's section replaced."""
    start = TEXT.index(f"[scenes.{scene}]")
    assert old in TEXT[start:]
    return TEXT[:start] + TEXT[start:].replace(old, new, 1)


def problem(text: str) -> tuple[str, str]:
    """Line and hint of what is wrong with ``text``."""
    with pytest.raises(PolicyError) as caught:
        parse_scenes(text)
    assert "\n" not in str(caught.value)
    return str(caught.value), caught.value.hint


def test_the_defaults_are_the_designs_scenes() -> None:
    assert [scene.name for scene in SCENES] == (
        "deliver pickup contact redirect claim return customs lawful_request export lookup search".split()
    )
    assert set(SCENES.roles) == set(
        "courier clerk sorter customer_service customs_agent investigator analyst administrator approver policy_author"
        " policy_approver auditor salt_keeper".split()
    )
    assert SCENES["redirect"].fields_for("customer_service") == ("to_address",)
    assert {fields for role in SCENES["contact"].roles for fields in [SCENES["contact"].fields_for(role)]} == {
        ("to_phone",)
    }
    assert SCENES["lookup"].forms == SCENES["search"].forms == ("masked",)
    assert SCENES["lookup"].quota_actor_day == 2000
    assert SCENES["deliver"].quota_actor_day == 300
    for name in ("export", "lawful_request"):
        assert "second_person" in SCENES[name].needs
        assert SCENES[name].approval_minutes > 0
    assert "document" in SCENES["lawful_request"].needs
    assert SCENES["export"].action == "export"
    assert SCENES["search"].action == "search"
    for scene in SCENES:
        if "courier" in scene.roles:
            assert scene.custody_for("courier") == ("on_route",), "a courier sees parcels of his own route only"
        if "customer_service" in scene.roles and "full" in scene.forms:
            assert scene.custody_for("customer_service") == ("ticket",)


def test_who_is_not_in_a_scene_sees_nothing() -> None:
    assert SCENES["deliver"].fields_for("analyst") == ()
    assert SCENES["deliver"].custody_for("analyst") == ()
    assert "print" not in SCENES
    assert SCENES.get("print") is None
    assert len(SCENES) == 11


def test_only_customs_and_lawful_requests_see_id_numbers() -> None:
    seeing = {scene.name for scene in SCENES for role in scene.roles if "sender_id_no" in scene.fields_for(role)}
    assert seeing == {"customs", "lawful_request"}
    line, hint = problem(changed('"to_name", "to_phone", "to_address", "note"', '"to_name", "sender_id_no"'))
    assert line == "scene deliver: sender_id_no is for customs and lawful requests only"
    assert hint == "strike it for courier"


@pytest.mark.parametrize("key", ["batch", "quota_actor_day"])
@pytest.mark.parametrize("scene", [scene.name for scene in SCENES])
def test_t6_no_scene_without_a_limit(scene: str, key: str) -> None:
    found = SCENES[scene]
    assert 0 < getattr(found, key) <= found.quota_actor_day <= 10_000
    start = TEXT.index(f"[scenes.{scene}]")
    text = TEXT[:start] + re.sub(rf"{key} = \d+\n", "", TEXT[start:], count=1)
    assert problem(text) == (f"scene {scene} has no {key}", f"no scene is without a limit: add {key}")
    for number in ("0", "-1", "9223372036854775807", "10_000_000"):
        text = TEXT[:start] + re.sub(rf"{key} = \d+", f"{key} = {number}", TEXT[start:], count=1)
        assert problem(text)[0].startswith(f"scene {scene}: {key} has to be 1 to ")
    for wrong in ('"many"', "1.5", "true", "inf"):
        text = TEXT[:start] + re.sub(rf"{key} = \d+", f"{key} = {wrong}", TEXT[start:], count=1)
        assert key in problem(text)[0]


@pytest.mark.parametrize("name", ["print", "print_label", "label_print", "reprint", "printing"])
def test_t6_no_scene_prints(name: str) -> None:
    line, hint = problem(TEXT.replace("[scenes.deliver", f"[scenes.{name}"))
    assert line == f"scene {name}: there is no scene for printing"
    assert "masked text" in hint


def test_t6_clear_values_need_custody_or_a_paper() -> None:
    line, _ = problem(changed('clerk = { custody = "at_outlet" }', 'clerk = { custody = "none" }'))
    assert line == "scene deliver: clerk would see clear values of any parcel"
    pickup = TEXT.index("[scenes.pickup]")
    clear = TEXT[:pickup] + TEXT[pickup:].replace('"on_route"', '"none"', 1)
    assert problem(clear)[0] == "scene pickup: courier would see clear values of any parcel"
    masked = TEXT[:pickup] + TEXT[pickup:].replace('"on_route"', '"none"', 1).replace('"full", "masked"', '"masked"', 1)
    assert parse_scenes(masked)["pickup"].custody_for("courier") == ()


def test_a_misspelt_word_is_named_with_the_one_meant() -> None:
    assert problem(changed('"to_phone", "to_address", "note"', '"to_fone"')) == (
        'scene deliver, role courier: unknown field "to_fone"',
        "did you mean to_phone?",
    )
    assert problem(changed("quota_actor_day", "quota_actor_dya"))[1] == "did you mean quota_actor_day?"
    assert problem(changed('"on_route"', '"onroute"'))[1] == "did you mean on_route?"
    assert problem(changed('"masked"', '"maskd"')) == ('scene deliver: unknown form "maskd"', "did you mean masked?")
    assert problem(changed("courier = {", "curier = {"))[1] == "did you mean courier?"
    assert problem(changed('needs = ["ticket"]', 'needs = ["tickets"]', "redirect"))[1] == "did you mean ticket?"
    assert problem(changed('action = "export"', 'action = "exports"', "export"))[1] == "did you mean export?"
    assert problem(changed("custody =", "custdy ="))[1] == "did you mean custody?"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file has no format"),
        ("format = 1", "the file has no roles"),
        (TEXT.replace("scenes.v1", "scenes.v2"), 'the scenes have to begin with format = "parcelveil.scenes.v1"'),
        (TEXT.replace("[roles]", "[[roles]]"), "the file: Expected"),
        ("format = [" * 3, "the scenes are no TOML"),
        ("x = " + "[" * 50_000, "the scenes are no TOML: tables or lists nested too deep"),
        ("x = " + "9" * 9_999, "the scenes are no TOML"),
        ("#" * (MOST_BYTES + 1), "the scenes are longer than 262144 bytes"),
        (changed("en = ", "en = 3 #"), "scene deliver: Expected"),
        (changed('en = "hand', 'en = "\\u001b[31m'), "scene deliver: en: one line of at most 200"),
        (changed("fields = [", 'fields = ["to_name", '), "scene deliver, role clerk: a field stands there twice"),
        (
            changed('fields = ["to_name", "to_phone", "to_address"]', "fields = []"),
            "scene deliver, role clerk: no field is named",
        ),
        (changed('fields = ["to_phone"]\n', "", "contact"), "scene contact, role courier: it says no fields"),
        (changed("batch = 100", "batch = 301"), "scene deliver: one request may have more than a day's quota"),
        (
            changed('needs = ["second_person"]\n', "", "export"),
            "scene export: second_person and approval_minutes go together",
        ),
        (
            changed("approval_minutes = 120\n", "", "export"),
            "scene export: second_person and approval_minutes go together",
        ),
        (
            changed('needs = ["second_person"]\napproval_minutes = 120', 'needs = ["document"]', "export"),
            "scene export: it needs a second person",
        ),
        (
            changed('"document", "second_person"', '"second_person"', "lawful_request"),
            "scene lawful_request: it needs the authority's",
        ),
        (
            changed('"from_phone", "from_address", "to_phone"', '"from_name"', "search"),
            "scene search: nobody can search by from_name",
        ),
        (
            changed('custody = "on_route"', 'custody = ["none", "on_route"]'),
            "scene deliver, role courier: none stands alone",
        ),
        (changed('custody = "on_route"', "custody = []"), "scene deliver, role courier: no custody condition is named"),
        (TEXT.replace("[scenes.deliver", "[scenes.Deliver"), 'scene "Deliver": a name has small letters'),
        (TEXT.replace("[scenes.deliver", "[scenes.'\\u001b派送'"), 'scene "'),
        (TEXT.replace("auditor = {", "auditeur = {"), "the role auditor is missing"),
        (TEXT.replace('["auditor", "salt_keeper"],', ""), "duties: auditor and salt_keeper have to exclude each other"),
        (TEXT.replace('["analyst", "approver"]', '["analyst", "analyst"]'), "duties: analyst excludes itself"),
        (TEXT.replace('["analyst", "approver"]', '["analyst", "boss"]'), 'duties: unknown role "boss"'),
        (TEXT[: TEXT.index("[scenes.deliver]")] + "[scenes]", "there have to be 1 to 60 scenes"),
        (TEXT.replace("[scenes.deliver.roles]", "[scenes.deliver.rolls]"), 'scene deliver: "rolls" is no setting'),
    ],
)
def test_what_does_not_hold_together_is_refused(text: str, line: str) -> None:
    said, hint = problem(text)
    assert said.startswith(line)
    assert hint
    assert len(said) < 300
    assert said.isprintable()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_text_gives_scenes_or_a_policy_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 60)))
    text = TEXT[:start] + data.draw(st.text(max_size=20)) + TEXT[end:]
    try:
        scenes = parse_scenes(text)
    except PolicyError as error:
        assert "\n" not in str(error)
        assert error.hint
    else:
        assert all(0 < scene.batch <= scene.quota_actor_day for scene in scenes)


def test_duties_exclude_each_other() -> None:
    assert SCENES.exclusive_duties({"courier", "clerk"}) is None
    assert SCENES.exclusive_duties([]) is None
    assert SCENES.exclusive_duties(iter(["salt_keeper", "clerk", "auditor"])) == ("auditor", "salt_keeper")
    assert SCENES.exclusive_duties({"policy_approver", "policy_author"}) == ("policy_author", "policy_approver")
    for pair in tomllib.loads(TEXT)["duties"]["exclusive"]:
        assert SCENES.exclusive_duties(pair) == tuple(pair)
        assert SCENES.exclusive_duties(pair[:1]) is None


def test_scenes_do_not_change() -> None:
    with pytest.raises(AttributeError):
        SCENES["deliver"].batch = 9  # type: ignore[misc]
    assert msgspec.structs.replace(SCENES["deliver"], batch=9) != SCENES["deliver"]


def table(scenes: Scenes) -> str:
    """The table of defaults in docs/scenes.md."""
    words = dict(
        zip(
            (*CUSTODY, *FORMS, *NEEDS),
            ("on route", "at outlet", "handled", "ticket", "full", "masked", "ticket", "document", "second person"),
            strict=True,
        )
    )

    def row(scene: Scene, role: str) -> str:
        custody = " or ".join(words[c] for c in scene.custody_for(role)) or "none"
        fields = "all personal columns" if scene.fields_for(role) == FIELDS else ", ".join(scene.fields_for(role))
        return f"| | {role} | {custody} | {fields} | | | |"

    lines = [
        "| scene | role | custody | fields | forms | batch; a day: person, outlet | needs |",
        "|---|---|---|---|---|---|---|",
    ]
    for scene in scenes:
        needs = ", ".join(words[need] for need in scene.needs) or "–"
        if scene.approval_minutes:
            needs += f" ({scene.approval_minutes} min)"
        limits = f"{scene.batch:,}; {scene.quota_actor_day:,}, {f'{scene.quota_outlet_day:,}' if scene.quota_outlet_day else '–'}"
        rows = [row(scene, role) for role in scene.roles]
        rows[0] = f"| **{scene.name}**" + " " + rows[0][2:-8] + f" | {', '.join(scene.forms)} | {limits} | {needs} |"
        lines += rows
    return "\n".join(lines)


def test_the_table_in_the_documents_is_that_of_the_file() -> None:
    documented = DOCS.read_text("utf-8").split("<!-- scenes -->\n")[1].split("\n<!-- /scenes -->")[0]
    assert documented == table(SCENES)
