"""The desk: every look goes through here. Policy, custody, quota, second person; **log first, then open**.

::

    desk = Desk(log=log, store=store, ring=ring, custody=custody, source=source)
    answers = desk.look(request)             # blocks until the log entry is durable
    answers = await desk.look_async(request) # the same for a server
    answers = desk.scan(request)             # the same with tokens of labels instead of waybill numbers
    desk.approve(approval_id, credentials)   # the second person

Requests that arrive together are answered together: one transaction, one fsync, one call of the kernel. In that
transaction each request is decided, its quota counted, its approval used up and its entry appended; only when the
transaction is durable are values opened, and exactly as many as were logged. If anything fails before, nothing is
opened and nothing counted; if the process dies after, the look is logged and counted though nobody saw it.

What is wrong with one request (a source that cannot read its parcels, a damaged key) is that request's error alone,
and logged as refused for ``desk-error``: the group is halved until it stands by itself. Only when log, store, custody
index or rules are unusable all get the error.

A request is decided as a whole where it can be (who, role, device, scene, fields), and waybill by waybill where it
must be (custody, erased, unknown). What is asked is compared with the facts in
:class:`~parcelveil.reveal.classes.Facts`, and Cedar decides once for each distinct set of facts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import MAX_SUBJECTS, Export, Look, Refusal
from parcelveil.audit.group import GroupCommit
from parcelveil.audit.log import Log
from parcelveil.errors import LogError, OutputError, PolicyError, UsageError, WorkspaceError
from parcelveil.ports import SealedSource, Store
from parcelveil.reveal import approval
from parcelveil.reveal.cases import (
    ALL_BITS,
    NO_WAYBILL,
    PERSONAL,
    Case,
    Rows,
    Verdict,
    answers_of,
    base_facts,
    checked,
    custody_bits,
    entry_of,
    own,
    parts,
    rows_at,
    stand,
    verdict_of,
    with_custody,
)
from parcelveil.reveal.classes import Facts
from parcelveil.reveal.custody import Custody
from parcelveil.reveal.opening import opened, standing_of
from parcelveil.reveal.quota import Counting
from parcelveil.reveal.request import Answers, Credentials, Request, Search
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.scenes import MOST_BATCH, Scene
from parcelveil.reveal.search import Searcher
from parcelveil.reveal.staff import Member
from parcelveil.reveal.tokens import TokenReader, scan_of
from parcelveil.seal.keyring import KeyRing
from parcelveil.seal.meter import Drawn
from parcelveil.waybill import mask_name

_NO_TOKEN = Verdict("refused", "no-such-token", ())
_CHANGED = Verdict("refused", "value-changed", ())
_FAILED = Verdict("refused", "desk-error", ())
_EXPLAINED = Verdict("refused", "only-explained", ())
#: Waybills that :meth:`Desk.explain` speaks of at the most.
MOST_EXPLAINED = 100
#: Nobody's request is to blame for these: everybody gets them.
_EVERYBODYS = (OutputError, LogError, WorkspaceError, PolicyError)


class Desk:
    """See the module. Safe in any number of threads and asyncio tasks."""

    def __init__(self, *, log: Log, store: Store, ring: KeyRing, custody: Custody, source: SealedSource) -> None:
        self._log, self._store, self._ring = log, store, ring
        self._custody, self._source = custody, source
        self._rulebook = Rulebook()
        self._turn = threading.RLock()  # the key ring is one thread's at a time
        self._searcher = Searcher(log, ring, custody, source, self._rulebook)
        self._tokens = TokenReader(ring)
        self._group: GroupCommit[Request, Answers] = GroupCommit(self._run)

    def look(self, request: Request) -> Answers:
        """Answer one request. Raises only when the log cannot be written, and then nothing was opened."""
        return self._group.submit(checked(request))

    async def look_async(self, request: Request) -> Answers:
        """Like :meth:`look`, without blocking the event loop."""
        return await self._group.submit_async(checked(request))

    def scan(self, request: Request) -> Answers:
        """Like :meth:`look`; ``request.waybills`` are tokens of labels, see :mod:`~parcelveil.reveal.tokens`."""
        return self.look(scan_of(request))

    async def scan_async(self, request: Request) -> Answers:
        """Like :meth:`scan`, without blocking the event loop."""
        return await self.look_async(scan_of(request))

    def search(self, asked: Search, country: str) -> Answers:
        """Answer one search by phone or e-mail; see :mod:`~parcelveil.reveal.search`."""
        with self._turn:
            self._ring.refresh()  # another process may have rotated, or begun a month
            return self._searcher.search(asked, country)

    def explain(self, request: Request, language: str = "en") -> list[tuple[str, list[str]]]:
        """For each waybill, in words, why it would be opened or not. Opens and counts nothing; that it was asked is
        logged, since the answer says where parcels are. Raises UsageError for more than :data:`MOST_EXPLAINED`."""
        if len(request.waybills) > MOST_EXPLAINED:
            raise UsageError("at most {most} waybills are explained at once", hint="give fewer", most=MOST_EXPLAINED)
        case = Case(checked(request), 0)
        with self._turn:
            self._custody.refresh()
            with self._log.begin() as batch:
                book = self._rulebook
                book.follow(batch.tx, batch.rows)
                member = book.register.member(case.request.actor)
                base = base_facts(case, member, book, approved=False)
                bits = custody_bits(self._custody, [case], list(case.waybills), batch.time).tolist()
                asked = entry_of(case, book, member, _EXPLAINED, batch.time, "", len(bits), 0)
                asked = msgspec.structs.replace(asked, action="explain")
                batch.append(asked, [("waybill", number) for number in case.waybills], case.request.document)
            words = {code: book.policy.explain(with_custody(base, code), language) for code in set(bits)}
        return [(number, words[code]) for number, code in zip(case.waybills, bits, strict=True)]

    def approve(self, id: str, who: Credentials, *, reject: bool = False) -> str:
        """Approve (or reject) what somebody asked for, as another person on another device. Returns the receipt."""
        with self._turn:
            return approval.decide(self._log, self._rulebook, id, who, reject=reject)

    # -- one group of requests -------------------------------------------------------------------------------

    def _run(self, requests: list[Request]) -> list[Answers | BaseException]:
        """Answer a group, in parts of bounded size."""
        with self._turn:
            return [answer for part in parts(requests) for answer in self._run_part(part)]

    def _run_part(self, requests: list[Request]) -> list[Answers | BaseException]:
        """Answer requests together. One that breaks the desk must not take the others with it, so look for it."""
        try:
            return self._run_together(requests)
        except _EVERYBODYS as error:
            return [own(error) for _ in requests]
        except Exception as error:  # noqa: BLE001  whatever it is, it is one request's
            if len(requests) == 1:
                return [self._failed(requests[0], error)]
            middle = len(requests) // 2
            return self._run_part(requests[:middle]) + self._run_part(requests[middle:])

    def _failed(self, request: Request, error: Exception) -> Exception:
        """Log an attempt that the desk could not answer; what to tell who asked."""
        try:
            case = self._tokens.tried(Case(request, 0))
            case.verdicts = [_FAILED] * len(case.waybills)
            with self._log.begin() as batch:
                self._rulebook.follow(batch.tx, batch.rows)
                self._write(case, batch, self._rulebook.register.member(case.request.actor), None)
        except Exception as worse:  # noqa: BLE001  it could not even be logged
            return worse
        return self._tokens.untold(case, error)

    def _run_together(self, requests: list[Request]) -> list[Answers | BaseException]:
        cases: list[Case] = []
        for request in requests:
            cases.append(Case(request, cases[-1].end if cases else 0))
        self._custody.refresh()
        key = self._ring.secret("approvals")
        while True:
            self._tokens.name(cases)
            rows = self._find(cases)
            with self._log.begin() as batch:
                if batch.tx.kek_version() == self._ring.kek_version:
                    self._decide_all(cases, rows, batch, key)
                    break
            self._ring.refresh()  # another process has erased, or rotated: look again, before anything is decided
        self._open(cases, rows)
        return [case.error or answers_of(case, batch) for case in cases]

    def _decide_all(self, cases: Sequence[Case], rows: Rows, batch: Batch, key: bytes) -> None:
        self._rulebook.follow(batch.tx, batch.rows)
        custody = custody_bits(self._custody, cases, rows.numbers, batch.time)
        counting = Counting(batch)
        known: dict[tuple[Facts, int], Verdict] = {}
        for case in cases:
            self._decide(case, rows, custody, counting, known, batch, key)
        counting.write()
        if drawn := sum(case.drawn for case in cases):
            batch.tx.draw(batch.day, drawn)

    def _find(self, cases: Sequence[Case]) -> Rows:
        """The sealed rows asked for, and whether their keys are alive. Opens nothing."""
        numbers = [number for case in cases for number in case.sought]
        clear = sorted({f for case in cases if case.request.form != "masked" for f in case.fields if f in PERSONAL})
        masks = {mask_name(f) for case in cases if case.request.form == "masked" for f in case.fields if f in PERSONAL}
        sealed = self._source.find(numbers, [*clear, *sorted(masks)])
        where = {number: row for row, number in enumerate(sealed["waybill_no"].to_pylist())}
        rows = Rows(numbers, sealed, [where.get(number, -1) for number in numbers], {}, {})
        wanted: dict[tuple[str, ...], set[int]] = {}  # by fields: what one request asks for is no other's concern
        for case in cases:
            if case.request.form != "masked" and case.fields:  # masked looks get by without any key
                wanted.setdefault(case.fields, set()).update(rows.place[case.start : case.end])
        for fields, places in wanted.items():
            chosen, known = sorted(places - {-1}), [name for name in fields if name in PERSONAL]
            if chosen and known:
                status = standing_of(self._ring, rows_at(sealed, chosen), known)
                bad = np.flatnonzero(status).tolist()
                rows.standing.update(((chosen[place], fields), int(status[place])) for place in bad)
        return rows

    def _decide(
        self,
        case: Case,
        rows: Rows,
        custody: npt.NDArray[np.uint8],
        counting: Counting,
        known: dict[tuple[Facts, int], Verdict],
        batch: Batch,
        key: bytes,
    ) -> None:
        """Decide, count and log one request; ``case.drawn`` is then how many values may be opened."""
        request, book = case.request, self._rulebook
        member = book.register.member(request.actor)
        scene = book.scenes.get(request.scene)
        granted = approval.Granted.of(batch, request, member, book.register, key)
        base = base_facts(case, member, book, approved=granted.approved)
        case.plausible = base.active and base.enrolled and case.asked <= MOST_BATCH
        # What is larger than any scene allows is refused whatever custody says, and nobody looked.
        bits = custody[case.start : case.end].tolist() if case.sought else [0] * len(case.waybills)
        verdicts = {code: self._verdict(base, code, known, granted) for code in set(bits)}
        case.verdicts = [verdicts[code] for code in bits]
        if case.unread:  # who may not ask at all learns not even which tokens are genuine
            most = self._verdict(base, ALL_BITS, known, granted).answer
            unread = _NO_TOKEN if most in ("opened", "needs-approval") else self._verdict(base, 0, known, granted)
            case.verdicts = [unread if i in case.unread else verdict for i, verdict in enumerate(case.verdicts)]
        stand(case, rows)
        opening = [i for i, verdict in enumerate(case.verdicts) if verdict.answer == "opened"]
        if opening and scene is not None:
            opening = self._count(case, scene, opening, base, bits, counting, member)
        if any(verdict.answer == "needs-approval" for verdict in case.verdicts) and scene is not None:
            case.approval = granted.ask(batch, case.id, member, scene.approval_minutes)
        elif opening and granted.approved:
            case.approval = granted.use(batch, case.id, member)
        self._write(case, batch, member, rows)

    def _verdict(
        self, base: Facts, bits: int, known: dict[tuple[Facts, int], Verdict], granted: approval.Granted
    ) -> Verdict:
        verdict = known.get((base, bits))
        if verdict is None:
            known[base, bits] = verdict = verdict_of(self._rulebook.policy.decide(with_custody(base, bits)))
        if verdict.answer == "needs-approval" and granted.problem:
            return Verdict("refused", granted.problem, verdict.rules)
        return verdict

    def _count(
        self,
        case: Case,
        scene: Scene,
        opening: list[int],
        base: Facts,
        bits: list[int],
        counting: Counting,
        member: Member,
    ) -> list[int]:
        """Count the waybills into the quotas of actor and outlet; all of them, or none when they do not fit."""
        took = counting.take(scene, member.handle, case.request.outlet, len(opening))
        case.left = took.left
        if took.taken:
            return opening
        over = base._replace(within_quota=False)
        verdicts = {code: self._rulebook.policy.decide(with_custody(over, code)) for code in {bits[i] for i in opening}}
        for i in opening:
            case.verdicts[i] = verdict_of(verdicts[bits[i]])
        return []

    def _write(self, case: Case, batch: Batch, member: Member, rows: Rows | None) -> None:
        """One entry for each verdict of the request (more when it speaks of more than 500 waybills).

        What strangers ask for, and requests larger than any scene may allow, are logged with their count; the numbers
        are named up to one entry's worth, so that nobody can fill the log with a list.
        """
        groups: dict[Verdict, list[int]] = {}
        for i, verdict in enumerate(case.verdicts):
            groups.setdefault(verdict, []).append(i)
        if not groups:  # nothing asked for: refused as a whole
            groups[NO_WAYBILL] = []
        unnamed = case.asked - len(case.waybills)  # beyond any bound: counted, but not named
        for verdict, places in groups.items():
            if not case.plausible:
                unnamed += len(places[MAX_SUBJECTS:])
                del places[MAX_SUBJECTS:]
            for start in range(0, len(places) or 1, MAX_SUBJECTS):
                part = places[start : start + MAX_SUBJECTS]
                values = 0
                if rows is not None and verdict.answer == "opened" and case.request.form == "full":
                    values = rows.values([rows.place[case.start + i] for i in part], case.fields)
                case.drawn += values
                entry = self._entry(case, batch, member, verdict, len(part) + unnamed, values)
                unnamed = 0
                # An erased number gets no new salt: it shall stay forgotten.
                named = part if verdict.answer != "erased" else []
                subjects = [("waybill", case.waybills[i]) for i in named if i not in case.unread]
                case.entries.append(batch.append(entry, subjects, case.request.document))

    def _entry(
        self, case: Case, batch: Batch, member: Member, verdict: Verdict, waybills: int, values: int
    ) -> Look | Refusal | Export:
        ticket = case.request.ticket
        known = ticket if ticket and self._custody.ticket_known(ticket) else ""
        return entry_of(case, self._rulebook, member, verdict, batch.time, known, waybills, values)

    # -- after the log ---------------------------------------------------------------------------------------

    def _open(self, cases: Sequence[Case], rows: Rows) -> None:
        """Open what the durable entries say, fields by fields."""
        wanted: dict[tuple[str, tuple[str, ...]], list[Case]] = {}
        for case in cases:
            case.opened = [i for i, verdict in enumerate(case.verdicts) if verdict.answer == "opened"]
            if case.opened:
                wanted.setdefault((case.request.form, case.fields), []).append(case)
        changed: list[Case] = []
        for together in wanted.values():
            try:
                changed += self._show(together, rows)
            except Exception:  # noqa: BLE001  nothing of them was released: each by itself, within what it logged
                for case in together:
                    try:
                        changed += self._show([case], rows)
                    except Exception as error:  # noqa: BLE001  handed to whoever asked
                        case.error = error
        if changed:
            self._tell_changed(changed)

    def _show(self, cases: Sequence[Case], rows: Rows) -> list[Case]:
        """Fill in the values of requests for the same fields; returns those in which a value was changed or moved."""
        form, fields = cases[0].request.form, cases[0].fields
        sealed = rows_at(rows.sealed, [rows.place[case.start + i] for case in cases for i in case.opened])
        if form == "masked":  # masks are only copied
            names = [mask_name(field) for field in fields]
            shown, bad = sealed.select(names).rename_columns(list(fields)).to_pylist(), set()
        else:
            shown, status = opened(self._ring, sealed, fields, Drawn(sum(case.drawn for case in cases)))
            bad = set(np.flatnonzero(status).tolist())
        changed, row = [], 0
        for case in cases:
            case.changed = []
            for i in case.opened:
                case.values[i] = shown[row]
                if row in bad:
                    case.changed.append(i)
                row += 1
            if case.changed:
                changed.append(case)
        return changed

    def _tell_changed(self, changed: Sequence[Case]) -> None:
        """A value was changed or moved: nothing of its row is shown, and the log says so."""
        for case in changed:
            for i in case.changed:
                case.values[i], case.verdicts[i] = None, _CHANGED
        try:
            with self._log.begin() as batch:
                for case in changed:
                    member = self._rulebook.register.member(case.request.actor)
                    for start in range(0, len(case.changed), MAX_SUBJECTS):
                        part = case.changed[start : start + MAX_SUBJECTS]
                        entry = self._entry(case, batch, member, _CHANGED, len(part), 0)
                        case.told.append(batch.append(entry, [("waybill", case.waybills[i]) for i in part]))
        except Exception as error:  # noqa: BLE001  the others' looks are logged, and theirs to see
            for case in changed:
                case.error = own(error)
            return
        for case in changed:
            case.receipts += [batch.receipt(index) for index in case.told]
