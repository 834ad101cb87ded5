"""What goes wrong is said in one line with a hint and its exit code, and nothing is lost or half written."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.conftest import HEADER, ROWS, Desk, csv_text

SEALED = "orders.sealed.parquet"


def rejects(path: Path) -> list[tuple[str, str]]:
    """Row and code of every listed row."""
    return [(row["row"], row["code"]) for row in csv.DictReader(io.StringIO(path.read_text("utf-8")))]


# -- rows that are none, among rows that are ---------------------------------------------------------------------


def test_missing_and_doubled_numbers(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([*ROWS, ("", *ROWS[0][1:]), ("YT2", *ROWS[2][1:])]), "utf-8")
    ran = desk.sealed("orders.csv", code=9)
    assert "sealed 3 waybills" in ran.err
    assert "rejected 2 rows" in ran.err
    listed = desk.folder / f"{SEALED}.rejects.csv"
    assert sorted(rejects(listed)) == [("5", "waybill_no.missing"), ("6", "waybill_no.doubled")]
    assert listed.stat().st_mode & 0o077 == 0


def test_phones_that_a_spreadsheet_rounded(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([ROWS[0], ("YT9", "王五", "1.38E+10", *ROWS[1][3:])]), "utf-8")
    desk.sealed("orders.csv", code=9)
    assert rejects(desk.folder / f"{SEALED}.rejects.csv") == [("3", "phone.digits_lost")]


def test_phones_as_floats_in_parquet(desk: Desk) -> None:
    table = pa.table({"运单号": ["YT1", "YT2"], "收件人电话": pa.array([13812345678.0, 1.5])})
    pyarrow.parquet.write_table(table, desk.folder / "o.parquet")
    ran = desk.run("seal", "o.parquet")
    # A whole float has all its digits; a broken one never passes for a phone.
    assert ran.code in (0, 9), ran.err
    clear = desk.run("open", "o.sealed.parquet", "-o", "-").text
    assert "13812345678" in clear
    assert "E+" not in clear


def test_every_row_bad(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([("", *row[1:]) for row in ROWS]), "utf-8")
    ran = desk.sealed("orders.csv", code=9)
    assert "sealed 0 waybills" in ran.err
    assert len(rejects(desk.folder / f"{SEALED}.rejects.csv")) == 3


def test_a_csv_cut_in_a_row(desk: Desk, orders: Path) -> None:
    whole = orders.read_bytes()
    orders.write_bytes(whole[: whole.rindex(b"YT3") + 5])
    ran = desk.run("seal", "orders.csv")
    assert ran.code == 9, ran.err
    assert [row for row, _ in rejects(desk.folder / f"{SEALED}.rejects.csv")] == ["4"]
    assert pyarrow.parquet.read_table(desk.folder / SEALED)["waybill_no"].to_pylist() == ["YT1", "YT2"]


# -- inputs that cannot be used at all ---------------------------------------------------------------------------


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def parquet_bytes() -> bytes:
    table = pa.table({name: [row[at] for row in ROWS] for at, name in enumerate(HEADER)})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


BROKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("o.csv", bytes),
    "cut gzip": ("o.csv.gz", lambda: cut(gzip.compress(csv_text(ROWS * 50).encode()))),
    "cut parquet": ("o.parquet", lambda: cut(parquet_bytes())),
    "broken parquet": ("o.parquet", lambda: b"PAR1" + b"\x07" * 200 + b"PAR1"),
    "no parquet": ("o.parquet", lambda: b"just some text\n"),
    "cut workbook": ("o.xlsx", lambda: b"PK\x03\x04" + b"\0" * 40),
    "old workbook": ("o.xls", lambda: b"\xd0\xcf\x11\xe0" + b"\0" * 600),
    "web page": ("o.csv", lambda: b"<html><table><tr><td>1</td></tr></table></html>"),
    "no waybill column": ("o.csv", lambda: "姓名甲,电话乙\n李雷,138\n".encode()),
    "no header": ("o.csv", lambda: csv_text().encode().partition(b"\n")[2]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_inputs(desk: Desk, kind: str) -> None:
    name, make = BROKEN[kind]
    (desk.folder / name).write_bytes(make())
    desk.run("seal", name, "-o", "out.parquet").refused(3)
    assert desk.names() == {name}


def test_bytes_of_no_encoding(desk: Desk, orders: Path) -> None:
    text = csv_text(ROWS * 20).encode()
    orders.write_bytes(text.replace("李雷".encode(), b"\xff\xfe\xff\x80"))
    ran = desk.run("seal", "orders.csv")
    if ran.code == 9:  # rows that are no text were listed, the rest sealed
        assert rejects(desk.folder / f"{SEALED}.rejects.csv")
    else:
        ran.refused(3)
        assert desk.names() == {"orders.csv"}
    desk.run("seal", "orders.csv", "--encoding", "klingon", "--force").refused(ran_code(desk, "klingon"))


def ran_code(desk: Desk, encoding: str) -> int:
    """An unknown encoding is the person's word (2) or the input's fault (3); both are documented."""
    code = desk.run("seal", "orders.csv", "--encoding", encoding, "--force").code
    assert code in (2, 3)
    return code


def test_no_rows(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([]), "utf-8")
    ran = desk.run("seal", "orders.csv")
    assert ran.code == 0, ran.err
    assert pyarrow.parquet.read_table(desk.folder / SEALED).num_rows == 0


def test_no_such_input(desk: Desk) -> None:
    desk.run("seal", "nothing.csv").refused(3, "nothing.csv")
    desk.run("seal", "no*.csv").refused(3, "no*.csv")
    desk.run("seal").refused(2, "nothing to seal")
    desk.run("open", "nothing.parquet", "-o", "c.csv").refused(3, "nothing.parquet")
    desk.run("seal", "home").refused(3, "holds no file")


def test_sealed_and_clear_are_told_apart(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    before = desk.names()
    desk.run("seal", SEALED).refused(3, "sealed already")
    desk.run("inspect", SEALED).refused(3, "sealed already")
    desk.run("open", "orders.csv", "-o", "c.csv").refused(3, "is not sealed")
    desk.run("rewrap", "orders.csv", "-o", "c.parquet").refused(3, "is not sealed")
    assert desk.names() == before


def test_a_tampered_value_is_not_released(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    table = pyarrow.parquet.read_table(desk.folder / SEALED)
    values = table["to_name"].to_pylist()
    values[0] = values[0][:-1] + bytes([values[0][-1] ^ 1])
    at = table.column_names.index("to_name")
    table = table.set_column(at, table.schema.field("to_name"), pa.array(values, pa.binary()))
    pyarrow.parquet.write_table(table, desk.folder / "forged.parquet")
    ran = desk.run("open", "forged.parquet", "-o", "c.csv")
    assert ran.code == 9
    assert rejects(desk.folder / "c.csv.rejects.csv") == [("1", "row.tampered")]
    assert "欧阳娜娜" not in (desk.folder / "c.csv").read_text("utf-8")


# -- keys and workspaces -----------------------------------------------------------------------------------------


def test_wrong_and_missing_passphrases(desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.sealed("orders.csv")
    before = desk.names()
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", "wrong")
    for words in (("seal", "orders.csv", "--force"), ("open", SEALED, "-o", "c.csv"), ("keys", "rotate")):
        desk.run(*words).refused(4, "passphrase does not open kek.key")
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    desk.run("open", SEALED, "-o", "c.csv", stdin=b"").refused(4, "no passphrase", "PARCELVEIL_PASSPHRASE")
    desk.run("keys", "list", "--passphrase-file", "nowhere").refused(4, "nowhere")
    (desk.folder / "acme" / "secret").write_text("", "utf-8")
    desk.run("keys", "list", "--passphrase-file", "acme/secret").refused(4, "is empty")
    assert desk.names() == before


def test_another_tenants_file(desk: Desk, orders: Path) -> None:
    assert desk.run("init", "home/rival", "--tenant", "rival").code == 0
    desk.sealed("orders.csv")
    desk.run("open", SEALED, "-o", "c.csv", "-w", "home/rival").refused(3, "acme", "rival")
    desk.run("rewrap", SEALED, "-o", "c.parquet", "-w", "home/rival").refused(3, "acme", "rival")
    assert desk.names() == {"orders.csv", SEALED}


def test_no_workspace(desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("seal", "orders.csv", "-w", "nowhere").refused(5, "nowhere is not a workspace")
    monkeypatch.delenv("PARCELVEIL_WORKSPACE")
    desk.run("seal", "orders.csv").refused(5, "no workspace here or above")
    (desk.folder / "acme" / "kek.key").rename(desk.folder / "home" / "kek.key")
    desk.run("seal", "orders.csv", "-w", "acme").refused(5, "has no keys")


def test_newer_versions_are_refused(desk: Desk, orders: Path) -> None:
    settings = desk.folder / "acme" / "parcelveil.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace("format = 1", "format = 2"), "utf-8")
    desk.run("seal", "orders.csv").refused(5, "newer parcelveil", "update")
    settings.write_text(text, "utf-8")
    db = sqlite3.connect(desk.folder / "acme" / "state.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    desk.run("seal", "orders.csv").refused(5, "newer parcelveil", "update")
    assert desk.names() == {"orders.csv"}


def test_damaged_workspaces(desk: Desk, orders: Path) -> None:
    settings, state, kek = (desk.folder / "acme" / name for name in ("parcelveil.toml", "state.db", "kek.key"))
    for path, code in ((settings, 5), (state, 5), (kek, 4)):
        whole = path.read_bytes()
        path.write_bytes(b"not what it was " * 100)
        desk.run("seal", "orders.csv").refused(code, path.name)
        path.write_bytes(whole)
    desk.sealed("orders.csv")


# -- outputs -----------------------------------------------------------------------------------------------------


def test_existing_outputs_stay(desk: Desk, orders: Path) -> None:
    (desk.folder / SEALED).write_text("mine", "utf-8")
    desk.run("seal", "orders.csv").refused(6, "exists already", "--force")
    assert (desk.folder / SEALED).read_text("utf-8") == "mine"
    assert desk.names() == {"orders.csv", SEALED}


def test_outputs_that_cannot_be(desk: Desk, orders: Path) -> None:
    (desk.folder / "file").write_text("", "utf-8")
    desk.run("seal", "orders.csv", "-o", "file/out.parquet").refused(6, "does not exist")
    desk.run("seal", "orders.csv", "-o", "nowhere/out.parquet").refused(6, "does not exist")
    desk.run("seal", "orders.csv", "-o", "out.docx").refused(2, "out.docx")
    desk.run("init", "file").refused(6, "no workspace can be made in file")
    assert desk.names() == {"orders.csv", "file"}


def test_rejects_that_cannot_be_written(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([*ROWS, ("", *ROWS[0][1:])]), "utf-8")
    desk.run("seal", "orders.csv", "--rejects", "nowhere/r.csv").refused(6, "nowhere/r.csv")
    assert desk.names() == {"orders.csv"}


def test_a_full_device(desk: Desk, orders: Path) -> None:
    desk.run("seal", "orders.csv", "-o", "/dev/full", "--to", "csv").refused(6, "disk is full")


COMMAND = [sys.executable, "-m", "parcelveil"]


def test_a_full_disk(desk: Desk, environment: dict[str, str]) -> None:
    limit = 200_000  # room for the state, not for the output
    assert desk.run("simulate", "parcels", "--count", "1500", "-o", "day.parquet").code == 0
    ended = subprocess.run(
        [*COMMAND, "seal", "day.parquet"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ended.returncode == 6, ended.stderr
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["error", "hint"]
    assert desk.names() == {"day.parquet"}
    desk.sealed("day.parquet")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_end_in_the_middle(desk: Desk, environment: dict[str, str], sent: signal.Signals, code: int) -> None:
    # The input never ends, so the run is surely in its middle once it has its output open.
    run = subprocess.Popen(
        [*COMMAND, "seal", "-", "--format", "csv", "-o", "out.parquet"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdin is not None
    feeder = threading.Thread(target=_feed, args=(run.stdin,))
    feeder.start()
    try:
        fds, deadline = Path(f"/proc/{run.pid}/fd"), time.monotonic() + 60
        while not any(str(desk.folder) + "/#" in _link(fd) or ".part" in _link(fd) for fd in fds.iterdir()):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.send_signal(sent)
        assert run.wait(30) == code
        said = run.stderr.read().decode() if run.stderr else ""
    finally:
        run.kill()
        run.wait()
        feeder.join()
        for pipe in (run.stdout, run.stderr):
            if pipe:
                pipe.close()
    assert "Traceback" not in said
    assert ("interrupted" in said) == (sent == signal.SIGINT)
    assert desk.names() == set()
    assert not list((desk.folder / "tmp").iterdir())
    (desk.folder / "o.csv").write_text(csv_text(), "utf-8")
    desk.sealed("o.csv")


def _feed(pipe: IO[bytes]) -> None:
    """Orders without end, until nobody reads them any more."""
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(csv_text([]).encode())
        for number in itertools.count():
            pipe.write(f"YT{number},{','.join(ROWS[0][1:])}\n".encode())


def _link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("seal", "orders.csv", "--no-such-option"), ("nonsense",), ("seal", "--revision", "x"), ("inspect",)]
)
def test_unknown_words(desk: Desk, words: tuple[str, ...]) -> None:
    ran = desk.run(*words)
    assert ran.code == 2
    assert ran.err
    assert "Traceback" not in ran.err
    assert desk.names() == set()


def test_an_unforeseen_error_shows_no_text(desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("欧阳娜娜 13812345678")

    monkeypatch.setattr("parcelveil.cli.streams.seal_source", fails)
    ran = desk.run("seal", "orders.csv")
    assert ran.code == 1
    assert "internal error (RuntimeError)" in ran.err
    assert "娜娜" not in ran.err
    assert desk.names() == {"orders.csv"}


def test_ctrl_c_between_steps(desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("parcelveil.cli.streams.seal_source", interrupted)
    assert desk.run("seal", "orders.csv").code == 130
    assert desk.names() == {"orders.csv"}
