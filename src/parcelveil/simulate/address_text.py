"""Address text "road and below": Chinese addresses by measured label sequences, and US street lines.

One draw picks a sequence such as *road, number, estate, building, unit, room*; one draw a label picks its text::

    >>> lines = addresses(Draw(1), np.array([False, False, True]))
    >>> [bool(line) for line in lines.to_pylist()]
    [True, True, True]

Sequences, written forms and word classes follow the shares in ``facts.toml``; stems are generic, so roads, estates
and firms are invented, though some will exist somewhere. Building, unit, floor and room of one address fit together.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby, product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.simulate.draw import Draw, quantile_table, weighted
from parcelveil.simulate.lexicon import Labels, Lexicon, any_of, draw_from, facts, word_lists

#: The parts of an address below its estate. A run of them is one segment, so that its numbers fit together.
DEEP = ("houseno", "cellno", "floorno", "roomno")

_NUMERALS = "零一二三四五六七八九十"
_LETTERS = "AAAABBBCCDDEFGH"
_MAX_NUMERAL = 99


class Sequences(NamedTuple):
    """Which segments an address is made of."""

    lexicon: Lexicon
    codes: npt.NDArray[np.int32]  # 65,536 sequence codes, by weight
    slots: npt.NDArray[np.int8]  # sequence code x slot -> label
    foreign: int  # code of the US sequence


def numeral(value: int) -> str:
    """``value`` in Chinese numerals from 1 to 99; above that its last digit stands in.

    >>> numeral(3), numeral(12), numeral(40), numeral(57)
    ('三', '十二', '四十', '五十七')
    """
    if value > _MAX_NUMERAL:
        value = value % 10 + 1
    tens, ones = divmod(value, 10)
    if not tens:
        return _NUMERALS[ones]
    return ("" if tens == 1 else _NUMERALS[tens]) + "十" + (_NUMERALS[ones] if ones else "")


def write(shape: str, numbers: list[int], letter: str) -> str:
    """Fill a written form: N a number, M a number in Chinese numerals, A a letter, the rest as it stands.

    >>> write("N号楼", [7], "A"), write("A座", [7], "B"), write("M单元", [2], "A"), write("N-N号", [7, 9], "A")
    ('7号楼', 'B座', '二单元', '7-9号')
    """
    left = iter(numbers)
    fill = {
        "N": lambda: str(next(left, numbers[-1])),
        "M": lambda: numeral(next(left, numbers[-1])),
        "A": lambda: letter,
    }
    return "".join(fill[char]() if char in fill else char for char in shape)


def _shapes(label: str, *, inner: bool = False) -> list[Any]:
    """The written forms of a label; with ``inner`` those which end in a unit word, so that digits can follow.

    Forms that are no number by themselves (a bare numeral or unit word, cut off from something) are left out.
    """
    pairs = facts()["address"]["shape"][label]["weights"]
    whole = [pair for pair in pairs if pair[0] not in ("M", "NMN", "-", "楼")]
    return [pair for pair in whole if not (inner and pair[0][-1] in "NAM")]


def _numbers(source: Draw, values: list[float], count: int) -> list[int]:
    table = quantile_table(facts()["quantile_levels"], values)
    return [max(1, round(value)) for value in table[source.words(count)].tolist()]


def _numbered(source: Draw, label: str, count: int, *, inner: bool = False) -> list[str]:
    shapes = draw_from(source, _shapes(label, inner=inner), count)
    first = _numbers(source, facts()["address"]["numbers"]["road_number_q"], count)
    step = source.below(9, count).tolist()
    letters = any_of(source, _LETTERS, count)
    rows = zip(shapes, first, step, letters, strict=True)
    return [write(shape, [number, number + 1 + more], letter) for shape, number, more, letter in rows]


def _room_numbers(source: Draw, floors: list[int]) -> list[int]:
    count = len(floors)
    numbers = facts()["address"]["numbers"]
    doors = [code + 1 for code in weighted(numbers["door_on_floor_weights_1_to_6"])[source.words(count)].tolist()]
    by_floor = source.chance(numbers["room_is_floor_then_two_digit_door"], count).tolist()
    any_room = source.below(999, count).tolist()
    rows = zip(floors, doors, by_floor, any_room, strict=True)
    return [floor * 100 + door if regular else 1 + other for floor, door, regular, other in rows]


def _bare_share(labels: tuple[str, ...]) -> float:
    """How much oftener than by chance all of ``labels`` are written as numbers and hyphens only (``3-2-601``).

    People choose that form for the whole run; drawing part by part alone would give too few.
    """
    address = facts()["address"]
    deep = dict(address["deep_labels"]["weights"])
    if len(labels) == 2:
        tails = address["kinds"]["has_house_unit_floor_or_room"] * dict(address["tail_shapes"]["weights"])["N-N"]
        measured = tails / deep["houseno roomno"]
    elif len(labels) == 3:
        measured = address["noise"]["N_N_N"] / deep["houseno cellno roomno"]
    else:
        return 0.0
    by_chance = prod(dict(address["shape"][label]["weights"])["N"] for label in labels)
    return float((measured - by_chance) / (1 - by_chance))


def _deep(source: Draw, labels: tuple[str, ...], count: int) -> list[str]:
    """Building, unit, floor and room texts whose numbers agree; bare numbers that meet get a hyphen."""
    numbers = facts()["address"]["numbers"]
    floors = _numbers(source, numbers["floor_q"], count)
    values = {
        "houseno": _numbers(source, numbers["building_q"], count),
        "cellno": [code + 1 for code in weighted(numbers["unit_weights_1_to_6"])[source.words(count)].tolist()],
        "floorno": floors,
        "roomno": _room_numbers(source, floors),
    }
    bare = source.chance(_bare_share(labels), count).tolist()
    texts = [""] * count
    for label in labels:
        drawn = draw_from(source, _shapes(label), count)
        shapes = ["N" if plain else shape for plain, shape in zip(bare, drawn, strict=True)]
        letters = any_of(source, _LETTERS, count)
        for row, (shape, number, letter) in enumerate(zip(shapes, values[label], letters, strict=True)):
            chunk = write(shape, [number, number + 1], letter)
            meets = texts[row][-1:].isascii() and texts[row] and chunk[0].isascii()
            texts[row] += f"-{chunk}" if meets else chunk
    return texts


def _roads(source: Draw, count: int) -> list[str]:
    place = word_lists()["place"]
    stems = any_of(source, place["road_stem"], count)
    modifiers = any_of(source, place["road_modifier"], count)
    villages = any_of(source, place["village_stem"], count)
    groups = source.below(12, count).tolist()
    lasts = draw_from(source, facts()["address"]["noise"]["road_last_word"], count)
    return [
        f"{village}{numeral(group + 1)}{last}" if last in ("组", "队") else f"{stem}{modifier}{last}"
        for stem, modifier, village, group, last in zip(stems, modifiers, villages, groups, lasts, strict=True)
    ]


def _pois(source: Draw, count: int) -> list[str]:
    place = word_lists()["place"]
    classes = draw_from(source, facts()["address"]["kinds"]["poi_class"], count)
    picks = source.below(1 << 20, count).tolist()
    stems = any_of(source, place["poi_stem"], count)
    middles = any_of(source, place["poi_middle"], count)
    suffixes = place["poi_suffix"]
    rows = zip(classes, picks, stems, middles, strict=True)
    return [stem + middle + suffixes[kind][pick % len(suffixes[kind])] for kind, pick, stem, middle in rows]


def _us_lines(source: Draw, count: int) -> list[str]:
    """Number and street, with directions and occupancies as often as measured."""
    us = facts()["us"]
    share = dict(us["presence"]["training_labeled"])
    numbers = _numbers(source, [4, 12, 30, 110, 620, 2400, 6800, 11000, 24000], count)
    shapes = draw_from(source, [pair for pair in us["forms"]["AddressNumber"] if set(pair[0]) <= {"N", "-"}], count)
    types = draw_from(source, us["forms"]["StreetNamePostType"], count)
    rooms = draw_from(source, us["forms"]["OccupancyType"], count)
    streets = any_of(source, word_lists()["place"]["street"], count)
    before = any_of(source, ("N", "S", "E", "W"), count)
    flags = [
        source.chance(share[tag], count).tolist()
        for tag in ("StreetNamePreDirectional", "StreetNamePostType", "OccupancyIdentifier")
    ]
    units = source.below(400, count).tolist()
    lines = []
    for row in range(count):
        parts = [write(shapes[row], [numbers[row], numbers[row] + 2], "A")]
        if flags[0][row]:
            parts.append(before[row])
        parts.append(streets[row])
        if flags[1][row]:
            parts.append(types[row].title())
        if flags[2][row]:
            parts.append(f"{rooms[row].title()} {units[row] + 1}")
        lines.append(" ".join(parts))
    return lines


def _sequence_pairs() -> list[tuple[tuple[str, ...], float]]:
    """All label sequences with their shares of all addresses."""
    address = facts()["address"]
    kinds = address["kinds"]
    pairs: list[tuple[tuple[str, ...], float]] = []
    for head, table, share in (
        ("road", "after_road", kinds["road_without_poi"] + kinds["road_and_poi"]),
        ("poi", "after_poi", kinds["poi_instead_of_road"]),
        # 2.9 % of people write nothing but an area; here a village goes first, as an empty address tests little.
        ("community", "after_admin", kinds["neither_road_nor_poi"]),
    ):
        weights = address[table]["weights"]
        total = sum(weight for _, weight in weights)
        for text, weight in weights:
            labels = () if text == "(end)" else tuple(text.split())
            pairs.append(((head, *labels), share * weight / total))
    return pairs


def _merged(labels: tuple[str, ...]) -> list[str]:
    """Join runs of deep labels by ``+``, and use the inner form of a number that another part follows."""
    runs: list[str] = []
    for deep, group in groupby(labels, key=lambda label: label in DEEP):
        run = list(group)
        runs.extend(["+".join(run)] if deep else run)
    return [f"{label}…" if label in ("roadno", "subroadno") and label != runs[-1] else label for label in runs]


@lru_cache(maxsize=1)
def sequences() -> Sequences:
    """The segments and sequences of addresses; built once, the same for every seed."""
    place = word_lists()["place"]
    pairs = [(_merged(labels), share) for labels, share in _sequence_pairs()]
    used = sorted({label for labels, _ in pairs for label in labels})
    segments: dict[str, Any] = {
        "road": _roads(Draw(0, 1), 1 << 15),
        "poi": _pois(Draw(0, 2), 1 << 15),
        "roadno": _numbered(Draw(0, 3), "roadno", 1 << 13),
        "roadno…": _numbered(Draw(0, 4), "roadno", 1 << 13, inner=True),
        "subroadno": _numbered(Draw(0, 5), "subroadno", 1 << 10),
        "subroadno…": _numbered(Draw(0, 6), "subroadno", 1 << 10, inner=True),
        "subroad": [stem + last for stem, last in product(place["road_stem"], ("支路", "巷", "弄", "里"))],
        "subpoi": [f"{side}{last}" for side, last in product("东西南北中ABC", ("区", "苑", "楼", "座"))],
        "community": [f"{stem}{last}" for stem, last in product(place["village_stem"], ("", "村委会旁", "社区"))],
        "person": place["person_label"],
        "assist": place["assist"],
        "us": _us_lines(Draw(0, 7), 1 << 13),
        "remark": place["remark"],
    }
    for at, label in enumerate(label for label in used if label.split("+")[0] in DEEP):
        segments[label] = _deep(Draw(0, 8, at), tuple(label.split("+")), 1 << 12)
    lexicon = Lexicon(segments)
    rows = [labels for labels, _ in pairs] + [["us"]]
    width = max(map(len, rows))
    slots = np.stack([lexicon.labels(*row, *[""] * (width - len(row))) for row in rows])
    return Sequences(lexicon, weighted([share for _, share in pairs]), slots, len(rows) - 1)


def addresses(source: Draw, foreign: npt.NDArray[np.bool_], districts: pa.StringArray | None = None) -> pa.StringArray:
    """One address a row; US street lines where ``foreign``.

    Where ``districts`` is given, a measured share of the domestic rows begins with it once more, as people write it.
    Another share asks at its end for a call.
    """
    count = len(foreign)
    lexicon, table, slots, us = sequences()
    noise = facts()["address"]["noise"]
    codes = table[source.words(count)]
    codes[foreign] = us
    parts = [lexicon.draw(labels, source.words(count)) for labels in slots[codes].T]
    remark: Labels = (source.chance(noise["call_by_phone_remark"], count) & ~foreign) * lexicon.labels("remark")[0]
    parts.append(lexicon.draw(remark, source.words(count)))
    if districts is not None:
        again = source.chance(noise["duplicate_admin"], count) & ~foreign
        parts.insert(0, pc.fill_null(pc.if_else(pa.array(again), districts, ""), ""))
    return pc.binary_join_element_wise(*parts, "")
