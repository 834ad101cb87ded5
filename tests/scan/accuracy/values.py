"""Draws values of every kind, and things that look like them: numbers of nobody, by arithmetic of its own.

Nothing here asks the scanner's checks what is right; the check digits are computed from the standards once more, so
that an error there is not repeated here::

    >>> draw = Values(random.Random(1))
    >>> value = draw("id.resident")
    >>> len(value.text), value.kind, value.state
    (18, 'id.resident', 'clear')

A slot is ``kind`` or ``kind:style``; slots that begin with ``near.`` are near misses (near_misses.py). Mobiles are of any prefix, for
nothing of this is written to a file of the repository.
"""

from __future__ import annotations

import base64
import itertools
import random
import string
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from parcelveil.intake.divisions import divisions

_DIGITS = string.digits
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
#: First three digits of mobiles in use, and of those that the sample day uses, which have no subscribers.
ALLOCATED = (
    "130 131 132 133 134 135 136 137 138 139 145 147 150 151 152 153 155 156 157 158 159 166 172 173 175 176 177 178 "
    "180 181 182 183 184 185 186 187 188 189 190 191 193 195 196 197 198 199"
).split()
UNALLOCATED = "142 143 154 163 164".split()
_PLATES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE_SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_BANKS = [("622202", 19), ("622848", 19), ("621700", 19), ("622588", 16), ("621661", 19), ("622150", 19), ("623058", 19),
          ("622260", 19), ("621226", 19), ("622609", 16), ("625965", 16), ("436742", 16), ("518710", 16), ("453242", 16),
          ("552398", 16), ("356839", 16), ("370285", 15)]  # fmt: skip
_AREAS = [("010", 8), ("021", 8), ("020", 8), ("025", 8), ("0571", 8), ("0755", 8), ("0512", 8), ("0371", 8), ("0531", 8),
          ("0591", 8), ("0451", 8), ("0871", 8), ("0791", 8), ("0471", 7), ("0951", 7), ("0898", 8), ("0579", 8),
          ("0997", 7), ("0831", 7), ("0733", 8), ("0356", 7)]  # fmt: skip
_IBAN = {"DE": ("370400440", 18), "NL": ("", 14), "FR": ("", 23), "AT": ("", 16), "ES": ("", 20), "GB": ("", 18)}
_TACS = ("353918", "358240", "864592", "868331", "861536", "359304", "352099", "867400")
_MAIL_HOSTS = ("example.com", "mail.example.org", "163.com", "qq.com", "gmail.com", "126.com", "sina.com.cn", "outlook.com",
               "example.net", "corp.example.cn")  # fmt: skip


class Value(NamedTuple):
    """A text, what it is (None: nothing), and where its bare number begins, after a country's code."""

    text: str
    kind: str | None = None
    state: str = "clear"
    lead: int = 0  # characters before the bare value


def luhn_digit(digits: str) -> str:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 - place % 2)
        total += number - 9 if number > 9 else number
    return str(-total % 10)


def resident_digit(digits: str) -> str:
    """GB 11643-1999: ISO 7064 MOD 11-2 over seventeen digits."""
    return "10X98765432"[sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(digits)) % 11]


def s10_digit(serial: str) -> str:
    """UPU S10-12."""
    left = 11 - sum(int(digit) * weight for digit, weight in zip(serial, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    return {10: "0", 11: "5"}.get(left, str(left))


class Values:
    """Draws by slot. One source, one sequence."""

    def __init__(self, source: random.Random, banks: list[tuple[str, int]] | None = None) -> None:
        self.source = source
        #: First digits and length of cards.
        self.banks = banks or _BANKS
        self.regions = [int(code) for code in divisions().districts.codes if 110000 < int(code) < 660000]

    def digits(self, count: int, first: str = "123456789") -> str:
        """So many digits."""
        return self.source.choice(first) + "".join(self.source.choice(_DIGITS) for _ in range(count - 1))

    def of(self, signs: str, count: int) -> str:
        """So many signs out of ``signs``."""
        return "".join(self.source.choice(signs) for _ in range(count))

    def day(self, first: int = 1945, last: int = 2012) -> date:
        """A day between two years."""
        return date(first, 1, 1) + timedelta(days=self.source.randrange((last - first + 1) * 365))

    def __call__(self, slot: str) -> Value:
        name, _, style = slot.partition(":")
        made: Value = MAKERS[name](self, style)
        if style == "wide":
            made = made._replace(text=made.text.translate(_FULL_WIDTH))
        return made


#: What draws the values of a slot: gets the source and the style.
MAKERS: dict[str, Callable[[Values, str], Value]] = {}


def _slot(name: str) -> Callable[[Callable[[Values, str], Value]], Callable[[Values, str], Value]]:
    def register(maker: Callable[[Values, str], Value]) -> Callable[[Values, str], Value]:
        MAKERS[name] = maker
        return maker

    return register


@_slot("phone.mobile")
def _mobile(draw: Values, style: str) -> Value:
    blocks = UNALLOCATED if draw.source.random() < 0.08 else ALLOCATED
    number = draw.source.choice(blocks) + draw.digits(8, _DIGITS)
    sep = {"spaced": " ", "hyphen": "-"}.get(style, "")
    number = sep.join((number[:3], number[3:7], number[7:]))
    lead = ""
    if style == "country":
        lead = draw.source.choice(["+86", "+86 ", "0086", "+86-"])
    if style == "masked":
        return Value(
            number[:3] + draw.source.choice(["****", "****", "xxxx", "●●●●"]) + number[7:], "phone.mobile", "masked"
        )
    return Value(lead + number, "phone.mobile", lead=len(lead))


@_slot("phone.landline")
def _landline(draw: Values, style: str) -> Value:
    area, length = draw.source.choice(_AREAS)
    local = draw.digits(length, "2345678")
    shape = style or draw.source.choice(["-", "-", "-", "", "()", " "])
    text = f"({area}){local}" if shape == "()" else f"{area}{shape if shape in ('-', ' ') else ''}{local}"
    return Value(text, "phone.landline")


@_slot("phone.service")
def _service(draw: Values, style: str) -> Value:
    number = draw.source.choice(["400", "800"]) + draw.digits(7, "168")
    shape = style or draw.source.choice(["3-3-4", "3-4-3"])
    parts = (3, 6) if shape == "3-3-4" else (3, 7)
    if shape == "bare":
        return Value(number, "phone.service", "key")
    return Value("-".join((number[:3], number[3 : parts[1]], number[parts[1] :])), "phone.service", "key")


@_slot("phone.virtual")
def _virtual(draw: Values, style: str) -> Value:
    number = draw.source.choice(["1743", "1745", "1849", "1709", "1385"]) + draw.digits(7, _DIGITS)
    return Value(
        number + (style or draw.source.choice(["转", "-", "转", " 转 "])) + draw.digits(4), "phone.virtual", "protected"
    )


@_slot("phone.foreign")
def _foreign_phone(draw: Values, style: str) -> Value:
    shape = draw.source.choice(["us", "uk", "jp", "hk", "de", "kr"])
    made = {
        "us": lambda: (
            f"+1 {draw.source.choice(['212', '310', '415', '617'])}-{draw.digits(3, '2345678')}-{draw.digits(4)}"
        ),
        "uk": lambda: f"+44 7{draw.source.choice(['400', '911', '700', '802'])} {draw.digits(6)}",
        "jp": lambda: f"+81 {draw.source.choice(['80', '90'])}-{draw.digits(4)}-{draw.digits(4)}",
        "hk": lambda: f"+852 {draw.source.choice('569')}{draw.digits(3)} {draw.digits(4)}",
        "de": lambda: f"+4915{draw.source.choice(['12', '20', '73'])}{draw.digits(7)}",
        "kr": lambda: f"+82-10-{draw.digits(4, '2345678')}-{draw.digits(4)}",
    }
    return Value(made[shape](), "phone.foreign")


@_slot("id.resident")
def _resident(draw: Values, style: str) -> Value:
    region, born = draw.source.choice(draw.regions), draw.day()
    body = f"{region}{born:%Y%m%d}{draw.digits(3, _DIGITS)}"
    if style == "old":  # given out until 1999
        born = draw.day(1920, 1998)
        return Value(f"{region}{born:%y%m%d}{draw.digits(3, _DIGITS)}", "id.resident")
    number = body + resident_digit(body)
    if style == "ends-x":
        while number[-1] != "X":
            body = body[:-3] + draw.digits(3, _DIGITS)
            number = body + resident_digit(body)
    if style == "lower":
        number = number.lower()
    if style == "masked":
        return Value(number[:6] + "********" + number[14:], "id.resident", "masked")
    if style == "spaced":
        number = " ".join((number[:6], number[6:14], number[14:]))
    return Value(number, "id.resident")


@_slot("id.hk_macau_permit")
def _hk_permit(draw: Values, style: str) -> Value:
    # Of people of Hong Kong and Macau H or M; of mainlanders C, and a letter when the digits were used up.
    heads = ("C", "C", "CA", "CD") if style == "mainland" else ("H", "M")
    head = draw.source.choice(heads)
    return Value(head + draw.digits(9 - len(head), _DIGITS), "id.hk_macau_permit")


@_slot("id.taiwan_permit")
def _taiwan_permit(draw: Values, style: str) -> Value:
    # Of people of Taiwan eight digits, the first 0 or 1; of mainlanders L (booklets T) before them.
    head = draw.source.choice("LT") if style == "mainland" else ""
    return Value(head + draw.digits(8, "01"), "id.taiwan_permit")


@_slot("id.passport")
def _passport(draw: Values, style: str) -> Value:
    lead = draw.source.choice(["E", "E", "G", "E" + draw.source.choice("ABCDEFGHJKLM")])
    return Value(lead + draw.digits(9 - len(lead), _DIGITS), "id.passport")


@_slot("id.foreigner_residence")
def _foreigner(draw: Values, style: str) -> Value:
    if draw.source.random() < 0.5:
        body = "9" + str(draw.source.choice(draw.regions))[:2] + draw.source.choice(["840", "392", "826", "276", "250"])
        body += f"{draw.day():%Y%m%d}" + draw.digits(3, _DIGITS)
        return Value(body + resident_digit(body), "id.foreigner_residence")
    nation = draw.source.choice(["USA", "JPN", "GBR", "DEU", "FRA", "KOR"])
    body = nation + str(draw.source.choice(draw.regions))[:4] + f"{draw.day():%y%m%d}" + draw.digits(1)
    total = sum(int(sign, 36) * (7, 3, 1)[place % 3] for place, sign in enumerate(body))
    return Value(body + str(total % 10), "id.foreigner_residence")


@_slot("org.uscc")
def _uscc(draw: Values, style: str) -> Value:
    organ = draw.of(_DIGITS + "ABCDEFGH", 2) + draw.digits(6, _DIGITS)
    total = sum(int(sign, 36) * weight for sign, weight in zip(organ, (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    organ += {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))
    body = draw.source.choice(["91", "92", "93", "11", "52"]) + str(draw.source.choice(draw.regions)) + organ
    check = (31 - sum(_USCC.index(sign) * pow(3, place, 31) for place, sign in enumerate(body)) % 31) % 31
    return Value(body + _USCC[check], "org.uscc")


@_slot("card.bank")
def _card(draw: Values, style: str) -> Value:
    start, length = draw.source.choice(draw.banks)
    body = start + draw.digits(length - len(start) - 1, _DIGITS)
    number = body + luhn_digit(body)
    if style == "masked":
        return Value(number[:4] + " **** **** " + number[-4:], "card.bank", "masked")
    if style in ("spaced", "hyphen"):
        sep = " " if style == "spaced" else "-"
        cuts = (0, 4, 10) if length == 15 else range(0, length, 4)
        bounds = [*cuts, length]
        number = sep.join(number[a:b] for a, b in itertools.pairwise(bounds))
    return Value(number, "card.bank")


@_slot("vehicle.plate")
def _plate(draw: Values, style: str) -> Value:
    head = draw.source.choice(_PLATES) + draw.source.choice("ABCDEFGHJK")
    tail = draw.of(_DIGITS, 3) + draw.of(_PLATE_SIGNS, 2)
    if style == "new" or (not style and draw.source.random() < 0.3):
        tail = draw.source.choice("DF") + draw.of(_DIGITS, 5)
    return Value(head + ("·" if style == "dotted" else "") + tail, "vehicle.plate")


@_slot("net.email")
def _email(draw: Values, style: str) -> Value:
    user = draw.of(string.ascii_lowercase, draw.source.randrange(3, 9))
    user += draw.source.choice(["", "", ".", "_", "-"]) + draw.source.choice(
        ["", draw.digits(3), draw.of("aeinorst", 4)]
    )
    user = user.rstrip("._-")
    host = draw.source.choice(_MAIL_HOSTS)
    if style == "number":
        user, host = draw.digits(9), "qq.com"
    if style == "masked":
        return Value(f"{user[0]}***@{host}", "net.email", "masked")
    return Value(f"{user}@{host}", "net.email")


@_slot("net.ip")
def _ip(draw: Values, style: str) -> Value:
    if style == "six":
        return Value("2001:db8:" + ":".join(f"{draw.source.randrange(1, 65536):x}" for _ in range(6)), "net.ip")
    first = draw.source.choice([36, 59, 101, 111, 113, 121, 123, 180, 183, 202, 218, 221])
    return Value(".".join(str(part) for part in (first, *(draw.source.randrange(1, 255) for _ in range(3)))), "net.ip")


@_slot("net.mac")
def _mac(draw: Values, style: str) -> Value:
    sep = style or draw.source.choice(":-")
    hexes = "0123456789abcdef" if draw.source.random() < 0.5 else "0123456789ABCDEF"
    parts = [draw.of(hexes[::4], 2), *(draw.of(hexes, 2) for _ in range(5))]
    return Value(sep.join(parts), "net.mac")


@_slot("device.imei")
def _imei(draw: Values, style: str) -> Value:
    body = draw.source.choice(_TACS) + draw.digits(8, _DIGITS)
    return Value(body + luhn_digit(body), "device.imei")


@_slot("bank.iban")
def _iban(draw: Values, style: str) -> Value:
    country = draw.source.choice(sorted(_IBAN))
    body = draw.digits(_IBAN[country][1])
    if country == "NL":
        body = "ABNA" + draw.digits(10, _DIGITS)
    if country == "GB":
        body = "WEST" + draw.digits(14)
    check = 98 - int("".join(str(int(sign, 36)) for sign in f"{body}{country}00")) % 97
    number = f"{country}{check:02}{body}"
    if style == "spaced":
        number = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return Value(number, "bank.iban")


@_slot("id.us_ssn")
def _ssn(draw: Values, style: str) -> Value:
    area = draw.source.choice([number for number in range(1, 900) if number != 666])
    return Value(f"{area:03}-{draw.source.randrange(1, 100):02}-{draw.source.randrange(1, 10000):04}", "id.us_ssn")


@_slot("parcel.waybill")
def _waybill(draw: Values, style: str) -> Value:
    shape = style or draw.source.choice(["SF", "YT", "JT", "JD", "S10"])
    made = {
        "SF": lambda: "SF" + draw.digits(13, "13"),
        "YT": lambda: "YT" + draw.digits(13, "6789"),
        "JT": lambda: "JT" + draw.digits(13, "35"),
        "JD": lambda: "JDVA" + draw.digits(11, "012"),
        "ZTO": lambda: "7" + draw.digits(13, "356789"),
        "YUNDA": lambda: "46" + draw.digits(13, "23"),
    }
    if shape == "S10":
        serial = draw.digits(8, _DIGITS)
        return Value(
            draw.source.choice("ECLR") + draw.of("ABEKNX", 1) + serial + s10_digit(serial) + "CN",
            "parcel.waybill",
            "key",
        )
    return Value(made[shape](), "parcel.waybill", "key")


@_slot("order.id")
def _order(draw: Values, style: str) -> Value:
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=draw.source.randrange(1_200_000))
    shape = style or draw.source.choice(["taobao", "pdd", "jd", "own"])
    made = {
        "taobao": lambda: draw.digits(19, "1234"),
        "pdd": lambda: f"{moment:%y%m%d}-{draw.digits(15)}",
        "jd": lambda: draw.digits(12, "123"),
        "own": lambda: f"{moment:%Y%m%d%H%M%S}{draw.digits(6, _DIGITS)}",
    }
    return Value(made[shape](), "order.id", "key")


@_slot("chat.wechat")
def _wechat(draw: Values, style: str) -> Value:
    if draw.source.random() < 0.4:
        return Value("wxid_" + draw.of(string.ascii_lowercase + _DIGITS, 14), "chat.wechat")
    return Value(
        draw.of(string.ascii_lowercase, 5) + draw.source.choice(["", "_", "-"]) + draw.digits(4), "chat.wechat"
    )


@_slot("chat.qq")
def _qq(draw: Values, style: str) -> Value:
    return Value(draw.digits(draw.source.choice([8, 9, 9, 10])), "chat.qq")


@_slot("geo.position")
def _position(draw: Values, style: str) -> Value:
    lat, lon = 20 + draw.source.random() * 30, 85 + draw.source.random() * 45
    return Value(f"{lat:.6f},{lon:.6f}", "geo.position")


@_slot("sealed.value")
def _sealed(draw: Values, style: str) -> Value:
    # docs/format/sealed-value.md: suite 01, 22 bytes more before the ciphertext, whose length is a bucket.
    data = b"\x01" + draw.source.randbytes(22 + draw.source.choice([16, 32, 48, 64]))
    return Value("pv1:" + base64.urlsafe_b64encode(data).decode().rstrip("="), "sealed.value", "protected")
