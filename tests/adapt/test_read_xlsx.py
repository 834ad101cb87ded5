from __future__ import annotations

import datetime
import io
import sys
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from parcelveil.adapt import read_xlsx
from parcelveil.adapt.read_xlsx import cell_text
from parcelveil.adapt.source import open_source
from parcelveil.errors import DependencyError, InputError, UsageError


def book(path: Path) -> Path:
    made = xlsxwriter.Workbook(str(path), {"in_memory": True})
    made.add_worksheet("empty")
    sheet = made.add_worksheet("orders")
    day = made.add_format({"num_format": "yyyy-mm-dd"})
    minute = made.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    for column, name in enumerate(["运单号", "电话", "日期", "", "电话"]):
        sheet.write_string(2, 1 + column, name)
    sheet.write_row(3, 1, ["YT1", 13800138000])
    sheet.write_datetime(3, 3, datetime.datetime(2026, 1, 2), day)
    sheet.write_boolean(3, 4, True)
    sheet.write_row(5, 1, ["YT2", 1.25])
    sheet.write_datetime(5, 3, datetime.datetime(2026, 1, 2, 3, 4), minute)
    sheet.write_row(6, 1, [4.5e17, 123456789012345])
    sheet.write_string(7, 1, "YT3")
    sheet.write_string(7, 9, "surplus")
    sheet.write_string(8, 2, "=1+1")
    made.add_worksheet("more").write_row(0, 0, ["x"])
    made.close()
    return path


def test_cells_become_text(tmp_path: Path, read) -> None:
    found = read(book(tmp_path / "a.xlsx"))
    assert found.table.schema.names == ["运单号", "电话", "日期", "", "电话 (2)"]
    assert [list(row.values()) for row in found.table.to_pylist()] == [
        ["YT1", "13800138000", "2026-01-02", "true", None],
        ["YT2", "1.25", "2026-01-02T03:04:00", None, None],
        ["4.5e+17", "123456789012345", None, None, None],
        [None, "=1+1", None, None, None],
    ]
    assert found.rows == [4, 6, 7, 9]
    assert found.codes() == [(8, "row.cells")]


def test_batches_keep_the_numbers(tmp_path: Path, read) -> None:
    found = read(book(tmp_path / "a.xlsx"), batch_rows=1)
    assert (found.rows, found.codes()) == ([4, 6, 7, 9], [(8, "row.cells")])


def test_a_sheet_can_be_chosen(tmp_path: Path, read) -> None:
    path = book(tmp_path / "a.xlsx")
    assert read(path, sheet="more").table.schema.names == ["x"]
    with pytest.raises(UsageError) as caught:
        open_source(str(path), sheet="none")
    assert "orders" in caught.value.hint
    with pytest.raises(InputError, match="no sheet with cells"):
        open_source(str(path), sheet="empty")


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path / "a.xlsx")
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(DependencyError) as caught:
        open_source(str(path))
    assert "parcelveil[xlsx]" in caught.value.hint


@pytest.mark.parametrize("keep", [30, 0.3, 0.7, 0.99])
def test_truncated(tmp_path: Path, keep: float) -> None:
    path = book(tmp_path / "a.xlsx")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep > 1 else len(data) * keep)])
    with pytest.raises(InputError, match="damaged"):
        open_source(str(path))


def test_other_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "no\n1\n")
    with pytest.raises(InputError, match="no XLSX"):
        open_source(str(path))


def rewritten(path: Path, change) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("name", ["xl/worksheets/sheet2.xml", "xl/moved.xml"])
def test_cells_at_far_corners(tmp_path: Path, name: str) -> None:
    """Two cells span 16 thousand million, which the reader would lay out in memory."""

    def far(part: str, data: bytes) -> bytes:
        data = data.replace(b'r="B9"', b'r="XFD1048576"').replace(b'<row r="9"', b'<row r="1048576"')
        return data.replace(b'r="C9"', b'r="XFD1048576"').replace(b"worksheets/sheet2.xml", b"moved.xml")

    path = rewritten(book(tmp_path / "a.xlsx"), far)
    if name == "xl/moved.xml":
        path = rewritten(path, lambda part, data: data)
    with pytest.raises(InputError):
        open_source(str(path))


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_xlsx, "MAX_BYTES", 1 << 20)
    path = book(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(2 << 20))
    with pytest.raises(InputError, match="too large"):
        open_source(str(path))


def test_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path) as archive:
        part = archive.getinfo("xl/worksheets/sheet2.xml")
    data = bytearray(path.read_bytes())
    place = data.index(part.file_size.to_bytes(4, "little"), data.index(b"PK\x01\x02"))
    data[place : place + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError):
        open_source(str(path))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (-3.0, "-3"),
        (float(2**53 - 1), "9007199254740991"),
        (float(2**53), "9007199254740992.0"),
        (datetime.time(12, 30), "12:30:00"),
        (datetime.timedelta(days=1, hours=2), "1 day, 2:00:00"),
        (None, None),
        (False, "false"),
        (float("nan"), "nan"),
    ],
)
def test_cell_text(cell: object, text: str | None) -> None:
    assert cell_text(cell) == text
