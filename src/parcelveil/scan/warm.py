"""Compiling the passes of a scan before they are needed: once for a machine and a version, a minute or two.

::

    if not prepared():          # a look at the disk
        prepare()               # afterwards a scan starts in a second

:func:`prepare` scans a made text in each of the ways that there are, so every compiled pass is made and kept on disk
(see :mod:`parcelveil.seal.passes`), and so is the automaton of the rules. Then it leaves an empty file beside what was
kept, whose name says for which code and which processor. Where nothing can be kept, every run compiles anew, and
:func:`prepared` says so.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from parcelveil.scan import assemble_passes
from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.seal import passes

#: A text with something for every pass: numbers of documentation and without subscribers, and nobody's name.
SAMPLE = (
    "收件人：张三丰 电话 16312345678 上海市青浦区华新镇华腾路1288号3幢201室 身份证号 11010519491231002X\n"
    "寄件人 李四光 021-61234567 转 12，手机 163****5678；卡号 4111 1111 1111 1111 邮箱 zhang.wei@example.com\n"
    "车牌 沪A12345 护照 E12345678 IBAN GB29 NWBK 6016 1331 9268 19 SSN 536-90-4399 IP 93.184.216.34 微信号：zhang_san8\n"
    "运单号 YT8804256231556 订单号 261120-123456789012345 MAC 00:1a:2b:3c:4d:5e IMEI 490154203237518\n"
    "Ship to: Mr. John Miller, 12 Long Street, Springfield, IL 62704, phone (212) 555-0123, 31.2304,121.4737\n"
    "统一社会信用代码 91110000600037341L 港澳通行证 H1234567801 400-123-4567 张三丰说今天不来\n"
)
#: Full-width digits: such a text is folded first, and then lies in memory that may be written to.
_WIDE = "电话 １６３１２３４５６７８\n"
_ROWS = (
    ("张三丰", "16312345678", "上海市青浦区华腾路1288号3幢201室", "茶叶", "2"),
    ("李四光", "16312345679", "", "书", "１"),
)
_HEADER = ("收件人", "电话", "地址", "品名", "数量")


def prepared() -> bool:
    """Whether everything that a scan needs is compiled and kept for this code and this machine."""
    return any(stamp.exists() for stamp in _stamps())


def prepare() -> None:
    """Compile what is not compiled, and keep it. Takes a minute or two the first time, and a few seconds afterwards."""
    from parcelveil.scan.engine import Scanner
    from parcelveil.scan.read.runs import runs_of

    scanner = Scanner.default()
    for document in samples():
        for _ in scanner.scan(document):
            pass
    for _ in runs_of(io.BytesIO(b"\0\1" + SAMPLE.encode() + b"\0" + SAMPLE.encode("utf-16-le"))):
        pass
    for stamp in _stamps():
        with suppress(OSError):  # a folder that can be read only: the next run asks again, and finds all in place
            stamp.touch()


def samples() -> Iterator[Document]:
    """A document of each kind, with and without full-width characters."""
    place = Place("sample")
    for more in ("", _WIDE):
        text = (SAMPLE + more).encode()
        yield Document(place, "text", "text", chunks=iter([text]))
        yield Document(place, "text", "text", chunks=iter([text]), encoding="gb18030")
        for sign in (",", "\t"):
            rows = "\n".join(sign.join(row) for row in (_HEADER, *_ROWS))
            rows = rows if more else rows.replace("１", "1")
            yield Document(place, "delimited", "csv", chunks=iter([rows.encode()]), delimiter=sign)
        columns = [[*column, SAMPLE] for column in zip(*_ROWS, strict=True)]
        columns[-1] = columns[-1] if more else ["2", "1", "3"]
        batch = pa.RecordBatch.from_pydict(dict(zip(_HEADER, columns, strict=True)))
        whole = pa.RecordBatch.from_pydict({"数量": [16312345678, 2, None]})
        yield Document(place, "table", "xlsx", batches=iter([(1, batch), (4, batch), (7, whole)]))
    yield Document(place, "text", "text", chunks=iter([]))


def _stamps() -> Iterator[Path]:
    folder = passes.kept_in(assemble_passes.normalise)
    if folder is not None:
        yield folder / f"scan-prepared-{hashlib.sha256(passes.made_for().encode()).hexdigest()[:32]}"
