"""Subjects: whom an entry is about can be found with the keys, cannot be told without them, and can be forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.kept_log import Kept, Months
from parcelveil.adapt import key_file
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.audit.entry import MAX_SUBJECTS, Look
from parcelveil.audit.subjects import DOCUMENT_PLACE, Subjects
from parcelveil.errors import LogError, ParcelveilError
from parcelveil.ports import SubjectRow
from parcelveil.workspace import Settings, Workspace

WAYBILLS = [("waybill", f"YT000000000000{i}") for i in range(5)]


def made(months: Months | None = None) -> tuple[Subjects, list[SubjectRow]]:
    subjects = (months or Months()).subjects()
    subjects.prepare()
    return subjects, subjects.rows(subjects.commit(17, WAYBILLS, "D-1"))


def raw(folder: Path) -> bytes:
    """Everything that the database has on disk."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("state.db*")))


def look_at(kept: Kept, waybill: str) -> int:
    with kept.log.begin() as batch:
        look = Look(time=batch.time, actor="s-1", role="courier", scene="deliver", waybills=1)
        return batch.append(look, [("waybill", waybill)])


def test_rows_open_to_what_was_committed() -> None:
    subjects, rows = made()
    found = [subjects.open(row) for row in rows]
    assert [(s.entry, s.kind, s.value) for s in found] == [
        (17, kind, value) for kind, value in [*WAYBILLS, ("document", "D-1")]
    ]
    assert [s.place for s in found] == [0, 1, 2, 3, 4, DOCUMENT_PLACE]
    assert len({s.salt for s in found}) == 6 and {len(s.salt) for s in found} == {16}


def test_salts_are_fresh_every_time() -> None:
    subjects, _ = made()
    first, second = (subjects.commit(1, WAYBILLS) for _ in range(2))
    assert not {s.commitment for s in first} & {s.commitment for s in second}


def test_t10_rows_cannot_be_swapped() -> None:
    subjects, rows = made()
    moved = [
        msgspec.structs.replace(rows[0], place=1),
        msgspec.structs.replace(rows[0], entry=18),
        msgspec.structs.replace(rows[0], sealed=rows[1].sealed),
        msgspec.structs.replace(rows[0], token=rows[1].token),  # erasing the one would erase the other
        msgspec.structs.replace(rows[0], token=bytes(16)),
        msgspec.structs.replace(rows[0], sealed=b""),
        msgspec.structs.replace(rows[0], sealed=rows[0].sealed[:-1]),
        *(
            msgspec.structs.replace(rows[0], sealed=rows[0].sealed[:i] + bytes([b ^ 1]) + rows[0].sealed[i + 1 :])
            for i, b in enumerate(rows[0].sealed)
        ),
    ]
    for row in moved:
        with pytest.raises(LogError, match="were changed") as caught:
            subjects.open(row)
        assert "YT" not in str(caught.value) and caught.value.__suppress_context__


def test_a_row_of_another_month_does_not_open() -> None:
    months = Months()
    subjects, rows = made(months)
    months.month = 202612
    subjects.prepare()
    with pytest.raises(LogError, match="were changed"):
        subjects.open(msgspec.structs.replace(rows[0], period=202612))
    with pytest.raises(LogError, match="erased"):
        subjects.open(msgspec.structs.replace(rows[0], period=202601))
    assert subjects.open(rows[0]).value == WAYBILLS[0][1]


def test_tokens_find_the_rows_of_all_months(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    entries = []
    for month in (202610, 202611, 202612):
        kept.months.month = month
        entries += [look_at(kept, "YT1"), look_at(kept, "YT2")]
    tokens = kept.log.subjects.tokens([("waybill", "YT1")])
    assert len(set(tokens)) == 3  # unlike from month to month
    with kept.store.transaction() as tx:
        rows = [row for token in tokens for row in tx.subjects_of_token(token)]
    assert sorted(row.entry for row in rows) == entries[::2]
    assert {kept.log.subjects.open(row).value for row in rows} == {"YT1"}
    assert not set(tokens) & set(kept.log.subjects.tokens([("document", "YT1"), ("waybill", "YT2")]))


def test_t10_a_month_that_another_process_began_is_found_too(tmp_path: Path) -> None:
    """Who opened the workspace last month erases what others logged this month."""
    months = Months(202610)
    known: list[int] = []  # what this process's key ring knows

    def secret(purpose: str, period: int) -> bytes:
        found = months.secret(purpose, period)
        known[:] = sorted(months.made)  # making a key, the ring reads the store again
        return found

    old = Subjects(secret, lambda _purpose: known, lambda: months.month)
    old.prepare()
    months.month = 202611
    other = months.subjects()
    other.prepare()
    (row,) = other.rows(other.commit(1, [("waybill", "YT1")]))
    assert row.token in old.tokens([("waybill", "YT1")])


def test_a_destroyed_month_is_forgotten_here_too() -> None:
    months = Months(202610)
    subjects, rows = made(months)
    months.month = 202611
    subjects.prepare()
    assert subjects.open(rows[0]).value == WAYBILLS[0][1]
    months.made.discard(202610)
    with pytest.raises(LogError, match="was erased"):
        subjects.open(rows[0])
    assert 202610 not in subjects._keys


def test_t10_erased_salts_are_nowhere_in_the_database(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for i in range(120):
        with kept.log.begin() as batch:
            look = Look(time=batch.time, actor="s-1", role="courier", scene="deliver", waybills=9)
            batch.append(look, [("waybill", f"YT{(i * 7 + k) % 97}") for k in range(9)], "D-1")
        if i == 60:
            kept.store.settle()
    gone = [("waybill", f"YT{k}") for k in range(0, 97, 2)]
    tokens = kept.log.subjects.tokens(gone)
    with kept.store.transaction() as tx:
        erased = [row for token in tokens for row in tx.subjects_of_token(token)]
        left = [row for i in range(1, 121) for row in tx.subjects_of_entry(i) if row.token not in tokens]
    before = raw(tmp_path)
    assert all(row.sealed in before for row in erased) and len(erased) > 500
    with kept.store.transaction() as tx:
        assert tx.erase_subjects(tokens) == len(erased)
        assert tx.erase_subjects(tokens) == 0
    kept.store.settle()
    after = raw(tmp_path)
    assert not [row for row in erased if row.sealed in after or row.token in after]
    salts = [kept.log.subjects.open(row).salt for row in erased]
    assert not [salt for salt in salts if salt in after]
    assert all(row.sealed in after and row.token in after for row in left)
    kept.close()
    assert not [row for row in erased if row.sealed in raw(tmp_path) or row.token in raw(tmp_path)]


def test_too_many() -> None:
    subjects, _ = made()
    with pytest.raises(LogError, match="500"):
        subjects.commit(1, [("waybill", "YT")] * (MAX_SUBJECTS + 1))


def test_repr_shows_no_value_and_no_key() -> None:
    subjects, rows = made()
    subject = subjects.open(rows[0])
    assert repr(subject) == "<Subject 17/0>" and f"{[subject]}" == "[<Subject 17/0>]"
    assert repr(subjects._of(202611)) == "<salts keys>"


# -- with a key ring ------------------------------------------------------------------------------------------------


class Day:
    """A clock of one day."""

    def __init__(self, *day: int) -> None:
        self.time = datetime(*day, 4, tzinfo=UTC)  # type: ignore[arg-type, misc]

    def now(self) -> datetime:
        return self.time

    def uptime(self) -> tuple[str, int]:
        return "", 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    Workspace.init(tmp_path / "acme", Settings(tenant="acme"), "secret", Day(2026, 10, 5))
    return tmp_path / "acme"


def look_in(workspace: Workspace, waybill: str) -> int:
    with workspace.log.begin() as batch:
        look = Look(time=batch.time, actor="s-1", role="courier", scene="deliver", waybills=1)
        return batch.append(look, [("waybill", waybill)], "DOC-4711")


def test_t10_a_database_without_the_key_ring_tells_nothing(folder: Path) -> None:
    number = "YT7310000000042"
    with Workspace.open(folder, lambda: "secret", Day(2026, 10, 5)) as workspace:
        entry = look_in(workspace, number)
        with workspace.store.transaction() as tx:
            rows = tx.subjects_of_entry(entry)
        salts = [workspace.log.subjects.open(row).salt for row in rows]
        while_open = raw(folder)
    for data in (while_open, raw(folder)):
        assert number.encode() not in data and b"DOC-4711" not in data
        assert not [salt for salt in salts if salt in data]
    everywhere = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert number.encode() not in everywhere and b"DOC-4711" not in everywhere
    (folder / "kek.key").unlink()
    with pytest.raises(ParcelveilError):
        Workspace.open(folder, lambda: "secret", Day(2026, 10, 5))


def test_t7_destroyed_months_open_in_no_backup(folder: Path, tmp_path: Path) -> None:
    with Workspace.open(folder, lambda: "secret", Day(2026, 10, 5)) as workspace:
        old = look_in(workspace, "YT1")
        workspace.store.settle()
    backup = (folder / "state.db").read_bytes()
    with Workspace.open(folder, lambda: "secret", Day(2026, 11, 5)) as workspace:
        assert workspace.log.accept_clock() == 31
        new = look_in(workspace, "YT1")
        with workspace.store.transaction() as tx:
            before, after = tx.subjects_of_entry(old)[0], tx.subjects_of_entry(new)[0]
        assert workspace.log.subjects.open(before).kind == "document"
        workspace.erase_before(date(2026, 11, 1))
        with pytest.raises(ParcelveilError, match="erased"):
            workspace.log.subjects.open(before)
        assert workspace.log.subjects.open(after).value == "DOC-4711"
        assert len(workspace.log.subjects.tokens([("waybill", "YT1")])) == 1
    (folder / "state.db").write_bytes(backup)
    for rest in folder.glob("state.db-*"):
        rest.unlink()
    store = SqliteStore(folder / "state.db")
    with store.transaction() as tx:
        assert tx.subjects_of_entry(old)  # the row is back, and its key is not
    store.close()
    with pytest.raises(ParcelveilError):
        Workspace.open(folder, lambda: "secret", Day(2026, 11, 5)).log.subjects.open(before)


def test_erasing_a_waybill_erases_its_salts(folder: Path) -> None:
    with Workspace.open(folder, lambda: "secret", Day(2026, 10, 5)) as workspace:
        entries = [look_in(workspace, number) for number in ("YT1", "YT2", "YT1")]
        workspace.erase(["YT1"])
        with workspace.store.transaction() as tx:
            left = [[workspace.log.subjects.open(row).value for row in tx.subjects_of_entry(i)] for i in entries]
    assert left == [["DOC-4711"], ["DOC-4711", "YT2"], ["DOC-4711"]]


@given(st.lists(st.text(max_size=40), min_size=30, max_size=60))
@settings(max_examples=25, deadline=None)
def test_many_rows_at_once_are_the_rows_one_by_one(values: list[str]) -> None:
    subjects = Months().subjects()
    subjects.prepare()
    texts = [value.replace("\0", "") for value in values]
    made = subjects.commit(1 << 40, [("waybill", text) for text in texts], "paper")
    together = subjects.rows(made)
    assert together == [row for subject in made for row in subjects.rows([subject])]
    assert [subjects.open(row) for row in together] == made
