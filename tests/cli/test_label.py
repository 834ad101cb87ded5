"""``parcelveil label``: what a print station does, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pypdfium2
import pytest

from cli.conftest import ROWS, Desk, csv_text
from cli.label_files import bad, left_over, shown, write
from label.made import clear_batch, sealed_batch
from parcelveil.label import codes
from parcelveil.label.layout import FOLDER

PHONES = [value for row in ROWS for value in row if value.lstrip("+").isdigit() and len(value) >= 11]


def test_labels_of_a_sealed_file(station: Desk) -> None:
    ran = station.run("label", "day.sealed.parquet", "-o", "labels.pdf", "--station", "p-2")
    assert ran.code == 0, ran.err
    texts = shown("labels.pdf")
    assert len(texts) == len(ROWS)
    assert ran.err.splitlines()[0].startswith(
        f"printed {len(ROWS)} labels (100x180, pdf) of day.sealed.parquet into labels.pdf"
    )
    assert "print station P-2" in ran.err
    for row, text in zip(ROWS, texts, strict=True):
        assert row[0] in text


def test_by_default_beside_the_file(station: Desk) -> None:
    assert station.run("label", "day.sealed.parquet").code == 0
    assert len(shown("day.labels.pdf")) == len(ROWS)


@pytest.mark.parametrize("layout", ["100x180", "100x150", "76x130"])
@pytest.mark.parametrize("dpi", ["203", "300"])
def test_every_size_and_format(station: Desk, layout: str, dpi: str) -> None:
    for target, more in (("l.pdf", ()), ("l.zpl", ()), ("pictures", ("--format", "png"))):
        ran = station.run("label", "day.sealed.parquet", "-o", target, "--layout", layout, "--dpi", dpi, *more)
        assert ran.code == 0, ran.err
    assert len(list(Path("pictures").iterdir())) == len(ROWS)
    assert Path("l.zpl").read_text("utf-8").count("^XA") == len(ROWS)
    picture = np.where(np.asarray(PIL.Image.open("pictures/label-000001.png")), 255, 0).astype(np.uint8)
    assert {code.kind for code in codes.read(picture)} == {"Code128", "QRCode", "DataMatrix"}


def test_one_picture_of_one_waybill(station: Desk) -> None:
    number = ROWS[1][0]
    assert station.run("label", "day.sealed.parquet", "-o", "one.png", "--waybill", number).code == 0
    picture = np.where(np.asarray(PIL.Image.open("one.png")), 255, 0).astype(np.uint8)
    assert {code.text for code in codes.read(picture) if code.kind == "Code128"} == {number}
    station.run("label", "day.sealed.parquet", "-o", "more.png").refused(2, "one .png holds one label")
    assert not Path("more.png").exists()


def test_to_standard_output_and_from_standard_input(station: Desk) -> None:
    sealed = Path("day.sealed.parquet").read_bytes()
    ran = station.run("label", "-", "-o", "-", "--format", "zpl", stdin=sealed)
    assert ran.code == 0, ran.err
    assert ran.text.count("^XA") == len(ROWS)
    ran = station.run("label", "-", "-o", "-", stdin=sealed)
    assert ran.out.startswith(b"%PDF-1.4") and len(pypdfium2.PdfDocument(ran.out)) == len(ROWS)


def test_json(station: Desk) -> None:
    ran = station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--json", "--station", "P2")
    facts = json.loads(ran.out)
    assert facts["labels"] == len(ROWS) and facts["station"] == "P2" and facts["refused"] == {}


def test_the_clear_file_proves_that_nothing_is_shown(station: Desk) -> None:
    assert station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--clear", "orders.csv").code == 0
    clear = clear_batch([{"product": "OUYANG NANA", "to_name": "Ouyang Nana"}])
    write(sealed_batch(clear), "odd.sealed.parquet")
    pq.write_table(pa.Table.from_batches([clear]), "odd.parquet")
    station.run("label", "odd.sealed.parquet", "-o", "odd.pdf", "--clear", "odd.parquet").refused(
        3, "would show a clear value (name)"
    )
    assert not Path("odd.pdf").exists()


# -- bad input: one clear line, nothing half-written ------------------------------------------------------------------


@pytest.mark.parametrize(
    "batch,words",
    [
        (bad({}, sort_code="310-A12 003 05 310-A12 003 05"), "the sort code of YT0000000002 is too long"),
        (bad({}, to_name_mask="卜若兰"), "YT0000000002 gets no label: to_name_mask shows more"),
        (bad({}, label_token=None), "YT0000000002 gets no label: it has no token"),
        (bad({"to_name": "김철수"}), "needs U+AE40, which no typeface here has"),
        (bad({}, waybill_no="13800000000"), "row 2 gets no label"),
        (bad({"waybill_no": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}), "wider than its place"),
    ],
)
def test_a_waybill_that_can_have_no_label_ends_the_run(desk: Desk, batch: pa.RecordBatch, words: str) -> None:
    write(batch, "day.sealed.parquet")
    desk.run("label", "day.sealed.parquet", "-o", "l.pdf").refused(3, words)
    desk.run("label", "day.sealed.parquet", "-o", "pictures", "--format", "png").refused(3, words)
    desk.run("label", "day.sealed.parquet", "-o", "l.zpl").refused(3, words)
    assert desk.names() == {"day.sealed.parquet"}


def test_or_it_is_listed_and_the_others_are_printed(desk: Desk) -> None:
    write(bad({}, sort_code="3" * 30), "day.sealed.parquet")
    ran = desk.run("label", "day.sealed.parquet", "-o", "l.pdf", "--skip")
    assert ran.code == 9, ran.err
    assert len(shown("l.pdf")) == 1
    assert "1 waybill gets no label (sort_code.long 1): l.pdf.rejects.csv" in ran.err
    listed = Path("l.pdf.rejects.csv").read_text("utf-8")
    assert '2,"YT0000000002","sort_code","sort_code.long"' in listed and "3" * 30 not in listed


def test_when_all_are_refused_they_are_listed_and_there_is_no_file(desk: Desk) -> None:
    write(bad({}, label_token=None).slice(1), "day.sealed.parquet")
    for target, more in (("l.pdf", ()), ("pics/", ("--format", "png")), ("l.zpl", ("--json",))):
        ran = desk.run("label", "day.sealed.parquet", "-o", target, "--skip", *more)
        assert ran.code == 9, ran.err
        listed = target.rstrip("/") + ".rejects.csv"
        assert '"YT0000000002","label_token","token.missing"' in Path(listed).read_text("utf-8")
        if more == ("--json",):
            facts = json.loads(ran.out)
            assert (facts["labels"], facts["output"], facts["refused"]) == (0, None, {"token.missing": 1})
        else:
            assert ran.err.splitlines() == [
                "no label was printed of day.sealed.parquet",
                f"  1 waybill gets no label (token.missing 1): {listed}",
            ]
    assert desk.names() == {"day.sealed.parquet", "l.pdf.rejects.csv", "pics.rejects.csv", "l.zpl.rejects.csv"}


def test_a_number_that_stands_there_twice(desk: Desk) -> None:
    rows = [{"waybill_no": number} for number in ("YT0000000001", "YT0000000002", "YT0000000001")]
    write(sealed_batch(clear_batch(rows)), "day.sealed.parquet")
    desk.run("label", "day.sealed.parquet", "-o", "l.pdf").refused(
        3, "YT0000000001 stands in this file more than once", "newest revision"
    )
    assert not Path("l.pdf").exists()
    assert desk.run("label", "day.sealed.parquet", "-o", "l.pdf", "--skip").code == 9
    assert ["YT0000000001" in text for text in shown("l.pdf")] == [True, False]
    assert '3,"YT0000000001","waybill_no","waybill_no.doubled"' in Path("l.pdf.rejects.csv").read_text("utf-8")


def test_waybills_that_are_not_in_the_file_are_told(station: Desk) -> None:
    words = ("label", "day.sealed.parquet", "-o", "l.pdf", "--force", "--waybill", ROWS[1][0], "--waybill", "TYPO9")
    ran = station.run(*words)
    assert ran.code == 9
    assert ran.err.startswith("printed 1 label (100x180, pdf)") and "  not in the file: TYPO9" in ran.err.splitlines()
    ran = station.run(*words, "--json")
    assert ran.code == 9 and json.loads(ran.out)["not_found"] == ["TYPO9"]
    assert len(shown("l.pdf")) == 1


def as_type(column: str, kind: pa.DataType, value: object) -> pa.Table:
    """A sealed file of two rows with a column of another type."""
    table = pa.Table.from_batches([bad({})])
    array = pa.array([None, value], kind)
    return table.set_column(table.schema.get_field_index(column), column, array)


@pytest.mark.parametrize(
    "column,kind,value",
    [
        ("pieces", pa.string(), "a few"),
        ("pieces", pa.int64(), 1 << 40),
        ("product", pa.list_(pa.string()), ["standard"]),
        ("product", pa.struct([("a", pa.string())]), {"a": "b"}),
        ("weight_g", pa.uint64(), 1 << 63),
        ("waybill_no", pa.binary(), b"\xff\xfe\xff"),
        ("to_name_mask", pa.binary(), b"\xd5\xc5**"),
    ],
)
def test_columns_of_other_types(desk: Desk, column: str, kind: pa.DataType, value: object) -> None:
    pq.write_table(as_type(column, kind, value), "odd.parquet")
    told = f"odd.parquet: column {column} is not what sealing writes"
    desk.run("label", "odd.parquet", "-o", "l.pdf").refused(3, told)
    desk.run("label", "odd.parquet", "-o", "l.pdf", "--skip").refused(3, told)
    assert desk.names() == {"odd.parquet"}


def test_clear_files_that_prove_nothing(station: Desk) -> None:
    def refused(clear: str, *words: str) -> None:
        station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--clear", clear).refused(3, *words)

    refused("day.sealed.parquet", "is sealed already", "--clear takes the clear file")
    Path("bare.csv").write_text("运单号,重量\nYT1,2\n", "utf-8")
    refused("bare.csv", "bare.csv has no column of names, phones or addresses")
    table = pq.read_table("day.sealed.parquet")
    pq.write_table(table.slice(1, 1), "one.sealed.parquet")
    Path("part.csv").write_text(csv_text(ROWS[1:2]) + ",无号,13600000000,北京市朝阳区建国路1号,,,2026-05-03\n", "utf-8")
    words = ("label", "one.sealed.parquet", "-o", "l.pdf", "--clear", "part.csv", "--force")
    ran = station.run(*words)
    assert ran.code == 0, ran.err
    assert "  rows of the clear file that could not be read and compared: 1" in ran.err.splitlines()
    assert json.loads(station.run(*words, "--json").out)["clear_not_compared"] == 1
    station.run("label", "-", "-o", "l.pdf", "--clear", "-", stdin=b"").refused(
        2, "cannot both come from standard input"
    )


def test_the_clear_file_of_other_waybills(station: Desk) -> None:
    Path("part.csv").write_text(csv_text(ROWS[:2]), "utf-8")
    station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--clear", "part.csv").refused(
        3, f"the clear file has no waybill {ROWS[2][0]}", "that this sealed file was made from"
    )
    assert not Path("l.pdf").exists()


def test_the_help_shows_how(desk: Desk) -> None:
    told = " ".join(desk.run("label", "--help").text.split())
    assert "Example: parcelveil label orders.sealed.parquet -o labels.pdf" in told
    assert "No key is needed" in told and "read back" in told and "nothing written, unless --skip" in told


def test_names_cannot_steer_the_terminal(station: Desk) -> None:
    Path("day.sealed.parquet").rename("d\x1b[31may.sealed.parquet")
    ran = station.run("label", "d\x1b[31may.sealed.parquet")
    assert ran.code == 0 and "\x1b" not in ran.err and "into d [31may.labels.pdf" in ran.err
    text = (FOLDER / "100x150.toml").read_text("utf-8")
    Path("ours.toml").write_text(re.sub('(?m)^name = ".*"', r'name = "\\u001b[31mred"', text), "utf-8")
    ran = station.run("label", "d\x1b[31may.sealed.parquet", "-o", "l.pdf", "--layout", "ours.toml")
    assert "\x1b" not in ran.err  # whether such a name is refused or shown


def test_files_that_no_label_comes_from(station: Desk) -> None:
    station.run("label", "orders.csv", "-o", "l.pdf").refused(3, "is not sealed", "parcelveil seal orders.csv")
    table = pq.read_table("day.sealed.parquet")
    pq.write_table(table.drop_columns(["to_name_mask"]), "unmasked.parquet")
    station.run("label", "unmasked.parquet", "-o", "l.pdf").refused(
        3, "has no to_name_mask: labels are printed from masks"
    )
    pq.write_table(table.drop_columns(["label_token"]), "old.parquet")
    station.run("label", "old.parquet", "-o", "l.pdf").refused(3, "has no tokens for labels", "rewrap")
    Path("cut.parquet").write_bytes(Path("day.sealed.parquet").read_bytes()[:-100])
    station.run("label", "cut.parquet", "-o", "l.pdf").refused(3)
    station.run("label", "none.parquet", "-o", "l.pdf").refused(3)
    station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--waybill", "YT404").refused(
        3, "there is no label to print"
    )
    assert not Path("l.pdf").exists() and not left_over()


def test_words_that_do_not_fit(station: Desk) -> None:
    station.run("label", "day.sealed.parquet", "--layout", "100x999").refused(2, "no layout 100x999", "76x130")
    station.run("label", "day.sealed.parquet", "--layout", "none.toml").refused(3, "none.toml cannot be read")
    station.run("label", "day.sealed.parquet", "--dpi", "600").refused(2, "203 or 300 dpi")
    station.run("label", "day.sealed.parquet", "-o", "l.docx").refused(2, "pdf, png or zpl, not as l.docx")
    station.run("label", "day.sealed.parquet", "--station", "打印机").refused(2, "no name for a print station")
    station.run("label", "day.sealed.parquet", "--font", "none.ttf").refused(3, "none.ttf cannot be read")
    Path("bad.ttf").write_bytes(b"no font at all")
    station.run("label", "day.sealed.parquet", "--font", "bad.ttf").refused(3, "bad.ttf is no font")
    station.run("label", "-", stdin=b"x").refused(2, "where shall the labels go?")
    assert sorted(Path().glob("*.pdf")) == []


def test_targets_that_cannot_be_written(station: Desk) -> None:
    Path("l.pdf").write_text("ours")
    station.run("label", "day.sealed.parquet", "-o", "l.pdf").refused(6, "l.pdf exists already", "--force")
    assert Path("l.pdf").read_text() == "ours"
    assert station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--force").code == 0
    assert len(shown("l.pdf")) == len(ROWS)
    station.run("label", "day.sealed.parquet", "-o", "nowhere/l.pdf").refused(6, "does not exist")
    Path("full").mkdir()
    Path("full/x").touch()
    station.run("label", "day.sealed.parquet", "-o", "full", "--format", "png").refused(
        6, "full exists already", "empty this one"
    )
    station.run("label", "day.sealed.parquet", "-o", "nowhere/l", "--format", "png").refused(6, "does not exist")
    station.run("label", "day.sealed.parquet", "-o", "/dev/full", "--format", "pdf").refused(6, "disk is full")
    Path("empty").mkdir()
    assert station.run("label", "day.sealed.parquet", "-o", "empty", "--format", "png").code == 0
    assert not left_over()


def test_a_layout_of_ones_own_with_a_logo(station: Desk) -> None:
    text = (FOLDER / "100x150.toml").read_text("utf-8")
    text = text.replace('languages = ["zh"]', 'languages = ["en", "zh"]\nlogo = "logo.svg"')
    cells = '{ show = "logo", width_mm = 30 }, { lines = ["{product}"] },'
    text, count = re.subn(r'\{ lines = \["\{carrier\} \{product\}".*', cells, text)
    assert count == 1
    Path("ours.toml").write_text(text, "utf-8")
    station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--layout", "ours.toml").refused(
        3, "the logo logo.svg cannot be read"
    )
    Path("logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="9"><rect width="30" height="9"/></svg>', "utf-8"
    )
    assert station.run("label", "day.sealed.parquet", "-o", "l.pdf", "--layout", "ours.toml").code == 0
    picture = pypdfium2.PdfDocument("l.pdf")[0].render(scale=203.2 / 72).to_numpy()
    assert picture[8 * 5, 8 * 15].max() < 30, "the logo's black"
    assert "FROM 寄" in " ".join(shown("l.pdf")[0].split())
    Path("logo.svg").write_text("no picture", "utf-8")
    station.run("label", "day.sealed.parquet", "-o", "m.pdf", "--layout", "ours.toml").refused(3, "logo.svg is broken")
    stream = io.BytesIO()
    PIL.Image.new("1", (30, 9)).save(stream, "PNG")
    Path("logo.png").write_bytes(stream.getvalue())
    Path("ours.toml").write_text(text.replace("logo.svg", "logo.png"), "utf-8")
    assert station.run("label", "day.sealed.parquet", "-o", "m.pdf", "--layout", "ours.toml").code == 0


# -- T5: the print station -------------------------------------------------------------------------------------------

#: Prints labels, watching what is opened, then looks at all of its own memory.
SPY = """
import json, re, sys
needles = [bytes.fromhex(word) for word in json.loads(sys.argv[1])]
opened, talked = [], []
def watch(event, arguments):
    if event == "open": opened.append(str(arguments[0]))
    elif event.startswith("socket.") and event != "socket.__new__": talked.append(event)
sys.addaudithook(watch)
from parcelveil.cli import main
code = main(sys.argv[2:])
found = {word.hex(): 0 for word in needles}
spy = {id(word) for word in needles}
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if match and "[vvar" not in line:
            start, end = (int(part, 16) for part in match.groups())
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue
            for word in needles:
                found[word.hex()] += data.count(bytes(255 - byte for byte in word).translate(bytes(range(255, -1, -1))))
print(json.dumps({"code": code, "opened": opened, "talked": talked, "found": found}))
"""


def test_t5_the_print_station_has_no_key_and_no_clear_value(station: Desk, tmp_path: Path) -> None:
    """Its process opens no key, talks to nobody, and its memory and output hold no clear value, only masks.

    The sealed file is all that it gets: no workspace, no passphrase. The memory is searched for every clear value;
    that the search finds what is there is shown by masks and waybill numbers.
    """
    place = tmp_path / "station"
    place.mkdir()
    shutil.move("day.sealed.parquet", place / "day.sealed.parquet")
    shutil.rmtree("acme")
    Path("orders.csv").unlink()
    clear = [
        value
        for row in ROWS
        for value in row[1:]
        if (len(value) >= 2 and not value.replace(".", "").isdigit()) or len(value) >= 11
    ]
    clear = [value for value in clear if value.isascii() is False or len(value) >= 11]
    words = {value: value.encode().hex() for value in [*clear, ROWS[0][0]]}
    # The needles reach the process as hexadecimal digits, and as bytes in a list: one place each, which is taken off.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARCELVEIL")}
    command = [
        sys.executable,
        "-c",
        SPY,
        json.dumps(list(words.values())),
        "label",
        "day.sealed.parquet",
        "-o",
        "l.pdf",
        "--station",
        "P2",
    ]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == 0, done.stderr
    assert told["found"][words[ROWS[0][0]]] > 4, "a waybill number is in memory many times, and the search sees it"
    # Once as needle; the interpreter may have copied that once more while taking it apart.
    assert {
        value: told["found"][word] for value, word in words.items() if value in clear and told["found"][word] > 2
    } == {}
    assert told["talked"] == []
    for path in told["opened"]:
        assert not any(name in path for name in ("kek.key", "state.db", "parcelveil.toml", "orders")), path
    pdf = (place / "l.pdf").read_bytes()
    assert not [value for value in clear if value.encode() in pdf]
    assert [path.name for path in place.iterdir()] in (["l.pdf", "day.sealed.parquet"], ["day.sealed.parquet", "l.pdf"])


def test_t3_t4_a_photograph_of_a_label_sells_nothing(station: Desk) -> None:
    """All that a picture of the labels gives, text and codes: no name, no phone, no door, and a token that is no use."""
    assert station.run("label", "day.sealed.parquet", "-o", "l.pdf").code == 0
    said = "\n".join(shown("l.pdf"))
    document = pypdfium2.PdfDocument("l.pdf")
    for place in range(len(document)):
        picture = document[place].render(scale=203.2 / 72, grayscale=True).to_numpy()
        said += "\n".join(code.text for code in codes.read(picture.reshape(picture.shape[:2])))
    for row in ROWS:
        for value in row[1:]:
            if len(value) >= 2 and (not value.isascii() or len(value) >= 7):
                assert value not in said, value
    for phone in PHONES:
        assert phone[-11:] not in said.replace(" ", "")


def test_a_killed_print_job_leaves_nothing(desk: Desk) -> None:
    """kill -9 and Ctrl-C in the middle of a long run: no file, and no part of one under its name."""
    write(sealed_batch(clear_batch([{"waybill_no": f"YT{n:010d}"} for n in range(3000)])), "day.sealed.parquet")
    for blow in (signal.SIGKILL, signal.SIGINT):
        command = [sys.executable, "-m", "parcelveil", "label", "day.sealed.parquet", "-o", "l.pdf"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        time.sleep(4)
        process.send_signal(blow)
        _, said = process.communicate(timeout=60)
        assert process.returncode != 0
        assert not Path("l.pdf").exists() and not left_over()
        if blow is signal.SIGINT:
            assert process.returncode == 130 and "interrupted: nothing was written" in said


@pytest.mark.parametrize(
    "module,package",
    [
        ("typst", "typst"),
        ("zxingcpp", "zxing-cpp"),
        ("pypdfium2", "pypdfium2"),
        ("PIL.Image", "pillow"),
        ("fontTools.ttLib", "fonttools"),
    ],
)
def test_without_the_extra_the_hint_names_it(
    station: Desk, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    from parcelveil.label.font import read_typeface

    read_typeface.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    station.run("label", "day.sealed.parquet", "-o", "p", "--format", "png").refused(
        8, f"labels need {package}", "parcelveil[label]"
    )
    assert not Path("p").exists() and not left_over()
    read_typeface.cache_clear()
