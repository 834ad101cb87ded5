"""Whatever is run, and however it fails: clear values stand in the input and in what `open` was asked for, only there."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pyarrow.feather
import pyarrow.parquet
import pytest

from cli.conftest import PASSPHRASE, Desk, csv_text
from parcelveil.errors import ParcelveilError
from parcelveil.workspace import Workspace

#: Each stands nowhere else, and is long enough not to occur by chance.
GOOD = {
    "name": "欧阳测漏甲",
    "phone": "13987654321",
    "address": "暗香弄77号6幢2单元501室",
    "id": "330106199003078819",
    "note": "请致电隔壁邻居阿芬婶",
}
BAD = {
    "name": "司徒坏行乙",
    "phone": "13876501234",
    "address": "疏影弄66号9幢3单元402室",
    "id": "330106198811224417",
    "note": "门铃坏了请喊桂花嫂",
}
PLANTED = [*GOOD.values(), *BAD.values(), PASSPHRASE]
AREA = "浙江省杭州市西湖区"
CLEAR = {"orders.csv", "headless.csv", "clear.csv"}


def row(number: str, who: dict[str, str], phone: str | None = None, time: str = "2026-05-03 10:00:00") -> list[str]:
    return [number, who["name"], phone or who["phone"], AREA + who["address"], who["id"], who["note"], time]


def spellings(value: str) -> set[bytes]:
    """A value in the encodings in which it might lie about, and in base64 at each of its three alignments."""
    found = set()
    for plain in {value.encode(name) for name in ("utf-8", "gb18030", "utf-16-le", "utf-16-be")}:
        found.add(plain)
        found.add(plain.hex().encode())
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + plain)
            # The first and last groups depend on the neighbours.
            found.add(text[4 if shift else 0 : -4])
    return {spelling for spelling in found if len(spelling) >= 8}


NEEDLES = {value: spellings(value) for value in PLANTED}


def contents(path: Path) -> bytes:
    """The bytes of a file, and of what is packed inside it."""
    data = path.read_bytes()
    parts = [data]
    if data[:4] == b"PAR1":
        parts.append(_cells(pyarrow.parquet.read_table(io.BytesIO(data))))
    elif data[:6] == b"ARROW1":
        parts.append(_cells(pyarrow.feather.read_table(io.BytesIO(data))))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            parts += [book.read(name) for name in book.namelist()]
    return b"\n".join(parts)


def _cells(table: pyarrow.Table) -> bytes:
    values = [value for column in table.columns for value in column.to_pylist() if value is not None]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def found_in(data: bytes) -> list[str]:
    return [value for value, needles in NEEDLES.items() if any(needle in data for needle in needles)]


def leaks(desk: Desk) -> dict[str, list[str]]:
    """Planted values in any file that is no input and no opened output, and in all that was said."""
    places = {str(path.relative_to(desk.folder)): path for path in desk.folder.rglob("*") if path.is_file()}
    found = {name: found_in(contents(path)) for name, path in places.items() if name not in CLEAR}
    found["what was said"] = found_in(b"\n".join(desk.said))
    return {name: values for name, values in found.items() if values}


@pytest.fixture
def planted(desk: Desk) -> Path:
    path = desk.folder / "orders.csv"
    rows = [
        row("YT1", GOOD),
        row("YT2", GOOD),
        row("", BAD),
        row("YT1", BAD),
        row("YT3", BAD, phone="1.38E+10"),
        row("YT4", BAD, time="gestern"),
        row("YT5", BAD)[:4],
        [*row("YT6", BAD), "zu viel", BAD["name"]],
    ]
    path.write_text(csv_text(rows), "utf-8")
    return path


def test_the_search_finds_what_is_planted(desk: Desk, planted: Path) -> None:
    for encoding in ("utf-8", "gb18030", "utf-16"):
        for turn in range(3):
            data = b"x" * turn + planted.read_text("utf-8").encode(encoding)
            assert set(found_in(data)) == set(PLANTED) - {PASSPHRASE}
            assert set(found_in(base64.b64encode(data))) == set(PLANTED) - {PASSPHRASE}


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "jsonl", "xlsx"])
def test_t10_nothing_clear_is_left_behind(desk: Desk, planted: Path, ending: str) -> None:
    sealed, clear = f"s.{ending}", "clear.csv"
    desk.run("inspect", "orders.csv")
    assert desk.run("seal", "orders.csv", "-o", sealed).code == 9
    assert desk.run("open", sealed, "-o", clear).code == 0
    assert set(GOOD.values()) - {GOOD["address"]} <= set(found_in((desk.folder / clear).read_bytes()))
    assert desk.run("keys", "rotate", "--day", "2026-05-03").code == 0
    assert desk.run("rewrap", sealed, "-o", f"new.{ending}").code == 0
    assert desk.run("erase", "waybill", "YT1", "--yes").code == 0
    assert desk.run("open", sealed, "-o", clear, "--force").code == 9
    assert desk.run("erase", "before", "2026-05-04", "--yes").code == 0
    assert desk.run("open", f"new.{ending}", "-o", clear, "--force").code == 9
    for words in (("list",), ("export-public",)):
        assert desk.run("keys", *words).code == 0
    assert leaks(desk) == {}


def test_t10_failing_runs_leak_nothing(desk: Desk, planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.run("seal", "orders.csv").code == 9
    headless = desk.folder / "headless.csv"
    headless.write_text("\n".join(planted.read_text("utf-8").splitlines()[1:3]) + "\n", "utf-8")
    (desk.folder / "map.toml").write_text('[columns]\nto_name = "nirgends"\n', "utf-8")
    sealed = "orders.sealed.parquet"
    failing: list[tuple[str, ...]] = [
        ("seal", "headless.csv"),
        ("inspect", "headless.csv"),
        ("seal", "orders.csv"),
        ("seal", "orders.csv", "--encoding", "utf-16", "--force"),
        ("seal", "orders.csv", "--format", "jsonl", "--force"),
        ("seal", "orders.csv", "--format", "parquet", "--force"),
        ("seal", "orders.csv", "--map", "map.toml", "--force"),
        ("seal", "orders.csv", "--map", "orders.csv", "--force"),
        ("seal", "orders.csv", "-o", "/dev/full", "--to", "csv"),
        ("seal", "orders.csv", "-o", "nowhere/s.parquet"),
        ("open", sealed, "-o", "/dev/full", "--to", "csv"),
        ("open", sealed, "-o", "nowhere/c.csv"),
        ("open", "orders.csv", "-o", "c.csv"),
        ("rewrap", "orders.csv", "-o", "c.parquet"),
    ]
    for words in failing:
        assert desk.run(*words).code not in (0, 1), words
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", PASSPHRASE[::-1])
    desk.run("open", sealed, "-o", "c.csv").refused(4)
    assert leaks(desk) == {}
    assert not list((desk.folder / "tmp").iterdir())
    assert not list((desk.folder / "home").iterdir())


def test_t10_a_forged_file_leaks_nothing(desk: Desk, planted: Path) -> None:
    assert desk.run("seal", "orders.csv", "-o", "s.csv").code == 9
    path = desk.folder / "s.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(lines[0] + lines[1].replace('"YT1"', '"YT2"') + lines[2].replace('"YT2"', '"YT1"'), "utf-8")
    ran = desk.run("open", "s.csv", "-o", "moved.csv")
    assert ran.code == 9
    assert "row.tampered" in ran.err
    assert leaks(desk) == {}


def test_t10_representations_hold_no_secret(desk: Desk, planted: Path) -> None:
    assert desk.run("seal", "orders.csv").code == 9
    with Workspace.open(Path("acme"), lambda: PASSPHRASE) as workspace:
        ring = workspace.ring
        (epoch, *_) = (ring._epoch(row.epoch) for _, row in ring.headers())
        state = epoch.to_state()
        pseudonyms = ring.pseudonym_key("search", 202605)
        for thing in (workspace, ring, epoch, ring._keys, workspace.store, pseudonyms, ring.seal_keys([20576])):
            shown = repr(thing) + str(thing)
            assert found_in(shown.encode()) == []
            assert "\\x" not in shown, shown
            assert not any(state[at : at + 16].hex() in shown for at in range(0, len(state) - 15, 4))


def test_t10_errors_name_no_value(desk: Desk, planted: Path) -> None:
    from parcelveil.adapt.source import open_source
    from parcelveil.intake.headers import recognise

    headless = desk.folder / "headless.csv"
    headless.write_text("\n".join(planted.read_text("utf-8").splitlines()[1:3]) + "\n", "utf-8")
    with open_source(str(headless)) as source, pytest.raises(ParcelveilError) as caught:
        recognise(source.schema.names)
    error = caught.value
    assert found_in("\n".join((repr(error), str(error), error.hint, repr(error.values))).encode()) == []
