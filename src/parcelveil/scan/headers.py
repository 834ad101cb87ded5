"""Whether a record is a header, and of which words a column's name is made.

::

    >>> looks_like_header(["姓名", "电话"], ["张三", "13800138000"])
    True
    >>> looks_like_header(["张三", "13800138000"], ["李四", "13800138001"])
    False
    >>> words_of("receiverMobile_No1"), words_of("收件人电话(TEL)")
    (['receiver', 'mobile', 'no', '1'], ['收件人电话', 'tel'])

A header's cells stand in findings as names of columns, so data must not be taken for one: a first record of people
and addresses without a header would be printed. Hence a header has to name things that headers name.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence

from parcelveil.scan.rules import builtin, rules_of

#: A name of a column that is longer is a sentence, or data.
LONGEST_NAME = 80
#: Of the filled cells so many have to be known words.
_KNOWN_SHARE = 0.3
_PARTS = re.compile(r"[^\W_]+")
_SEAMS = re.compile(
    # camelCase, HTTPServer, and where digits end
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])"
    # between ASCII and the rest
    r"|(?<=[A-Za-z0-9])(?=[^\x00-\x7f])|(?<=[^\x00-\x7f])(?=[A-Za-z0-9])"
)
#: Words of headers that no rule needs. Latin ones are whole words, Chinese ones end a name and are no given name.
_LATIN = frozenset(
    """
    account action addr address adr age agent amount area at attr birthday body branch brand by carrier category cell
    channel city class client cod code col color column comment comments company contact content cost count country
    county courier created currency customer data date day department dept desc description dest detail device district
    email end error event express fax field file first flag from full gender goods group height host hour id idx index
    info invoice ip item job key kind lang last lat latitude length level line lineitem link lng location log lon
    longitude mail memo message method mobile model month msg name nation nick no note notes num number order origin
    outlet owner page parcel password path pay payment phone pid pieces platform position postal postcode price product
    province qty quantity rate reason receiver recipient ref region remark remarks result role route row salary sales
    sender seq serial sex ship shipper shipping shop size sku source start state status store street subject sum table
    tag tags tel telephone text ticket time timestamp title to token total town tracking type uid unit updated url user
    username uuid value version volume waybill weight width year zip zipcode
    """.split()
)
_CHINESE = tuple(
    """
    姓名 名称 名字 电话 手机 号码 地址 编号 单号 序号 工号 账号 帐号 卡号 证号 型号 批号 货号 日期 时间 状态 备注 说明 描述
    内容 类型 类别 种类 分类 等级 级别 数量 件数 次数 金额 单价 总价 价格 费用 运费 货款 重量 体积 尺寸 规格 颜色 单位
    部门 职位 职务 岗位 网点 站点 平台 渠道 来源 店铺 门店 商家 卖家 买家 客户 顾客 用户 会员 商品 货品 物品 品名
    省份 城市 区县 国家 邮编 邮箱 邮件 性别 年龄 生日 民族 籍贯 学历 身份证 护照 证件 银行 户名
    开户行 收件人 寄件人 收货人 发货人 发件人 联系人 经办人 负责人 快递员 签收人 操作人 业务员 司机 员工 车牌 车牌号 微信
    微信号 留言 原因 结果 标题 主题 操作 链接 网址 版本 线路 方式 收方 寄方
    """.split()
)
#: These end addresses and names of companies too: they have to be all of a name, but for whose side it is.
_CHINESE_ALONE = frozenset(
    "省 市 区 县 镇 乡 省市 省市区 地区 街道 乡镇 大区 片区 区域 公司 快递 物流 站 店 号 码 址 年 月 日 人 时 量 价 男女".split()
)
_SIDES = re.compile("^(?:收件|收货|寄件|发件|发货|收|寄|发|派件|揽收|所在|所属|目的|始发)(?:人|方|地)?")


@functools.cache
def _rule_words() -> frozenset[str]:
    rules = rules_of(builtin())
    return frozenset(joined(words_of(word)) for rule in rules for word in rule.columns)


def words_of(name: str) -> list[str]:
    """The words of a column's name in lower case, of compatibility forms, without what stands between them.

    >>> words_of("ＴＥＬ-no.")
    ['tel', 'no']
    """
    text = unicodedata.normalize("NFKC", name[:1000])
    return [word.casefold() for part in _PARTS.findall(text) for word in _SEAMS.split(part)]


def joined(words: Iterable[str]) -> str:
    """Words as rules write them: ``phonenumber`` for ``phone_number`` and ``PhoneNumber``."""
    return "".join(words)


def is_header_word(cell: str) -> bool:
    """Whether a cell names what headers name."""
    words = words_of(cell)
    text = joined(words)
    if not words or len(cell) > LONGEST_NAME:
        return False
    if text in _rule_words():
        return True
    if text.isascii():
        # Written with blanks it may be a street or a person: then every word has to be known.
        known = [word in _LATIN for word in words if not word.isdigit()]
        return all(known) and known != [] if " " in cell.strip() else any(known)
    plain = text.rstrip("0123456789")
    if sum(map(str.isdigit, text)) > 1:
        return False
    return plain.endswith(_CHINESE) or plain in _CHINESE_ALONE or _SIDES.sub("", plain) in _CHINESE_ALONE


def looks_like_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first of two records names columns rather than holding data. ``second`` may be empty: unknown."""
    names = [cell.strip() for cell in first if cell.strip()]
    if not names or len(names) * 2 < len(first) or list(first) == list(second):
        return False
    if any(_is_value(name) for name in names) or len(set(names)) * 4 < len(names) * 3:
        return False
    if sum(map(_is_name, names)) * 10 < len(names) * 9:
        return False
    return sum(map(is_header_word, names)) >= max(1.0, len(names) * _KNOWN_SHARE)


def shown(cell: str) -> str:
    """A header's cell as the name of its column; empty when it is none and might be data."""
    cell = " ".join(cell.split())
    return cell if _is_name(cell) and not _is_value(cell) else ""


def _is_name(cell: str) -> bool:
    letters = sum(character.isalpha() for character in cell)
    digits = sum(character.isdigit() for character in cell)
    return letters > 0 and digits <= max(2, letters) and len(cell) <= LONGEST_NAME


def _is_value(cell: str) -> bool:
    """What no header holds: an e-mail address, or as many digits as a phone has."""
    return "@" in cell or sum(character.isdigit() for character in cell) >= 7
