"""The commands as people use them, and the mistakes people make."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.cli import main
from parcelveil.waybill import SEALED, WAYBILL, personal_fields

PASSPHRASE = "correct horse battery"
NAME, PHONE, ADDRESS = "诸葛孔明", "14200001234", "上海市青浦区徐泾镇徐民路308号3幢2单元501室"
CSV = (
    "物流单号,收件人姓名,收件人电话,收件人地址,备注\n"
    f"YT0001,{NAME},{PHONE},{ADDRESS},轻放\n"
    "YT0002,李雷雷,142-0000-5678,北京市北京市朝阳区建国路9号,\n"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from parcelveil.workspace import Settings, Workspace

    folder = tmp_path_factory.mktemp("template") / "acme"
    Workspace.init(folder, Settings(tenant="acme"), PASSPHRASE)
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, tmp_path / "acme")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARCELVEIL_WORKSPACE", str(tmp_path / "acme"))
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    return tmp_path


def failed(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run a command that must fail: one line, a hint perhaps, the exit code, no traceback. Returns the line."""
    assert main(list(arguments)) == code
    err = capsys.readouterr().err.strip()
    assert "Traceback" not in err
    assert NAME not in err
    assert PHONE not in err
    lines = err.splitlines()
    assert lines[-1].startswith(("error: ", "hint: ")), err
    return err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_seal_and_open_an_export(here: Path, encoding: str) -> None:
    (here / "orders.csv").write_text(CSV, encoding)
    assert main(["seal", "orders.csv"]) == 0
    sealed = pq.read_table("orders.sealed.parquet")
    assert sealed["to_name_mask"].to_pylist() == ["诸葛**", "李**"]
    assert sealed["to_phone_mask"].to_pylist() == ["142******34", "142******78"]
    assert sealed["to_address_mask"].to_pylist() == ["徐民路308号**", "建国路9号**"]
    assert sealed["to_town"].to_pylist() == ["徐泾镇", None]
    assert main(["open", "orders.sealed.parquet", "-o", "clear.csv"]) == 0
    clear = (here / "clear.csv").read_text()
    assert NAME in clear
    assert "3幢2单元501室" in clear
    assert (here / "clear.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow", "csv.gz", "xlsx"])
def test_every_format_comes_back(here: Path, ending: str) -> None:
    (here / "orders.csv").write_text(CSV)
    assert main(["seal", "orders.csv", "-o", f"sealed.{ending}"]) == 0
    assert main(["open", f"sealed.{ending}", "-o", f"clear.{ending}"]) == 0
    assert main(["seal", f"clear.{ending}", "-o", "again.parquet"]) == 0
    assert main(["seal", "orders.csv", "-o", "first.parquet"]) == 0
    assert pq.read_table("again.parquet")["to_name"].equals(pq.read_table("first.parquet")["to_name"])


def test_pipes_folders_and_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "parcelveil", "seal", "-", "--to", "jsonl", "-o", "-"],
        input=CSV.encode(),
        capture_output=True,
        check=True,
    )
    assert [json.loads(line)["waybill_no"] for line in done.stdout.splitlines()] == ["YT0001", "YT0002"]
    (here / "in").mkdir()
    (here / "out").mkdir()
    for name in ("a.csv", "b.csv"):
        (here / "in" / name).write_text(CSV)
    assert main(["seal", "in", "-o", "out", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["files"]
    assert [fact["rows"] for fact in facts] == [2, 2]
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a.sealed.parquet", "b.sealed.parquet"]


def test_t05_inspect_shows_masks_only_and_needs_no_key(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    (here / "orders.csv").write_text(CSV)
    assert main(["inspect", "orders.csv"]) == 0
    out = capsys.readouterr().out
    assert "诸葛**" in out
    assert "收件人电话" in out
    assert NAME not in out
    assert "501" not in out
    assert PHONE not in out


def test_erase_rotate_rewrap(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "orders.csv").write_text(CSV)
    assert main(["seal", "orders.csv", "-o", "s.parquet"]) == 0
    day = json.loads(_out(capsys, "keys", "list", "--json"))["epochs"][0]["day"]
    assert main(["keys", "rotate", "--day", day]) == 0
    assert main(["rewrap", "s.parquet", "-o", "s2.parquet", "--day", day]) == 0
    assert main(["rewrap"]) == 0
    assert not pq.read_table("s.parquet")["to_name"].equals(pq.read_table("s2.parquet")["to_name"])
    assert "error: erasing cannot be undone" in failed(capsys, 2, "erase", "waybill", "YT0001")
    assert main(["erase", "waybill", "YT0001", "--yes"]) == 0
    for name in ("s.parquet", "s2.parquet"):
        assert main(["open", name, "-o", "c.csv", "--force"]) == 9
        assert NAME not in (here / "c.csv").read_text()
        assert "李雷雷" in (here / "c.csv").read_text()
        assert "row.erased" in (here / "c.csv.rejects.csv").read_text()
    assert main(["open", "s.parquet", "-o", "strict.csv", "--strict"]) == 7
    assert not (here / "strict.csv").exists()
    assert main(["erase", "before", "2999-01-01", "--yes"]) == 0
    assert main(["open", "s.parquet", "-o", "c.csv", "--force"]) == 9
    assert "李雷雷" not in (here / "c.csv").read_text()
    public = _out(capsys, "keys", "export-public")
    assert {"tenant", "epochs"} == set(json.loads(public))


def _out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_open_one_waybill_on_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "orders.csv").write_text(CSV)
    assert main(["seal", "orders.csv", "-o", "s.parquet"]) == 0
    out = _out(capsys, "open", "s.parquet", "--waybill", "YT0001", "--fields", "to_phone")
    assert "+8614200001234" in out
    assert NAME not in out
    assert "YT0002" not in out


def test_lines_of_one_order_are_joined(here: Path) -> None:
    (here / "shop.csv").write_text(
        "Name,Email,Financial Status,Lineitem quantity,Lineitem name,Shipping Name,Shipping Street,Shipping City,Shipping Zip,Shipping Country,Shipping Phone\n"
        "#1001,ann@example.com,paid,1,Mug,Ann Example,1 Main St,Springfield,12345,US,202-555-0123\n"
        "#1001,ann@example.com,,2,Plate,,,,,,\n"
        "#1002,bob@example.com,paid,1,Mug,Bob Example,2 Main St,Springfield,12345,US,202-555-0124\n"
    )
    assert main(["seal", "shop.csv", "-o", "s.parquet"]) == 0
    assert main(["open", "s.parquet", "-o", "c.jsonl"]) == 0
    rows = [json.loads(line) for line in (here / "c.jsonl").read_text().splitlines()]
    assert [(row["waybill_no"], row["goods_name"]) for row in rows] == [("#1001", "Mug; Plate"), ("#1002", "Mug")]


def test_a_mapping_file(here: Path) -> None:
    (here / "odd.csv").write_text(f"Sendung;Kunde\nA1;{NAME}\n")
    (here / "map.toml").write_text('[columns]\nwaybill_no = "Sendung"\nto_name = "Kunde"\n')
    assert main(["seal", "odd.csv", "--map", "map.toml", "-o", "s.parquet"]) == 0
    assert pq.read_table("s.parquet")["to_name_mask"].to_pylist() == ["诸葛**"]


def test_bad_rows_are_listed_and_nothing_is_lost(here: Path) -> None:
    rows = [f"YT1,{NAME},{PHONE},{ADDRESS},", f",{NAME},{PHONE},{ADDRESS},", f"YT1,{NAME}x,{PHONE},{ADDRESS},",
            f"YT2,{NAME},1.42E+10,{ADDRESS},", f"YT3,{NAME}", f"YT4,{NAME},{PHONE},{ADDRESS},ok"]  # fmt: skip
    (here / "o.csv").write_text(CSV.splitlines()[0] + "\n" + "\n".join(rows) + "\n")
    assert main(["seal", "o.csv", "-o", "s.parquet"]) == 9
    assert pq.read_table("s.parquet")["waybill_no"].to_pylist() == ["YT1", "YT4"]
    listed = (here / "s.parquet.rejects.csv").read_text()
    for code, row in (("waybill_no.missing", 3), ("waybill_no.doubled", 4), ("phone.digits_lost", 5), ("row.cells", 6)):
        assert any(f'"{code}"' in line and f",{row}," in line for line in listed.splitlines()), (code, listed)
    assert NAME not in listed


def test_a_phone_column_of_floats(here: Path) -> None:
    table = pa.table({"运单号": ["A", "B", "C"], "收件人电话": [14200001234.0, 1.42e30, 1.38e10], "收件人": [NAME] * 3})
    pq.write_table(table, "f.parquet")
    assert main(["seal", "f.parquet", "-o", "s.parquet"]) == 9
    assert pq.read_table("s.parquet")["to_phone_mask"].to_pylist() == ["142******34"]


def test_inputs_that_cannot_be_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "o.csv").write_text(CSV)
    assert main(["seal", "o.csv", "-o", "s.parquet"]) == 0
    capsys.readouterr()
    assert "sealed already" in failed(capsys, 3, "seal", "s.parquet")
    assert "not sealed" in failed(capsys, 3, "open", "o.csv", "-o", "x.csv")
    whole = (here / "s.parquet").read_bytes()
    (here / "half.parquet").write_bytes(whole[: len(whole) // 2])
    failed(capsys, 3, "open", "half.parquet", "-o", "x.csv")
    (here / "half.csv.gz").write_bytes(gzip.compress(CSV.encode() * 1)[:-20])
    failed(capsys, 3, "seal", "half.csv.gz")
    (here / "junk.csv").write_bytes(b"\xff\xfe\x00\xd8" + bytes(range(256)) * 4)
    failed(capsys, 3, "seal", "junk.csv")
    failed(capsys, 3, "seal", "o.csv", "--encoding", "utf-16", "-o", "y.parquet")
    (here / "empty.csv").write_bytes(b"")
    failed(capsys, 3, "seal", "empty.csv")
    (here / "no.csv").write_text("colour,size\nred,3\n")
    assert "--map" in failed(capsys, 3, "seal", "no.csv")
    failed(capsys, 3, "seal", "absent.csv")
    failed(capsys, 2, "seal")
    failed(capsys, 2, "seal", "o.csv", "--day", "tomorrow")
    failed(capsys, 6, "seal", "o.csv", "-o", "s.parquet")
    failed(capsys, 6, "seal", "o.csv", "-o", "o.csv/x.parquet")
    failed(capsys, 6, "seal", "o.csv", "-o", "/dev/full", "--to", "arrow")
    assert main(["seal", "o.csv", "--no-such-option"]) == 2
    left = sorted(path.name for path in here.iterdir())
    assert left == sorted(
        ["acme", "o.csv", "s.parquet", "half.parquet", "half.csv.gz", "junk.csv", "empty.csv", "no.csv"]
    )


def test_keys_and_workspaces_that_do_not_fit(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "o.csv").write_text(CSV)
    assert main(["seal", "o.csv", "-o", "s.parquet"]) == 0
    capsys.readouterr()
    assert main(["init", "other"]) == 0
    capsys.readouterr()
    assert "acme" in failed(capsys, 3, "open", "s.parquet", "-o", "c.csv", "-w", "other")
    failed(capsys, 5, "init", "other")
    failed(capsys, 5, "seal", "o.csv", "-w", "nowhere")
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", "wrong")
    failed(capsys, 4, "open", "s.parquet", "-o", "c.csv")
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    failed(capsys, 4, "open", "s.parquet", "-o", "c.csv")
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", PASSPHRASE)
    settings = here / "other" / "parcelveil.toml"
    settings.write_text(settings.read_text().replace("format = 1", "format = 2"))
    assert "newer" in failed(capsys, 5, "keys", "list", "-w", "other")
    db = sqlite3.connect(here / "acme" / "state.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "newer" in failed(capsys, 5, "keys", "list")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(here: Path, how: signal.Signals) -> None:
    assert main(["simulate", "parcels", "--count", "400000", "-o", "day.parquet"]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "parcelveil", "seal", "day.parquet", "-o", "s.parquet"], stderr=subprocess.PIPE
    )
    time.sleep(2.5)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -9)
    assert b"Traceback" not in err
    assert sorted(path.name for path in here.iterdir()) == ["acme", "day.parquet"]


def test_nothing_a_run_leaves_behind_holds_a_planted_value(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = here / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    planted = [NAME, PHONE, "徐民路308号3幢", "2单元501", "轻放易碎一二三"]
    (here / "o.csv").write_text(
        CSV.replace("轻放", planted[4]) + f",{NAME},{PHONE},{ADDRESS},{planted[4]}\nYT0009,{NAME},1.4E+10,{ADDRESS},\n"
    )
    assert main(["seal", "o.csv", "-o", "s.parquet"]) == 9
    assert main(["seal", "o.csv", "-o", "s.csv"]) == 9
    assert main(["inspect", "o.csv"]) == 0
    assert main(["rewrap", "s.parquet", "-o", "s2.arrow"]) == 0
    assert main(["erase", "waybill", "YT0001", "--yes"]) == 0
    main(["open", "s.parquet", "-o", "no/such/folder.csv"])
    main(["seal", "o.csv", "-o", "/dev/full", "--to", "csv"])
    captured = capsys.readouterr()
    said = (captured.out + captured.err).encode()
    (here / "o.csv").unlink()
    left = b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file()) + said
    for value in planted:
        forms = [value.encode(code) for code in ("utf-8", "gb18030", "utf-16-le")]
        forms += [base64.b64encode(value.encode())[:-4], value.encode().hex().encode()]
        assert not any(form in left for form in forms), value


def test_simulate_dirty_counts_are_what_seal_rejects(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = json.loads(_out(capsys, "simulate", "parcels", "--dirty", "--count", "3000", "-o", "d.csv", "--json"))[
        "kinds"
    ]
    capsys.readouterr()
    assert main(["seal", "d.csv", "-o", "s.parquet", "--json"]) == 9
    fact = json.loads(capsys.readouterr().out)["files"][0]
    assert fact["rejected"] == {
        "waybill_no.missing": kinds["waybill_missing"],
        "waybill_no.doubled": kinds["waybill_doubled"],
        "phone.digits_lost": kinds["phone_digits_lost"],
        "row.cells": kinds["row_short"],
    }
    assert fact["rows"] == 3000 - sum(fact["rejected"].values())


def test_the_demo_runs(capsys: pytest.CaptureFixture[str]) -> None:
    out = _out(capsys, "demo", "--count", "3000")
    assert "waybill was erased" in out
    assert "2,999 of 3,000" in out
    assert len(personal_fields(WAYBILL)) == 13
    assert SEALED.field("to_phone").type == pa.binary()
