"""``label numbers``: bind, keep, show, unbind; a killed run; the hook of ``load-work``; what the files hold."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.conftest import HEADER, PASSPHRASE, ROWS, Desk, csv_text
from parcelveil.adapt import virtual_simulator
from parcelveil.adapt.virtual_simulator import VirtualSimulator
from parcelveil.cli.label_numbers import read_numbers
from parcelveil.errors import InputError, ProviderError
from parcelveil.label.numbers import NUMBERS
from parcelveil.workspace import SystemClock, Workspace

#: Of each, a mobile, or what is none.
PHONES = {"YT1": "13812345678", "YT2": "13912345678", "YT3": "13712345678"}


@pytest.fixture
def office(desk: Desk) -> Desk:
    """A desk with a provider set up and three sealed waybills."""
    set_up(desk)
    seal(desk, ROWS)
    return desk


def set_up(desk: Desk, uri: str = "simulator:numbers.db") -> None:
    path = desk.folder / "acme" / "parcelveil.toml"
    text = path.read_text("utf-8")
    assert text.count('virtual_numbers = ""') == 1
    path.write_text(text.replace('virtual_numbers = ""', f'virtual_numbers = "{uri}"'), "utf-8")


def seal(desk: Desk, rows: Sequence[Sequence[str]], name: str = "orders", *words: str) -> None:
    Path(f"{name}.csv").write_text(csv_text(rows, HEADER), "utf-8")
    desk.sealed(f"{name}.csv", *words)


def order(number: str, phone: str) -> tuple[str, ...]:
    return (number, "李雷", phone, "北京市朝阳区建国路甲7号院", "", "", "2026-05-03 11:00:00")


def numbers_of(name: str = "orders.numbers.parquet") -> dict[str, tuple[str, str]]:
    return read_numbers(name, datetime.now(UTC))


def provider(desk: Desk) -> VirtualSimulator:
    return VirtualSimulator(desk.folder / "acme" / "numbers.db", SystemClock())


def scan(desk: Desk, *rows: tuple[str, str, float]) -> None:
    """``scans.csv`` with waybill, step and days ago."""
    lines = [
        f"{number},{(datetime.now(UTC) - timedelta(days=ago)).isoformat()},{step},310-A12" for number, step, ago in rows
    ]
    Path("scans.csv").write_text("\n".join(["运单号,扫描时间,扫描类型,网点", *lines]) + "\n", "utf-8")


def test_bind_writes_what_a_label_shows(office: Desk) -> None:
    ran = office.run("label", "numbers", "bind", "orders.sealed.parquet")
    assert ran.code == 0, ran.err
    assert ran.err == "3 numbers bound and 0 bound before, for 3 waybills: orders.numbers.parquet\n"
    numbers = numbers_of()
    assert sorted(numbers) == ["YT1", "YT2", "YT3"]
    simulator = provider(office)
    for waybill, (number, extension) in numbers.items():
        assert simulator.rings(number, extension, b"+86" + PHONES[waybill].encode())
    simulator.close()
    assert pq.read_schema("orders.numbers.parquet").equals(NUMBERS, check_metadata=True)
    assert stat.S_IMODE(Path("orders.numbers.parquet").stat().st_mode) == 0o600
    assert not [name for name in office.names() if name.endswith(".part")]


def test_the_phones_are_logged_before_they_are_opened(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    entries = [json.loads(line) for line in office.run("audit", "export").out.splitlines()]
    (opened,) = [entry for entry in entries if entry.get("scene") == "virtual-number"]
    assert (opened["kind"], opened["actor"], opened["fields"]) == ("export", "keyholder", ["to_phone"])
    assert (opened["waybills"], opened["values"]) == (3, 3)
    assert office.run("audit", "reconcile").code == 0


def test_binding_twice_gives_the_same_numbers_and_opens_nothing(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    first, entries = numbers_of(), len(office.run("audit", "export").out.splitlines())
    ran = office.run("label", "numbers", "bind", "orders.sealed.parquet", "-o", "again.arrow", "--json")
    assert ran.code == 0, ran.err
    facts = json.loads(ran.out)
    assert (facts["bound"], facts["known"], facts["output"]) == (0, 3, "again.arrow")
    assert numbers_of("again.arrow") == first
    assert len(office.run("audit", "export").out.splitlines()) == entries
    assert [row["virtual_number"] for row in json.loads(office.run("label", "numbers", "show", "--json").out)] == [
        number for number, _ in first.values()
    ]


def test_only_mainland_mobiles_are_bound_the_others_are_counted(desk: Desk) -> None:
    set_up(desk)
    seal(
        desk,
        [
            order("YT1", "13812345678"),
            order("YT2", "021-61234567"),
            order("YT3", "13812345678转1234"),
            order("YT4", "+44 20 7946 0018"),
            order("YT5", ""),
            order("YT6", "95338"),
        ],
    )
    ran = desk.run("label", "numbers", "bind", "orders.sealed.parquet")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[1] == "  without a number: 1 without a phone, 4 whose phone is no mainland mobile"
    assert list(numbers_of()) == ["YT1"]


def test_an_erased_waybill_loses_its_number_and_gets_none(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    number, extension = numbers_of()["YT1"]
    assert office.run("erase", "waybill", "YT1", "--yes").code == 0
    simulator = provider(office)
    assert not simulator.rings(number, extension, b"+8613812345678")
    simulator.close()
    assert office.run("label", "numbers", "show", "YT1").err == "no virtual numbers\n"
    ran = office.run("label", "numbers", "bind", "orders.sealed.parquet", "--force")
    assert ran.code == 9
    assert ran.err.splitlines()[1] == "  1 rows stay shut (row.erased 1)"
    assert sorted(numbers_of()) == ["YT2", "YT3"]


def test_a_correction_of_the_phone_gets_a_number_anew(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    seal(office, [order("YT1", "13612345678")], "corrected", "--revision", "1")
    assert office.run("label", "numbers", "bind", "corrected.sealed.parquet").code == 0
    before, after = numbers_of()["YT1"], numbers_of("corrected.numbers.parquet")["YT1"]
    simulator = provider(office)
    assert not simulator.rings(*before, b"+8613812345678")
    assert simulator.rings(*after, b"+8613612345678")
    simulator.close()
    # The older file, bound again, gives what reaches the newer phone.
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet", "--force").code == 0
    assert numbers_of()["YT1"] == after


def test_a_number_that_stands_twice_in_a_file_counts_by_its_newest_revision(office: Desk) -> None:
    seal(office, [order("YT1", "13612345678")], "corrected", "--revision", "1")
    both = [pq.read_table(f"{name}.sealed.parquet") for name in ("corrected", "orders")]
    pq.write_table(pa.concat_tables(both), "both.sealed.parquet")
    assert office.run("label", "numbers", "bind", "both.sealed.parquet").code == 0
    simulator = provider(office)
    assert simulator.rings(*numbers_of("both.numbers.parquet")["YT1"], b"+8613612345678")
    simulator.close()


def test_t5_side_file_state_and_provider_hold_no_phone_and_need_no_key(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    scan(office, ("YT1", "到件", 0))
    assert office.run("reveal", "load-work", "scans.csv").code == 0
    said = b"".join(office.said)
    held = {
        str(path): path.read_bytes() for path in office.folder.rglob("*") if path.is_file() and path.suffix != ".csv"
    }
    assert b"YT1" in held[str(office.folder / "orders.numbers.parquet")]
    for phone in PHONES.values():
        needles = [phone.encode(), phone.encode("utf-16-le"), phone[-8:].encode()]
        assert not [name for name, data in held.items() for needle in needles if needle in data]
        assert phone.encode() not in said
    # The print station: no workspace, no passphrase.
    station = office.folder / "station"
    station.mkdir()
    (station / "n.parquet").write_bytes(held[str(office.folder / "orders.numbers.parquet")])
    monkeypatch.chdir(station)
    monkeypatch.delenv("PARCELVEIL_WORKSPACE")
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    assert len(numbers_of("n.parquet")) == 3
    assert read_numbers("n.parquet", datetime.now(UTC) + timedelta(days=16)) == {}


@pytest.mark.parametrize("at", ["bind", "state", "side"])
def test_kill_9_binds_nothing_twice_and_leaves_no_half_file(office: Desk, environment: dict[str, str], at: str) -> None:
    seal(office, [order(f"YT{n:03d}", f"138{n:08d}") for n in range(40)], "many")
    script = (
        "import os, signal, sys\n"
        "from parcelveil.label import bindings\nfrom parcelveil.adapt import sink\n"
        "from parcelveil.adapt.virtual_simulator import VirtualSimulator\n"
        "from parcelveil.cli.label_numbers import bind\n"
        "bindings.PAGE = 16\ncount = 0\n"
        "def die(*rest, **more):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "real = VirtualSimulator.bind\n"
        "def some(self, request):\n"
        "    global count\n    count += 1\n"
        "    made = real(self, request)\n"
        "    return made if count < 25 else die()\n"
        "if sys.argv[1] == 'bind': VirtualSimulator.bind = some\n"
        "if sys.argv[1] == 'state': bindings._row = die\n"
        "if sys.argv[1] == 'side': sink.Sink.commit = die\n"
        "bind('many.sealed.parquet')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, at], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not [name for name in office.names() if "many.numbers" in name]
    bound = {"bind": 25, "state": 1, "side": 40}[at]
    simulator = sqlite3.connect(office.folder / "acme" / "numbers.db")
    before = set(simulator.execute("SELECT bind_id FROM binding").fetchall())
    threads = len(os.sched_getaffinity(0))
    assert bound - threads <= len(before) <= bound + threads
    assert before
    assert office.run("label", "numbers", "bind", "many.sealed.parquet").code == 0
    after = set(simulator.execute("SELECT bind_id FROM binding").fetchall())
    assert before <= after
    assert len(after) == 40
    assert len(numbers_of("many.numbers.parquet")) == 40


def test_keep_and_load_work_extend_and_unbind(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    age(office, timedelta(days=9))  # all of it happened nine days ago
    scan(office, ("YT1", "到件", 1), ("YT2", "签收", 4), ("YT3", "签收", 1))
    ran = office.run("reveal", "load-work", "scans.csv")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[-1] == "virtual numbers: 2 live, 1 extended, 1 unbound, 0 expired"
    facts = json.loads(office.run("reveal", "load-work", "scans.csv", "--json").out)
    assert (facts["events"], facts["numbers"]["bound"], facts["numbers"]["extended"]) == (3, 2, 0)
    kept = office.run("label", "numbers", "keep")
    assert (kept.code, kept.err) == (0, "virtual numbers: 2 live, 0 extended, 0 unbound, 0 expired\n")
    states = {row["waybill"]: row["state"] for row in json.loads(office.run("label", "numbers", "show", "--json").out)}
    assert states == {"YT1": "bound", "YT2": "unbound", "YT3": "bound"}
    kept = office.run("label", "numbers", "keep", "--json")
    assert json.loads(kept.out)["bound"] == 2


def age(desk: Desk, by: timedelta) -> None:
    """Let the bindings be older: as the key holder would have written them then, and the provider's clock with them."""
    micros = by // timedelta(microseconds=1)
    with Workspace.open(desk.folder / "acme", lambda: PASSPHRASE) as workspace:
        seal_of = workspace.log.rows
        rows = list(workspace.numbers.rows())
        older = [
            msgspec.structs.replace(row, bound_at=row.bound_at - micros, expires_at=row.expires_at - micros)
            for row in rows
        ]
        with workspace.store.transaction() as tx:
            tx.put_numbers([seal_of.sealed(row) for row in older])
    simulator = sqlite3.connect(desk.folder / "acme" / "numbers.db")
    simulator.execute("UPDATE binding SET expires = expires - ?", (micros,))
    simulator.commit()
    simulator.close()


def test_load_work_without_a_provider_says_nothing_of_numbers(desk: Desk) -> None:
    scan(desk, ("YT1", "到件", 1))
    ran = desk.run("reveal", "load-work", "scans.csv", "--json")
    assert ran.code == 0
    assert "numbers" not in json.loads(ran.out)


def test_load_work_loads_when_the_provider_is_gone(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    age(office, timedelta(days=9))
    scan(office, ("YT1", "到件", 1))

    def gone(self: VirtualSimulator, *rest: object) -> None:
        raise ProviderError("the line is down")

    with monkeypatch.context() as patch:
        patch.setattr(VirtualSimulator, "extend", gone)
        ran = office.run("reveal", "load-work", "scans.csv")
        assert ran.code == 0
        assert ran.err.splitlines()[-1] == "  3 could not be changed, the next run tries again: the line is down"
        assert office.run("label", "numbers", "keep").code == 14
    Path("acme/numbers.db").write_bytes(b"this is no database " * 100)
    for name in ("numbers.db-wal", "numbers.db-shm"):
        (Path("acme") / name).unlink(missing_ok=True)
    ran = office.run("reveal", "load-work", "scans.csv")
    assert ran.code == 0
    assert "virtual numbers were not looked after: the simulator" in ran.err
    office.run("label", "numbers", "keep").refused(14, "cannot use its file")


def test_show_and_unbind(office: Desk) -> None:
    assert office.run("label", "numbers", "bind", "orders.sealed.parquet").code == 0
    ran = office.run("label", "numbers", "unbind", "YT1", "YT9")
    assert (ran.code, ran.err) == (0, "1 unbound\n  1 had no number\n")
    shown = office.run("label", "numbers", "show", "-", stdin=b"YT1\nYT2\n").text.splitlines()
    assert shown[0].split() == ["waybill", "virtual_number", "extension", "state", "until", "binding"]
    assert [line.split()[3] for line in shown[2:]] == ["unbound", "bound"]
    office.monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    assert "已解绑" in office.run("label", "numbers", "show", "YT1").text
    assert office.run("label", "numbers", "unbind", "YT2").err == "已解绑 1 个\n"


def test_bad_input(office: Desk) -> None:
    run = office.run
    run("label", "numbers", "bind", "orders.csv").refused(3, "not sealed")
    run("label", "numbers", "bind", "nothing.parquet").refused(3)
    run("label", "numbers", "bind", "orders.sealed.parquet", "-o", "n.csv").refused(2, "cannot hold")
    run("label", "numbers", "bind", "-").refused(2, "where shall the numbers go")
    run("label", "numbers", "bind", "orders.sealed.parquet", "-o", "no/where/n.parquet").refused(6)
    run("label", "numbers", "unbind").refused(2)
    Path("orders.numbers.parquet").write_text("mine", "utf-8")
    run("label", "numbers", "bind", "orders.sealed.parquet").refused(6, "exists already")
    assert Path("orders.numbers.parquet").read_text("utf-8") == "mine"
    assert (
        run("label", "numbers", "show").err == "no virtual numbers\n"
    )  # nothing was bound for an output that cannot be
    with pytest.raises(InputError, match="no file of virtual numbers"):
        read_numbers("orders.sealed.parquet", datetime.now(UTC))
    with pytest.raises(InputError):
        read_numbers("orders.numbers.parquet", datetime.now(UTC))


def test_without_a_provider_nothing_is_opened(desk: Desk) -> None:
    seal(desk, ROWS)
    entries = desk.run("audit", "export").out
    for words in (["bind", "orders.sealed.parquet"], ["keep"]):
        desk.run("label", "numbers", *words).refused(5, "no provider", "virtual_numbers")
    assert desk.run("audit", "export").out == entries
    assert "orders.numbers.parquet" not in desk.names()


def test_the_pool_is_used_up(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_simulator, "_EXTENSIONS", 1)
    first = virtual_simulator.VirtualSimulator.__init__
    monkeypatch.setattr(
        virtual_simulator.VirtualSimulator, "__init__", lambda self, path, clock: first(self, path, clock, numbers=2)
    )
    office.run("label", "numbers", "bind", "orders.sealed.parquet").refused(14, "used up")
    assert "orders.numbers.parquet" not in office.names()
    assert len(json.loads(office.run("label", "numbers", "show", "--json").out)) == 2
