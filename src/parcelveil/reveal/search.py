"""Searching by phone or e-mail: asking for a pseudonym is a look, logged and counted like one.

::

    answers = desk.search(Search(…, value=Secret(b"13800000001")), country="CN")
    answers.answers          # the parcels found, masked; nothing of a personal field is opened

There are so few phones that whoever may ask freely can try them all. So a search needs its scene, counts against
its quota as one, and finds no more parcels than the scene's batch. Where the scene asks for custody or a ticket, each
parcel found has to fulfil it, and who searched learns nothing of the others, not even that there are any. The entry
holds salted commitments of the pseudonym and of the parcels shown; the value itself goes nowhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import MAX_SUBJECTS, Look, Refusal
from parcelveil.audit.log import Log
from parcelveil.errors import InputError, KeyAccessError
from parcelveil.intake.phone import normalise_phones
from parcelveil.ports import SealedSource
from parcelveil.reveal.classes import Facts
from parcelveil.reveal.custody import Custody
from parcelveil.reveal.policy import Decision
from parcelveil.reveal.quota import take
from parcelveil.reveal.request import Answer, Answers, Search, printable
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.scenes import MOST_BATCH, Scene
from parcelveil.reveal.staff import STRANGER
from parcelveil.seal.keyring import KeyRing
from parcelveil.seal.pseudonym import period_of
from parcelveil.waybill import SEALED, WAYBILL, has_pseudonym, kind_of, mask_name, pseudonym_name

#: Months back that a search may look: pseudonyms of each month have a key of their own.
MOST_MONTHS = 13
_SEARCHABLE = tuple(
    field.name for field in WAYBILL if has_pseudonym(field) and kind_of(field) in ("phone", "email", "id_number")
)
_LONGEST = 256
#: Where custody decides, so many parcels of one value are tried.
_MOST_TRIED = MOST_BATCH


class Searcher:
    """What a search needs of the desk."""

    def __init__(self, log: Log, ring: KeyRing, custody: Custody, source: SealedSource, rulebook: Rulebook) -> None:
        self._log, self._ring, self._custody, self._source, self._book = log, ring, custody, source, rulebook

    def search(self, asked: Search, country: str) -> Answers:
        """Answer one search. Raises InputError for a column or value that is none; the attempt is logged."""
        asked = _tidy(asked)
        try:
            value = normal(asked, country)
        except InputError:
            self._log_failed(asked, "no-such-value")
            raise
        self._custody.refresh()
        pseudonyms = self._pseudonyms(asked.column, value, self._periods(asked.months))
        try:
            return self._search(asked, pseudonyms)
        except (InputError, KeyAccessError):  # the source cannot be read: nothing of that transaction has happened
            self._log_failed(asked, "desk-error", pseudonyms)
            raise

    def _search(self, asked: Search, pseudonyms: list[bytes]) -> Answers:
        case = _Case(asked, secrets.token_hex(8), pseudonyms)
        with self._log.begin() as batch:
            self._book.follow(batch.tx, batch.rows)
            case.member = self._book.register.member(asked.actor)
            scene = self._book.scenes.get(asked.scene)
            facts = self._facts(case)
            case.decision = self._book.policy.decide(facts)
            if case.decision.allowed and scene is not None:
                taken = take(batch, scene, case.member.handle, asked.outlet, 1)
                case.left = taken.left
                if taken.taken:
                    self._find(case, facts, scene, batch.time)
                else:
                    case.decision = self._book.policy.decide(facts._replace(within_quota=False))
            self._write(case, batch)
        return self._answers(case, [batch.receipt(index) for index in case.entries])

    def _log_failed(self, asked: Search, reason: str, pseudonyms: Sequence[bytes] = ()) -> None:
        case = _Case(asked, secrets.token_hex(8), pseudonyms)
        with self._log.begin() as batch:
            self._book.follow(batch.tx, batch.rows)
            case.member = self._book.register.member(asked.actor)
            case.decision = Decision(False, "refused", (reason,))
            self._write(case, batch)

    def _periods(self, months: int) -> list[int]:
        known = self._ring.periods("search")
        newest = period_of(self._ring.today())
        return [p for p in known if p <= newest][-max(1, min(months, MOST_MONTHS)) :]

    def _pseudonyms(self, column: str, value: str, periods: list[int]) -> list[bytes]:
        kind, values = str(kind_of(WAYBILL.field(column))), pa.array([value], pa.string())
        found = [self._ring.pseudonym_key("search", p).pseudonyms(values, kind) for p in periods]
        return [pseudonym for array in found for pseudonym in array.to_pylist()]

    def _facts(self, case: _Case) -> Facts:
        """What holds before any parcel is known: as much custody as any of them could have."""
        asked, member = case.asked, case.member
        ticket = bool(asked.ticket) and self._custody.ticket_known(asked.ticket)
        case.ticket = asked.ticket if ticket else ""
        return Facts(
            action="search",
            role=asked.role,
            scene=asked.scene,
            form="masked",
            fields=(asked.column,),
            active=member.active,
            role_held=asked.role in member.roles,
            outlet_held=self._book.outlet_held(asked, member),
            enrolled=self._book.register.enrolled(member, asked.device, asked.device_key.value),
            on_route=True,
            at_outlet=True,
            handled=True,
            ticket=ticket,
            document=False,
            approved=False,
            within_batch=asked.scene in self._book.scenes,
            within_quota=True,
        )

    def _find(self, case: _Case, facts: Facts, scene: Scene, now: int) -> None:
        """The parcels that may be shown; where there is none and custody was needed, why there is not."""
        asked, policy = case.asked, self._book.policy
        shown = [name for name in scene.fields_for(asked.role) if mask_name(name) in SEALED.names]
        case.shown = tuple(shown)
        masks = [mask_name(name) for name in shown]
        bare = policy.decide(facts._replace(on_route=False, at_outlet=False, handled=False, ticket=False))
        most = scene.batch if bare.allowed else _MOST_TRIED
        found = self._source.find_pseudonyms(pseudonym_name(asked.column), case.pseudonyms, most, masks)
        if not bare.allowed:
            held = self._custody.facts(
                found["waybill_no"].cast(pa.string()),
                actor=asked.actor,
                outlet=asked.outlet,
                ticket=case.ticket,
                now=now,
            )
            rows = zip(
                held.on_route.tolist(),
                held.at_outlet.tolist(),
                held.handled.tolist(),
                held.ticket.tolist(),
                strict=True,
            )
            each = [facts._replace(on_route=r, at_outlet=o, handled=h, ticket=t) for r, o, h, t in rows]
            allowed = [row for row, these in enumerate(each) if policy.decide(these).allowed]
            found = found.take(pa.array(allowed[: scene.batch], pa.int64()))
            if not found.num_rows:
                case.decision = bare
                return
        case.found = found

    def _write(self, case: _Case, batch: Batch) -> None:
        """The search as it stands in the log; several entries when it names more than one may."""
        asked, book, decision = case.asked, self._book, case.decision
        common: dict[str, Any] = {
            "time": batch.time,
            "request": case.id,
            "actor": case.member.handle,
            "role": asked.role if asked.role in book.scenes.roles else "?",
            "scene": asked.scene if asked.scene in book.scenes else "?",
            "outlet": asked.outlet if asked.outlet in case.member.outlets else "?" if asked.outlet else "",
            "device": asked.device if asked.device in book.register.devices else "?" if asked.device else "",
            "fields": (asked.column if asked.column in _SEARCHABLE else "?",),
            "form": "masked",
            "policy": book.version,
            "rules": decision.rules,
            "ticket": case.ticket,
            "action": "search",
        }
        subjects = [("pseudonym", value.hex()) for value in case.pseudonyms]
        if case.found is None:
            entry = Refusal(**common, answer=decision.answer, reason=decision.rules[0])
            case.entries.append(batch.append(entry, subjects))
            return
        subjects += [("waybill", number) for number in case.found["waybill_no"].to_pylist()]
        for start in range(0, len(subjects) or 1, MAX_SUBJECTS):
            part = subjects[start : start + MAX_SUBJECTS]
            look = Look(**common, waybills=sum(kind == "waybill" for kind, _ in part))
            case.entries.append(batch.append(look, part))

    def _answers(self, case: _Case, receipts: list[str]) -> Answers:
        decision = case.decision
        if case.found is None:
            answers = [Answer(waybill="", answer=decision.answer, reason=decision.rules[0], rules=decision.rules)]  # type: ignore[arg-type]
        else:
            answers = [
                Answer(
                    waybill=row["waybill_no"],
                    answer="opened",
                    rules=decision.rules,
                    values={name: row[mask_name(name)] for name in case.shown},
                )
                for row in case.found.to_pylist()
            ]
        return Answers(request=case.id, answers=answers, receipts=receipts, left=case.left)


class _Case:
    """One search on its way."""

    def __init__(self, asked: Search, id: str, pseudonyms: Sequence[bytes]) -> None:
        self.asked, self.id, self.pseudonyms = asked, id, pseudonyms
        self.member = STRANGER
        self.decision = Decision(False, "refused", ("no-permit",))
        self.ticket = ""  # the one named, when work knows it
        self.shown: tuple[str, ...] = ()
        self.found: pa.RecordBatch | None = None
        self.left: int | None = None
        self.entries: list[int] = []


def _tidy(asked: Search) -> Search:
    """The search with everything that is no identifier made empty."""
    words = ("actor", "role", "outlet", "device", "scene", "column", "ticket")
    kept = {name: text if printable(text := getattr(asked, name)) else "" for name in words}
    return msgspec.structs.replace(asked, **kept)


def normal(asked: Search, country: str) -> str:
    """The value as the waybills have it. Raises InputError when it is no such value; never names it."""
    if asked.column not in _SEARCHABLE:
        raise InputError("nobody can search by that column", hint="there are: {known}", known=", ".join(_SEARCHABLE))
    try:
        text = asked.value.value[: 4 * _LONGEST + 1].decode()
    except UnicodeDecodeError:
        text = ""
    if kind_of(WAYBILL.field(asked.column)) == "phone" and len(text) <= _LONGEST:
        text = normalise_phones(pa.array([text], pa.string()), country).values[0].as_py() or ""
    if not text or len(text) > _LONGEST:
        raise InputError("this is no value of {column}", hint="write it as on a waybill", column=asked.column)
    return text
