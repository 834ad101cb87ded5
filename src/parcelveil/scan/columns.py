"""What columns say: evidence of their names, and the verdict over what was found in their cells.

A name is taken to words (case, width, ``_``, ``-`` and camelCase do not matter); of the words that rules list under
``columns`` the last one counts, of those that end together the longest::

    >>> from parcelveil.scan.rules import Rule
    >>> rules = [Rule("phone.mobile", "", "", columns=["phone", "电话"]), Rule("person.name", "", "", columns=["收件人", "name"])]
    >>> words = HeaderWords(rules)
    >>> [words.kinds(name).tolist() for name in ("收件人电话", "receiverName", "电话（收件人）", "phone_type", "file name")]
    [[1, 2], [2, 1], [1, 2], [0, 0], [0, 0]]

Counting needs a few KiB a column, however many rows there are::

    >>> count = ColumnCount("col7")
    >>> count.add_cells(2000)
    >>> count.add("phone.mobile", np.arange(1960), np.random.default_rng(1).integers(2**63, size=1960, dtype=np.uint64))
    >>> count.text(), count.decided, count.verdicts()[0].distinct
    ('phone.mobile (98 %)', True, 1960)
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan.distinct import Distinct, Hashes
from parcelveil.scan.headers import joined, words_of
from parcelveil.scan.rules import Rule

Kinds = npt.NDArray[np.uint8]

SILENT, OWN, OTHERS = 0, 1, 2
#: Kinds with one of these beginnings do not speak against each other: a column of phones holds mobiles and landlines.
_FAMILIES = frozenset({"phone", "id", "person", "address", "vehicle", "card", "bank", "org", "chat"})
_LONGEST = 40  # characters of a name that are looked at, and of a rule's word
_GLUED = (
    5  # a word of so many letters is also seen at the end of another one (receiverphone), not a shorter one (hotel)
)
_REMARKS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|<[^<>]*>")
_ALTERNATIVES = re.compile(r"[/、|,，;；&+]|\s(?:or|and)\s")
#: Behind such a word a column is about a thing and does not hold it.
_ABOUT = frozenset(
    """
    brand check checked cnt count country created date deleted flag hash hashed is length md5 model os prefix score sha
    sha1 sha256 source state status time timestamp type types updated valid verified version
    """.split()
)
_ABOUT_CHINESE = re.compile(
    "(?:类型|状态|次数|数量|时间|日期|归属地|品牌|型号|长度|来源|验证|认证|是否.*|个数|有效期|运营商|标志|标识|摘要|哈希|等级|版本)$"
)
_QUESTION = re.compile("^(?:是否|有无|可否|能否)")
_YES_NO = frozenset({"is", "has", "had", "can", "allow", "enable", "enabled", "need", "needs", "show", "hide"})
#: "Address" behind these is none that a parcel could go to, "name" behind these is nobody's. Latin ones are whole words.
_PLACES = frozenset({"address", "addr", "addresses", "addrs", "地址"})
_NO_PLACE = frozenset(
    "ip ipv4 ipv6 mac email mail url web http website link host server memory wallet contract bluetooth".split()
)
_NO_PLACE_CHINESE = ("网", "邮箱", "邮件", "邮", "链接", "钱包", "页面", "网络", "物理")
_NAMES = frozenset({"name", "names", "名", "名称", "名字"})
_NOBODY = frozenset(
    """
    app application bank branch brand bucket carrier category channel city class code column commodity company country
    county courier database db department dept device dir directory display district domain event field file folder
    function goods group host index item job key label layer line lineitem log menu method metric mod model module network
    node organization organisation outlet package page param parameter path platform plugin product project property
    province queue region resource role route rule schema script server service session shop site sku source state station
    store street supplier system table tag task template thread topic town type unit variable vendor village warehouse
    """.split()
)
_NOBODY_CHINESE = tuple(
    """
    公司 企业 单位 商品 货品 货物 物品 产品 宝贝 店铺 门店 商家 品牌 城市 省份 国家 银行 部门 网点 站点 仓库 平台 渠道 文件 项目
    设备 活动 任务 角色 分类 类目 类别 型号 规格 线路 路线 车队 学校 小区 街道 道路 机构 组织 供应商 快递 物流 系统 服务 菜单 字段
    表 列
    """.split()
)


class _Match(NamedTuple):
    end: int  # in the joined name
    length: int
    rules: frozenset[int]


class HeaderWords:
    """The words of ``columns`` of some rules, to look names of columns up."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._families = [rule.kind.partition(".")[0] for rule in rules]
        self._electronic = frozenset(i for i, family in enumerate(self._families) if family in {"net", "device"})
        words: dict[str, set[int]] = {}
        for index, rule in enumerate(rules):
            for word in rule.columns:
                words.setdefault(joined(words_of(word))[:_LONGEST], set()).add(index)
        words.pop("", None)
        self._words = {word: frozenset(of) for word, of in words.items()}
        self._long = [word for word in self._words if len(word) >= _GLUED and word.isascii()]
        # Documents of one kind come one after the other; what their columns say does not change.
        self.kinds = functools.lru_cache(4096)(self._kinds)

    def _kinds(self, name: str) -> Kinds:
        """What a column's name says of each rule (uint8): OWN it is one of the rule's ``columns``, OTHERS it is one
        of another rule's, SILENT it says nothing. Not to be written to."""
        told = np.full(len(self._families), SILENT, dtype=np.uint8)
        name = unicodedata.normalize("NFKC", name[: 4 * _LONGEST])
        bare = _REMARKS.sub(" ", name)
        own = self._of(bare) or (self._of(name) if bare != name else frozenset())
        if own:
            families = {self._families[index] for index in own} & _FAMILIES
            for index, family in enumerate(self._families):
                told[index] = OWN if index in own else SILENT if family in families else OTHERS
        told.flags.writeable = False
        return told

    def _of(self, name: str) -> frozenset[int]:
        """The rules of a name; of each of its alternatives (``姓名/电话``)."""
        parts = _ALTERNATIVES.split(name) if not name.isascii() or " " in name else [name]
        found = [self._of_one(part) for part in parts]
        # An alternative that says nothing (收件人/to) takes nothing away.
        return frozenset().union(*found)

    def _of_one(self, name: str) -> frozenset[int]:
        words = words_of(name)[-12:]
        if words and joined(words) in self._words:  # ipv4 is no first of several
            return self._words[joined(words)]
        while words and words[-1].isdigit():  # phone1
            words.pop()
        if not words:
            return frozenset()
        text = joined(words)
        if text in self._words:  # written as the rule writes it
            return self._words[text]
        if words[0] in _YES_NO or _QUESTION.match(words[0]):
            return frozenset()
        seams = self._seams(words)
        matches = self._matches(text, seams, words)
        if not matches:
            return frozenset()
        best = max(matches)
        if words[-1] in _ABOUT and best.end <= len(text) - len(words[-1]):
            return frozenset()
        about = _ABOUT_CHINESE.search(text)
        if about is not None and about.start() >= best.end:
            return frozenset()
        begin = best.end - best.length
        word, before = text[begin : best.end], text[:begin]
        # The word before it; where words are not told apart (emailaddress) all that is before it.
        last = before[max((seam for seam in seams if seam < begin), default=0) :]
        if word in _PLACES and (last in _NO_PLACE or before.endswith(_NO_PLACE_CHINESE)):
            electronic = [match for match in matches if match.end == begin and match.rules & self._electronic]
            return max(electronic).rules if electronic else frozenset()
        if word in _NAMES and (last in _NOBODY or before.endswith(_NOBODY_CHINESE)):
            return frozenset()
        return best.rules

    @staticmethod
    def _seams(words: list[str]) -> list[int]:
        """Where in the joined words a word may begin or end: between Chinese characters anywhere."""
        seams, at = {0}, 0
        for word in words:
            if not word.isascii():
                seams.update(range(at, at + len(word)))
            at += len(word)
            seams.add(at)
        return sorted(seams)

    def _matches(self, text: str, seams: list[int], words: list[str]) -> list[_Match]:
        found = []
        for place, begin in enumerate(seams):
            for end in seams[place + 1 :]:
                if end - begin > _LONGEST:
                    break
                word = text[begin:end]
                rules = self._words.get(word) or (self._words.get(word[:-1]) if word.endswith("s") else None)
                if rules:
                    found.append(_Match(end, end - begin, rules))
        if not found and words[-1].isascii():
            for ending in (text, text.removesuffix("s")):
                # An "s" that was taken away is a part of what was found.
                more = len(text) - len(ending)
                found += [
                    _Match(len(text), len(word) + more, self._words[word])
                    for word in self._long
                    if ending.endswith(word) and len(words[-1]) >= len(word) + more
                ]
        return found


def header_kinds(name: str, rules: Sequence[Rule]) -> Kinds:
    """What one name says of each of ``rules``; for many names make :class:`HeaderWords` once."""
    return HeaderWords(rules).kinds(name)


# ---- counting

#: Distinct values of a column are counted exactly up to here, and estimated above.
MOST_DISTINCT = 4096
#: A column is of a kind when so many of its filled cells are, and holds it when at least one is.
IS = 0.5
#: What no row of a sample showed is taken to be in fewer cells than this.
RARE = 0.005
_CERTAIN = 1.959964  # two-sided 95 %
_LOOKS = 3.0  # wider where the count is looked at again and again until it is decided


def wilson(hits: int, trials: int, z: float = _CERTAIN) -> tuple[float, float]:
    """Wilson's score interval of a share (E. B. Wilson, 1927), which holds for few trials and for shares near 0 and 1.

    >>> [round(bound, 3) for bound in wilson(98, 100)]
    [0.93, 0.994]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if trials <= 0:
        return 0.0, 1.0
    share, z2 = hits / trials, z * z
    middle = share + z2 / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    below = 1 + z2 / trials
    return max(0.0, (middle - spread) / below), min(1.0, (middle + spread) / below)


class Verdict(NamedTuple):
    """What a column holds of one kind. ``share`` of its filled cells; ``lower`` and ``upper`` bound it (95 %)."""

    kind: str
    cells: int
    share: float
    lower: float
    upper: float
    distinct: int

    @property
    def of_the_column(self) -> bool:
        """The column is of this kind, rather than holding some of it."""
        return self.lower >= IS

    @property
    def text(self) -> str:
        """Like ``phone.mobile (98 %)``."""
        percent = 100 * self.share
        return f"{self.kind} ({'<1' if percent < 1 else math.floor(percent + 0.5) if percent < 99 else math.floor(percent)} %)"


class ColumnCount:
    """Counts what is found in one column. Bounded: a counter and a :class:`Distinct` for each kind found."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.filled = 0  # cells that are not empty
        self.cells = 0
        self._hits: dict[str, int] = {}
        self._distinct: dict[str, Distinct] = {}
        self._last: dict[str, int] = {}

    def add_cells(self, filled: int, empty: int = 0) -> None:
        """So many more cells were looked at."""
        self.filled += filled
        self.cells += filled + empty

    def add(self, kind: str, rows: npt.NDArray[np.int64], hashes: Hashes) -> None:
        """Findings of a kind: their rows ascending from call to call (several in one cell count once), or any number
        that tells cells apart, and of their fingerprints the hashes (:func:`parcelveil.scan.distinct.hashes_of`)."""
        if not len(rows):
            return
        new = int(np.count_nonzero(np.diff(rows))) + (int(rows[0]) != self._last.get(kind))
        self._hits[kind] = self._hits.get(kind, 0) + new
        self._last[kind] = int(rows[-1])
        self._distinct.setdefault(kind, Distinct(MOST_DISTINCT)).add(hashes)

    def merge(self, other: ColumnCount) -> None:
        """Count what was counted in other rows of the same column (another block, another sheet of the same form)."""
        self.add_cells(other.filled, other.cells - other.filled)
        for kind, hits in other._hits.items():
            self._hits[kind] = self._hits.get(kind, 0) + hits
            self._distinct.setdefault(kind, Distinct(MOST_DISTINCT)).merge(other._distinct[kind])
        self._last.clear()

    def verdicts(self) -> list[Verdict]:
        """One a kind that was found, the surest first."""
        found = []
        for kind, hits in self._hits.items():
            trials = max(self.filled, hits)
            found.append(Verdict(kind, hits, hits / trials, *wilson(hits, trials), self._distinct[kind].count))
        return sorted(found, key=lambda verdict: (-verdict.lower, -verdict.cells, verdict.kind))

    def text(self, most: int = 3) -> str:
        """The column's kinds; where it is of none, what it holds some of; empty when nothing was found."""
        found = self.verdicts()
        own = [verdict for verdict in found if verdict.of_the_column]
        return ", ".join(verdict.text for verdict in (own or found)[:most])

    @property
    def decided(self) -> bool:
        """Whether more rows of a random sample would hardly change the verdict.

        Each kind found is surely above or surely below :data:`IS`, and a kind not found is surely below :data:`RARE`
        (1,800 filled cells). The bounds are wide enough to be asked after every batch.
        """
        if wilson(0, self.filled, _LOOKS)[1] > RARE:
            return False
        for hits in self._hits.values():
            lower, upper = wilson(min(hits, self.filled), self.filled, _LOOKS)
            if lower < IS <= upper:
                return False
        return True
