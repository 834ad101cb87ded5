"""What single cells of access logs say: networks, counts, pseudonyms of recipients; read once a distinct value.

::

    >>> by_distinct(pa.array(["203.0.113.77", None, "203.0.113.9"]), network_of).to_pylist()
    ['203.0.113.0/24', None, '203.0.113.0/24']
    >>> numbers(pa.array(["1,200", "0", None]), read_count)
    (array([1200,    0,    0]), array([False,  True, False]))
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.event import LONGEST
from parcelveil.watch.codes import I64

#: An account: letters, digits and a few marks, so that no name of a person gets in.
ACCOUNT = f"^[0-9A-Za-z][0-9A-Za-z._/:-]{{0,{LONGEST - 1}}}$"

#: The number of a device, which may begin with a number sign.
DEVICE = f"^[0-9A-Za-z#][0-9A-Za-z#._/:-]{{0,{LONGEST - 1}}}$"
#: A Chinese mobile number, or any number with its country code.
PHONE = r"^((\+|00)[1-9][0-9]{7,14}|((\+|00)?86-?)?1[3-9][0-9]{9})$"
_NO_NETWORK = frozenset(("-", "unknown", "none", "n/a", "localhost"))
_AS_NUMBER = re.compile(r"AS\d{1,10}", re.ASCII | re.IGNORECASE)
#: Bits of an address that stay: what one customer of a provider usually has stands behind them.
_BITS = {socket.AF_INET: 24, socket.AF_INET6: 48}
#: What IPv4 addresses begin with that are written as IPv6 (RFC 4291 2.5.5.2).
_MAPPED = bytes(10) + b"\xff\xff"


def network_of(text: str) -> str | None:
    """The prefix of an IP address (/24 of version 4, /48 of 6), or the number of an autonomous system as it is.

    "-" for what says that there is none, None for what is no network.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::7"), network_of("as4134"), network_of("Li"), network_of("-")
    ('203.0.113.0/24', '2001:db8:1::/48', 'AS4134', None, '-')
    >>> network_of("::ffff:203.0.113.77"), network_of("10.0.0.0/8"), network_of("10.0.0.0/33"), network_of("1.2.3.4.5")
    ('203.0.113.0/24', '10.0.0.0/8', None, None)
    """
    text = text.strip()
    address, _, bits = text.partition("/")
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address.partition("%")[0])
        if packed.startswith(_MAPPED):
            packed, family = packed[len(_MAPPED) :], socket.AF_INET
        whole, kept = len(packed) * 8, _BITS[family]
        if bits:
            kept = min(kept, _bits(bits, whole))
        cut = int.from_bytes(packed, "big") >> whole - kept << whole - kept
        return f"{socket.inet_ntop(family, cut.to_bytes(len(packed), 'big'))}/{kept}"
    except (OSError, ValueError):
        pass
    if text.lower() in _NO_NETWORK:
        return "-"
    return text.upper() if _AS_NUMBER.fullmatch(text) else None


def _bits(text: str, whole: int) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) > whole:
        raise ValueError
    return int(text)


def read_count(text: str) -> int | None:
    """A whole number from 1 to 4,294,967,295; None for what is none."""
    text = text.replace(",", "")
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) and 1 <= int(text) < 2**32 else None


def read_subject(text: str) -> int | None:
    """The 64 bits of a recipient's pseudonym as a signed integer. What is short enough to be somebody's phone is none."""
    if re.fullmatch(r"[0-9]{17,20}", text):
        number = int(text)
    elif re.fullmatch(r"[0-9a-fA-F]{16}", text):
        number = int(text, 16)
    else:
        return None
    return None if number >= 2**64 else number - 2**64 if number >= 2**63 else number


def by_distinct(values: pa.StringArray, read: Callable[[str], str | None]) -> pa.StringArray:
    """``read`` of each value, called once a distinct one; nulls stay."""
    encoded = values.dictionary_encode()
    return pa.array([read(text) for text in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def numbers(values: pa.StringArray, read: Callable[[str], int | None]) -> tuple[I64, npt.NDArray[np.bool_]]:
    """``read`` of each value as an integer, and where it gave None; nulls read as 0."""
    encoded = values.dictionary_encode()
    answers = [read(text) for text in encoded.dictionary.to_pylist()]
    known = np.array([answer or 0 for answer in answers] + [0], np.int64)
    wrong = np.array([answer is None for answer in answers] + [False])
    at = np.asarray(encoded.indices.cast(pa.int64()).fill_null(len(answers)))
    return known[at], wrong[at]
