"""Files of every format with values that stand nowhere else, and a search for them in whatever a run has written."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import sqlite3
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import xlsxwriter

#: Each is long enough not to occur by chance. The numbers have no subscribers, the names nobody.
NAME, PHONE, ID_NO, CARD, EMAIL, ADDRESS = VALUES = (
    "欧阳漏春",
    "16398765401",
    "110105194912310021",
    "6222020903001483077",
    "ouyang.celoujia@leak-test.example.com",
    "上海市青浦区暗香弄77号6幢2单元501室",
)
LINE = f"收件人{NAME} 电话{PHONE} 身份证号{ID_NO} 卡号{CARD} 邮箱{EMAIL} 地址{ADDRESS}\n"
_HEADER = ("收件人", "电话", "身份证号", "卡号", "邮箱", "地址")


def spellings(value: str) -> set[bytes]:
    """A value in the encodings in which it might lie about, in hex, and in base64 at each of its three alignments."""
    found: set[bytes] = set()
    for plain in {value.encode(name) for name in ("utf-8", "gb18030", "utf-16-le", "utf-16-be")}:
        found |= {plain, plain.hex().encode(), plain.hex().upper().encode()}
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + plain)
            found.add(text[4 if shift else 0 : -4])  # the first and last groups depend on the neighbours
    found.add(json.dumps(value)[1:-1].encode())
    return {spelling for spelling in found if len(spelling) >= 8}


NEEDLES = {value: spellings(value) for value in VALUES}


def values_in(data: bytes) -> list[str]:
    """The planted values that stand in ``data``, however they are written."""
    return [value for value, needles in NEEDLES.items() if any(needle in data for needle in needles)]


def contents(path: Path) -> bytes:
    """The bytes of a file, and of what is packed inside it."""
    data = path.read_bytes()
    if data[:4] == b"PAR1":
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        data += json.dumps(table.to_pylist(), default=lambda value: value.hex(), ensure_ascii=False).encode()
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            data += b"".join(packed.read(name) for name in packed.namelist())
    elif data[:2] == b"\x1f\x8b":
        data += gzip.decompress(data)
    return data


def plant(folder: Path) -> dict[str, bytes]:
    """Write the files into ``folder``. Returns them."""
    folder.mkdir(parents=True)
    files: dict[str, bytes] = {
        "utf8.txt": LINE.encode(),
        "gbk.txt": LINE.encode("gb18030"),
        "utf16.txt": LINE.encode("utf-16"),
        "table.csv": _csv().encode("gb18030"),
        "escaped.json": json.dumps([dict(zip(_HEADER, VALUES, strict=True))]).encode(),
        "book.xlsx": _xlsx(),
        "letter.docx": _docx(),
        "mail.eml": _mail(),
        "page.html": f"<html><body><p>{LINE}</p></body></html>".encode(),
        "dump.sql.gz": gzip.compress(f"INSERT INTO t VALUES ('{NAME}','{PHONE}','{ADDRESS}');\n".encode()),
        "data.bin": b"\0\1\2\3" * 64 + LINE.encode() + b"\0\xff\xfe" * 64,
        "columns.parquet": _parquet(),
    }
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", LINE)
        packed.writestr("b.xlsx", files["book.xlsx"])
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as packed:
        packed.writestr("inner.zip", inner.getvalue())
        packed.writestr("broken.xlsx", files["book.xlsx"][:700])
    files["nested.zip"] = outer.getvalue()
    files["broken.xlsx"] = files["book.xlsx"][:900]
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with sqlite3.connect(folder / "old.db") as base:
        base.execute(f"CREATE TABLE kunden ({', '.join(_HEADER)})")
        base.execute("INSERT INTO kunden VALUES (?,?,?,?,?,?)", VALUES)
    base.close()
    files["old.db"] = (folder / "old.db").read_bytes()
    return files


def _csv() -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_HEADER, VALUES, VALUES])
    return text.getvalue()


def _xlsx() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("派件")
        sheet.write_row("A1", _HEADER)
        for column, value in enumerate(VALUES):
            sheet.write_string(1, column, value)
    return out.getvalue()


def _docx() -> bytes:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = f"<w:document {space}><w:body><w:p><w:r><w:t>{LINE}</w:t></w:r></w:p></w:body></w:document>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        packed.writestr("word/document.xml", body)
    return out.getvalue()


def _mail() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "派件"
    mail.set_content(LINE, cte="base64")
    return bytes(mail)


def _parquet() -> bytes:
    out = io.BytesIO()
    columns = {name: [value] for name, value in zip(_HEADER, VALUES, strict=True)}
    pyarrow.parquet.write_table(pa.table(columns), out)
    return out.getvalue()
