"""Clear waybills of one day, batch by batch, in constant memory.

::

    >>> batch = next(parcels(500, seed=7))
    >>> batch.num_rows, len(set(batch.column("waybill_no").to_pylist()))
    (500, 500)
    >>> batch.equals(next(parcels(500, seed=7))), batch.equals(next(parcels(500, seed=8)))
    (True, False)

One seed gives the same bytes from run to run and machine to machine, as long as ``count``, ``day``, ``foreign`` and
``batch_rows`` are the same too: every batch has a random stream of its own, so another batch size is another day.

Rows are drawn one by one: recipients do not repeat. Senders are merchants, whose parcels are unequally many
(:func:`merchant_shares`), so sender columns do repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import UsageError
from parcelveil.simulate import people
from parcelveil.simulate.address_text import addresses
from parcelveil.simulate.draw import Draw, quantile_table, scatter, weighted
from parcelveil.simulate.lexicon import facts, word_lists
from parcelveil.simulate.places import Index, places
from parcelveil.waybill import WAYBILL

DEFAULT_DAY = date(2026, 3, 2)
#: S10 serials and their prefixes have 30 bits; beyond that waybill numbers would repeat.
MAX_ROWS = 1 << 30

_RETAIN_DAYS = 180
_MERCHANT_BITS = 20
_MERCHANTS = (20, 20_000)
_PARCELS_PER_MERCHANT = 40
#: Shares that are choices, no figures being known.
_POSTCODE, _EMAIL, _EMAIL_ABROAD, _NOTE, _NOTE_PHONE, _SENDER_ID = 0.2, 0.03, 0.3, 0.12, 0.005, 0.005
_CNY_PER_USD = 7.0

_HOUR_US = 3_600_000_000
_S10_WEIGHTS = np.array([8, 6, 4, 2, 3, 5, 9, 7])
_PLACE_COLUMNS = ("country", "region", "city", "district", "town", "adcode")


class _Tables(NamedTuple):
    """What only depends on facts and words: lookup tables for 16-bit words, and the texts they point at."""

    hour: npt.NDArray[np.int32]
    pieces: npt.NDArray[np.int32]
    weight_g: npt.NDArray[np.int64]
    value_minor: npt.NDArray[np.int64]
    goods: npt.NDArray[np.int32]
    goods_name: pa.StringArray
    goods_category: pa.StringArray
    carrier: npt.NDArray[np.int32]
    carrier_code: pa.StringArray
    carrier_prefix: pa.StringArray  # by carrier, and the 16 service indicators of S10 behind them
    platform: npt.NDArray[np.int32]
    platform_name: pa.StringArray
    product: npt.NDArray[np.int32]
    product_name: pa.StringArray
    route: pa.StringArray
    note: pa.StringArray
    pay_type: npt.NDArray[np.int32]
    pay_type_code: pa.StringArray


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    fact, words = facts(), word_lists()
    levels, parcel = fact["quantile_levels"], fact["parcel"]
    kinds = parcel["assumed"]["category"]
    goods = [(name, kind, share / len(words["goods"][kind])) for kind, share in kinds for name in words["goods"][kind]]
    carriers = words["carrier"]
    trade = words["trade"]
    indicators = [f"{carriers[-1]['prefix']}{letter}" for letter in "ABCEGJKMNPRSTVXZ"]
    return _Tables(
        weighted(parcel["order_times"]["purchase_hour_0_23"]),
        weighted(parcel["items"]["pieces_1_to_5"]) + 1,
        np.rint(quantile_table(levels, parcel["assumed"]["weight_g_q"])).astype(np.int64),
        np.rint(quantile_table(levels, parcel["assumed"]["declared_value_cny_q"]) * 10).astype(np.int64) * 10,
        weighted([share for _, _, share in goods]),
        pa.array([name for name, _, _ in goods]),
        pa.array([kind for _, kind, _ in goods]),
        weighted([carrier["share"] for carrier in carriers]),
        pa.array([carrier["code"] for carrier in carriers]),
        pa.array([*(carrier["prefix"] for carrier in carriers), *indicators]),
        weighted([share for _, share in trade["platforms"]]),
        pa.array([*(name for name, _ in trade["platforms"]), "cross-border"]),
        weighted([share for _, share in trade["products"]]),
        pa.array([*(name for name, _ in trade["products"]), "international"]),
        pa.array([f"{route:02d}" for route in range(31)]),
        pa.array(trade["notes"]),
        weighted([share for _, share in parcel["assumed"]["pay_type"]]),
        pa.array([*(code for code, _ in parcel["assumed"]["pay_type"]), "prepaid"]),
    )


def merchant_shares(merchants: int) -> npt.NDArray[np.float64]:
    """Each merchant's share of the parcels, the biggest first: a lognormal law.

    Its spread is the one that gives the top tenth the measured share (``parcel.items``), by the law's Lorenz curve.
    """
    normal = NormalDist()
    sigma = normal.inv_cdf(0.9) + normal.inv_cdf(facts()["parcel"]["items"]["share_of_items_of_top_10pct_sellers"])
    levels = (np.arange(merchants, 0, -1) - 0.5) / merchants
    shares = np.exp(sigma * np.array([normal.inv_cdf(level) for level in levels.tolist()]))
    return np.asarray(shares / shares.sum())


def _party(
    source: Draw, side: str, foreign: npt.NDArray[np.bool_], mix: people.NameMix, with_firm: float
) -> tuple[dict[str, pa.Array], Index]:
    """The columns of one party, and the index of its place."""
    place = places()
    where = place.draw(source, foreign)
    at = pa.array(where)
    parts = {name: place.column(name).take(at) for name in _PLACE_COLUMNS}
    known = foreign | source.chance(_POSTCODE, len(foreign))
    parts["postcode"] = place.column("postcode").take(pa.array(where, mask=~known))
    parts["name"], parts["company"] = people.names(source, foreign, mix, with_firm)
    parts["phone"] = people.phones(source, where, foreign)
    with_mail = source.chance(_EMAIL, len(foreign)) | (foreign & source.chance(_EMAIL_ABROAD, len(foreign)))
    parts["email"] = people.emails(source, with_mail)
    parts["address"] = addresses(source, foreign, parts["district"])
    return {f"{side}_{name}": column for name, column in parts.items()}, where


class _Merchants(NamedTuple):
    columns: pa.RecordBatch  # from_* and sender_id_no, a row each
    where: Index
    codes: npt.NDArray[np.int32]  # 2**20 merchants, by share


def _merchants(seed: int, count: int) -> _Merchants:
    low, high = _MERCHANTS
    size = min(max(count // _PARCELS_PER_MERCHANT, low), high)
    source = Draw(seed, 1)
    columns, where = _party(source, "from", np.zeros(size, np.bool_), people.SENDER_MIX, 0.7)
    columns["sender_id_no"] = people.id_numbers(source, size)
    batch = pa.RecordBatch.from_pydict(columns)
    return _Merchants(batch, where, weighted(merchant_shares(size), size=1 << _MERCHANT_BITS))


def s10_check_digits(serials: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Check digit of each eight-digit serial (UPU S10).

    >>> s10_check_digits(np.array([47312482])).tolist()
    [9]
    """
    total = (serials[:, None] // 10 ** np.arange(7, -1, -1) % 10 * _S10_WEIGHTS).sum(axis=1)
    check = 11 - total % 11
    return np.where(check == 10, 0, np.where(check == 11, 5, check))


def _waybill_numbers(
    rows: npt.NDArray[np.int64], carrier: Index, foreign: npt.NDArray[np.bool_], seed: int
) -> pa.StringArray:
    """A number a row that occurs once in a run: the row's own number, scattered, in the carrier's shape."""
    numbers = scatter(rows, bits=43, seed=seed) + 10**12
    abroad = scatter(rows[foreign], bits=30, seed=seed)
    serials = (abroad & ((1 << 26) - 1)) + 10**7
    numbers[foreign] = serials * 10 + s10_check_digits(serials)
    prefix = carrier.copy()
    prefix[foreign] += 1 + (abroad >> 26).astype(np.int32)
    tail = pa.array(np.where(foreign, 1, 0)).cast(pa.int32())
    parts = _tables().carrier_prefix.take(pa.array(prefix)), pa.array(numbers).cast(pa.string())
    return pc.binary_join_element_wise(*parts, pa.array(["", "CN"]).take(tail), "")


def _notes(source: Draw, count: int) -> pa.StringArray:
    """Remarks; a few hold a phone, as people write them into every field."""
    plain = source.chance(_NOTE, count)
    calls = source.chance(_NOTE_PHONE, count)
    table = _tables().note
    text = people.sparse(plain, table.take(pa.array(source.below(len(table), int(plain.sum())))))
    nobody = np.zeros(int(calls.sum()), np.bool_)
    numbers = people.phones(source, places().draw(source, nobody), nobody)
    local = pc.replace_substring(pc.utf8_slice_codeunits(numbers, 3), ";ext=", "转")
    return pc.if_else(pa.array(calls), people.sparse(calls, pc.binary_join_element_wise("请打", local, "")), text)


def _batch(
    source: Draw, rows: npt.NDArray[np.int64], seed: int, *, day_us: int, share: float, merchants: _Merchants
) -> pa.RecordBatch:
    table, count = _tables(), len(rows)
    foreign = source.chance(share, count)
    columns, where = _party(source, "to", foreign, people.recipient_mix(), 0.01)
    merchant = merchants.codes[source.below(1 << _MERCHANT_BITS, count)]
    sender = merchants.columns.take(pa.array(merchant))
    columns |= {name: sender.column(name) for name in sender.schema.names}
    columns["sender_id_no"] = pc.if_else(
        pa.array(source.chance(_SENDER_ID, count)), columns["sender_id_no"], pa.scalar(None, pa.string())
    )
    carrier = np.where(foreign, len(table.carrier_code) - 1, table.carrier[source.words(count)]).astype(np.int32)
    columns["waybill_no"] = _waybill_numbers(rows, carrier, foreign, seed)
    columns["carrier"] = table.carrier_code.take(pa.array(carrier))
    columns["order_ref"] = pa.array(scatter(rows, bits=59, seed=seed) + 10**17).cast(pa.string())
    platform = np.where(foreign, len(table.platform_name) - 1, table.platform[source.words(count)])
    columns["platform"] = table.platform_name.take(pa.array(platform))
    product = np.where(foreign, len(table.product_name) - 1, table.product[source.words(count)])
    columns["product"] = table.product_name.take(pa.array(product))
    hours = table.hour[source.words(count)].astype(np.int64)
    created = day_us + hours * _HOUR_US + source.below(_HOUR_US // 1000, count) * 1000
    columns["created_at"] = pa.array(created).cast(pa.timestamp("us", tz="UTC"))
    goods = pa.array(table.goods[source.words(count)])
    columns["goods_name"] = table.goods_name.take(goods)
    columns["goods_category"] = table.goods_category.take(goods)
    columns["pieces"] = pa.array(table.pieces[source.words(count)])
    columns["weight_g"] = pa.array(table.weight_g[source.words(count)])
    value = table.value_minor[source.words(count)]
    value = np.where(foreign, np.rint(value / _CNY_PER_USD).astype(np.int64), value)
    columns["declared_value_minor"] = pa.array(value)
    columns["currency"] = pa.array(["CNY", "USD"]).take(pa.array(foreign).cast(pa.int32()))
    on_delivery = source.chance(facts()["parcel"]["assumed"]["cod_share"], count) & ~foreign
    columns["cod_minor"] = pa.array(value, mask=~on_delivery)
    place = places()
    route = table.route.take(pa.array(1 + source.below(30, count)))
    outlet = place.column("outlet").take(pa.array(where))
    columns["sort_code"] = pc.binary_join_element_wise(place.column("sort").take(pa.array(where)), route, " ")
    columns["origin_outlet"] = place.column("outlet").take(pa.array(merchants.where[merchant]))
    columns["dest_outlet"] = outlet
    columns["route_id"] = pc.binary_join_element_wise(outlet, route, "-R")
    columns["note"] = _notes(source, count)
    # A column that came later is drawn after all others, so that a seed still gives the day that it gave.
    paid = np.where(foreign, len(table.pay_type_code) - 1, table.pay_type[source.words(count)])
    columns["pay_type"] = table.pay_type_code.take(pa.array(paid))
    retain = day_us // 1_000_000 + 8 * 3600 + _RETAIN_DAYS * 86_400
    columns["retain_until"] = pa.array(np.full(count, retain // 86_400, np.int32)).cast(pa.date32())
    columns["revision"] = pa.array(np.zeros(count, np.uint16))
    # The tenant is whoever seals the day.
    columns["tenant"] = pa.nulls(count, pa.string())
    return pa.RecordBatch.from_arrays([columns[field.name] for field in WAYBILL], schema=WAYBILL)


def parcels(
    count: int, *, seed: int = 0, day: date = DEFAULT_DAY, foreign: float = 0.04, batch_rows: int = 65536
) -> Iterator[pa.RecordBatch]:
    """``count`` clear waybills created on ``day`` (local, UTC+8), in batches of at most ``batch_rows`` rows.

    Schema :data:`parcelveil.waybill.WAYBILL`. A share ``foreign`` of recipients lives in the United States; all senders
    live in China. Waybill numbers do not repeat within a run. ``tenant`` is null.

    Raises UsageError for a number outside its range.
    """
    for name, value, low, high in (
        ("count", count, 0, MAX_ROWS),
        ("seed", seed, 0, (1 << 128) - 1),
        ("foreign", foreign, 0.0, 1.0),
        ("batch_rows", batch_rows, 1, 1 << 24),
    ):
        if not low <= value <= high:
            raise UsageError("{name} must be between {low} and {high}", name=name, low=low, high=high)
    return _batches(count, seed, day, foreign, batch_rows)


def _batches(count: int, seed: int, day: date, foreign: float, batch_rows: int) -> Iterator[pa.RecordBatch]:
    day_us = ((day - date(1970, 1, 1)) // timedelta(hours=1) - 8) * _HOUR_US
    merchants = _merchants(seed, count)
    for number, first in enumerate(range(0, count, batch_rows)):
        rows = np.arange(first, min(first + batch_rows, count))
        yield _batch(Draw(seed, 2, number), rows, seed, day_us=day_us, share=foreign, merchants=merchants)
