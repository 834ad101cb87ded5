"""Reasons in words, in both languages."""

from __future__ import annotations

import doctest
import re

import pytest

from parcelveil.scan import reasons
from parcelveil.scan.people import WHY
from parcelveil.scan.reasons import JOINT, REASONS, reason_words


def test_the_examples_hold() -> None:
    assert doctest.testmod(reasons).failed == 0


@pytest.mark.parametrize("code", REASONS)
def test_every_code_is_said_in_both_languages(code: str) -> None:
    english, chinese = REASONS[code]
    assert english and not re.search(r"[^\x20-\x7e]", english)
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert english.count("{}") == chinese.count("{}")
    said = f"{code}:电话" if "{}" in english else code
    for language in ("en", "zh"):
        words = reason_words(said, language)
        assert "{}" not in words and (":" not in said or "电话" in words)


def test_every_code_of_names_and_addresses_is_there() -> None:
    assert {code for code in WHY if code} <= set(REASONS)


def test_codes_are_joined_and_unknown_ones_shown() -> None:
    assert reason_words("", "en") == ""
    assert reason_words("something new", "zh") == "something new"
    assert (
        reason_words(f"shape{JOINT}what:ever{JOINT}masked", "en") == "it has the form; what:ever; it is masked already"
    )
    assert reason_words("cue:{}", "en") == '"{}" stands before it'  # a rule's word is not a template
