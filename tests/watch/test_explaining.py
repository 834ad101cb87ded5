"""The rules that say which work explains which look."""

from __future__ import annotations

from pathlib import Path

import pytest

from parcelveil.errors import InputError
from parcelveil.event import BizStep
from parcelveil.watch.coded import HOUR
from parcelveil.watch.explaining import RULE, STEP, read_rules, rule_table

GOOD = '[[rule]]\nstep = "arrived"\nwhom = "actor"\nlevel = 2\nbefore = 2\nafter = 24\n'
REGION = '[[rule]]\nstep = "arrived"\nwhom = "region"\nlevel = 0\nbefore = 72\nafter = 240\n'


def test_the_shipped_rules_become_a_table() -> None:
    rules = read_rules()
    table = rule_table(rules, lambda name: {"clerk": 4, "service": 2}.get(name, -1))
    assert table.schema == RULE
    assert table.num_rows == len(rules) + 1  # of the handlers one row a role
    rows = table.to_pylist()
    assert rows[0] == {
        "number": 1, "step": STEP["ordered"], "whom": 1, "onward": 0, "level": 2, "before_us": HOUR,
        "after_us": 1080 * HOUR, "role": -1,
    }  # fmt: skip
    assert [row["onward"] for row in rows if row["step"] == STEP["departed"]] == [1]
    assert [row["role"] for row in rows if row["whom"] == 4] == [2, 4]


def test_a_role_that_no_account_has_makes_no_row() -> None:
    rules = read_rules()
    assert rule_table(rules, lambda _: -1).num_rows == len(rules) - 1
    assert rule_table((), lambda _: -1).schema == RULE


def test_steps_are_numbered_from_one_in_their_order() -> None:
    assert [STEP[step] for step in BizStep] == list(range(1, len(BizStep) + 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rule", "no TOML"),
        ("", "no list of"),
        ("rule = []", "no rule"),
        ("other = 1\n" + GOOD, "unknown field"),
        (GOOD + "reason = 1\n", "rule 1 .*unknown field"),
        (GOOD.replace("arrived", "looked"), "rule 1 .*looked"),
        (GOOD.replace("arrived", "route_assigned"), "rule 1 .*route_assigned cannot explain"),
        (GOOD.replace("arrived", "ticket_opened"), "rule 1 .*ticket_opened cannot explain anything to actor"),
        (GOOD.replace("actor", "to_outlet"), "cannot explain anything to to_outlet"),
        (GOOD.replace("actor", "quoted"), "cannot explain anything to quoted"),
        (GOOD + GOOD.replace("24", "100000"), "rule 2 "),
        (GOOD.replace("2\nbefore", "3\nbefore"), "rule 1 "),
        (GOOD.replace("= 2\nbefore", "= 0\nbefore"), "rule 1 .*level 0 belongs to region.* not 0 to actor"),
        (GOOD.replace("actor", "region"), "rule 1 .*region to level 0; not 2 to region"),
        (REGION.replace("= 0", "= 1"), "rule 1 .*region to level 0; not 1 to region"),
        (REGION.replace("= 0", "= -1"), "rule 1 "),
        (REGION.replace("arrived", "ticket_opened"), "ticket_opened cannot explain anything to region"),
        (REGION + 'roles = ["clerk"]\n', "roles belong to handler"),
        (GOOD + 'roles = ["clerk"]\n', "roles belong to handler"),
        (GOOD.replace("arrived", "ticket_opened").replace("actor", "handler"), "handler needs them"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_number(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_rules(file)
    assert "own.toml" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own\.toml cannot be read"):
        read_rules(tmp_path / "own.toml")
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        read_rules(tmp_path / "own.toml")


def test_one_s_own_rules_replace_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(GOOD, "utf-8")
    (rule,) = read_rules(tmp_path / "own.toml")
    assert (rule.step, rule.whom, rule.level, rule.before, rule.after) == (BizStep.ARRIVED, "actor", 2, 2, 24)


def test_a_rule_of_the_region_has_level_0_and_others_have_1_or_2(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        REGION + GOOD + GOOD.replace("= 2\nbefore", "= 1\nbefore").replace("actor", "outlet"), "utf-8"
    )
    rows = rule_table(read_rules(tmp_path / "own.toml"), lambda _: -1).to_pylist()
    assert [(row["whom"], row["level"], row["role"]) for row in rows] == [(5, 0, -1), (1, 2, -1), (2, 1, -1)]
    assert {(row["whom"] == 5, row["level"] == 0) for row in rule_table(read_rules(), lambda _: 0).to_pylist()} == {
        (True, True),
        (False, False),
    }
