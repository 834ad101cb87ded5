"""Masks: text that is safe to show in place of a personal value.

GB/T 41833-2022 asks to hide at least one character of a name, six digits of a phone number and all of an
address below its road. Every mask here is an allow-list over *any* input: what is not recognised as public is
hidden, so a phone number typed into the name column shows nothing::

    >>> import pyarrow as pa
    >>> mask_column(pa.array(["李雷", "欧阳娜娜", "John Doe", "13812345678"]), "name").to_pylist()
    ['李**', '欧阳**', 'J**', '**']
    >>> mask_column(pa.array(["+8613812345678", "+8617012345678;ext=1234", "95338"]), "phone").to_pylist()
    ['138******78', '170******78-****', '******']

The number of stars is constant, so that lengths do not leak. Null stays null. :func:`violations` checks a
mask, whoever made it, against the same rules without using this module's patterns::

    >>> violations("+8613812345678", "138****5678", "phone")
    ['138****5678 hides 4 digits, 6 required', '138****5678 shows 7 digits, at most 5 allowed']

==========  ================================================================================
kind        shown
==========  ================================================================================
name        the first letter; a compound surname (欧阳) of a name of three or more characters
company     the legal form: `**有限公司`, `** GmbH`
phone       mainland mobile `138******78`, landline `0571-********`, `400*******`, others
            country code and two digits, `+1********23`; an extension is always `-****`
email       the provider, if it is a well-known public one: `**@qq.com`
address     see :mod:`parcelveil.seal.mask_address`
goods, note, id_number   nothing
==========  ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import UsageError
from parcelveil.seal.mask_address import HIDDEN, mask_address
from parcelveil.seal.mask_check import violations

__all__ = ["HIDDEN_PHONE", "KINDS", "mask_column", "once_each", "violations"]

HIDDEN_PHONE = "******"
_SAMPLE = 512

COMPOUND_SURNAMES = (
    "欧阳 上官 皇甫 令狐 司徒 诸葛 司马 宇文 呼延 乐正 东方 尉迟 公孙 轩辕 慕容 夏侯 端木 百里 东郭 南宫 西门 长孙 独孤 "
    "申屠 公冶 太史 淳于 单于 闻人 澹台 濮阳 拓跋 赫连 钟离 鲜于 完颜 纳兰 歐陽 司馬 諸葛 尉遲 公孫 慕容 東方 長孫"
).split()
#: Scripts whose letters may stand for a name. Han numerals are left out: they may be a phone number.
_NUMERAL = r"[\pN〇零一二三四五六七八九十两兩壹贰叁肆柒捌玖拾]"  # 伍 and 陆 are common surnames
_INITIAL = (
    r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Arabic}\p{Thai}\p{Devanagari}\p{Hangul}"
    r"\p{Hiragana}\p{Katakana}\p{Han}]"
)

_COMPANY_FORMS = (
    "有限责任公司|股份有限公司|集团有限公司|有限公司|分公司|公司|合伙企业|合作社|事务所|工厂|厂|"
    "有限責任公司|股份有限公司|株式会社|合同会社|주식회사"
)
_LATIN_FORMS = (
    "Co., Ltd.|Co., Ltd|Co. Ltd|CO., LTD.|CO., LTD|Pty Ltd|Pte Ltd|Ltd.|Ltd|LTD.|LTD|Limited|GmbH & Co. KG|GmbH|AG|KG|UG|"
    "Inc.|Inc|INC|LLC|LLP|PLC|plc|Corp.|Corp|Corporation|Company|B.V.|BV|N.V.|NV|S.A.|SA|SAS|SARL|SRL|S.r.l.|S.p.A.|"
    "SpA|SL|S.L.|Oy|AB|AS|A/S|ApS|K.K."
)

_PROVIDERS = (
    "qq.com foxmail.com 163.com 126.com yeah.net 139.com 189.cn wo.cn sina.com sina.cn sohu.com aliyun.com 21cn.com tom.com "
    "gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com yahoo.co.jp yahoo.co.uk icloud.com me.com "
    "mac.com aol.com gmx.de gmx.net web.de t-online.de proton.me protonmail.com mail.ru yandex.ru naver.com daum.net "
    "hanmail.net orange.fr free.fr laposte.net libero.it"
).split()

_EXTENSION = r"(?:;ext=[0-9]{1,8})"
#: ITU-T E.164 country codes by their length, 86 left out: a Chinese number that is none of ours stays hidden.
_COUNTRY = (
    r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[124]|9[0-58]|"
    r"2[1-689][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|6[7-9][0-9]|8[05789][0-9]|96[0-8]|97[0-7]|99[2-8]"
)
#: (pattern, mask, mask with an extension). Each pattern takes the whole number, then an optional extension.
_PHONES: tuple[tuple[str, str, str], ...] = (
    (r"(?:\+86)?[ -]?(1[3-9][0-9])[ -]?[0-9]{4}[ -]?[0-9]{2}([0-9]{2})", r"\1******\2", r"\1******\2-****"),
    (r"\+86([48]00)[0-9]{7}", r"\1*******", r"\1*******-****"),
    (r"\+86(10|2[0-9])[0-9]{8}", r"0\1-********", r"0\1-********-****"),
    (r"\+86([3-9][0-9]{2})[0-9]{7,8}", r"0\1-********", r"0\1-********-****"),
    (rf"\+({_COUNTRY})[0-9]{{6,10}}([0-9]{{2}})", r"+\1********\2", r"+\1********\2-****"),
)


def mask_column(values: pa.StringArray, kind: str) -> pa.StringArray:
    """The masks of a column.

    Args:
        values: shape (n,), clear text; any text is allowed, null stays null.
        kind: one of :data:`KINDS`, as :func:`parcelveil.waybill.kind_of` gives it.

    Returns:
        shape (n,), never empty text.

    Raises:
        UsageError: ``kind`` is none of :data:`KINDS`.
    """
    mask = _MASKS.get(kind)
    if mask is None:
        raise UsageError(
            "there is no mask for the kind {kind}", hint="use one of: {kinds}", kind=kind, kinds=", ".join(KINDS)
        )
    return once_each(values, mask)


def once_each(values: pa.Array, work: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """``work(values)``, done once for each distinct value where a look at the first ones says that they repeat.

    Senders are merchants with many parcels each; recipients hardly repeat.
    """
    sample = values.slice(0, _SAMPLE)
    if len(sample) < _SAMPLE or len(pc.unique(sample)) > _SAMPLE * 3 // 4:
        return work(values)
    encoded = values.dictionary_encode()
    return work(encoded.dictionary).take(encoded.indices)


def _all_hidden(values: pa.StringArray) -> pa.StringArray:
    return _constant(values, HIDDEN)


def _constant(values: pa.StringArray, text: str) -> pa.StringArray:
    return pc.if_else(pc.is_valid(values), text, pa.scalar(None, pa.string()))


def _name(values: pa.StringArray) -> pa.StringArray:
    values = pc.utf8_trim_whitespace(values)
    first = pc.utf8_slice_codeunits(values, 0, 1)
    # A second letter must be there: of a name of one letter (or `李**`) the first letter would be all of it.
    shown = pc.match_substring_regex(values, rf"(?s)^{_INITIAL}.*?\pL")
    first_two = pc.utf8_slice_codeunits(values, 0, 2)
    compound = pc.is_in(first_two, value_set=pa.array(COMPOUND_SURNAMES))
    if pc.any(compound).as_py():
        compound = pc.and_(compound, pc.match_substring_regex(values, r"(?s)^...*?\pL"))
        first = pc.if_else(compound, first_two, first)
    shown = pc.and_not(shown, pc.match_substring_regex(first, f"^{_NUMERAL}"))
    return pc.if_else(shown, pc.binary_join_element_wise(first, HIDDEN, ""), HIDDEN)


def _company(values: pa.StringArray) -> pa.StringArray:
    masks = _all_hidden(values)
    han = pc.match_substring_regex(values, rf"(?s)\S\s*(?:{_COMPANY_FORMS})\s*$")
    masks = _put(masks, han, values, rf"(?s)^.*?\S\s*({_COMPANY_FORMS})\s*$", rf"{HIDDEN}\1")
    latin = pc.match_substring_regex(values, rf"(?s)\S[\s,]+(?:{_LATIN_FORMS})\s*$")
    return _put(masks, latin, values, rf"(?s)^.*?\S[\s,]+({_LATIN_FORMS})\s*$", rf"{HIDDEN} \1")


def _phone(values: pa.StringArray) -> pa.StringArray:
    return _phones(
        values, [(f"^{p}$", plain) for p, plain, _ in _PHONES] + [(f"^{p}{_EXTENSION}$", ext) for p, _, ext in _PHONES]
    )


def _phones(values: pa.StringArray, forms: list[tuple[str, str]]) -> pa.StringArray:
    """The mask of the first of ``forms`` that fits; each form is asked only of what no earlier one took."""
    if not forms or not len(values):
        return _constant(values, HIDDEN_PHONE)
    (pattern, mask), *others = forms
    found = pc.fill_null(pc.match_substring_regex(values, pattern), False)
    taken = int(pc.sum(found).as_py() or 0)
    if taken == len(values):
        return pc.replace_substring_regex(values, pattern, mask)
    if not taken:
        return _phones(values, others)
    left = pc.invert(found)
    masks = pc.replace_with_mask(values, found, pc.replace_substring_regex(values.filter(found), pattern, mask))
    return pc.replace_with_mask(masks, left, _phones(values.filter(left), others))


def _email(values: pa.StringArray) -> pa.StringArray:
    provider = "|".join(name.replace(".", r"\.") for name in _PROVIDERS)
    lower = pc.ascii_lower(values)
    public = pc.match_substring_regex(lower, rf"^[^@]+@(?:{provider})$")
    mail = pc.match_substring(values, "@")
    masks = pc.if_else(mail, f"{HIDDEN}@{HIDDEN}", HIDDEN)
    return _put(masks, public, lower, r"(?s)^.*@", f"{HIDDEN}@")


def _put(
    masks: pa.StringArray, where: pa.BooleanArray, values: pa.StringArray, pattern: str, by: str
) -> pa.StringArray:
    """``masks``, where ``where`` is true replaced by ``values`` with ``pattern`` turned into ``by``."""
    where = pc.fill_null(where, False)
    if not pc.any(where).as_py():
        return masks
    if pc.all(where).as_py():
        return pc.replace_substring_regex(values, pattern, by)
    return pc.replace_with_mask(masks, where, pc.replace_substring_regex(values.filter(where), pattern, by))


_MASKS: dict[str, Callable[[pa.StringArray], pa.StringArray]] = {
    "name": _name,
    "company": _company,
    "phone": _phone,
    "email": _email,
    "address": mask_address,
    "goods": _all_hidden,
    "note": _all_hidden,
    "id_number": _all_hidden,
}

#: The kinds of personal data that have a mask.
KINDS = tuple(_MASKS)
