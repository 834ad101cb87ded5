"""Names and addresses of people in text and in columns, by what they are made of and by what stands around them.

::

    >>> people = People([rule for family in builtin() for rule in family.rule])
    >>> text = "收件人：张伟 上海市青浦区徐泾镇盈港东路8300弄36号302室".encode()
    >>> data, none = np.frombuffer(text, np.uint8), np.zeros((0, 2), np.int64)
    >>> found = people.in_text(data, 0, len(data), none, np.zeros(0, np.uint8))
    >>> [(people.rules[rule].kind, text[start:end].decode()) for start, end, rule in zip(found.start, found.end, found.rule)]
    [('person.name', '张伟'), ('address.cn', '上海市青浦区徐泾镇盈港东路8300弄36号302室')]
    >>> [WHY[why] for why in found.why]
    ['cue before', 'province, road, number']

A name alone is a weak thing: 高兴 and 金桥 are made like names. So names are told behind a cue (收件人), beside a phone,
in a column of names, or in front of a title; those of running text are a kind of their own, of tier 2. Addresses are
told by number and kind of their components (address_pass.py); a cue, a column or a phone makes them surer. All tables
come from the rules' cues and words and from people.toml (vocabulary.py); the passes are compiled, and
people_reference.py says the same in plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan.beside_pass import beside_pass
from parcelveil.scan.cells_pass import ADDRESSES, ANY, NAMES, Judged, cells_pass, joined, judge_sample, phones_in
from parcelveil.scan.foreign_pass import foreign_pass
from parcelveil.scan.people_pass import (
    ADDRESS,
    ADDRESS_FOREIGN,
    ADDRESS_MASKED,
    NAME,
    NAME_MASKED,
    NAME_PROSE,
    PHONE,
    W_CUE,
    W_STREET,
    Floats,
    names_pass,
    places_pass,
    segments_pass,
    unbeaten,
)
from parcelveil.scan.rules import Rule, builtin
from parcelveil.scan.text_pass import Bytes, Index
from parcelveil.scan.vocabulary import Vocabulary, is_people, normal_key

__all__ = ["WHY", "People", "Spans", "builtin"]

#: Why something was found, by the codes of the passes.
WHY = (
    "",
    "cue before",
    "beside a phone",
    "column name",
    "column content",
    "title behind",
    "verb behind",
    "province, road, number",
    "number, street",
)

#: The rules by the order in which the passes number them: kind and state.
_ORDER = (
    (NAME, "person.name", "clear"),
    (NAME_MASKED, "person.name", "masked"),
    (NAME_PROSE, "person.name_prose", "clear"),
    (ADDRESS, "address.cn", "clear"),
    (ADDRESS_MASKED, "address.cn", "masked"),
    (ADDRESS_FOREIGN, "address.foreign", "clear"),
)
#: Headers of columns that hold neither names nor addresses, though their cells may look like them.
_AGAINST = (
    "商品 品名 物品 货物 货品 宝贝 内件 产品 公司 单位 店铺 店名 网点 城市 省份 省 市 区 县 区县 镇 街道 乡镇 国家 地区 品牌 颜色 规格 型号 类目 分类 类别 "
    "部门 职位 状态 平台 渠道 快递公司 承运商 product goods item company brand city province district state country category color sku title status type "
    "carrier platform shop store filename hostname classname tablename columnname department warehouse region town"
).split()
#: Headers that say "name" in a word of many uses: only the content settles it.
_VAGUE = frozenset("name title contact owner customer user 名称 客户 用户 account nickname 昵称".split())
_SAMPLE = 256
_LONGEST_HEADER = 64


class Spans(NamedTuple):
    """What was found, in the order of its beginnings. Arrays of one length."""

    start: Index  # bytes
    end: Index
    rule: npt.NDArray[np.int16]  # index into People.rules
    logit: npt.NDArray[np.float32]  # log-odds that it is right
    why: npt.NDArray[np.int16]  # index into WHY

    def pick(self, which: npt.NDArray[Any]) -> Spans:
        """Some of them, by flags or positions."""
        return Spans(self.start[which], self.end[which], self.rule[which], self.logit[which], self.why[which])


class People:
    """Finds names and addresses by the rules given; those of other kinds among them do not matter.

    Rules that are left out (a scan for addresses only) are not told. Build once; calls from several threads are safe.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = [rule for rule in rules if is_people(rule)]
        vocabulary = Vocabulary(self.rules)
        self.tables = vocabulary.tables
        self._index = np.full(len(_ORDER), -1, np.int16)
        for code, kind, state in _ORDER:
            for at, rule in enumerate(self.rules):
                if (rule.kind, rule.state) == (kind, state):
                    self._index[code] = at
        self._headers = {
            bit: tuple(
                {normal_key(word) for rule in self.rules if rule.kind.startswith(start) for word in rule.columns}
            )
            for bit, start in ((NAMES, "person."), (ADDRESSES, "address."))
        }

    def in_text(self, data: Bytes, low: int, high: int, hits: Index, hit_is: Bytes) -> Spans:
        """What begins in ``[low, high)`` of a text, ``data`` (UTF-8, with 1 KiB around that part where there is more).

        ``hits`` (n, 2) are the sorted beginnings and ends of what was found already in ``data``, ``hit_is`` what each
        is: 1 phone, 2 identity number, 3 e-mail, 4 other.
        """
        return self._in_text(data, low, high, hits, hit_is, False)

    def in_cells(self, data: Bytes, starts: Index, ends: Index, header: str, judged: Judged | None = None) -> Spans:
        """What the cells ``data[starts[i]:ends[i]]`` of one column hold. ``header``: its name, empty where unknown.

        A column is one of names or addresses by its header, or by the content of a sample of its cells; a header of
        goods, firms or towns speaks against it. Cells of other columns are read as texts by themselves. ``judged``: what
        :meth:`judge` said of a column that comes in parts.
        """
        if not len(starts):
            return self._spans(np.zeros((0, 4), np.int64), np.zeros(0))
        judged = judged or self.judge(data, starts, ends, header)
        rows, odds = _room(int((ends - starts).sum()) + 64 * len(starts))
        as_text = np.zeros(len(starts), np.bool_)
        phones = phones_in(data, starts, ends)
        total = cells_pass(
            data, starts, ends, phones, judged.mode, judged.bonus, judged.why, *self.tables, rows, odds, as_text
        )
        cells = np.flatnonzero(as_text)
        text, places = joined(data, starts[cells], ends[cells])
        text.flags.writeable = False  # like every text: the passes are compiled for one kind of array
        phones = phones_in(text, places[:-1], places[1:])
        found = self._in_text(text, 0, len(text), phones, np.full(len(phones), PHONE, np.uint8), True)
        cell = np.searchsorted(places, found.start, "right") - 1
        moved = starts[cells][cell] - places[cell]
        whole = self._spans(rows[:total], odds[:total])
        both = Spans(
            np.concatenate([whole.start, found.start + moved]),
            np.concatenate([whole.end, found.end + moved]),
            np.concatenate([whole.rule, found.rule]),
            np.concatenate([whole.logit, found.logit]),
            np.concatenate([whole.why, found.why]),
        )
        return both.pick(np.argsort(both.start, kind="stable"))

    def _in_text(self, data: Bytes, low: int, high: int, hits: Index, hit_is: Bytes, in_line: bool) -> Spans:
        if high <= low:
            return self._spans(np.zeros((0, 4), np.int64), np.zeros(0))
        rows, odds = _room(high - low)
        segments = np.empty(((high - low) // 4 + 512, 4), np.int64)
        chars, words = self.tables
        count = segments_pass(data, low, high, hits, hit_is, chars, segments)
        total = names_pass(data, segments, count, chars, words, rows, odds)
        total = places_pass(data, segments, count, hits, hit_is, chars, words, in_line, rows, odds, total)
        total = beside_pass(data, low, high, hits, hit_is, *self.tables, rows, odds, total)
        codes = np.array([NAME, W_CUE, ADDRESS_FOREIGN, W_STREET], np.int64)
        total += foreign_pass(data, low, high, self.tables.words, rows[total:], odds[total:], codes)
        spans = self._spans(rows[:total], odds[:total])
        return spans.pick((spans.start >= low) & (spans.start < high))

    def judge(self, data: Bytes, starts: Index, ends: Index, header: str) -> Judged:
        """What kind of column it is, and what that adds to the log-odds of its cells."""
        key = normal_key(header[:_LONGEST_HEADER])
        says = ANY
        for mode, words in ((ADDRESSES, self._headers[ADDRESSES]), (NAMES, self._headers[NAMES])):
            if any(key == word or (key.endswith(word) and (len(word) > 4 or not word.isascii())) for word in words):
                says = mode
                break
        against = key in _AGAINST or any(
            key.startswith(word) or key.endswith(word) for word in _AGAINST if len(word) > 1
        )
        if says == ANY and against:
            return Judged(ANY, 0.0, 0)
        step = max(1, len(starts) // _SAMPLE)
        shares = judge_sample(data, starts[::step], ends[::step], *self.tables)
        return Judged.of(says, key in _VAGUE or (against and says == NAMES), shares)

    def _spans(self, rows: Index, odds: Floats) -> Spans:
        """Rows in order, without those of rules that were not asked for and those that a better one overlaps."""
        rule = self._index[rows[:, 2]]
        keep = rule >= 0
        rows, odds, rule = rows[keep], odds[keep], rule[keep]
        order = np.argsort(rows[:, 0], kind="stable")
        rows, odds, rule = rows[order], odds[order], rule[order]
        keep = unbeaten(rows, odds)
        rows, odds, rule = rows[keep], odds[keep], rule[keep]
        return Spans(
            np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]), rule,
            odds.astype(np.float32), rows[:, 3].astype(np.int16),
        )  # fmt: skip


def _room(size: int) -> tuple[Index, Floats]:
    """Arrays for more findings than ``size`` bytes can hold: each has at least three bytes, and rules meet twice."""
    most = size // 2 + 1024
    return np.empty((most, 4), np.int64), np.empty(most, np.float64)
