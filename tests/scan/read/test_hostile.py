"""Files made to harm, and files that are merely broken: bounded, noted, and the scan goes on."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parcelveil.scan.read import why
from parcelveil.scan.read.limits import Limits
from scan.read.samples import (
    LINE,
    PHONE,
    compound,
    docx,
    eml,
    every,
    mbox,
    ods,
    pdf,
    read,
    tarred,
    xls,
    zipped,
)

SMALL = Limits(inflated=1 << 20, ratio_from=1 << 20, held=8 << 20)


def beside(folder: Path, name: str, data: bytes, limits: Limits | None = None):  # type: ignore[no-untyped-def]
    """Reads a hostile file with an honest one behind it: that one is always read."""
    (folder / name).write_bytes(data)
    (folder / "zz.txt").write_text(LINE, "utf-8")
    found, notes = read(folder, limits=limits)
    assert found[-1].text == LINE and notes[-1].outcome == "read"
    return found[:-1], [note for note in notes[:-1] if not note.place.member], notes[:-1]


# --- bombs


def test_a_flat_bomb_stops_at_the_ratio(tmp_path: Path) -> None:
    bomb = zipped({"a.txt": b"0" * (100 << 20), "b.txt": LINE.encode()})
    found, (own,), notes = beside(tmp_path, "bomb.zip", bomb)
    assert sum(len(document.data) for document in found) < (64 << 20) + (5 << 20)
    assert own.why == why.BOMB and own.outcome == "partly"
    assert notes[0].why == why.BOMB and notes[0].place.member == "a.txt"


def test_nested_bombs_share_one_budget(tmp_path: Path) -> None:
    level = zipped({"0.txt": b"0" * (8 << 20)})
    for _ in range(3):
        level = zipped({f"{number}.zip": level for number in range(16)}, zipfile.ZIP_DEFLATED)
    found, (own,), notes = beside(tmp_path, "42.zip", level, Limits(ratio_from=32 << 20))
    assert own.why == why.BOMB and sum(len(document.data) for document in found) < 48 << 20
    assert len(notes) < 100


def test_a_zip_that_holds_itself_ends_at_the_depth(tmp_path: Path) -> None:
    level = LINE.encode()
    for _ in range(12):
        level = zipped({"a.zip": level})
    found, (own,), notes = beside(tmp_path, "deep.zip", level)
    assert not found and notes[0].why == why.TOO_DEEP and own.outcome == "read"
    level = LINE.encode()
    for _ in range(200):
        level = gzip.compress(level)
    _, (own,), _ = beside(tmp_path, "deep.zip", level)
    assert own.why == why.TOO_DEEP


def test_overlapping_members_count_each_time(tmp_path: Path) -> None:
    """Many entries of the directory point at one compressed member."""
    data = zipped({"a": b"0" * (1 << 20)})
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    count = 500
    end = end[:8] + struct.pack("<HHII", count, count, len(entry) * count, start) + end[20:]
    _, (own,), notes = beside(tmp_path, "overlap.zip", data[:start] + entry * count + end)
    assert own.why in (why.BOMB, why.DAMAGED) and len(notes) <= count + 1


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_compressed_bombs(kind: str, tmp_path: Path) -> None:
    zeros = b"0" * (24 << 20)
    data = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
            "zst": lambda raw: pa.compress(raw, codec="zstd", asbytes=True)}[kind](zeros)  # fmt: skip
    tracemalloc.start()
    try:
        (tmp_path / f"a.txt.{kind}").write_bytes(data)
        size = 0
        from parcelveil.scan.read.walk import documents

        notes: list[object] = []
        for document in documents([str(tmp_path / f"a.txt.{kind}")], Limits(ratio_from=16 << 20), notes.append):
            for chunk in document.chunks or ():
                size += len(chunk)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert (12 << 20) <= size <= (17 << 20) and notes[0].why == why.BOMB  # type: ignore[attr-defined]


def test_a_directory_of_millions_is_not_even_read(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 0xFFFFFFFF, 0, 0)
    end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10**9, 10**9, 10**12, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 4, 1)
    _, (own,), _ = beside(tmp_path, "many.zip", b"PK\x03\x04" + end64 + locator + end)
    assert own.why == why.TOO_MANY and own.outcome == "skipped"
    members = zipped({f"{number}": b"x" for number in range(50)})
    _, (own,), notes = beside(tmp_path, "many.zip", members, Limits(members=20))
    assert own.why == why.TOO_MANY and own.outcome == "partly" and len(notes) == 21
    _, (own,), notes = beside(tmp_path, "many.zip", tarred({str(n): b"x" for n in range(50)}), Limits(members=20))
    assert own.why == why.TOO_MANY and own.outcome == "partly" and len(notes) == 21


def test_sizes_that_lie(tmp_path: Path) -> None:
    data = zipped({"a.txt": LINE.encode() * 10})
    start = data.index(b"PK\x01\x02")
    for size in (1, 10**9):
        lying = data[:start] + data[start : start + 24] + struct.pack("<I", size) + data[start + 28 :]
        found, _, notes = beside(tmp_path, "lie.zip", lying)
        assert found[0].text == LINE * 10 and (notes[0].outcome, notes[0].why) == ("partly", why.DAMAGED)
    info = tarfile.TarInfo("a.txt")
    info.size = 1 << 40
    found, _, notes = beside(tmp_path, "lie.tar", info.tobuf() + LINE.encode())
    assert PHONE in found[0].text and notes[0].why == why.DAMAGED
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = b"x", 1 << 40
    _, owns, _ = beside(tmp_path, "lie.tar", header.tobuf() + LINE.encode())
    assert why.DAMAGED in [own.why for own in owns]


def test_a_sparse_member_of_a_tar_is_read_as_it_lies(tmp_path: Path) -> None:
    info = tarfile.TarInfo("sparse")
    info.type, info.size = b"S", len(LINE.encode())
    block = bytearray(info.tobuf())
    block[386:482] = struct.pack("12s12s", b"77777777777", b"00000000100") + bytes(72)
    block[483:495] = b"77777777777\0"
    block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:512]))
    found, _, notes = beside(tmp_path, "a.tar", bytes(block) + LINE.encode().ljust(512, b"\0") + bytes(1024))
    assert found[0].text == LINE and notes[0].outcome == "read"


# --- paths in archives


def test_names_that_climb_are_labels_only(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["../../evil.txt", "/etc/cron.d/evil", "C:\\evil", "a\x1b[2J\nb", "x" * 5000, "a!b.txt"]
    found, _, notes = beside(folder, "a.zip", zipped({name: LINE.encode() for name in names}))
    assert [document.place.member for document in found][:2] == ["../../evil.txt", "/etc/cron.d/evil"]
    assert all(note.place.member.isprintable() and len(note.place.member) <= 1100 for note in notes)
    beside(folder, "a.tar", tarred(dict.fromkeys(names[:3], LINE.encode())))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.tar", "a.zip", "zz.txt"]


# --- encrypted


def test_encrypted_files_are_said_to_be(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": LINE.encode(), "b.txt": b"open"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    found, (own,), notes = beside(tmp_path, "a.zip", bytes(data))
    assert [document.text for document in found] == ["open"]
    assert [(note.outcome, note.why) for note in notes[:2]] == [("skipped", why.ENCRYPTED), ("read", "")]
    locked = compound({"EncryptionInfo": bytes(4096), "EncryptedPackage": random.Random(1).randbytes(8192)})
    _, (_, own), _ = beside(tmp_path, "b.xlsx", locked)
    assert (own.outcome, own.why) == ("skipped", why.ENCRYPTED)
    from fpdf import FPDF
    from fpdf.enums import EncryptionMethod

    document = FPDF()
    document.set_encryption("owner", "user", encryption_method=EncryptionMethod.RC4)
    document.add_page()
    document.set_font("helvetica", size=12)
    document.cell(text=f"tel {PHONE}")
    _, owns, _ = beside(tmp_path, "c.pdf", bytes(document.output()))
    assert (owns[2].outcome, owns[2].why) == ("skipped", why.ENCRYPTED)


def test_old_formats_give_their_printable_text(tmp_path: Path) -> None:
    word = compound({"WordDocument": f"收件人张伟先生 {PHONE}".encode("utf-16-le").ljust(4096, b"\0")})
    found, (own,), _ = beside(tmp_path, "a.doc", word)
    assert f"收件人张伟先生 {PHONE}" in found[0].text and own.why == why.OLD_FORMAT and own.outcome == "partly"


# --- workbooks and XML


def test_a_sheet_with_far_corners_is_read_in_a_stream(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "张伟")
        sheet.write(1_048_575, 16_383, PHONE)
    found, _ = read(tmp_path / "a.xlsx")
    assert found[0].rows[-1][0] == 1_048_576 and found[0].rows[-1][1]["XFD"] == PHONE
    assert "张伟" in found[0].text or found[0].rows[0][0] > 1


def test_one_long_string_told_often_stays_small(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        for row in range(2_000):
            sheet.write_string(row, 0, "长" * 30_000)
    tracemalloc.start()
    try:
        from parcelveil.scan.read.walk import documents

        notes: list[object] = []
        size = 0
        for document in documents([str(tmp_path / "a.xlsx")], Limits(held=16 << 20), notes.append):
            for _, batch in document.batches or ():
                assert batch.nbytes < 60 << 20
                size += batch.num_rows
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert size >= 1_999


def test_a_parquet_that_says_a_long_value_often(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 20
    from parcelveil.scan.read.walk import documents

    notes: list[object] = []
    before = pa.total_allocated_bytes()
    rows = 0
    for document in documents([str(tmp_path / "a.parquet")], Limits(), notes.append):
        for first, batch in document.batches or ():
            assert batch.nbytes < 64 << 20 and pa.total_allocated_bytes() - before < 200 << 20
            assert first == rows + 1
            rows += batch.num_rows
            if rows > 5000:
                break
    assert rows > 5000


@pytest.mark.parametrize("entity", ['<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', None])
def test_xml_with_a_dtd_is_refused(entity: str | None, tmp_path: Path) -> None:
    if entity is None:
        levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
        entity = f'<!DOCTYPE x [<!ENTITY a0 "lol">{levels}]><x>&a29;</x>'
    data = docx({"word/document.xml": b""})
    data = zipped({"[Content_Types].xml": b"", "word/document.xml": entity.encode()})
    found, (own,), _ = beside(tmp_path, "a.docx", data)
    assert own.why == why.DAMAGED and "root:" not in "".join(document.text for document in found)


def test_a_damaged_workbook_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for row in range(5000):
            sheet.write_row(row, 0, [f"n{row}", PHONE])
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-20_000]
    del parts["xl/workbook.xml"]
    found, owns, _ = beside(tmp_path, "a.xlsx", zipped({"xl/workbook.xml": b"<broken", **parts}))
    assert owns[0].why == why.DAMAGED and owns[0].outcome == "partly" and len(found[0].rows) > 4000


def test_repeats_of_an_open_workbook_do_not_multiply(tmp_path: Path) -> None:
    cell = '<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    found, (own,), _ = beside(tmp_path, "a.ods", ods(row))
    assert own.rows == 3 and len(found[0].rows[-1][1]) == 64


def test_an_xls_with_far_corners_is_not_laid_out(tmp_path: Path) -> None:
    data = xls()
    cell = data.index(struct.pack("<HH", 0x0203, 14))
    corner = data[: cell + 4] + struct.pack("<HH", 65_535, 255) + data[cell + 8 :]
    found, (own,), _ = beside(tmp_path, "a.xls", corner)
    assert found[0].rows[-1] == (65_536, {**dict.fromkeys(found[0].rows[-1][1]), "IV": PHONE}) and own.outcome == "read"
    locked = data.replace(struct.pack("<HHH", 0x0042, 2, 1200), struct.pack("<HHH", 0x002F, 2, 0))
    _, (own,), _ = beside(tmp_path, "a.xls", locked)
    assert own.why == why.ENCRYPTED


# --- mail


def test_mails_nested_without_end(tmp_path: Path) -> None:
    deep = b"Subject: a\nMessage-ID: 1\nMIME-Version: 1.0\n"
    for level in range(3000):
        deep += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
    found, (own,), _ = beside(tmp_path, "a.eml", deep + b"\n" + LINE.encode())
    assert PHONE in "".join(document.text for document in found) and own.outcome in ("read", "partly")
    many = b"Subject: a\nMessage-ID: 1\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5000
    _, (own,), _ = beside(tmp_path, "a.eml", many)
    assert own.why == why.TOO_MANY


def test_a_mail_too_large_to_hold_does_not_hide_the_next(tmp_path: Path) -> None:
    large = b"From x Mon\nSubject: big\n\n" + b"x" * (5 << 20) + b"\n"
    found, (own,), _ = beside(tmp_path, "a.mbox", large + mbox(1), Limits(held=8 << 20))
    assert own.why == why.TOO_LARGE and own.outcome == "partly" and PHONE in found[-1].text + found[-2].text
    found, (_, own), _ = beside(tmp_path, "b.eml", eml() + LINE.encode() * 200_000, Limits(held=8 << 20))
    assert own.why == why.TOO_LARGE and own.outcome == "partly" and found[-1].text.endswith(LINE)


# --- time


def test_the_time_of_one_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({str(number): LINE.encode() for number in range(100)}))
    _, notes = read(tmp_path / "a.zip", limits=Limits(seconds=-1.0))
    assert notes[-1].why == why.TOO_LONG
    path = tmp_path / "a.txt"
    path.write_text(LINE, "utf-8")
    _, (note,) = read(path, limits=Limits(seconds=-1.0))
    assert note.why == why.TOO_LONG


# --- anything


def _samples() -> dict[str, bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return every(Path(folder))


SAMPLES = _samples()


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_is_noted(name: str, tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(0, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw))) :]
    path = tmp_path / name
    path.write_bytes(raw)
    _, notes = read(path, limits=SMALL)
    assert [note.place.source for note in notes if not note.place.member] == [str(path)]


@given(data=st.binary(max_size=2000), head=st.sampled_from(sorted({raw[:300] for raw in SAMPLES.values()})))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_behind_any_head(tmp_path: Path, data: bytes, head: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(head[: len(data) % (len(head) + 1)] + data)
    _, notes = read(path, limits=SMALL)
    assert notes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_whatever_breaks_is_noted_at_length(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    for name, sample in SAMPLES.items():
        for _ in range(40):
            raw = bytearray(sample)
            for _ in range(dice.choice([0, 1, 2, 20])):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            if dice.random() < 0.5:
                del raw[dice.randrange(len(raw)) :]
            path = tmp_path / name
            path.write_bytes(raw)
            _, notes = read(path, limits=SMALL)
            assert notes


def test_damage_in_a_member_leaves_the_others(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": random.Random(3).randbytes(3000), "b.txt": LINE.encode()}))
    data[200:260] = bytes(60)
    found, (own,), notes = beside(tmp_path, "a.zip", bytes(data))
    assert notes[0].outcome != "read" and found[-1].text == LINE and own.outcome == "read"
    broken = gzip.compress(LINE.encode() * 100)
    _, owns, _ = beside(tmp_path, "b.gz", broken[:-30])
    assert owns[1].why == why.DAMAGED
    found, owns, _ = beside(tmp_path, "b.gz", broken + b"hidden behind")
    assert owns[1].why == why.DAMAGED and PHONE in found[-1].text
    _, owns, _ = beside(tmp_path, "c.pdf", pdf("x")[:60])
    assert owns[2].outcome == "skipped" and owns[2].why == why.DAMAGED
    _, owns, _ = beside(tmp_path, "d.eml", eml()[:-100])
    assert owns[3].format == "eml"
