from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt import read_csv
from parcelveil.adapt.read_csv import CsvSource
from parcelveil.adapt.source import MAX_CELL, MAX_COLUMNS
from parcelveil.errors import EncodingError, InputError

TAOBAO = (
    "订单编号,买家会员名,买家支付宝账号,买家应付货款,收货人姓名,收货地址 ,运送方式,联系电话 ,联系手机,订单创建时间,"
    "订单付款时间 ,宝贝标题 ,宝贝种类 ,物流单号 ,物流公司,订单备注"
)
WHOLESALE = "订单编号,买家公司名,货品总价(元),收货人姓名,收货地址,邮编,联系电话,联系手机,Offer ID,物流公司运单号"
SHOPIFY = "Name,Email,Financial Status,Shipping Name,Shipping Address1,Shipping City,Shipping Phone,Notes,Id,Phone"
CARRIER = "快递公司,物流单号,收件人姓名,收件人电话,收件人地址,发件人姓名,发件人电话,发件人地址,物品名称,重量,数量,备注"


def whole(data: bytes, **options):
    source = CsvSource("t.csv", options.pop("format", "csv"), io.BytesIO(data), size=len(data), **options)
    raws = list(source.batches())
    table = pa.Table.from_batches([raw.batch for raw in raws], schema=source.schema)
    rows = [row for raw in raws for row in raw.rows.tolist()]
    rejects = [(reject.row, reject.code) for raw in raws for reject in raw.rejects]
    assert rows == sorted(rows)
    assert rejects == sorted(rejects)
    return table, rows, rejects


def cells(table: pa.Table) -> list[list[str | None]]:
    return [list(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize(
    "header", [TAOBAO, WHOLESALE, SHOPIFY, CARRIER], ids=["taobao", "wholesale", "shopify", "carrier"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_headers_that_people_have(tmp_path: Path, read, header: str, encoding: str) -> None:
    names = header.split(",")
    row = [f"值{index}号" + "镕𠮷" * (index == 3) if index else "'=张三" for index in range(len(names))]
    path = tmp_path / "orders.csv"
    path.write_text(header + "\r\n" + ",".join(row) + "\r\n", encoding=encoding, newline="")
    found = read(path)
    assert found.table.schema.names == names
    assert found.table.schema.types == [pa.string()] * len(names)
    assert cells(found.table) == [["=张三", *row[1:]]]
    assert found.rows == [2]
    assert found.encoding == ("utf-8" if encoding == "utf-8-sig" else encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_sniffed(delimiter: str) -> None:
    lines = [["no", "name", "note"], ["1", "A, B; C", "x|y"], ["2", "D\tE", "z"]]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(lines)
    table, _, rejects = whole(out.getvalue().encode())
    assert [table.schema.names, *cells(table)] == lines
    assert not rejects


def test_nothing_is_inferred_and_empty_is_null() -> None:
    table, _, _ = whole(b'a,b,c\nNA,null,NaN\n007,1e5,true\n"",,nan\n')
    assert cells(table) == [["NA", "null", "NaN"], ["007", "1e5", "true"], [None, None, "nan"]]


def test_row_numbers_are_a_spreadsheets() -> None:
    table, rows, rejects = whole(b'\n\na,b\n1,2\n\n"3\n3",4\n,\n5\n6,7,\n8,9,x\n10,11')
    assert cells(table) == [["1", "2"], ["3\n3", "4"], ["6", "7"], ["10", "11"]]
    assert rows == [4, 6, 9, 11]
    assert rejects == [(8, "row.cells"), (10, "row.cells")]


def test_row_numbers_hold_over_blocks_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "CHUNK", 64)
    lines = ["no,name"]
    good, bad = [], []
    for number in range(2, 400):
        kind = number % 7
        if kind == 0:
            lines.append(f"{number}")
            bad.append(number)
        elif kind == 3:
            lines.append(f"{number},x,")
            good.append(number)
        elif kind == 5:
            lines.append("")
        else:
            lines.append(f'{number},"a\nb"')
            good.append(number)
    table, rows, rejects = whole("\n".join(lines).encode(), batch_rows=3)
    assert rows == good
    assert table.column("no").to_pylist() == [str(number) for number in good]
    assert rejects == [(number, "row.cells") for number in bad]


def test_header_oddities() -> None:
    table, _, _ = whole("\ufeffa,\ufeffb,a,a (2), c ,,\n1,2,3,4,5,,\n".encode())
    assert table.schema.names == ["a", "b", "a (3)", "a (2)", " c "]
    assert cells(table) == [["1", "2", "3", "4", "5"]]
    table, _, rejects = whole(b"a,,b,\n1,2,3\n4,5,6,\n7,8,9,x\n10,11\n")
    assert table.schema.names == ["a", "", "b"]
    assert cells(table) == [["1", "2", "3"], ["4", "5", "6"]]
    assert rejects == [(4, "row.cells"), (5, "row.cells")]


def test_half_a_file() -> None:
    data = "no,name,address\n1,张三,路1\n2,李四,路2\n".encode()
    _, rows, rejects = whole(data[: data.index("李".encode()) + 4])
    assert (rows, rejects) == ([2], [(3, "row.cells")])
    # In the middle of a character, in the last cell of the last row.
    _, rows, rejects = whole(data[:-3])
    assert (rows, rejects) == ([2], [(3, "row.cells")])
    _, rows, rejects = whole(data.decode().encode("gb18030")[:-3], encoding="gb18030")
    assert rows == [2]
    assert rejects == [(3, "row.cells")]


@pytest.mark.parametrize(
    "tail", ['2,"x', '2,"x\n3,y\n4,z\n', '"2,x\n3,y\n', '2,x,"\n', '2,"x""\n3,y', '2,"x"",""y\n'], ids=range(6)
)
def test_quotation_that_is_never_closed(tail: str) -> None:
    table, rows, rejects = whole(b"a,b\n1,w\n" + tail.encode())
    assert cells(table) == [["1", "w"]]
    assert rows == [2]
    assert rejects == [(3, "row.quote")]


def test_quotation_marks_inside_cells() -> None:
    table, _, rejects = whole(b'a,b\n5" pipe,"say ""hi"""\nx""y,"z"\n')
    assert cells(table) == [['5" pipe', 'say "hi"'], ['x""y', "z"]]
    assert not rejects


def test_line_ends_and_nul() -> None:
    table, rows, _ = whole(b'a,b\r1,2\r\n3,4\n5,\x00"\r\n')
    assert cells(table) == [["1", "2"], ["3", "4"], ["5", '\x00"']]
    assert rows == [2, 3, 4]


def test_one_column() -> None:
    table, rows, rejects = whole(b"no\n1\n\n2\n3,4\n")
    assert (cells(table), rows, rejects) == ([["1"], ["2"]], [2, 4], [(5, "row.cells")])


def test_header_only() -> None:
    table, rows, rejects = whole(b"a,b")
    assert (table.schema.names, rows, rejects) == (["a", "b"], [], [])


@pytest.mark.parametrize("data", [b"\n\n", b",,\n,,\n", b"\xef\xbb\xbf\n", b"   \n"])
def test_no_header(data: bytes) -> None:
    with pytest.raises(InputError):
        whole(data)


def test_too_many_columns() -> None:
    header = ",".join(f"c{index}" for index in range(MAX_COLUMNS + 1))
    with pytest.raises(InputError, match="columns"):
        whole(header.encode())
    with pytest.raises(InputError, match="cells"):
        whole(b"a" + b"," * 20_000)


def test_long_cell_is_rejected() -> None:
    data = b"a,b\n1,x\n2," + b"y" * (MAX_CELL + 1) + b"\n3," + b"z" * MAX_CELL + b"\n"
    table, rows, rejects = whole(data)
    assert rows == [2, 4]
    assert table.column("a").to_pylist() == ["1", "3"]
    assert rejects == [(3, "cell.length")]


def test_long_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "CHUNK", 100)
    monkeypatch.setattr(read_csv, "MAX_LINE", 300)
    assert whole(b"a,b\n1,2\n3," + b"4" * 250 + b"\n5,6\n")[1] == [2, 3, 4]
    with pytest.raises(InputError, match="after row 2 "):
        whole(b"a,b\n1,2\n3," + b"4" * 800 + b"\n5,6\n")
    with pytest.raises(InputError, match="after row 2 ") as caught:
        whole(b'a,b\n1,2\n3,"secret name ' + b"4" * 400 + b"\n5,6\n")
    assert "secret" not in str(caught.value) + caught.value.hint


def test_header_without_end() -> None:
    with pytest.raises(InputError, match="no whole row") as caught:
        whole(b'no,"name\n1,Zebedee\n2,Florence\n')
    assert "Zebedee" not in str(caught.value.values)
    with pytest.raises(InputError, match="first row"):
        whole(b'"a,b' + b"x" * (17 << 20))


def test_endless_wrong_rows_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "_MAX_BAD_RUN", 100)
    with pytest.raises(InputError, match="100 rows in sequence"):
        whole(b"a,b\n" + b"1,2,3\n" * 1000)


def test_bad_bytes_name_the_place() -> None:
    data = "no,name\n1,张三\n2,".encode() + b"\xff\xff\n"
    with pytest.raises(EncodingError) as caught:
        whole(data, encoding="utf-8")
    assert caught.value.values["offset"] == data.index(b"\xff")
    assert caught.value.values["line"] == 3
    assert "--encoding" in caught.value.hint


def test_rejects_hold_no_values() -> None:
    source = CsvSource("t.csv", "csv", io.BytesIO(b'no,name\n1,Zebedee,x\n2\n3,"Zebedee\n'), size=None)
    rejects = [reject for raw in source.batches() for reject in raw.rejects]
    assert [reject.code for reject in rejects] == ["row.cells", "row.cells", "row.quote"]
    assert "Zebedee" not in repr(rejects)


def test_formula_guard_is_taken_away_once() -> None:
    table, _, _ = whole("a,b\n'+86138,''=x\n'138,it's\n'＝1,'\n".encode())
    assert cells(table) == [["+86138", "'=x"], ["'138", "it's"], ["＝1", "'"]]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_agrees_with_the_csv_module(rows: list[tuple[str, ...]], end: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([("a", "b", "c"), *rows])
    table, numbers, rejects = whole(out.getvalue().encode(), encoding="utf-8")
    expected = [(number, row) for number, row in enumerate(rows, start=2) if any(row)]
    assert numbers == [number for number, _ in expected]
    assert not rejects
    for (_, row), found in zip(expected, cells(table), strict=True):
        want = [cell[1:] if re.match(read_csv.GUARDED, cell) else cell for cell in row]
        assert [cell or "" for cell in found] == want


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_clear_error(data: bytes) -> None:
    try:
        whole(b"a,b\n" + data)
        whole(data, encoding="cp1252")
    except InputError as error:
        assert error.hint
