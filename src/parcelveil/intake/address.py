"""Splitting Chinese one-string addresses into the waybill's area columns and what lies below them.

::

    >>> import pyarrow as pa
    >>> parts = split_addresses(pa.array(["上海 青浦 徐民路308号", "杭州西湖区文二西路5号", "北京西路100号"]))
    >>> parts.field("region").to_pylist(), parts.field("city").to_pylist()
    (['上海市', '浙江省', None], ['上海市', '杭州市', None])
    >>> parts.field("adcode").to_pylist()
    ['310118', '330106', None]
    >>> parts.field("address").to_pylist()
    ['徐民路308号', '文二西路5号', '北京西路100号']

Names are read from the left with the gazetteer of :mod:`parcelveil.intake.divisions`; the reading that explains most
of the text wins. Missing parents are inferred where a name leaves one choice only. A short form (北京, 朝阳) counts
only when a separator or another division within it follows, or when a whole road name does after a known parent:
北京西路 is a road. Repeated divisions and placeholders (市辖区) are dropped; everything not understood stays in
``address`` as it was.

Columns that are split already get their code, and their address loses divisions it repeats, by::

    >>> known = split_known(*(pa.array([x]) for x in ("浙江", "杭州", "西湖区", None, "浙江省杭州市西湖区文三路1号")))
    >>> known.to_pylist()[0]["adcode"], known.to_pylist()[0]["address"]
    ('330106', '文三路1号')
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.intake.divisions import CITY, DISTRICT, PROVINCE, NameTree, PlaceNames, place_names, short_name

#: Fields of the result, as in the waybill without its party. All text; ``postcode`` only if it stood in front.
FIELDS = ("country", "region", "city", "district", "town", "adcode", "address", "postcode")

#: Between the columns of :func:`split_known`: here a short form ends for certain.
_BOUNDARY = "\x1f"
_CLOSING = r"\s\x00-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_CLOSING += r",，、/／\\|｜;；:：.．。·•_＿~～\-－—–>＞》)）\]］】}｝」』"
_SEPARATORS = re.compile(rf"[{_CLOSING}<＜《(（\[［【{{｛「『]*")
_TRAILING = re.compile(rf"[{_CLOSING}]*")
_EDGES = "".join(chr(c) for c in range(0x21)) + "\x7f\xa0\u3000\ufeff\u200b"
_IN_FRONT = re.compile(
    rf"{_SEPARATORS.pattern}(?:([0-9０-９]{{6}})(?![0-9０-９]){_SEPARATORS.pattern})?"
    rf"(?:(?:中华人民共和国|中国){_SEPARATORS.pattern})?(?:([0-9０-９]{{6}})(?![0-9０-９]){_SEPARATORS.pattern})?"
)
_STARTS_IN_FRONT = re.compile(rf"[中0-9０-９{_CLOSING}<＜《(（\[［【{{｛「『]")
_PLACEHOLDER_FIRST = frozenset("市省自县直")
_PLACEHOLDER = re.compile(
    r"市辖区|(?:省|自治区)直辖(?:县级行政(?:区划|单位)|行政单位|县)?|直辖县(?:级行政(?:区划|单位))?"
)

# What makes a short form before it the name of a road or house (上海路, 中山北一路, 深圳大学) instead of a place.
_ROAD_GOES_ON = re.compile(
    r"[东南西北中前后上下内外环]{0,2}[一二三四五六七八九十]{0,3}[东南西北中]?(?:支路|路|街|道|大道|大街|巷|弄|里|胡同|公路|高速|高架|环线?)"
    r"|大[学厦桥楼酒院路街]|新村|[山湖寺江河海城门港塔庙桥岛湾口园宫殿村站庄楼苑府]|[广机]场|医院|学院|中学|小学|师范|人民医|"
    r"火车|汽车|客运|饭店|宾馆|酒店|银行|公[司园馆寓]|集团|花园|家园|小区|足球|体育|文化|国际|人家|商|宾"
)
_ROAD_GOES_ON_FIRST = frozenset(
    "东南西北中前后上下内外环一二三四五六七八九十支路街道大巷弄里胡公高新山湖寺江河海城门港塔庙桥岛湾口园宫殿村站庄楼苑府"
    "广机医学小师人火汽客饭宾酒银集花家足体文国商"
)
_ROAD_GOES_ON_LONGEST = 9
# What makes a full name before it the beginning of a road (浦东新区路).
_FULL_GOES_ON = re.compile(r"路|街(?!道)|大道|大街|公路|巷")
_FULL_GOES_ON_FIRST = frozenset("路街大公巷")
_ROAD_LONGEST = 12
_ROAD = re.compile(r"[^\W\d_]{2,7}?(?:路|街|大道|道|弄|巷|胡同|村|镇|乡|社区|小区|园区|开发区)")
#: Below these regions the gazetteer has nothing; the beginnings of their best-known places stand in for it.
_BELOW = {
    "香港特别行政区": re.compile(r"九龙|九龍|新界|港岛|香港岛|中西区|湾仔|油尖旺|深水埗|沙田|荃湾|屯门|元朗"),
    "澳门特别行政区": re.compile(r"氹仔|路环|澳门半岛|花地玛|大堂区|风顺堂"),
    "台湾省": re.compile(
        r"[台臺][北中南东東]|新[北竹]|桃[园園]|高雄|基隆|嘉[义義]|苗栗|彰化|南投|[云雲]林|屏[东東]|宜[兰蘭]|花[莲蓮]"
    ),
}
#: After a short form, the rest of the full one: no sign of anything else.
_ENDS_OF_NAMES = frozenset("省市区县州盟旗")

_MOST_PARTS = 12  # divisions read from one text, doubled ones counted: enough for honest text, an end for hostile
_MOST_MEMOS = 200_000
_LONGEST_MEMO = 64  # characters
_HEAD = 8  # characters under which the lengths of memos are kept


@cache
def _separator_characters() -> frozenset[str]:
    # All separators are below U+3100 or from U+FE00 on.
    candidates = map(chr, (*range(0x3100), *range(0xFE00, 0x10000)))
    return frozenset(c for c in candidates if _SEPARATORS.fullmatch(c))


# Where the reading ends, the deepest place (a row of the index or -1), the town's row or -1.
_Reading = tuple[int, int, int]
_NOTHING: _Reading = (0, -1, -1)


class _Reader:
    """Reads one text, and records what decided the reading: texts that agree up to ``seen`` read the same.

    Of the last character seen it may only have been asked whether it is in some sets, ``asked``; then any other
    character that is in none of them does as well. None when more was asked of it.
    """

    def __init__(self, index: PlaceNames, text: str) -> None:
        self.index = index
        self.text = text
        self.seen = 0
        self.asked: list[Container[str]] | None = []
        self.known: dict[tuple[int, int, int], _Reading] = {}

    def read(self) -> _Reading:
        end, row, town = self._best(0, -1, -1, _MOST_PARTS)
        if row >= 0:
            end = self._skip(end, _TRAILING)
        return end, row, town

    def _skip(self, at: int, pattern: re.Pattern[str] = _SEPARATORS) -> int:
        end = match.end() if (match := pattern.match(self.text, at)) else at
        self._look(end + 1, _separator_characters())
        return end

    def _names(self, tree: NameTree, at: int) -> list[tuple[int, list[tuple[int, bool]]]]:
        """Names in ``tree`` that the text has at ``at``, the longest first: their ends and entries."""
        found = []
        text, size = self.text, len(self.text)
        while at < size and text[at] in tree:
            tree = tree[text[at]]
            at += 1
            if "" in tree:
                found.append((at, tree[""]))
        self._look(at + 1, tree)
        return found[::-1]

    def _best(self, at: int, row: int, town: int, parts: int) -> _Reading:
        """The reading from ``at``, given what is known, that explains most; it ends at ``at`` if there is none."""
        key = (at, row, town)
        best = self.known.get(key)
        if best is not None:
            return best
        best = (at, row, town)
        if parts:
            for reading in self._readings(self._skip(at), row, town, parts - 1):
                if reading[0] > best[0]:
                    best = reading
        self.known[key] = best
        return best

    def _readings(self, at: int, row: int, town: int, parts: int) -> Iterator[_Reading]:
        if row >= 0:
            if match := self._placeholder(at):
                yield self._best(match.end(), row, town, parts)
            elif self.index.level[row] == CITY and self.text.startswith("县", at):  # 重庆市县云阳县: a placeholder too
                after = self._best(at + 1, row, town, parts)
                if after[0] > at + 1:
                    yield after
        for end, entries in self._names(self.index.places(row), at):
            for next_row, full in entries:
                doubled = row >= 0 and next_row in self.index.above[row]
                if town >= 0 and not doubled:
                    continue
                after = self._best(end, row if doubled else next_row, town, parts)
                if after[0] > end or (self._full_stands(end) if full else self._short_stands(at, end, row, next_row)):
                    yield after
        if row >= 0 and self.index.level[row] != PROVINCE:
            for end, entries in self._names(self.index.towns(row), at):
                for next_town, full in entries:
                    if town in (-1, next_town) and self._town_stands(at, end, full):
                        yield self._best(end, self.index.district_of(next_town), next_town, parts)

    def _placeholder(self, at: int) -> re.Match[str] | None:
        self._look(at + 1, _PLACEHOLDER_FIRST)
        if self.text.startswith(("市", "省", "自", "直"), at):
            self._look(at + (12 if self.text.startswith(("省直", "自治区直", "直辖县"), at) else 4))
        return _PLACEHOLDER.match(self.text, at)

    def _full_stands(self, end: int) -> bool:
        """Whether a full name is a place: 浦东新区路 is a road."""
        self._look(end + 1, _FULL_GOES_ON_FIRST)
        if self.text.startswith(("街", "大", "公"), end):
            self._look(end + 2)
        return not _FULL_GOES_ON.match(self.text, end)

    def _short_stands(self, at: int, end: int, row: int, next_row: int) -> bool:
        """Whether a short form after which no division follows is meant as a place."""
        text, index = self.text, self.index
        after = self._skip(end)
        name = index.names[next_row]
        self._look(after + 4 if name in _BELOW else 0)
        if text.startswith(_BOUNDARY, end) or (name in _BELOW and _BELOW[name].match(text, after)):
            return True
        if self._road_goes_on(after):
            return False
        level = index.level[next_row]
        doubled = row >= 0 and next_row in index.above[row]
        if after > end or end == len(text):
            if doubled:
                return level < DISTRICT and self._after_separator(at)
            owners = index.short_owners[text[at:end]]
            alone = all(next_row in index.above[owner] for owner in owners)
            is_city = level < DISTRICT or name.endswith("市")
            return row >= 0 or index.parent[next_row] < 0 or (alone and is_city)
        # Without a separator only a whole road name makes a short form a place, unless it begins the full form.
        self._look(end + 1, _ENDS_OF_NAMES)
        if row < 0 or doubled or text[end] in _ENDS_OF_NAMES or text.startswith(name, at):
            return False
        self._look(end + _ROAD_LONGEST)
        return bool(_ROAD.match(text, end, end + _ROAD_LONGEST))

    def _town_stands(self, at: int, end: int, full: bool) -> bool:
        if full:
            return self._full_stands(end)
        # 徐泾 without 镇 may as well begin a road or a village: it has to stand alone between separators.
        if not self._after_separator(at):
            return False
        after = self._skip(end)
        return after > end and not self._road_goes_on(after)

    def _road_goes_on(self, at: int) -> bool:
        looked = at < len(self.text) and self.text[at] in _ROAD_GOES_ON_FIRST
        self._look(at + 1, _ROAD_GOES_ON_FIRST)
        if looked:
            self._look(at + _ROAD_GOES_ON_LONGEST)
        return looked and bool(_ROAD_GOES_ON.match(self.text, at))

    def _after_separator(self, at: int) -> bool:
        return at > 0 and bool(_SEPARATORS.fullmatch(self.text, at - 1, at))

    def _look(self, end: int, *asked: Container[str]) -> None:
        """Record that text was looked at before ``end``, and which sets the last character was looked up in."""
        if end > self.seen:
            self.seen = end
            self.asked = list(asked) or None
        elif end == self.seen:
            self.asked = [*self.asked, *asked] if self.asked and asked else None


class _Memo:
    """Readings by the part of the text that decided them, so that each way of writing an area is read once.

    Holds areas and at most a few characters after them; bounded.
    """

    def __init__(self) -> None:
        self.index = place_names()
        self.lengths: dict[str, list[int]] = {}
        self.readings: dict[str, tuple[_Reading, tuple[Container[str], ...]]] = {}

    def read(self, text: str) -> _Reading:
        readings = self.readings
        head = text[:_HEAD]
        lengths = self.lengths.get(head, ())
        for length in lengths:
            known = readings.get(text[:length])
            if known is not None:
                reading, others = known
                following = text[length] if length < len(text) else ""
                for other in others:
                    if following in other or not following:
                        break
                else:
                    return reading
        reader = _Reader(self.index, text)
        reading = reader.read()
        if reading[1] >= 0 and reader.seen <= min(len(text), _LONGEST_MEMO):
            self._keep(reader, reading, lengths)
        return reading

    def _keep(self, reader: _Reader, reading: _Reading, lengths: Iterable[int]) -> None:
        if len(self.readings) >= _MOST_MEMOS:
            self.readings.clear()
            self.lengths.clear()
            lengths = ()
        length, others = reader.seen, tuple({id(other): other for other in reader.asked or ()}.values())
        if others and not any(reader.text[length - 1] in other for other in others):
            length -= 1
        else:
            others = ()
        self.readings[reader.text[:length]] = reading, others
        if length not in lengths:
            # A new list, as another thread may be walking over the old one.
            self.lengths[reader.text[:_HEAD]] = sorted({*lengths, length})


@cache
def _memo() -> _Memo:
    return _Memo()


def _area_columns(rows: list[int], towns: list[int]) -> list[pa.StringArray]:
    """Columns country to adcode of the places: built once a distinct place, then taken."""
    index = _memo().index
    packed = np.array(rows, dtype=np.int64) << 32 | (np.array(towns, dtype=np.int64) + 1)
    distinct, taken = np.unique(packed, return_inverse=True)
    places: list[list[str | None]] = []
    for row, town in zip((distinct >> 32).tolist(), ((distinct & 0xFFFFFFFF) - 1).tolist(), strict=True):
        names: list[str | None] = [None] * 3
        code = None
        if row >= 0:
            for above in index.above[row]:
                names[index.level[above]] = index.names[above]
            level = index.level[row]
            code = str(index.gazetteer.levels[level].codes[row - index.first[level]])
        places.append(["CN" if code else None, *names, None, code])
        if town >= 0:
            places[-1][4:] = str(index.gazetteer.towns.names[town]), str(index.gazetteer.towns.codes[town])
    indices = pa.array(taken)
    return [pa.array([place[field] for place in places], pa.string()).take(indices) for field in range(6)]


def split_addresses(values: pa.StringArray) -> pa.StructArray:
    """Split one-string addresses.

    Returns a struct array of texts with :data:`FIELDS`, one row a value. ``country`` is ``CN`` and ``adcode`` given
    (9 digits with the town, else 6 of the deepest division known) where anything was recognised; otherwise all is
    null but ``address``, the trimmed text. A blank or null value gives nulls. ``address`` and ``postcode`` together
    with the area columns keep every character but separators and doubled or placeholder divisions. Any text will do.
    """
    memo = _memo()
    rests: list[str | None] = []
    rows: list[int] = []
    towns: list[int] = []
    postcodes: list[str | None] = []
    for value in pc.utf8_trim(values, _EDGES).to_pylist():
        rest, postcode, start, reading = value or None, None, 0, _NOTHING
        if value:
            match = _IN_FRONT.match(value) if _STARTS_IN_FRONT.match(value) else None
            if match:
                start, postcode = match.end(), match[1] or match[2]
            reading = memo.read(value[start:] if start else value)
        end, row, town = reading
        if row >= 0:
            rest = value[start + end :] or None
        rests.append(rest)
        rows.append(row)
        towns.append(town)
        postcodes.append(postcode if row >= 0 else None)
    columns = [*_area_columns(rows, towns), pa.array(rests, pa.string()), pa.array(postcodes, pa.string())]
    return pa.StructArray.from_arrays(columns, names=list(FIELDS))


def split_known(
    region: pa.StringArray,
    city: pa.StringArray,
    district: pa.StringArray,
    town: pa.StringArray,
    address: pa.StringArray,
) -> pa.StructArray:
    """Name and number the divisions of addresses whose parts have columns of their own; any of them may be null.

    Returns :data:`FIELDS` as :func:`split_addresses` does. Where the columns are understood they get their full
    names, inferred parents and the code, and ``address`` loses the divisions it repeats (or yields the town). Where
    one is not, all given texts stay as they are, trimmed; the code is that of the deepest division understood, or
    null if a column contradicts another.
    """
    memo = _memo()
    given = [[_trim(v) for v in column.to_pylist()] for column in (region, city, district, town)]
    rests: list[str | None] = [_trim(v) for v in address.to_pylist()]
    rows: list[int] = []
    towns: list[int] = []
    kept: list[int] = []  # rows whose columns were not understood whole
    for at, parts in enumerate(zip(*given, strict=True)):
        lead = "".join(f"{part}{_BOUNDARY}" for part in parts if part)
        text = lead + (rests[at] or "")
        end, row, town_row = memo.read(text) if text else _NOTHING
        if row >= 0 and end >= len(lead):
            rests[at] = text[end:] or None
        elif lead:
            kept.append(at)
        rows.append(row)
        towns.append(town_row)
    columns = _area_columns(rows, towns)
    if kept:
        lists = [column.to_pylist() for column in columns]
        for at in kept:
            _keep(lists, at, [column[at] for column in given])
        columns = [pa.array(column, pa.string()) for column in lists]
    columns += [pa.array(rests, pa.string()), pa.nulls(len(rests), pa.string())]
    return pa.StructArray.from_arrays(columns, names=list(FIELDS))


def _keep(columns: list[list[str | None]], at: int, given: list[str | None]) -> None:
    """Put the given texts of row ``at`` back, and drop its code if they contradict what was understood."""
    for level, text in enumerate(given):
        understood = columns[level + 1][at]
        if text and not _PLACEHOLDER.fullmatch(text):
            if understood and text not in (understood, short_name(understood, level)):
                columns[5][at] = None
            columns[level + 1][at] = text


def _trim(value: str | None) -> str | None:
    return (value.strip(_EDGES) or None) if value else None
