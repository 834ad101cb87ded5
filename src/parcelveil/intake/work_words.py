"""The words of work events: names of columns, names of steps, and identifiers inside URIs.

::

    >>> recognise_work(["运单号", "扫描时间", "扫描类型"])
    {'event_time': '扫描时间', 'biz_step': '扫描类型', 'waybill_no': '运单号'}
    >>> read_step("已签收"), read_step("BizStep-departing"), read_step("accepting"), read_step("eaten")
    ('delivered', 'departed', '', '?')
    >>> from_uri("urn:epc:id:sscc:0614141.1234567890"), from_uri("https://acme.example/outlets/021007")
    ('106141412345678908', '021007')
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from parcelveil.errors import HeaderError
from parcelveil.event import EMSEVT, EPCIS, BizStep
from parcelveil.intake.headers import fold

#: Folded spellings of each column, the preferred ones first.
HEADERS: dict[str, tuple[str, ...]] = {
    "event_id": ("event id", "事件编号", "事件id", "扫描流水号", "流水号", "记录编号", "scan id"),
    "event_time": (
        *(
            "event time",
            "扫描时间",
            "事件时间",
            "操作时间",
            "作业时间",
            "发生时间",
            "scan time",
            "scanned at",
            "occurred at",
        ),
        *("timestamp", "时间", "time"),
    ),
    "biz_step": (
        *(
            "biz step",
            "扫描类型",
            "事件类型",
            "操作类型",
            "作业类型",
            "动作",
            "scan type",
            "event type",
            "step",
            "status",
        ),
        *("状态", "event"),
    ),
    "emsevt": ("emsevt", "emsevt code", "emsevt代码", "upu code", "upu event code"),
    "waybill_no": (
        *(
            "waybill no",
            "epc list",
            "运单号",
            "运单号码",
            "运单编号",
            "快递单号",
            "物流单号",
            "面单号",
            "邮件号",
            "单号",
        ),
        *("waybill number", "waybill", "tracking number", "tracking no", "parcel id", "parcel no", "awb"),
    ),
    "outlet": (
        *(
            "outlet",
            "read point",
            "read point id",
            "扫描网点",
            "操作网点",
            "网点",
            "网点编号",
            "网点代码",
            "网点编码",
            "站点",
        ),
        *("outlet id", "branch", "station", "depot", "facility", "biz location", "biz location id"),
    ),
    "to_outlet": ("to outlet", "下一网点", "下一站", "目的网点", "next outlet", "next station"),
    "route_id": ("route id", "路由", "路由编号", "线路", "线路编号", "段道", "route", "route no"),
    "actor": (
        *(
            "actor",
            "快递员工号",
            "快递员编号",
            "员工号",
            "员工编号",
            "工号",
            "快递员",
            "派件员",
            "收件员",
            "扫描员",
            "操作员",
        ),
        *(
            "操作人",
            "staff no",
            "staff number",
            "staff id",
            "employee id",
            "courier id",
            "courier",
            "driver id",
            "operator",
        ),
    ),
    "device": (
        "device",
        "设备号",
        "设备编号",
        "设备",
        "巴枪号",
        "巴枪",
        "终端号",
        "pda",
        "device id",
        "scanner",
        "terminal",
    ),
    "ticket": ("ticket", "工单号", "工单编号", "工单", "ticket id", "ticket no", "case id", "case no"),
}

#: Chinese words for steps. What can mean two things (出库, 问题件) is not here.
_WORDS: dict[BizStep, str] = {
    BizStep.PICKUP_ASSIGNED: "揽收派单 揽件派单 取件派单 揽收分配",
    BizStep.POSTED: "收件 揽收 已揽收 揽件 已收件 收寄",
    BizStep.ARRIVED: "到件 到达 到站 到货 到件扫描 已到达",
    BizStep.CUSTOMS_HELD: "海关扣留 海关留存 待清关 清关中",
    BizStep.OUT_FOR_DELIVERY: "派件 派送 派送中 派件中 派件扫描 投递中 正在派送",
    BizStep.ATTEMPTED: "派送失败 派件失败 投递失败 未妥投 投递未妥投",
    BizStep.DEPARTED: "发件 发出 发往 已发出 发件扫描 离站",
    BizStep.RETURNED: "退回 退件 已退回 退签",
    BizStep.DELIVERED: "签收 已签收 妥投 已妥投 签收扫描",
    BizStep.ROUTE_RELEASED: "线路释放 路由释放",
    BizStep.ROUTE_ASSIGNED: "线路分配 路由分配",
    BizStep.TICKET_OPENED: "工单创建 工单开启 创建工单",
    BizStep.TICKET_CLOSED: "工单关闭 关闭工单 工单完结",
    BizStep.INBOUND_CALL: "来电 客户来电 呼入",
    BizStep.ORDERED: "下单 接口下单",
}
_STEPS: dict[str, BizStep] = {
    **{fold(name): step for name, step in EPCIS.items()},
    **{fold(code): step for code, step in EMSEVT.items()},
    **{fold(word): step for step, words in _WORDS.items() for word in words.split()},
    **{fold(step.value): step for step in BizStep},
}
#: The other values of EPCIS's vocabulary that a parcel's events can have: true, and not enough by themselves.
_VAGUE = frozenset(
    ("accepting", "loading", "unloading", "transporting", "storing", "consigning", "stagingoutbound", "other")
)


def recognise_work(names: Sequence[str]) -> dict[str, str]:
    """Which of a source's columns is which of ours. Raises HeaderError without a time or without any kind of step."""
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(fold(name), name)
    columns = {}
    for target, spellings in _spellings().items():
        for spelling in spellings:
            if spelling in folded:
                columns[target] = folded[spelling]
                break
    if "event_time" not in columns:
        raise HeaderError("no column with the time of the events", hint="name it event_time (docs/work-events.md)")
    if "biz_step" not in columns and "emsevt" not in columns:
        raise HeaderError("no column says what happened", hint="name it biz_step or emsevt (docs/work-events.md)")
    return columns


@functools.cache
def _spellings() -> dict[str, tuple[str, ...]]:
    return {target: tuple(fold(name) for name in (target, *names)) for target, names in HEADERS.items()}


def read_step(text: str) -> str:
    """A step's name; "" for one of EPCIS's that is not enough by itself, "?" for what is none."""
    word = fold(re.sub(r"^(cbv:)?(BizStep-)?", "", text[:200], flags=re.IGNORECASE))
    step = _STEPS.get(word)
    return step.value if step else ("" if word in _VAGUE else "?")


def from_uri(text: str) -> str:
    """The identifier in a URI: what is behind the last ``/`` or ``:``. EPC pure identities other than SSCCs stay whole."""
    lowered = text.casefold()
    if lowered.startswith("urn:epc:id:sscc:"):
        return _sscc(text[16:]) or text
    if lowered.startswith("urn:epc:") or not lowered.startswith(("urn:", "http://", "https://")):
        return text
    return re.split("[/:]", text.rstrip("/"))[-1] or text


def _sscc(parts: str) -> str | None:
    """The 18 digits of ``company.serial`` (GS1 EPC Tag Data Standard): extension digit first, check digit last."""
    match = re.fullmatch(r"(\d{6,12})\.(\d)(\d{4,10})", parts, re.ASCII)
    if not match or len(digits := match[2] + match[1] + match[3]) != 17:
        return None
    total = sum(int(digit) * (1 if at % 2 else 3) for at, digit in enumerate(digits))
    return digits + str(-total % 10)
