"""Texts: every encoding, what is broken in them, tables among them, escapes and markup."""

from __future__ import annotations

import codecs
import io
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan.findings import Place
from parcelveil.scan.read import markup, why
from parcelveil.scan.read.delimiter import delimiter_of
from parcelveil.scan.read.escapes import unescape
from parcelveil.scan.read.item import Item
from parcelveil.scan.read.limits import Budget, Limits
from parcelveil.scan.read.runs import runs_of
from parcelveil.scan.read.text import tell, utf8_of
from scan.read.samples import LINE, PHONE, read

TRADITIONAL = "收件人陳美麗 電話0912345678 臺北市信義區市府路四十五號，請於下午送達。\n"
JAPANESE = "受取人は山田花子さんです。電話は03-1234-5678、東京都千代田区にお住まいです。カタカナも。\n"
LATIN = "Empfänger: Jörg Müller, Straße 5, Köln, Tel. +49 30 1234567 – très bien\n"


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (LINE, "utf-8", "utf-8"),
        (LINE, "utf-8-sig", "utf-8"),
        ("plain ascii 13800138000", "ascii", "utf-8"),
        (LINE, "utf-16", "utf-16-le"),
        (LINE, "utf-16-le", "utf-16-le"),
        (LINE, "utf-16-be", "utf-16-be"),
        (LINE, "utf-32", "utf-32-le"),
        ("name,phone\nJohn,13800138000\n", "utf-16-le", "utf-16-le"),
        ("name,phone\nJohn,13800138000\n", "utf-16-be", "utf-16-be"),
        (LINE, "gb18030", "gb18030"),
        (LINE, "gbk", "gb18030"),
        ("张伟", "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (TRADITIONAL, "gbk", "gb18030"),
        (JAPANESE, "cp932", "cp932"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (LATIN, "cp1252", "cp1252"),
    ],
)
def test_encodings_are_told(text: str, encoding: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    raw = (text * 3).encode(encoding)
    path.write_bytes(raw)
    (document,), (note,) = read(path)
    assert document.encoding == note.encoding == told
    assert document.text.lstrip("\ufeff") == text * 3
    assert (note.outcome, note.bytes) == ("read", len(raw))
    # What stands before a place, encoded as told, is as long as what lies before it in the file.
    for needle in text.split():
        at = document.text.index(needle)
        start = len(document.text[:at].encode(told))
        assert raw[start:].startswith(needle.encode(told))


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_broken_bytes_cost_one_character_each(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    raw = (LINE + "\n").encode(encoding) * 50
    broken = raw[:500] + b"\xff\xfe" + raw[500:]
    path.write_bytes(broken)
    (document,), (note,) = read(path)
    assert note.outcome == "partly" and note.why == why.BROKEN_BYTES and note.encoding == encoding
    assert document.text.count(PHONE) >= 49 and "??" in document.text
    assert len(document.text.encode(encoding)) == len(broken)


def test_ascii_that_turns_into_another_encoding_late(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    head = b"2026-11-24 12:00:00 all quiet\n" * 200_000
    path.write_bytes(head + (LINE + "\n").encode("gb18030"))
    (document,), (note,) = read(path)
    assert document.encoding == note.encoding == "gb18030" and LINE in document.text
    path.write_bytes(head + (LINE + "\n").encode())
    (document,), (note,) = read(path)
    assert document.encoding == "utf-8" and LINE in document.text and note.outcome == "read"
    path.write_bytes((LINE + "\n").encode() * 200_000 + "张".encode()[:2])
    (document,), (note,) = read(path)
    assert document.encoding == "utf-8" and note.why == why.BROKEN_BYTES and document.data.endswith(b"\n??")


def test_zero_bytes_in_a_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    raw = (LINE + "\n").encode() * 3 + bytes(4096) + (LINE + "\n").encode() * 3
    path.write_bytes(raw)
    (document,), (note,) = read(path)
    assert document.data == raw and note.outcome == "read" and note.encoding == "utf-8"


def test_binary_with_text_in_it(tmp_path: Path) -> None:
    noise = random.Random(5)
    path = tmp_path / "a.bin"
    junk = noise.randbytes(3000)
    wide = f"收件人{PHONE}".encode("utf-16-le")
    path.write_bytes(junk + b"\0" + LINE.encode() + b"\0" + junk + b"\0\0" + wide + b"\0\0" + junk)
    (document,), (note,) = read(path)
    assert (note.format, note.outcome, note.why) == ("binary", "partly", why.BINARY)
    assert LINE in document.text and f"收件人{PHONE}" in document.text and document.encoding == ""


@given(st.integers(0, 3 << 20), st.integers(1, 9000))
@settings(max_examples=25, deadline=None)
def test_runs_are_found_wherever_blocks_end(before: int, size: int) -> None:
    text = (LINE * (size // 20 + 1)).encode()
    data = bytes(before) + text + bytes(100) + b"ends here"
    found = b"".join(runs_of(io.BytesIO(data)))
    assert text in found and b"ends here" in found


def item_of(data: bytes) -> Item:
    return Item(Place("x"), io.BytesIO(data), budget=Budget(Limits(), len(data)))


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "gb18030", "big5", "cp932", "euc_jp", "cp1252"]))
def test_any_bytes_become_utf8_of_the_same_length(data: bytes, encoding: str) -> None:
    item = item_of(data)
    text = b"".join(utf8_of(item, encoding)).decode()
    if item.entry.encoding == "utf-8":
        assert len(text.encode()) == len(data)
    if item.entry.encoding == "cp1252":
        assert len(text) == len(data)
    assert tell(data) in ("", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "gb18030", "big5", "cp932",
                          "euc_jp", "cp1252")  # fmt: skip


@given(st.text(st.characters(codec="gb18030"), min_size=1), st.integers(1, 7))
def test_pieces_may_be_cut_anywhere(text: str, size: int) -> None:
    class Short(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            return super().read(min(size, count or size))

    for encoding in ("utf-8", "gb18030", "utf-16-le"):
        data = ("x" + text).encode(encoding, "replace")
        item = Item(Place("x"), Short(data), budget=Budget(Limits(), len(data)))
        found = b"".join(utf8_of(item, encoding)).decode()
        if encoding != "utf-8" or tell(data) == "utf-8":
            assert found == data.decode(encoding)
        assert encoding != "utf-8" or item.entry.encoding == "utf-8"


# --- tables


TABLE = '姓名,电话,地址\n张伟,13800138000,"上海市,\n青浦区"\n李娜,13800138000,x\n'


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a", "export.txt"])
def test_delimiters_are_told(delimiter: str, name: str, tmp_path: Path) -> None:
    text = TABLE.replace("上海市,", "上海市@").replace(",", delimiter).replace("@", delimiter)
    assert delimiter_of(text, name) == delimiter
    (tmp_path / name).write_text(text, "utf-8")
    (document,), (note,) = read(tmp_path / name)
    assert (document.kind, document.delimiter, document.text) == ("delimited", delimiter, text)
    assert note.format == ("tsv" if delimiter == "\t" else "csv")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dear all,\nthe parcel, which came late, is lost.\nRegards\n", "a.txt"),
        ("2026-11-24 12:00:01,123 INFO a\n2026-11-24 12:00:02,124 INFO b\n2026-11-24 12:00:02,124 c\n", "a.log"),
        ("2026-11-24 12:00:01,123 INFO a\n2026-11-24 12:00:02,124 INFO b\n2026-11-24 12:00:02,124 c\n", "a"),
        ('{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "a.jsonl"),
        ("insert into t values\n(1,'a','b'),\n(2,'c','d');\n", "a.sql"),
        ("one column\nonly\n", "a.csv"),
        ("def f(a, b):\n    return a, b\n\n\nx = f(1, 2)\n", "a.py"),
        ("", "a.csv"),
        ("13800138000\n" * 5, "a.txt"),
    ],
)
def test_other_texts_are_no_tables(text: str, name: str) -> None:
    from parcelveil.scan.read.kinds import text_format

    assert delimiter_of(text, name, text_format(text, name)) == ""


def test_a_csv_with_ragged_rows_is_one_all_the_same() -> None:
    assert delimiter_of("a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3\n1,2,3\n", "a.csv") == ","
    assert delimiter_of('a,b\n"runaway, quote\n' + "x\n" * 50, "a.csv") == ","


# --- escapes and markup


@given(st.text(), st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_escapes_are_decoded_however_they_are_cut(text: str, cuts: list[int]) -> None:
    raw = json.dumps({"x": "张伟" + text}).encode()
    pieces, place = [], 0
    for cut in cuts:
        pieces.append(raw[place : place + cut])
        place += cut
    pieces.append(raw[place:])
    assert b"".join(markup.unescaped(iter(pieces))) == b"".join(markup.unescaped(iter([raw])))
    assert "张伟".encode() in b"".join(markup.unescaped(iter(pieces)))


@given(
    st.lists(
        st.sampled_from([*'\\\\\\u0aDf2dD8cC"张\n', "\\ud83d", "\\ude00", "\\u5f20", "\\u0022", "\\u000a"]), max_size=40
    )
)
def test_compiled_escapes_are_those_of_a_regular_expression(parts: list[str]) -> None:
    def character(found: re.Match[str]) -> str:
        if found[1]:
            return (chr(int(found[1], 16)) + chr(int(found[2], 16))).encode("utf-16", "surrogatepass").decode("utf-16")
        code = int(found[3], 16)
        if code == 0x22:
            return found[0]
        return "\ufffd" if 0xD800 <= code < 0xE000 else " " if code < 32 or code == 127 else chr(code)

    raw = "".join(parts)
    pair = r"\\+u([dD][89abAB][0-9a-fA-F]{2})\\+u([dD][c-fC-F][0-9a-fA-F]{2})"
    wanted = re.sub(pair + r"|\\+u([0-9a-fA-F]{4})", character, raw)
    assert unescape(raw.encode()).decode() == wanted


def test_escapes_in_escapes_and_surrogates() -> None:
    def decoded(raw: bytes) -> str:
        return b"".join(markup.unescaped(iter([raw]))).decode()

    assert decoded(rb"{\"name\": \"\\u5f20\\u4f1f\"}") == r"{\"name\": \"张伟\"}"
    assert decoded(rb"\ud83d\ude00 \ud83d \u000a \u0022 \u12") == "\U0001f600 \ufffd   " + r"\u0022 \u12"
    log = "2026 INFO \\u6536\\u4ef6\\u4eba 13800138000\n"
    assert "收件人" in decoded(log.encode())


@given(
    st.lists(st.sampled_from([*"<>&;#/abq \n1234567890='", "<td>", "&#24352;", "&amp;", "13800138000", "张"])),
    st.data(),
)
def test_markup_is_the_same_however_it_is_cut(parts: list[str], data: st.DataObject) -> None:
    raw = "".join(parts).encode()
    for reader in (markup.without_tags, markup.without_entities, markup.without_rtf_escapes):
        whole = b"".join(reader(iter([raw])))
        cut = data.draw(st.integers(0, len(raw)))
        assert b"".join(reader(iter([raw[:cut], raw[cut:]]))) == whole
        assert whole.count(b"\n") == raw.count(b"\n"), "lines keep their numbers"


def test_nothing_in_a_tag_is_lost() -> None:
    def seen(raw: str) -> str:
        return b"".join(markup.without_tags(iter([raw.encode()]))).decode()

    assert PHONE in seen(f"<a href='tel:{PHONE}'>call</a>") and "张伟" in seen("<input value=张伟>")
    assert seen("<p>138<b>001</b>38000</p>") == f"\t{PHONE}\t"
    assert PHONE in seen(f"<script>if (a<b) {{ x = '{PHONE}' }}</script>")
    assert PHONE in seen(f"<!-- {PHONE} -->") and PHONE in seen(f"<unclosed {PHONE}")


def test_an_escape_behind_the_head_is_decoded_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": "\\u5f20"}\n' + b"x" * (6 << 20) + b'{"a": "\\u5f20\\u4f1f"}')
    (document,), _ = read(path)
    assert "张伟" in document.text and document.encoding == ""


def test_a_byte_order_mark_stays_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + TABLE.encode())
    (document,), _ = read(path)
    assert document.data == codecs.BOM_UTF8 + TABLE.encode() and document.delimiter == ","
