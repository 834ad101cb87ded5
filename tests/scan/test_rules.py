"""The rules that come with the package: they load, and every example of every rule holds in the scanner."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from parcelveil.errors import InputError
from parcelveil.scan.checks import CHECKS
from parcelveil.scan.engine import Scanner
from parcelveil.scan.headers import joined, words_of
from parcelveil.scan.rules import FOLDER, Rule, builtin, load
from parcelveil.scan.shapes import compile_patterns

#: Names and addresses have no patterns; tests/scan/test_people.py looks at them.
RULES = [
    (family.family, rule) for family in builtin() for rule in family.rule if family.family not in ("name", "address")
]
IDS = [f"{rule.kind}-{rule.state}" for _, rule in RULES]
KINDS = set(
    """
    phone.mobile phone.landline phone.service phone.virtual phone.foreign phone.national id.resident id.hk_macau_permit
    id.taiwan_permit id.hkid id.passport id.foreigner_residence id.us_ssn org.uscc card.bank bank.iban vehicle.plate
    net.email net.ip net.mac device.imei parcel.waybill order.id chat.wechat chat.qq geo.position sealed.value
    sealed.token
    """.split()
)
MASKED = {"phone.mobile", "phone.landline", "id.resident", "card.bank", "net.email"}
PROTECTED = {"phone.virtual", "sealed.value", "sealed.token"}
KEYS = {"parcel.waybill", "order.id", "phone.service"}
#: Real people's numbers have no place here: mobiles of the examples are documentation numbers and repeated digits.
DOCUMENTED = re.compile(r"1381234567|1391234567|1701234567|1711234567|1841234567|1281234567|0381234567|1212345678")


@functools.cache
def scanner() -> Scanner:
    return Scanner.default(names=False)


def found(text: str, rule: Rule) -> list[str]:
    """The values that were found in ``text`` as of this kind and state."""
    data = text.encode()
    batch = scanner().scan_bytes(data)
    return [
        data[row["start"] : row["end"]].decode()
        for row in batch.select(["kind", "state", "start", "end"]).to_pylist()
        if (row["kind"], row["state"]) == (rule.kind, rule.state)
    ]


@pytest.mark.parametrize(("family", "rule"), RULES, ids=IDS)
def test_examples_hold(family: str, rule: Rule) -> None:
    missed = [text for text in rule.match if not found(text, rule)]
    wrong = [text for text in rule.no_match if found(text, rule)]
    assert (missed, wrong) == ([], [])


@pytest.mark.parametrize(("family", "rule"), RULES, ids=IDS)
def test_chinese_on_both_sides_hides_nothing(family: str, rule: Rule) -> None:
    for text in rule.match:
        alone = found(text, rule)
        assert set(alone) <= set(found(f"的{text}的", rule)), text
        assert not [one for no in rule.no_match for one in found(f"的{no}的", rule)]


@pytest.mark.parametrize(("family", "rule"), RULES, ids=IDS)
def test_a_rule_says_all_that_a_rule_has_to_say(family: str, rule: Rule) -> None:
    assert rule.en and rule.zh and re.search("[\u4e00-\u9fff]", rule.zh)
    assert len(rule.match) >= 4 and len(rule.no_match) >= 4
    assert len({*rule.match, *rule.no_match}) == len(rule.match) + len(rule.no_match)
    assert not rule.check or rule.check in CHECKS
    assert rule.cues or rule.columns or rule.kind.startswith("sealed.")
    assert not set(rule.cues) & set(rule.against)
    assert rule.weights.weak < 0 and rule.weights.against <= 0 <= rule.weights.cue
    for word in (*rule.cues, *rule.against):
        assert word == word.strip() and word == word.lower()
    for name in rule.columns:
        assert name == joined(words_of(name)), "bare words in small letters, as columns are compared"
    glued = [text for text in rule.match if re.search("[\u4e00-\u9fff]", text)]
    assert glued, "an example beside Chinese"


def test_every_kind_is_there_with_its_states() -> None:
    states = {(rule.kind, rule.state) for _, rule in RULES}
    assert {kind for kind, _ in states} == KINDS
    assert {kind for kind, state in states if state == "masked"} == MASKED
    assert {kind for kind, state in states if state == "protected"} == PROTECTED
    assert {kind for kind, state in states if state == "key"} == KEYS
    # Numbers glued to a Latin word are a rule of their own: it has a lead.
    assert len({(rule.kind, rule.state, rule.value) for _, rule in RULES}) == len(RULES)


def test_the_patterns_make_one_automaton_of_modest_size() -> None:
    automaton = compile_patterns([rule.patterns for _, rule in RULES])
    assert len(automaton.table) < 5000
    assert automaton.table.shape[1] <= 128, "one class more doubles the kernel's table"


@pytest.mark.parametrize(("family", "rule"), RULES, ids=IDS)
def test_a_pattern_means_what_re_takes_it_for(family: str, rule: Rule) -> None:
    """The automaton and Python's re agree where a match begins at the start of an example or of a part of it."""
    if not rule.patterns:
        return
    automaton = compile_patterns([rule.patterns])
    pattern = re.compile("|".join(f"(?:{one})" for one in rule.patterns))
    for text in (*rule.match, *rule.no_match):
        data = text.encode()
        for place in range(len(text)):
            start = len(text[:place].encode())
            ends = {end for end, _ in automaton.matches(data, start)}
            wanted = {
                len(text[:end].encode()) for end in range(place, len(text) + 1) if pattern.fullmatch(text, place, end)
            }
            assert ends == wanted, (text, place)


def test_examples_have_no_numbers_of_people() -> None:
    for _, rule in RULES:
        if rule.kind == "phone.mobile" and rule.state == "clear":
            for text in rule.match:
                digits = re.sub(r"[ +()-]", "", text)
                for number in re.findall(r"1[3-9]\d{9}", digits):
                    assert DOCUMENTED.search(number), number


def test_a_broken_file_is_told_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('family = "mine"\n[[rule]]\nkind = "x"\nen = "x"\nzh = "x"\ncuse = ["a"]\n')
    with pytest.raises(InputError, match=r"mine\.toml is not a file of rules: .*cuse"):
        load(path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_every_file_of_the_folder_is_a_family_of_its_name() -> None:
    for path in FOLDER.glob("*.toml"):
        assert load(path).family == path.stem
