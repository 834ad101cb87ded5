"""Draws what looks like personal data and is not: near misses, as slots ``near.…`` of :mod:`accuracy.values`.

::

    >>> draw = Values(__import__("random").Random(1))
    >>> value = draw("near.epoch13")
    >>> len(value.text), value.kind is None
    (13, True)
"""

from __future__ import annotations

import string
import uuid
from collections.abc import Callable

from accuracy.values import ALLOCATED, MAKERS, Value, Values, luhn_digit, resident_digit


def _near(name: str) -> Callable[[Callable[[Values], str]], None]:
    def register(maker: Callable[[Values], str]) -> None:
        MAKERS[f"near.{name}"] = lambda draw, _: Value(maker(draw))

    return register


_near("epoch10")(lambda d: str(d.source.randrange(1_500_000_000, 1_800_000_000)))
_near("epoch13")(lambda d: str(d.source.randrange(1_300_000_000_000, 1_999_999_999_999)))
_near("epoch16")(lambda d: str(d.source.randrange(1_500_000_000_000_000, 1_899_999_999_999_999)))
_near("order20")(lambda d: d.digits(20))
_near("order18")(lambda d: d.digits(18))
_near("digits12")(lambda d: d.digits(12))
_near("digits13")(lambda d: "1" + d.digits(12, "3456789"))
_near("digits5")(lambda d: d.digits(5))
_near("digits9")(lambda d: d.digits(9))
_near("float")(lambda d: f"{d.source.random() * 10 ** d.source.randrange(0, 6):.{d.source.randrange(6, 15)}f}")
_near("exponent")(lambda d: f"{d.source.random() * 9 + 1:.11f}e-{d.source.randrange(10, 99)}")
_near("float_mobile")(lambda d: f"0.1{d.digits(10, '3456789')}")
_near("md5")(lambda d: d.of("0123456789abcdef", 32))
_near("sha256")(lambda d: d.of("0123456789abcdef", 64))
_near("sha1_digits")(lambda d: d.of("0123456789", 24) + d.of("abcdef", 4) + d.of("0123456789", 12))
_near("base64")(lambda d: d.of(string.ascii_letters + string.digits + "+/", 44).rstrip("/+") + "==")
_near("uuid")(lambda d: str(uuid.UUID(int=d.source.getrandbits(128), version=4)))
_near("uuid_digits")(
    lambda d: f"{d.digits(8)}-{d.digits(4)}-4{d.digits(3)}-8{d.digits(3)}-{d.source.choice(ALLOCATED)}{d.digits(9)}"
)
_near("version")(lambda d: ".".join(str(d.source.randrange(0, 30)) for _ in range(4)))
_near("price")(lambda d: f"{d.source.randrange(1, 99999)}.{d.source.randrange(100):02}")
_near("ean")(lambda d: "69" + d.digits(11))
_near("long_phone")(lambda d: d.digits(3) + d.source.choice(ALLOCATED) + d.digits(8, string.digits) + d.digits(2))
_near("time")(
    lambda d: f"{d.day(2021, 2026)} {d.source.randrange(24):02}:{d.source.randrange(60):02}:{d.source.randrange(60):02}"
)
_near("stamp14")(
    lambda d: (
        f"{d.day(2021, 2026):%Y%m%d}{d.source.randrange(24):02}{d.source.randrange(60):02}{d.source.randrange(60):02}"
    )
)
_near("stamp17")(
    lambda d: (
        f"{d.day(2021, 2026):%Y%m%d}{d.source.randrange(24):02}{d.source.randrange(60):02}{d.source.randrange(60):02}{d.digits(3)}"
    )
)


@_near("isbn")
def _isbn(draw: Values) -> str:
    body = "9787" + draw.digits(8, string.digits)
    total = sum(int(digit) * (1 + 2 * (place % 2)) for place, digit in enumerate(body))
    return body + str(-total % 10)


@_near("id_bad_check")
def _bad_check(draw: Values) -> str:
    number = MAKERS["id.resident"](draw, "").text
    return number[:-1] + draw.source.choice([sign for sign in "0123456789" if sign != number[-1]])


@_near("id_bad_date")
def _bad_date(draw: Values) -> str:
    body = f"{draw.source.choice(draw.regions)}{draw.source.choice(['19901332', '20010230', '18890101', '19851301', '20990704'])}"
    body += draw.digits(3, string.digits)
    return body + resident_digit(body)


@_near("luhn_no_bin")
def _luhn_no_bin(draw: Values) -> str:
    body = draw.digits(15, "179")
    return body + luhn_digit(body)


@_near("card_bad_luhn")
def _bad_luhn(draw: Values) -> str:
    number = MAKERS["card.bank"](draw, "").text
    return number[:-1] + str((int(number[-1]) + draw.source.randrange(1, 10)) % 10)


@_near("mobile_bad_block")
def _bad_block(draw: Values) -> str:
    return "1" + draw.source.choice("012") + draw.digits(9)
