"""The words and characters that names and addresses are told by, as flat tables for the compiled passes.

Every character below U+10000 has flags and numbers in arrays; words of two characters and more stand in a hashed set
with what they mean. A pass asks first whether any word begins with two given characters (a bit array), then which
lengths such words have, then for the longest::

    >>> words = vocabulary()
    >>> bool(words.meaning("上海市") & PROVINCE), "徐泾镇" in words.towns, words.meaning("上海滩")
    (True, True, 0)
    >>> bool(words.tables.chars[ord("，")] & STOP), bool(words.tables.chars[ord("路")] & ANCHOR)
    (True, True)

The words come from ``people.toml``, from the cues of the rules and from the gazetteer of
:mod:`parcelveil.intake.divisions`. Hashes have 64 bits; a word that shares one with another would be taken for it,
which chance makes of one text in some 10^14.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.intake.divisions import CITY as CITY_LEVEL
from parcelveil.intake.divisions import DISTRICT as DISTRICT_LEVEL
from parcelveil.intake.divisions import PROVINCE as PROVINCE_LEVEL
from parcelveil.intake.divisions import divisions, short_name
from parcelveil.scan.rules import Rule

# Flags of characters.
STOP, HAN, NUMERAL, SOFT, ANCHOR, CUE_FIRST, DOT, MASK = (1 << bit for bit in range(8))

# Meanings of words.
PROVINCE, CITY, DISTRICT, SHORT, PLACE, ROAD, ASIDE = (1 << bit for bit in range(7))
CUE_NAME, CUE_ADDRESS, BETWEEN, NOT_NAME, TITLE, BEHIND, AHEAD, COMPOUND = (1 << bit for bit in range(8, 16))
NOT_LATIN, STREET, OCCUPANCY, STATE, WHOLE_KEY = (1 << bit for bit in range(16, 21))
AREA = PROVINCE | CITY | DISTRICT

# Kinds of components of an address, in the order in which they come.
(NONE, C_AREA, C_TOWN, C_VILLAGE, C_ROAD, C_ROAD_WEAK, C_LANE, C_DOOR, C_PLACE, C_PLACE_WEAK, C_BLOCK, C_UNIT, C_FLOOR) = range(13)  # fmt: skip
C_ROOM, C_BARE, C_ASIDE = 13, 14, 15
#: After a number: a measure (3 公里), no door. The place of C_ASIDE, which follows no number.
C_MEASURE = 15

#: Characters of the longest word, and of the longest town.
LONGEST_WORD, LONGEST_TOWN = 16, 8
#: Multiplier of the rolling hash (a prime above 2^63), and what it starts from.
FACTOR, SEED = 0x9E3779B97F4A7C55, 0xCBF29CE484222325
BLOOM_BITS = 19
#: The bits of a hash that a set keeps; the others hold the meaning.
TAG = 0xFFFFFFFFFFE00000

#: Characters that end a cell or a clause, besides ASCII control characters. The Han ones are words of running text
#: that hardly ever stand in an address or a name: they cut prose into pieces in which neither survives.
_STOP_ASCII = "\"',;:=<>{}[]\\|!?&^$%@+`"
_STOP_WIDE = "，。；：！？、“”‘’「」『』《》〈〉【】〔〕…￥％＠＋＝＜＞｛｝［］｜＆＂＇"
_STOP_WORDS = "的了在是我你她它们吗呢吧啊就很被把呀哦嗯么还没请已着但却且到咱您谁哪怎啥"
_SOFT = " -\u3000()（）/~—－_.#"
_MASKS = "*＊●•×✱某"
#: Between the parts of a long name in Han characters.
_DOTS = "·・"
_NUMERALS = "零一二三四五六七八九十百两〇"

_AFTER_STEM = {
    C_AREA: "省市区县旗州盟",
    C_TOWN: "镇乡",
    C_VILLAGE: "村屯庄寨組",
    C_ROAD: "路街巷弄",
    C_ROAD_WEAK: "道里线段",
    C_PLACE_WEAK: "苑城园厦府院楼厂店场馆站所局湾坊阁邸寓座栋幢",
}
_AFTER_NUMBER = {
    C_DOOR: "号",
    C_LANE: "弄巷",
    C_BLOCK: "栋幢座排棟",
    C_FLOOR: "楼层樓層",
    C_ROOM: "室房户铺店门柜档",
    C_VILLAGE: "组队社村",
    C_ROAD: "街路道",
    C_PLACE_WEAK: "区期",
}
#: Keys of a single common word count only as a whole key: `name`, not `file_name`.
_WHOLE_KEYS = frozenset(
    "name contact owner customer user username employee sender buyer xm address addr street".split()
)

Hashes = npt.NDArray[np.uint64]


class Tables(NamedTuple):
    """What the passes read: two flat arrays, because a compiled function pays for every array it is given.

    ``chars`` has 65,536 entries, by code point: flags (8 bits), kind of component after a stem (4), after a number (4),
    log-odds of a family name (8; 0 for none) and of a character of a given name (8), both as :func:`packed`.
    ``words`` is a bit array of the first two characters of words, the sizes of four hashed sets, and the sets: hash of
    the first two characters to the lengths of words (bit n: there is one of n characters), hash of a word to its
    meanings, hash of a turned cue to its meanings, hash of a town to 1. Small, so that it stays near the processor.
    """

    chars: npt.NDArray[np.uint32]
    words: npt.NDArray[np.uint64]


def packed(odds: float) -> int:
    """Log-odds between -7.9 and 7.9 as a byte that is not 0, in steps of 1/16."""
    return round((odds + 8.0) * 16.0)


@cache
def people_words() -> dict[str, Any]:
    """``people.toml``."""
    return tomllib.loads(Path(__file__).with_name("people.toml").read_text("utf-8"))


def hash_of(text: str) -> int:
    """The rolling hash of the passes; never 0, which marks an empty place in a set."""
    value = SEED
    for char in text:
        value = ((value ^ ord(char)) * FACTOR) & 0xFFFFFFFFFFFFFFFF
    return value or 1


def _hashed(words: dict[str, int]) -> Hashes:
    """An open-addressed set at most half full. An entry is the upper 43 bits of a hash and 21 bits of meaning."""
    size = 64
    while size < 2 * len(words):
        size *= 2
    entries = np.zeros(size, np.uint64)
    for word, value in words.items():
        key = hash_of(word)
        at = (key >> 20) & (size - 1)
        while entries[at]:
            at = (at + 1) & (size - 1)
        entries[at] = (key & TAG) | value
    return entries


def _division_words() -> Iterable[tuple[str, int]]:
    levels = divisions()
    bits = ((levels.provinces, PROVINCE, PROVINCE_LEVEL), (levels.cities, CITY, CITY_LEVEL))
    for level, bit, depth in (*bits, (levels.districts, DISTRICT, DISTRICT_LEVEL)):
        for name in map(str, level.names):
            short = short_name(name, depth) if name else ""
            if len(name) > 1:
                yield name, bit
            if len(short) > 1 and short != name:
                yield short, bit | SHORT


def _town_words() -> Iterable[str]:
    """Towns by their full names. Ten times as many as all other words, so they have a set of their own."""
    for name in map(str, divisions().towns.names):
        full = name.removesuffix("办事处")
        if full.endswith(("镇", "乡", "街道")) and LONGEST_TOWN >= len(full) > 2:
            yield full


def normal_key(word: str) -> str:
    """A key or header as it is compared: small letters, without blanks and joiners.

    >>> normal_key("Receiver_Name"), normal_key("收件人 姓名")
    ('receivername', '收件人姓名')
    """
    return "".join(char for char in word.lower() if char not in " _-.")


class Vocabulary:
    """All words with their meanings, and the tables made of them. Use :func:`vocabulary` for the built-in ones."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        data = people_words()
        self.towns = frozenset(_town_words())
        self.words: dict[str, int] = {}
        for word, bit in _division_words():
            # A name on several levels (重庆市) is the highest; a full name goes before a short form.
            old = self.words.get(word, 0)
            if not old or (old & SHORT and not bit & SHORT):
                self.words[word] = bit
        address, titles = data["address"], data["titles"]
        for text, bit in (
            (address["place"], PLACE),
            (address["road"], ROAD),
            (address["aside"], ASIDE),
            (data["cues"]["between"], BETWEEN),
            (titles["after"], TITLE),
            (titles["behind"], BEHIND),
            (titles["ahead"], AHEAD),
            (data["surnames"]["compound"], COMPOUND),
            (data["latin"]["against"], NOT_LATIN),
            (data["latin"]["streets"], STREET | NOT_LATIN),
            (data["latin"]["rooms"], OCCUPANCY),
        ):
            self._add(text.split(), bit)
        self._add(data["latin"]["states"].lower().split(), STATE)
        self.back: dict[str, int] = {}
        for rule in rules:
            named = rule.kind.startswith("person.")
            bit = CUE_NAME if named else CUE_ADDRESS
            self._add((word for word in rule.cues if not word.isascii()), bit)
            for word in rule.cues:
                key = normal_key(word)
                whole = WHOLE_KEY if key in _WHOLE_KEYS or (len(key) < 3 and key.isascii()) else 0
                self.back[key[::-1]] = self.back.get(key[::-1], 0) | bit | whole
            if named:
                self._add(rule.against, NOT_NAME)
        self.tables = self._tables(data)

    def _add(self, words: Iterable[str], bit: int) -> None:
        for word in words:
            self.words[word] = self.words.get(word, 0) | bit

    def meaning(self, word: str) -> int:
        """The bits of a word; 0 when it is none."""
        return self.words.get(word, 0)

    def _tables(self, data: dict[str, Any]) -> Tables:
        flags = np.zeros(1 << 16, np.uint32)
        flags[:0x20] |= STOP
        flags[0x7F:0xA0] |= STOP
        flags[0x3400:0x4DC0] |= HAN
        flags[0x4E00:0xA000] |= HAN
        for text, flag in (
            (_STOP_ASCII + _STOP_WIDE + _STOP_WORDS, STOP),
            (_SOFT, SOFT),
            (_NUMERALS, NUMERAL),
            (_MASKS, MASK),
            (_DOTS, DOT),
            (data["titles"]["openers"], CUE_FIRST),
            (
                "".join({word[0] for word, bits in self.words.items() if bits & (CUE_NAME | CUE_ADDRESS | AHEAD)}),
                CUE_FIRST,
            ),
        ):
            for char in text:
                flags[ord(char)] |= flag
        tables = []
        measures = {C_MEASURE: data["address"]["measure"].replace(" ", "")}
        for kinds in (_AFTER_STEM, measures | _AFTER_NUMBER):
            table = np.zeros(1 << 16, np.uint8)
            for kind, chars in kinds.items():
                for char in chars:
                    table[ord(char)] = kind
            tables.append(table)
        flags[(tables[0] > 0) | ((tables[1] > 0) & (tables[1] != C_MEASURE))] |= ANCHOR
        # Of the places some words end in none of these characters (花园 does): the second one is an anchor, too.
        for word in (*data["address"]["place"].split(), *data["address"]["road"].split()):
            flags[ord(word[-1])] |= ANCHOR
        words = {word: bits for word, bits in self.words.items() if 1 < len(word) <= LONGEST_WORD}
        heads: dict[str, int] = {}
        bloom = np.zeros(1 << (BLOOM_BITS - 6), np.uint64)
        for word in words:
            heads[word[:2]] = heads.get(word[:2], 0) | 1 << len(word)
            bit = hash_of(word[:2]) >> 30 & ((1 << BLOOM_BITS) - 1)
            bloom[bit >> 6] |= np.uint64(1 << (bit & 63))
        for key in self.back:
            bit = hash_of(key[:2]) >> 30 & ((1 << BLOOM_BITS) - 1)
            bloom[bit >> 6] |= np.uint64(1 << (bit & 63))
        surname, given = _name_characters(data)
        chars = (
            flags | tables[0].astype(np.uint32) << 8 | tables[1].astype(np.uint32) << 12 | surname << 16 | given << 24
        )
        sets = [_hashed(entries) for entries in (heads, words, self.back, dict.fromkeys(self.towns, 1))]
        sizes = np.array([len(entries) for entries in sets], np.uint64)
        return Tables(chars.astype(np.uint32), np.concatenate([bloom, sizes, *sets]))


# What a family name of each row says, and what a character of a given name does: first guesses that hold up on made
# names against lists of goods, places and words of trade.
_ROWS = (("first", 2.2), ("second", 1.5), ("third", -0.3), ("traditional", 2.0))
_WEAK = -0.9
_GIVEN = (("fair", 0.5), ("strong", 1.2), ("never", -2.5))
_OTHER = -0.6


def _name_characters(data: dict[str, Any]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """By code point, packed: log-odds of a family name and of a character of a given name."""
    surname, given = np.zeros(1 << 16, np.uint32), np.full(1 << 16, packed(-4.0), np.uint32)
    given[0x3400:0x4DC0] = packed(_OTHER - 0.6)
    given[0x4E00:0xA000] = packed(_OTHER)
    for row, value in reversed(_ROWS):
        for char in data["surnames"][row]:
            surname[ord(char)] = packed(value + (_WEAK if char in data["surnames"]["weak"] else 0.0))
    for name in data["surnames"]["compound"].split():
        # By themselves most of these are no family names, but a name may begin with them.
        surname[ord(name[0])] = surname[ord(name[0])] or packed(-2.0)
    for row, value in _GIVEN:
        for char in data["given"][row]:
            given[ord(char)] = packed(value)
    return surname, given


@cache
def vocabulary() -> Vocabulary:
    """The words of the built-in rules."""
    from parcelveil.scan.rules import builtin

    return Vocabulary([rule for family in builtin() for rule in family.rule if is_people(rule)])


def is_people(rule: Rule) -> bool:
    """Whether a rule is one of names or addresses: those are found by :class:`parcelveil.scan.people.People`."""
    return rule.kind.startswith(("person.", "address.")) and not rule.patterns
