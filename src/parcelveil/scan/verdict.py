"""What a document is, in a line, and how bad that is: "customer list: 4,812 people".

::

    >>> facts = Facts(format="xlsx", people=4812, in_rows=True, kinds={"phone.mobile": 4812, "person.name": 4812})
    >>> judged(facts)
    ('customer list', 'high')
    >>> words("customer list", facts, "en"), words("customer list", facts, "zh")
    ('customer list: 4,812 people', '客户名单：4,812 人')

**Severity** follows the thresholds of the Chinese judicial interpretation of 8 May 2017 on infringing citizens' personal
information (Fa Shi [2017] No. 10, article 5): 500 records of data that may affect person or property, which a name with
phone and address of a parcel is, or 50 of the kinds it guards most, are a serious crime to sell, and ten times that an
especially serious one. A scan does not say that somebody committed one; it says how many records lie where anybody who
gets at them could. See :data:`HIGH`, :data:`CRITICAL`.

Only what is readable, likely and not allowed makes a verdict. What is masked or sealed is named as such.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

import msgspec

Severity = Literal["none", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

#: From so many people on a document is a list. Fewer stand in any mail or contract.
LIST = 5
#: Up to so many people, and nothing sensitive, it is a contact: a signature, a delivery note.
CONTACT = 2


class _Limit(NamedTuple):
    people: int
    sensitive: int  # of them, with an identity number, a bank account or a position


HIGH = _Limit(500, 50)
CRITICAL = _Limit(10 * HIGH.people, 10 * HIGH.sensitive)

#: Kinds of which one value is one person, or nearly: by them people are counted. A prefix, or a whole kind.
STRONG = ("id", "phone.mobile", "phone.foreign", "net.email", "chat", "card", "bank")
#: Identity documents, accounts, whereabouts: PIPL article 28, GB/T 35273-2020 annex B.
SENSITIVE = ("id", "card", "bank", "geo")
#: Of companies or of everybody: readable, and nobody's.
PUBLIC = ("org", "phone.service")

#: What kinds are called in a sentence: prefix or kind -> English, Chinese. The order is that of the sentence.
GROUPS: dict[str, tuple[str, str]] = {
    "person": ("names", "姓名"),
    "phone": ("phones", "电话"),
    "address": ("addresses", "地址"),
    "id": ("identity numbers", "证件号码"),
    "card": ("bank cards", "银行卡号"),
    "bank": ("bank accounts", "银行账号"),
    "net.email": ("e-mail addresses", "邮箱"),
    "chat": ("chat ids", "聊天账号"),
    "vehicle": ("vehicle plates", "车牌"),
    "geo": ("positions", "位置"),
    "net": ("network addresses", "网络地址"),
    "device": ("device numbers", "设备号"),
}
_OTHER = ("other personal data", "其他个人信息")

#: Formats -> what such a document is called.
_NOUNS: dict[str, tuple[str, str]] = {
    "csv": ("table", "表格"), "tsv": ("table", "表格"), "xlsx": ("table", "表格"), "xls": ("table", "表格"),
    "ods": ("table", "表格"), "parquet": ("table", "表格"), "arrow": ("table", "表格"), "sqlite": ("table", "表格"),
    "delimited": ("table", "表格"), "table": ("table", "表格"), "log": ("log", "日志"), "image": ("picture", "图片"),
    "eml": ("mail", "邮件"), "mbox": ("mail", "邮件"), "pdf": ("document", "文档"), "docx": ("document", "文档"),
    "pptx": ("document", "文档"), "html": ("page", "网页"), "sql": ("database dump", "数据库导出"),
}  # fmt: skip
_FILE = ("file", "文件")
_CHAT = ("chat", "聊天记录")
#: How exports of chats are named: their content looks like any other text.
_CHAT_NAMES = re.compile(
    r"(?<![a-z])(?:chats?|wechat|weixin|whatsapp|telegram|dingtalk)(?![a-z])|聊天|微信|钉钉|群消息"
)


def within(kind: str, prefixes: tuple[str, ...]) -> bool:
    """Whether ``kind`` is one of ``prefixes`` or lies below one."""
    return any(kind == prefix or kind.startswith(prefix + ".") for prefix in prefixes)


class Facts(msgspec.Struct, frozen=True):
    """What was counted in a document; what a verdict is made from. ``kinds``: readable, likely, not allowed."""

    format: str = ""
    name: str = ""  # source, member and part, as a person reads them
    people: int = 0
    people_exact: bool = True
    sensitive: int = 0  # people with something sensitive
    in_rows: bool = False  # most findings stand in rows of a table
    kinds: dict[str, int] = {}
    masked: int = 0
    protected: int = 0
    keys: int = 0
    unsure: int = 0  # readable, but more likely nothing, or of tier 2
    allowed: int = 0
    label: Literal["", "masked", "clear", "partly", "unknown"] = ""  # a waybill label was seen in the picture


def judged(facts: Facts) -> tuple[str, Severity]:
    """The verdict's code (a key of :data:`SAYINGS`) and its severity."""
    groups = _groups(facts)
    if not groups:
        return _without(facts), "none"
    severity = _severity(facts)
    if facts.label:
        return "clear label", severity
    told = {group for group in ("person", "address") if group in groups}
    reached = {group for group in ("phone", "net.email", "id", "chat") if group in groups}
    if facts.people >= LIST and facts.in_rows:
        if told and reached:
            return ("customer list with ids" if "id" in groups else "customer list"), severity
        return ("id list" if "id" in groups else "list"), severity
    if facts.people <= CONTACT and not facts.sensitive and reached | told:
        return "contact", severity
    return ("with people" if facts.people >= LIST else "with"), severity


def _without(facts: Facts) -> str:
    """The code of a document without readable personal data."""
    if facts.label == "masked":
        return "masked label"
    for code, count in (("masked", facts.masked), ("sealed", facts.protected), ("unsure", facts.unsure)):
        if count:
            return code
    if facts.kinds:
        return "public"
    if facts.allowed:
        return "allowed"
    return "keys" if facts.keys else "nothing"


def _groups(facts: Facts) -> list[str]:
    """Groups that the readable kinds belong to, in the order of :data:`GROUPS`; those nobody knows come last, as "?"."""
    found = set()
    for kind in facts.kinds:
        if not within(kind, PUBLIC):
            names = [name for name in GROUPS if within(kind, (name,))]
            found.add(max(names, key=len) if names else "?")
    return [name for name in (*GROUPS, "?") if name in found]


def _severity(facts: Facts) -> Severity:
    for severity, limit in (("critical", CRITICAL), ("high", HIGH), ("medium", _Limit(LIST, 1))):
        if facts.people >= limit.people or facts.sensitive >= limit.sensitive:
            return severity  # type: ignore[return-value]
    return "low"


#: Code -> English and Chinese. {people}, {what} (kinds), {noun} (kind of document), {count} as fits.
SAYINGS: dict[str, tuple[str, str]] = {
    "customer list": ("customer list: {people} people", "客户名单：{people} 人"),
    "customer list with ids": (
        "customer list with identity numbers: {people} people",
        "含证件号码的客户名单：{people} 人",
    ),
    "id list": ("list of identity numbers: {people} people", "证件号码名单：{people} 人"),
    "list": ("list of {what}: {people} people", "{what}名单：{people} 人"),
    "with people": ("{noun} with {what}: {people} people", "含{what}的{noun}：{people} 人"),
    "with": ("{noun} with {what}", "含{what}的{noun}"),
    "contact": ("a single contact: {what}", "个别联系人：{what}"),
    "clear label": ("waybill label with readable {what}", "快递面单，{what}未脱敏"),
    "masked label": ("waybill label, masked", "快递面单，已脱敏"),
    "masked": ("already masked", "已脱敏"),
    "sealed": ("sealed by parcelveil, or virtual numbers", "已由 parcelveil 加密，或为虚拟号码"),
    "keys": ("waybill or order numbers only", "仅有运单号或订单号"),
    "public": ("public numbers only", "仅有公开号码"),
    "unsure": ("nothing certain: {count} weak findings", "无确定结果：{count} 处存疑"),
    "allowed": ("allowed: {count} findings", "已允许：{count} 处"),
    "nothing": ("nothing found", "未发现"),
}


def words(code: str, facts: Facts, language: Literal["en", "zh"]) -> str:
    """The verdict in words."""
    side = 1 if language == "zh" else 0
    names = [(GROUPS.get(group, _OTHER))[side] for group in _groups(facts)]
    joint = "、" if side else ", "
    last = "和" if side else " and "
    what = names[0] if len(names) == 1 else joint.join(names[:-1]) + last + names[-1] if names else ""
    about = "" if facts.people_exact else ("约 " if side else "about ")
    count = facts.unsure if code == "unsure" else facts.allowed
    return SAYINGS[code][side].format(
        people=f"{about}{facts.people:,}", what=what, noun=noun_of(facts)[side], count=f"{count:,}"
    )


def noun_of(facts: Facts) -> tuple[str, str]:
    """What such a document is called, in English and Chinese."""
    if _CHAT_NAMES.search(facts.name.lower()):
        return _CHAT
    return _NOUNS.get(facts.format.partition(" ")[0], _NOUNS["table"] if facts.in_rows else _FILE)
