"""The sample day: determinism, schema, shares against the facts, and phones that reach nobody."""

from __future__ import annotations

import csv
import doctest
import hashlib
import importlib
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import OutputError, UsageError
from parcelveil.intake.divisions import divisions
from parcelveil.simulate import DEFAULT_DAY, DIRT, dirty_rows, parcels, write_dirty_csv
from parcelveil.simulate.dirty import HEADER, KINDS
from parcelveil.simulate.draw import Draw, quantile_table, scatter, weighted
from parcelveil.simulate.lexicon import facts, word_lists
from parcelveil.simulate.parcels import merchant_shares, s10_check_digits
from parcelveil.simulate.people import ID_REGIONS, family_names
from parcelveil.waybill import PAY_TYPES, WAYBILL

ROWS = 60_000

MOBILE = r"\+86(?:14[23]|154|16[34])[0-9]{8}"
VIRTUAL = r"\+86174[3-6][0-9]{7};ext=[0-9]{4}"
LANDLINE = r"\+86(?:10|2[0-9]|[3-9][0-9]{2})90[0-9]{5,6}"
US = r"\+1[2-9][0-9]{2}55501[0-9]{2}"
UK = r"\+447700900[0-9]{3}"


@pytest.fixture(scope="module")
def day() -> pa.Table:
    return pa.Table.from_batches(parcels(ROWS, seed=11, batch_rows=25_000)).combine_chunks()


def column(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()


def share(flags: pa.Array | pa.ChunkedArray) -> float:
    return pc.sum(flags).as_py() / len(flags)


def ipc_digest(batches: list[pa.RecordBatch]) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return hashlib.sha256(sink.getvalue()).hexdigest()


@pytest.mark.parametrize("name", ["", ".draw", ".lexicon", ".address_text", ".places", ".people", ".parcels", ".dirty"])
def test_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"parcelveil.simulate{name}"))
    assert results.failed == 0
    assert results.attempted > 0


# Determinism


def test_one_seed_gives_the_same_bytes() -> None:
    runs = [ipc_digest(list(parcels(3000, seed=5, batch_rows=1000))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != ipc_digest(list(parcels(3000, seed=6, batch_rows=1000)))


@pytest.mark.parametrize(
    ("names", "digest"),
    [
        (
            ("waybill_no", "created_at", "goods_name", "weight_g"),
            "e9b923f6a61954a447f4d6479c01820e4d1285f82a16112440530e53fac416ad",
        ),
        (("to_name", "to_phone", "to_address"), "409746cceee50614db25e3591e052a7e9cbb1dbd2dcd3004cd514f6905bde977"),
        # Drawn behind all others: these are what they were before pay_type came.
        (
            ("sort_code", "route_id", "note", "cod_minor"),
            "746606966f2b10c455ab3461c56be2058463d82c5c3ecf40e9f3d0c2e1dc834f",
        ),
        (("pay_type",), "8866f43c1f8bc3c8c702784179ecc64e045eb9467f998ea114ed594bcc5d425c"),
    ],
)
def test_seed_zero_is_pinned(names: tuple[str, ...], digest: str) -> None:
    (batch,) = parcels(1000)
    text = "\n".join(str(value) for name in names for value in batch.column(name).cast(pa.string()).to_pylist())
    assert hashlib.sha256(text.encode()).hexdigest() == digest


def test_batches_differ_and_are_independent_of_those_before() -> None:
    first, second = parcels(2000, seed=1, batch_rows=1000)
    assert first.column("to_phone") != second.column("to_phone")
    *_, again = parcels(2000, seed=1, batch_rows=1000)
    assert again.equals(second)


# Shape


def test_schema_and_row_counts(day: pa.Table) -> None:
    assert day.schema.equals(WAYBILL, check_metadata=True)
    sizes = [batch.num_rows for batch in parcels(2500, batch_rows=1000)]
    assert sizes == [1000, 1000, 500]
    assert list(parcels(0)) == []
    (one,) = parcels(1)
    one.validate(full=True)
    day.validate(full=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": -1},
        {"count": (1 << 30) + 1},
        {"count": 1, "foreign": 1.5},
        {"count": 1, "foreign": float("nan")},
        {"count": 1, "batch_rows": 0},
        {"count": 1, "seed": -1},
    ],
)
def test_numbers_out_of_range_are_refused_at_the_call(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must be between"):
        parcels(**wrong)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_rows() -> None:
    held = []
    for batch in parcels(60_000, seed=2, batch_rows=5000):
        held.append(pa.total_allocated_bytes())
        assert batch.num_rows
    assert max(held[2:]) < held[1] * 1.2


def test_always_filled_columns(day: pa.Table) -> None:
    may_be_null = {
        *(f"{side}_{part}" for side in ("from", "to") for part in ("company", "email", "town", "postcode", "district")),
        *("tenant", "to_adcode", "cod_minor", "note", "sender_id_no"),
    }
    filled = [name for name in WAYBILL.names if name not in may_be_null]
    assert {name: day.column(name).null_count for name in filled} == dict.fromkeys(filled, 0)
    for name in filled:
        if day.schema.field(name).type == pa.string():
            assert pc.min(pc.utf8_length(day.column(name))).as_py() > 0, name
    assert day.column("tenant").null_count == ROWS
    assert set(day.column("retain_until").to_pylist()) == {DEFAULT_DAY + timedelta(days=180)}


# Waybill numbers


def test_waybill_numbers_and_order_references_do_not_repeat(day: pa.Table) -> None:
    for name in ("waybill_no", "order_ref"):
        assert pc.count_distinct(day.column(name)).as_py() == ROWS


def test_waybill_numbers_have_their_carriers_shape(day: pa.Table) -> None:
    shapes = {
        "YTO": r"^YT\d{13}$",
        "SF": r"^SF\d{13}$",
        "JT": r"^JT\d{13}$",
        "ZTO": r"^7\d{13}$",
        "STO": r"^77\d{13}$",
        "YUNDA": r"^46\d{13}$",
        "EMS": r"^L[A-Z]\d{9}CN$",
    }
    seen = set(day.column("carrier").unique().to_pylist())
    assert seen == set(shapes)
    for carrier, shape in shapes.items():
        rows = day.filter(pc.equal(day.column("carrier"), carrier))
        assert share(pc.match_substring_regex(rows.column("waybill_no"), shape)) == 1.0
    shares = {entry["code"]: entry["share"] for entry in word_lists()["carrier"]}
    for carrier in ("ZTO", "SF"):
        assert share(pc.equal(day.column("carrier"), carrier)) == pytest.approx(shares[carrier] * 0.96, abs=0.01)


def test_foreign_numbers_have_right_s10_check_digits(day: pa.Table) -> None:
    numbers = day.filter(pc.equal(day.column("to_country"), "US")).column("waybill_no").to_pylist()
    assert len(numbers) > ROWS * 0.03
    for number in numbers:
        total = sum(int(digit) * weight for digit, weight in zip(number[2:10], (8, 6, 4, 2, 3, 5, 9, 7), strict=True))
        assert int(number[10]) == {10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11)
    assert s10_check_digits(np.array([47312482])).tolist() == [9]  # the example of UPU S10


@given(st.integers(0, 2**64), st.integers(2, 60))
@settings(deadline=None, max_examples=60)
def test_scatter_is_a_bijection(seed: int, bits: int) -> None:
    index = np.arange(min(1 << bits, 2000))
    scattered = scatter(index, bits=bits, seed=seed)
    assert len(np.unique(scattered)) == len(index)
    assert scattered.min() >= 0
    assert scattered.max() < 1 << bits


# Phones that reach nobody


def test_every_phone_is_in_a_documented_range(day: pa.Table) -> None:
    abroad = pc.equal(day.column("to_country"), "US")
    home = f"^(?:{MOBILE}|{VIRTUAL}|{LANDLINE})$"
    away = f"^(?:{US}|{UK})$"
    assert share(pc.match_substring_regex(day.column("from_phone"), home)) == 1.0
    assert share(pc.match_substring_regex(day.filter(pc.invert(abroad)).column("to_phone"), home)) == 1.0
    assert share(pc.match_substring_regex(day.filter(abroad).column("to_phone"), away)) == 1.0


def test_mobiles_look_like_mobiles_and_are_not_numbers_in_use(day: pa.Table) -> None:
    mobiles = pc.utf8_slice_codeunits(day.column("to_phone"), 0, 14)
    mobiles = mobiles.filter(pc.match_substring_regex(mobiles, r"^\+861"))
    # Landlines of Beijing begin with +8610 and are one digit shorter.
    mobiles = mobiles.filter(pc.invert(pc.match_substring_regex(mobiles, r"^\+8610")))
    assert len(mobiles) > ROWS * 0.8
    assert share(pc.match_substring_regex(mobiles, r"^\+861[3-9]\d{9}$")) == 1.0
    for number in mobiles[:2000].to_pylist():
        assert not phonenumbers.is_valid_number(phonenumbers.parse(number))


def test_landlines_have_no_subscribers(day: pa.Table) -> None:
    """Local numbers begin with 2 to 8 in China; 90 is neither those nor a short code such as 95 and 96."""
    lines = day.filter(pc.match_substring_regex(day.column("to_phone"), f"^{LANDLINE}$")).column("to_phone")
    assert 0.03 < len(lines) / ROWS < 0.05
    areas = {area: digits for _, area, digits, _ in word_lists()["province"]["table"]}
    for number in lines.to_pylist():
        area = next(number[3 : 3 + width] for width in (2, 3) if number[3 : 3 + width] in areas)
        local = number[3 + len(area) :]
        assert len(local) == areas[area]
        assert local.startswith("90")


def test_phones_inside_remarks_are_in_the_ranges_too(day: pa.Table) -> None:
    calls = day.filter(pc.starts_with(pc.fill_null(day.column("note"), ""), pattern="请打")).column("note")
    assert 0 < len(calls) < ROWS * 0.01
    local = r"^请打(?:(?:14[23]|154|16[34])\d{8}|174[3-6]\d{7}转\d{4}|(?:10|2\d|[3-9]\d\d)90\d{5,6})$"
    assert share(pc.match_substring_regex(calls, local)) == 1.0


def test_kinds_of_phones_have_their_shares(day: pa.Table) -> None:
    real, virtual, landline, foreign = facts()["phone"]["kind_in_waybill"]["weights"]
    for shape, wanted in ((MOBILE, real), (VIRTUAL, virtual), (LANDLINE, landline), (f"(?:{US}|{UK})", foreign)):
        assert share(pc.match_substring_regex(day.column("to_phone"), f"^{shape}$")) == pytest.approx(wanted, abs=0.006)


def test_emails_are_at_example_hosts(day: pa.Table) -> None:
    for side in ("from", "to"):
        mails = day.column(f"{side}_email").drop_null()
        assert len(mails) > ROWS * 0.01
        assert share(pc.match_substring_regex(mails, r"^[a-z]+\.[a-z]+\d+@example\.(?:com|org|net)$")) == 1.0


def test_identity_numbers_are_well_formed_and_nobodys(day: pa.Table) -> None:
    numbers = day.column("sender_id_no").drop_null().to_pylist()
    assert len(numbers) / ROWS == pytest.approx(0.005, abs=0.0015)
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    for number in numbers:
        assert int(number[:6]) in ID_REGIONS
        assert date(int(number[6:10]), int(number[10:12]), int(number[12:14])) < DEFAULT_DAY
        assert number[17] == "10X98765432"[sum(int(d) * w for d, w in zip(number, weights, strict=False)) % 11]
    assert all(divisions().find(str(region)) is None for region in ID_REGIONS)


# Places


def test_divisions_are_real_and_agree(day: pa.Table) -> None:
    home = day.filter(pc.equal(day.column("to_country"), "CN"))
    names = ("region", "city", "district", "town")
    for row in home.select([f"to_{name}" for name in (*names, "adcode")]).slice(0, 3000).to_pylist():
        path = [division.name for division in divisions().path(row["to_adcode"]) if division.name]
        parts = [row[f"to_{name}"] for name in names if row[f"to_{name}"]]
        assert parts == path
        assert (len(row["to_adcode"]) == 9) == (row["to_town"] is not None)
    assert share(pc.is_valid(home.column("to_town"))) == pytest.approx(facts()["address"]["presence"]["town"], abs=0.01)


def test_provinces_have_their_volume(day: pa.Table) -> None:
    home = day.filter(pc.equal(day.column("to_country"), "CN"))
    wanted = dict(facts()["phone"]["province"]["weights"])
    for name, full in (("广东", "广东省"), ("北京", "北京市"), ("广西", "广西壮族自治区"), ("西藏", "西藏自治区")):
        assert share(pc.equal(home.column("to_region"), full)) == pytest.approx(wanted[name], abs=0.005)
    assert len(home.column("to_region").unique()) == 31


def test_a_town_has_one_outlet_and_one_sort_code_prefix(day: pa.Table) -> None:
    towns = day.filter(pc.equal(pc.utf8_length(pc.fill_null(day.column("to_adcode"), "")), 9))
    pairs = set(zip(towns.column("to_adcode").to_pylist(), towns.column("dest_outlet").to_pylist(), strict=True))
    assert len(pairs) == len(towns.column("to_adcode").unique())
    assert share(pc.match_substring_regex(day.column("sort_code"), r"^\d{3}-[A-Z]\d{2} \d{3} \d{2}$")) == 1.0
    assert share(pc.match_substring_regex(day.column("route_id"), r"^\d{8}-R\d{2}$")) == 1.0


def test_foreign_parties_are_american(day: pa.Table) -> None:
    away = day.filter(pc.equal(day.column("to_country"), "US"))
    assert len(away) / ROWS == pytest.approx(0.04, abs=0.004)
    assert share(pc.match_substring_regex(away.column("to_region"), "^[A-Z]{2}$")) == 1.0
    assert share(pc.match_substring_regex(away.column("to_postcode"), r"^\d{5}$")) == 1.0
    assert share(pc.match_substring_regex(away.column("to_address"), r"^\d[\d-]* [A-Za-z0-9 ]+$")) == 1.0
    assert set(away.column("currency").unique().to_pylist()) == {"USD"}
    assert all(batch.column("to_country").unique().to_pylist() == ["CN"] for batch in parcels(500, foreign=0.0))
    assert all(batch.column("to_country").unique().to_pylist() == ["US"] for batch in parcels(500, foreign=1.0))


def test_addresses_follow_the_measured_forms(day: pa.Table) -> None:
    home = day.filter(pc.equal(day.column("to_country"), "CN"))
    text = home.column("to_address")
    kinds = facts()["address"]["kinds"]
    with_road = share(pc.match_substring_regex(text, "(?:路|街|大道|组|巷|道|线|弄|里|段|队)"))
    assert with_road == pytest.approx(kinds["road_without_poi"] + kinds["road_and_poi"], abs=0.08)
    numbered = share(pc.match_substring_regex(text, r"\d"))
    assert 0.7 < numbered < 0.95
    assert pc.count_distinct(text).as_py() > len(text) * 0.9
    lengths = np.quantile(pc.utf8_length(text).to_numpy(), [0.01, 0.5, 0.99])
    assert lengths[0] >= 2
    assert 8 <= lengths[1] <= 14
    assert lengths[2] <= 30
    rows = zip(home.column("to_district").to_pylist(), text.to_pylist(), strict=True)
    again = sum(bool(district) and address.startswith(district) for district, address in rows) / len(home)
    assert again == pytest.approx(facts()["address"]["noise"]["duplicate_admin"], abs=0.006)
    hyphened = share(pc.match_substring_regex(text, r"\d-\d+-\d"))
    assert hyphened == pytest.approx(facts()["address"]["noise"]["N_N_N"], abs=0.015)
    # Nothing that is a placeholder, and no two numbers run together without a hyphen or a unit word.
    assert not pc.any(pc.match_substring_regex(text, r"None|nan|\d{6}")).as_py()


# People and goods


def test_names_follow_the_facts(day: pa.Table) -> None:
    home = day.filter(pc.equal(day.column("to_country"), "CN"))
    text = home.column("to_name")
    other = facts()["names"]["other"]
    starred = pc.match_substring_regex(text, r"^\p{Han}{1,2}\*{1,2}$")
    assert share(starred) == pytest.approx(other["single_surname_plus_star_from_platform"], abs=0.01)
    dotted = other["minority_long_name_with_dot"]
    assert share(pc.match_substring(text, "·")) == pytest.approx(dotted, abs=0.003)
    assert share(pc.starts_with(text, pattern="王")) == pytest.approx(0.0725 * 0.95, abs=0.006)
    whole = text.filter(pc.match_substring_regex(text, r"^\p{Han}{2,4}$"))
    assert share(pc.equal(pc.utf8_length(whole), 3)) == pytest.approx(0.815, abs=0.06)
    firms = home.filter(pc.equal(pc.fill_null(home.column("to_company"), ""), text))
    assert len(firms) / len(home) == pytest.approx(other["company_or_shop_as_recipient"], abs=0.005)
    assert pc.count_distinct(text.filter(pc.invert(starred))).as_py() > 20_000


def test_family_names_keep_the_published_bands() -> None:
    pairs = family_names()
    total = sum(weight for _, weight in pairs)
    assert total == pytest.approx(100.09, abs=0.01)
    assert [name for name, _ in pairs[:3]] == ["王", "李", "张"]
    assert sum(weight for _, weight in pairs[:100]) == pytest.approx(84.77)
    assert len({name for name, _ in pairs}) == len(pairs)


def test_senders_are_unequal_merchants() -> None:
    items = facts()["parcel"]["items"]
    shares = merchant_shares(20_000)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[:2000].sum() == pytest.approx(items["share_of_items_of_top_10pct_sellers"], abs=0.005)
    assert shares[:200].sum() == pytest.approx(items["share_of_items_of_top_1pct_sellers"], abs=0.02)
    (batch,) = parcels(50_000, seed=4)
    senders = Counter(batch.column("from_phone").to_pylist())
    top = sum(count for _, count in senders.most_common(125))
    assert top / 50_000 == pytest.approx(items["share_of_items_of_top_10pct_sellers"], abs=0.03)


def test_a_sender_is_the_same_in_every_batch() -> None:
    fields = [field.name for field in WAYBILL if field.name.startswith("from_")]
    seen: dict[str, set[tuple[str, ...]]] = {}
    for batch in parcels(4000, seed=9, batch_rows=1000):
        for row in batch.select(fields).to_pylist():
            seen.setdefault(row["from_phone"], set()).add(tuple(row.values()))
    assert len(seen) <= 100
    assert all(len(rows) == 1 for rows in seen.values())


def test_created_within_the_local_day_by_the_measured_hours() -> None:
    when = date(2025, 11, 11)
    (batch,) = parcels(40_000, seed=3, day=when)
    start = datetime(2025, 11, 11, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)
    created = batch.column("created_at")
    assert pc.min(created).as_py() >= start
    assert pc.max(created).as_py() < start + timedelta(days=1)
    hours = pc.hour(pc.assume_timezone(pc.local_timestamp(created.cast(pa.timestamp("us", tz="Asia/Shanghai"))), "UTC"))
    counts = np.bincount(hours.to_numpy(), minlength=24) / len(created)
    assert counts == pytest.approx(np.array(facts()["parcel"]["order_times"]["purchase_hour_0_23"]), abs=0.007)


def test_quantities_have_their_quantiles(day: pa.Table) -> None:
    assumed = facts()["parcel"]["assumed"]
    levels = facts()["quantile_levels"]
    weights = np.percentile(column(day, "weight_g").to_numpy(), levels)
    assert weights == pytest.approx(np.array(assumed["weight_g_q"]), rel=0.12)
    home = day.filter(pc.equal(day.column("currency"), "CNY"))
    values = np.percentile(column(home, "declared_value_minor").to_numpy() / 100, levels)
    assert values == pytest.approx(np.array(assumed["declared_value_cny_q"]), rel=0.12)
    on_delivery = home.column("cod_minor").drop_null()
    assert len(on_delivery) / ROWS == pytest.approx(assumed["cod_share"] * 0.96, abs=0.004)
    assert pc.min(on_delivery).as_py() > 0
    pieces = np.bincount(column(day, "pieces").to_numpy())[1:] / ROWS
    assert pieces == pytest.approx(np.array(facts()["parcel"]["items"]["pieces_1_to_5"]), abs=0.006)
    for category, wanted in assumed["category"]:
        assert share(pc.equal(day.column("goods_category"), category)) == pytest.approx(wanted / 0.99, abs=0.01)


def test_freight_is_paid_by_the_assumed_shares_and_at_the_start_when_it_goes_abroad(day: pa.Table) -> None:
    shares = dict(facts()["parcel"]["assumed"]["pay_type"])
    assert sorted(shares) == sorted(PAY_TYPES)
    assert sum(shares.values()) == pytest.approx(1.0)
    abroad = pc.equal(day.column("to_country"), "US")
    home = day.filter(pc.invert(abroad)).column("pay_type")
    for code, wanted in shares.items():
        assert share(pc.equal(home, code)) == pytest.approx(wanted, abs=0.008)
    assert set(day.filter(abroad).column("pay_type").to_pylist()) == {"prepaid"}


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_weighted_tables_give_each_code_its_share(weights: list[float]) -> None:
    table = weighted(weights)
    assert len(table) == 65_536
    wanted = np.array(weights) / sum(weights)
    assert np.bincount(table, minlength=len(weights)) / 65_536 == pytest.approx(wanted, abs=2 / 65_536)


def test_draws_and_quantile_tables() -> None:
    assert Draw(1, 2).words(5).tolist() == Draw(1, 2).words(5).tolist()
    assert Draw(1, 2).words(5).tolist() != Draw(1, 3).words(5).tolist()
    drawn = Draw(1).below(6, 6000)
    assert sorted(set(drawn.tolist())) == [0, 1, 2, 3, 4, 5]
    table = quantile_table([10, 50, 90], [1.0, 10.0, 100.0])
    assert np.percentile(table, [10, 50, 90]) == pytest.approx([1.0, 10.0, 100.0], rel=0.01)
    assert (np.diff(table) > 0).all()


# The dirty export


def read_csv(data: bytes, encoding: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline="")))


@pytest.fixture(scope="module")
def export() -> tuple[dict[str, int], list[list[str]]]:
    file = io.BytesIO()
    counts = write_dirty_csv(file, 12_000, seed=8, encoding="gb18030")
    return counts, read_csv(file.getvalue(), "gb18030")


def test_the_export_has_the_counted_dirt(export: tuple[dict[str, int], list[list[str]]]) -> None:
    counts, (header, *rows) = export
    assert tuple(header) == HEADER
    assert set(counts) == set(KINDS)
    assert counts["rows"] == len(rows) == 12_000
    short = [row for row in rows if len(row) < len(HEADER)]
    assert len(short) == counts["row_short"]
    assert all(len(row) >= 4 for row in short)
    whole = [dict(zip(HEADER, row, strict=True)) for row in rows if len(row) == len(HEADER)]
    assert sum(not row["物流单号"].strip() for row in whole) == counts["waybill_missing"]
    assert sum("E+" in row["收件人电话"] for row in whole) == counts["phone_digits_lost"]
    wide = [row for row in whole if any(digit in row["收件人电话"] for digit in "０１２３４５６７８９")]
    assert len(wide) == counts["full_width_digits"]
    blank = [row for row in whole if row["收件人电话"] != row["收件人电话"].strip()]
    assert len(blank) == counts["stray_blanks"]
    assert sum("*" in row[2] for row in rows) == counts["name_masked"]
    for kind, wanted in DIRT.items():
        assert counts[kind] / 12_000 == pytest.approx(wanted, abs=0.004), kind


def test_a_doubled_number_stands_further_up_in_a_row_that_can_be_taken(
    export: tuple[dict[str, int], list[list[str]]],
) -> None:
    counts, (_, *rows) = export
    lines: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        if len(row) == len(HEADER) and row[1].strip() and "E+" not in row[3]:
            lines.setdefault(row[1].strip(), []).append(at)
    doubled = [at for at in lines.values() if len(at) > 1]
    assert len(doubled) == counts["waybill_doubled"]
    assert all(len(at) == 2 and at[1] - at[0] > 1 for at in doubled)
    assert all(rows[first][2:5] != rows[second][2:5] for first, second in doubled)


def test_dirty_rows_are_those_of_the_file() -> None:
    file = io.BytesIO()
    write_dirty_csv(file, 300, seed=2)
    assert not file.closed
    assert file.getvalue().startswith(b"\xef\xbb\xbf")
    assert [list(row.values()) for row in dirty_rows(300, seed=2)] == read_csv(file.getvalue(), "utf-8-sig")[1:]
    again = io.BytesIO()
    write_dirty_csv(again, 300, seed=2)
    assert again.getvalue() == file.getvalue()


def test_writing_to_a_path(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    counts = write_dirty_csv(path, 50, seed=1, encoding="utf-8")
    assert counts["rows"] == 50
    assert len(read_csv(path.read_bytes(), "utf-8")) == 51
    with pytest.raises(OutputError, match=r"orders\.csv cannot be written"):
        write_dirty_csv(path, 50)
    with pytest.raises(UsageError, match="unknown encoding"):
        write_dirty_csv(tmp_path / "other.csv", 5, encoding="klingon")
    with pytest.raises(UsageError, match="lacks characters"):
        write_dirty_csv(tmp_path / "other.csv", 5, encoding="ascii")
    assert [file.name for file in tmp_path.iterdir()] == ["orders.csv"]
