"""Numbers of waybills: bound once, kept by custody, ended by erasure; whatever dies or is changed in between."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from parcelveil.adapt import key_file
from parcelveil.adapt.virtual_simulator import REST_DAYS, VirtualSimulator
from parcelveil.errors import ProviderError, WorkspaceError
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.label import bindings
from parcelveil.label.bindings import GIVE_UP, SHOWN_DAYS, Kept, Wanted
from parcelveil.ports import NumberBinding, NumberRequest, NumberRow, Secret
from parcelveil.reveal.custody import micros
from parcelveil.workspace import Settings, Workspace
from reveal.conftest import SetClock

START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def phone(number: str) -> bytes:
    return f"+86138{int(number[2:]):08d}".encode()


def wanted(*numbers: str, revision: int = 0) -> list[Wanted]:
    return [Wanted(number, revision, Secret(phone(number))) for number in numbers]


class Carrier:
    """A workspace with a simulated provider and a clock to set."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock(START)
        self.workspace = Workspace.open(folder, lambda: "secret", self.clock)
        self.numbers = self.workspace.numbers
        self._events = 0

    @property
    def provider(self) -> VirtualSimulator:
        provider = self.numbers.provider
        assert isinstance(provider, VirtualSimulator)
        return provider

    def scan(self, number: str, step: str, *, ago: float = 0) -> None:
        """An event of a parcel, ``ago`` days ago, that arrives now."""
        self._events += 1
        at = self.clock.now() - timedelta(days=ago)
        event = Work(event_id=f"e{self._events}", event_time=at, biz_step=BizStep(step), waybill_no=number, outlet="A1")
        self.workspace.custody.load([work_batch([event])], now=micros(self.clock.now()))

    def keep(self) -> Kept:
        return self.numbers.keep(self.workspace.custody)

    def row(self, number: str) -> NumberRow:
        (row,) = self.numbers.rows([number])
        return row

    def rings(self, row: NumberRow) -> bool:
        return self.provider.rings(row.number, row.extension, phone(row.waybill_no))

    def put(self, row: NumberRow) -> None:
        """Write a row as who has the database but no key can."""
        with self.workspace.store.transaction() as tx:
            tx.put_numbers([row])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    settings = Settings(tenant="acme", virtual_numbers="simulator:numbers.db")
    Workspace.init(tmp_path / "acme", settings, "secret", SetClock(START))
    return tmp_path / "acme"


@pytest.fixture
def carrier(folder: Path) -> Iterator[Carrier]:
    made = Carrier(folder)
    with made.workspace:
        yield made


def test_a_number_a_waybill_that_reaches_its_phone(carrier: Carrier) -> None:
    rows = carrier.numbers.bind(wanted("YT1", "YT2"))
    assert [row.waybill_no for row in rows] == ["YT1", "YT2"]
    assert all(carrier.rings(row) for row in rows)
    assert not carrier.provider.rings(rows[0].number, rows[0].extension, phone("YT2"))
    assert rows[0].expires_at == micros(START + timedelta(days=15))
    assert [msgspec.structs.replace(row, seal=b"") for row in carrier.numbers.rows()] == rows
    assert list(carrier.numbers.living(["YT2", "YT3"])) == ["YT2"]


def test_binding_again_binds_nothing_twice_even_when_the_state_was_not_written(carrier: Carrier) -> None:
    (first,) = carrier.numbers.bind(wanted("YT1"))
    with carrier.workspace.store.transaction() as tx:
        tx.drop_numbers(["YT1"])  # as if the run had died between the provider's answer and the state
    carrier.clock.pass_(hours=1)
    (again,) = carrier.numbers.bind(wanted("YT1"))
    assert (again.bind_id, again.extension, again.expires_at) == (first.bind_id, first.extension, first.expires_at)


def test_a_corrected_waybill_gets_a_number_anew(carrier: Carrier) -> None:
    (first,) = carrier.numbers.bind(wanted("YT1"))
    other = Secret(b"+8613999999999")
    (second,) = carrier.numbers.bind([Wanted("YT1", 1, other)])
    assert second.bind_id != first.bind_id
    assert not carrier.rings(first)
    assert carrier.provider.rings(second.number, second.extension, other.value)
    assert carrier.row("YT1").bind_id == second.bind_id


def test_the_provider_is_not_told_the_waybill_number(carrier: Carrier, folder: Path) -> None:
    carrier.numbers.bind(wanted("YT4711"))
    held = b"".join(path.read_bytes() for path in folder.glob("numbers.db*"))
    assert carrier.row("YT4711").bind_id.encode() in held
    assert b"YT4711" not in held


def test_t10_neither_state_nor_provider_holds_a_phone(carrier: Carrier, folder: Path) -> None:
    carrier.numbers.bind(wanted("YT12345678", "YT87654321"))
    carrier.keep()
    held = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"YT12345678" in held  # the search itself works
    for number in ("YT12345678", "YT87654321"):
        assert phone(number) not in held
        assert phone(number).removeprefix(b"+86") not in held
    assert "138" not in repr(wanted("YT1"))
    assert repr(carrier.numbers) == "<Bindings>"


def test_what_was_bound_before_the_provider_failed_is_kept(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = VirtualSimulator.bind

    def failing(self: VirtualSimulator, request: object) -> NumberBinding:
        if self._db.execute("SELECT count(*) FROM binding").fetchone() == (3,):
            raise ProviderError("the line is down")
        return bind(self, request)  # type: ignore[arg-type]

    carrier.workspace.engine.threads = 1  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(VirtualSimulator, "bind", failing)
        with pytest.raises(ProviderError, match="the line is down"):
            carrier.numbers.bind(wanted(*(f"YT{n}" for n in range(5))))
    before = {row.waybill_no: row.bind_id for row in carrier.numbers.rows()}
    assert sorted(before) == ["YT0", "YT1", "YT2"]
    after = {row.waybill_no: row.bind_id for row in carrier.numbers.bind(wanted(*(f"YT{n}" for n in range(5))))}
    assert before.items() <= after.items()


def test_what_was_bound_beside_a_failure_is_kept(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads ask at once: the answer to a later waybill may come before the failure of an earlier one."""
    bind, later = VirtualSimulator.bind, threading.Event()

    def failing(self: VirtualSimulator, request: NumberRequest) -> NumberBinding:
        if request.phone.value == phone("YT0"):
            assert later.wait(30)
            raise ProviderError("the line is down")
        try:
            return bind(self, request)
        finally:
            later.set()

    carrier.workspace.engine.threads = 2  # type: ignore[attr-defined]
    monkeypatch.setattr(VirtualSimulator, "bind", failing)
    with pytest.raises(ProviderError, match="the line is down"):
        carrier.numbers.bind(wanted("YT0", "YT1"))
    assert [row.waybill_no for row in carrier.numbers.rows()] == ["YT1"]


# -- keeping -----------------------------------------------------------------------------------------------------------


def test_a_number_lives_as_long_as_its_parcel(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1", "YT2"))
    assert carrier.keep()[:4] == (2, 0, 0, 0)
    for _ in range(20):
        carrier.clock.pass_(days=1)
        carrier.scan("YT1", "arrived")
        carrier.scan("YT2", "departed")
        carrier.keep()
    carrier.scan("YT2", "delivered")
    rows = [carrier.row("YT1"), carrier.row("YT2")]
    assert all(row.expires_at > micros(carrier.clock.now() + timedelta(days=3)) for row in rows)
    assert all(map(carrier.rings, rows))
    carrier.clock.pass_(days=2.9)
    assert carrier.keep().unbound == 0
    carrier.clock.pass_(days=0.2)
    kept = carrier.keep()
    assert (kept.bound, kept.unbound) == (1, 1)
    assert carrier.row("YT2").state == "unbound"
    assert not carrier.rings(carrier.row("YT2"))
    assert carrier.rings(carrier.row("YT1"))
    assert carrier.keep().unbound == 0


def test_a_delivery_that_is_told_late_ends_the_number_at_once(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.clock.pass_(days=10)
    carrier.scan("YT1", "arrived", ago=2)
    assert carrier.keep().bound == 1
    carrier.scan("YT1", "delivered", ago=5)  # older than what is known: it changes nothing
    assert carrier.keep().bound == 1
    carrier.scan("YT1", "delivered", ago=1.9)
    assert carrier.keep().bound == 1
    carrier.clock.pass_(days=2)
    assert carrier.keep().unbound == 1


def test_a_return_after_delivery_is_on_its_way_again(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.scan("YT1", "delivered")
    carrier.clock.pass_(days=2)
    carrier.scan("YT1", "returned")
    carrier.clock.pass_(days=7)
    assert carrier.keep().extended == 1
    assert carrier.rings(carrier.row("YT1"))
    carrier.scan("YT1", "delivered")
    carrier.clock.pass_(days=4)
    assert carrier.keep().unbound == 1
    # It moves once more, but its number is gone and may be somebody else's: told when it expires only, never revived.
    carrier.scan("YT1", "returned")
    assert carrier.keep()[:5] == (0, 0, 0, 0, 0)


def test_a_parcel_that_is_never_seen_again_runs_out(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.scan("YT1", "out_for_delivery")
    days = 0
    while carrier.row("YT1").state == "bound":
        carrier.clock.pass_(days=1)
        carrier.keep()
        days += 1
    assert 30 <= days <= 40
    assert carrier.row("YT1").state == "expired"


def test_nothing_outlives_ninety_days(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1"))
    for day in range(100):
        carrier.scan("YT1", "customs_held")
        carrier.keep()
        if not carrier.rings(carrier.row("YT1")):
            assert 83 <= day <= 90
            break
        carrier.clock.pass_(days=1)
    else:
        raise AssertionError("it lives")


def test_a_number_that_ran_out_on_the_way_is_told(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1", "YT2"))
    carrier.clock.pass_(days=16)  # cron was dead
    carrier.scan("YT1", "arrived")
    kept = carrier.keep()
    assert (kept.bound, kept.expired, kept.lapsed) == (0, 2, 1)
    assert carrier.keep()[:5] == (0, 0, 0, 0, 0)
    (anew,) = carrier.numbers.bind(wanted("YT1"))
    assert carrier.rings(anew)


def test_rows_of_ended_numbers_go_after_some_weeks(carrier: Carrier) -> None:
    carrier.numbers.bind(wanted("YT1"))
    assert carrier.numbers.unbind(["YT1", "YT2"]) == 1
    assert carrier.numbers.unbind(["YT1"]) == 0
    carrier.clock.pass_(days=SHOWN_DAYS - 1)
    carrier.keep()
    assert carrier.row("YT1").state == "unbound"
    carrier.clock.pass_(days=2)
    carrier.keep()
    assert not list(carrier.numbers.rows())


def test_an_extension_that_was_not_noted_is_found_again(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.clock.pass_(days=10)
    carrier.scan("YT1", "arrived")
    with monkeypatch.context() as patch:  # killed between the provider's answer and the state
        patch.setattr(bindings.Bindings, "_write", lambda self, changed: None)
        assert carrier.keep().extended == 1
    assert carrier.row("YT1").expires_at == micros(START + timedelta(days=15))
    assert carrier.keep().extended == 1  # to the same end: not twice
    binding = carrier.provider.query(carrier.row("YT1").bind_id)
    assert binding is not None
    assert binding.expires_at == START + timedelta(days=22)
    assert carrier.row("YT1").expires_at == micros(binding.expires_at)


def test_an_extension_that_was_not_noted_is_found_after_the_old_end_too(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.clock.pass_(days=10)
    carrier.scan("YT1", "arrived")
    with monkeypatch.context() as patch:
        patch.setattr(bindings.Bindings, "_write", lambda self, changed: None)
        carrier.keep()
    carrier.clock.pass_(days=6)  # the row says that it has ended, the provider that it lives
    kept = carrier.keep()
    assert (kept.bound, kept.expired) == (1, 0)
    assert carrier.rings(carrier.row("YT1"))
    assert carrier.row("YT1").expires_at == micros(START + timedelta(days=29))


def test_a_number_that_the_provider_ended_by_itself(carrier: Carrier) -> None:
    (row,) = carrier.numbers.bind(wanted("YT1"))
    carrier.provider.unbind(row.bind_id)
    carrier.clock.pass_(days=10)
    carrier.scan("YT1", "arrived")
    carrier.keep()
    assert carrier.row("YT1").state == "unbound"
    carrier.clock.pass_(days=REST_DAYS + 1)
    carrier.keep()


def test_a_provider_that_is_gone_stops_the_run_early_and_nothing_is_lost(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"YT{n:03d}" for n in range(100)]
    carrier.numbers.bind(wanted(*numbers))
    carrier.clock.pass_(days=10)
    for number in numbers:
        carrier.scan(number, "arrived")
    calls = []

    def gone(self: VirtualSimulator, bind_id: str, until: datetime) -> NumberBinding:
        calls.append(bind_id)
        raise ProviderError("the line is down")

    with monkeypatch.context() as patch:
        patch.setattr(VirtualSimulator, "extend", gone)
        kept = carrier.keep()
    assert (kept.failed, kept.error, kept.extended) == (GIVE_UP, "the line is down", 0)
    assert len(calls) < 2 * GIVE_UP
    assert carrier.keep().extended == 100


def test_one_number_that_the_provider_refuses_stops_no_other(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = carrier.numbers.bind(wanted(*(f"YT{n}" for n in range(9))))
    carrier.clock.pass_(days=10)
    for row in rows:
        carrier.scan(row.waybill_no, "arrived")
    extend = VirtualSimulator.extend

    def refusing(self: VirtualSimulator, bind_id: str, until: datetime) -> NumberBinding:
        if bind_id == rows[4].bind_id:
            raise ProviderError("number under review")
        return extend(self, bind_id, until)

    monkeypatch.setattr(VirtualSimulator, "extend", refusing)
    kept = carrier.keep()
    assert (kept.extended, kept.failed, kept.error) == (8, 1, "number under review")


def test_more_than_a_page(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "PAGE", 3)
    carrier.numbers.bind(wanted(*(f"YT{n}" for n in range(10))))
    assert len(list(carrier.numbers.rows())) == 10
    assert carrier.keep().bound == 10


# -- erasure, and rows of others ---------------------------------------------------------------------------------------


def test_erasing_a_waybill_ends_its_number_and_forgets_it(carrier: Carrier, folder: Path) -> None:
    rows = carrier.numbers.bind(wanted("YT4711", "YT4712"))
    carrier.workspace.erase(["YT4711", "YT9"])
    assert not carrier.rings(rows[0])
    assert carrier.rings(rows[1])
    assert not list(carrier.numbers.rows(["YT4711"]))
    held = b"".join(path.read_bytes() for path in folder.glob("state.db*"))
    assert b"YT4712" in held
    assert b"YT4711" not in held


def test_erasing_days_ends_what_was_bound_before(carrier: Carrier) -> None:
    (old,) = carrier.numbers.bind(wanted("YT1"))
    carrier.clock.pass_(days=2)
    (new,) = carrier.numbers.bind(wanted("YT2"))
    carrier.workspace.erase_before(date(2026, 11, 25))
    assert not carrier.rings(old)
    assert carrier.rings(new)
    assert [row.waybill_no for row in carrier.numbers.rows()] == ["YT2"]


def test_an_erasure_holds_when_the_provider_is_gone_and_is_ended_by_a_repetition(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = carrier.numbers.bind(wanted("YT1", "YT2"))
    unbind = VirtualSimulator.unbind

    def half(self: VirtualSimulator, bind_id: str) -> None:
        if bind_id == rows[0].bind_id:
            raise ProviderError("the line is down")
        unbind(self, bind_id)

    erased = []
    ring = carrier.workspace.ring
    monkeypatch.setattr(ring, "erase", lambda numbers, day=None: erased.append(list(numbers)))
    with monkeypatch.context() as patch:
        patch.setattr(VirtualSimulator, "unbind", half)
        with pytest.raises(ProviderError, match="1 virtual numbers could not be unbound: the line is down"):
            carrier.workspace.erase(["YT1", "YT2"])
    assert erased == [["YT1", "YT2"]]
    assert [row.waybill_no for row in carrier.numbers.rows()] == ["YT1"]
    carrier.workspace.erase(["YT1", "YT2"])
    assert not list(carrier.numbers.rows())
    assert not carrier.rings(rows[0])


def test_a_waybill_erased_while_its_number_is_extended_stays_forgotten(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier.numbers.bind(wanted("YT1"))
    carrier.clock.pass_(days=10)
    carrier.scan("YT1", "arrived")
    extend = VirtualSimulator.extend

    def meanwhile(self: VirtualSimulator, bind_id: str, until: datetime) -> NumberBinding:
        done = extend(self, bind_id, until)
        carrier.numbers.forget(["YT1"])
        return done

    monkeypatch.setattr(VirtualSimulator, "extend", meanwhile)
    carrier.keep()
    assert not list(carrier.numbers.rows())


@pytest.mark.parametrize("column", ["number", "extension", "bind_id", "expires_at", "waybill_no"])
def test_t10_a_row_that_an_administrator_wrote_counts_for_nothing(carrier: Carrier, column: str) -> None:
    mine, yours = carrier.numbers.bind(wanted("YT1", "YT2"))
    forged = {
        "number": "95013999999999",
        "extension": "6666",
        "bind_id": yours.bind_id,
        "expires_at": mine.expires_at + 1,
        "waybill_no": "YT3",
    }
    row = msgspec.structs.replace(carrier.row("YT1"), **{column: forged[column]})
    carrier.put(row)
    assert row.waybill_no not in carrier.numbers.living([row.waybill_no])
    assert carrier.keep().forged == 1
    assert carrier.numbers.unbind([row.waybill_no]) == 0
    carrier.numbers.forget([row.waybill_no])  # it goes, and ends nobody else's number
    assert carrier.rings(yours)
    if column != "waybill_no":  # bound again, the provider's word counts
        (again,) = carrier.numbers.bind(wanted("YT1"))
        assert (again.number, again.extension, again.bind_id) == (mine.number, mine.extension, mine.bind_id)


def test_without_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    Workspace.init(tmp_path / "w", Settings(tenant="w"), "secret")
    with Workspace.open(tmp_path / "w", lambda: "secret") as workspace:
        assert not list(workspace.numbers.rows())
        with pytest.raises(WorkspaceError, match="no provider"):
            workspace.numbers.bind(wanted("YT1"))
        with pytest.raises(WorkspaceError, match="no provider"):
            workspace.numbers.keep(workspace.custody)
        workspace.erase(["YT1"])


def test_a_provider_that_was_taken_away_does_not_stand_against_erasing(carrier: Carrier, folder: Path) -> None:
    carrier.numbers.bind(wanted("YT1"))
    path = folder / "parcelveil.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("simulator:numbers.db", ""), "utf-8")
    with Workspace.open(folder, lambda: "secret", carrier.clock) as workspace:
        workspace.erase(["YT1"])
        assert not list(workspace.numbers.rows())


@pytest.mark.parametrize("uri", ["alibaba:x", "simulator:", "numbers.db"])
def test_a_provider_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    Workspace.init(tmp_path / "w", Settings(tenant="w", virtual_numbers=uri), "secret")
    with (
        Workspace.open(tmp_path / "w", lambda: "secret") as workspace,
        pytest.raises(WorkspaceError, match="is not understood"),
    ):
        workspace.numbers.provider  # noqa: B018


def test_the_provider_is_closed_with_the_workspace(carrier: Carrier) -> None:
    provider = carrier.provider
    carrier.workspace.__exit__(None, None, None)
    with pytest.raises(sqlite3.ProgrammingError):
        provider._db.execute("SELECT 1")
