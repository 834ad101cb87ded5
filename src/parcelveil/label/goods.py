"""Goods and remarks on a label: a category may stand there, a name of the goods or a wish may not.

::

    >>> goods("品名: 连衣裙 重量: 0.5kg", ""), goods("品名: 服装 件数 1", ""), goods("内件: **", "")
    ('连衣裙', '', '')
    >>> remark("备注: 放门口"), remark("备注: 易碎 轻放")
    ('放门口', '')
"""

from __future__ import annotations

import re

_CUE = (
    r"(?:品名|内件品名|内件名称|内件|物品名称|物品信息|物品|商品名称|商品信息|商品|货品名称|货品|货物名称|货物|托寄物|寄托物|"
    r"托寄品|寄递物品|托寄内容)"
)
_GOODS = re.compile(
    rf"{_CUE}(?: ?:\s*|\s+)|\b(?:contents?|description(?: of goods)?|goods(?: name)?|items?) ?:\s*", re.IGNORECASE
)
_ONLY_CUE = re.compile(rf"\s*{_CUE}\s*:?\s*")
_REMARK = re.compile(
    r"(?:备注|備註|买家留言|卖家备注|留言)\s*[: ]\s*(.+)|\b(?:remarks?|notes?|instructions) ?:\s*(.+)", re.IGNORECASE
)
_NEXT = re.compile(
    r"\s{2,}|[|]|\s*(?:重量|净重|毛重|件数|数量|付款|运费|备注|保价|体积|代收|声明|尺寸|打印|weight|pieces|pcs|qty|value)[\s:]",
    re.IGNORECASE,
)
_CATEGORIES = frozenset(
    "文件 文件类 单证 服装 服饰 服饰鞋帽 服装鞋帽 鞋服 衣物 衣服 鞋帽 鞋靴 鞋类 箱包 配饰 饰品 日用品 日用 日用百货 百货 生活用品 食品 食品类 "
    "食品生鲜 生鲜 水果 蔬果 农产品 特产 冷冻品 电子产品 电子 数码 数码产品 数码配件 手机配件 电器 家电 家用电器 小家电 化妆品 美妆 美妆个护 "
    "洗护 个护 图书 书籍 书刊 图书文件 印刷品 文具 办公用品 玩具 母婴 母婴用品 家居 家居用品 家居工具 家纺 家具 建材 五金 五金工具 配件 零件 "
    "汽配 汽车配件 机械配件 药品 医药 医药健康 保健品 医疗器械 礼品 工艺品 样品 物品 包裹 普货 货样 其他 其它 其他物品 无 体育用品 运动户外 "
    "宠物用品 花卉 绿植 珠宝 鲜花 冷链 证件 票据 "
    "documents document clothing clothes apparel shoes food electronics cosmetics books toys home household daily health medicine "
    "gift gifts goods other others sample samples appliances baby parts general merchandise".split()
) | {"daily goods", "daily necessities", "home and tools", "general goods", "personal care", "books and documents"}
_HANDLING = frozenset(
    "易碎 易碎品 轻放 小心轻放 请勿倒置 向上 防潮 防水 加急 生鲜 冷藏 冷冻 无 勿压 请勿重压 fragile urgent none cold frozen "
    "handle with care this side up keep dry do not bend stack".split()
)


def goods(text: str, before: str) -> str:
    """The goods' name in a folded line, or in one behind a line that announces it; empty when there is none."""
    starts = [match.end() for match in _GOODS.finditer(text)]
    if not starts and _ONLY_CUE.fullmatch(before):
        starts = [0]
    return next((value for start in starts if (value := _named(text[start:].strip()))), "")


def _named(text: str) -> str:
    """The goods' name at the start of a text; empty when it is hidden, or a category."""
    value = re.sub(r" ?\*[0-9]{1,4}$", "", _NEXT.split(text, maxsplit=1)[0].strip(" :,;."))  # two pieces: 袜子*2
    if not value or "*" in value or not re.search(r"[^\W\d_]", value):
        return ""
    parts = [part.strip().lower() for part in re.split(r"[/,;、+&]|\band\b", value)]
    known = value.lower() in _CATEGORIES or all(part.removesuffix("类") in _CATEGORIES for part in parts if part)
    return "" if known else value


def remark(text: str) -> str:
    """The remark in a folded line, unless it only says how to handle the parcel; empty when there is none."""
    match = _REMARK.search(text)
    value = (match[1] or match[2] or "").strip() if match else ""
    words = [word for word in re.split(r"[\s,;、/.!]+", value.lower()) if word]
    if not value or "*" in value or all(word in _HANDLING for word in words) or not re.search(r"[^\W_]", value):
        return ""
    return value
