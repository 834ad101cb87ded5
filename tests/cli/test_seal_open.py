"""The commands end to end: what goes in comes out again for the key holder, in every format and way."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from cli.conftest import HEADER, PASSPHRASE, ROWS, Desk, csv_text
from parcelveil.adapt.source import open_source
from parcelveil.cli.streams import Rejects, check_sealed
from parcelveil.cli.streams import opened as opened_batches
from parcelveil.waybill import is_sealed
from parcelveil.workspace import Workspace

PEOPLE = [(row[0], row[1], f"+86{row[2]}") for row in ROWS]


def write(path: Path, kind: str) -> None:
    table = pa.table({name: [row[at] or None for row in ROWS] for at, name in enumerate(HEADER)})
    if kind in ("utf-8", "utf-8-sig", "gb18030", "utf-16"):
        path.write_bytes(csv_text().encode(kind))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()), "utf-8")
    elif kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif kind == "arrow":
        pyarrow.feather.write_feather(table, path)
    else:
        xlsxwriter = pytest.importorskip("xlsxwriter")
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for at, row in enumerate((HEADER, *ROWS)):
                sheet.write_row(at, 0, row)


def people(text: str) -> list[tuple[str, str, str]]:
    """Number, name and phone of an opened CSV (the apostrophe keeps a spreadsheet from reading a formula)."""
    rows = csv.DictReader(io.StringIO(text))
    return [(row["waybill_no"], row["to_name"], row["to_phone"].lstrip("'")) for row in rows]


def opened(desk: Desk, file: str, *words: str, code: int = 0) -> list[tuple[str, str, str]]:
    ran = desk.run("open", file, "-o", "-", *words)
    assert ran.code == code, ran.err
    return people(ran.text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("o.csv", "utf-8"),
        ("o.csv", "utf-8-sig"),
        ("o.csv", "gb18030"),
        ("o.csv", "utf-16"),
        ("o.jsonl", "jsonl"),
        ("o.parquet", "parquet"),
        ("o.arrow", "arrow"),
        ("o.xlsx", "xlsx"),
    ],
)
def test_every_input_format_comes_back(desk: Desk, name: str, kind: str) -> None:
    write(desk.folder / name, kind)
    assert "sealed 3 waybills" in desk.sealed(name).err
    assert is_sealed(pyarrow.parquet.read_schema(desk.folder / "o.sealed.parquet"))
    assert opened(desk, "o.sealed.parquet") == PEOPLE


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "jsonl.zst", "arrow", "arrows", "parquet", "xlsx"])
def test_every_sealed_format_opens_again(desk: Desk, orders: Path, ending: str) -> None:
    desk.sealed("orders.csv", "-o", f"s.{ending}")
    assert opened(desk, f"s.{ending}") == PEOPLE
    desk.run("seal", f"s.{ending}").refused(3, "sealed")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "arrow", "parquet", "xlsx"])
def test_every_clear_output_can_be_sealed_again(desk: Desk, orders: Path, ending: str) -> None:
    desk.sealed("orders.csv")
    assert desk.run("open", "orders.sealed.parquet", "-o", f"clear.{ending}").code == 0
    assert (desk.folder / f"clear.{ending}").stat().st_mode & 0o077 == 0
    desk.sealed(f"clear.{ending}", "-o", "again.parquet")
    assert opened(desk, "again.parquet") == PEOPLE


def test_through_pipes(desk: Desk) -> None:
    sealed = desk.run("seal", "-", "-o", "-", stdin=csv_text().encode())
    assert sealed.code == 0, sealed.err
    assert "欧阳娜娜".encode() not in sealed.out
    clear = desk.run("open", "-", "-o", "-", stdin=sealed.out)
    assert people(clear.text) == PEOPLE
    text = desk.run("seal", "-", "--output=-", "--to", "csv", stdin=csv_text().encode())
    assert text.text.startswith('"waybill_no"')


def test_epochs_made_after_the_opener_started(desk: Desk, orders: Path) -> None:
    # In `seal | open` both start at once: the opener reads the key ring before the sealer makes the day's epoch.
    with Workspace.open(Path("acme"), lambda: PASSPHRASE) as early:
        desk.sealed("orders.csv")
        rejects = Rejects(None)
        with open_source("orders.sealed.parquet") as source:
            batches = list(opened_batches(source, check_sealed(source, "acme"), early, rejects))
    assert [name for batch in batches for name in batch["to_name"].to_pylist()] == [row[1] for row in ROWS]
    assert rejects.total == 0


def test_stdin_to_stdout_is_the_default(desk: Desk) -> None:
    ran = desk.run("seal", "-", stdin=csv_text().encode())
    assert ran.code == 0
    assert desk.names() == set()
    assert pa.ipc.open_stream(ran.out).read_all().num_rows == 3


def test_folder_and_glob(desk: Desk) -> None:
    (desk.folder / "in").mkdir()
    (desk.folder / "out").mkdir()
    (desk.folder / "in" / "a.csv").write_text(csv_text(ROWS[:1]), "utf-8")
    (desk.folder / "in" / "b.csv").write_text(csv_text(ROWS[1:]), "gb18030")
    ran = desk.sealed("in", "-o", "out", "--json")
    assert [fact["rows"] for fact in json.loads(ran.text)["files"]] == [1, 2]
    assert desk.names() == {"in/a.csv", "in/b.csv", "out/a.sealed.parquet", "out/b.sealed.parquet"}
    desk.sealed("in/*.csv")
    assert (desk.folder / "in" / "b.sealed.parquet").is_file()
    desk.run("seal", "in/*.csv", "-o", "one.parquet").refused(2, "2 inputs")


def test_json_summaries(desk: Desk, orders: Path) -> None:
    orders.write_text(csv_text([*ROWS, ("", *ROWS[0][1:])]), "utf-8")
    ran = desk.sealed("orders.csv", "--json", code=9)
    (fact,) = json.loads(ran.text)["files"]
    assert fact["rows"] == 3
    assert fact["rejected"] == {"waybill_no.missing": 1}
    ran = desk.run("open", "orders.sealed.parquet", "-o", "c.csv", "--json")
    assert json.loads(ran.text) == {"rows": 3, "values": fact["values"], "rejected": {}}
    ran = desk.run("erase", "waybill", "YT1", "--yes", "--json")
    erased = json.loads(ran.text)
    assert (erased["waybills"], erased["kek_version"]) == (1, 2)
    assert erased["epochs"] >= 2  # nobody has to know on which day a waybill was sealed


def test_one_waybill_on_the_screen(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    ran = desk.run("open", "orders.sealed.parquet", "--waybill", "YT2")
    assert "李雷" in ran.text
    assert "韩梅梅" not in ran.text
    ran = desk.run("open", "orders.sealed.parquet", "--waybill", "YT2", "--fields", "to_phone")
    assert "+8613912345678" in ran.text
    assert "李雷" not in ran.text
    ran = desk.run("open", "orders.sealed.parquet", "--waybill", "NONE")
    assert (ran.code, ran.out) == (0, b"")
    assert "no such waybill" in ran.err


def test_open_needs_somewhere_to_go(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    desk.run("open", "orders.sealed.parquet").refused(2, "where shall the clear data go")
    desk.run("open", "orders.sealed.parquet", "-o", "c.csv", "--fields", "phone").refused(2, "phone", "to_phone")


def test_t05_inspect_needs_no_key_and_shows_masks_only(
    desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    monkeypatch.delenv("PARCELVEIL_WORKSPACE")
    for words in (("orders.csv",), ("-",)):
        ran = desk.run("inspect", *words, stdin=orders.read_bytes())
        assert ran.code == 0, ran.err
        for row in ROWS:
            for value in row[1:6]:
                assert not value or value not in ran.text + ran.err
            assert row[2][3:] not in ran.text
        assert "欧阳" in ran.text
        assert "浙江省" in ran.text
    assert desk.names() == {"orders.csv"}


def test_t05_masks_are_read_without_a_key(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    table = pyarrow.parquet.read_table(desk.folder / "orders.sealed.parquet")
    masks = [name for name in table.column_names if name.endswith("_mask")]
    assert table["to_phone_mask"].to_pylist() == ["138******78", "139******78", "137******78"]
    shown = {value for name in masks for value in table[name].to_pylist() if value}
    assert not shown & {value for row in ROWS for value in row[1:6]}


def test_rewrap_a_file(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    assert desk.run("keys", "rotate", "--day", "2026-05-03").code == 0
    ran = desk.run("rewrap", "orders.sealed.parquet", "-o", "new.parquet", "--json")
    assert json.loads(ran.text) == {"rows": 3, "rejected": {}}
    assert opened(desk, "new.parquet") == PEOPLE
    old, new = (pyarrow.parquet.read_table(desk.folder / name) for name in ("orders.sealed.parquet", "new.parquet"))
    before, after = old["to_name"].to_pylist(), new["to_name"].to_pylist()
    assert [a == b for a, b in zip(before, after, strict=True)] == [
        False,
        False,
        True,
    ]  # only the day that has new keys
    desk.run("rewrap", "orders.sealed.parquet").refused(2, "where shall")


def before_pay_type(file: str, out: str) -> None:
    """``file`` as a version wrote it that had no column ``pay_type``."""
    table = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(table.drop_columns(["pay_type"]), out)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_file_sealed_before_a_column_was_added_opens_and_is_rewrapped(desk: Desk, orders: Path, kind: str) -> None:
    desk.sealed("orders.csv")
    before_pay_type("orders.sealed.parquet", "old.parquet")
    if kind != "parquet":
        names = pyarrow.parquet.read_schema("old.parquet").names
        desk.sealed("orders.csv", "-o", f"whole.{kind}")
        if kind == "csv":
            rows = [dict(row) for row in csv.DictReader(io.StringIO(Path("whole.csv").read_text("utf-8-sig")))]
            with Path("old.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        else:
            lines = [json.loads(line) for line in Path("whole.jsonl").read_text("utf-8").splitlines()]
            kept = [{name: row[name] for name in row if name in names} for row in lines]
            Path("old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
    assert opened(desk, f"old.{kind}") == PEOPLE
    assert desk.run("keys", "rotate", "--day", "2026-05-03").code == 0
    assert desk.run("rewrap", f"old.{kind}", "-o", "new.parquet").code == 0
    assert opened(desk, "new.parquet") == PEOPLE
    assert "pay_type" not in pyarrow.parquet.read_schema("new.parquet").names
    # What was opened is a table of ours, and is sealed again under the schema of today.
    desk.run("open", "new.parquet", "-o", "clear.parquet")
    desk.sealed("clear.parquet", "-o", "again.parquet")
    assert pyarrow.parquet.read_table("again.parquet")["pay_type"].null_count == len(PEOPLE)
    assert opened(desk, "again.parquet") == PEOPLE


def test_how_the_freight_is_paid_is_kept_as_a_code_and_nothing_else(desk: Desk) -> None:
    words = ("寄付", "到 付", "找王小明要")
    rows = [",".join((*row, word)) for row, word in zip(ROWS, words, strict=True)]
    Path("orders.csv").write_text("\n".join((",".join((*HEADER, "付款方式")), *rows)) + "\n", "utf-8")
    ran = desk.sealed("orders.csv")
    assert "warning: pay_type.unrecognised (1)" in ran.err
    assert "not taken over" not in ran.err
    sealed = pyarrow.parquet.read_table("orders.sealed.parquet")
    assert sealed["pay_type"].to_pylist() == ["prepaid", "collect", None]
    assert "王小明".encode() not in (desk.folder / "orders.sealed.parquet").read_bytes()
    shown = desk.run("inspect", "orders.csv")
    assert "付款方式" in shown.text
    assert "prepaid, collect" in shown.text
    assert "王小明" not in shown.text + ran.err


def test_rewrap_leaves_out_what_was_erased(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    desk.run("erase", "waybill", "YT1", "--yes")
    ran = desk.run("rewrap", "orders.sealed.parquet", "-o", "new.parquet")
    assert ran.code == 9
    assert "YT1" in (desk.folder / "new.parquet.rejects.csv").read_text("utf-8")
    assert opened(desk, "new.parquet") == PEOPLE[1:]


@pytest.mark.parametrize("words", [("rewrap",), ("keys", "rotate")])
def test_a_new_kek_opens_what_the_old_one_sealed(desk: Desk, orders: Path, words: tuple[str, ...]) -> None:
    desk.sealed("orders.csv")
    for version in (2, 3):
        ran = desk.run(*words, "--json")
        assert json.loads(ran.text) == {"kek_version": version}
    assert opened(desk, "orders.sealed.parquet") == PEOPLE


def test_t07_an_erased_waybill_stays_shut(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    assert "erased 1 waybill" in desk.run("erase", "waybill", "YT2", "--yes").err
    ran = desk.run("open", "orders.sealed.parquet", "-o", "clear.csv")
    assert ran.code == 9
    assert people((desk.folder / "clear.csv").read_text("utf-8")) == [PEOPLE[0], PEOPLE[2]]
    (reject,) = csv.DictReader(io.StringIO((desk.folder / "clear.csv.rejects.csv").read_text("utf-8")))
    assert (reject["row"], reject["waybill_no"], reject["code"]) == ("2", "YT2", "row.erased")
    ran = desk.run("open", "orders.sealed.parquet", "-o", "strict.csv", "--strict")
    ran_names = desk.names()
    assert ran.code == 7
    assert "strict.csv" not in ran_names
    assert "strict.csv.rejects.csv" not in ran_names
    again = desk.sealed("orders.csv", "-o", "again.parquet", code=9)
    assert "waybill_no.erased 1" in again.err


def test_t07_numbers_to_erase_come_from_a_pipe(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    numbers = desk.folder / "numbers"
    numbers.write_text("YT1\n\nYT3\n", "utf-8")
    with numbers.open(encoding="utf-8") as lines, desk.monkeypatch.context() as patch:
        patch.setattr("sys.stdin", lines)
        assert desk.run("erase", "waybill", "-", "--yes").code == 0
    assert opened(desk, "orders.sealed.parquet", code=9) == [PEOPLE[1]]


def test_t07_days_are_destroyed(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    ran = desk.run("erase", "before", "2026-05-04", "--yes", "--json")
    assert json.loads(ran.text) == {"days": ["2026-05-03"]}
    ran = desk.run("open", "orders.sealed.parquet", "-o", "clear.csv")
    assert ran.code == 9
    assert people((desk.folder / "clear.csv").read_text("utf-8")) == [PEOPLE[2]]
    listed = (desk.folder / "clear.csv.rejects.csv").read_text("utf-8")
    assert listed.count("row.no_epoch") == 2
    assert "YT1" in listed
    assert "epoch.closed 2" in desk.sealed("orders.csv", "-o", "again.parquet", code=9).err
    assert "destroyed" in desk.run("keys", "list").text


def test_t07_an_old_backup_of_the_state_opens_nothing(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    state = desk.folder / "acme" / "state.db"
    backup = state.read_bytes()
    desk.run("erase", "waybill", "YT2", "--yes")
    state.write_bytes(backup)
    for leftover in ("state.db-wal", "state.db-shm"):
        (desk.folder / "acme" / leftover).unlink(missing_ok=True)
    desk.run("open", "orders.sealed.parquet", "-o", "clear.csv").refused(4, "key version")
    assert not (desk.folder / "clear.csv").exists()


def test_erasing_asks_first(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    desk.run("erase", "waybill", "YT1", stdin=b"").refused(2, "--yes")
    desk.run("erase", "before", "yesterday", "--yes").refused(2, "yesterday")
    desk.run("erase", "waybill", "--yes").refused(2, "no waybill number")
    assert opened(desk, "orders.sealed.parquet") == PEOPLE


def test_t10_keys_are_listed_without_secrets(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    listed = desk.run("keys", "list")
    assert "2026-05-03" in listed.text
    public = desk.run("keys", "export-public")
    facts = json.loads(public.text)
    assert facts["tenant"] == "acme"
    assert set(facts["epochs"][0]) == {"epoch", "day", "suite", "salt", "commitment", "destroyed_at"}
    with Workspace.open(Path("acme"), lambda: PASSPHRASE) as workspace:
        for _, row in workspace.ring.headers():
            state = workspace.ring._epoch(row.epoch).to_state()
            for secret in (row.wrapped_key, row.state, *(state[at : at + 32] for at in range(0, len(state) - 31, 8))):
                assert secret.hex() not in (public.text + listed.text).lower()


def test_init_and_keys_apart(desk: Desk) -> None:
    assert desk.run("init", "other", "--tenant", "other", "--no-keys", "--country", "de").code == 0
    desk.run("keys", "list", "-w", "other").refused(5, "no keys")
    assert desk.run("keys", "init", "-w", "other").code == 0
    assert desk.run("keys", "list", "-w", "other").code == 0
    desk.run("keys", "init", "-w", "other").refused(4, "exists already")
    desk.run("init", "other").refused(5, "is a workspace already")
    desk.run("init", "bad", "--tenant", "Not A Tenant").refused(5, "not usable")
    assert not (desk.folder / "bad" / "parcelveil.toml").exists()


def test_passphrase_from_a_file(desk: Desk, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "secret").write_text("correct horse battery staple\n", "utf-8")
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    desk.sealed("orders.csv", "--passphrase-file", "secret")
    assert opened(desk, "orders.sealed.parquet", "--passphrase-file", "secret") == PEOPLE


def test_one_string_addresses_are_split(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    row = pyarrow.parquet.read_table(desk.folder / "orders.sealed.parquet").to_pylist()[0]
    area = [row[f"to_{part}"] for part in ("country", "region", "city", "district", "adcode")]
    assert area == ["CN", "浙江省", "杭州市", "西湖区", "330106"]
    assert "文三路18弄3号楼501室" in desk.run("open", "orders.sealed.parquet", "--waybill", "YT1").text


def test_shopify_lines_are_joined(desk: Desk) -> None:
    header = "Name,Email,Financial Status,Lineitem quantity,Lineitem name,Shipping Name,Shipping Address1,Shipping City,Shipping Country,Shipping Phone"
    (desk.folder / "shop.csv").write_text(
        f"{header}\n"
        "#1001,ann@example.com,paid,1,Tea pot,Ann Archer,12 Elm Street,London,GB,+442079460000\n"
        "#1001,ann@example.com,,2,Tea cup,,,,,\n"
        "#1002,bob@example.com,paid,1,Kettle,Bob Baker,7 Oak Lane,Leeds,GB,+442079460001\n",
        "utf-8",
    )
    ran = desk.sealed("shop.csv", "--json")
    (fact,) = json.loads(ran.text)["files"]
    assert (fact["rows"], fact["lines_merged"]) == (2, 1)
    clear = desk.run("open", "shop.sealed.parquet", "-o", "-", "--to", "jsonl").text.splitlines()
    first = json.loads(clear[0])
    assert (first["waybill_no"], first["to_name"], first["to_phone"]) == ("#1001", "Ann Archer", "+442079460000")
    assert "Tea pot" in first["goods_name"]
    assert "Tea cup" in first["goods_name"]


def test_a_mapping_names_foreign_columns(desk: Desk) -> None:
    (desk.folder / "versand.csv").write_text("Sendung;Empfänger;Mobil\nDE1;Käthe Kruse;0151 23456789\n", "utf-8")
    (desk.folder / "map.toml").write_text(
        '[columns]\nwaybill_no = "Sendung"\nto_name = "Empfänger"\nto_phone = ["Mobil"]\n'
        '[constants]\nfrom_company = "Nordwind GmbH"\n[options]\ncountry = "DE"\n',
        "utf-8",
    )
    desk.sealed("versand.csv", "--map", "map.toml")
    ran = desk.run("open", "versand.sealed.parquet", "-o", "-", "--to", "jsonl")
    row = json.loads(ran.text)
    assert (row["to_name"], row["to_phone"], row["from_company"]) == ("Käthe Kruse", "+4915123456789", "Nordwind GmbH")
    assert "Käthe" not in desk.run("inspect", "versand.csv", "--map", "map.toml").text
    (desk.folder / "map.toml").write_text('[columns]\nto_nam = "Empfänger"\n', "utf-8")
    desk.run("seal", "versand.csv", "--map", "map.toml", "--force").refused(3, "to_nam", "did you mean")


def test_the_day_of_waybills_without_a_time(desk: Desk) -> None:
    (desk.folder / "o.csv").write_text(csv_text([row[:6] for row in ROWS], HEADER[:6]), "utf-8")
    desk.sealed("o.csv", "--day", "2026-02-28")
    days = [epoch["day"] for epoch in json.loads(desk.run("keys", "list", "--json").text)["epochs"]]
    assert days == ["2026-02-28"]
    assert opened(desk, "o.sealed.parquet") == PEOPLE
    desk.run("seal", "o.csv", "--day", "28.2.2026").refused(2, "28.2.2026")


def test_a_corrected_value_has_a_revision(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    orders.write_text(csv_text([(ROWS[0][0], "欧阳修", *ROWS[0][2:])]), "utf-8")
    desk.sealed("orders.csv", "-o", "second.parquet", "--revision", "1")
    assert opened(desk, "orders.sealed.parquet") == PEOPLE
    assert opened(desk, "second.parquet") == [("YT1", "欧阳修", PEOPLE[0][2])]
    desk.run("erase", "waybill", "YT1", "--yes")
    assert opened(desk, "second.parquet", code=9) == []


def test_force_replaces_whole_files_only(desk: Desk, orders: Path) -> None:
    desk.sealed("orders.csv")
    desk.run("open", "orders.sealed.parquet", "-o", "c.csv")
    before = (desk.folder / "c.csv").read_bytes()
    desk.run("open", "orders.sealed.parquet", "-o", "c.csv").refused(6, "c.csv exists already", "--force")
    orders.write_text(csv_text(ROWS[:1]), "utf-8")
    desk.sealed("orders.csv", "--force")
    assert desk.run("open", "orders.sealed.parquet", "-o", "c.csv", "--force").code == 0
    assert people((desk.folder / "c.csv").read_text("utf-8")) == PEOPLE[:1]
    assert (desk.folder / "c.csv").read_bytes() != before


@pytest.mark.parametrize("kind", [[], ["--dirty"]])
def test_simulated_data_can_be_sealed(desk: Desk, kind: list[str]) -> None:
    ran = desk.run("simulate", "parcels", "--count", "300", "-o", "day.csv", "--json", *kind)
    assert json.loads(ran.text)["rows"] == 300
    ran = desk.run("seal", "day.csv", "--json")
    (fact,) = json.loads(ran.text)["files"]
    assert ran.code == (9 if kind else 0)
    assert fact["rows"] + sum(fact["rejected"].values()) + fact["lines_merged"] == 300
