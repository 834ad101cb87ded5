"""The desk: every look goes through here. Policy, custody, quota, second person; **log first, then open**.

::

    desk = Desk(log=log, store=store, ring=ring, custody=custody, source=source)
    answers = desk.look(request)             # blocks until the log entry is durable
    answers = await desk.look_async(request) # the same for a server
    desk.approve(approval_id, credentials)   # the second person

Requests that arrive together are answered together: one transaction, one fsync, one call of the kernel. In that
transaction each request is decided, its quota counted, its approval used up and its entry appended; only when the
transaction is durable are values opened, and exactly as many as were logged. If anything fails before, nothing is
opened and nothing counted; if the process dies after, the look is logged and counted though nobody saw it.

A request is decided as a whole where it can be (who, role, device, scene, fields), and waybill by waybill where it
must be (custody, erased, unknown). What is asked is compared with the facts in
:class:`~parcelveil.reveal.classes.Facts`, and Cedar decides once for each distinct set of facts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.audit.entry import MAX_SUBJECTS, Export, Look, Refusal
from parcelveil.audit.group import GroupCommit
from parcelveil.audit.log import Batch, Log
from parcelveil.errors import ParcelveilError
from parcelveil.ports import SealedSource, Store
from parcelveil.reveal import approval
from parcelveil.reveal.cases import Case, Rows, Verdict, base_facts, custody_bits, verdict_of, with_custody
from parcelveil.reveal.classes import Facts
from parcelveil.reveal.custody import Custody
from parcelveil.reveal.quota import take
from parcelveil.reveal.request import Answer, Answers, Credentials, Request, Search
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.scenes import Scene
from parcelveil.reveal.search import Searcher
from parcelveil.reveal.staff import Member
from parcelveil.seal import few, kernel
from parcelveil.seal.keyring import Drawn, KeyRing
from parcelveil.seal.standing import standing
from parcelveil.waybill import WAYBILL, mask_name, personal_fields

_PERSONAL = frozenset(field.name for field in personal_fields(WAYBILL))
_UNKNOWN, _ERASED = "unknown-waybill", "erased"


class Desk:
    """See the module. Safe in any number of threads and asyncio tasks."""

    def __init__(self, *, log: Log, store: Store, ring: KeyRing, custody: Custody, source: SealedSource) -> None:
        self._log, self._store, self._ring = log, store, ring
        self._custody, self._source = custody, source
        self._rulebook = Rulebook()
        self._turn = threading.RLock()  # the key ring is one thread's at a time
        self._searcher = Searcher(log, ring, custody, source, self._rulebook)
        self._group: GroupCommit[Request, Answers] = GroupCommit(self._run)

    def look(self, request: Request) -> Answers:
        """Answer one request. Raises only when the log cannot be written, and then nothing was opened."""
        return self._group.submit(request)

    async def look_async(self, request: Request) -> Answers:
        """Like :meth:`look`, without blocking the event loop."""
        return await self._group.submit_async(request)

    def search(self, asked: Search, country: str) -> Answers:
        """Answer one search by phone or e-mail; see :mod:`~parcelveil.reveal.search`."""
        with self._turn:
            return self._searcher.search(asked, country)

    def explain(self, request: Request, language: str = "en") -> list[tuple[str, list[str]]]:
        """For each waybill, in words, why it would be opened or not. Logs and opens nothing."""
        case = Case(request, 0)
        with self._turn:
            rows = self._find([case])
            self._custody.refresh()
            with self._store.transaction() as tx:
                self._rulebook.follow(tx)
                now = tx.log_state().time or 0
            now = max(now, self._log.wall())
            member = self._rulebook.register.member(request.actor)
            base = base_facts(case, member, self._rulebook, approved=False)
            bits = custody_bits(self._custody, [case], rows.numbers, now).tolist()
            policy = self._rulebook.policy
            words = {code: policy.explain(with_custody(base, code), language) for code in set(bits)}
        return [(number, words[code]) for number, code in zip(case.waybills, bits, strict=True)]

    def approve(self, id: str, who: Credentials, *, reject: bool = False) -> str:
        """Approve (or reject) what somebody asked for, as another person on another device. Returns the receipt."""
        return approval.decide(self._log, self._rulebook, id, who, reject=reject)

    # -- one group of requests -------------------------------------------------------------------------------

    def _run(self, requests: list[Request]) -> list[Answers | BaseException]:
        """Answer a group. A request that breaks the desk must not take the others with it."""
        with self._turn:
            try:
                return list(self._run_together(requests))
            except ParcelveilError:
                raise
            except Exception:
                if len(requests) == 1:
                    raise
                return [self._run_alone(request) for request in requests]

    def _run_alone(self, request: Request) -> Answers | BaseException:
        try:
            return self._run_together([request])[0]
        except Exception as error:  # noqa: BLE001  handed to whoever asked
            return error

    def _run_together(self, requests: list[Request]) -> list[Answers]:
        cases: list[Case] = []
        for request in requests:
            cases.append(Case(request, cases[-1].end if cases else 0))
        rows = self._find(cases)
        self._custody.refresh()
        key = self._ring.secret("approvals")
        with self._log.begin() as batch:
            self._rulebook.follow(batch.tx)
            custody = custody_bits(self._custody, cases, rows.numbers, batch.time)
            drawn = sum(self._decide(case, rows, custody, batch, key) for case in cases)
            if drawn:
                batch.tx.draw(batch.day, drawn)
        self._open(cases, rows, Drawn(drawn))
        return [self._answers(case, batch) for case in cases]

    def _find(self, cases: Sequence[Case]) -> Rows:
        """The sealed rows asked for, and which of them were erased. Opens nothing."""
        with self._store.transaction() as tx:
            current = tx.kek_version()
        if current != self._ring.kek_version:
            self._ring.refresh()  # another process has erased, or rotated
        numbers = [number for case in cases for number in case.waybills]
        clear = sorted({f for case in cases if case.request.form != "masked" for f in case.fields if f in _PERSONAL})
        masks = {mask_name(f) for case in cases if case.request.form == "masked" for f in case.fields if f in _PERSONAL}
        sealed = self._source.find(numbers, [*clear, *sorted(masks)])
        where = {number: row for row, number in enumerate(sealed["waybill_no"].to_pylist())}
        place = [where.get(number, -1) for number in numbers]
        rows = Rows(numbers, sealed, place, np.zeros(sealed.num_rows, dtype=bool))
        wanted = {p for case in cases if case.request.form != "masked" for p in place[case.start : case.end]} - {-1}
        if wanted and clear:  # masked looks get by without any key
            chosen = sorted(wanted)
            part = sealed if len(chosen) == sealed.num_rows else sealed.take(pa.array(chosen))
            rows.erased[chosen] = self._standing(part, clear) != kernel.OK
        return rows

    def _standing(self, sealed: pa.RecordBatch, fields: Sequence[str]) -> npt.NDArray[np.uint8]:
        """For each row whether its key is alive."""
        epochs = set(few.epochs_in_few(sealed, fields) if sealed.num_rows <= few.FEW else kernel.epochs_in(sealed))
        if epochs - self._ring.known:
            self._ring.refresh()  # another process has sealed a new day
        keys = self._ring.open_keys(epochs)
        if sealed.num_rows <= few.FEW:
            return few.standing_few(sealed, keys, fields)
        return standing(sealed, keys)

    def _decide(self, case: Case, rows: Rows, custody: npt.NDArray[np.uint8], batch: Batch, key: bytes) -> int:
        """Decide, count and log one request; returns how many values may be opened."""
        request, book = case.request, self._rulebook
        member = book.register.member(request.actor)
        scene = book.scenes.get(request.scene)
        granted = approval.Granted.of(batch, request, member, key)
        base = base_facts(case, member, book, approved=granted.approved)
        bits = custody[case.start : case.end].tolist()
        verdicts = {code: self._verdict(with_custody(base, code), granted) for code in set(bits)}
        case.verdicts = [verdicts[code] for code in bits]
        self._stand(case, rows)
        opening = [i for i, verdict in enumerate(case.verdicts) if verdict.answer == "opened"]
        if opening and scene is not None:
            opening = self._count(case, scene, opening, base, custody, batch, member)
        if any(verdict.answer == "needs-approval" for verdict in case.verdicts) and scene is not None:
            case.approval = granted.ask(batch, case.id, member, scene.approval_minutes)
        elif opening and granted.approved:
            case.approval = granted.use(batch, case.id, member)
        values = 0
        if opening and request.form == "full":
            values = rows.values([rows.place[case.start + i] for i in opening], case.fields)
        self._write(case, batch, member, values)
        return values

    def _verdict(self, facts: Facts, granted: approval.Granted) -> Verdict:
        decision = self._rulebook.policy.decide(facts)
        if decision.answer == "needs-approval" and granted.problem:
            return Verdict("refused", granted.problem, decision.rules)
        return verdict_of(decision)

    def _stand(self, case: Case, rows: Rows) -> None:
        """What would be opened but is erased, or unknown."""
        for i, verdict in enumerate(case.verdicts):
            if verdict.answer in ("opened", "needs-approval"):
                place = rows.place[case.start + i]
                if place < 0:
                    case.verdicts[i] = Verdict("unknown", _UNKNOWN, ())
                elif rows.erased[place]:
                    case.verdicts[i] = Verdict("erased", _ERASED, ())

    def _count(
        self,
        case: Case,
        scene: Scene,
        opening: list[int],
        base: Facts,
        custody: npt.NDArray[np.uint8],
        batch: Batch,
        member: Member,
    ) -> list[int]:
        """Count the waybills into the quotas of actor and outlet; all of them, or none when they do not fit."""
        took = take(batch, scene, member.handle, case.request.outlet, len(opening))
        case.left = took.left
        if took.taken:
            return opening
        for i in opening:
            facts = with_custody(base, int(custody[case.start + i]))._replace(within_quota=False)
            case.verdicts[i] = verdict_of(self._rulebook.policy.decide(facts))
        return []

    def _write(self, case: Case, batch: Batch, member: Member, values: int) -> None:
        """One entry for each verdict of the request (more when it speaks of more than 500 waybills)."""
        groups: dict[Verdict, list[int]] = {}
        for i, verdict in enumerate(case.verdicts):
            groups.setdefault(verdict, []).append(i)
        if not groups:  # nothing asked for: refused as a whole
            groups[Verdict("refused", "no-waybill", ())] = []
        for verdict, places in groups.items():
            for start in range(0, len(places) or 1, MAX_SUBJECTS):
                part = places[start : start + MAX_SUBJECTS]
                entry = self._entry(case, batch, member, verdict, len(part), values if start == 0 else 0)
                subjects = [("waybill", case.waybills[i]) for i in part]
                case.entries.append(batch.append(entry, subjects, case.request.document))

    def _entry(
        self, case: Case, batch: Batch, member: Member, verdict: Verdict, waybills: int, values: int
    ) -> Look | Refusal | Export:
        """Says only what comes from closed lists: whatever else was typed is ``?``."""
        request, book = case.request, self._rulebook
        scene = request.scene if request.scene in book.scenes else "?"
        device = request.device if request.device in book.register.devices else "?" if request.device else ""
        common: dict[str, Any] = {
            "time": batch.time,
            "request": case.id,
            "actor": member.handle,
            "role": request.role if request.role in book.scenes.roles else "?",
            "scene": scene,
            "outlet": request.outlet if request.outlet in member.outlets else "?" if request.outlet else "",
            "device": device,
            "fields": tuple(name if name in _PERSONAL else "?" for name in case.fields),
            "form": request.form if request.form in ("full", "masked") else "?",
            "waybills": waybills,
            "policy": book.version,
            "rules": verdict.rules,
            "ticket": request.ticket if request.ticket and self._custody.ticket_known(request.ticket) else "",
            "approval": case.approval,
        }
        if verdict.answer != "opened":
            return Refusal(**common, answer=verdict.answer, reason=verdict.reason)
        kind = Export if scene in book.scenes and book.scenes[scene].action == "export" else Look
        return kind(**common, values=values)

    # -- after the log ---------------------------------------------------------------------------------------

    def _open(self, cases: Sequence[Case], rows: Rows, meter: Drawn) -> None:
        """Open what the durable entries say, fields by fields; masks are only copied."""
        wanted: dict[tuple[str, tuple[str, ...]], list[tuple[Case, int]]] = {}
        for case in cases:
            chosen = [(case, i) for i, verdict in enumerate(case.verdicts) if verdict.answer == "opened"]
            if chosen:
                wanted.setdefault((case.request.form, case.fields), []).extend(chosen)
        changed: list[tuple[Case, int]] = []
        for (form, fields), chosen in wanted.items():
            sealed = rows.sealed.take(pa.array([rows.place[case.start + i] for case, i in chosen]))
            if form == "masked":
                names = [mask_name(field) for field in fields]
                shown, status = sealed.select(names).rename_columns(list(fields)).to_pylist(), None
            else:
                shown, status = self._opened(sealed, fields, meter)
            for (case, i), values in zip(chosen, shown, strict=True):
                case.values[i] = values
            if status is not None and status.any():
                changed += [chosen[place] for place in np.flatnonzero(status)]
        if changed:
            self._tell_changed(changed)

    def _opened(
        self, sealed: pa.RecordBatch, fields: Sequence[str], meter: Drawn
    ) -> tuple[list[dict[str, str | None]], npt.NDArray[np.uint8]]:
        """The clear values, a record a row, and each row's status."""
        if sealed.num_rows <= few.FEW:
            keys = self._ring.open_keys(few.epochs_in_few(sealed, fields), meter=meter)
            return few.open_few(sealed, keys, fields)
        keys = self._ring.open_keys(kernel.epochs_in(sealed), meter=meter)
        clear, status = kernel.open_rows(sealed.select(["waybill_no", *fields]), keys)
        return clear.select(list(fields)).to_pylist(), status

    def _tell_changed(self, changed: Sequence[tuple[Case, int]]) -> None:
        """A value was changed or moved: nothing of its row is shown, and the log says so."""
        with self._log.begin() as batch:
            for case, i in changed:
                case.values[i] = None
                case.verdicts[i] = verdict = Verdict("refused", "value-changed", ())
                member = self._rulebook.register.member(case.request.actor)
                entry = self._entry(case, batch, member, verdict, 1, 0)
                batch.append(entry, [("waybill", case.waybills[i])])

    def _answers(self, case: Case, batch: Batch) -> Answers:
        answers = [
            Answer(waybill=number, answer=v.answer, reason=v.reason, rules=v.rules, values=values)  # type: ignore[arg-type]
            for number, v, values in zip(case.waybills, case.verdicts, case.values, strict=True)
        ]
        receipts = [batch.receipt(index) for index in case.entries]
        return Answers(request=case.id, answers=answers, receipts=receipts, approval=case.approval, left=case.left)
