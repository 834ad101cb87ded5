"""Names, firms, phones, emails and identity numbers of nobody.

::

    >>> foreign = np.array([False, False, True])
    >>> where = places().draw(Draw(5), foreign)
    >>> numbers = phones(Draw(6), where, foreign)
    >>> [number[:3] for number in numbers.to_pylist()][:2]
    ['+86', '+86']

Phones come from ranges that have no subscribers, as far as that can be known: see :data:`MOBILE_BLOCKS`,
:data:`VIRTUAL_BLOCKS` and ``docs/sample-data.md``. Names are random combinations of common characters.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.simulate.draw import Draw, weighted
from parcelveil.simulate.lexicon import Labels, Lexicon, any_of, facts, word_lists
from parcelveil.simulate.places import Index, places

#: First three digits of simulated mainland mobiles: blocks without any allocated segment (phone.dat 2312) and
#: invalid for libphonenumber. 140 to 144 are planned for machines, with 13 digits.
MOBILE_BLOCKS = (142, 143, 154, 163, 164)
#: First four digits of simulated privacy numbers: 1740 is given to satellite phones, these are not given out.
VIRTUAL_BLOCKS = (1743, 1744, 1745, 1746)
#: Ofcom's numbers for drama: 07700 900000 to 900999.
UK_BASE, UK_SPAN = 44_7700_900_000, 1_000
UK_SHARE = 0.1

#: Region codes no identity number has: 81 to 99 stand for county-level cities, and a municipality has none.
ID_REGIONS = (110199, 120199, 310199, 500199)
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = np.frombuffer(b"10X98765432", np.uint8)

Flags = npt.NDArray[np.bool_]


class NameMix(NamedTuple):
    """Shares of the kinds of names; what is left to one are whole Chinese names."""

    star: float
    title: float
    nickname: float
    firm: float
    dotted: float
    latin: float


def recipient_mix() -> NameMix:
    """The kinds of recipients, as assumed in the facts; a quarter of the nickname-or-title share are nicknames."""
    other = facts()["names"]["other"]
    informal = other["nickname_or_title_only"]
    return NameMix(
        other["single_surname_plus_star_from_platform"],
        informal * 0.75,
        informal * 0.25,
        other["company_or_shop_as_recipient"],
        other["minority_long_name_with_dot"],
        other["latin_or_foreign_name"],
    )


#: Senders are merchants: whole names, titles, firms (a choice).
SENDER_MIX = NameMix(star=0.0, title=0.1, nickname=0.0, firm=0.2, dotted=0.004, latin=0.001)

_KINDS = ("star", "title", "nickname", "firm", "dotted", "latin", "whole")
_FIRM = _KINDS.index("firm")


def sparse(at: Flags, values: pa.Array) -> pa.Array:
    """A column that has ``values`` one after the other where ``at`` is true, and nulls elsewhere."""
    return values.take(pa.array(np.cumsum(at) - 1, pa.int64(), mask=~at))


def family_names() -> list[tuple[str, float]]:
    """Family names with their shares: public bands with a geometric fall inside each, and the compound ones.

    The band of 1 % and more begins at the share of the band before it; the last bands are shared by the rarer names.
    """
    names = facts()["names"]
    bands = names["family_bands"]
    common = [*names["family"]["name"], *word_lists()["person"]["rarer_family"]]
    upto = [rank for rank in bands["rank_upto"] if rank < len(common)] + [len(common)]
    sums = [*bands["cumulative_percent"][: len(upto) - 1], 100.0]
    pairs: list[tuple[str, float]] = []
    start, before = 0, 0.0
    for end, total in zip(upto, sums, strict=True):
        ranks = end - start
        # Within a band the last name has a fifth of the first one's share: 6.8 % to about 1 % over ranks 4 to 19.
        fall = np.geomspace(1.0, 0.2, ranks) if ranks > 1 else np.ones(1)
        pairs.extend(zip(common[start:end], (fall / fall.sum() * (total - before)).tolist(), strict=True))
        start, before = end, total
    compound = names["compound_surname"]
    scale = 100.0 * compound["share"] / sum(compound["weight"])
    return pairs + [(name, weight * scale) for name, weight in zip(compound["name"], compound["weight"], strict=True)]


@lru_cache(maxsize=1)
def _lexicon() -> Lexicon:
    """Heads and tails of names. Given names come in the measured shares of one, two and three characters."""
    words = word_lists()
    person, firm = words["person"], words["firm"]
    family = family_names()
    heads = [family[code][0] for code in weighted([share for _, share in family], size=1 << 15)]
    source, count = Draw(0, 20), 1 << 16
    lengths = weighted(facts()["names"]["length_default"]["all_ages_2_3_4"], size=count).tolist()
    first, middle = (any_of(source, person["given_first"], count) for _ in range(2))
    last = any_of(source, person["given_last"], count)
    given = [
        "".join(parts[2 - length :])
        for length, parts in zip(lengths, zip(first, middle, last, strict=True), strict=True)
    ]
    cities = [name[:-1] for name in places().column("city").unique().to_pylist() if name and name.endswith("市")]
    stems = [a + b for a, b in product(firm["stem_first"], firm["stem_last"])]
    latin = [f"{a} {b}" for a, b in product(person["latin_given"], person["latin_family"])]
    return Lexicon(
        {
            "family": heads,
            "given": given,
            "star": ["*", "**"],
            "title": person["titles"],
            "nickname": person["nicknames"],
            "firm": [
                city + stem
                for city, stem in zip(any_of(source, cities, 1 << 15), any_of(source, stems, 1 << 15), strict=True)
            ],
            "firm_form": [trade + form for trade, form in product(firm["trade"], firm["form"])],
            "dotted": [f"{a}·{b}" for a, b in product(person["dotted_given"], person["dotted_family"])],
            "latin": latin,
        }
    )


def names(source: Draw, foreign: Flags, mix: NameMix, with_firm: float) -> tuple[pa.StringArray, pa.StringArray]:
    """Name and firm a row. The firm is null but where it is the name itself, and for a share ``with_firm`` of rows."""
    count = len(foreign)
    lexicon = _lexicon()
    kinds = weighted([*mix, 1.0 - sum(mix)])[source.words(count)]
    kinds[foreign & (kinds != _FIRM)] = _KINDS.index("latin")
    heads = lexicon.labels("family", "family", "nickname", "firm", "dotted", "latin", "family")
    tails = lexicon.labels("star", "title", "", "firm_form", "", "", "given")
    head_words, tail_words = source.words(count), source.words(count)

    def text(head: Labels, tail: Labels, rows: Flags | slice) -> pa.StringArray:
        drawn = lexicon.draw(head, head_words[rows]), lexicon.draw(tail, tail_words[rows])
        return pc.binary_join_element_wise(*drawn, "")

    firms = (kinds == _FIRM) | source.chance(with_firm, count)
    own = np.full(int(firms.sum()), heads[_FIRM]), np.full(int(firms.sum()), tails[_FIRM])
    return text(heads[kinds], tails[kinds], slice(None)), sparse(firms, text(*own, firms))


@lru_cache(maxsize=1)
def _extensions() -> pa.StringArray:
    return pa.array([*(f";ext={number:04d}" for number in range(10_000)), ""], pa.string())


def phones(source: Draw, where: Index, foreign: Flags) -> pa.StringArray:
    """One phone a row: E.164, with ``;ext=`` (RFC 3966) after a privacy number.

    Mobiles, privacy numbers and landlines stand in the shares of ``phone.kind_in_waybill``; foreign rows have US or
    UK numbers.
    """
    count = len(foreign)
    kinds = weighted(facts()["phone"]["kind_in_waybill"]["weights"][:3])[source.words(count)]
    kinds[foreign] = 3
    blocks = source.words(count)
    mobile = 86_000_0000_0000 + np.array(MOBILE_BLOCKS)[blocks % len(MOBILE_BLOCKS)] * 10**8
    virtual = 86_000_0000_0000 + np.array(VIRTUAL_BLOCKS)[blocks % len(VIRTUAL_BLOCKS)] * 10**7
    place = places()
    seat = place.phone_base[where]
    uk = foreign & source.chance(UK_SHARE, count)
    base = np.where(uk, UK_BASE, np.choose(kinds, [mobile, virtual, seat, seat]))
    span = np.where(uk, UK_SPAN, np.choose(kinds, [10**8, 10**7, place.phone_range[where], 100]))
    digits = pa.array(base + source.below(span.astype(np.uint64), count)).cast(pa.string())
    extension = np.where(kinds == 1, source.below(10_000, count), 10_000)
    return pc.binary_join_element_wise("+", digits, _extensions().take(pa.array(extension)), "")


@lru_cache(maxsize=1)
def _mailboxes() -> pa.StringArray:
    person = word_lists()["person"]
    source, count = Draw(0, 21), 1 << 16
    names_, words, hosts = (any_of(source, person[key], count) for key in ("pinyin", "email_words", "email_hosts"))
    digits = source.below(10_000, count).tolist()
    rows = zip(names_, words, digits, hosts, strict=True)
    return pa.array([f"{name}.{word}{digit}@{host}" for name, word, digit, host in rows], pa.string())


def emails(source: Draw, at: Flags) -> pa.StringArray:
    """An address at example.com, example.org or example.net (RFC 2606) where ``at``, else null."""
    return sparse(at, _mailboxes().take(pa.array(source.words(int(at.sum())))))


def id_numbers(source: Draw, count: int) -> pa.StringArray:
    """Identity numbers of 18 characters with a possible date and a right check character (GB 11643).

    Their region codes were never given out: 81 to 99 in the last two digits are county-level cities, and
    municipalities have none; so they are nobody's.
    """
    fields = (
        np.array(ID_REGIONS)[source.below(len(ID_REGIONS), count)] * 10**11
        + (1950 + source.below(56, count)) * 10**7
        + (1 + source.below(12, count)) * 10**5
        + (1 + source.below(28, count)) * 10**3
        + 1
        + source.below(999, count)
    )
    digits = fields[:, None] // 10 ** np.arange(16, -1, -1) % 10
    text = np.empty((count, 18), np.uint8)
    text[:, :17] = digits + ord("0")
    text[:, 17] = _ID_CHECKS[(digits * _ID_WEIGHTS).sum(axis=1) % 11]
    offsets = np.arange(0, 18 * (count + 1), 18, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))
