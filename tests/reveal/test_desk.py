"""The desk at its work: every answer, what the log says of it, and nothing opened that is not in the log first."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt.sealed_files import SealedBatch
from parcelveil.adapt.store_sqlite import SqliteTransaction
from parcelveil.audit.subjects import Subject
from parcelveil.errors import InputError, KeyAccessError, OutputError, UsageError
from parcelveil.reveal.desk import Desk
from parcelveil.reveal.request import ANSWERS, Answers
from parcelveil.seal import few, kernel
from parcelveil.waybill import SEALED, mask_name
from reveal.conftest import AT_O2, TICKET, TICKETED, WITH_C1, WITH_C2, Carrier, Opened


def one(answers: Answers) -> tuple[str, str]:
    (answer,) = answers.answers
    return answer.answer, answer.reason


# -- answers -------------------------------------------------------------------------------------------------


def test_every_answer_occurs_and_stands_in_the_log(carrier: Carrier) -> None:
    mine, at_o2 = carrier.numbers[WITH_C1], carrier.numbers[AT_O2]
    carrier.workspace.erase([mine[3]])
    size = carrier.size()
    seen = {
        one(carrier.look("c-1", "deliver", [mine[0]])): ("look", mine[0]),
        one(carrier.look("c-1", "deliver", [mine[0]], "from_name")): ("refusal", mine[0]),
        one(carrier.look("inv-1", "lawful_request", [mine[1]], document="D-1")): ("refusal", mine[1]),
        one(carrier.look("c-1", "deliver", [at_o2[0]])): ("refusal", at_o2[0]),
        one(carrier.look("c-1", "deliver", [mine[3]])): ("refusal", mine[3]),
        one(carrier.look("cs-1", "lookup", ["NOPE"], form="masked")): ("refusal", "NOPE"),
    }
    for start in range(0, 300, 100):
        last = carrier.look("c-1", "deliver", mine[:100] if start < 200 else mine[:99], form="masked")
    seen[one(carrier.look("c-1", "deliver", [mine[0]], form="masked"))] = ("refusal", mine[0])
    assert last.left == 0
    assert {answer for answer, _ in seen} == set(ANSWERS)
    assert {reason for answer, reason in seen if answer == "over-quota"} == {"quota-used-up"}
    entries = carrier.entries("look", "refusal", since=size)
    assert {e.answer for e in entries if e.kind == "refusal"} == set(ANSWERS) - {"opened"}  # type: ignore[union-attr]
    assert [e.kind for e in entries[:6]] == [kind for kind, _ in seen.values()][:6]
    for entry in entries[:6]:
        assert entry.waybills == 1
        assert entry.actor.startswith("s-")
        assert len(entry.subjects) == (getattr(entry, "answer", "") != "erased")  # it gets no new salt
        assert entry.scene in ("deliver", "lawful_request", "lookup")
    carrier.balanced()


def test_opened_values_are_those_that_were_sealed(carrier: Carrier, opened: Opened) -> None:
    mine = carrier.numbers[WITH_C1]
    for count in (1, few.FEW, few.FEW + 1, 60):  # both ways of opening
        before = carrier.balanced()
        answers = carrier.look("c-1", "deliver", mine[:count], "to_name", "to_address", "note")
        assert answers.opened
        for answer in answers.answers:
            assert answer.values == {f: carrier.cell(answer.waybill, f) for f in ("to_name", "to_address", "note")}
        values = sum(v is not None for a in answers.answers for v in (a.values or {}).values())
        assert carrier.balanced() - before == values
    assert carrier.balanced() == opened.values


def test_receipts_prove_the_entries(carrier: Carrier) -> None:
    mine, at_o2 = carrier.numbers[WITH_C1], carrier.numbers[AT_O2]
    answers = carrier.look("c-1", "deliver", [mine[0], at_o2[0], mine[1]])
    assert [a.answer for a in answers.answers] == ["opened", "not-in-custody", "opened"]
    look, refusal = carrier.receipts_hold(answers)
    assert (look.kind, look.waybills, look.request) == ("look", 2, answers.request)  # type: ignore[union-attr]
    assert (refusal.kind, refusal.waybills, refusal.request) == ("refusal", 1, answers.request)  # type: ignore[union-attr]


def test_a_request_for_nothing_is_refused_and_logged(carrier: Carrier) -> None:
    size = carrier.size()
    assert one(carrier.look("c-1", "deliver", [])) == ("refused", "no-waybill")
    assert not carrier.look("c-1", "deliver", []).opened
    assert [e.kind for e in carrier.entries(since=size)] == ["refusal", "refusal"]


def test_one_waybill_named_twice_counts_twice(carrier: Carrier) -> None:
    number = carrier.numbers[0]
    answers = carrier.look("c-1", "deliver", [number] * 3)
    assert answers.left == 297
    assert [a.values for a in answers.answers] == [answers.answers[0].values] * 3
    assert carrier.balanced() == 6


def test_the_ticket_opens_what_it_names_only(carrier: Carrier) -> None:
    named, other = carrier.numbers[TICKETED][0], carrier.numbers[AT_O2][0]
    assert one(carrier.look("cs-1", "contact", [named], "to_phone", ticket=TICKET)) == ("opened", "")
    assert one(carrier.look("cs-1", "contact", [other], "to_phone", ticket=TICKET))[0] == "not-in-custody"
    assert one(carrier.look("cs-1", "contact", [named], "to_phone"))[0] == "not-in-custody"
    tickets = [e.ticket for e in carrier.entries("look", "refusal")]  # type: ignore[union-attr]
    assert tickets == [TICKET, TICKET, ""]


def test_lookup_and_the_rest_of_a_mixed_group(carrier: Carrier) -> None:
    """Requests of many kinds in one group: each gets what it would get alone."""
    mine, his, at_o2 = carrier.numbers[WITH_C1], carrier.numbers[WITH_C2], carrier.numbers[AT_O2]
    requests = [
        carrier.request("c-1", "deliver", mine[:3]),
        carrier.request("c-2", "deliver", [his[0], mine[0]], ("to_phone",)),
        carrier.request("k-2", "lookup", at_o2[:20], ("to_name", "goods_name"), form="masked"),
        carrier.request("k-2", "deliver", at_o2[:30], ("to_name", "to_address")),
        carrier.request("cs-1", "contact", carrier.numbers[TICKETED], ("to_phone",), ticket=TICKET),
        carrier.request("gone-1", "deliver", mine[:2]),
        carrier.request("c-1", "print", mine[:2]),
    ]
    together = carrier.desk._run(requests)
    alone = [carrier.desk.look(request) for request in requests]
    for group, single in zip(together, alone, strict=True):
        assert isinstance(group, Answers)
        assert [(a.answer, a.reason, a.values) for a in group.answers] == [
            (a.answer, a.reason, a.values) for a in single.answers
        ]
    assert Counter(a.answer for g in alone for a in g.answers) == {"opened": 64, "not-in-custody": 1, "refused": 4}
    carrier.balanced()


def test_explain_opens_nothing_and_is_logged(carrier: Carrier, opened: Opened) -> None:
    size = carrier.size()
    request = carrier.request("c-1", "deliver", [carrier.numbers[0], carrier.numbers[AT_O2][0]])
    (first, yes), (second, no) = carrier.desk.explain(request)
    assert (first, second) == request.waybills
    assert "look-for-a-purpose" in yes[-1] or "opened" in yes[0]
    assert "custody-missing" in " ".join(no)
    (entry,) = carrier.entries(since=size)
    assert (entry.kind, entry.action, entry.reason, entry.waybills) == ("refusal", "explain", "only-explained", 2)  # type: ignore[union-attr]
    assert opened.calls == 0
    with pytest.raises(UsageError, match="at most 100"):
        carrier.desk.explain(carrier.request("c-1", "deliver", carrier.numbers[:101]))


# -- log first, then open ------------------------------------------------------------------------------------

_WRITES = ["add_group", "add_head", "add_subjects", "set_log_state", "use", "draw", "log_state", "generation", "used"]


@pytest.mark.parametrize("statement", _WRITES)
@pytest.mark.parametrize(
    "error",
    [
        OutputError("state.db could not be written: {why}", why="database or disk is full"),
        MemoryError(),
        KeyboardInterrupt(),
    ],
    ids=["disk-full", "memory", "ctrl-c"],
)
def test_t6_nothing_is_opened_when_the_transaction_fails(
    carrier: Carrier, opened: Opened, monkeypatch: pytest.MonkeyPatch, statement: str, error: BaseException
) -> None:
    before = carrier.size()

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(SqliteTransaction, statement, fail)
        with pytest.raises(type(error)):
            carrier.look("c-1", "deliver", carrier.numbers[:3])
    assert opened.calls == 0
    # At most that it was asked: nothing of the look itself has happened.
    assert [e.reason for e in carrier.entries(since=before)] in ([], ["desk-error"])  # type: ignore[union-attr]
    assert carrier.balanced() == 0
    again = carrier.look("c-1", "deliver", carrier.numbers[:3])  # and nothing is left locked, or counted
    assert again.opened
    assert again.left == 297
    assert carrier.balanced() == 6 == opened.values


def test_t6_nothing_is_opened_when_the_commit_fails(carrier: Carrier, opened: Opened) -> None:
    """A real full disk: SQLite may not grow the file any more."""
    store = carrier.workspace.store
    db = store._db  # type: ignore[attr-defined]
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="full"):
        for _ in range(50):
            carrier.look("c-1", "deliver", ["X" * 60] * 100)
    assert opened.calls == 0
    with pytest.raises(OutputError):
        carrier.look("c-1", "deliver", carrier.numbers[:90])
    assert opened.calls == 0
    db.execute("PRAGMA max_page_count = 1073741823")
    assert carrier.look("c-1", "deliver", carrier.numbers[:90]).opened
    assert carrier.balanced() == opened.values


_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from parcelveil.seal import few, kernel
from reveal.conftest import Carrier, Made
import pyarrow as pa
made = pa.ipc.open_file({rows!r})
carrier = Carrier(Made(Path({folder!r}), made.get_batch(0), pa.ipc.open_file({sealed!r}).get_batch(0), {keys!r}), Path({folder!r}))
def die(*_, **__):
    print("opening", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
few.open_few = kernel.open_rows = die
carrier.look("c-1", "deliver", carrier.numbers[:2])
"""


def test_t6_killed_between_log_and_opening(carrier: Carrier, tmp_path: Path) -> None:
    """Who kills the desk before it opens leaves a look in the log that nobody had; never the reverse."""
    for name, batch in (("clear", carrier.clear), ("sealed", carrier.sealed)):
        with pa.ipc.new_file(tmp_path / name, batch.schema) as writer:
            writer.write_batch(batch)
    script = _KILLED.format(
        tests=str(Path(__file__).parent.parent),
        rows=str(tmp_path / "clear"),
        sealed=str(tmp_path / "sealed"),
        folder=str(carrier.folder),
        keys=carrier.keys,
    )
    size = carrier.size()
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert ran.stdout == "opening\n"
    assert carrier.size() == size + 1
    (look,) = carrier.entries("look")
    assert (look.waybills, look.values) == (2, 4)  # type: ignore[union-attr]
    assert carrier.balanced() == 4
    assert carrier.look("c-1", "deliver", carrier.numbers[:2]).left == 296


def test_t6_the_entry_is_durable_before_anything_is_opened(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = few.open_few

    def watched(*args: object, **more: object) -> object:
        with sqlite3.connect(f"file:{carrier.folder / 'state.db'}?mode=ro", uri=True) as db:  # as another process
            sizes.extend(db.execute("SELECT size FROM log_state").fetchone())
        db.close()
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(few, "open_few", watched)
    before = carrier.size()
    carrier.look("c-1", "deliver", carrier.numbers[:2])
    assert sizes == [before + 1]


def test_t10_values_logged_are_values_opened_after_any_mix(carrier: Carrier, opened: Opened) -> None:
    random = np.random.default_rng(8)
    numbers = carrier.numbers
    usual = [
        ("c-1", "deliver", numbers[WITH_C1]),
        ("c-2", "contact", numbers[WITH_C2]),
        ("k-2", "deliver", numbers[AT_O2]),
        ("k-2", "lookup", numbers),
        ("cs-1", "claim", numbers[TICKETED]),
        ("gone-1", "deliver", numbers[WITH_C1]),
        ("inv-1", "lawful_request", numbers),
        ("c-1", "nonsense", numbers),
    ]
    requests = []
    for _ in range(160):
        person, scene, pool = usual[int(random.integers(len(usual)))]
        chosen = random.choice(numbers if random.random() < 0.2 else pool, int(random.integers(1, 20))).tolist()
        asked = ("to_phone",) if random.random() < 0.7 else ("to_phone", "to_address", "goods_name")
        form = "masked" if random.random() < 0.2 else "full"
        requests.append(carrier.request(person, scene, chosen, asked, form=form, ticket=TICKET, document="D-1"))
    for start in range(0, len(requests), 17):
        carrier.desk._run(requests[start : start + 17])
    assert carrier.balanced() == opened.values > 50


def test_t10_more_than_was_logged_is_not_opened(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk that lost count gets nothing: the kernel spends what the entry stands behind, and no more."""
    from parcelveil.reveal.cases import Rows

    monkeypatch.setattr(Rows, "values", lambda *_: 1)
    with pytest.raises(KeyAccessError, match="more values"):
        carrier.look("c-1", "deliver", carrier.numbers[:2])
    assert carrier.balanced() == 1


# -- masked looks need no keys -------------------------------------------------------------------------------


def test_t5_masked_looks_touch_no_key(carrier: Carrier, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    """Not even the keys of the days are unwrapped: a process that could not do it answers masked looks all the same."""
    store = carrier.workspace.ring._keys
    unwrap = store.unwrap

    def no_epochs(version: int, wrapped: bytes, context: bytes) -> bytes:
        if b"\0epoch\0" in context:
            raise KeyAccessError("this process has no keys of personal fields")
        return unwrap(version, wrapped, context)

    monkeypatch.setattr(store, "unwrap", no_epochs)
    with monkeypatch.context() as patch:
        patch.setattr(carrier.workspace.ring, "open_keys", None)
        answers = carrier.look("c-1", "deliver", carrier.numbers[:40], "to_name", "to_phone", form="masked")
    assert answers.opened
    row = carrier.sealed.slice(0, 1).to_pylist()[0]
    assert answers.answers[0].values == {name: row[mask_name(name)] for name in ("to_name", "to_phone")}
    assert answers.answers[0].values != {
        name: carrier.cell(carrier.numbers[0], name) for name in ("to_name", "to_phone")
    }
    assert opened.calls == 0
    assert carrier.balanced() == 0
    with pytest.raises(KeyAccessError):
        carrier.look("c-1", "deliver", carrier.numbers[:2])


# -- erased, unknown, changed --------------------------------------------------------------------------------


def test_t7_an_erased_waybill_answers_erased_and_its_salts_are_gone(carrier: Carrier) -> None:
    number, other = carrier.numbers[:2]
    carrier.look("c-1", "deliver", [number, other])
    subjects = carrier.log.subjects

    def known(waybill: str) -> list[Subject]:
        with carrier.workspace.store.transaction() as tx:
            rows = [row for token in subjects.tokens([("waybill", waybill)]) for row in tx.subjects_of_token(token)]
        return [subjects.open(row) for row in rows]

    assert [len(known(number)), len(known(other))] == [1, 1]
    carrier.workspace.erase([number])
    assert [len(known(number)), len(known(other))] == [0, 1]
    answers = carrier.look("c-1", "deliver", [number, other])
    assert [(a.answer, a.reason) for a in answers.answers] == [("erased", "erased"), ("opened", "")]
    assert carrier.balanced() == 6


def test_t7_another_process_erases_and_the_desk_notices(carrier: Carrier) -> None:
    number = carrier.numbers[0]
    assert carrier.look("c-1", "deliver", [number]).opened
    with carrier.open() as other:
        other.erase([number])
        assert one(carrier.look("c-1", "deliver", [number])) == ("erased", "erased")
        other.ring.rotate_kek()
        assert carrier.look("c-1", "deliver", [carrier.numbers[1]]).opened
    assert carrier.balanced() == 4


def test_t7_an_erasure_between_finding_and_logging_is_noticed(carrier: Carrier, opened: Opened) -> None:
    """The desk has found the row alive; another process erases it; then the desk gets its turn at the log."""
    number = carrier.numbers[0]
    real = few.standing_few
    with carrier.open() as other, pytest.MonkeyPatch.context() as patch:

        def overtaken(*rest: object) -> object:
            status = real(*rest)  # type: ignore[arg-type]
            patch.undo()
            other.erase([number])
            assert status.tolist() == [kernel.OK]
            return status

        patch.setattr(few, "standing_few", overtaken)
        assert one(carrier.look("c-1", "deliver", [number])) == ("erased", "erased")
    assert opened.calls == 0
    assert carrier.balanced() == 0


def changed(carrier: Carrier, column: str, rows: list[int], value: bytes | None = None) -> Desk:
    cells = carrier.sealed[column].to_pylist()
    for row in rows:
        cell = bytearray(cells[row])
        cell[-1] ^= 1
        cells[row] = bytes(cell) if value is None else value
    at = carrier.sealed.schema.get_field_index(column)
    batch = carrier.sealed.set_column(at, carrier.sealed.schema.field(at), pa.array(cells, SEALED.field(column).type))
    return carrier.workspace.desk(SealedBatch(batch))


@pytest.mark.parametrize("count", [3, 40])
def test_t10_a_changed_value_is_not_shown_and_the_log_says_so(carrier: Carrier, count: int) -> None:
    desk = changed(carrier, "to_phone", [1])
    answers = desk.look(carrier.request("c-1", "deliver", carrier.numbers[:count]))
    wrong = answers.answers[1]
    assert (wrong.answer, wrong.reason, wrong.values) == ("refused", "value-changed", None)
    assert sum(a.answer == "opened" for a in answers.answers) == count - 1
    look, refusal = carrier.receipts_hold(answers)
    assert (look.kind, refusal.kind, refusal.reason) == ("look", "refusal", "value-changed")  # type: ignore[union-attr]
    assert carrier.balanced() == 2 * count


@pytest.mark.parametrize("count", [3, 40])
def test_what_is_no_sealed_value_is_not_taken_for_erased(carrier: Carrier, count: int) -> None:
    desk = changed(carrier, "to_phone", [1], b"no such thing")
    answers = desk.look(carrier.request("c-1", "deliver", carrier.numbers[:count]))
    assert (answers.answers[1].answer, answers.answers[1].reason) == ("refused", "value-changed")
    assert carrier.balanced() == 2 * (count - 1)


# -- many at once --------------------------------------------------------------------------------------------


def test_threads_and_tasks_together(carrier: Carrier, opened: Opened) -> None:
    mine, his = carrier.numbers[WITH_C1], carrier.numbers[WITH_C2]
    answers: list[Answers] = []

    def thread(start: int) -> None:
        for i in range(start, start + 12):
            answers.append(carrier.look("c-1", "deliver", [mine[i]]))

    async def tasks() -> list[Answers]:
        return await asyncio.gather(
            *(carrier.desk.look_async(carrier.request("c-2", "deliver", [number])) for number in his[:60])
        )

    threads = [threading.Thread(target=thread, args=(start,)) for start in (0, 12, 24, 36)]
    for one_thread in threads:
        one_thread.start()
    answers += asyncio.run(tasks())
    for one_thread in threads:
        one_thread.join()
    assert len(answers) == 108
    for answer in answers:
        (only,) = answer.answers
        assert only.values == {name: carrier.cell(only.waybill, name) for name in ("to_name", "to_phone")}
    assert carrier.balanced() == opened.values == 216
    assert min(a.left for a in answers if a.left is not None) == 240


class Poisoned(SealedBatch):
    """A source that cannot read one parcel."""

    def __init__(self, batch: pa.RecordBatch, bad: str, error: Exception) -> None:
        super().__init__(batch)
        self._bad, self._error = bad, error

    def find(self, waybill_no: object, columns: object) -> pa.RecordBatch:
        if self._bad in waybill_no:  # type: ignore[operator]
            raise self._error
        return super().find(waybill_no, columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [InputError("{file} cannot be read", file="a.parquet"), ZeroDivisionError(), KeyAccessError("damaged")]
)
def test_one_request_that_breaks_the_desk_takes_no_other_with_it(carrier: Carrier, error: Exception) -> None:
    mine = carrier.numbers[WITH_C1]
    desk = carrier.workspace.desk(Poisoned(carrier.sealed, mine[7], error))
    size = carrier.size()
    requests = [carrier.request("c-1", "deliver", [number]) for number in mine[:20]]
    answers = desk._run(requests)
    assert [i for i, a in enumerate(answers) if isinstance(a, Exception)] == [7]
    assert type(answers[7]) is type(error)
    good = [a for a in answers if isinstance(a, Answers)]
    assert len(good) == 19
    assert all(a.opened for a in good)
    entries = carrier.entries("look", "refusal", since=size)
    assert Counter((e.kind, getattr(e, "reason", "")) for e in entries) == {
        ("look", ""): 19,
        ("refusal", "desk-error"): 1,
    }
    assert carrier.balanced() == 38
    with pytest.raises(type(error)):
        desk.look(requests[7])


def test_one_request_that_cannot_be_opened_takes_no_other_with_it(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the log: the others are shown what was logged for them, and no more."""
    mine = carrier.numbers[WITH_C1]
    real = few.open_few

    def fragile(sealed: pa.RecordBatch, *rest: object) -> object:
        if mine[2] in sealed["waybill_no"].to_pylist():
            raise ZeroDivisionError
        return real(sealed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(few, "open_few", fragile)
    answers = carrier.desk._run([carrier.request("c-1", "deliver", [number]) for number in mine[:4]])
    assert [type(a) for a in answers] == [Answers, Answers, ZeroDivisionError, Answers]
    assert carrier.balanced() == 8


def test_a_full_disk_is_everybodys(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("state.db could not be written")

    monkeypatch.setattr(SqliteTransaction, "add_group", full)
    answers = carrier.desk._run([carrier.request("c-1", "deliver", [number]) for number in carrier.numbers[:5]])
    assert [type(a) for a in answers] == [OutputError] * 5


def test_two_desks_in_two_processes_share_quota_and_log(carrier: Carrier) -> None:
    with carrier.open() as other:
        desk = other.desk(carrier.source)
        for i in range(5):
            assert carrier.look("c-1", "deliver", [carrier.numbers[i]]).left == 299 - 2 * i
            assert desk.look(carrier.request("c-1", "deliver", [carrier.numbers[i]])).left == 298 - 2 * i
    assert carrier.balanced() == 20


def test_answers_do_not_show_values_by_accident(carrier: Carrier) -> None:
    from rich.console import Console

    answers = carrier.look("c-1", "deliver", [carrier.numbers[0]])
    name, phone = (carrier.cell(carrier.numbers[0], f) or "" for f in ("to_name", "to_phone"))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(answers, answers.answers[0], answers.answers, carrier.who("c-1"))
    shown = f"{answers!r} {answers.answers!r} {answers.answers[0]} {capture.get()} {carrier.who('c-1')!r}"
    assert name not in shown
    assert phone not in shown
    assert carrier.keys["c-1"].hex() not in shown
    assert "<Secret>" in shown
