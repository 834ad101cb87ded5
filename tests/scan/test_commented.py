"""Comments in the lines that are read mark their findings, wherever blocks begin."""

from __future__ import annotations

import numpy as np
import pytest

from parcelveil.scan.allowlist import REACH
from parcelveil.scan.document import Document
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import Place
from parcelveil.scan.hits import SURROUNDINGS


def marks(text: bytes, *, block: int = 4 << 20, piece: int = 1 << 20) -> list[tuple[int, str, bool]]:
    scanner = Scanner.default(block=block)
    chunks = iter([text[at : at + piece] for at in range(0, len(text), piece)])
    found = []
    for batch in scanner.scan(Document(Place("a.py"), "text", "text", chunks=chunks)):
        rows = zip(batch["start"].to_pylist(), batch["kind"].to_pylist(), batch["reason"].to_pylist(), strict=True)
        found += [(start, kind, reason.endswith("; allowed here")) for start, kind, reason in rows]
    return found


def test_a_comment_speaks_of_its_own_line_and_of_the_kinds_it_names() -> None:
    text = (
        b"tel 16312345678 mail zhang.wei@example.com  # parcelveil:allow=phone\n"
        b"tel 16312345679\n"
        b"// parcelveil:allow\n"
        b"<!-- parcelveil:allow --> tel 16312345670 mail zhang.wei@example.com"
    )
    assert [(kind, allowed) for _, kind, allowed in marks(text)] == [
        ("phone.mobile", True),
        ("net.email", False),
        ("phone.mobile", False),
        ("phone.mobile", True),
        ("net.email", True),
    ]


@pytest.mark.parametrize("gap", [10, REACH - 300, REACH - 16, REACH, REACH + 1, REACH + 400])
def test_blocks_make_no_difference_however_far_the_comment_stands(gap: int) -> None:
    draw = np.random.default_rng(gap)
    lines = []
    for number in range(40):
        filler = b"x " * (gap // 2)
        comment = b"# parcelveil:allow=phone,net.email" if number % 2 else b"# nothing"
        lines.append(b"tel 163123%05d " % draw.integers(100_000) + filler + comment + b" " * int(draw.integers(99)))
    text = b"\n".join(lines)
    whole = marks(text)
    assert len(whole) == 40
    assert marks(text, block=4 * SURROUNDINGS, piece=1_000) == whole
    if gap < REACH - 100:
        assert [allowed for _, _, allowed in whole] == [number % 2 == 1 for number in range(40)]


def test_a_comment_marks_cells_of_delimited_text() -> None:
    found = Scanner.default().scan_bytes(
        "姓名,电话,备注\n张三丰,16312345678,# parcelveil:allow\n李四光,16312345679,\n".encode(), format="csv"
    )
    reasons = found["reason"].to_pylist()
    rows = found["row"].to_pylist()
    assert {row for row, reason in zip(rows, reasons, strict=True) if reason.endswith("; allowed here")} == {2}
    assert 3 in rows
