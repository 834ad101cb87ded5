"""Pseudonyms: 16 bytes that stand for a phone, an address or an e-mail in joins, and for nobody else.

A pseudonym is AES-CMAC (RFC 4493) of the normalised value under a key for one purpose and period::

    >>> import pyarrow as pa
    >>> key = PseudonymKey(bytes(32), "acme", "search", 202611)
    >>> same = key.pseudonyms(pa.array(["+8613800000001", "+86 138-0000-0001", None]), "phone")
    >>> same[0] == same[1], same[2].as_py()
    (True, None)

There are so few phone numbers that anybody with the key, or with an unkeyed hash, can try them all in
seconds; the secrecy of the key is the whole protection. Equal values of one period have equal pseudonyms,
so their frequency shows: that is what joins need, and it is named in ``docs/threat-model.md``. Purposes
(``search``, ``screen``, ``trace``) and periods (calendar months) have unrelated keys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.errors import EpochError
from parcelveil.seal.mask import once_each
from parcelveil.seal.passes import buffers, only_phone_characters
from parcelveil.seal.siv import BLOCK, Cmac
from parcelveil.waybill import kind_of

Purpose = Literal["search", "screen", "trace"]
PURPOSES: tuple[Purpose, ...] = ("search", "screen", "trace")

#: Everything that people write differently in one and the same value.
_NOISE = r"[\s\p{P}\p{Z}\p{Cc}\p{Cf}]+"
#: The columns that tell two equal street addresses apart.
_AREA = ("country", "region", "city", "district", "town")


def normalised(values: pa.Array, kind: str) -> pa.Array:
    """``values`` as they are compared: NFKC, upper case, without blanks and punctuation. Phones keep their ``+``."""
    if kind == "phone":
        if only_phone_characters(*buffers(values)):
            return values
        # An extension is part of the number: it reaches somebody else.
        return pc.replace_substring_regex(pc.utf8_normalize(values, "NFKC"), r"[^0-9A-Za-z+;=]+", "")
    if kind == "email":
        return pc.utf8_lower(pc.utf8_trim_whitespace(pc.utf8_normalize(values, "NFKC")))
    return pc.utf8_upper(pc.replace_substring_regex(pc.utf8_normalize(values, "NFKC"), _NOISE, ""))


class PseudonymKey:
    """The key of one tenant, purpose and period (year * 100 + month). Its ``repr`` shows no key."""

    def __init__(self, secret: bytes, tenant: str, purpose: str, period: int) -> None:
        self.purpose, self.period = purpose, period
        self._tenant = tenant
        self._secret = secret
        self._macs: dict[str, Cmac] = {}

    def __repr__(self) -> str:
        return f"<PseudonymKey {self.purpose} {self.period}>"

    def _mac(self, kind: str) -> Cmac:
        if kind not in self._macs:
            info = "\0".join(["parcelveil v1 pseudonym", self._tenant, self.purpose, str(self.period), kind])
            self._macs[kind] = Cmac(HKDF(SHA256(), 32, salt=None, info=info.encode()).derive(self._secret))
        return self._macs[kind]

    def pseudonyms(self, values: pa.Array, kind: str) -> pa.Array:
        """The pseudonym of each value: ``fixed_size_binary[16]``, null where the value is null."""
        return once_each(values, lambda distinct: self.exact(normalised(distinct, kind), kind))

    def at(self, values: pa.Array, kind: str, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Pseudonyms of the values at ``index`` of an array without nulls, normalised already: ``(n, 16)``."""
        return self._mac(kind).column(values, index)

    def exact(self, values: pa.Array, kind: str) -> pa.Array:
        """Like :meth:`pseudonyms`, for values that are normalised already."""
        present = values.drop_null() if values.null_count else values
        data = np.ascontiguousarray(self._mac(kind).column(present))
        found = pa.Array.from_buffers(pa.binary(BLOCK), len(present), [None, pa.py_buffer(data)])
        if len(present) == len(values):
            return found
        valid = np.asarray(values.is_valid())
        return found.take(pa.array(np.cumsum(valid) - 1, mask=~valid))


@functools.lru_cache
def period_of(day: int) -> int:
    """The pseudonym period of a day (days since 1970-01-01): year * 100 + month."""
    month = np.datetime64(day, "D").astype("datetime64[M]").astype(int)
    return int((1970 + month // 12) * 100 + month % 12 + 1)


def by_period(values: pa.Array, days: npt.NDArray[np.int32], made: Callable[[int, pa.Array], pa.Array]) -> pa.Array:
    """What ``made(period, values)`` makes of the values of each period that ``days`` fall into; at least one row."""
    distinct = {int(day): period_of(int(day)) for day in np.unique(days)}
    periods = sorted(set(distinct.values()))
    if len(periods) == 1:
        return made(periods[0], values)
    row_periods = np.vectorize(distinct.__getitem__, otypes=[np.int64])(days)
    parts = [np.flatnonzero(row_periods == period) for period in periods]
    found = [made(period, values.take(pa.array(part))) for period, part in zip(periods, parts, strict=True)]
    return pa.concat_arrays(found).take(pa.array(np.argsort(np.concatenate(parts), kind="stable")))


class Pseudonyms:
    """The ``search`` keys of the periods that a run touches."""

    def __init__(self, keys: Mapping[int, PseudonymKey]) -> None:
        self._keys = keys

    def of_column(self, batch: pa.RecordBatch, name: str, days: npt.NDArray[np.int32]) -> pa.Array:
        """The ``x_pn`` column of personal column ``name`` of a clear batch, whose rows fall on ``days``."""
        kind = str(kind_of(batch.schema.field(name)))
        values = batch[name]
        if values.null_count == len(values):
            return pa.nulls(len(values), pa.binary(BLOCK))
        if kind == "address":
            values = address_key(batch, name)
        return by_period(values, days, lambda period, part: self._key(period).pseudonyms(part, kind))

    def _key(self, period: int) -> PseudonymKey:
        if period not in self._keys:
            raise EpochError("the pseudonym key of {period} is unknown or was destroyed", period=period)
        return self._keys[period]


def address_key(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Addresses as they are compared: with their area in front, since every town has a first street."""
    party = name.removesuffix("address")
    area = [batch[party + level].fill_null("") for level in _AREA if party + level in batch.schema.names]
    return pc.binary_join_element_wise(*area, batch[name], "", null_handling="emit_null")
