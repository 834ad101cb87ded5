"""Scanned labels at the desk: a token is a look, and one that is refused teaches nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt.sealed_files import SealedBatch
from parcelveil.errors import InputError, KeyAccessError
from parcelveil.reveal import tokens as tokens_module
from parcelveil.reveal.request import Answers, Request, Scan, Secret
from parcelveil.seal import kernel
from parcelveil.seal.keyring import KeyRing
from parcelveil.waybill import LABEL_TOKEN
from reveal.conftest import AT_O2, NOWHERE, WITH_C1, WITH_C2, Carrier, Opened


def tokens_of(carrier: Carrier, places: slice = slice(None)) -> list[str]:
    found: list[str] = carrier.sealed[LABEL_TOKEN].to_pylist()[places]
    return found


def scan(carrier: Carrier, number: str, tokens: list[Any], *fields: str, **changed: object) -> Answers:
    scene = str(changed.pop("scene", "deliver"))
    return carrier.desk.scan(carrier.request(number, scene, tokens, fields or ("to_name", "to_phone"), **changed))


def said(answers: Answers) -> list[tuple[str, str]]:
    return [(a.answer, a.reason) for a in answers.answers]


def forged(carrier: Carrier, count: int = 1) -> list[str]:
    """Texts of the right form that name a month there is a key of, with random bytes behind."""
    head = base64.b32decode(tokens_of(carrier)[0] + "======")[:4]
    return [base64.b32encode(head + secrets.token_bytes(32)).decode().rstrip("=") for _ in range(count)]


def told(answers: Answers) -> str:
    """Everything that who asked gets to see, the entries in the receipts too."""
    parts = [msgspec.json.encode(answers).decode(), repr(answers), *map(repr, answers.answers)]
    parts += [
        base64.b64decode(line, validate=True).decode("utf-8", "replace")
        for text in answers.receipts
        for line in text.splitlines()
        if _is_base64(line)
    ]
    return "\n".join(parts)


def _is_base64(line: str) -> bool:
    try:
        base64.b64decode(line, validate=True)
    except ValueError:
        return False
    return True


# -- what is opened ------------------------------------------------------------------------------------------


def test_the_couriers_own_parcel_opens_with_a_receipt(carrier: Carrier) -> None:
    mine, token = carrier.numbers[WITH_C1][0], tokens_of(carrier, WITH_C1)[0]
    answers = scan(carrier, "c-1", [token])
    (answer,) = answers.answers
    assert (answer.waybill, answer.answer) == (mine, "opened")
    assert answer.values == {name: carrier.cell(mine, name) for name in ("to_name", "to_phone")}
    assert answers.left == 299
    (entry,) = carrier.receipts_hold(answers)
    assert (entry.kind, entry.scene, entry.waybills, entry.values) == ("look", "deliver", 1, 2)  # type: ignore[union-attr]
    assert len(entry.subjects) == 1  # type: ignore[union-attr]
    assert carrier.balanced() == 2


def test_a_scan_gets_what_a_look_gets(carrier: Carrier) -> None:
    """Parcels in every standing, one by one and together: the same answers, entries, counts and subjects."""
    places = [0, 1, 99, 100, 199, 200, 299, 310, 345, 400, 599]
    numbers = [carrier.numbers[i] for i in places]
    tokens = [tokens_of(carrier)[i] for i in places]
    carrier.workspace.erase([numbers[1]])
    for who, form in (
        ("c-1", "full"),
        ("c-2", "full"),
        ("k-2", "full"),
        ("k-1", "masked"),
        ("cs-1", "full"),
        ("gone-1", "full"),
    ):
        for part in (slice(0, 1), slice(None)):
            size = carrier.size()
            looked = carrier.look(who, "deliver", numbers[part], form=form)
            middle = carrier.size()
            scanned = scan(carrier, who, tokens[part], form=form)
            assert said(scanned) == said(looked)
            assert [a.values for a in scanned.answers] == [a.values for a in looked.answers]
            assert [a.rules for a in scanned.answers] == [a.rules for a in looked.answers]
            for answer, number, token in zip(scanned.answers, numbers, tokens, strict=False):
                assert answer.waybill == (number if answer.answer == "opened" else token)
            one, other = carrier.entries(since=size)[: middle - size], carrier.entries(since=middle)
            bare = [
                [msgspec.structs.replace(e, time=0, request="", subjects=()) for e in part] for part in (one, other)
            ]
            assert bare[0] == bare[1]
            assert [len(e.subjects) for e in one] == [len(e.subjects) for e in other]  # type: ignore[union-attr]
            if looked.left is not None:
                assert scanned.left == looked.left - said(looked).count(("opened", ""))
    carrier.balanced()


def test_masked_and_batches_that_the_kernel_opens(carrier: Carrier, opened: Opened) -> None:
    assert scan(carrier, "c-1", tokens_of(carrier, WITH_C1)[:60], form="masked").opened
    assert opened.calls == 0
    answers = scan(carrier, "c-1", tokens_of(carrier, WITH_C1)[:60])
    assert [a.waybill for a in answers.answers] == carrier.numbers[WITH_C1][:60]
    assert carrier.balanced() == opened.values == 120


def test_async_and_together_with_looks(carrier: Carrier) -> None:
    mine, his = tokens_of(carrier, WITH_C1), tokens_of(carrier, WITH_C2)
    requests = [carrier.request("c-1", "deliver", [mine[i], his[i]]) for i in range(10)]
    looks = [carrier.request("c-1", "deliver", [carrier.numbers[i + 20]]) for i in range(10)]

    async def both() -> list[Answers]:
        scans = [carrier.desk.scan_async(request) for request in requests]
        return list(await asyncio.gather(*scans, *(carrier.desk.look_async(request) for request in looks)))

    answers = asyncio.run(both())
    for i, answer in enumerate(answers[:10]):
        assert [(a.waybill, a.answer) for a in answer.answers] == [
            (carrier.numbers[i], "opened"),
            (his[i], "not-in-custody"),
        ]
    assert all(a.opened for a in answers[10:])
    # In one group of the desk, in any order, each gets what it would get alone.
    mixed = carrier.desk._run([tokens_module.scan_of(requests[0]), looks[0], tokens_module.scan_of(requests[1])])
    assert [len(a.answers) for a in mixed if isinstance(a, Answers)] == [2, 1, 2]
    assert [a.answers[0].answer for a in mixed if isinstance(a, Answers)] == ["opened"] * 3
    carrier.balanced()


def test_case_and_blanks_and_the_same_token_twice(carrier: Carrier) -> None:
    mine, token = carrier.numbers[0], tokens_of(carrier)[0]
    answers = scan(carrier, "c-1", [token, token.lower(), f"  {token}\r\n", token])
    assert {(a.waybill, a.answer) for a in answers.answers} == {(mine, "opened")}
    assert answers.left == 296  # as one waybill named four times
    other = tokens_of(carrier, WITH_C2)[0]
    shut = scan(carrier, "c-1", [other, other.lower(), f"\t{other} "])
    assert [a.waybill for a in shut.answers] == [other, other.lower(), other]
    assert {a for a, _ in said(shut)} == {"not-in-custody"}


def test_an_erased_waybill_answers_erased_and_is_not_named(carrier: Carrier) -> None:
    mine, token = carrier.numbers[0], tokens_of(carrier)[0]
    carrier.workspace.erase([mine])
    answers = scan(carrier, "c-1", [token, tokens_of(carrier)[1]])
    assert said(answers) == [("erased", "erased"), ("opened", "")]
    assert [a.waybill for a in answers.answers] == [token, carrier.numbers[1]]
    assert mine not in told(answers)
    refusal = carrier.entries("refusal")[-1]
    assert (refusal.answer, refusal.subjects) == ("erased", ())  # type: ignore[union-attr]


def test_a_waybill_that_is_not_in_the_source_is_not_named(carrier: Carrier) -> None:
    carrier.desk = carrier.workspace.desk(SealedBatch(carrier.sealed.slice(5)))
    answers = scan(carrier, "c-1", tokens_of(carrier)[:1])
    assert said(answers) == [("unknown", "unknown-waybill")]
    assert answers.answers[0].waybill == tokens_of(carrier)[0]


def test_a_second_person_approves_a_scan(carrier: Carrier) -> None:
    tokens = tokens_of(carrier)[:2]
    first = scan(carrier, "an-1", tokens, "to_name", scene="export")
    assert {a for a, _ in said(first)} == {"needs-approval"}
    assert [a.waybill for a in first.answers] == tokens
    carrier.desk.approve(first.approval, carrier.who("ap-1"))
    answers = scan(carrier, "an-1", [tokens[1].lower(), tokens[0]], "to_name", scene="export", approval=first.approval)
    assert answers.opened
    assert [a.waybill for a in answers.answers] == [carrier.numbers[1], carrier.numbers[0]]


# -- what teaches nothing ------------------------------------------------------------------------------------


def test_t6_anothers_parcel_is_refused_and_its_number_is_not_told(carrier: Carrier, opened: Opened) -> None:
    places = [WITH_C2.start, AT_O2.start, NOWHERE.start]
    tokens = [tokens_of(carrier)[i] for i in places]
    answers = scan(carrier, "c-1", tokens)
    assert {a for a, _ in said(answers)} == {"not-in-custody"}
    assert [a.waybill for a in answers.answers] == tokens
    words = told(answers)
    for place in places:
        assert carrier.numbers[place] not in words
    assert opened.calls == 0
    assert answers.left is None
    # The log knows which, for who may open its salts.
    (entry,) = carrier.entries("refusal")
    assert len(entry.subjects) == 3  # type: ignore[union-attr]
    with carrier.workspace.store.transaction() as tx:
        for place in places:
            (token,) = carrier.log.subjects.tokens([("waybill", carrier.numbers[place])])
            (row,) = tx.subjects_of_token(token)
            assert carrier.log.subjects.open(row).value == carrier.numbers[place]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "NOPE",
        "8" * 58,
        "x" * 10_000,
        "\ud800",
        "a\0b",
        "\x1b[31m",
        "13812345678",
        None,
        7,
        b"AE",
        ["x"],
        "李" * 58,
    ],
)
def test_what_is_no_token_is_refused_and_logged(carrier: Carrier, opened: Opened, text: Any) -> None:
    size = carrier.size()
    answers = scan(carrier, "c-1", [text])
    assert said(answers) == [("refused", "no-such-token")]
    assert len(answers.answers[0].waybill) <= 1294
    assert answers.answers[0].waybill.isprintable()
    json.loads(msgspec.json.encode(answers))
    (entry,) = carrier.entries(since=size)
    assert (entry.kind, entry.reason, entry.waybills, entry.subjects) == ("refusal", "no-such-token", 1, ())  # type: ignore[union-attr]
    assert answers.left is None
    assert opened.calls == 0
    assert carrier.receipts_hold(answers) == [entry]
    if isinstance(text, str) and len(text) > 3 and text.isprintable():
        assert text.encode() not in carrier.everything_written()


def test_a_waybill_number_is_no_token(carrier: Carrier) -> None:
    assert said(scan(carrier, "c-1", carrier.numbers[:2])) == [("refused", "no-such-token")] * 2
    assert said(carrier.look("c-1", "deliver", tokens_of(carrier)[:1]))[0][0] == "not-in-custody"


def test_bad_tokens_among_good_ones_cost_nothing_and_keep_their_place(carrier: Carrier) -> None:
    mine, his = tokens_of(carrier, WITH_C1), tokens_of(carrier, WITH_C2)
    bad = forged(carrier, 3)
    answers = scan(carrier, "c-1", [bad[0], mine[0], his[0], bad[1], mine[1], bad[2]])
    assert [a.answer for a in answers.answers] == [
        "refused",
        "opened",
        "not-in-custody",
        "refused",
        "opened",
        "refused",
    ]
    assert [a.waybill for a in answers.answers] == [
        bad[0],
        carrier.numbers[0],
        his[0],
        bad[1],
        carrier.numbers[1],
        bad[2],
    ]
    assert answers.left == 298
    kinds = Counter(
        (e.kind, getattr(e, "reason", ""), e.waybills, len(e.subjects)) for e in carrier.receipts_hold(answers)
    )  # type: ignore[union-attr]
    assert kinds.pop(("refusal", "no-such-token", 3, 0)) == 1
    assert kinds.pop(("look", "", 2, 2)) == 1
    assert [(k, n, s) for k, _, n, s in kinds] == [("refusal", 1, 1)]
    carrier.balanced()


def test_t8_walking_tokens_yields_nothing(carrier: Carrier, opened: Opened) -> None:
    """Ten thousand made-up tokens, a hundred at a time: all refused, each counted, in a hundred small entries."""
    size = carrier.size()
    tokens = forged(carrier, 10_000)
    for start in range(0, 10_000, 100):
        assert set(said(scan(carrier, "c-1", tokens[start : start + 100]))) == {("refused", "no-such-token")}
    entries = carrier.entries(since=size)
    assert len(entries) == 100
    assert sum(e.waybills for e in entries) == 10_000  # type: ignore[union-attr]
    assert not any(e.subjects for e in entries)  # type: ignore[union-attr]
    assert sum(len(data) for data in carrier.data()[size:]) < 100 * 500
    assert opened.calls == 0
    assert scan(carrier, "c-1", tokens_of(carrier)[:1]).left == 299  # it cost no quota
    carrier.balanced()


@pytest.mark.parametrize("count", [101, 10_000, 10_001, 120_000])
def test_t8_a_list_of_tokens_in_one_request(carrier: Carrier, opened: Opened, count: int) -> None:
    good = tokens_of(carrier, WITH_C1)
    size = carrier.size()
    answers = scan(carrier, "c-1", [good[0], *forged(carrier, 20), *(["AEBRO"] * (count - 21))])
    assert set(said(answers)) == {("refused", "batch-too-large")}  # which are genuine, nobody learns
    assert answers.answers[0].waybill == good[0]
    entries = carrier.entries(since=size)
    assert sum(e.waybills for e in entries) == count  # type: ignore[union-attr]
    assert sum(len(e.subjects) for e in entries) == (count <= 10_000)  # type: ignore[union-attr]
    assert sum(len(data) for data in carrier.data()[size:]) < 20_000
    assert opened.calls == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"device": "pda-made-up"}, "device-not-enrolled"),
        ({"device_key": Secret(bytes(32))}, "device-not-enrolled"),
        ({"actor": "nobody"}, "staff-inactive"),
        ({"role": "administrator"}, "role-not-held"),
        ({"scene": "claim"}, "role-outside-scene"),
        ({"scene": "no-such-scene"}, "unknown-scene"),
        ({"fields": ("goods_name",)}, "field-outside-scene"),
    ],
)
def test_t8_who_may_not_ask_does_not_learn_which_tokens_are_genuine(
    carrier: Carrier, opened: Opened, changed: dict[str, Any], reason: str
) -> None:
    tokens = [tokens_of(carrier, NOWHERE)[0], *forged(carrier), "NOPE"]
    more = dict(changed)
    answers = scan(carrier, "c-1", tokens, *more.pop("fields", ()), **more)
    assert len({(a.answer, a.reason, a.rules) for a in answers.answers}) == 1
    assert said(answers)[0][0] == "refused"
    assert reason in answers.answers[0].rules
    assert carrier.numbers[NOWHERE][0] not in told(answers)
    (entry,) = carrier.receipts_hold(answers)
    assert (entry.waybills, len(entry.subjects)) == (3, 1)  # type: ignore[union-attr]
    assert opened.calls == 0


def test_t6_a_replay_after_the_quota_is_used_up_names_nobody(carrier: Carrier) -> None:
    tokens = tokens_of(carrier, WITH_C1)
    for _ in range(3):
        assert scan(carrier, "c-1", tokens, form="masked").opened
    answers = scan(carrier, "c-1", tokens[:2])
    assert said(answers) == [("over-quota", "quota-used-up")] * 2
    assert [a.waybill for a in answers.answers] == tokens[:2]


def test_t10_a_changed_value_is_not_shown_and_not_named(carrier: Carrier) -> None:
    at = carrier.sealed.schema.get_field_index("to_phone")
    cells = carrier.sealed["to_phone"].to_pylist()
    cells[0] = cells[0][:-1] + bytes([cells[0][-1] ^ 1])
    batch = carrier.sealed.set_column(at, carrier.sealed.schema.field(at), pa.array(cells, pa.binary()))
    carrier.desk = carrier.workspace.desk(SealedBatch(batch))
    answers = scan(carrier, "c-1", tokens_of(carrier)[:2])
    assert said(answers) == [("refused", "value-changed"), ("opened", "")]
    assert answers.answers[0].waybill == tokens_of(carrier)[0]
    assert carrier.numbers[0] not in told(answers)


class Talkative:
    """A source that fails, and says what it was asked for."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def find(self, waybill_no: list[str], columns: list[str]) -> pa.RecordBatch:
        raise self.error(f"no row for {waybill_no[0]}")


@pytest.mark.parametrize("error", [InputError, KeyError, RuntimeError])
def test_t6_an_error_that_names_the_waybill_is_not_told(carrier: Carrier, error: type[Exception]) -> None:
    desk = carrier.workspace.desk(Talkative(error))  # type: ignore[arg-type]
    size = carrier.size()
    request = carrier.request("c-1", "deliver", tokens_of(carrier, WITH_C2)[:1])
    with pytest.raises(InputError) as raised:
        desk.scan(request)
    shown, context = str(raised.value), raised.value
    while context is not None:
        assert carrier.numbers[WITH_C2][0] not in str(context)
        context = context.__cause__ or (None if context.__suppress_context__ else context.__context__)  # type: ignore[assignment]
    assert shown == "the sealed waybills could not be read"
    (entry,) = carrier.entries(since=size)
    assert (entry.reason, len(entry.subjects)) == ("desk-error", 1)  # type: ignore[union-attr]
    with pytest.raises(error, match=carrier.numbers[0]):  # who looks by number knows it
        desk.look(carrier.request("c-1", "deliver", carrier.numbers[:1]))


def test_a_ring_that_cannot_be_read_is_logged_without_a_number(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> str:
        raise KeyAccessError("the stored keys were changed", hint="restore the workspace")

    monkeypatch.setattr(KeyRing, "open_token", damaged)
    size = carrier.size()
    with pytest.raises(KeyAccessError):
        scan(carrier, "c-1", tokens_of(carrier)[:3])
    (entry,) = carrier.entries(since=size)
    assert (entry.reason, entry.waybills, entry.subjects) == ("desk-error", 3, ())  # type: ignore[union-attr]
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened


def test_a_request_for_nothing_and_what_is_no_request(carrier: Carrier) -> None:
    assert said(scan(carrier, "c-1", [])) == [("refused", "no-waybill")]
    with pytest.raises(TypeError):
        carrier.desk.scan(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        scan(carrier, "c-1", [], waybills="AE")
    request = carrier.request("c-1", "deliver", ["AE"])
    assert isinstance(tokens_module.scan_of(request), Scan)
    assert type(request) is Request


# -- keys that come and go -----------------------------------------------------------------------------------


def sealed_by(ring: KeyRing, carrier: Carrier, moment: datetime) -> pa.RecordBatch:
    """The first ten waybills as they are sealed when they are of ``moment``."""
    batch = carrier.clear.slice(0, 10)
    place = batch.schema.get_field_index("created_at")
    times = pa.array([moment] * 10, batch.schema.field(place).type)
    batch = batch.set_column(place, batch.schema.field(place), times)
    days = kernel.days_of(batch, 480, ring.today())
    return kernel.seal_batch(batch, ring.seal_keys(np.unique(days).tolist()))


def test_a_month_that_another_process_began(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    with carrier.open() as other:
        first = sealed_by(other.ring, carrier, datetime(2026, 1, 5, tzinfo=UTC))
        token = first[LABEL_TOKEN][0].as_py()
        assert scan(carrier, "c-1", [token]).opened  # the desk's own ring did not know that month
        reads: list[int] = []
        refresh = KeyRing.refresh
        monkeypatch.setattr(KeyRing, "refresh", lambda ring: (reads.append(1), refresh(ring))[1])
        unknown = [
            base64.b32encode(b"\1" + (202500 + m).to_bytes(3, "big") + bytes(32)).decode().rstrip("=")
            for m in range(1, 13)
        ]
        for text in unknown:
            assert said(scan(carrier, "c-1", [text])) == [("refused", "no-such-token")]
        assert len(reads) <= 1  # forged months do not make the desk read its keys again and again
        monkeypatch.setattr(tokens_module, "_PATIENCE", 0.0)
        carrier.desk._tokens._not_before = 0.0
        second = sealed_by(other.ring, carrier, datetime(2025, 12, 5, tzinfo=UTC))
        assert scan(carrier, "c-1", [second[LABEL_TOKEN][0].as_py()]).opened
    with carrier.workspace.store.reading() as tx:
        made = {row.period for row in tx.pseudonym_keys() if row.purpose == "label"}
    assert not {202500 + m for m in range(1, 12)} & made


def test_two_tokens_of_one_waybill_are_not_tied_together_while_shut(carrier: Carrier) -> None:
    january = sealed_by(carrier.workspace.ring, carrier, datetime(2026, 1, 5, tzinfo=UTC))[LABEL_TOKEN][0].as_py()
    march = tokens_of(carrier)[0]
    assert january != march
    assert [a.waybill for a in scan(carrier, "c-1", [january, march]).answers] == [carrier.numbers[0]] * 2
    shut = scan(carrier, "c-2", [january, march])
    assert [a.waybill for a in shut.answers] == [january, march]
    assert carrier.numbers[0] not in told(shut)


def test_t7_a_month_that_another_process_destroyed(carrier: Carrier) -> None:
    january = sealed_by(carrier.workspace.ring, carrier, datetime(2026, 1, 5, tzinfo=UTC))[LABEL_TOKEN][0].as_py()
    assert scan(carrier, "c-1", [january]).opened
    with carrier.open() as other:
        other.ring.destroy_before(datetime(2026, 2, 1).date())
        # The desk has the month's key in memory, and notices all the same, before anything is decided.
        assert said(scan(carrier, "c-1", [january])) == [("refused", "no-such-token")]
        assert scan(carrier, "c-1", tokens_of(carrier)[1:2]).opened
        other.ring.rotate_kek()
        assert scan(carrier, "c-1", tokens_of(carrier)[2:3]).opened
    carrier.balanced()


def test_a_desk_that_has_to_fetch_a_key_after_another_process_rotated(carrier: Carrier) -> None:
    with carrier.open() as fresh, carrier.open() as other:
        desk = fresh.desk(carrier.source)  # has unwrapped no label key yet
        other.ring.rotate_kek()
        assert desk.scan(carrier.request("c-1", "deliver", tokens_of(carrier)[:1])).opened
