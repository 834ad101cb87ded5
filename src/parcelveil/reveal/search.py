"""Searching by phone or e-mail: asking for a pseudonym is a look, logged and counted like one.

::

    answers = desk.search(Search(…, value=Secret(b"13800000001")), country="CN")
    answers.answers          # the parcels found, masked; nothing of a personal field is opened

There are so few phones that whoever may ask freely can try them all. So a search needs its scene, counts against
its quota as one, and finds no more parcels than the scene's batch. The entry holds salted commitments of the
pseudonym and of the parcels found; the value itself goes nowhere.
"""

from __future__ import annotations

import secrets

import pyarrow as pa

from parcelveil.audit.entry import Look, Refusal
from parcelveil.audit.log import Batch, Log
from parcelveil.errors import InputError
from parcelveil.intake.phone import normalise_phones
from parcelveil.ports import SealedSource
from parcelveil.reveal.classes import Facts
from parcelveil.reveal.custody import Custody
from parcelveil.reveal.policy import Decision
from parcelveil.reveal.quota import take
from parcelveil.reveal.request import Answer, Answers, Search, printable
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.scenes import Scene
from parcelveil.reveal.staff import Member
from parcelveil.seal.keyring import KeyRing
from parcelveil.seal.pseudonym import period_of
from parcelveil.waybill import WAYBILL, has_pseudonym, kind_of, mask_name, pseudonym_name

#: Months back that a search may look: pseudonyms of each month have a key of their own.
MOST_MONTHS = 13
_SEARCHABLE = tuple(
    field.name for field in WAYBILL if has_pseudonym(field) and kind_of(field) in ("phone", "email", "id_number")
)
_SHOWN = ("from_name", "from_phone", "to_name", "to_phone", "to_address")


class Searcher:
    """What a search needs of the desk."""

    def __init__(self, log: Log, ring: KeyRing, custody: Custody, source: SealedSource, rulebook: Rulebook) -> None:
        self._log, self._ring, self._custody, self._source, self._book = log, ring, custody, source, rulebook

    def search(self, asked: Search, country: str) -> Answers:
        """Answer one search. Raises InputError for a value that is none, before anything is decided."""
        if asked.column not in _SEARCHABLE:
            raise InputError(
                "nobody can search by {column}",
                hint="there are: {known}",
                column=asked.column if printable(asked.column) else "?",
                known=", ".join(_SEARCHABLE),
            )
        value = normal(asked, country)
        id = secrets.token_hex(8)
        self._custody.refresh()
        periods = self._periods(asked.months)
        pseudonyms = self._pseudonyms(asked.column, value, periods)
        with self._log.begin() as batch:
            self._book.follow(batch.tx)
            member = self._book.register.member(asked.actor)
            scene = self._book.scenes.get(asked.scene)
            facts = self._facts(asked, member, scene)
            decision = self._book.policy.decide(facts)
            left = None
            if decision.allowed and scene is not None:
                decision, left = self._count(facts, decision, scene, member, asked, batch)
            found = self._find(asked.column, pseudonyms, scene) if decision.allowed and scene is not None else None
            index = self._write(id, asked, facts, decision, member, found, pseudonyms, batch)
        return self._answers(id, decision, found, batch.receipt(index), left)

    def _periods(self, months: int) -> list[int]:
        known = self._ring.periods("search")
        newest = period_of(self._ring.today())
        return [p for p in known if p <= newest][-max(1, min(months, MOST_MONTHS)) :]

    def _pseudonyms(self, column: str, value: str, periods: list[int]) -> pa.Array:
        kind = str(kind_of(WAYBILL.field(column)))
        found = [self._ring.pseudonym_key("search", p).pseudonyms(pa.array([value]), kind) for p in periods]
        return pa.concat_arrays(found) if found else pa.array([], pa.binary(16))

    def _facts(self, asked: Search, member: Member, scene: Scene | None) -> Facts:
        ticket = bool(asked.ticket) and printable(asked.ticket) and self._custody.ticket_known(asked.ticket)
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
            on_route=False,
            at_outlet=False,
            handled=False,
            ticket=ticket,
            document=False,
            approved=False,
            within_batch=scene is not None,
            within_quota=True,
        )

    def _count(
        self, facts: Facts, decision: Decision, scene: Scene, member: Member, asked: Search, batch: Batch
    ) -> tuple[Decision, int]:
        left = take(batch, scene, member.handle, asked.outlet, 1)
        if left.taken:
            return decision, left.left
        return self._book.policy.decide(facts._replace(within_quota=False)), left.left

    def _find(self, column: str, pseudonyms: pa.Array, scene: Scene) -> pa.RecordBatch:
        masks = [mask_name(name) for name in _SHOWN]
        return self._source.find_pseudonyms(pseudonym_name(column), pseudonyms.to_pylist(), scene.batch, masks)

    def _write(
        self,
        id: str,
        asked: Search,
        facts: Facts,
        decision: Decision,
        member: Member,
        found: pa.RecordBatch | None,
        pseudonyms: pa.Array,
        batch: Batch,
    ) -> int:
        book = self._book
        look = Look(
            time=batch.time,
            request=id,
            actor=member.handle,
            role=facts.role if facts.role in book.scenes.roles else "?",
            scene=facts.scene if facts.scene in book.scenes else "?",
            outlet=asked.outlet if asked.outlet in member.outlets else "?" if asked.outlet else "",
            device=asked.device if asked.device in book.register.devices else "?" if asked.device else "",
            fields=(asked.column,),
            form="masked",
            waybills=found.num_rows if found is not None else 0,
            policy=book.version,
            rules=decision.rules,
            ticket=asked.ticket if facts.ticket else "",
            action="search",
        )
        subjects = [("pseudonym", value.hex()) for value in pseudonyms.to_pylist()]
        if found is not None:
            return batch.append(look, subjects + [("waybill", no) for no in found["waybill_no"].to_pylist()])
        shared = {name: getattr(look, name) for name in look.__struct_fields__ if name not in ("v", "values")}
        return batch.append(Refusal(**shared, answer=decision.answer, reason=decision.rules[0]), subjects)

    def _answers(
        self, id: str, decision: Decision, found: pa.RecordBatch | None, receipt: str, left: int | None
    ) -> Answers:
        if found is None:
            refused = Answer(waybill="", answer=decision.answer, reason=decision.rules[0], rules=decision.rules)  # type: ignore[arg-type]
            return Answers(request=id, answers=[refused], receipts=[receipt], left=left)
        shown = [
            Answer(
                waybill=row["waybill_no"],
                answer="opened",
                rules=decision.rules,
                values={name: row[mask_name(name)] for name in _SHOWN},
            )
            for row in found.to_pylist()
        ]
        return Answers(request=id, answers=shown, receipts=[receipt], left=left)


def normal(asked: Search, country: str) -> str:
    """The value as the waybills have it. Raises InputError when it is no such value; never names it."""
    try:
        text = asked.value.value.decode()
    except UnicodeDecodeError:
        text = ""
    if kind_of(WAYBILL.field(asked.column)) == "phone":
        text = normalise_phones(pa.array([text], pa.string()), country).values[0].as_py() or ""
    if not text or len(text) > 256:
        raise InputError("this is no value of {column}", hint="write it as on a waybill", column=asked.column)
    return text
