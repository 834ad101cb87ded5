"""Breaks lines and finds the largest size at which a text fits its box.

::

    >>> fit(["浙江省 杭州市 西湖区 北山街道"], 60, 30, (12, 7), lambda text: len(text) * 1.0)
    Fitted(size=8.5, lines=['浙江省 杭州市', '西湖区', '北山街道'])

Widths and heights are in points, sizes too. A line breaks at blanks, so that a place name or a mask like
``138******78`` stays whole. Text is rather set smaller than a word broken, but for a very long word, which is broken between
any two characters, though not before stars or closing punctuation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: Distance of two baselines, in sizes.
LEADING = 1.25
_STEP = 0.5
#: A word that is wider (em) is broken at any size, rather than that all becomes small for it.
_LONGEST_WORD = 16.0
_NOT_FIRST = frozenset("*、。，．：；？！）》」』】〕〉,.:;?!)")


class Fitted(NamedTuple):
    """A text as it is set: the size in points, and its lines."""

    size: float
    lines: list[str]


def fit(
    texts: Sequence[str], width: float, height: float, sizes: tuple[float, float], measure: Callable[[str], float]
) -> Fitted | None:
    """The largest size from ``sizes`` (largest, smallest) at which ``texts``, each beginning a line, fit the box.

    Args:
        texts: what is to be set, one paragraph each.
        width, height: of the box, points.
        sizes: largest and smallest size, points.
        measure: width of a text in em.

    Returns:
        None when it does not fit even at the smallest size.
    """
    widest = max(map(measure, texts), default=0.0)
    words = (measure(word) for text in texts for word in text.split())
    longest_word = max((em for em in words if em <= _LONGEST_WORD), default=0.0)

    def at(step: int) -> Fitted | None:
        size = max(float(sizes[1]), sizes[0] - step * _STEP)
        most = int((height / size - 1) / LEADING + 1 + 1e-9)
        if len(texts) > most:
            return None
        if widest <= width / size:
            return Fitted(size, list(texts))
        if longest_word > width / size and size > sizes[1]:
            return None  # rather smaller than broken
        lines = [line for text in texts for line in wrap(text, width / size, measure)]
        return Fitted(size, lines) if len(lines) <= most else None

    if (best := at(0)) is not None:
        return best
    low, high = 1, math.ceil((sizes[0] - sizes[1]) / _STEP)
    while low <= high:  # what fits at one size fits at every smaller one
        middle = (low + high) // 2
        found = at(middle)
        if found is None:
            low = middle + 1
        else:
            best, high = found, middle - 1
    return best


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """``text`` in lines that are at most ``width`` em wide; one character at least a line."""
    if measure(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if measure(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _parts(word, width, measure)
        lines += full
    return [*lines, line]


def _parts(word: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """A word in parts that are at most ``width`` wide, if there is one character at least in each."""
    parts = []
    while measure(word) > width and len(word) > 1:
        cut = 1
        while cut < len(word) - 1 and measure(word[: cut + 1]) <= width:
            cut += 1
        back = cut
        while back > 1 and word[back] in _NOT_FIRST:
            back -= 1
        cut = cut if word[back] in _NOT_FIRST else back
        parts.append(word[:cut])
        word = word[cut:]
    return [*parts, word]
