"""A carrier at work: a workspace, sealed waybills, work events, staff with enrolled devices, and a clock to set."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt import key_file
from parcelveil.adapt.sealed_files import SealedBatch
from parcelveil.audit.entry import AnyEntry, decode
from parcelveil.audit.note import VerifierKey
from parcelveil.audit.proof import verify_receipt
from parcelveil.audit.reconcile import compare
from parcelveil.audit.tiles import TileReader, directory
from parcelveil.audit.verify import verify_log
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal.custody import micros
from parcelveil.reveal.desk import Desk
from parcelveil.reveal.request import Answers, Credentials, Request, Search, Secret
from parcelveil.reveal.scenes import Scenes, default_text, parse_scenes
from parcelveil.reveal.staff import Hired, enrol, put
from parcelveil.seal import few, kernel
from parcelveil.simulate.parcels import parcels
from parcelveil.waybill import WAYBILL, personal_fields
from parcelveil.workspace import Settings, Workspace

PASSPHRASE = "correct horse battery staple"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
#: Number, roles, outlets. ``gone-1`` is suspended, the rented accounts work at an outlet without parcels.
STAFF = [
    ("c-1", "courier", "O1"),
    ("c-2", "courier", "O1"),
    ("k-1", "clerk", "O1"),
    ("k-2", "clerk", "O2"),
    ("cs-1", "customer_service", ""),
    ("cs-2", "customer_service", ""),
    ("inv-1", "investigator", ""),
    ("an-1", "analyst", ""),
    ("ap-1", "approver", ""),
    ("ap-2", "approver", ""),
    ("pa-1", "policy_author", ""),
    ("pp-1", "policy_approver", ""),
    ("au-1", "auditor", ""),
    ("sk-1", "salt_keeper", ""),
    ("gone-1", "courier", "O1"),
    ("rented-1", "clerk", "O9"),
    ("rented-2", "clerk", "O9"),
]
ROLES = {number: role for number, role, _ in STAFF}
OUTLETS = {number: outlet for number, _, outlet in STAFF}
#: Where the parcels are, by their place among the numbers.
WITH_C1, WITH_C2, AT_O2, LEFT_O1, TICKETED, NOWHERE = (
    slice(0, 100),
    slice(100, 200),
    slice(200, 300),
    slice(300, 340),
    slice(340, 350),
    slice(400, 600),
)
TICKET, OWN_TICKET, CLOSED_TICKET = "T-100", "T-200", "T-300"


class SetClock:
    """Both clocks of a machine: the wall's, which anybody can turn, and the one since its start, which nobody can."""

    def __init__(self, now: datetime = NOON) -> None:
        self.wall = now
        self.since_boot = 3_600_000_000
        self.boot = "boot-1"

    def now(self) -> datetime:
        return self.wall

    def uptime(self) -> tuple[str, int]:
        return self.boot, self.since_boot

    def pass_(self, **time: float) -> None:
        """Time goes by, on both."""
        passed = timedelta(**time)
        self.wall += passed
        self.since_boot += passed // timedelta(microseconds=1)


class Made(NamedTuple):
    folder: Path
    clear: pa.RecordBatch
    sealed: pa.RecordBatch
    keys: dict[str, bytes]


def _events(numbers: list[str]) -> list[Work]:
    def event(at: float, step: BizStep, waybill: str | None = None, **columns: str | None) -> Work:
        moment = NOON - timedelta(hours=at)
        name = f"{step}-{waybill}-{columns.get('ticket')}-{columns.get('outlet')}"
        return Work(event_id=name, event_time=moment, biz_step=step, waybill_no=waybill, **columns)

    made = [event(3, BizStep.OUT_FOR_DELIVERY, n, outlet="O1", actor="c-1") for n in numbers[WITH_C1]]
    made += [event(3, BizStep.OUT_FOR_DELIVERY, n, outlet="O1", actor="c-2") for n in numbers[WITH_C2]]
    made += [event(3, BizStep.ARRIVED, n, outlet="O2") for n in numbers[AT_O2]]
    made += [event(5, BizStep.ARRIVED, n, outlet="O1") for n in numbers[LEFT_O1]]
    made += [event(1, BizStep.DEPARTED, n, outlet="O1", to_outlet="O2") for n in numbers[LEFT_O1]]
    for n in numbers[TICKETED]:
        made.append(event(6, BizStep.ARRIVED, n, outlet="O2"))
        made += [event(2, BizStep.TICKET_OPENED, n, ticket=t, actor="customer") for t in (TICKET, CLOSED_TICKET)]
        made.append(event(2, BizStep.TICKET_OPENED, n, ticket=OWN_TICKET, actor="cs-1"))
    made.append(event(1, BizStep.TICKET_CLOSED, None, ticket=CLOSED_TICKET))
    return made


@pytest.fixture(scope="session")
def made_carrier(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made") / "acme"
    clock = SetClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_file, "_SCRYPT_N", 1 << 8)
        Workspace.init(folder, Settings(tenant="acme"), PASSPHRASE, clock)
    clear = next(parcels(600, seed=20))
    with Workspace.open(folder, lambda: PASSPHRASE, clock) as workspace:
        days = kernel.days_of(clear, 480, workspace.ring.today())
        sealed = kernel.seal_batch(clear, workspace.ring.seal_keys(np.unique(days).tolist()))
        workspace.custody.load([work_batch(_events(clear["waybill_no"].to_pylist()))], now=micros(NOON))
        hired = [
            Hired(number, frozenset({role}), frozenset({outlet} if outlet else ()), number != "gone-1")
            for number, role, outlet in STAFF
        ]
        put(workspace.log, parse_scenes(default_text()), hired)
        keys = {number: enrol(workspace.log, number, f"d-{number}") for number, _, _ in STAFF}
    return Made(folder, clear, sealed, keys)


class Carrier:
    """The carrier of one test, in a folder of its own."""

    def __init__(self, made: Made, folder: Path) -> None:
        self.folder, self.clear, self.sealed, self.keys = folder, made.clear, made.sealed, dict(made.keys)
        self.numbers: list[str] = made.clear["waybill_no"].to_pylist()
        self.clock = SetClock()
        self.workspace = self.open()
        self.source = SealedBatch(made.sealed)
        self.desk: Desk = self.workspace.desk(self.source)
        self.log = self.workspace.log

    def open(self) -> Workspace:
        """The same workspace once more, as another process has it."""
        return Workspace.open(self.folder, lambda: PASSPHRASE, self.clock)

    @property
    def scenes(self) -> Scenes:
        return parse_scenes(default_text())

    def who(self, number: str, **changed: object) -> Credentials:
        words: dict[str, object] = {
            "actor": number,
            "role": ROLES.get(number, "courier"),
            "outlet": OUTLETS.get(number, ""),
            "device": f"d-{number}",
            "device_key": Secret(self.keys.get(number, bytes(32))),
        }
        return Credentials(**{**words, **changed})  # type: ignore[arg-type]

    def request(
        self,
        number: str,
        scene: str,
        waybills: list[str] | tuple[str, ...],
        fields: tuple[str, ...] = ("to_name", "to_phone"),
        **changed: object,
    ) -> Request:
        who = self.who(number)
        words: dict[str, object] = {name: getattr(who, name) for name in who.__struct_fields__}
        words |= {"scene": scene, "waybills": tuple(waybills), "fields": fields}
        return Request(**{**words, **changed})  # type: ignore[arg-type]

    def look(self, number: str, scene: str, waybills: list[str], *fields: str, **changed: object) -> Answers:
        return self.desk.look(self.request(number, scene, waybills, fields or ("to_name", "to_phone"), **changed))

    def search(self, number: str, value: bytes | str, **changed: object) -> Answers:
        who = self.who(number)
        words: dict[str, object] = {name: getattr(who, name) for name in who.__struct_fields__}
        words["value"] = Secret(value.encode() if isinstance(value, str) else value)
        return self.desk.search(Search(**{**words, **changed}), "CN")  # type: ignore[arg-type]

    def cell(self, number: str, column: str) -> str | None:
        value: str | None = self.clear[column][self.numbers.index(number)].as_py()
        return value

    # -- what is written down --------------------------------------------------------------------------------

    def data(self) -> list[bytes]:
        size = self.log.publish()
        reader = TileReader(directory(self.log.folder), size)
        return [reader.entry(index) for index in range(size)]

    def entries(self, *kinds: str, since: int = 0) -> list[AnyEntry]:
        found = [decode(data) for data in self.data()[since:]]
        return [entry for entry in found if not kinds or entry.kind in kinds]

    def size(self) -> int:
        return self.log.state().size

    def everything_written(self) -> bytes:
        """Every byte of the log and of the state."""
        self.log.publish()
        files = [*self.folder.glob("state.db*"), *(p for p in self.log.folder.rglob("*") if p.is_file())]
        assert len(files) > 4
        return b"\n".join(path.read_bytes() for path in sorted(files))

    def vkey(self) -> VerifierKey:
        return VerifierKey.parse((self.log.folder / "log.vkey").read_text("ascii"))

    def receipts_hold(self, answers: Answers) -> list[AnyEntry]:
        """The entries that the receipts prove."""
        self.log.publish()
        return [decode(verify_receipt(text, self.vkey()).entry) for text in answers.receipts]

    def balanced(self) -> int:
        """The log verifies, and as much was drawn as it says was opened; how many values that is."""
        self.log.publish()
        with self.workspace.store.transaction() as tx:
            drawn, heads = tx.drawn(), tx.heads()
        verdict = verify_log(directory(self.log.folder), self.vkey(), heads=heads, offset_minutes=480, deep=True)
        days = compare(verdict.values, drawn)
        assert all(day.opened == day.logged for day in days), days
        return sum(day.logged for day in days)


@pytest.fixture
def carrier(made_carrier: Made, tmp_path: Path) -> Iterator[Carrier]:
    shutil.copytree(made_carrier.folder, tmp_path / "acme")
    carrier = Carrier(made_carrier, tmp_path / "acme")
    yield carrier
    carrier.workspace.store.close()


class Opened:
    """How many values were opened, and how often either way was gone."""

    def __init__(self) -> None:
        self.calls = 0
        self.values = 0


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    seen = Opened()
    one, many = few.open_few, kernel.open_rows

    def count(records: list[dict[str, str | None]]) -> None:
        seen.calls += 1
        names = [field.name for field in personal_fields(WAYBILL)]
        seen.values += sum(record.get(name) is not None for record in records for name in names)

    def open_few(*args: object, **more: object) -> object:
        records, status = one(*args, **more)  # type: ignore[arg-type]
        count(records)
        return records, status

    def open_rows(*args: object, **more: object) -> object:
        clear, status = many(*args, **more)  # type: ignore[arg-type]
        count(clear.to_pylist())
        return clear, status

    monkeypatch.setattr(few, "open_few", open_few)
    monkeypatch.setattr(kernel, "open_rows", open_rows)
    return seen
