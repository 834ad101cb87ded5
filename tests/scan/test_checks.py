"""Checks: published examples, the compiled ones against the reference, both against python-stdnum."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, imei, iso7064, luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidComponent, InvalidFormat, ValidationError
from stdnum.us import ssn

from parcelveil.scan import checksums
from parcelveil.scan.check_passes import CODES, SLOW
from parcelveil.scan.check_tables import (
    BAD,
    CARD_LENGTHS,
    CREDIT_PAIRS,
    FIRST_YEAR,
    GOOD,
    IBAN_LENGTHS,
    LAST_YEAR,
    PROVINCES,
    WEAK,
    card_grade,
    is_date,
)
from parcelveil.scan.checks import CHECKS
from parcelveil.scan.rules import builtin
from scan.checked import EXAMPLES, Values, graded, mutated

DIGITS = np.frombuffer(b"0123456789", np.uint8)
FEW, MANY = 20_000, 1_000_000
HOT = ("mobile", "resident_id", "card", "email")

PUBLISHED = [
    (checksums.mod11_2, b"11010519491231002X", "GB 11643-1999, 4.2"),
    (checksums.mod11_2, b"440524188001010014", "GB 11643-1999, 4.2"),
    (checksums.luhn, b"79927398713", "ISO/IEC 7812, as commonly shown"),
    (checksums.luhn, b"378282246310005", "test number of American Express"),
    (checksums.mod97, b"GB29NWBK60161331926819", "ISO 13616, SWIFT registry"),
    (checksums.mod97, b"MT84MALT011000012345MTLCAST001S", "ISO 13616, SWIFT registry"),
    (checksums.s10, b"RR473124829GB", "UPU S10"),
    (checksums.mod31, b"91110000600037341L", "python-stdnum"),
    (checksums.hkid, b"A1234563", "Hong Kong Immigration Department, specimen"),
    (checksums.hkid, b"G123456A", "specimen"),
]


@pytest.mark.parametrize(("holds", "number", "source"), PUBLISHED, ids=lambda value: getattr(value, "__name__", None))
def test_published_numbers_hold_and_no_neighbour_of_theirs(
    holds: Callable[[bytes], bool], number: bytes, source: str
) -> None:
    assert holds(number), source
    for place, char in enumerate(number):
        if chr(char).isdigit():  # every one of these codes finds a single wrong digit
            for other in b"0123456789".replace(bytes([char]), b""):
                assert not holds(number[:place] + bytes([other]) + number[place + 1 :]), (source, place)


@pytest.mark.parametrize("holds", [checksums.luhn, checksums.mod11_2, checksums.mod31, checksums.mod97, checksums.s10])
@given(text=st.binary(max_size=40))
def test_checksums_take_any_bytes(holds: Callable[[bytes], bool], text: bytes) -> None:
    assert holds(text) in (True, False)


@given(text=st.binary(max_size=24))
def test_the_others_take_any_bytes_too(text: bytes) -> None:
    assert not checksums.hkid(text) or len(text) in (8, 9)
    assert not checksums.ups(text) or text[:2] == b"1Z"
    assert not checksums.organisation(text) or len(text) == 9


def test_ups_is_the_digit_of_a_tracking_number() -> None:
    assert checksums.ups(b"1Z5R89390357567127")
    assert not any(checksums.ups(b"1Z5R8939035756712" + bytes([digit])) for digit in b"012345689")


def test_icao_is_the_digit_of_the_specimen_passport() -> None:
    # ICAO Doc 9303 part 4: L898902C36 and 6908061, the specimen of Utopia
    assert checksums.icao(b"L898902C3") == 6
    assert checksums.icao(b"690806") == 1


def test_every_check_is_there_three_times() -> None:
    used = {rule.check for family in builtin() for rule in family.rule if rule.check}
    assert used <= set(CHECKS)
    assert set(CODES) == set(CHECKS) | {""}
    assert set(EXAMPLES) == set(CHECKS) - SLOW
    assert sorted(CODES.values()) == list(range(len(CODES)))


def values_of(check: str, count: int, seed: int = 7) -> Values:
    return mutated([text.encode() for text in EXAMPLES[check].split("|")], count, seed)


@pytest.mark.parametrize("check", EXAMPLES)
def test_compiled_is_the_reference(check: str) -> None:
    agree(check, 3000)


@pytest.mark.slow
@pytest.mark.parametrize("check", EXAMPLES)
def test_compiled_is_the_reference_on_a_million(check: str) -> None:
    for part in range(10):
        agree(check, (MANY if check in HOT else MANY // 5) // 10, part)


def agree(check: str, count: int, seed: int = 7) -> None:
    values = values_of(check, count, seed)
    each = values.each()
    reference = [CHECKS[check](value) for value in each]
    compiled = graded(check, values).tolist()
    assert compiled == reference, next(v for v, a, b in zip(each, compiled, reference, strict=True) if a != b)


@pytest.mark.parametrize("check", sorted(set(EXAMPLES) - {"service"}))
def test_examples_have_more_than_one_grade(check: str) -> None:
    assert len({CHECKS[check](text.encode()) for text in EXAMPLES[check].split("|")}) > 1


def test_random_digits_are_rarely_cards() -> None:
    draw = np.random.default_rng(3)
    for length in CARD_LENGTHS:
        rows = DIGITS[draw.integers(0, 10, (20_000, length))]
        found = graded("card", Values(rows.reshape(-1), np.arange(1, 20_001) * length))
        assert np.count_nonzero(found == GOOD) < 0.035 * len(found), length


def test_random_digits_are_rarely_ids() -> None:
    draw = np.random.default_rng(3)
    rows = DIGITS[draw.integers(0, 10, (200_000, 18))]
    found = graded("resident_id", Values(rows.reshape(-1), np.arange(1, 200_001) * 18))
    assert np.count_nonzero(found == GOOD) <= 20
    assert np.count_nonzero(found == WEAK) < 200


@pytest.mark.slow
def test_no_value_makes_a_check_read_outside_of_it(tmp_path: Path) -> None:
    """Any bytes, as rules of one's own may hand them on; compiled anew with numba's own look at every index."""
    program = """
import numpy as np
from scan.checked import EXAMPLES, Values, graded
draw = np.random.default_rng(1)
signs = np.frombuffer(b"0123456789" * 6 + b"AXZxEHpv1n:@.,-+*() wSFYTJD" + "转●×•".encode(), np.uint8)
ends = np.cumsum(draw.integers(1, 60, 100_000))
values = Values(draw.choice(signs, ends[-1]), ends)
for check in EXAMPLES:
    graded(check, values)
    graded(check, Values(values.data[: ends[0]], ends[:1]))
print("done")
"""
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(tests)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "done\n", run.stderr[-2000:]


# --- python-stdnum is the oracle of every checksum. What it asks beyond the checksum, and what our checks do, is said.


def numbers_of(kind: str, count: int) -> Values:
    """A third as they should be, the others with one to three wrong characters or two swapped ones."""
    draw = np.random.default_rng(11)
    alphabet = DIGITS

    def digits(width: int) -> str:
        return "".join(map(str, draw.integers(0, 10, width)))

    examples = []
    for _ in range(2000):
        if kind == "ric":
            province = draw.choice(sorted(PROVINCES)) if draw.random() < 0.9 else draw.integers(10, 100)
            date = f"{draw.integers(1875, 2040)}{draw.integers(1, 13):02}{draw.integers(1, 32):02}"
            body = f"{province}{digits(4)}{date}{digits(3)}"
            examples.append(body + ric.calc_check_digit(body + "0"))
            alphabet = np.frombuffer(b"0123456789Xx", np.uint8)
        elif kind == "uscc":
            chars = list("0123456789ABCDEFGHJKLMNPQRTUWXY")
            first = draw.choice(sorted(CREDIT_PAIRS) if draw.random() < 0.9 else ["14", "99", "Y3"])
            body = f"{first}{draw.choice(sorted(PROVINCES))}{digits(4)}{''.join(draw.choice(chars, 9))}"
            examples.append(body + uscc.calc_check_digit(body))
            alphabet = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXYIO", np.uint8)
        elif kind in ("luhn", "imei"):
            body = digits(14 if kind == "imei" else int(draw.integers(12, 19)))
            body = body if kind == "imei" or draw.random() < 0.5 else str(draw.choice([62, 4, 51, 34, 36])) + body[2:]
            examples.append(body + luhn.calc_check_digit(body))
        elif kind == "iban":
            country = draw.choice(["DE", "BE", "NO", "ES", "GB", "FR"])
            rest = {"GB": "NWBK" + digits(14), "FR": digits(10) + "ABC" + digits(10)}.get(
                country, digits(IBAN_LENGTHS[country] - 4)
            )
            examples.append(country + iso7064.mod_97_10.calc_check_digits(f"{rest}{country}") + rest)
            alphabet = np.frombuffer(b"0123456789ABZ", np.uint8)
        else:
            examples.append(f"{digits(3)}-{digits(2)}-{digits(4)}")
            alphabet = np.frombuffer(b"000123456789", np.uint8)
    return mutated([text.encode() for text in examples], count, 13, alphabet)


def stdnum_says(check: Callable[[str], str], number: str) -> type[ValidationError] | None:
    """None for a valid number, else what is wrong with it."""
    try:
        check(number)
    except ValidationError as error:
        return type(error)
    except KeyError:  # stdnum 2.2 stumbles over a region that has no county
        return InvalidComponent
    return None


def resident(number: str, grade: int) -> bool:
    # stdnum also asks whether the county was there in that year; we ask for the province and a birthday that can be.
    if not number[:17].isdigit():
        return grade == BAD
    checksum = ric.calc_check_digit(number) == number[17].upper()
    year = int(number[6:10])
    dated = is_date(year, int(number[10:12]), int(number[12:14]))
    expected = BAD if int(number[:2]) not in PROVINCES or not dated else GOOD if checksum else WEAK
    if stdnum_says(ric.validate, number) is None and FIRST_YEAR <= year <= LAST_YEAR and expected != GOOD:
        return False
    return checksum == checksums.mod11_2(number.encode()) and grade == expected


def credit(number: str, grade: int) -> bool:
    # We also ask who registers what, and in which province; stdnum knows the digits of the first only. A wrong
    # organisation code is WEAK.
    if not number[1:8].isdigit() or number[0] not in "123456789ANY" or any(char in "IOSVZ" for char in number):
        return grade == BAD
    right = uscc.calc_check_digit(number[:17]) == number[17]
    valid = stdnum_says(uscc.validate, number) is None
    registered = number[:2] in CREDIT_PAIRS and (int(number[2:4]) in PROVINCES or number[2:8] == "100000")
    same = right == checksums.mod31(number.encode()) and valid == (right and number[0].isdigit())
    return same and (grade != BAD) == (right and registered)


def card(number: str, grade: int) -> bool:
    # stdnum has Luhn only; the issuer and the length are ours.
    valid = luhn.is_valid(number)
    issued = len(number) in range(13, 20) and card_grade(int(number[:4]), len(number)) != BAD
    return valid == checksums.luhn(number.encode()) and (grade != BAD) == (valid and issued)


def device(number: str, grade: int) -> bool:
    return (grade != BAD) == (stdnum_says(imei.validate, number) is None)


def account(number: str, grade: int) -> bool:
    # stdnum also knows which characters of each country's number are letters, which we do not ask.
    wrong = stdnum_says(lambda text: iban.validate(text, check_country=False), number)
    if not (number[:2].isalpha() and number[2:4].isdigit()):
        return grade == BAD
    lengths = IBAN_LENGTHS.get(number[:2]) == len(number)
    return (grade == GOOD) == (wrong is None) or (grade == GOOD and wrong is InvalidFormat and lengths)


def security(number: str, grade: int) -> bool:
    if number[3] != "-" or number[6] != "-" or not number.replace("-", "").isdigit() or number.count("-") != 2:
        return True  # no pattern hands such a value on
    return (grade == GOOD) == (stdnum_says(ssn.validate, number) is None)


ORACLES: dict[str, tuple[str, Callable[[str, int], bool]]] = {
    "ric": ("resident_id", resident),
    "uscc": ("uscc", credit),
    "luhn": ("card", card),
    "imei": ("imei", device),
    "iban": ("iban", account),
    "ssn": ("us_ssn", security),
}


@pytest.mark.parametrize("kind", ORACLES)
def test_checksums_are_those_of_stdnum(kind: str) -> None:
    compare(kind, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ORACLES)
def test_checksums_are_those_of_stdnum_on_a_million(kind: str) -> None:
    compare(kind, MANY)


def compare(kind: str, count: int) -> None:
    check, same = ORACLES[kind]
    values = numbers_of(kind, count)
    grades = graded(check, values)
    for value, grade in zip(values.each(), grades.tolist(), strict=True):
        assert same(value.decode(), grade), (value, grade)
    assert 0.02 < np.count_nonzero(grades != BAD) / count < 0.99, "the sample has both"
