"""How good the scanner is, on sets that its weights have never seen (accuracy/held_out.toml, difficult.toml) and, last, on
sets that were written when the rules stood (final.toml, final_difficult.toml).

The bounds are what is promised; ``python bench/scan_accuracy.py`` prints all figures, with the bad ones.
"""

from __future__ import annotations

import doctest
import json
import re
from types import ModuleType

import pytest
from accuracy import judge as judge_
from accuracy import near_misses, values, world
from accuracy.judge import Found, calibration_error, judge
from accuracy.measure import LEAST, PLACED, SEEDS, Measured, judged, scanned, share
from accuracy.values import luhn_digit, resident_digit, s10_digit
from accuracy.world import BY_HAND, CONTEXTS, Made, Truth, _facts, alone, difficult, documents, fields, kinds

from parcelveil.scan.engine import Scanner

#: Of what a kind is found alone, so much is found when it is glued into Chinese.
KEPT = 0.95


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner.default(least=LEAST)


@pytest.fixture(scope="module")
def held_out(scanner: Scanner) -> Measured:
    return Measured(scanner)


@pytest.mark.parametrize("kind", ["phone.mobile", "id.resident"])
def test_mobiles_and_resident_ids_are_found_and_nothing_else_is(held_out: Measured, kind: str) -> None:
    found = held_out.scores[kind]
    assert found.truths > 2000
    assert found.recall >= 0.999, found
    assert held_out.in_documents[kind].recall >= 0.999, held_out.in_documents[kind]
    assert held_out.in_documents[kind].precision >= 0.995, held_out.in_documents[kind]


def test_cards_are_cards(held_out: Measured) -> None:
    assert held_out.in_documents["card.bank"].truths > 100
    assert held_out.in_documents["card.bank"].precision >= 0.98, held_out.in_documents["card.bank"]
    # Bare numbers of card organisations abroad are too many to be told by their first digits and Luhn alone.
    assert held_out.scores["card.bank"].recall >= 0.95, held_out.scores["card.bank"]


def test_names_in_the_context_of_waybills(held_out: Measured) -> None:
    found = held_out.in_documents["person.name"]
    assert found.truths > 1000
    assert found.f >= 0.95, found


def test_addresses_are_found(held_out: Measured) -> None:
    found = held_out.in_documents["address.cn"]
    assert found.truths > 600
    assert found.recall >= 0.97, found
    assert share(held_out.lone["address.cn"]) >= 0.97


@pytest.mark.parametrize("kind", kinds("held_out"))
def test_chinese_around_a_value_does_not_hide_it(held_out: Measured, kind: str) -> None:
    assert share(held_out.lone[kind]) >= 0.75, "there is something to lose"
    assert held_out.kept[kind] >= KEPT, (share(held_out.lone[kind]), held_out.kept[kind])


@pytest.mark.parametrize("style", ["phone.mobile:wide", "id.resident:wide", "card.bank:wide", "phone.mobile:spaced", "id.resident:spaced", "card.bank:spaced"])  # fmt: skip
def test_full_width_and_grouped_numbers_are_read(held_out: Measured, style: str) -> None:
    assert share(held_out.styled[style]) >= (0.9 if style == "card.bank:wide" else 0.99)  # bare cards: see above


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("kind", ["phone.mobile", "id.resident", "card.bank", "net.email"])
def test_every_layout_of_data_is_read(held_out: Measured, context: str, kind: str) -> None:
    one = held_out.placed[context][kind]
    assert len(one.truths) == PLACED
    # The names of columns in an INSERT do not stand before a value: cards with unknown first digits have no cue there.
    assert len(one.missed) <= (PLACED // 3 if (context, kind) == ("sql", "card.bank") else 0)


@pytest.mark.parametrize("least", [0.5, LEAST])
def test_confidence_is_the_share_that_is_right(held_out: Measured, least: float) -> None:
    pairs = held_out.pairs(least)
    assert len(pairs) > 3000
    assert calibration_error(pairs) <= 0.03, held_out.reliability


def test_no_planted_value_is_in_what_is_found(scanner: Scanner) -> None:
    for made in [*documents("held_out", scale=0.2), *difficult()]:
        table = scanned(scanner, made)
        told = json.dumps(table.drop_columns(["fingerprint"]).to_pylist(), ensure_ascii=False)
        prints = b"".join(table.column("fingerprint").to_pylist())
        for truth in made.truths:
            value = made.data[truth.start : truth.end]
            assert value.decode() not in told
            assert value not in prints


# --- the last world: written when the rules stood, and nothing was changed after looking at it


@pytest.fixture(scope="module")
def final(scanner: Scanner) -> Measured:
    return Measured(scanner, seed=SEEDS["final"], world="final")


@pytest.mark.parametrize("kind", ["phone.mobile", "id.resident"])
def test_mobiles_and_resident_ids_are_found_in_documents_never_looked_at(final: Measured, kind: str) -> None:
    assert final.scores[kind].truths > 1000
    assert final.scores[kind].recall >= 0.999, final.scores[kind]
    # Over documents alone the same bound does not hold for mobiles, and so is not claimed: of 1,595, two are missed, which
    # stand between underscores in the names of recordings.
    assert kind == "phone.mobile" or final.in_documents[kind].recall >= 0.999, final.in_documents[kind]
    assert final.in_documents[kind].precision >= 0.995, final.in_documents[kind]


def test_cards_and_addresses_in_documents_never_looked_at(final: Measured) -> None:
    inside = final.in_documents
    assert inside["card.bank"].truths > 100
    assert inside["card.bank"].precision >= 0.98, inside["card.bank"]
    assert inside["address.cn"].truths > 600
    assert inside["address.cn"].recall >= 0.97, inside["address.cn"]
    # Of names F 0.95 is not claimed here: from seed to seed it is 0.948 to 0.958 (bench/scan_accuracy.py prints it).


@pytest.mark.parametrize("kind", kinds("final"))
def test_chinese_never_looked_at_does_not_hide_a_value(final: Measured, kind: str) -> None:
    assert final.kept[kind] >= KEPT, (share(final.lone[kind]), final.kept[kind])


def test_confidence_is_the_share_that_is_right_in_documents_never_looked_at(final: Measured) -> None:
    pairs = final.pairs()
    assert len(pairs) > 3000
    assert calibration_error(pairs) <= 0.03, final.reliability


# --- the sets themselves


@pytest.mark.parametrize(("before", "after"), [("tuning", "held_out"), ("tuning", "final"), ("held_out", "final")])
def test_what_is_measured_on_has_not_been_fitted_on(before: str, after: str) -> None:
    fitted, measured = _facts(before), _facts(after)
    for name in ("given_first", "given_last"):
        assert not set(fitted["words"][name]) & set(measured["words"][name]), name
    for name in (
        "streets",
        "estates",
        "towns",
        "companies",
        "goods",
        "cities",
        "sentences",
        "english",
        "ethnic",
        "latin",
        "doors",
    ):
        assert not set(fitted["words"][name]) & set(measured["words"][name]), name
    rows = [{row for layout in world["document"] for row in layout["rows"]} for world in (fitted, measured)]
    assert not rows[0] & rows[1]
    names = [{layout["name"] for layout in world["document"]} for world in (fitted, measured)]
    assert not names[0] & names[1]
    assert kinds(before) == kinds(after)
    assert fields(before) == fields(after)


def test_the_last_world_has_banks_headers_and_lines_of_its_own() -> None:
    for slot, names in _facts("final")["fields"].items():
        assert not {*names} & {*_facts("tuning")["fields"][slot], *_facts("held_out")["fields"][slot]}, slot
    cards = {
        made.data[truth.start : truth.start + 6].decode()
        for made in documents("final", 100)
        for truth in made.truths
        if truth.kind == "card.bank" and b" " not in made.data[truth.start : truth.end]
    }
    assert cards == {*_facts("final")["words"]["banks"]}
    by_hand = [{line for lines in _facts(name).values() for line in lines} for name in BY_HAND.values()]
    assert all("«" in line and line.count("«") == 1 and line.startswith("«near.") for line in by_hand[0] & by_hand[1])
    innocent = _facts("final_difficult")["innocent"]
    assert len(by_hand[1]) >= 120 and len(innocent) * 2 >= len(by_hand[1])
    assert not [line for line in innocent if re.search("«(?!near|nothing)", line)]


def test_truths_point_at_what_they_say() -> None:
    made = alone("held_out", "id.resident", 50)
    for truth in made.truths:
        number = made.data[truth.start : truth.end].decode()
        assert resident_digit(number[:17]) == number[17]
    made = alone("held_out", "phone.mobile", 50, style="country")
    for truth in made.truths:
        assert made.data[truth.start : truth.start + truth.lead].strip(b"+- 0") == b"86"
        assert truth.end - truth.start - truth.lead == 11


def test_documents_are_the_same_for_one_seed_and_others_for_another() -> None:
    assert documents("held_out", 3, 0.1) == documents("held_out", 3, 0.1)
    assert documents("held_out", 3, 0.1) != documents("held_out", 4, 0.1)


@pytest.mark.parametrize("module", [judge_, values, near_misses, world], ids=lambda module: module.__name__)
def test_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)
    assert doctest.testmod(module).attempted > 0


def test_check_digits_of_published_examples() -> None:
    assert luhn_digit("7992739871") == "3"
    assert resident_digit("11010519491231002") == "X"
    assert s10_digit("47312482") == "9"


def test_there_are_many_lines_written_by_hand() -> None:
    assert sum(made.data.count(b"\n") for made in difficult()) >= 150
    assert sum(made.data.count(b"\n") for made in difficult(100, "final")) >= 200


def test_a_judge_counts_what_is_right_what_is_wrong_and_what_is_neither() -> None:
    made = Made(
        "x",
        "text",
        b"x" * 100,
        [
            Truth("phone.mobile", 0, 14, lead=3),
            Truth("address.cn", 20, 60),
            Truth("order.id", 70, 80, "key", optional=True),
            Truth("id.resident", 82, 100),
        ],
        frozenset(["geo.position"]),
    )
    found = [
        Found("phone.mobile", 3, 14, "clear", 0.9),  # without the country's code
        Found("phone.mobile", 0, 14, "clear", 0.8),  # the same once more
        Found("address.cn", 20, 50, "clear", 0.9),  # three quarters
        Found("order.id", 70, 80, "key", 0.9),  # optional
        Found("geo.position", 1, 2, "clear", 0.9),  # not asked for
        Found("id.resident", 82, 100, "clear", 0.3),  # right, but not told
    ]
    one = judge(made, found)
    assert sorted(zip([f.kind for f in one.counted], one.right, strict=True)) == [
        ("address.cn", True),
        ("id.resident", True),
        ("phone.mobile", False),
        ("phone.mobile", True),
    ]
    assert [truth.kind for truth in one.missed] == ["id.resident"]
    assert judge(made, [Found("address.cn", 20, 49, "clear", 0.9)]).right == [False]
    assert judge(made, [Found("id.resident", 82, 100, "masked", 0.9)]).right == [False]


def test_calibration_error_by_hand() -> None:
    assert calibration_error([(0.95, True)] * 95 + [(0.95, False)] * 5) == pytest.approx(0.0)
    assert calibration_error([(0.65, True), (0.65, False)]) == pytest.approx(0.15)
    assert calibration_error([]) == 0.0


def test_an_empty_document_has_nothing(scanner: Scanner) -> None:
    assert judged(scanner, Made("empty", "text", b"", [])).counted == []
