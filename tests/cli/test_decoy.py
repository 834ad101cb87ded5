"""``parcelveil decoy``: planted by the key, sealed like any waybill, listed on record."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.conftest import Desk

BLOCK = "YT7891230000000-YT7891230009999"
PLANT = ("decoy", "plant", BLOCK, "--rate", "0.01", "--phones", "lines.txt", "-o", "decoys.parquet")


@pytest.fixture
def place(desk: Desk) -> Desk:
    Path("lines.txt").write_text("16400000001\n+8616400000002\n", "utf-8")
    return desk


def test_decoys_are_waybills_like_any_and_can_be_sealed(place: Desk) -> None:
    ran = place.run(*PLANT, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    table = pq.read_table("decoys.parquet")
    assert told["decoys"] == table.num_rows and 60 < table.num_rows < 140 and told["numbers"] == 10_000
    assert stat.S_IMODE(Path("decoys.parquet").stat().st_mode) == 0o600
    assert set(table["to_phone"].to_pylist()) == {"+8616400000001", "+8616400000002"}
    assert place.run("seal", "decoys.parquet", "-o", "sealed.parquet").code == 0


def test_the_chances_are_told_by_arithmetic(place: Desk) -> None:
    ran = place.run(*PLANT)
    share = pq.read_metadata("decoys.parquet").num_rows / 10_000
    assert f"1,000: {100 * (1 - (1 - share) ** 1000):.1f} %" in ran.err and "a false alarm: none" in ran.err
    assert "each phone line is on about" in ran.err


def test_only_who_holds_the_key_can_list_them_and_that_is_logged(place: Desk) -> None:
    place.run(*PLANT)
    planted = pq.read_table("decoys.parquet")["waybill_no"].to_pylist()
    blocks = place.run("decoy", "list")
    assert BLOCK in blocks.text and not any(number in blocks.text for number in planted[1:])
    named = json.loads(place.run("decoy", "list", "--numbers", "--json").out)
    assert [one["waybill_no"] for one in named["decoys"]] == planted
    assert len({one["parcel"] for one in named["decoys"]}) == len(planted)
    kinds = [json.loads(line) for line in place.run("audit", "export").out.splitlines()]
    logged = [(one["action"], one["decoys"]) for one in kinds if one["kind"] == "watch"]
    assert logged == [("decoys-planted", len(planted)), ("decoys-listed", len(planted))]
    state = b"".join(file.read_bytes() for file in Path("acme").rglob("*") if file.is_file())
    assert not any(number.encode() in state for number in planted), "nobody can read them off the state"


def test_unused_numbers_from_a_list(place: Desk) -> None:
    Path("unused.txt").write_text("".join(f"JDX{n:012}\n" for n in range(4000)), "utf-8")
    words = ("decoy", "plant", "--unused", "unused.txt", "--rate", "0.1", "--phones", "lines.txt", "-o", "d.parquet")
    assert place.run(*words).code == 0
    assert 320 < pq.read_metadata("d.parquet").num_rows < 480


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("decoy", "plant", "--phones", "lines.txt", "-o", "d.parquet"), 2, "in which numbers"),
        (("decoy", "plant", BLOCK, "--phones", "none.txt", "-o", "d.parquet"), 3, "none.txt"),
        (("decoy", "plant", BLOCK, "--phones", "empty.txt", "-o", "d.parquet"), 3, "is empty"),
        (("decoy", "plant", BLOCK, "--phones", "names.txt", "-o", "d.parquet"), 3, "line 2 of names.txt"),
        (("decoy", "plant", "YT1-YT9", "--phones", "lines.txt", "-o", "d.parquet"), 2, "a block goes from"),
        (("decoy", "plant", BLOCK, BLOCK, "--phones", "lines.txt", "-o", "d.parquet"), 2, "overlaps"),
        (("decoy", "plant", BLOCK, "--rate", "2", "--phones", "lines.txt", "-o", "d.parquet"), 2, "--rate"),
        (("decoy", "plant", BLOCK, "--day", "today", "--phones", "lines.txt", "-o", "d.parquet"), 2, "not a day"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_planted(
    place: Desk, words: tuple[str, ...], code: int, said: str
) -> None:
    Path("empty.txt").write_text("\n", "utf-8")
    Path("names.txt").write_text("16400000001\n王小明\n", "utf-8")
    ran = place.run(*words)
    ran.refused(code, said)
    assert "王小明" not in ran.err
    assert place.run("decoy", "list").err == "no decoys were planted\n" and not Path("d.parquet").exists()


def test_a_block_is_planted_once(place: Desk) -> None:
    assert place.run(*PLANT).code == 0
    place.run(*PLANT[:-1], "more.parquet").refused(2, "overlaps")
    assert not Path("more.parquet").exists()
