"""Rules are data: families of TOML files, each rule with patterns, a check, words around it, weights and examples.

::

    family = "cn_phone"

    [[rule]]
    kind = "phone.mobile"
    en = "mobile number of mainland China"
    zh = "手机号"
    patterns = ['1[3-9]\\d{9}', '(?:\\+|00)86[ -]?1[3-9]\\d{9}']
    check = "mobile"
    cues = ["电话", "手机", "tel", "mobile"]
    columns = ["手机", "电话", "phone", "mobile", "tel"]
    against = ["订单", "流水", "trace", "epoch"]
    match = ["联系电话13812345678谢谢"]
    no_match = ["1381234567890"]

A pattern is a regular expression without ``*``, ``+``, look-around and back-references: it matches a bounded number of
bytes. It holds where no ASCII letter or digit stands directly before or behind the match: Chinese characters are no
obstacle. Of the matches of a rule that begin at one place the longest counts.

The weights turn what is seen around a value into log-odds; they are fitted on made documents (``bench/scan_fit.py``), so
that a confidence of 0.9 is right nine times in ten on documents like these.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from parcelveil.errors import InputError
from parcelveil.scan.findings import State

FOLDER = Path(__file__).with_name("rules")


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-odds that a value is what its rule says, and what each circumstance adds."""

    base: float = 0.0  # the patterns match, the check is good, nothing else is known
    weak: float = -2.0  # the check says WEAK, not GOOD
    cue: float = 3.0  # a cue word stands before it (or closely behind)
    against: float = -3.0  # a word that speaks against it stands before it, nearer than any cue
    joined: float = -2.0  # it is a part of a longer thing joined by - _ / . : (a UUID, a path, a float's digits)
    column: float = 4.0  # its column's header, or its key, is one of `columns`
    other: float = -2.0  # its column's header or key is one of another rule's


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule. ``patterns`` are finite regular expressions over text; see the module."""

    kind: str
    en: str
    zh: str
    patterns: list[str] = []
    #: Name of a check in parcelveil.scan.checks; empty: the pattern is all.
    check: str = ""
    state: State = "clear"
    tier: int = 1
    #: A pattern may begin with a lead (微信号: …) that is no part of the value: the value is the run of these
    #: characters at the end of the match. Empty: the whole match is the value.
    value: str = ""
    #: Han characters of which one has to stand directly before the match, and belongs to it (plates).
    before: str = ""
    #: An RE2 expression for values without a shape of their own: a whole cell that matches is one, in a column whose
    #: header is one of `columns`.
    cell: str = ""
    #: Reported only where a cue or its column speaks for it.
    needs_cue: bool = False
    cues: list[str] = []
    against: list[str] = []
    columns: list[str] = []
    weights: Weights = Weights()
    match: list[str] = []
    no_match: list[str] = []


class Custom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule of one's own by a regular expression of RE2, for --rules files: any pattern, no check."""

    kind: str
    regex: str
    en: str = ""
    zh: str = ""
    confidence: float = 0.9
    state: State = "clear"
    match: list[str] = []
    no_match: list[str] = []


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rules."""

    family: str
    rule: list[Rule] = []
    custom: list[Custom] = []


def load(path: Path) -> Family:
    """The rules of a TOML file. Raises InputError, which names the line that is wrong."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Family)
    except OSError as error:
        raise InputError("{file} cannot be read: {why}", file=str(path), why=error.strerror or "no file") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "{file} is not a file of rules: {why}", hint="see docs/scan-rules.md", file=str(path), why=str(error)
        ) from None


@functools.cache
def builtin() -> tuple[Family, ...]:
    """The families that come with the package, in the order of their names."""
    return tuple(load(path) for path in sorted(FOLDER.glob("*.toml")))


def rules_of(families: Iterable[Family]) -> Sequence[Rule]:
    """All rules with patterns, in order."""
    return [rule for family in families for rule in family.rule]


def every_rule(families: Iterable[Family]) -> list[Rule | Custom]:
    """All rules of families, in order: those with patterns and those of one's own by an expression."""
    found: list[Rule | Custom] = []
    for family in families:
        found += [*family.rule, *family.custom]
    return found
