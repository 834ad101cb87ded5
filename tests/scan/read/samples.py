"""Files of every kind, made by code, and a reader of all documents of a path. Nobody in them exists."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.read import why
from parcelveil.scan.read.limits import Limits
from parcelveil.scan.read.walk import documents

#: A line that every sample holds: Chinese, and a number that no subscriber has.
LINE = "收件人张伟 电话13800138000 上海市青浦区"
PHONE = "13800138000"


class Got(NamedTuple):
    """One document, read to its end."""

    place: Place
    kind: str
    format: str
    encoding: str
    delimiter: str
    data: bytes  # of texts
    rows: list[tuple[int, dict[str, str | None]]]  # of tables

    @property
    def text(self) -> str:
        return self.data.decode() + "".join(
            f"{name}={value}\n" for _, row in self.rows for name, value in row.items() if value is not None
        )


def read(*paths: object, limits: Limits | None = None, **hooks: Any) -> tuple[list[Got], list[Read]]:
    """All documents and notes of some paths."""
    notes: list[Read] = []
    found = [
        take(document) for document in documents([str(p) for p in paths], limits or Limits(), notes.append, **hooks)
    ]
    for note in notes:
        assert note.why in why.ALL or note.why == "", note
        assert (note.outcome == "read") == (note.why == ""), note
        assert PHONE not in repr(note) and "张伟" not in repr(note)
    return found, notes


def take(document: Document) -> Got:
    """Reads a document to its end."""
    assert (document.chunks is None) != (document.batches is None)
    data = b"".join(document.chunks or ())
    data.decode()
    rows = []
    for first, batch in document.batches or ():
        assert batch.num_rows <= 16_384 and all(column.type == pa.string() for column in batch.columns)
        batch.validate(full=True)
        names = batch.schema.names
        rows += [
            (first + number, dict(zip(names, values, strict=True)))
            for number, values in enumerate(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        ]
    return Got(document.place, document.kind, document.format, document.encoding, document.delimiter, data, rows)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def xlsx() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("派件")
        sheet.write("A1", "青浦网点五月派件表")
        sheet.write_row("A2", ["运单号", "收件人", "电话", "电话"])
        sheet.write_row("A3", ["SF1", "张伟", 13800138000, "13800138000"])
        sheet.write_row("A5", ["SF2", "李娜", 13800138000, None])
        sheet.write_comment("A3", "改派张伟 13800138000")
        hidden = book.add_worksheet("旧")
        hidden.hide()
        hidden.write("C4", "王芳 13800138000")
        book.add_worksheet("空")
    return out.getvalue()


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _word(body: str, root: str = "w:document") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><{root} {_W}>{body}</{root}>'.encode()


def _paragraph(*runs: str) -> str:
    return "<w:p>" + "".join(f"<w:r><w:t>{run}</w:t></w:r>" for run in runs) + "</w:p>"


def docx(more: dict[str, bytes] | None = None) -> bytes:
    row = "".join(f"<w:tc>{_paragraph(cell)}</w:tc>" for cell in ("张伟", "13800138000", "上海市青浦区"))
    body = _paragraph("收件人张", "伟 电话138001", "38000 上海市青浦区") + f"<w:tbl><w:tr>{row}</w:tr></w:tbl>"
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "word/document.xml": _word(f"<w:body>{body}</w:body>"),
            "word/header1.xml": _word(_paragraph("页眉 李娜"), "w:hdr"),
            "word/comments.xml": _word("<w:comment>" + _paragraph("批注 王芳") + "</w:comment>", "w:comments"),
            "word/footnotes.xml": _word(_paragraph("脚注 赵敏"), "w:footnotes"),
            "word/_rels/document.xml.rels": b'<R><Relationship Id="r" Target="mailto:zhang@example.com" '
            b'TargetMode="External"/></R>',
            "docProps/core.xml": "<c><creator>钱进</creator></c>".encode(),
            **(more or {}),
        }
    )


def pptx() -> bytes:
    slide = f"<p:sld><a:p><a:r><a:t>{LINE}</a:t></a:r></a:p></p:sld>"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return zipped({"ppt/presentation.xml": b"<p/>", "ppt/slides/slide1.xml": (head + slide).encode()})


_ODF = "".join(
    f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
)


def ods(cells: str = "") -> bytes:
    def cell(text: str) -> str:
        return f"<table:table-cell><text:p>{text}</text:p></table:table-cell>"

    rows = (
        f"<table:table-row>{cell('姓名')}{cell('电话')}</table:table-row>"
        '<table:table-row table:number-rows-repeated="1000000">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
        f'<table:table-row table:number-rows-repeated="9">{cell("张伟")}{cell("13800138000")}</table:table-row>{cells}'
    )
    content = f'<o:doc xmlns:o="o"{_ODF}><table:table table:name="表一">{rows}</table:table></o:doc>'
    return zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": content.encode()})


def odt() -> bytes:
    content = f'<o:doc xmlns:o="o"{_ODF}><text:p>{LINE}</text:p></o:doc>'
    return zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": content.encode()})


def pdf(*pages: str, attached: bytes | None = None) -> bytes:
    """A PDF by hand: Latin text, one content stream a page; an empty page shows a picture."""
    objects: dict[int, bytes] = {}
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    image = 4 + 2 * len(pages)
    for number, text in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in text.split("\n"))
        stream = f"BT /F1 12 Tf 50 700 Td {lines}ET" if text else "q 400 0 0 400 50 50 cm /I Do Q"
        objects[4 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> /XObject << /I {image} 0 R >> >> >>"
        ).encode()
        objects[5 + 2 * number] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream.encode())
    objects[image] = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Length 1 >>\nstream\n\x40\nendstream"
    )
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number in sorted(objects):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    if attached is None:
        return bytes(out)
    import pypdfium2

    document = pypdfium2.PdfDocument(bytes(out))
    document.new_attachment("list.csv").set_data(attached)
    written = io.BytesIO()
    document.save(written)
    document.close()
    return written.getvalue()


def eml(attachment: bytes = b"") -> bytes:
    message = EmailMessage()
    message["From"] = "张伟 <zhang@example.com>"
    message["To"] = "li@example.com"
    message["Subject"] = "派件 13800138000"
    message["Message-ID"] = "<1@example.com>"
    message.set_content(LINE + "\n", charset="gb18030")
    message.add_alternative(f"<table><tr><td>姓名</td><td>张伟</td></tr></table><p>{LINE}</p>", subtype="html")
    if attachment:
        message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="名单.zip")
    return message.as_bytes()


def mbox(count: int = 3) -> bytes:
    return b"".join(b"From x@example.com Mon May  4 2026\n" + eml(LINE.encode()) + b"\n" for _ in range(count))


def parquet() -> bytes:
    rows = pa.table(
        {
            "姓名": ["张伟", None, "张伟"],
            "phone": pa.array([13800138000, 2, None], pa.int64()),
            "to": [{"city": "上海", "tel": "13800138000"}] * 3,
            "tags": [["a", "b"], None, []],
            "raw": pa.array([LINE.encode(), b"\xff\xfe", None], pa.binary()),
            "score": [0.5, 3.0, None],
        }
    )
    out = io.BytesIO()
    pq.write_table(rows, out, row_group_size=2)
    return out.getvalue()


def arrow(*, stream: bool = False) -> bytes:
    rows = pa.table({"name": pa.array(["张伟", "张伟"]).dictionary_encode(), "phone": ["13800138000", None]})
    out = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


def sqlite(folder: Path) -> bytes:
    path = folder / "made.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (name text, phone text)")
        db.execute("insert into t values ('张伟', '13800138000')")
    db.close()
    data = path.read_bytes()
    path.unlink()
    return data


def xls() -> bytes:
    """An XLS of BIFF8: one sheet, shared strings that go over a record's end, a number."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    def bof(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))

    words = ["姓名", "电话", "张伟", "13800138000"]
    first, *rest = [struct.pack("<HB", len(word), 1) + word.encode("utf-16-le") for word in words]
    strings = record(0x00FC, struct.pack("<II", 4, 4) + first) + record(0x003C, b"".join(rest))
    name = "Sheet".encode("latin-1")
    tail = strings + record(0x000A, b"")
    head = bof(5) + record(0x0042, struct.pack("<H", 1200))
    start = len(head) + 4 + 8 + len(name) + len(tail)
    book = head + record(0x0085, struct.pack("<IBBBB", start, 0, 0, len(name), 0) + name) + tail
    cells = [struct.pack("<HHHI", at // 2, at % 2, 0, at) for at in range(4)]
    sheet = bof(16) + record(0x0200, struct.pack("<IIHHH", 0, 3, 0, 2, 0)) + b"".join(record(0x00FD, c) for c in cells)
    sheet += record(0x0203, struct.pack("<HHHd", 2, 1, 0, 13800138000.0)) + record(0x000A, b"")
    return compound({"Workbook": (book + sheet).ljust(4096, b"\0")})


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file of 512-byte sectors; each stream has at least 4096 bytes."""
    end, free, fat = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD

    def entry(name: str, kind: int, start: int, size: int, child: int = free, right: int = free) -> bytes:
        raw = name.encode("utf-16-le") + b"\0\0"
        return (
            raw.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(raw), kind, 1, free, right, child)
            + bytes(36)
            + struct.pack("<III", start, size, 0)
        )

    sectors: list[bytes] = []
    chain = [fat]
    directory = [entry("Root Entry", 5, end, 0, child=1)]
    for at, (name, data) in enumerate(streams.items(), start=1):
        assert len(data) >= 4096
        start, count = len(chain), -(-len(data) // 512)
        sectors += [data[place : place + 512].ljust(512, b"\0") for place in range(0, len(data), 512)]
        chain += [*range(start + 1, start + count), end]
        directory.append(entry(name, 2, start, len(data), right=at + 1 if at < len(streams) else free))
    start = len(chain)
    raw = b"".join(directory)
    raw += bytes(-len(raw) % 512)
    count = len(raw) // 512
    sectors += [raw[place : place + 512] for place in range(0, len(raw), 512)]
    chain += [*range(start + 1, start + count), end]
    assert len(chain) <= 128
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1, start, 0, 4096, end, 0, end, 0, 0,
    )  # fmt: skip
    header += struct.pack("<108I", *[free] * 108)
    table = struct.pack("<128I", *(chain + [free] * (128 - len(chain))))
    return header + table + b"".join(sectors)


def every(folder: Path) -> dict[str, bytes]:
    """A small file of each kind."""
    import PIL.Image

    picture = io.BytesIO()
    PIL.Image.new("L", (8, 8)).save(picture, "PNG")
    table = "姓名,电话,地址\n" + '张伟,13800138000,"上海市,青浦区"\n' * 3
    return {
        "a.txt": (LINE + "\n").encode() * 3,
        "gb.csv": table.encode("gb18030"),
        "wide.tsv": table.replace(",", "\t").encode("utf-16"),
        "a.json": b'{"name": "\\u5f20\\u4f1f", "phone": "13800138000"}',
        "a.html": f"<html><body><td>{LINE}</td>&#24352;&#20255;</body></html>".encode(),
        "a.xml": b"<r><name>&#24352;&#20255;</name><phone>13800138000</phone></r>",
        "a.log": f"2026-11-24 12:00:01,123 INFO {LINE}\n".encode() * 3,
        "a.xlsx": xlsx(),
        "a.docx": docx({"word/media/image1.png": picture.getvalue(), "word/embeddings/a.xlsx": xlsx()}),
        "a.pptx": pptx(),
        "a.ods": ods(),
        "a.odt": odt(),
        "a.xls": xls(),
        "a.pdf": pdf("tel 13800138000", "", attached=b"name,phone\nx,13800138000\n"),
        "a.eml": eml(zipped({"b.txt": LINE.encode()})),
        "a.mbox": mbox(),
        "a.parquet": parquet(),
        "a.arrow": arrow(),
        "b.arrows": arrow(stream=True),
        "a.db": sqlite(folder),
        "a.png": picture.getvalue(),
        "a.zip": zipped({"x/b.txt": LINE.encode(), "c.zip": zipped({"d.csv": table.encode()})}),
        "a.tar": tarred({"x/b.txt": LINE.encode(), "c.xlsx": xlsx()}),
        "a.tar.gz": tarred({"x/b.txt": LINE.encode()}, "w:gz"),
        "a.log.gz": gzip.compress(LINE.encode()) + gzip.compress(LINE.encode()),
        "a.txt.bz2": bz2.compress(LINE.encode()),
        "a.txt.xz": lzma.compress(LINE.encode()),
        "a.txt.zst": pa.compress(LINE.encode(), codec="zstd", asbytes=True),
        "a.bin": b"\x00\x01\x02\xff\xfe\x80\x90" * 50 + LINE.encode() + b"\x00\xff\x01" * 50 + LINE.encode("utf-16-le"),
        "a.7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
        "a.rtf": b"{\\rtf1 \\'d5\\'c5\\u20255 ? 13800138000}",
    }


def only(pair: tuple[list[Got], list[Read]]) -> Iterator[Any]:
    """The one document and the one note."""
    (document,), (note,) = pair
    yield document
    yield note
