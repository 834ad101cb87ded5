"""Where the parties of the sample day live: real Chinese towns, drawn by volume, and invented US towns.

A place is one index; a column is one ``take`` by it. Chinese places stand twice, with and without their town::

    >>> place = places()
    >>> at = place.draw(Draw(3), np.array([False, False, True]))
    >>> place.column("country").take(pa.array(at)).to_pylist()
    ['CN', 'CN', 'US']

A province's share of parcels is its share of mobile number segments, a stand-in for population; within a province a
street office weighs three times a town, and a town over twice a township (a choice). Sort codes and outlets are
invented, and a town always has the same ones. Postcodes have their province's first two digits; the rest is invented.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.intake.divisions import PROVINCE, Divisions, divisions, short_name
from parcelveil.simulate.draw import Draw, weighted
from parcelveil.simulate.lexicon import facts, word_lists

#: log2 of the rows of the table that draws towns: most towns have a share of far less than 1/65536.
_TABLE_BITS = 20

Index = npt.NDArray[np.int32]


class Places(NamedTuple):
    """All places as parallel columns: Chinese towns, the same places with the town left out, US towns."""

    table: pa.Table  # country, region, city, district, town, adcode, postcode, sort, outlet
    towns: int  # number of Chinese towns
    codes: npt.NDArray[np.int32]  # 2**20 rows of the Chinese towns, by weight
    phone_base: npt.NDArray[np.int64]  # a landline number of the place, its last digits 0, country code first
    phone_range: npt.NDArray[np.uint64]  # how many numbers from there on

    def column(self, name: str) -> pa.StringArray:
        """One column, as one array."""
        return self.table.column(name).chunk(0)

    def draw(self, source: Draw, foreign: npt.NDArray[np.bool_]) -> Index:
        """A place a row: in the United States where ``foreign``, else in China, with its town as often as measured."""
        count = len(foreign)
        at = self.codes[source.below(1 << _TABLE_BITS, count)]
        at = at + np.where(source.chance(facts()["address"]["presence"]["town"], count), 0, self.towns)
        abroad = 2 * self.towns + source.below(len(self.phone_base) - 2 * self.towns, count)
        return np.where(foreign, abroad, at).astype(np.int32)


def _town_weights(division: Divisions, province_of: Index) -> npt.NDArray[np.float64]:
    share = dict(facts()["phone"]["province"]["weights"])
    shares = np.array([share.get(short_name(name, PROVINCE), 0.0) for name in division.provinces.names])
    names = division.towns.names
    kind = np.fromiter(
        (3.0 if name.endswith("街道") else 1.0 if name.endswith("镇") else 0.4 for name in names),
        np.float64,
        len(names),
    )
    total = np.bincount(province_of, kind, minlength=len(shares))
    return kind * (shares / np.maximum(total, 1.0))[province_of]


def _us_rows() -> list[tuple[str | None, ...]]:
    """Invented towns, a dozen in each state, under the state's first two ZIP digits."""
    words = word_lists()
    names = [first + last for first, last in product(words["place"]["town_first"], words["place"]["town_last"])]
    rows: list[tuple[str | None, ...]] = []
    for at, (state, zip_start, _) in enumerate(words["province"]["states"]):
        for town in range(12):
            postcode = f"{zip_start}{(at * 131 + town * 83) % 1000:03d}"
            rows.append(("US", state, names[(at * 12 + town) * 5 % len(names)], None, None, None, postcode))
    return rows


def _landlines(province_of: Index, division: Divisions) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """By town: area code of the province's seat and a local number in 90…, of 7 or 8 digits."""
    by_name = {
        name: (int(f"86{area}90") * 10 ** (digits - 2), 10 ** (digits - 2)) for name, area, digits, _ in _seats()
    }
    seats = [by_name.get(short_name(name, PROVINCE), (0, 0)) for name in division.provinces.names]
    base, span = np.array(seats, np.int64).T
    return base[province_of], span[province_of].astype(np.uint64)


def _seats() -> list[tuple[str, str, int, str]]:
    return [(name, area, digits, post) for name, area, digits, post in word_lists()["province"]["table"]]


@lru_cache(maxsize=1)
def places() -> Places:
    """All places; built once, the same for every seed."""
    division = divisions()
    district_of = division.towns.parents
    city_of = division.districts.parents[district_of]
    province_of = division.cities.parents[city_of]
    post = {name: start for name, _, _, start in _seats()}
    starts = [post.get(short_name(name, PROVINCE), "00") for name in division.provinces.names]
    codes = division.districts.codes[district_of]
    hub = (city_of * 7 + 110) % 900 + 100
    block = [f"{'ABCDEFGH'[d % 8]}{d // 8 % 90 + 10}" for d in range(len(division.districts.codes))]
    ordinal = np.arange(len(codes)) - np.searchsorted(district_of, district_of)
    chinese = {
        "country": ["CN"] * len(codes),
        "region": list(division.provinces.names[province_of]),
        "city": list(division.cities.names[city_of]),
        "district": [name or None for name in division.districts.names[district_of]],
        "town": list(division.towns.names),
        "adcode": [str(code) for code in division.towns.codes.tolist()],
        "postcode": [
            f"{starts[province]}{code * 37 % 10000:04d}"
            for province, code in zip(province_of.tolist(), codes.tolist(), strict=True)
        ],
        "sort": [
            f"{h}-{block[d]} {o + 1:03d}"
            for h, d, o in zip(hub.tolist(), district_of.tolist(), ordinal.tolist(), strict=True)
        ],
        "outlet": [f"{code}{o + 1:02d}" for code, o in zip(codes.tolist(), ordinal.tolist(), strict=True)],
    }
    without_town = chinese | {"town": [None] * len(codes), "adcode": [str(code) for code in codes.tolist()]}
    abroad = _us_rows()
    us = {name: [row[at] for row in abroad] for at, name in enumerate(list(chinese)[:7])}
    us |= {"sort": ["999-X01 001"] * len(abroad), "outlet": ["99999901"] * len(abroad)}
    columns = {name: pa.array([*chinese[name], *without_town[name], *us[name]], pa.string()) for name in chinese}
    base, span = _landlines(province_of, division)
    # 555-0100 to 555-0199 of the state's area code.
    us_base = [int(f"1{area}5550100") for _, _, area in word_lists()["province"]["states"] for _ in range(12)]
    return Places(
        pa.table(columns),
        len(codes),
        weighted(_town_weights(division, province_of), size=1 << _TABLE_BITS),
        np.concatenate([base, base, np.array(us_base, np.int64)]),
        np.concatenate([span, span, np.full(len(us_base), 100, np.uint64)]),
    )
