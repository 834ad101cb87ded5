"""Cells of delimited text: against Python's csv, against a plain reference, and whatever the blocks."""

from __future__ import annotations

import csv
import io
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan.delimited import HEADER_BYTES, MAX_CELL, MAX_COLUMNS, MAX_RECORD, CellBlock, Cells
from parcelveil.scan.headers import is_header_word, looks_like_header, shown, words_of

Cell = tuple[bytes, int, int, int]


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


def cells_of(data: bytes, delimiter: str = ",", step: int | None = None, **limits: int) -> list[Cell]:
    """(content, column, row, start in the file) of every cell, fed in blocks of ``step`` bytes."""
    cells, found, rest, base = Cells(delimiter, **limits), [], b"", 0
    blocks = [data] if step is None else [data[at : at + step] for at in range(0, len(data), step)] or [b""]
    for number, block in enumerate(blocks, start=1):
        rest += block
        got = cells.feed(array(rest), last=number == len(blocks))
        assert got.consumed <= len(rest)
        for start, end, column, row in zip(*(part.tolist() for part in got[:4]), strict=True):
            assert 0 <= start <= end <= got.consumed
            found.append((rest[start:end], column, row, base + start))
        base += got.consumed
        rest = rest[got.consumed :]
    assert not rest
    return found


def reference(data: bytes, delimiter: str, max_cell: int) -> list[Cell]:
    """The same, one byte after the other, without blocks."""
    found: list[Cell] = []
    at, column, row, inside = 0, 0, 1, False
    while at < len(data):
        begin, close, scan = at, -1, at
        if data[at : at + 1] == b'"' and not inside:
            look, limit = at + 1, min(at + 1 + max_cell, len(data))
            while look < limit:
                if data[look : look + 2] == b'""':
                    look += 2
                elif data[look : look + 1] == b'"':
                    close = look
                    break
                else:
                    look += 1
            begin, scan = (at + 1, close + 1) if close >= 0 else (at, at + 1)
        end = scan
        while end < len(data) and data[end : end + 1] not in (delimiter.encode(), b"\n", b"\r"):
            if end >= at + max_cell:
                break
            end += 1
        if end < len(data) and data[end : end + 1] not in (delimiter.encode(), b"\n", b"\r"):
            floor = max(end - min(512, max_cell // 2), begin, close + 1)
            cuts = [cut for cut in range(end, floor, -1) if data[cut - 1] < 128 and not chr(data[cut - 1]).isalnum()]
            whole = [cut for cut in range(end, max(floor, end - 4), -1) if data[cut] & 0xC0 != 0x80]
            end = (cuts or whole or [end])[0]
            found.append((data[begin:end], column, row, begin))
            at, inside = end, True
            continue
        mark = data[end : end + 1]
        if end > at or column or inside or mark == delimiter.encode():
            content_end = close if close >= 0 and not data[close + 1 : end].strip(b" ") else end
            found.append((data[begin:content_end], column, row, begin))
        inside = False
        at = end + 1
        if mark == delimiter.encode():
            column += 1
            if at == len(data):
                found.append((b"", column, row, at))
        else:
            at += data[end : end + 2] == b"\r\n"
            column, row = 0, row + 1
    return found


MESSY = st.lists(
    st.sampled_from([b",", b'"', b'""', b"\n", b"\r\n", b"\r", b" ", b"a", b"1380", "号".encode(), b"\xff", b"x" * 9]),
    max_size=60,
).map(b"".join)


@given(MESSY, st.integers(2, 12), st.integers(1, 12))
@settings(deadline=None, max_examples=400)
def test_any_bytes_give_the_reference(data: bytes, cell: int, record: int) -> None:
    assert cells_of(data, max_cell=cell, max_record=record) == reference(data, ",", cell)


@given(MESSY, st.integers(1, 7), st.integers(2, 12))
@settings(deadline=None, max_examples=250)
def test_blocks_of_any_size_give_the_reference(data: bytes, step: int, cell: int) -> None:
    # Blocks begin to matter behind the head, which is taken as a whole.
    cells = Cells(",", max_cell=cell, max_record=3)
    head = b"k,v\n" * (HEADER_BYTES // 4 + 1)
    assert cells.feed(array(head), last=False).consumed == len(head)
    rest, base, found = b"", 0, []
    for at in range(0, len(data) + step, step):
        rest += data[at : at + step]
        got = cells.feed(array(rest), last=at + step >= len(data) + step)
        found += [
            (rest[start:end], column, row - head.count(b"\n"), base + start)
            for start, end, column, row in zip(*(part.tolist() for part in got[:4]), strict=True)
        ]
        rest, base = rest[got.consumed :], base + got.consumed
        assert len(rest) <= cell + 3 + step + 3
    assert not rest
    assert found == reference(data, ",", cell)


TEXT = st.text(st.sampled_from('ab,;"\n\r 号1三\t'), max_size=8)


@given(
    st.lists(st.lists(TEXT, min_size=1, max_size=5), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_what_csv_writes_is_read_as_csv_reads_it(
    table: list[list[str]], delimiter: str, newline: str, quoted: bool
) -> None:
    if not quoted:  # csv leaves a bare CR without quotes, and then does not read it
        table = [[cell.replace("\r", "") for cell in row] for row in table]
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(table)
    rows: dict[int, list[str]] = {}
    for content, column, row, _ in cells_of(out.getvalue().encode(), delimiter):
        rows.setdefault(row, []).append(content.decode().replace('""', '"'))
        assert column == len(rows[row]) - 1
    read = list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))
    assert [rows[row] for row in sorted(rows)] == read
    assert sorted(rows) == list(range(1, len(read) + 1))


def test_rows_count_as_a_spreadsheet_does() -> None:
    found = cells_of(b"\n\nno,name\r\n1,Ann\n\n2,\n3")
    assert [(content, row) for content, _, row, _ in found] == [
        (b"no", 3), (b"name", 3), (b"1", 4), (b"Ann", 4), (b"2", 6), (b"", 6), (b"3", 7),
    ]  # fmt: skip


def test_a_byte_order_mark_is_no_part_of_the_first_cell() -> None:
    data = "\ufeff姓名,电话\n".encode()
    assert cells_of(data)[0] == ("姓名".encode(), 0, 1, 3)


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_quote_that_is_never_closed_costs_one_cell_only(ending: bytes) -> None:
    data = b'no,size\n1,"5 inch\n' + b"2,x\n" * 1000 + b"3,y" + ending
    found = cells_of(data)
    assert len(found) == 2004 + 2
    assert found[3] == (b'"5 inch', 1, 2, 10)
    assert found[-1][:3] == (b"y", 1, 1003)


def test_a_quote_that_is_closed_a_mebibyte_later_was_none() -> None:
    fill = b"2,x\n" * (MAX_CELL // 4 + 2)
    found = cells_of(b'no,size\n1,"5 inch\n' + fill + b'3,"y"\n')
    assert found[3][0] == b'"5 inch'
    assert found[-1][:3] == (b"y", 1, fill.count(b"\n") + 3)


def test_a_long_line_without_newline_comes_in_pieces_between_words() -> None:
    data = b"13800138000 " * (5 * MAX_CELL // 12)
    found = cells_of(data, step=1 << 18)
    assert b"".join(content for content, *_ in found) == data
    assert len(found) >= 5
    assert all(content.endswith(b" ") and len(content) <= MAX_CELL for content, *_ in found)
    assert {(column, row) for _, column, row, _ in found} == {(0, 1)}


def test_a_cell_without_any_ascii_is_cut_between_characters() -> None:
    found = cells_of("号".encode() * MAX_CELL)
    assert len(found) == 4 or len(found) == 3
    for content, *_ in found:
        content.decode()


def test_a_record_without_end_is_handed_over_cell_by_cell_and_columns_stay_bounded() -> None:
    cells, rest = Cells(","), b""
    total, most = 0, 0
    for _ in range(20):
        rest += b"1," * (1 << 17)
        got = cells.feed(array(rest), last=False)
        total += len(got.starts)
        most = max(most, int(got.columns.max(initial=0)))
        rest = rest[got.consumed :]
        assert len(rest) <= MAX_RECORD + MAX_CELL + 8
    assert total >= 19 * (1 << 17)
    assert most == MAX_COLUMNS - 1


@pytest.mark.parametrize("unit", [b'"', b'""', b',"', b'"a,""', b'\n"', b',""""', b'"\n,', b"\r", b",", b"\n", b"\x00"])
def test_hostile_repetitions_take_linear_time(unit: bytes) -> None:
    data = unit * ((6 << 20) // len(unit))
    cells_of(b"x")
    began = time.process_time()
    rest = np.zeros(0, dtype=np.uint8)
    cells, count = Cells(","), 0
    for at in range(0, len(data), 1 << 20):
        rest = np.concatenate([rest, array(data[at : at + (1 << 20)])])
        got = cells.feed(rest, last=at + (1 << 20) >= len(data))
        rest, count = rest[got.consumed :], count + len(got.starts)
    assert not len(rest)
    assert time.process_time() - began < 3


def test_memory_is_bounded_by_the_block() -> None:
    block = array(b"13800138000,Ann,x\n" * 50_000)
    cells = Cells(",")
    cells.feed(block, last=False)
    tracemalloc.start()
    for _ in range(20):
        assert cells.feed(block, last=False).consumed == len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * len(block)


def test_positions_are_located_in_their_cells() -> None:
    data = b'no,"a,b"\n13800138000,x'
    block: CellBlock = Cells(",").feed(array(data), last=True)
    found = block.locate(np.array([0, 2, 4, 6, 7, 9, 19, 21, 22, 99]))
    assert found.cells.tolist() == [0, -1, 1, 1, -1, 2, 2, 3, -1, -1][: len(found.cells)]
    assert found.rows.tolist() == [1, -1, 1, 1, -1, 2, 2, 2, -1, -1]
    assert found.columns.tolist() == [0, -1, 1, 1, -1, 0, 0, 1, -1, -1]
    empty = Cells(",").feed(array(b""), last=True)
    assert empty.locate(np.array([3])).rows.tolist() == [-1]


@given(MESSY, st.lists(st.integers(0, 80)))
@settings(deadline=None)
def test_locating_is_looking_at_every_cell(data: bytes, positions: list[int]) -> None:
    block = Cells(",").feed(array(data), last=True)
    spans = list(zip(block.starts.tolist(), block.ends.tolist(), strict=True))
    expected = [next((i for i, (a, b) in enumerate(spans) if a <= at < b), -1) for at in sorted(positions)]
    assert block.locate(np.array(sorted(positions), dtype=np.int64)).cells.tolist() == expected


def names_of(text: str) -> tuple[list[str], int]:
    cells = Cells(",")
    cells.feed(array(text.encode()), last=True)
    return cells.names, cells.header_row


def test_headers_are_told_from_data() -> None:
    assert names_of("姓名,电话\n张三,13800138000\n") == (["姓名", "电话"], 1)
    assert names_of("张三,13800138000\n李四,13800138001\n") == ([], 0)
    assert names_of("五月客户名单\n\n序号,收件人,收货地址,备注\n1,张三,上海市,\n") == (
        ["序号", "收件人", "收货地址", "备注"],
        3,
    )
    assert names_of("phone\n13800138000\n") == (["phone"], 1)
    assert names_of("id,receiver_name,receiverPhone,created_at\n") == (
        ["id", "receiver_name", "receiverPhone", "created_at"],
        1,
    )
    assert names_of("") == ([], 0)
    assert names_of('"收件人\n姓名","电话\n"\n') == (["收件人 姓名", "电话"], 1)


@pytest.mark.parametrize(
    "text",
    [
        "张三,上海市青浦区\n李四,北京市海淀区\n",
        "张三,上海市青浦区盈港东路8号\n李四,北京市\n",
        "Maria Garcia,Springfield\nJohn Doe,Shelbyville\n",
        "欧阳文静\n司马青\n",
        "zhang.wei@example.com,note\n",
        "张三,北京,手机13800138000\n",
    ],
)
def test_people_are_not_taken_for_names_of_columns(text: str) -> None:
    assert names_of(text) == ([], 0)


def test_a_value_inside_a_header_is_not_shown() -> None:
    assert shown("zhang@example.com") == shown("13800138000") == shown("x" * 100) == ""
    assert names_of("姓名,电话,地址,备注,数量,金额,日期,状态,城市,单价,2024\n")[0][-1] == ""


def test_the_header_does_not_depend_on_the_blocks() -> None:
    data = b"name,phone\n" + b"Ann,13800138000\n" * 9000
    for step in (1000, HEADER_BYTES, HEADER_BYTES + 1, len(data)):
        cells, rest = Cells(","), b""
        for at in range(0, len(data), step):
            rest += data[at : at + step]
            rest = rest[cells.feed(array(rest), last=at + step >= len(data)).consumed :]
        assert cells.names == ["name", "phone"]
    assert cells.header(np.array([1, 0, 7, -1], dtype=np.int32)) == ["phone", "name", "", ""]


def test_words_of_names() -> None:
    assert words_of("HTTPServerName2x") == ["http", "server", "name", "2", "x"]
    assert words_of("收件人phone号") == ["收件人", "phone", "号"]
    assert is_header_word("收件人姓名1")
    assert not is_header_word("盈港东路8300弄36号")
    assert looks_like_header(["a", "phone"], [])
    assert not looks_like_header(["", "", "phone"], [])
    assert not looks_like_header(["phone", "name"], ["phone", "name"])


def test_wrong_delimiters_are_refused() -> None:
    for delimiter in ("", "ab", '"', "\n", "，"):
        with pytest.raises(ValueError, match="delimiter"):
            Cells(delimiter)


@pytest.mark.slow
def test_a_gibibyte_in_bounded_memory_at_speed() -> None:
    row = 'SF1234567890123,张三,13800138000,"上海市青浦区, 徐泾镇8号",2024-05-01 12:00:00,3.5\n'.encode()
    block = array(row * ((8 << 20) // len(row)))
    cells = Cells(",")
    cells.feed(block, last=False)
    began = time.process_time()
    for _ in range(32):
        assert cells.feed(block, last=False).consumed == len(block)
    assert 32 * len(block) / (time.process_time() - began) > 200e6
