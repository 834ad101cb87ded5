"""The same as the compiled passes, in plain Python and without regard to speed: what tests hold them to.

::

    >>> found = reference_hits("电话13812345678谢谢".encode(), rules_of(builtin()))
    >>> [(hit.kind, hit.start, hit.end) for hit in found]
    [('phone.mobile', 6, 17)]

Every pattern is tried as a regular expression at every place and to every end; words around a value are looked for by
comparing; overlaps are compared pair by pair. Names and addresses have a reference of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from parcelveil.scan.checks import BAD, CHECKS, WEAK
from parcelveil.scan.context import BEFORE, BEHIND
from parcelveil.scan.rules import Rule, builtin, rules_of
from parcelveil.scan.shapes import LONGEST

__all__ = ["Hit", "builtin", "reference_hits", "rules_of"]

_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LETTER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}")


class Hit(NamedTuple):
    """A hit, in bytes of the text."""

    start: int
    end: int
    kind: str
    rule: int
    log_odds: float
    word: str  # the cue, or the word against it


def reference_hits(data: bytes, rules: Sequence[Rule]) -> list[Hit]:
    """The hits of pattern rules that stand in a text without full-width characters, outside of any column."""
    patterned = [rule for rule in rules if rule.patterns or rule.check in ("email", "masked_email")]
    found: list[Hit] = []
    for start, end, number, weak in sorted(set(_candidates(data, patterned))):
        rule = patterned[number]
        word, sign = _around(data, start, end, rule)
        if rule.needs_cue and sign <= 0:
            continue
        seen = rule.weights
        score = (
            seen.base
            + seen.weak * weak
            + seen.joined
            * (("@" not in data[start:end].decode("latin-1") or bool(rule.patterns)) and _joined(data, start, end))
        )
        score += seen.cue if sign > 0 else seen.against if sign < 0 else 0.0
        found.append(Hit(start, end, rule.kind, number, score, word))
    first = [hit for hit in found if not any(_beats(other, hit, found) for other in found)]
    fallen = [hit for hit in found if hit not in first]
    free = [hit for hit in fallen if not any(_meet(hit, other) for other in first)]
    again = [hit for hit in free if not any(_beats(other, hit, found) for other in fallen)]
    return sorted(first + again)


def _candidates(data: bytes, rules: Sequence[Rule]) -> Iterator[tuple[int, int, int, bool]]:
    text = data.decode("utf-8", "surrogateescape")
    place = [0]
    for char in text:
        place.append(place[-1] + len(char.encode("utf-8", "surrogateescape")))
    for number, rule in enumerate(rules):
        if rule.check in ("email", "masked_email") and not rule.patterns:
            for start, end, masked in _addresses(data):
                outcome = CHECKS[rule.check](data[start:end])
                if masked == (rule.check == "masked_email") and outcome != BAD:
                    yield start, end, number, outcome == WEAK
            continue
        pattern = re.compile("|".join(f"(?:{one})" for one in rule.patterns), re.ASCII)
        for start in range(len(text)):
            if start and text[start - 1] in _WORD and text[start] < "\x80":
                continue
            if pattern.match(text, start) is None:
                continue
            for end in range(min(len(text), start + LONGEST), start, -1):
                if (end < len(text) and text[end] in _WORD) or pattern.fullmatch(text, start, end) is None:
                    continue
                first = start
                if rule.before:
                    if not start or text[start - 1] not in rule.before:
                        continue
                    first = start - 1
                elif rule.value:
                    first = end
                    while first > start and text[first - 1] in rule.value:
                        first -= 1
                    if first == end:
                        continue
                outcome = CHECKS[rule.check](data[place[first] : place[end]]) if rule.check else 2
                if outcome != BAD:
                    yield place[first], place[end], number, outcome == WEAK
                    break


def _addresses(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """E-mail addresses around each "@", and whether they are masked: local part, labels, letters at the end."""
    text = data.decode("latin-1")
    hider = r"(?:\*|\xe2\x97\x8f|\xe2\x80\xa2|\xc3\x97)"
    for at in (match.start() for match in re.finditer("@", text)):
        left = re.search(rf"(?:[A-Za-z0-9._-]|{hider})*$", text[max(0, at - 70) : at])
        right = re.match(r"[A-Za-z0-9.*-]*", text[at + 1 : at + 64])
        local, domain = (left[0] if left else "").lstrip(".-"), (right[0] if right else "").rstrip(".-")
        if len(re.findall(hider, local)) + domain.count("*") >= 2 and local and domain:
            yield at - len(local), at + 1 + len(domain), True
            continue
        plain = re.search(r"[A-Za-z0-9._%+-]*$", text[:at])
        before = (plain[0] if plain else "").lstrip(".-+%")
        if not 0 < len(before) <= 64:
            continue
        after = text[at + 1 : at + 256]
        found = re.match(r"[A-Za-z0-9](?:[A-Za-z0-9-]*)(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*", after)
        labels = re.split(r"\.", found[0]) if found else []
        while labels and not (2 <= len(labels[-1].rstrip("-")) <= 24 and labels[-1].rstrip("-").isalpha()):
            labels.pop()
        if len(labels) < 2:
            continue
        yield at - len(before), at + 1 + len(".".join(labels).rstrip("-")), False


def _joined(data: bytes, start: int, end: int) -> bool:
    text = data.decode("latin-1")
    tied = start >= 2 and text[start - 2] in _WORD
    if tied and (text[start - 1] in "-_" or (text[start - 1] == "+" and text[start - 2] in "eE")):
        return True
    if tied and text[start - 1] == "." and text[start - 2].isdigit():
        return True
    if end + 1 < len(text) and text[end + 1] in _WORD:
        return text[end] in "-_" or (text[end] == "." and text[end + 1].isdigit())
    return False


def _around(data: bytes, start: int, end: int, rule: Rule) -> tuple[str, int]:
    """The word that counts, and 1 for a cue, -1 for a word against; 0 for none."""
    low = max(0, start - BEFORE, data.rfind(b"\n", 0, start) + 1)
    longest = [match.end() for match in re.finditer(rb"(?=([0-9]{6}))", data[low:start])]
    if longest:  # what stands before the last six digits of a longer number is that number's
        low += longest[-1] + 1
    borders = [match.start() for match in re.finditer(rb"[,\t]", data[low:start])]
    if len(borders) > 1:
        low += borders[-2] + 1
    signs = {word.lower(): -1 for word in rule.against} | {word.lower(): 1 for word in rule.cues}
    window = data[low:start]
    hits = []
    for word, sign in signs.items():
        text = word.encode()
        for at in range(len(window) - len(text) + 1):
            if _lower(window[at : at + len(text)]) == text and _whole(data, low + at, text):
                hits.append((low + at, low + at + len(text), word, sign))
    if hits:
        hits.sort(key=lambda hit: (-hit[0], -hit[1]))
        best = hits[0]
        for hit in hits:
            if hit[0] < best[0] and hit[1] >= best[1]:  # 订单号, not 单号
                best = hit
        return best[2], best[3]
    behind = re.match(rb"[^\n0-9,\t]*", data[end : end + BEHIND])
    window = behind[0] if behind else b""
    ends = []
    for word in dict.fromkeys(w.lower() for w in rule.cues):
        text = word.encode()
        for at in range(len(window) - len(text) + 1):
            if _lower(window[at : at + len(text)]) == text and _whole(data, end + at, text):
                ends.append((at + len(text), -len(text), word))
    return (min(ends)[2], 1) if ends else ("", 0)


def _lower(text: bytes) -> bytes:
    return bytes(byte | 32 if 65 <= byte <= 90 else byte for byte in text)


def _whole(data: bytes, at: int, word: bytes) -> bool:
    text, end = data.decode("latin-1"), at + len(word)
    inside = word[:1].isalpha() and at and text[at - 1] in _LETTER
    if inside and not (text[at - 1].islower() and text[at].isupper()):
        return False
    if word[-1:].isalpha() and end < len(text) and text[end] in _LETTER:
        if text[end].islower():
            return text[end] == "s" and not (end + 1 < len(text) and text[end + 1] in _WORD)
        return text[end - 1].islower()
    return True


def _meet(one: Hit, other: Hit) -> bool:
    return one.start < other.end and other.start < one.end


def _beats(one: Hit, other: Hit, order: Sequence[Hit]) -> bool:
    """Whether ``one`` overlaps ``other`` and is better: likely and around it, likelier, longer, earlier."""
    if one == other or not _meet(one, other):
        return False
    mine, others = one.end - one.start, other.end - other.start
    if one.log_odds >= 0 and mine > others and one.start <= other.start and other.end <= one.end:
        return True
    if other.log_odds >= 0 and others > mine and other.start <= one.start and one.end <= other.end:
        return False
    if not math.isclose(one.log_odds, other.log_odds, abs_tol=1e-5):
        return one.log_odds > other.log_odds
    return mine > others if mine != others else order.index(one) < order.index(other)
