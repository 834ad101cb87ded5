"""The compiled passes against plain Python, and the promise that blocks, threads, pieces and cells change nothing."""

from __future__ import annotations

import functools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan.document import Document
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import FINDINGS, Place
from parcelveil.scan.hits import Detector
from parcelveil.scan.key import ScanKey
from parcelveil.scan.reference import reference_hits
from parcelveil.scan.rules import builtin, rules_of

KEY = ScanKey(bytes(range(32)), lasting=True)
#: Pieces of which texts are made that come near to what rules look for.
PIECES = [
    "13812345678", "163 1234 5678", "+8616312345678", "110101199003074514", "11010119900307451X", "4111111111111111", "6222 0200 0000 0000 000",
    "a.b@example.com", "x@y", "@", "021-12345678", "400-123-4567", "京A12345", "粤B", "D12345", "192.168.1.1", "00:1b:44:11:3a:b7", "SF1234567890123",
    "RA123456785CN", "91350100M000100Y43", "GB82WEST12345698765432", "订单号", "单号", "电话", "tel", "Tel:", "userPhone", "手机号码", "trace=", "epoch=",
    "微信号：", "QQ:", "10001000", "wxid_abc123", "1700000000123", "20240501123456789012", "，", "：", " ", "-", ",", "\n", "\t", '"', "'", ".", "/", "x", "X",
    "转", "1234", "(", ")", "+", "_", "号", "张伟", "上海市青浦区盈港东路8300弄36号302室", "e-", "0.", "护照", "E12345678", "卡号", "********",
    "138****5678", "身份证", "３８", "１３８１２３４５６７８", "\u3000", "é", "\U0001f600",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=24).map("".join)


@functools.cache
def detector() -> Detector:
    return Detector(rules_of(builtin()), names=False)


@functools.cache
def scanner(block: int = 1 << 22, threads: int = 1) -> Scanner:
    return Scanner.default(KEY, least=0.01, block=block, threads=threads)


def shown(batch: pa.RecordBatch) -> list[tuple[object, ...]]:
    names = ("start", "end", "kind", "line", "row", "column", "confidence", "reason", "fingerprint")
    return sorted(zip(*(batch[name].to_pylist() for name in names), strict=True))


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_the_passes_find_what_the_reference_finds(text: str) -> None:
    plain = text.translate({ord(c): None for c in "３８１２４５６７\u3000："})
    data = plain.encode()
    found = detector().in_text(np.frombuffer(data, np.uint8), 0, len(data))
    words = [detector().words[one] if one >= 0 else "" for one in found.word.tolist()]
    mine = [
        (start, end, rule, round(score, 3), word)
        for start, end, rule, score, word in zip(
            found.start.tolist(), found.end.tolist(), found.rule.tolist(), found.log_odds.tolist(), words, strict=True
        )
    ]
    theirs = [(h.start, h.end, h.rule, round(h.log_odds, 3), h.word) for h in reference_hits(data, detector().rules)]
    assert sorted(mine) == sorted(theirs)


def long_text(seed: int, size: int) -> bytes:
    rng, parts, length = random.Random(seed), [], 0
    while length < size:
        piece = rng.choice(PIECES) * rng.choice([1, 1, 1, 1, 1, 2, 40])
        parts.append(piece)
        length += len(piece.encode())
    return "".join(parts).encode()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("format", ["text", "csv"])
def test_blocks_threads_and_pieces_make_no_difference(seed: int, format: str) -> None:
    data = long_text(seed, 150_000)
    whole = shown(scanner().scan_bytes(data, format=format))
    assert len(whole) > 300
    assert shown(scanner(16_384).scan_bytes(data, format=format)) == whole
    assert shown(scanner(20_011, 3).scan_bytes(data, format=format)) == whole
    rng, pieces, at = random.Random(seed), [], 0
    while at < len(data):
        step = rng.choice([1, 7, 100, 5000, 40_000])
        pieces.append(data[at : at + step])
        at += step
    document = Document(Place("memory"), "delimited" if format == "csv" else "text", format, iter(pieces))
    document.delimiter = "," if format == "csv" else ""
    found = pa.Table.from_batches(list(scanner(16_384).scan(document)), FINDINGS).combine_chunks().to_batches()[0]
    assert shown(found) == whole


def test_a_text_cut_at_a_line_is_the_sum_of_its_parts() -> None:
    lines = long_text(9, 60_000).split(b"\n")
    first, second = b"\n".join(lines[: len(lines) // 2]) + b"\n", b"\n".join(lines[len(lines) // 2 :])
    whole = {(s, e, k) for s, e, k, *_ in shown(scanner().scan_bytes(first + second))}
    parts = {(s, e, k) for s, e, k, *_ in shown(scanner().scan_bytes(first))}
    parts |= {(s + len(first), e + len(first), k) for s, e, k, *_ in shown(scanner().scan_bytes(second))}
    # Names may look at the line above.
    assert {one for one in whole ^ parts if not str(one[2]).startswith(("person", "address"))} == set()


def test_neighbouring_values_do_not_fuse() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"a": ["13812345678", "13912345678", "1101011990", "03074514", "1381234", "5678"]}
    )
    found = scanner().scan_batch(batch)
    strong = [row for row in found.to_pylist() if row["confidence"] > 0.5]
    assert [(row["kind"], row["row"], row["start"], row["end"]) for row in strong] == [
        ("phone.mobile", 1, 0, 11),
        ("phone.mobile", 2, 0, 11),
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=12))
def test_cells_are_scanned_as_if_each_were_alone(cells: list[str | None]) -> None:
    batch = pa.RecordBatch.from_pydict({"x": pa.array(cells, pa.string())})
    rules = detector()
    offsets, data = __import__("parcelveil.seal.passes", fromlist=["buffers"]).buffers(batch["x"])
    starts, ends = offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64)
    together = rules.in_cells(data, starts, ends, "")
    mine = sorted(
        zip(
            together.cell.tolist(),
            (together.start - starts[together.cell]).tolist(),
            together.rule.tolist(),
            strict=True,
        )
    )
    alone = []
    for place, cell in enumerate(cells):
        raw = (cell or "").encode()
        hits = rules.in_text(np.frombuffer(raw, np.uint8), 0, len(raw))
        alone += [(place, start, rule) for start, rule in zip(hits.start.tolist(), hits.rule.tolist(), strict=True)]
    assert mine == sorted(alone)


def test_arrow_types_give_the_same_findings() -> None:
    phones = ["13812345678", None, "13912345678", "13812345678"]
    strings = pa.array(phones)
    kinds = {
        "string": strings,
        "large": strings.cast(pa.large_string()),
        "binary": strings.cast(pa.binary()),
        "view": strings.cast(pa.string_view()),
        "dictionary": strings.dictionary_encode(),
        "number": pa.array([int(x) if x else None for x in phones]),
        "float": pa.array([float(x) if x else None for x in phones]),
        "sliced": pa.concat_arrays([pa.array(["x", None]), strings, pa.array(["y"])]).slice(2, 4),
        "list": pa.array([[x] if x else [] for x in phones]),
        "struct": pa.array([{"phone": x} for x in phones]),
    }
    expected = None
    for name, column in kinds.items():
        found = scanner().scan_batch(pa.RecordBatch.from_arrays([column], names=["c"]))
        rows = [(r["row"], r["start"], r["end"], r["kind"], r["fingerprint"]) for r in found.to_pylist()]
        assert sorted(row[0] for row in rows) == [1, 3, 4], name
        expected = expected or sorted(rows)
        assert sorted(rows) == expected, name


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-16-be", "big5", "utf-8", ""])
def test_spans_are_bytes_of_the_file(encoding: str) -> None:
    text = "".join(f"第{i}位 電話13812345{i:03d}，\n" for i in range(400))
    text = ("\ufeff" if encoding.startswith("utf") else "") + text
    raw = text.encode(encoding or "utf-8")
    chunks = [text.encode()[i : i + 999] for i in range(0, len(text.encode()), 999)]
    document = Document(Place("f"), "text", "text", iter(chunks), encoding=encoding)
    found = [
        row for batch in scanner(16_384).scan(document) for row in batch.to_pylist() if row["kind"] == "phone.mobile"
    ]
    assert len(found) == 400
    for row in found:
        number = f"13812345{row['line'] - 1:03d}"
        assert raw[row["start"] : row["end"]].decode(encoding or "utf-8") == number


def test_the_quick_pass_agrees_with_the_whole_one() -> None:
    data = np.frombuffer(
        long_text(3, 80_000).decode().translate({ord(c): None for c in "３８１２４５６７"}).encode(), np.uint8
    )
    quick = scanner().core(data)
    found = {(int(s), int(e)) for s, e, r in zip(quick.start, quick.end, quick.rule, strict=True) if r == 3}
    emails = [i for i, rule in enumerate(detector().patterned) if rule.check == "email"]
    hits = detector().candidates(data)
    assert found == {
        (int(s), int(e)) for s, e, r in zip(hits.start, hits.end, hits.rule, strict=True) if int(r) in emails
    }
    everything = {(int(s), int(e)) for s, e in zip(hits.start, hits.end, strict=True)}
    missing = {(int(s), int(e)) for s, e in zip(quick.start, quick.end, strict=True)} - everything
    assert not missing


def test_sealed_columns_are_protected() -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([b"\x01" * 39, None]), pa.array(["138******78", None])], names=["to_phone", "to_phone_mask"]
    )
    found = scanner().scan_batch(batch).to_pylist()
    assert ("sealed.value", "protected", 1) in {(row["kind"], row["state"], row["row"]) for row in found}
    assert {row["state"] for row in found} <= {"protected", "masked"}
