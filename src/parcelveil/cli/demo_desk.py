"""The demo's second half: the reveal desk, the audit log, and a witness in another process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from parcelveil.audit import note, tiles
from parcelveil.audit.entry import decode, encode
from parcelveil.audit.proof import VerifierKey, leaf_hash, verify_receipt
from parcelveil.audit.reconcile import compare
from parcelveil.audit.tree import Frontier
from parcelveil.audit.verify import verify_log
from parcelveil.errors import LogError, PolicyError
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal import staff
from parcelveil.reveal.request import Answers, Credentials, Request, Secret
from parcelveil.reveal.rulebook import Rulebook

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.reveal.desk import Desk
    from parcelveil.workspace import Workspace

_STAFF = (
    ("c-104", "courier", "310-A12", "pda-7"),
    ("a-3", "analyst", "", "desk-3"),
    ("m-1", "approver", "", "desk-1"),
)


def desk_demo(
    workspace: Workspace, sealed: pa.RecordBatch, clear: pa.RecordBatch, tokens: dict[str, str], first: int
) -> int:
    """Looks, refusals, an export by two persons, a verified log, an altered tile, a rewritten log; steps from ``first``.

    Returns the number of the step that comes next.
    """
    from parcelveil.adapt.sealed_files import SealedBatch

    step = iter(range(first, first + 20))
    numbers = sealed["waybill_no"].to_pylist()
    people = _register(workspace)
    _hand_out(workspace, numbers)
    desk = workspace.desk(SealedBatch(sealed))
    print(f"\n{next(step)}. the desk: {len(people)} members of staff, each with an enrolled device; "
          "parcels are on the routes of two couriers")  # fmt: skip
    own = _courier(desk, people["c-104"], numbers, clear, next(step))
    _stranger(desk, people["c-104"], numbers, next(step))
    if tokens:
        _scanned(desk, people["c-104"], tokens, numbers, next(step))
    _export(desk, people, numbers[-20:], next(step))
    workspace.log.publish()
    _verified(workspace, own, next(step))
    _altered(workspace, next(step))
    _witnessed(workspace, next(step))
    return next(step)


def _register(workspace: Workspace) -> dict[str, Credentials]:
    """Three people with a device each."""
    with workspace.store.reading() as tx:
        scenes = Rulebook.of(tx).scenes
    hired = [staff.Hired(no, frozenset([role]), frozenset(outlet.split())) for no, role, outlet, _ in _STAFF]
    staff.put(workspace.log, scenes, hired)
    return {
        no: Credentials(
            actor=no,
            role=role,
            outlet=outlet,
            device=device,
            device_key=Secret(staff.enrol(workspace.log, no, device)),
        )
        for no, role, outlet, device in _STAFF
    }


def _hand_out(workspace: Workspace, numbers: list[str]) -> None:
    """An hour ago the couriers took their parcels: the first fifty are c-104's."""
    when = datetime.now(UTC) - timedelta(hours=1)
    events = [
        Work(
            event_id=f"scan-{place}",
            event_time=when,
            biz_step=BizStep.OUT_FOR_DELIVERY,
            waybill_no=number,
            outlet="310-A12",
            actor="c-104" if place < 50 else "c-105",
        )
        for place, number in enumerate(numbers[:100])
    ]
    workspace.custody.load([work_batch(events)])


def _request(who: Credentials, scene: str, waybills: list[str], fields: tuple[str, ...]) -> Request:
    return Request(**msgspec.structs.asdict(who), scene=scene, waybills=tuple(waybills), fields=fields)


def _courier(desk: Desk, who: Credentials, numbers: list[str], clear: pa.RecordBatch, step: int) -> Answers:
    request = _request(who, "deliver", [numbers[2]], ("to_name", "to_phone", "to_address"))
    started = time.perf_counter()
    answers = desk.look(request)
    took = time.perf_counter() - started
    values = answers.answers[0].values or {}
    same = all(values[name] == clear[name][2].as_py() for name in request.fields)
    print(f"{step}. courier c-104 looks at {numbers[2]} to deliver it: {answers.answers[0].answer}, "
          f"{'the values that were sealed' if same else 'WRONG'} ({took * 1e3:.1f} ms, entry durable first)")  # fmt: skip
    return answers


def _stranger(desk: Desk, who: Credentials, numbers: list[str], step: int) -> None:
    request = _request(who, "deliver", [numbers[70]], ("to_name", "to_phone"))
    answer = desk.look(request).answers[0]
    words = desk.explain(request)[0][1][0].partition(": ")[2]
    print(f"{step}. the same courier asks for {numbers[70]}, which is c-105's: {answer.answer}\n   {words}")


def _scanned(desk: Desk, who: Credentials, tokens: dict[str, str], numbers: list[str], step: int) -> None:
    """The courier scans two labels: one of his own, and one that is not."""
    asked = _request(who, "deliver", [tokens[numbers[3]], tokens[numbers[70]]], ("to_name", "to_phone"))
    own, other = desk.scan(asked).answers
    told = "the waybill's number is not told" if other.waybill != numbers[70] else "WRONG"
    print(
        f"{step}. he scans the label of one of his parcels: {own.answer}, it is {own.waybill}; and another's: {other.answer}, {told}"
    )


def _export(desk: Desk, people: dict[str, Credentials], numbers: list[str], step: int) -> None:
    request = _request(people["a-3"], "export", numbers, ("to_name", "to_phone"))
    asked = desk.look(request)
    print(f"{step}. analyst a-3 asks to export {len(numbers)} waybills: {asked.answers[0].answer} ({asked.approval})")
    try:
        desk.approve(asked.approval, people["a-3"])
    except PolicyError as error:
        print(f"   a-3 approves it himself: {error}")
    desk.approve(asked.approval, people["m-1"])
    approved = msgspec.structs.replace(request, approval=asked.approval)
    done, again = desk.look(approved), desk.look(approved)
    opened = sum(answer.answer == "opened" for answer in done.answers)
    print(f"   m-1 approves it on another device: {opened} opened; asked once more: "
          f"{again.answers[0].answer} ({again.answers[0].reason})")  # fmt: skip


def _verified(workspace: Workspace, own: Answers, step: int) -> None:
    folder, key = workspace.log.folder, workspace.log.signer.key
    started = time.perf_counter()
    with workspace.store.reading() as tx:
        heads, drawn = tx.heads(), tx.drawn()
    verdict = verify_log(
        tiles.directory(folder), key, heads=heads, offset_minutes=workspace.settings.utc_offset_minutes, deep=True
    )
    took = time.perf_counter() - started
    days = compare(verdict.values, drawn)
    balanced = all(day.opened == day.logged for day in days)
    receipt = verify_receipt(own.receipts[0], VerifierKey.parse(str(key)))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(verdict.kinds.items()))
    print(
        f"{step}. the log verifies: {verdict.size} entries ({kinds}), {verdict.heads} checkpoints ({took * 1e3:.0f} ms)"
    )
    print(f"   the courier's receipt verifies offline: entry {receipt.index}, {len(own.receipts[0]):,} bytes; values opened "
          f"{sum(day.opened for day in days):,}, values logged {sum(day.logged for day in days):,}"
          f"{'' if balanced else ': ALARM'}")  # fmt: skip


def _altered(workspace: Workspace, step: int) -> None:
    folder = workspace.log.folder
    bundle = next(path for path in sorted(folder.glob("tile/entries/**/*")) if path.is_file())
    whole = bundle.read_bytes()
    bundle.write_bytes(whole.replace(b'"not-in-custody"', b'"opened-by-him!"', 1))
    try:
        verify_log(tiles.directory(folder), workspace.log.signer.key)
        print(f"{step}. an altered tile was NOT found")
    except LogError as error:
        print(f"{step}. an administrator edits a refusal on disk; found: {error}")
    finally:
        bundle.write_bytes(whole)


def _witnessed(workspace: Workspace, step: int) -> None:
    """The witness sees the log; then somebody with the log's own key rewrites it; the witness sees it again."""
    watch = workspace.folder / "witness"
    _witness("init", str(watch), "--name", "regulator.example/w1")
    _witness("trust", str(watch), str(workspace.log.folder / "log.vkey"))
    first = _witness("run", str(watch), "--from", str(workspace.log.folder), "--once")
    print(f"{step}. a witness in another process: {first}")
    forged = _rewritten(workspace)
    try:
        verify_log(tiles.directory(forged), workspace.log.signer.key, deep=True)
        print("   the log is rewritten without its refusals, with the carrier's own key: by itself it verifies")
    finally:
        said = _witness("run", str(watch), "--from", str(forged), "--once")
        print(f"   the witness: {said}")
        shutil.rmtree(forged)


def _rewritten(workspace: Workspace) -> Path:
    """The same log without its refusals, made anew with the same key: what only a witness can tell."""
    log = workspace.log
    size = log.publish()
    reader = tiles.TileReader(tiles.directory(log.folder), size)
    kept = [data for data in reader.entries(0, size) if decode(data).kind != "refusal"]
    last = decode(kept[-1])
    while len(kept) < size:  # as long as before, so that nothing seems to be missing
        kept.append(encode(msgspec.structs.replace(last, request=f"{len(kept):016x}")))
    frontier = Frontier()
    frontier.extend([leaf_hash(data) for data in kept])
    forged = workspace.folder / "rewritten"
    tiles.publish(forged, 0, kept, note.checkpoint(log.signer, frontier.size, frontier.root()))
    return forged


def _witness(*words: str) -> str:
    """Run a witness command in a process of its own; what it said, in one line."""
    command = [sys.executable, "-m", "parcelveil", "audit", "witness", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[0] if lines else ""
