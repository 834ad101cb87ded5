"""Where labels go: names, formats, folders, pipes; and what is left when somebody ends the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.conftest import ROWS, Desk
from cli.label_files import bad, left_over, write
from label.made import clear_batch, sealed_batch
from parcelveil.cli.label_output import Ended, ending_orderly, place_of
from parcelveil.errors import UsageError
from parcelveil.label import printing


@pytest.mark.parametrize(
    "output,given,place",
    [
        (None, None, ("a/ok.labels.pdf", "pdf", False)),
        (None, "PDF", ("a/ok.labels.pdf", "pdf", False)),
        (None, "zpl", ("a/ok.labels.zpl", "zpl", False)),
        (None, "png", ("a/ok.labels", "png", True)),
        ("x.zpl", None, ("x.zpl", "zpl", False)),
        ("x.PNG", None, ("x.PNG", "png", False)),
        ("x.txt", "zpl", ("x.txt", "zpl", False)),
        ("printer", "zpl", ("printer", "zpl", False)),
        ("x.zpl", "ZPL", ("x.zpl", "zpl", False)),
        ("pics/", "png", ("pics", "png", True)),
        ("pics.png/", "png", ("pics.png", "png", True)),
        (".", "png", (".", "png", True)),
        ("-", None, ("-", "pdf", False)),
        ("-", "zpl", ("-", "zpl", False)),
    ],
)
def test_names_and_formats(output: str | None, given: str | None, place: tuple[str, str, bool]) -> None:
    assert place_of("a/ok.sealed.parquet", output, given) == place


@pytest.mark.parametrize(
    "output,given,words",
    [
        ("x.pdf", "zpl", "x.pdf and --format zpl contradict each other"),
        ("x.zpl", "png", "contradict"),
        ("x.png", "pdf", "contradict"),
        ("x.docx", None, "not as x.docx"),
        ("x.pdf", "docx", "not as docx"),
        ("pics/", None, "not as pics"),
        ("-", "png", "pictures do not go to standard output"),
    ],
)
def test_names_and_formats_that_do_not_fit(output: str, given: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        place_of("ok.sealed.parquet", output, given)


def test_words_that_do_not_fit(station: Desk) -> None:
    station.run("label", "day.sealed.parquet", "-o", "-", "--format", "png").refused(2, "pictures do not go")
    station.run("label", "day.sealed.parquet", "-o", "-", "--json").refused(2, "cannot both go to standard output")
    station.run("label", "day.sealed.parquet", "-o", "x.pdf", "--format", "zpl").refused(2, "contradict")
    station.run("label", ".").refused(3, ". is a folder")
    station.run("label", "acme", "-o", "x.pdf").refused(3, "acme is a folder")
    assert station.names() == {"orders.csv", "day.sealed.parquet"}


def test_the_name_beside_the_file_is_of_the_format(station: Desk) -> None:
    assert station.run("label", "day.sealed.parquet", "--format", "zpl").code == 0
    assert Path("day.labels.zpl").read_bytes().startswith(b"^XA")
    assert station.run("label", "day.sealed.parquet", "--format", "png").code == 0
    assert len(list(Path("day.labels").glob("*.png"))) == len(ROWS)


def test_folders_of_pictures(desk: Desk) -> None:
    write(bad({}, label_token=None), "day.sealed.parquet")
    Path("pics").mkdir()
    Path("link").symlink_to("pics")
    assert desk.run("label", "day.sealed.parquet", "-o", "link/", "--format", "png", "--skip").code == 9
    assert desk.names() == {"day.sealed.parquet", "pics/label-000001.png", "link.rejects.csv"}
    desk.run("label", "day.sealed.parquet", "-o", "pics/", "--format", "png", "--force").refused(
        6, "pics holds something already, and --force replaces no folder", "empty this one"
    )
    Path("file").touch()
    desk.run("label", "day.sealed.parquet", "-o", "file", "--format", "png").refused(6, "file exists already")
    Path("empty").mkdir()
    desk.monkeypatch.chdir("empty")
    desk.run("label", "../day.sealed.parquet", "-o", ".", "--format", "png").refused(
        6, ". is the folder that you are in"
    )
    assert not list(Path().iterdir()) and not list(Path("..").glob(".*.part"))


def test_pipes_get_no_label_before_all_have_passed(desk: Desk) -> None:
    """Twelve good labels in three runs of Typst, and a bad one in the end."""
    desk.monkeypatch.setattr(printing, "PAGES", 5)
    rows = [{"waybill_no": f"YT{number:010d}"} for number in range(12)]
    write(sealed_batch(clear_batch([*rows, {"waybill_no": "YT0000000099", "to_name": "김철수"}])), "day.sealed.parquet")
    for kind in ("pdf", "zpl"):
        ran = desk.run("label", "day.sealed.parquet", "-o", "-", "--format", kind)
        ran.refused(3, "the label of YT0000000099 needs")
        assert ran.out == b""
    os.mkfifo("printer")
    heard: list[bytes] = []
    for skip in ((), ("--skip",)):
        thread = threading.Thread(target=lambda: heard.append(Path("printer").read_bytes()))
        thread.start()
        ran = desk.run("label", "day.sealed.parquet", "-o", "printer", "--format", "zpl", *skip)
        assert ran.code == (9 if skip else 3), ran.err
        thread.join(10)
    assert heard[0] == b"" and heard[1].count(b"^XA") == 12
    assert "1 waybill gets no label (glyph.missing 1)\n" in ran.err, "there is no place beside a printer for a list"
    assert desk.names() == {"day.sealed.parquet"}


def test_a_terminal_gets_no_labels(station: Desk) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "parcelveil", "label", "day.sealed.parquet", "-o", "-"]
    done = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, text=True, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == 6
    assert "labels are not written to a terminal" in done.stderr and "-o - | lp" in done.stderr


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_leaves_no_pictures(desk: Desk, blow: signal.Signals) -> None:
    write(sealed_batch(clear_batch([{"waybill_no": f"YT{n:010d}"} for n in range(3000)])), "day.sealed.parquet")
    command = [sys.executable, "-m", "parcelveil", "label", "day.sealed.parquet", "-o", "pics", "--format", "png"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(Path().glob(".pics.*.part/*.png")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(blow)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + blow
    assert said == f"ended by {blow.name}: nothing was written\n"
    assert not left_over() and desk.names() == {"day.sealed.parquet"}


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGINT])
def test_a_printer_that_hangs_can_be_left_and_nobody_says_that_nothing_was_written(
    desk: Desk, blow: signal.Signals
) -> None:
    write(sealed_batch(clear_batch([{"waybill_no": f"YT{n:010d}"} for n in range(40)])), "day.sealed.parquet")
    os.mkfifo("printer")
    command = [sys.executable, "-m", "parcelveil", "label", "day.sealed.parquet", "-o", "printer", "--format", "zpl"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with Path("printer").open("rb", buffering=0) as printer:
        assert printer.read(3) == b"^XA"
        process.send_signal(blow)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + blow
    assert said == f"ended by {blow.name} while labels were written: look how far they came\n"


def test_signals_are_as_before_afterwards_and_ignored_ones_stay_so() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(Ended) as caught, ending_orderly():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.exit_code == 143
        assert signal.getsignal(signal.SIGTERM) == before[0] == signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before[1])
