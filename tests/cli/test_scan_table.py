"""``parcelveil scan table``: databases and column files, in a sample or whole."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.conftest import Desk
from parcelveil.scan import warm


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm.prepare()


@pytest.fixture
def base(desk: Desk) -> str:
    """``old.db``: 300 customers, a view of them, an empty table."""
    connection = sqlite3.connect("old.db")
    connection.execute("CREATE TABLE kunden (id INTEGER PRIMARY KEY, 姓名, 电话)")
    rows = [(f"王小{chr(0x4E00 + number)}", f"163{number:08d}") for number in range(300)]
    connection.executemany("INSERT INTO kunden (姓名, 电话) VALUES (?, ?)", rows)
    connection.execute("CREATE TABLE leer (a)")
    connection.execute("CREATE VIEW alle AS SELECT 电话 FROM kunden")
    connection.commit()
    connection.close()
    return "sqlite:old.db"


def scanned(desk: Desk, *words: str, code: int = 0) -> dict[str, Any]:
    ran = desk.run("scan", "table", *words, "--json")
    assert ran.code == code, ran.err
    found: dict[str, Any] = json.loads(ran.text)
    return found


def test_all_tables_are_told(desk: Desk, base: str) -> None:
    found = scanned(desk, base, "--full")
    told = {one["part"]: (one["words"], one["people"]) for one in found["verdicts"]}
    assert told == {"kunden": ("customer list: 300 people", 300), "alle": ("list of phones: 300 people", 300)}
    assert found["documents"]["read"] == 3
    assert found["not_read"] == []
    columns = {one["part"]: [column["name"] for column in one["columns"]] for one in found["verdicts"]}
    assert columns["kunden"] == ["姓名", "电话"]


def test_a_sample_is_the_same_for_a_seed_and_is_told(desk: Desk, base: str) -> None:
    words = (base, "--table", "kunden", "--sample", "50", "--key", "scan.key")
    desk.run("scan", "key", "-o", "scan.key")
    found = [scanned(desk, *words, "--seed", seed, "-o", f"{n}.jsonl") for n, seed in enumerate(("7", "7", "8"))]
    assert [one["rows"] for one in found] == [50, 50, 50]
    assert [one["why"] for one in found[0]["not_read"]] == ["a sample of its rows was read; --full reads all"]
    assert found[0]["verdicts"][0]["code"] == "customer list"
    first, same, other = (Path(f"{n}.jsonl").read_bytes() for n in range(3))
    assert first == same != other
    assert scanned(desk, base, "--table", "kunden", "--sample", "300")["not_read"] == []


def test_column_files(desk: Desk) -> None:
    table = pa.table({"phone": [f"163{number:08d}" for number in range(20)]})
    pyarrow.parquet.write_table(table, "a.parquet")
    assert scanned(desk, "a.parquet", "parquet:a.parquet")["verdicts"][0]["words"] == "list of phones: 20 people"


def test_a_damaged_table_does_not_end_the_scan(desk: Desk, base: str) -> None:
    data = bytearray(Path("old.db").read_bytes())
    page = int.from_bytes(data[16:18], "big")
    data[2 * page : 3 * page] = b"\xff" * page
    Path("hurt.db").write_bytes(data)
    found = scanned(desk, "hurt.db", base, "--full")
    assert found["finished"]
    assert "old.db" in {one["source"] for one in found["verdicts"]}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "which database?"),
        (("a.txt",), 2, "no database"),
        (("sqlite:missing.db",), 3, "missing.db"),
        (("sqlite:a.txt",), 3, "no SQLite database"),
        (("sqlite:old.db", "--table", "nope"), 3, "has no table nope"),
        (("sqlite:old.db", "--full", "--sample", "3"), 2, "contradict"),
        (("sqlite:old.db", "--sample", "0"), 2, "--sample"),
        (("sqlite:old.db", "--seed", "-1"), 2, ""),
        (("mysql://root:geheim@127.0.0.1:1/x",), 3, "nothing listens there"),
    ],
)
def test_what_does_not_fit_is_one_line(desk: Desk, base: str, words: tuple[str, ...], code: int, said: str) -> None:
    Path("a.txt").write_text("a text", "utf-8")
    ran = desk.run("scan", "table", *words)
    ran.refused(code, said)
    assert "geheim" not in ran.err


def test_outputs_and_thresholds_are_those_of_files(desk: Desk, base: str) -> None:
    ran = desk.run("scan", "table", base, "--full", "-o", "f.sarif", "--fail-on", "medium", "--log")
    assert ran.code == 13, ran.err
    assert json.loads(Path("f.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert "old.db#kunden" in ran.text
