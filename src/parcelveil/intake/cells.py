"""What single cells say: text, times, amounts and countries, a column at a time.

::

    >>> parse_amounts(pa.array(["1.5", "800g", "1,200 克", "heavy"]), "weight_g", "kg")
    (array([1500,  800, 1200,    0]), array([False, False, False,  True]))
    >>> times, bad = parse_times(pa.array(["2026-11-23 08:15:00", "2026年11月23日", "23/11/26"]), utc_offset_minutes=480)
    >>> times[:2].astype("datetime64[us]").astype(str).tolist(), bad.tolist()
    (['2026-11-23T00:15:00.000000', '2026-11-22T16:00:00.000000'], [False, False, True])

The common spellings are read by array operations; each odd one is read once a distinct value, in exact decimals.
What is not certain is not guessed: ``11/23/2026``, a spreadsheet's day number and ``1.234,50`` are malformed.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_BLANKS = "".join(chr(c) for c in (*range(0x21), 0x7F, 0x85, 0xA0, 0x1680, *range(0x2000, 0x2010), 0x2028, 0x2029))
_BLANKS += "\u202f\u205f\u2060\u3000\ufeff"
#: Control characters, line separators and characters that turn the reading direction around.
CONTROLS = r"[\x{00}-\x{1f}\x{7f}-\x{9f}\x{2028}-\x{202e}\x{2066}-\x{2069}]"
_FIRST_YEAR, _END_YEAR = 2000, 2100
_FIRST = int(np.datetime64(f"{_FIRST_YEAR}-01-01", "us").astype(np.int64))
_END = int(np.datetime64(f"{_END_YEAR}-01-01", "us").astype(np.int64))
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_TIME = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年 ?(\d{1,2})月 ?(\d{1,2})日)"
    r"(?:[ T]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:[.,](\d{1,9}))?秒?|分)?)?"
    r" *(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?",
    re.ASCII,
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?", re.ASCII)
_PLAIN_AMOUNT = r"^[0-9]{1,13}(\.[0-9]{1,4})?$"
_AMOUNT = re.compile(
    r"(?:CNY|RMB|USD|EUR|[¥￥$€£])? ?(\d{1,3}(?:,\d{3})+|\d{1,15})(\.\d{1,12})? ?"
    r"(kgs?|千克|公斤|grams?|g|克|斤|lbs?|oz|元|件|个|pcs?|CNY|RMB|USD|EUR)?",
    re.ASCII | re.IGNORECASE,
)
_GRAMS = {"kg": "1000", "千克": "1000", "公斤": "1000", "g": "1", "gram": "1", "克": "1", "斤": "500"}
_GRAMS |= {"lb": "453.59237", "oz": "28.349523125"}
_CURRENCIES = {
    "RMB": "CNY",
    "人民币": "CNY",
    "元": "CNY",
    "¥": "CNY",
    "￥": "CNY",
    "美元": "USD",
    "$": "USD",
    "€": "EUR",
}
_COUNTRIES = {
    **dict.fromkeys(("中国", "中国大陆", "中华人民共和国", "china", "mainlandchina", "prchina", "prc", "chn"), "CN"),
    **dict.fromkeys(("香港", "中国香港", "hongkong", "hongkongsarchina", "hkg"), "HK"),
    **dict.fromkeys(("澳门", "中国澳门", "macau", "macao", "macaosarchina", "mac"), "MO"),
    **dict.fromkeys(("台湾", "中国台湾", "taiwan", "twn"), "TW"),
    **dict.fromkeys(("美国", "unitedstates", "unitedstatesofamerica", "usa"), "US"),
    **dict.fromkeys(("英国", "unitedkingdom", "greatbritain", "uk", "gbr"), "GB"),
    **dict.fromkeys(("韩国", "southkorea", "korea", "republicofkorea", "kor"), "KR"),
    **dict.fromkeys(("俄罗斯", "russia", "russianfederation", "rus"), "RU"),
    **dict.fromkeys(("日本", "japan", "jpn"), "JP"),
    **dict.fromkeys(("德国", "germany", "deutschland", "deu"), "DE"),
    **dict.fromkeys(("法国", "france", "fra"), "FR"),
    **dict.fromkeys(("加拿大", "canada", "can"), "CA"),
    **dict.fromkeys(("澳大利亚", "australia", "aus"), "AU"),
}


def as_text(column: pa.Array, name: str, *, personal: bool) -> tuple[pa.StringArray, Bools | None]:
    """``column`` as text, and where its numbers have lost digits (None: nowhere).

    Whole floats below 2^53 are given without ``.0``. Raises InputError, naming column ``name`` and the type, for a
    type that is no text, nor (unless ``personal``) a date or a truth value.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind):
        return column, None
    try:
        if pa.types.is_floating(kind):
            return _floats_as_text(column)
        textual = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind)
        dated = pa.types.is_temporal(kind) or pa.types.is_boolean(kind)
        if textual or pa.types.is_integer(kind) or pa.types.is_decimal(kind) or (dated and not personal):
            return column.cast(pa.string()), None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowCapacityError):
        pass
    raise unusable_type(name, kind)


def unusable_type(name: str, kind: pa.DataType) -> InputError:
    return InputError(
        "column {column} has type {type}", hint="export it as text", column=name, type=re.sub(r"<.*", "", str(kind))
    )


#: Nine digits are no phone and no waybill number yet.
_ROUNDED_FROM = 1e9


def _floats_as_text(column: pa.Array) -> tuple[pa.StringArray, Bools | None]:
    limit = 2.0 ** {"halffloat": 11, "float": 24}.get(str(column.type), 53)
    doubles = column.cast(pa.float64())
    values = doubles.fill_null(0.0).to_numpy(zero_copy_only=False)
    known = doubles.is_valid().to_numpy(zero_copy_only=False) & ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        whole = known & (np.abs(values) < limit) & (np.floor(values) == values)
    ints = pa.array(np.where(whole, values, 0.0).astype(np.int64), mask=~whole).cast(pa.string())
    # 1.38E+10 became a whole number too: one number in a million really ends in six zeros, rounded ones all do.
    lost = known & ~whole | (whole & (np.abs(values) >= _ROUNDED_FROM) & (values % 10**6 == 0))
    if not lost.any():
        return ints, None
    odd = pa.array(values, mask=~(known & ~whole)).cast(pa.string())
    return pc.coalesce(ints, odd), lost


def clean(values: pa.StringArray, *, apostrophe: bool = False, null_words: bool = False) -> pa.StringArray:
    """Trimmed text, null where nothing is left; without a spreadsheet's leading ``'`` if ``apostrophe``, and without
    ``null``, ``NULL`` and ``\\N`` if ``null_words``."""
    values = pc.utf8_trim(values, characters=_BLANKS)
    if apostrophe:
        values = pc.utf8_ltrim(values, characters="'’" + _BLANKS)
    empty = pc.equal(pc.binary_length(values), 0)
    if null_words:
        empty = pc.or_(empty, pc.is_in(values, value_set=pa.array(["null", "NULL", "\\N"])))
    if pc.any(empty).as_py():
        return pc.if_else(empty, pa.scalar(None, pa.string()), values)
    return values


def may_have_controls(values: pa.StringArray) -> bool:
    """Whether any value may have a character of :data:`CONTROLS`: a look at the bytes, far quicker than a regex."""
    data, offsets = _bytes(values)
    data = data[offsets[0] : offsets[-1]]
    return bool(data.size) and bool(
        data.min() < 0x20 or (data == 0x7F).any() or (data == 0xC2).any() or (data == 0xE2).any()
    )


def blank_controls(values: pa.StringArray) -> tuple[pa.StringArray, int]:
    """``values`` with each run of control characters made one blank, and how many values had any."""
    if not may_have_controls(values):
        return values, 0
    count = pc.sum(pc.match_substring_regex(values, CONTROLS)).as_py() or 0
    if not count:
        return values, 0
    return clean(pc.replace_substring_regex(values, CONTROLS + "+", " ")), count


def longer_than(values: pa.StringArray, size: int) -> Bools:
    """Where a value has more than ``size`` bytes."""
    _, offsets = _bytes(values)
    longer: Bools = np.diff(offsets) > size
    if values.null_count and longer.any():
        longer &= values.is_valid().to_numpy(zero_copy_only=False)
    return longer


def _bytes(values: pa.StringArray) -> tuple[npt.NDArray[np.uint8], Ints]:
    _, ends, data = values.buffers()
    if ends is None or ends.size == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), offsets


def _by_distinct(values: pa.StringArray, read: Callable[[str], int | None]) -> tuple[Ints, Bools]:
    """``read`` of each value, called once a distinct one; where it gave None. Nulls read as 0."""
    encoded = values.dictionary_encode()
    answers = [read(text) for text in encoded.dictionary.to_pylist()]
    known = np.array([answer or 0 for answer in answers] + [0], dtype=np.int64)
    wrong = np.array([answer is None for answer in answers] + [False])
    at = encoded.indices.fill_null(len(answers)).to_numpy(zero_copy_only=False)
    return known[at], wrong[at]


def parse_times(values: pa.StringArray, utc_offset_minutes: int) -> tuple[Ints, Bools]:
    """Microseconds since 1970 UTC of each text, and where it is no time; what names no zone is at the given offset.

    Times before 2000 or from 2100 on are given as they are; a null gives 0.
    """
    times = np.zeros(len(values), np.int64)
    bad = np.zeros(len(values), np.bool_)
    data, offsets = _bytes(values)
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    left = valid.copy()
    for length in (19, 10, 16):
        at = np.flatnonzero(left & (np.diff(offsets) == length))
        if at.size:
            read, good = _fixed_times(data[offsets[at][:, None] + np.arange(length)], utc_offset_minutes)
            times[at[good]] = read[good]
            left[at[good]] = False
    odd = np.flatnonzero(left)
    if odd.size:
        reader = functools.partial(_read_time, utc_offset_minutes=utc_offset_minutes)
        times[odd], bad[odd] = _by_distinct(values.take(pa.array(odd)), reader)
    return times, bad


def _fixed_times(text: npt.NDArray[np.uint8], utc_offset_minutes: int) -> tuple[Ints, Bools]:
    """Times from rows of the bytes of ``YYYY-MM-DD``, ``… HH:MM`` or ``… HH:MM:SS``; where they are such."""
    length = text.shape[1]
    good = (text[:, 4] == text[:, 7]) & ((text[:, 4] == ord("-")) | (text[:, 4] == ord("/")))
    digits = [0, 1, 2, 3, 5, 6, 8, 9]
    if length > 10:
        good &= (text[:, 10] == ord(" ")) | (text[:, 10] == ord("T"))
        digits += [11, 12, 14, 15]
        good &= text[:, 13] == ord(":")
    if length > 16:
        good &= text[:, 16] == ord(":")
        digits += [17, 18]
    figures = text - np.uint8(ord("0"))
    good &= (figures[:, digits] <= 9).all(axis=1)
    figures = np.where(good[:, None], figures, 1).astype(np.int64)

    def two(at: int) -> Ints:
        number: Ints = figures[:, at] * 10 + figures[:, at + 1]
        return number

    year, month, day = two(0) * 100 + two(2), two(5), two(8)
    hour, minute = (two(11), two(14)) if length > 10 else (year * 0, year * 0)
    second = two(17) if length > 16 else year * 0
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good &= (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    good &= day <= _MONTH_DAYS[np.clip(month, 0, 12)] - ((month == 2) & ~leap)
    days = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    return ((days * 24 + hour) * 60 + minute - utc_offset_minutes) * 60_000_000 + second * 1_000_000, good


def _read_time(text: str, utc_offset_minutes: int) -> int | None:
    text = unicodedata.normalize("NFKC", text[:80]).strip()
    if match := _COMPACT.fullmatch(text):
        numbers, fraction, zone = [int(number or 0) for number in match.groups()], "", None
    elif match := _TIME.fullmatch(text):
        year, _, month, day, month_zh, day_zh, *clock, fraction, zone = match.groups()
        numbers = [int(number or 0) for number in (year, month or month_zh, day or day_zh, *clock)]
    else:
        return None
    minutes = utc_offset_minutes
    if zone:
        sign = -1 if zone[0] == "-" else 1
        figures = zone[1:].replace(":", "").ljust(4, "0")
        minutes = sign * (int(figures[:2]) * 60 + int(figures[2:])) if figures.isdigit() else 0
    try:
        at = datetime(*numbers, tzinfo=timezone(timedelta(minutes=minutes)))  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    whole = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return whole * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])


def out_of_range(times: Ints) -> Bools:
    """Where microseconds since 1970 are before 2000 or from 2100 on."""
    out: Bools = (times < _FIRST) | (times >= _END)
    return out


def parse_amounts(values: pa.StringArray, target: str, unit: str) -> tuple[Ints, Bools]:
    """Whole grams (``weight_g``, rounded), hundredths of money (``…_minor``, exact or malformed) or a count (any other).

    ``unit`` holds where a value names none: kg, g, lb, oz; major, minor; "" for a count. A null gives 0; the
    second array is where a text is no such number, is negative or too large.
    """
    amounts = np.zeros(len(values), np.int64)
    bad = np.zeros(len(values), np.bool_)
    plain = pc.match_substring_regex(values, _PLAIN_AMOUNT).fill_null(False).to_numpy(zero_copy_only=False)
    if unit in ("lb", "oz"):
        plain = np.zeros(len(values), np.bool_)
    at = np.flatnonzero(plain)
    if at.size:
        scaled = values.take(pa.array(at)).cast(pa.decimal128(18, 4))
        # Unscaled values are below 10^17, so the low half of each 128-bit integer is all of it.
        amounts[at], bad[at] = _scale(np.frombuffer(scaled.buffers()[1], np.int64)[::2][: at.size], target, unit)
    odd = np.flatnonzero(~plain & values.is_valid().to_numpy(zero_copy_only=False))
    if odd.size:
        reader = functools.partial(_read_amount, target=target, unit=unit)
        amounts[odd], bad[odd] = _by_distinct(values.take(pa.array(odd)), reader)
    return amounts, bad


def _scale(tenths_of_mills: Ints, target: str, unit: str) -> tuple[Ints, Bools]:
    if target == "weight_g":
        divisor = 10 if unit == "kg" else 10_000
        return (tenths_of_mills + divisor // 2) // divisor, np.zeros(tenths_of_mills.size, np.bool_)
    divisor = 100 if unit == "major" else 10_000
    whole, rest = np.divmod(tenths_of_mills, divisor)
    return whole, rest != 0


def _read_amount(text: str, target: str, unit: str) -> int | None:
    match = _AMOUNT.fullmatch(unicodedata.normalize("NFKC", text[:80]).strip())
    if not match:
        return None
    value = Decimal(match[1].replace(",", "") + (match[2] or ""))
    named = (match[3] or "").casefold()
    named = named.removesuffix("s")
    if target == "weight_g":
        if (named or unit) not in _GRAMS:
            return None
        return int((value * Decimal(_GRAMS[named or unit])).to_integral_value(ROUND_HALF_UP))
    if named and (named in _GRAMS or (named in ("件", "个", "pc")) != (unit == "")):
        return None
    # A money sign says the amount is in whole units of it, even where the column holds hundredths.
    value *= 100 if unit == "major" or (unit == "minor" and named) else 1
    return int(value) if value == int(value) else None


def _map_distinct(values: pa.StringArray, read: Callable[[str], str]) -> pa.StringArray:
    encoded = values.dictionary_encode()
    return pa.array([read(text) for text in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def country_codes(values: pa.StringArray) -> pa.StringArray:
    """ISO 3166-1 alpha-2 codes of codes and names (English, Chinese); a name that is not known stays as it is."""
    return _map_distinct(values, _country_code)


def currency_codes(values: pa.StringArray) -> pa.StringArray:
    """ISO 4217 codes in upper case; common signs and names are understood, what is not known stays as it is."""
    return _map_distinct(values, lambda text: _CURRENCIES.get(text.upper(), text.upper() if len(text) == 3 else text))


def _country_code(text: str) -> str:
    name = unicodedata.normalize("NFKC", text[:100]).strip()
    key = re.sub(r"[\W_]+", "", name).casefold()
    if key in _COUNTRIES:
        return _COUNTRIES[key]
    if len(name) == 2 and name.isascii() and name.isalpha():
        return name.upper()
    return _country_names().get(key, text)


@functools.cache
def _country_names() -> dict[str, str]:
    from phonenumbers.geodata.locale import LOCALE_DATA  # large, and most exports have codes

    names: dict[str, str] = {}
    for code, spellings in LOCALE_DATA.items():
        for language in ("en", "zh"):
            text = spellings.get(language, "")
            # A value "*xx" stands for the spelling in language xx.
            text = spellings.get(text[1:], "") if text.startswith("*") else text
            names.setdefault(re.sub(r"[\W_]+", "", text).casefold(), code)
    names.pop("", None)
    return names
