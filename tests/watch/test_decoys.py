"""Decoys: where they stand, who can tell, and what a harvester's chances are."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import UsageError
from parcelveil.intake.phone import is_e164
from parcelveil.watch.decoys import Block, DecoyKey, blocks_of, chance_of_hit, decoy_waybills
from parcelveil.waybill import WAYBILL, personal_fields

SECRET = bytes(range(32))
BLOCK = Block.between("YT7891230000000", "YT7891230199999")
LINES = ["+8613800000001", "+8613800000002"]


def planted(key: DecoyKey, block: Block = BLOCK) -> list[str]:
    return [number for part in key.planted(block) for number in part.to_pylist()]


def test_t8_a_walk_through_a_block_meets_exactly_the_planted_numbers() -> None:
    key = DecoyKey(SECRET, [BLOCK])
    walk = BLOCK.numbers(BLOCK.first, BLOCK.last + 1)
    found = walk.filter(pa.array(key.hits(walk))).to_pylist()
    assert found == planted(key)
    assert 150 < len(found) < 255, "200 are expected, with a deviation of 14"


def test_decoys_lie_in_the_blocks_only_and_do_not_look_like_it() -> None:
    key = DecoyKey(SECRET, [BLOCK])
    outside = Block.between("YT7891240000000", "YT7891240199999")
    assert not key.hits(outside.numbers(outside.first, outside.last + 1)).any()
    assert not DecoyKey(SECRET).hits(pa.array(planted(key))).any()
    gaps = np.diff([int(number[2:]) for number in planted(key)])
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.2), "gaps as of independent draws: geometric"


def test_t2_only_the_key_tells_where_decoys_stand() -> None:
    mine, other = planted(DecoyKey(SECRET, [BLOCK])), planted(DecoyKey(bytes(32), [BLOCK]))
    assert len(set(mine) & set(other)) < 5
    assert SECRET.hex() not in repr(DecoyKey(SECRET, [BLOCK])) + DecoyKey(SECRET).key_id
    assert DecoyKey(SECRET).key_id != DecoyKey(bytes(32)).key_id


def test_numbers_are_compared_as_people_write_them_and_nulls_are_none() -> None:
    key = DecoyKey(SECRET, [BLOCK])
    number = planted(key)[0]
    values = pa.array([number, None, f" {number.lower()} ", "", "YT1", number + "0", "王小明", "9" * 40])
    assert key.hits(values).tolist() == [True, False, True] + [False] * 5
    assert key.hits(values.dictionary_encode()).tolist() == key.hits(values).tolist()
    assert key.hits(pa.chunked_array([values, values[:2]])).tolist() == [*key.hits(values), True, False]
    assert key.hits(pa.array([], pa.string())).tolist() == key.hits(pa.chunked_array([], pa.string())).tolist() == []


def test_blocks_with_their_own_rates_side_by_side() -> None:
    thin, thick = BLOCK, Block.between("YT7891230200000", "YT7891230209999", 0.5)
    key = DecoyKey(SECRET, [thick, thin])
    assert 4800 < len(planted(key, thick)) < 5200
    walk = thin.numbers(thin.first, thick.last + 1)
    assert int(key.hits(walk).sum()) == len(planted(key, thin)) + len(planted(key, thick))


def test_s10_numbers_have_their_check_digit() -> None:
    block = Block.between("RR473124829CN", "RR473129993CN", 0.5)
    assert block.numbers(47312482, 47312483).to_pylist() == ["RR473124829CN"], "the example of UPU S10"
    key = DecoyKey(SECRET, [block])
    found = planted(key, block)
    assert 200 < len(found) < 320 and key.hits(pa.array(found)).all()
    wrong = [number[:10] + str((int(number[10]) + 1) % 10) + number[11:] for number in found]
    assert not key.hits(pa.array(wrong)).any()
    assert block.text() == "RR473124829CN-RR473129993CN"


@given(st.sets(st.integers(0, 400), min_size=1, max_size=60), st.sampled_from(["YT", "", "JDX"]))
def test_a_list_of_unused_numbers_becomes_the_blocks_it_consists_of(serials: set[int], letters: str) -> None:
    numbers = [f"{letters}{serial:08d}" for serial in serials]
    blocks = blocks_of([*reversed(numbers), numbers[0]])
    whole = [number for block in blocks for number in block.numbers(block.first, block.last + 1).to_pylist()]
    assert whole == sorted(numbers)
    assert all(later.first > former.last + 1 for former, later in itertools.pairwise(blocks))


@pytest.mark.parametrize(
    ("first", "last", "rate"),
    [
        ("YT7891230000000", "YT789123999", 1e-3),
        ("YT7891230000000", "SF7891230999999", 1e-3),
        ("YT7891230999999", "YT7891230000000", 1e-3),
        ("YT7891230000000", "YT7891230999999", 0.9),
        ("YT7891230000000", "YT7891230999999", float("nan")),
        ("YT7891230000000", "YT7899999999999", 1e-3),
        ("王小明", "13800000001号", 1e-3),
        ("RR473124828CN", "RR473129993CN", 1e-3),
    ],
)
def test_what_is_no_block_is_refused_in_one_line(first: str, last: str, rate: float) -> None:
    with pytest.raises(UsageError) as caught:
        Block.between(first, last, rate)
    assert "\n" not in str(caught.value) and "王" not in str(caught.value)


def test_a_list_that_holds_something_else_is_refused_by_its_place() -> None:
    with pytest.raises(UsageError, match="number 2 of the list") as caught:
        blocks_of(["YT00000001", "王小明 13800000001"])
    assert "138" not in str(caught.value)
    with pytest.raises(UsageError, match="in 10,001 pieces"):
        blocks_of([f"YT{serial:010d}" for serial in range(0, 20_002, 2)])


def test_the_chance_to_meet_a_decoy_is_the_one_that_is_told() -> None:
    assert chance_of_hit(0, 1e-3) == 0
    assert chance_of_hit(1000, 1e-3) == pytest.approx(0.632, abs=1e-3)
    assert chance_of_hit(400_000, 1e-4) > 0.999999
    assert chance_of_hit(1, 1e-15) == pytest.approx(1e-15)
    key = DecoyKey(SECRET, [BLOCK])
    hits = key.hits(BLOCK.numbers(BLOCK.first, BLOCK.last + 1)).reshape(-1, 1000).any(axis=1)
    assert hits.mean() == pytest.approx(chance_of_hit(1000, 1e-3), abs=0.1), "200 walks of 1000 numbers"


def test_decoy_waybills_hold_invented_people_and_the_carriers_lines_only() -> None:
    key = DecoyKey(SECRET, [BLOCK])
    numbers = pa.array(planted(key))
    batch = decoy_waybills(numbers, phones=LINES, seed=key.seed(BLOCK), day=date(2026, 11, 23), outlets=["021007"])
    assert batch.schema.equals(WAYBILL) and batch["waybill_no"].equals(numbers)
    for side in ("from", "to"):
        assert set(batch[f"{side}_phone"].to_pylist()) == set(LINES)
        assert is_e164(batch[f"{side}_phone"]).to_pylist() == [True] * len(numbers)
    for name in ("to_email", "from_email", "note", "sender_id_no"):
        assert batch[name].null_count == len(numbers)
    assert {field.name for field in personal_fields(WAYBILL)} >= {"note", "sender_id_no"}
    counts = np.unique(batch["to_phone"].to_pylist(), return_counts=True)[1]
    assert counts.max() - counts.min() <= 1, "lines are shared out evenly"
    assert set(batch["dest_outlet"].to_pylist()) == {"021007"}
    again = decoy_waybills(numbers, phones=LINES, seed=key.seed(BLOCK), day=date(2026, 11, 23), outlets=["021007"])
    assert batch.equals(again) and key.seed(BLOCK) != DecoyKey(bytes(32)).seed(BLOCK)
    with pytest.raises(UsageError, match="phones that the carrier owns"):
        decoy_waybills(numbers, phones=[], seed=1, day=date(2026, 11, 23))
    assert decoy_waybills(numbers[:0], phones=LINES, seed=1, day=date(2026, 11, 23)).num_rows == 0
