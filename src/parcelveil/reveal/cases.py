"""A request on its way through the desk, and what is found out about it.

::

    case = Case(request, start=0)            # the request, tidied
    case.verdicts                            # one a waybill, once the desk has decided
    custody_bits(custody, [case], numbers, now)

Nothing here decides, logs or opens: :mod:`~parcelveil.reveal.desk` does.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import Export, Look, Refusal
from parcelveil.reveal.classes import Facts
from parcelveil.reveal.custody import Custody
from parcelveil.reveal.policy import Decision
from parcelveil.reveal.request import MOST_FIELDS, MOST_WAYBILLS, Answer, Answers, Request, Scan, printable
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.scenes import FORMS, MOST_BATCH
from parcelveil.reveal.staff import Member
from parcelveil.seal import kernel
from parcelveil.seal.token import LONGEST
from parcelveil.waybill import WAYBILL, personal_fields

#: A longer text than any token's with some blanks is not repeated.
_LONGEST_SCANNED = 2 * LONGEST
PERSONAL = frozenset(field.name for field in personal_fields(WAYBILL))


class Rows(NamedTuple):
    """The sealed rows of a group of requests, and where each asked waybill is among them."""

    numbers: list[str]  # every asked waybill, request after request
    sealed: pa.RecordBatch
    place: list[int]  # row of ``sealed`` for each asked waybill; -1 where there is none
    #: Rows of ``sealed``, with the fields asked for, that do not open, and why: see parcelveil.seal.standing.
    standing: dict[tuple[int, tuple[str, ...]], int]
    valid: dict[str, list[bool] | None]  # which rows hold a value, by column (None: all); filled in as asked

    def values(self, places: list[int], fields: Sequence[str]) -> int:
        """How many values ``fields`` of these rows hold."""
        count = 0
        for name in fields:
            if name not in self.valid:
                column = self.sealed[name]
                self.valid[name] = column.is_valid().to_pylist() if column.null_count else None
            valid = self.valid[name]
            count += len(places) if valid is None else sum(valid[place] for place in places)
        return count


class Verdict(NamedTuple):
    """Why a waybill is (not) opened: an answer with its reason."""

    answer: str
    reason: str
    rules: tuple[str, ...]


NO_WAYBILL = Verdict("refused", "no-waybill", ())
_UNKNOWN = Verdict("unknown", "unknown-waybill", ())
#: What a row that would be opened is instead, by what :mod:`~parcelveil.seal.standing` says of it.
_STANDING = {
    kernel.ERASED: Verdict("erased", "erased", ()),
    kernel.NO_EPOCH: Verdict("erased", "erased", ()),  # its whole day was
    kernel.MALFORMED: Verdict("refused", "value-changed", ()),
}


class Case:
    """One request on its way through the desk. What it carries is text of bounded length from here on."""

    def __init__(self, request: Request, start: int) -> None:
        #: Of a scan, the tokens as they came: anything at all.
        self.tokens: tuple[object, ...] = request.waybills[:MOST_WAYBILLS] if isinstance(request, Scan) else ()
        #: Places among ``waybills`` whose tokens have led to no number (yet): there the number is empty.
        self.unread = frozenset(range(len(self.tokens)))
        self.asked = len(request.waybills)
        if self.tokens:
            request = msgspec.structs.replace(request, waybills=("",) * len(self.tokens))
        self.request = tidy(request)
        self.id = secrets.token_hex(8)
        self.waybills = self.request.waybills
        #: The waybills that are looked up; none of a request that is larger than any scene may allow.
        self.sought = self.waybills if self.asked <= MOST_BATCH else ()
        self.start, self.end = start, start + len(self.sought)
        self.fields = self.request.fields
        self.verdicts: list[Verdict] = []
        self.entries: list[int] = []
        self.approval = ""
        self.left: int | None = None
        self.plausible = False  # a known person on their own device asks for no more than any scene may allow
        self.drawn = 0  # values that the log says are opened
        # After the log: places among ``waybills``, and what came of them.
        self.opened: list[int] = []
        self.changed: list[int] = []
        self.told: list[int] = []  # entries that say so
        self.receipts: list[str] = []
        self.values: list[dict[str, str | None] | None] = [None] * len(self.waybills)
        self.error: BaseException | None = None

    def name(self, numbers: Sequence[str | None]) -> None:
        """Put waybill numbers in the place of a scan's tokens."""
        self.unread = frozenset(place for place, number in enumerate(numbers) if number is None)
        self.request = tidy(msgspec.structs.replace(self.request, waybills=tuple(number or "" for number in numbers)))
        self.waybills = self.sought = self.request.waybills

    def called(self, place: int) -> str:
        """What the answer calls a waybill: by its number, or by the token that was scanned as long as it stays shut."""
        if self.tokens and self.verdicts[place].answer != "opened":
            return as_scanned(self.tokens[place])
        return self.waybills[place]


def as_scanned(token: object) -> str:
    """A token as an answer repeats it: without blanks at its ends, empty when it is no line of bounded length."""
    text = token.strip() if isinstance(token, str) and len(token) <= _LONGEST_SCANNED else ""
    return text if text.isprintable() else ""


def answers_of(case: Case, batch: Batch) -> Answers:
    """What is told to who asked."""
    verdicts = zip(case.verdicts, case.values, strict=True)
    answers = [
        Answer(waybill=case.called(place), answer=v.answer, reason=v.reason, rules=v.rules, values=values)  # type: ignore[arg-type]
        for place, (v, values) in enumerate(verdicts)
    ]
    if not answers:
        answers = [Answer(waybill="", answer="refused", reason=NO_WAYBILL.reason)]
    receipts = [batch.receipt(index) for index in case.entries] + case.receipts
    return Answers(request=case.id, answers=answers, receipts=receipts, approval=case.approval, left=case.left)


def stand(case: Case, rows: Rows) -> None:
    """Say so of what would be opened but is unknown, erased, or no sealed value."""
    clear = case.request.form != "masked"
    for i, verdict in enumerate(case.verdicts):
        if verdict.answer == "opened":  # who still needs a second person does not learn what there is
            place = rows.place[case.start + i]
            if place < 0:
                case.verdicts[i] = _UNKNOWN
            elif clear and (place, case.fields) in rows.standing:
                case.verdicts[i] = _STANDING[rows.standing[place, case.fields]]


def base_facts(case: Case, member: Member, book: Rulebook, *, approved: bool) -> Facts:
    """What holds of a request whatever the waybill; custody is added by :func:`with_custody`."""
    request = case.request
    scene = book.scenes.get(request.scene)
    return Facts(
        action="export" if scene is not None and scene.action == "export" else "look",
        role=request.role,
        scene=request.scene,
        form=request.form,
        fields=case.fields,
        active=member.active,
        role_held=request.role in member.roles,
        outlet_held=book.outlet_held(request, member),
        enrolled=book.register.enrolled(member, request.device, request.device_key.value),
        on_route=False,
        at_outlet=False,
        handled=False,
        ticket=False,
        document=printable(request.document),
        approved=approved,
        within_batch=scene is not None and 0 < case.asked <= scene.batch,
        within_quota=True,
    )


#: The custody facts of a waybill, one bit each.
BITS = ("on_route", "at_outlet", "handled", "ticket")
ALL_BITS = (1 << len(BITS)) - 1


def custody_bits(custody: Custody, cases: Sequence[Case], numbers: list[str], now: int) -> npt.NDArray[np.uint8]:
    """What work says of each asked waybill and who asks for it, as bits of :data:`BITS`."""
    if not numbers:
        return np.zeros(0, dtype=np.uint8)
    parcels = pa.array(numbers, pa.string())
    first = cases[0].request
    alone = (first.actor, first.outlet, first.ticket)
    if all((case.request.actor, case.request.outlet, case.request.ticket) == alone for case in cases):
        found = custody.facts(parcels, actor=first.actor, outlet=first.outlet, ticket=first.ticket, now=now)
    else:
        asked = [case.request for case in cases for _ in case.sought]
        found = custody.facts_many(
            parcels,
            pa.array([r.actor for r in asked], pa.string()),
            pa.array([r.outlet for r in asked], pa.string()),
            pa.array([r.ticket for r in asked], pa.string()) if any(case.request.ticket for case in cases) else None,
            now=now,
        )
    bits = np.zeros(len(numbers), dtype=np.uint8)
    for place, name in enumerate(BITS):
        bits |= getattr(found, name).view(np.uint8) << np.uint8(place)
    return bits


def with_custody(base: Facts, bits: int) -> Facts:
    """``base`` with the custody facts of one waybill."""
    on_route, at_outlet, handled, ticket = (bool(bits >> place & 1) for place in range(len(BITS)))
    return base._replace(on_route=on_route, at_outlet=at_outlet, handled=handled, ticket=ticket)


def rows_at(sealed: pa.RecordBatch, places: list[int]) -> pa.RecordBatch:
    """The rows at ``places``, in that order."""
    if places == list(range(sealed.num_rows)):
        return sealed
    if len(places) == 1:
        return sealed.slice(places[0], 1)
    return sealed.take(pa.array(places, pa.int64()))  # with its type: to infer one, pyarrow looks for pandas each time


def verdict_of(decision: Decision) -> Verdict:
    """The verdict that a decision is."""
    return Verdict(decision.answer, "" if decision.allowed else decision.rules[0], decision.rules)


def tidy(request: Request) -> Request:
    """The request with everything that is no identifier made empty, so that nothing odd comes past the door.

    An empty waybill number, scene or field is known to nobody, and refused like any other unknown one.
    """

    words = [getattr(request, name) for name in _WORDS]
    changed: dict[str, object] = {}
    waybills, asked = request.waybills[:MOST_WAYBILLS], request.fields[:MOST_FIELDS]
    if _all_plain([*words, *waybills, *asked]):
        fields = set(asked)
    else:
        changed = {name: "" for name, word in zip(_WORDS, words, strict=True) if not _clean(word)}
        changed["waybills"] = tuple(number if _clean(number) else "" for number in waybills)
        fields = {name if _clean(name) else "" for name in asked}
    if len(waybills) < len(request.waybills):
        changed.setdefault("waybills", waybills)
    if len(request.fields) > MOST_FIELDS:
        fields.add("")  # more than there are: asking for one that is unknown
    if request.fields != (ordered := tuple(sorted(fields))):
        changed["fields"] = ordered
    return msgspec.structs.replace(request, **changed) if changed else request


def _all_plain(texts: list[str]) -> bool:
    """Whether all are identifiers in ASCII, or empty: nearly always so, and found out at once."""
    try:
        lines = "\n".join(texts) + "\n"
    except TypeError:
        return False
    return lines.count("\n") == len(texts) and _PLAIN_LINES.fullmatch(lines) is not None


def _clean(text: object) -> bool:
    return text == "" or (isinstance(text, str) and printable(text))


_PLAIN_LINES = re.compile(r"(?:(?:[!-~](?:[ -~]{0,62}[!-~])?)?\n)*")
_WORDS = ("actor", "role", "outlet", "device", "scene", "form", "ticket", "document", "approval")


def entry_of(
    case: Case, book: Rulebook, member: Member, verdict: Verdict, time: int, ticket: str, waybills: int, values: int
) -> Look | Refusal | Export:
    """The log's entry. It says only what comes from closed lists: whatever else was typed is ``?``.

    ``ticket``: the one named, when work knows it. ``waybills``, ``values``: how many the entry speaks of.
    """
    request = case.request
    scene = request.scene if request.scene in book.scenes else "?"
    device = request.device if request.device in book.register.devices else "?" if request.device else ""
    common: dict[str, Any] = {
        "time": time,
        "request": case.id,
        "actor": member.handle,
        "role": request.role if request.role in book.scenes.roles else "?",
        "scene": scene,
        "outlet": request.outlet if request.outlet in member.outlets else "?" if request.outlet else "",
        "device": device,
        "fields": tuple(name if name in PERSONAL else "?" for name in case.fields),
        "form": request.form if request.form in FORMS else "?",
        "waybills": waybills,
        "policy": book.version,
        "rules": verdict.rules,
        "ticket": ticket,
        "approval": case.approval,
    }
    if verdict.answer != "opened":
        return Refusal(**common, answer=verdict.answer, reason=verdict.reason)
    if scene in book.scenes and book.scenes[scene].action == "export":
        return Export(**common, values=values)
    return Look(**common, values=values)


def checked(request: Request) -> Request:
    """The request, when it is one at all. Raises TypeError: what is in it may be hostile, what it is may not."""
    if (
        not isinstance(request, Request)
        or not isinstance(request.waybills, tuple)
        or not isinstance(request.fields, tuple)
    ):
        raise TypeError("the desk answers a Request, with tuples of waybills and fields")
    return request


def parts(requests: list[Request]) -> Iterator[list[Request]]:
    """``requests`` in their order, in lists that ask for a bounded number of waybills (or are one request)."""
    part: list[Request] = []
    weight = 0
    for request in requests:
        more = min(len(request.waybills), MOST_WAYBILLS)
        if part and weight + more > MOST_WAYBILLS:
            yield part
            part, weight = [], 0
        part.append(request)
        weight += more
    if part:
        yield part


def own(error: Exception) -> Exception:
    """A copy of an error that several are told, so that their tracebacks do not grow together."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001  it does not take its own arguments
        return error
