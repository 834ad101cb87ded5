"""Lines and sizes, against trying all of them."""

from __future__ import annotations

import doctest
import re

from hypothesis import given
from hypothesis import strategies as st

from parcelveil.label import fit as module
from parcelveil.label.fit import LEADING, Fitted, fit, wrap

ALPHABET = "省市路，a1*- "


def em(text: str) -> float:
    return sum(1.0 if ord(char) > 0xFF else 0.55 for char in text)


def slowly(texts: list[str], width: float, height: float, sizes: tuple[float, float]) -> Fitted | None:
    """Every size from the largest down."""
    size = float(sizes[0])
    while True:
        lines = [line for text in texts for line in wrap(text, width / size, em)]
        whole = size <= sizes[1] or all(
            em(word) <= width / size or em(word) > 16 for text in texts for word in text.split()
        )
        if len(lines) == 0 or (size * (1 + LEADING * (len(lines) - 1)) <= height + 1e-6 and whole):
            return Fitted(size, lines)
        if size <= sizes[1]:
            return None
        size = max(float(sizes[1]), size - 0.5)


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0


texts = st.lists(
    st.text(ALPHABET, min_size=1, max_size=30).map(lambda text: " ".join(text.split())).filter(bool),
    min_size=1,
    max_size=4,
)


@given(texts, st.floats(20, 200), st.floats(8, 90), st.sampled_from([8, 12.3, 16, 20]), st.sampled_from([5, 6.5, 8]))
def test_the_size_is_the_largest_that_fits(
    lines: list[str], width: float, height: float, most: float, least: float
) -> None:
    assert fit(lines, width, height, (most, least), em) == slowly(lines, width, height, (most, least))


@given(st.text(ALPHABET, max_size=60).map(lambda text: " ".join(text.split())), st.floats(0.5, 20))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, width: float) -> None:
    lines = wrap(text, width, em)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        assert em(line) <= width or len(line) == 1 or re.fullmatch(r".[*，]+", line)


@given(st.floats(7, 20))
def test_places_and_masks_stay_whole_where_they_can(width: float) -> None:
    words = "广东省 清远市 连山自治县 138******78"
    assert {word for line in wrap(words, width, em) for word in line.split()} == set(words.split())


def test_what_has_no_room_does_not_fit() -> None:
    assert fit(["省" * 50], 20, 20, (10, 8), em) is None
    assert fit([], 20, 20, (10, 8), em) == Fitted(10.0, [])
