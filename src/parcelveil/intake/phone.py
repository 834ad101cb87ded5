"""One spelling for every phone number, so that equal numbers seal, mask and join alike.

::

    >>> import pyarrow as pa
    >>> column = normalise_phones(pa.array(["138 1234 5678", "021-6123 4567转801", "95338", "1.4E+10", "138****1234"]))
    >>> column.values.to_pylist()
    ['+8613812345678', '+862161234567;ext=801', '95338', '1.4E+10', '138****1234']
    >>> column.problems.to_pylist()
    [None, None, None, 'phone.digits_lost', None]

Numbers become E.164 (ITU-T), extensions follow as in RFC 3966, Chinese service numbers stay short. What is no number,
or more than one, stays as it was, trimmed: it is sealed all the same and nothing is lost. Normalising twice changes
nothing. Mainland mobiles go through Arrow; of the rest every distinct value is parsed once by ``phonenumbers``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

#: Reject code: a spreadsheet turned the number into 1.38E+10 and its digits are gone.
DIGITS_LOST = "phone.digits_lost"

# White space, controls and characters without a shape, which exports leave at the edges of cells and inside numbers.
_INVISIBLE = (
    "".join(map(chr, range(0x21)))
    + "\x7f\x85\xa0\xad\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e"
    "\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069"
    "\u3000\ufeff"
)
_LONGEST = 64  # characters; no number is longer, and nothing longer is parsed

# Mainland mobiles as they mostly come, by RE2: bare, and in groups of 3-4-4 behind the usual prefixes.
_MOBILE_RE2 = {True: r"^(?:\+?86|0086)?1[3-9][0-9]{9}$", False: r"^(?:\+|00)861[3-9][0-9]{9}$"}
_GROUPED_RE2 = {
    True: r"^(?:tel:)?'?\(?(?:\+?86|0086)?\)?[ -]?1[3-9][0-9][ .-]?[0-9]{4}[ .-]?[0-9]{4}$",
    False: r"^(?:tel:)?'?\(?(?:\+|00)86\)?[ -]?1[3-9][0-9][ .-]?[0-9]{4}[ .-]?[0-9]{4}$",
}

_REMOVED = {ord(c): " " for c in _INVISIBLE} | {ord(c): "-" for c in "‐‑‒–—―−－ー"} | {0xAD: None}
_REMOVED |= dict.fromkeys((*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF))
_LABEL = re.compile(r"^['`‘’´\" ]*(?:(?:tel|phone|mobile|电话|手机号?|联系电话)(?: ?: ?|(?=[ +(0-9])))?", re.IGNORECASE)
_FLOAT = re.compile(r"^([0-9]{7,15})\.0+$")
_SCIENTIFIC = re.compile(r"^\+?([0-9])(?:\.([0-9]{0,20}))?[eE]\+?([0-9]{1,3})$")
_SERVICE = re.compile(r"^(?:95[0-9]{3,6}|96[0-9]{3,4}|1[0-2][0-9](?:[0-9]{2,3})?)$")
_MOBILE = re.compile(r"^(?:\+?86|0086)?(1[3-9][0-9]{9})$")
_FOREIGN_MOBILE = re.compile(r"^(?:\+|00)86(1[3-9][0-9]{9})$")
_SHARED_COST = re.compile(r"^(?:\+?86|0086)?0?([48]00[0-9]{7})$")
_CANONICAL_EXTENSION = re.compile(r"^(\+[0-9]{6,15});ext=([0-9]{1,8})$")
_EXTENSION = re.compile(
    r"^(.*?[0-9)]) ?(?:转接?|轉|分机号?|分機|;? ?ext(?:ension)?[.=]?|[x,#-]) ?[:.]? ?([0-9]{1,8})$", re.IGNORECASE
)
# An area code, a number and an extension: never to be run together into one longer number.
_LANDLINE_EXTENSION = re.compile(r"^\(?0[0-9]{2,3}\)?[ -]?[0-9]{7,8}-[0-9]{1,8}$")
_NUMBER = re.compile(r"^\+?[\d .()\[\]-]+$")
_SEVERAL = re.compile(r"[/、;|\\&和或]")
_PIECES = re.compile(r"[ ,]+")


class PhoneColumn(NamedTuple):
    """Normalised phones and, beside each, why it cannot be used."""

    values: pa.StringArray  # null where the input was null or blank
    problems: pa.StringArray  # a reject code (``phone.digits_lost``) or null


def normalise_phones(values: pa.StringArray, country: str = "CN") -> PhoneColumn:
    """Bring phone numbers into one form.

    ``values`` has one cell a row; ``country`` (ISO 3166-1 alpha-2) is where numbers without a country code belong.
    Gives ``+8613812345678``, ``+862112345678``, ``+8617012345678;ext=1234``, ``+4420…``; in China also the bare service
    numbers ``95338``. A problem leaves the trimmed text in ``values``. Raises nothing for what cells hold.
    """
    mainland = country.upper() == "CN"
    simple = pc.fill_null(pc.match_substring_regex(values, _MOBILE_RE2[mainland]), False)
    mobiles = pc.binary_join_element_wise("+86", pc.utf8_slice_codeunits(values, -11, None), "")
    count = pc.sum(simple).as_py() or 0
    if count == len(values):
        return PhoneColumn(mobiles, pa.nulls(len(values), pa.string()))
    rest = pc.indices_nonzero(pc.invert(simple))
    own, problems = _normalise_distinct(values.take(rest), country.upper())
    if not count:
        return PhoneColumn(own, problems)
    # Rows of the rest count on behind the mobiles, so that one take puts all in their places.
    order = np.arange(len(values), dtype=np.int64)
    order[rest.to_numpy()] = np.arange(len(values), len(values) + len(rest))
    where = np.full(len(values), len(rest), dtype=np.int64)
    where[rest.to_numpy()] = np.arange(len(rest))
    return PhoneColumn(
        pa.concat_arrays([mobiles, own]).take(pa.array(order)),
        pa.concat_arrays([problems, pa.nulls(1, pa.string())]).take(pa.array(where)),
    )


def is_e164(values: pa.StringArray) -> pa.BooleanArray:
    """Whether each value is a plain E.164 number (``+``, 7 to 15 digits, no extension); null for null."""
    return pc.match_substring_regex(values, r"^\+[1-9][0-9]{6,14}$")


def _normalise_distinct(values: pa.StringArray, country: str) -> tuple[pa.StringArray, pa.StringArray]:
    encoded = pc.dictionary_encode(pc.utf8_trim(values, _INVISIBLE))
    distinct = encoded.dictionary
    grouped = pc.match_substring_regex(distinct, _GROUPED_RE2[country == "CN"])
    digits = pc.replace_substring_regex(pc.if_else(grouped, distinct, ""), r"[^0-9]", "")
    mobiles = pc.binary_join_element_wise("+86", pc.utf8_slice_codeunits(digits, -11, None), "")
    normal: list[str | None] = mobiles.to_pylist()
    problems: list[str | None] = [None] * len(normal)
    others = pc.indices_nonzero(pc.invert(grouped))
    for at, text in zip(others.to_pylist(), distinct.take(others).to_pylist(), strict=True):
        normal[at], problems[at] = _normalise(text, country)
    indices = encoded.indices
    return pa.array(normal, pa.string()).take(indices), pa.array(problems, pa.string()).take(indices)


def _normalise(kept: str, country: str) -> tuple[str | None, str | None]:
    """The normal form of one trimmed cell, and its problem."""
    if not kept:
        return None, None
    if len(kept) > _LONGEST:
        return kept, None
    text = unicodedata.normalize("NFKC", kept).translate(_REMOVED).strip()
    text = _LABEL.sub("", text).strip(" '`‘’´\"")
    if match := _FLOAT.match(text):
        text = match[1]
    elif match := _SCIENTIFIC.match(text):
        digits = match[1] + (match[2] or "")
        # All digits are still there only if the mantissa has as many as the exponent says (1.3812345678E10).
        if len(digits) != int(match[3]) + 1 or len(digits) < 7:
            return kept, DIGITS_LOST
        text = digits
    return _number(text, country) or kept, None


def _number(text: str, country: str) -> str | None:
    """The canonical form of a cleaned text, or None if it is not one phone number."""
    if match := _CANONICAL_EXTENSION.match(text):
        base = _base(match[1], country)
        return f"{base};ext={match[2]}" if base else None
    long = [piece for piece in _PIECES.split(text) if len(re.findall(r"\d", piece)) >= 7]
    if _SEVERAL.search(text.replace(";ext", "")) or (len(long) > 1 and any(_base(piece, country) for piece in long)):
        return None
    if match := _EXTENSION.match(text):
        base = _base(match[1], country)
        if base and base.startswith("+"):
            return f"{base};ext={match[2]}"
    return None if _LANDLINE_EXTENSION.match(text) else _base(text, country)


def _base(text: str, country: str) -> str | None:
    if not _NUMBER.match(text):
        return None
    compact = re.sub(r"[^+\d]", "", text)
    mainland = country == "CN"
    if mainland and _SERVICE.match(compact):
        return compact
    match = (_MOBILE if mainland else _FOREIGN_MOBILE).match(compact) or (mainland and _SHARED_COST.match(compact))
    if match:
        return "+86" + match[1]
    try:
        number = phonenumbers.parse(compact, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
