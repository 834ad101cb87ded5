"""The administrative divisions of China: provinces, cities, districts, towns, with their GB/T 2260 codes.

::

    >>> chaoyang = divisions().find("110105")
    >>> chaoyang.name, chaoyang.short, chaoyang.level
    ('朝阳区', '朝阳', 2)
    >>> [d.name for d in divisions().path("110105")]
    ['北京市', '北京市', '朝阳区']
    >>> [d.short for d in divisions().children("460000")][:3]
    ['海口', '三亚', '三沙']

Every level is also three parallel arrays, for drawing and joining in bulk; ``parents`` indexes the level above::

    >>> d = divisions()
    >>> town = int(np.flatnonzero(d.towns.codes == 310118106)[0])
    >>> district = int(d.towns.parents[town])
    >>> str(d.towns.names[town]), str(d.districts.names[district])
    ('徐泾镇', '青浦区')

Codes have six digits (a province ends in ``0000``, a city in ``00``), nine with the town. Placeholders such as 市辖区
are no places and do not occur: a municipality has one city of its own name; a county that a province governs directly
(济源市, 419001) stands among the cities. A city without districts (东莞市) has one district with its code and an
**empty name**, so that its towns have a parent.

The data file holds one division a line, indented by level, code before name. It is read once a process.
"""

from __future__ import annotations

import lzma
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

PROVINCE, CITY, DISTRICT, TOWN = range(4)

_DATA = Path(__file__).with_name("divisions.tsv.xz")

#: Peoples whose names stand in the names of autonomous divisions, without 族 where 族 is left out there.
_PEOPLES = (
    "蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|拉祜|水|东乡|纳西|景颇|柯尔克孜"
    "|土|达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|普米|塔吉克|怒|鄂温克|保安|裕固|独龙|鄂伦春"
)
_WITHOUT_ZU = "蒙古|哈萨克|柯尔克孜|锡伯|塔吉克|维吾尔"
_AUTONOMOUS = re.compile(rf"^(.{{2,}}?)(?:各族|(?:(?:{_PEOPLES})族|{_WITHOUT_ZU})+)?自治([区州县旗])$")
_PLAIN = (
    re.compile(r"^(.{2,}?)(?:省|市|特别行政区)$"),
    re.compile(r"^(.{2,}?)(?:市|地区|盟)$"),
    re.compile(r"^(.{2,}?)(?:新区|特区|矿区|林区|区|县|市|旗)$"),
    re.compile(r"^(.{2,}?)(?:街道办事处|街道|民族乡|镇|乡|苏木)$"),
)


_ALIASES = {
    "广西壮族自治区": ("广西自治区", "广西省"),
    "新疆维吾尔自治区": ("新疆自治区", "新疆省"),
    "宁夏回族自治区": ("宁夏自治区", "宁夏省"),
    "西藏自治区": ("西藏省",),
    "内蒙古自治区": ("内蒙古省",),
    "香港特别行政区": ("香港特区",),
    "澳门特别行政区": ("澳门特区", "澳門特別行政區"),
    "台湾省": ("臺灣省", "台灣省"),
}
_BRIEF = {"内蒙古自治区": ("内蒙",), "台湾省": ("臺灣", "台灣"), "澳门特别行政区": ("澳門",)}

_GENERIC_TOWNS = {"街道", "城区", "农场", "林场", "盐场", "苗圃", "牛场", "监狱城", "开发区", "工业园区", "社区"}
_TOWN_ENDS = (
    "街道",
    "镇",
    "乡",
    "苏木",
    "农场",
    "林场",
    "牧场",
    "地区",
    "开发区",
    "园区",
    "管理区",
    "办事处",
    "管理处",
)

# A tree of characters; under "" stand the names that end here: (row of PlaceNames or of the towns, is it a full name).
NameTree = dict[str, Any]


class Level(NamedTuple):
    """One level of divisions as parallel arrays, in the order of codes within a parent."""

    codes: npt.NDArray[np.int32]  # six digits, nine for towns
    names: npt.NDArray[np.object_]  # str; empty for the one district of a city without districts
    parents: npt.NDArray[np.int32]  # row of the level above; -1 for provinces


class Division(NamedTuple):
    """One division."""

    code: str  # six digits, nine for a town
    name: str  # in full, as the state writes it
    short: str  # as people write it; the name itself where no short form of two characters exists
    level: int  # PROVINCE, CITY, DISTRICT or TOWN
    row: int  # row in its Level


def short_name(name: str, level: int) -> str:
    """The form of a division's name that people write: 北京 for 北京市, 恩施 for 恩施土家族苗族自治州.

    Where nothing of two characters would be left (青县), the name itself.

        >>> short_name("内蒙古自治区", PROVINCE), short_name("东乡族自治县", DISTRICT), short_name("浦东新区", DISTRICT)
        ('内蒙古', '东乡', '浦东')
    """
    match = _AUTONOMOUS.match(name)
    if match:
        short = match[1]
        return short[:-1] if len(short) > 2 and short.endswith("族") else short
    match = _PLAIN[level].match(name)
    return match[1] if match else name


class Divisions:
    """All divisions. Get the one instance of a process from :func:`divisions`."""

    def __init__(self, provinces: Level, cities: Level, districts: Level, towns: Level) -> None:
        self.provinces = provinces
        self.cities = cities
        self.districts = districts
        self.towns = towns
        self.levels = (provinces, cities, districts, towns)
        # A city's code wins over that of its one nameless district.
        self._rows: dict[int, tuple[int, int]] = {}
        for level in (TOWN, DISTRICT, CITY, PROVINCE):
            codes = self.levels[level].codes.tolist()
            self._rows.update(zip(codes, ((level, row) for row in range(len(codes))), strict=True))

    def __repr__(self) -> str:
        return f"<Divisions: {', '.join(str(len(level.codes)) for level in self.levels)}>"

    def at(self, level: int, index: int) -> Division:
        """The division in row ``index`` of ``level``."""
        name = str(self.levels[level].names[index])
        return Division(str(self.levels[level].codes[index]), name, short_name(name, level), level, index)

    def find(self, code: str) -> Division | None:
        """The division of a code: 2, 4, 6 or 9 digits, or the 12 of the statistics office. None if there is none."""
        if not (code.isascii() and code.isdigit() and len(code) in {2, 4, 6, 9, 12}):
            return None
        code = code.removesuffix("000") if len(code) == 12 else code.ljust(6, "0")
        if len(code) == 9 and code.endswith("000"):
            code = code[:6]
        row = self._rows.get(int(code))
        return self.at(*row) if row else None

    def path(self, code: str) -> list[Division]:
        """The division of ``code`` with all above it, the province first; empty if there is none."""
        found = self.find(code)
        if found is None:
            return []
        path = [found]
        while path[-1].level > PROVINCE:
            last = path[-1]
            path.append(self.at(last.level - 1, int(self.levels[last.level].parents[last.row])))
        return path[::-1]

    def children(self, code: str) -> list[Division]:
        """The divisions one level below that of ``code``, in the order of their codes.

        A nameless district is passed over: the children of 东莞市 are its towns.
        """
        found = self.find(code)
        if found is None or found.level == TOWN:
            return []
        rows = self.child_rows(found.level, found.row)
        children = [self.at(found.level + 1, row) for row in rows]
        if found.level == CITY and len(children) == 1 and not children[0].name:
            return [self.at(TOWN, row) for row in self.child_rows(DISTRICT, children[0].row)]
        return children

    def child_rows(self, level: int, index: int) -> range:
        """Rows of the next level whose parent is row ``index`` of ``level``."""
        start, end = np.searchsorted(self.levels[level + 1].parents, [index, index + 1]).tolist()
        return range(start, end)


@cache
def divisions() -> Divisions:
    """The divisions, read from the package's data file once.

    Source: modood/Administrative-divisions-of-China (see ``DIVISIONS-LICENSE``), with 台湾省, 香港特别行政区 and
    澳门特别行政区, which have no lower levels here. 41,352 towns.
    """
    lines = lzma.decompress(_DATA.read_bytes()).decode().splitlines()
    text = np.array([line.lstrip("\t") for line in lines], dtype=object)
    depth = np.fromiter((len(line) - len(line.lstrip("\t")) for line in lines), np.int8, len(lines))
    levels: list[tuple[npt.NDArray[Any], ...]] = []
    for level in range(4):
        at = np.flatnonzero(depth == level)
        own = [str(x) for x in text[at]]
        if level == TOWN:
            # Only the last three digits stand in the file: a town's code begins with its district's.
            parents = np.searchsorted(levels[DISTRICT][3], at) - 1
            codes = levels[DISTRICT][0][parents].astype(np.int64) * 1000
            codes = (codes + np.fromiter((int(x[:3]) for x in own), np.int64, len(own))).astype(np.int32)
            names = [x[3:] for x in own]
        else:
            split = [re.match(r"(\d+)(.*)", x) for x in own]
            codes = np.array([int(m[1].ljust(6, "0")) for m in split if m], dtype=np.int32)
            names = [m[2] for m in split if m]
            parents = np.searchsorted(levels[-1][3], at) - 1 if level else np.full(len(at), -1)
        levels.append((codes, np.array(names, dtype=object), parents.astype(np.int32), at))
    return Divisions(*(Level(*parts[:3]) for parts in levels))


def _plant(tree: NameTree, name: str, entry: tuple[int, bool]) -> None:
    for character in name:
        tree = tree.setdefault(character, {})
    tree.setdefault("", []).append(entry)


class PlaceNames:
    """The gazetteer made ready for reading: one row a province, city and district, and a tree of their names."""

    def __init__(self, gazetteer: Divisions) -> None:
        self.gazetteer = gazetteer
        sizes = [len(level.codes) for level in gazetteer.levels]
        self.first = [0, sizes[0], sizes[0] + sizes[1]]
        self.names = [str(n) for level in gazetteer.levels[:TOWN] for n in level.names]
        self.official = frozenset(self.names)
        self.level = [level for level in range(TOWN) for _ in range(sizes[level])]
        self.parent = [-1] * sizes[0]
        for level in (CITY, DISTRICT):
            self.parent += (gazetteer.levels[level].parents + self.first[level - 1]).tolist()
        self.above: list[tuple[int, ...]] = []
        for row, parent in enumerate(self.parent):
            self.above.append((row,) if parent < 0 else (row, *self.above[parent]))
        self.texts: list[list[tuple[str, bool]]] = [[] for _ in self.names]  # how a place is written; is it in full
        self.short_owners: dict[str, list[int]] = {}
        # A municipality is one place on two levels: its one city stands for both.
        city_of = {
            self.parent[row]: row
            for row in range(self.first[CITY], self.first[DISTRICT])
            if self.names[row] == self.names[self.parent[row]]
        }
        for row, name in enumerate(self.names):
            if name and not (self.level[row] == CITY and self.parent[row] in city_of):
                self._add(city_of.get(row, row), name, self.level[row])
        self.children: dict[int, list[int]] = {}
        for row, parent in enumerate(self.parent):
            self.children.setdefault(parent, []).append(row)
        self.trees: dict[int, NameTree] = {}
        self.town_trees: dict[int, NameTree] = {}

    def _add(self, row: int, name: str, level: int) -> None:
        short = short_name(name, level)
        full = {name, *_ALIASES.get(name, ())}
        if short != name and level != PROVINCE:
            also = {short + end for end in "州县旗" if name.endswith("自治" + end)}
            if name.endswith("新区"):
                also.add(short + "区")
            full |= also - self.official
        brief = {short, *_BRIEF.get(name, ())} - full
        self.texts[row] += [(text, True) for text in full] + [(text, False) for text in brief]
        for text in brief:
            self.short_owners.setdefault(text, []).append(row)

    def places(self, row: int) -> NameTree:
        """The names that may follow once ``row`` is known (-1: nothing is): its own, of those above and below.

        Of several places of one level that share a name there is none: it leaves no choice to infer from.
        """
        tree = self.trees.get(row)
        if tree is None:
            rows = list(self.above[row]) if row >= 0 else []
            below = [*self.children.get(row, ())]
            for child in below:
                below += self.children.get(child, ())
            owners: dict[str, list[tuple[int, bool]]] = {}
            for place in rows + below:
                for text, full in self.texts[place]:
                    owners.setdefault(text, []).append((place, full))
            tree = {}
            for text, entries in owners.items():
                levels = [self.level[place] for place, _ in entries]
                for entry in entries:
                    if levels.count(self.level[entry[0]]) == 1:
                        _plant(tree, text, entry)
            self.trees[row] = tree
        return tree

    def towns(self, row: int) -> NameTree:
        """The names of the towns below a city or district; of a city, those that occur once in it."""
        tree = self.town_trees.get(row)
        if tree is None:
            tree = {}
            level, at = self.level[row], row - self.first[self.level[row]]
            below = self.gazetteer.child_rows(CITY, at) if level == CITY else range(at, at + 1)
            # Short forms of towns count only below one district: a whole city has too many of them.
            single = len(below) == 1
            names: dict[tuple[str, bool], list[int]] = {}
            for district in below:
                for town in self.gazetteer.child_rows(DISTRICT, district):
                    name = str(self.gazetteer.towns.names[town])
                    if name in _GENERIC_TOWNS:
                        continue
                    ends = name.endswith((*_TOWN_ENDS, "办事处"))
                    if ends:
                        names.setdefault((name.removesuffix("办事处"), True), []).append(town)
                    if single:
                        names.setdefault((short_name(name, TOWN), False), []).append(town)
            for (name, full), owners in names.items():
                if len(owners) == 1:
                    _plant(tree, name, (owners[0], full))
            self.town_trees[row] = tree
        return tree

    def district_of(self, town: int) -> int:
        """The row of the town's district, or of its city where that has no districts."""
        row = self.first[DISTRICT] + int(self.gazetteer.towns.parents[town])
        return row if self.names[row] else self.parent[row]


@cache
def place_names() -> PlaceNames:
    """The names of :func:`divisions`, made ready for reading text. Built once."""
    return PlaceNames(divisions())
