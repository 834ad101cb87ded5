"""Every format is read: its text, its tables, its members, and the line of the manifest."""

from __future__ import annotations

import doctest
import importlib
import io
import pkgutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import xlsxwriter

import parcelveil.scan.read
from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import why
from parcelveil.scan.read.cells import cell_text
from scan.read.samples import (
    LINE,
    PHONE,
    arrow,
    docx,
    eml,
    every,
    mbox,
    ods,
    parquet,
    pdf,
    pptx,
    read,
    sqlite,
    take,
    tarred,
    xls,
    xlsx,
    zipped,
)

_MODULES = [module.name for module in pkgutil.iter_modules(parcelveil.scan.read.__path__)]


@pytest.mark.parametrize("name", _MODULES)
def test_the_examples_are_right(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(f"parcelveil.scan.read.{name}")).failed


def test_every_sample_is_read_and_noted(tmp_path: Path) -> None:
    for name, data in every(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(data)
        found, notes = read(path)
        own = [note for note in notes if note.place == Place(str(path))]
        assert len(own) == 1 and own[0].bytes > 0, name
        assert notes[-1] is own[0], "a file's own line comes behind those of its members"
        if name not in ("a.db", "a.png", "a.7z"):
            assert any(PHONE in document.text for document in found), name
            assert any("张伟" in document.text for document in found) or name == "a.pdf", name
        path.unlink()


def test_a_workbook_with_titles_gaps_and_hidden_sheets(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx())
    found, (note,) = read(path)
    sheet, hidden, comments = found[:3]
    assert [document.place.part for document in found] == ["派件", "旧", "comments1", "information"]
    assert sheet.kind == "table" and sheet.format == "xlsx"
    assert dict(sheet.rows)[3] == {"运单号": "SF1", "收件人": "张伟", "电话": PHONE, "电话 (2)": PHONE}
    assert dict(sheet.rows)[1]["运单号"] == "青浦网点五月派件表" and 2 not in {
        row for row, cells in sheet.rows if any(cells.values()) and "运单号" in cells.values()
    }
    assert set(dict(sheet.rows)[4].values()) == {None}
    assert hidden.rows == [(4, {"A": None, "B": None, "C": f"王芳 {PHONE}"})]
    assert comments.text == f"改派张伟 {PHONE}\n"
    assert (note.format, note.outcome, note.rows) == ("xlsx", "read", 4)


def test_sheets_are_those_of_another_reader(tmp_path: Path) -> None:
    import python_calamine

    for name, data in (("a.xlsx", xlsx()), ("a.xls", xls())):
        path = tmp_path / name
        path.write_bytes(data)
        found, _ = read(path)
        tables = {document.place.part: document for document in found if document.kind == "table"}
        with python_calamine.CalamineWorkbook.from_path(path) as book:
            for title in book.sheet_names:
                cells = {
                    (row, cell_text(cell))
                    for row, cells in enumerate(book.get_sheet_by_name(title).iter_rows(), start=1)
                    for cell in cells
                    if cell != ""
                }
                ours = (
                    {(row, cell) for row, cells in tables[title].rows for cell in cells.values() if cell}
                    if (title in tables)
                    else set()
                )
                names = {cell for row, cell in cells - ours}
                assert ours <= cells and names <= {"运单号", "收件人", "电话", "姓名"}, "all but the header"


def test_a_large_sheet_comes_in_batches_with_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "phone"])
        for row in range(1, 40_001):
            sheet.write_row(row, 0, [row, f"n{row}"])
    found, (note,) = read(path)
    assert [row for row, _ in found[0].rows] == list(range(2, 40_002))
    assert found[0].rows[-1] == (40_001, {"id": "40000", "phone": "n40000"})
    assert note.rows == 40_000


def test_old_and_open_workbooks(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_bytes(xls())
    (old,), (note,) = read(tmp_path / "a.xls")
    assert old.place.part == "Sheet" and note.format == "xls"
    assert old.rows == [(2, {"姓名": "张伟", "电话": PHONE}), (3, {"姓名": None, "电话": PHONE})]
    (tmp_path / "a.ods").write_bytes(ods())
    (open_,), (note,) = read(tmp_path / "a.ods")
    assert open_.place.part == "表一" and note.rows == 1
    assert open_.rows == [(1_000_002, {"姓名": "张伟", "电话": PHONE})], "repeated empty rows only move the count"


def test_documents_of_office_programs(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(docx({"word/embeddings/x.xlsx": xlsx(), "word/media/a.txt": LINE.encode()}))
    found, notes = read(path)
    parts = {document.place.part: document.text for document in found if not document.place.member}
    assert parts[""] == f"{LINE}\n张伟 \t{PHONE} \t上海市青浦区 \t\n", "runs joined, a table's row in a line"
    assert "李娜" in parts["header1"] and "王芳" in parts["comments"] and "赵敏" in parts["footnotes"]
    assert parts["links"] == "mailto:zhang@example.com\n" and "钱进" in parts["information"]
    members = {note.place.member for note in notes}
    assert members == {"", "word/embeddings/x.xlsx", "word/media/a.txt"}
    (tmp_path / "a.pptx").write_bytes(pptx())
    (slide,), _ = read(tmp_path / "a.pptx")
    assert slide.place.part == "slide1" and slide.text.strip() == LINE


def test_pdf_pages_attachments_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(f"tel {PHONE}\nsecond line", "", "page three", attached=b"name,phone\nx,13800138000\n"))
    found, notes = read(path)
    assert [(document.place.page, document.place.member) for document in found] == [(1, ""), (3, ""), (-1, "list.csv")]
    assert found[0].text == f"tel {PHONE}\nsecond line"
    assert notes[-1].outcome == "partly" and notes[-1].why == why.PICTURE_PAGES
    seen = []

    def picture(place: Place, source: bytes | Path) -> Iterator[Document]:
        seen.append((place, source))
        yield Document(place, "text", format="image", chunks=iter([b"read by eye"]))

    found, notes = read(path, picture=picture)
    assert seen == [(Place(str(path), part="pages"), path)] and found[-1].text == "read by eye"
    assert notes[-1].outcome == "read"


def test_mails_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(eml(zipped({"b.txt": LINE.encode()})))
    found, notes = read(path)
    parts = {document.place.part: document.text for document in found if not document.place.member}
    assert parts["headers"].splitlines()[0] == "From: 张伟 <zhang@example.com>" and PHONE in parts["headers"]
    assert parts["text"].strip() == LINE and "姓名\t\t张伟" in parts["html"]
    assert [note.place.member for note in notes] == ["名单.zip!b.txt", "名单.zip", ""]
    path.write_bytes(mbox(3))
    found, notes = read(path)
    assert [note.place.member for note in notes] == ["1/名单.zip", "2/名单.zip", "3/名单.zip", ""]
    assert [d.place.part for d in found if not d.place.member][3:6] == ["2 headers", "2 text", "2 html"]
    assert notes[-1].format == "mbox" and all(PHONE in document.text for document in found)


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: =?gb2312?B?1cXOsA==?= 13800138000\nReceived: x\n\nbody",
        "Subject: 张伟 13800138000\nReceived: x\n\nbody".encode("gb18030"),
        "Subject: 张伟 13800138000\nReceived: x\n\nbody".encode(),
        b"Subject: =?utf-8?Q?=E5=BC=A0=E4=BC=9F?= 13800138000\nReceived: x\n\nbody",
    ],
)
def test_headers_in_any_encoding(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(raw)
    found, (note,) = read(path)
    assert "张伟" in found[0].text and PHONE in found[0].text
    assert found[1].text == "body" and note.outcome == "read"


def test_columns_of_parquet_and_arrow(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet())
    (table,), (note,) = read(path)
    assert table.rows[0] == (
        1,
        {
            "姓名": "张伟",
            "phone": PHONE,
            "to.city": "上海",
            "to.tel": PHONE,
            "tags": '["a", "b"]',
            "raw": LINE,
            "score": "0.5",
        },
    )
    assert [row for row, _ in table.rows] == [1, 2, 3] and table.rows[1][1]["raw"] is None
    assert table.rows[1][1]["score"] == "3" and note.rows == 3
    for data in (arrow(), arrow(stream=True)):
        path = tmp_path / "a.arrow"
        path.write_bytes(data)
        (table,), (note,) = read(path)
        assert table.rows == [(1, {"name": "张伟", "phone": PHONE}), (2, {"name": "张伟", "phone": None})]
        assert (note.format, note.rows) == ("arrow", 2)


def test_members_of_nested_archives_have_their_path(tmp_path: Path) -> None:
    chats = zipped({"2019/李.txt": LINE.encode(), "d/": b""})
    inner = tarred({"chats.zip": chats, "log.gz": b""}, "w:xz")
    path = tmp_path / "old.zip"
    path.write_bytes(zipped({"a/b.tar.xz": inner}))
    found, notes = read(path)
    assert [document.place.text for document in found] == [f"{path}!a/b.tar.xz!chats.zip!2019/李.txt"]
    assert [(note.place.member, note.format, note.outcome) for note in notes] == [
        ("a/b.tar.xz!chats.zip!2019/李.txt", "text", "read"),
        ("a/b.tar.xz!chats.zip", "zip", "read"),
        ("a/b.tar.xz!log.gz", "empty", "skipped"),
        ("a/b.tar.xz", "tar", "read"),
        ("", "zip", "read"),
    ]


def test_names_in_zips_of_chinese_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    name = "派件表.txt"
    raw = name.encode("gb18030")
    data = zipped({"x" * len(raw): LINE.encode()}).replace(b"x" * len(raw), raw)
    path.write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() != [name]
    (document,), _ = read(path)
    assert document.place.member == name


def test_a_long_name_in_a_tar(tmp_path: Path) -> None:
    import tarfile

    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        name = "文件夹/" * (20 if kind != tarfile.USTAR_FORMAT else 3) + "b.txt"
        with tarfile.open(fileobj=out, mode="w", format=kind, encoding="utf-8") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(LINE.encode())
            archive.addfile(info, io.BytesIO(LINE.encode()))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
            pipe = tarfile.TarInfo("pipe")
            pipe.type = tarfile.FIFOTYPE
            archive.addfile(pipe)
        path = tmp_path / "a.tar"
        path.write_bytes(out.getvalue() + b"\0" * 20_480 + tarred({"behind": b"the end"}))
        found, notes = read(path)
        assert [document.place.member for document in found] == [name, "behind"]
        assert [note.why for note in notes] == ["", why.LINK, why.SPECIAL, "", ""]


def test_databases_and_pictures_go_to_their_readers(tmp_path: Path) -> None:
    import pyarrow as pa

    data = sqlite(tmp_path)
    (tmp_path / "a.db").write_bytes(data)
    (tmp_path / "a.zip").write_bytes(zipped({"b.db": data}))
    seen = []

    def database(place: Place, source: bytes | Path) -> Iterator[Document]:
        seen.append((place, source))
        rows = pa.record_batch({"phone": [PHONE, PHONE]})
        yield Document(Place(place.source, place.member, "t"), "table", format="sqlite", batches=iter([(1, rows)]))

    found, notes = read(tmp_path, database=database)
    assert seen == [
        (Place(str(tmp_path / "a.db")), tmp_path / "a.db"),
        (Place(str(tmp_path / "a.zip"), "b.db"), data),
    ]
    assert [note.rows for note in notes] == [2, 2, 0] and len(found) == 2

    def broken(place: Place, source: bytes | Path) -> Iterator[Document]:
        raise RuntimeError(PHONE)
        yield

    _, notes = read(tmp_path / "a.db", database=broken)
    assert notes[0].outcome == "skipped" and notes[0].why == why.DAMAGED


def test_a_document_that_was_not_read_to_its_end_is_no_clean_one(tmp_path: Path) -> None:
    from parcelveil.scan.findings import Read
    from parcelveil.scan.read.limits import Limits
    from parcelveil.scan.read.walk import documents

    (tmp_path / "a.txt").write_text(LINE, "utf-8")
    notes: list[Read] = []
    for _ in documents([str(tmp_path / "a.txt")], Limits(), notes.append):
        pass
    assert notes[0].why == why.BROKEN_OFF and notes[0].outcome == "skipped"
    notes.clear()
    for document in documents([str(tmp_path / "a.txt")], Limits(), notes.append):
        assert take(document).text == LINE
    assert notes[0].outcome == "read"


def test_without_optional_packages_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    for name, data in (("a.xlsx", xlsx()), ("c.pdf", pdf("x"))):
        (tmp_path / name).write_bytes(data)
    found, notes = read(tmp_path)
    assert [(note.outcome, note.why) for note in notes] == [
        ("read", ""),
        ("skipped", why.MISSING_PACKAGE),
    ]
    assert PHONE in found[0].text
