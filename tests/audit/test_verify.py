"""Everything on disk is read again: what was tampered with is found and named, what holds is counted."""

from __future__ import annotations

import hashlib
import pickle
import random
import shutil
from collections import Counter, deque
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from audit.made_log import HOUR, SEED, START, MadeLog, made_entry
from parcelveil.audit import bundles, note, tally, tiles, workers
from parcelveil.audit.entry import KINDS, KeyEvent, Look, encode
from parcelveil.audit.proof import VerifierKey, leaf_hash
from parcelveil.audit.receipts import verify_receipts
from parcelveil.audit.tree import EMPTY, Frontier
from parcelveil.audit.verify import Verdict, verify_log
from parcelveil.errors import LogError


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """66,000 entries: full tiles of two levels, partial ones of three."""
    return MadeLog(tmp_path_factory.mktemp("big") / "log").grow(66_000, 999).publish()


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    return MadeLog(tmp_path / "log").grow(700).publish()


class Colleague(workers._Worker):
    """A worker without a process of its own: quick, and everything goes through pickles all the same."""

    def __init__(self, job: list[bytes]) -> None:
        self.log, self.tally = pickle.loads(job[1])
        self.answers: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        self.answers.append(pickle.dumps(bundles.answer(self.log, self.tally, pickle.loads(data))))

    @property
    def is_ready(self) -> bool:
        return len(self.answers) > 1  # else this process reads too

    def receive(self) -> bundles.ReadBlock | None:
        found = pickle.loads(self.answers.popleft())
        assert found is None or isinstance(found, bundles.ReadBlock)
        return found

    def end(self) -> None:
        pass


@pytest.fixture(params=["alone", "with workers"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that can be found is found by one process and by several, in the same words."""
    monkeypatch.setattr(MadeLog, "workers", 1 if request.param == "alone" else 3, raising=False)
    monkeypatch.setattr(workers, "_Worker", Colleague)


def check(log: MadeLog, **more: object) -> Verdict:
    ways = {"workers": log.workers, **more}  # type: ignore[attr-defined]
    return verify_log(tiles.directory(log.folder), log.key, **ways)


def refused(log: MadeLog, **more: object) -> str:
    with pytest.raises(LogError) as caught:
        check(log, **more)
    return str(caught.value)


def rewrite(path: Path, change: dict[int, int] | None = None, data: bytes | None = None) -> None:
    old = bytearray(path.read_bytes())
    for at, flip in (change or {}).items():
        old[at] ^= flip
    path.write_bytes(bytes(old) if data is None else data)


def brute_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it stands there."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1 << (len(entries) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + brute_root(entries[:k]) + brute_root(entries[k:])).digest()


@pytest.mark.parametrize("deep", [False, True])
def test_a_good_log_holds_and_is_counted(big: MadeLog, deep: bool) -> None:
    seen: list[int] = []
    got: list[bytes] = []
    verdict = check(big, heads=big.heads, deep=deep, progress=seen.append, on_entry=lambda i, e: got.append(e))
    assert (verdict.size, verdict.published, verdict.entries, verdict.minimum) == (66_000, 66_000, 66_000, 0)
    assert verdict.root == brute_root(big.entries) and verdict.origin == big.key.name
    assert verdict.heads == len(big.heads) == 66 and not verdict.remarks
    assert got == big.entries and seen[-1] == 66_000 and seen[0] == 256
    assert verdict.kinds == Counter(str(msgspec.json.decode(entry)["kind"]) for entry in big.entries)
    total = sum(msgspec.json.decode(entry).get("values", 0) for entry in big.entries)
    assert sum(verdict.values.values()) == total > 100_000
    assert (verdict.first_time, verdict.last_time) == (START, START + 65_999 * HOUR // 60)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513])
def test_every_size_around_tile_edges_published_and_with_a_tail(tmp_path: Path, size: int) -> None:
    log = MadeLog(tmp_path / "log").grow(520, 1)
    log.publish(size)
    root = brute_root(log.entries[:size])
    verdict = check(log, heads=[(0, EMPTY), *log.heads[:size]])
    assert (verdict.size, verdict.root, verdict.heads) == (size, root, size + 1)
    verdict = check(log, tail=log.entries[size:], heads=log.heads)
    assert (verdict.size, verdict.published, verdict.root) == (520, size, brute_root(log.entries))
    assert verdict.heads == 520


def test_days_are_those_of_the_offset(tmp_path: Path) -> None:
    times = [0, 17 * HOUR + 3, 18 * HOUR - 1, 18 * HOUR]  # 06:00, 23:00, just before and at midnight UTC
    entries = [encode(Look(time=START + t, actor="a", role="r", scene="s", values=10**i)) for i, t in enumerate(times)]
    log = MadeLog(tmp_path / "log")
    log.entries = entries
    log.publish()
    assert START % 86_400_000_000 == 6 * HOUR
    assert check(log).values == {"2026-11-24": 111, "2026-11-25": 1000}
    assert check(log, offset_minutes=480).values == {"2026-11-24": 1, "2026-11-25": 1110}
    assert check(log, offset_minutes=-420).values == {"2026-11-23": 1, "2026-11-24": 1110}


def test_a_changed_byte_of_any_bundle_names_the_entry(log: MadeLog) -> None:
    random.seed(5)
    for n, path in enumerate(["tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"]):
        good = (log.folder / path).read_bytes()
        index = n * 256 + random.randrange(188)
        at = sum(2 + len(entry) for entry in log.entries[n * 256 : index]) + 2 + random.randrange(50)
        rewrite(log.folder / path, {at: 1 << random.randrange(8)})
        assert refused(log).startswith(f"entry {index} was changed: {path} and tile/0/00{n}")
        (log.folder / path).write_bytes(good)
    assert check(log).size == 700


def test_every_hash_tile_is_compared(big: MadeLog, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    shutil.copytree(big.folder, folder)
    copy = MadeLog(folder)
    hashes = [path for path in folder.glob("tile/[0-9]*/**/*") if path.is_file()]
    assert len(hashes) == 257 + 1 + 1 + 1 + 1  # level 0 full, partial; level 1 full, partial; level 2 partial
    random.seed(6)
    for path in [*random.sample(hashes, 5), *folder.glob("tile/[12]/**/00*"), *folder.glob("tile/[012]/**/*.p/*")]:
        if not path.is_file():
            continue
        good, name = path.read_bytes(), path.relative_to(folder).as_posix()
        rewrite(path, {random.randrange(len(good)): 4})
        assert name in refused(copy), name
        rewrite(path, data=good[:-1])
        assert name in refused(copy)
        path.unlink()
        assert refused(copy) == f"{name} is missing"
        path.write_bytes(good)
    assert check(copy).size == 66_000


def test_bundles_misshapen_missing_or_in_another_order(log: MadeLog) -> None:
    path = log.folder / "tile/entries/001"
    good = path.read_bytes()
    for bad in (good[:-1], good + b"\0", good + b"\0\5", b"", good + tiles.bundle([b"{}"]), tiles.bundle([b""])):
        rewrite(path, data=bad)
        assert "tile/entries/001" in refused(log)
    one, two = log.entries[300], log.entries[301]
    rewrite(path, data=tiles.bundle([*log.entries[256:300], two, one, *log.entries[302:512]]))
    assert refused(log).startswith("entry 300 was changed")
    path.unlink()
    assert refused(log) == "tile/entries/001 is missing"


def test_a_partial_tile_may_be_read_from_the_full_one(log: MadeLog) -> None:
    old = (log.folder / "checkpoint").read_text()
    log.grow(100).publish()
    assert not (log.folder / "tile/0/002.p").exists()
    (log.folder / "checkpoint").write_text(old)
    assert check(log).size == 700


def test_the_checkpoint(log: MadeLog) -> None:
    path = log.folder / "checkpoint"
    good = path.read_text("utf-8")
    other = note.Signer.from_seed(log.key.name, bytes(32))
    elsewhere = note.Signer.from_seed("other.example/log", SEED)
    for bad, why in [
        (good.replace("700\n", "699\n"), "does not verify"),
        (note.checkpoint(other, 700, log.heads[-1][1]), "did not sign"),
        (note.checkpoint(elsewhere, 700, log.heads[-1][1]), "does not verify"),
        (note.checkpoint(log.signer, 700, bytes(32)), "the entries do not give the root of the checkpoint"),
        (note.checkpoint(log.signer, 0, bytes(32)), "an empty log"),
        (note.checkpoint(log.signer, 701, log.heads[-1][1]), "is missing"),
        (note.checkpoint(log.signer, 1 << 62, log.heads[-1][1]), "is missing"),
        ("", "does not verify"),
    ]:
        path.write_text(bad, "utf-8")
        assert why in refused(log), bad
    path.write_bytes(b"\xff" + good.encode())
    assert refused(log) == "the checkpoint is not text"
    path.unlink()
    assert refused(log) == "the log has no checkpoint"
    path.write_text(good, "utf-8")
    with pytest.raises(LogError, match="does not verify"):
        verify_log(tiles.directory(log.folder), other.key)


def test_t10_a_rewritten_log_contradicts_its_heads_and_receipts(tmp_path: Path) -> None:
    """Who holds the log's key rewrites one entry, rebuilds all tiles and signs anew: old heads and receipts still tell."""
    log = MadeLog(tmp_path / "log").grow(700).publish()
    kept = [("before", log.receipt(7, 100)), ("after", log.receipt(250, 300)), ("other", log.receipt(650, 700))]
    forged = MadeLog(tmp_path / "forged").grow(700)
    forged.entries[250] = made_entry(250, "forged")
    forged.publish()
    assert check(forged).size == 700, "by itself it looks well: that is what heads, receipts and witnesses are for"
    assert refused(forged, heads=log.heads).startswith("the first 300 entries do not give the root")
    found = list(verify_receipts(kept, log.key, tiles.directory(forged.folder)))
    assert [bool(r.problem) for r in found] == [False, True, True]
    assert [(r.name, r.at, r.size) for r in found] == [("before", 7, 100), ("after", 250, 300), ("other", 650, 700)]
    assert not any(r.problem for r in verify_receipts(kept, log.key, tiles.directory(log.folder)))


def test_t10_a_cut_off_end(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "log").grow(700).publish(600)
    receipt = ("r", log.receipt(650, 700))
    assert "shorter than a checkpoint it signed: 600 entries, and one of 700" in refused(log, heads=log.heads)
    assert "shorter than a checkpoint" in refused(log, tail=log.entries[600:680], heads=log.heads)
    (found,) = verify_receipts([receipt], log.key, tiles.directory(log.folder))
    assert found.problem == "the log is shorter than this receipt's: 600 entries, the receipt has 700"
    assert check(log, tail=log.entries[600:], heads=log.heads).size == 700
    tail = {"tail": log.entries[600:], "checkpoint": log.checkpoint()}
    (found,) = verify_receipts([receipt], log.key, tiles.directory(log.folder), **tail)  # type: ignore[arg-type]
    assert not found.problem


def test_a_tail_that_was_published_meanwhile(log: MadeLog) -> None:
    tail = log.entries[200:] + [made_entry(700)]
    verdict = check(log, tail=tail, tail_from=200)
    assert (verdict.size, verdict.root) == (701, brute_root(log.entries + [made_entry(700)]))
    assert check(log, tail=log.entries[690:695], tail_from=690).size == 700
    tail[300] = made_entry(500, "x")
    assert refused(log, tail=tail, tail_from=200) == "entry 500 was changed: the folder and the store do not agree"
    assert "those between are missing" in refused(log, tail=[made_entry(702)], tail_from=702)
    (found,) = verify_receipts(
        [("r", log.receipt(20, 700))],
        log.key,
        tiles.directory(log.folder),
        tail=[*log.entries[650:], made_entry(700)],
        tail_from=650,
        checkpoint=MadeLog(log.folder).grow(701).checkpoint(),
    )
    assert not found.problem


def test_heads_that_are_wrong_or_out_of_order(log: MadeLog) -> None:
    heads = log.heads
    assert refused(log, heads=[*heads[:3], (333, bytes(32)), *heads[3:]]).startswith("the first 333 entries")
    assert refused(log, heads=[heads[1], heads[0]]) == "the list of signed checkpoints is not in order"
    assert refused(log, heads=[heads[2], heads[2], (300, bytes(32))]).startswith("the first 300 entries")
    assert refused(log, heads=[(0, bytes(32))]).startswith("the first 0 entries")


def publish_of(tmp_path: Path, entries: list[bytes]) -> MadeLog:
    log = MadeLog(tmp_path / str(random.random()))
    log.entries = entries
    return log.publish()


def test_entries_that_are_none(tmp_path: Path) -> None:
    good = [made_entry(i) for i in range(300)]
    brackets = b'{"v":1,"time":1,"kind":"key","x":' + b"[" * 60_000
    for bad in (
        b"",
        b"{}",
        b"null",
        brackets,
        good[5][:-1],
        b'{"kind":"spy","time":1,"v":1}',
        good[5] + b"," + good[5],
    ):
        log = publish_of(tmp_path, [*good[:280], bad, *good[280:]])
        assert refused(log) == "entry 280 is not an entry of this version in its canonical form", bad
        assert refused(log, deep=True) == refused(log)
    negative = encode(Look(time=START + 280 * HOUR // 60, actor="a", role="r", scene="s", values=-1))
    huge = negative.replace(b"-1", b"9" * 300)
    for bad in (negative, huge):
        log = publish_of(tmp_path, [*good[:280], bad, *good[281:]])
        assert refused(log) == "entry 280 has a count of values that cannot be"
    for time in (START, -1, 10**30):
        bad = encode(KeyEvent(time=0, action="x")).replace(b'"time":0', b'"time":%d' % time)
        log = publish_of(tmp_path, [*good[:280], bad, *good[281:]])
        assert refused(log) == "the time of entry 280 runs backwards or is no time at all"
    log = publish_of(tmp_path, [*good[:256], *good[100:110]])
    assert refused(log) == "the time of entry 256 runs backwards or is no time at all"


def test_entries_that_only_together_are_as_many_objects(tmp_path: Path) -> None:
    good = made_entry(1)
    parts = [good[:-1] + b',"x":[1', b"{}]}", good + b"," + good]
    assert len(msgspec.json.decode(b"[" + b",".join(parts) + b"]")) == len(parts)
    for deep in (False, True):
        assert "entry 1 is not an entry" in refused(publish_of(tmp_path, [good, *parts]), deep=deep)


def test_the_entry_named_is_the_first_that_the_reading_at_hand_refuses(tmp_path: Path) -> None:
    good = [made_entry(i) for i in range(300)]
    spaced = good[3].replace(b'","', b'", "', 1)
    log = publish_of(tmp_path, [*good[:3], spaced, *good[4:9], b"{}", *good[10:]])
    assert "entry 9 is not" in refused(log)
    assert "entry 3 is not" in refused(log, deep=True)


def test_of_several_faults_the_first_is_named_with_workers_and_without(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "log").grow(5_000, 333).publish()
    paths = sorted(path for path in log.folder.glob("tile/**/*") if path.is_file())
    chance = random.Random(11)
    words = set()
    for _ in range(25):
        harmed = {path: path.read_bytes() for path in chance.sample(paths, 3)}
        heads = list(log.heads)
        if chance.random() < 0.5:
            heads[chance.randrange(15)] = (chance.randrange(5_000), bytes(32))
        for path, data in harmed.items():
            how = chance.randrange(3)
            path.unlink() if not how else rewrite(
                path, {chance.randrange(len(data)): 1}, data[:-1] if how == 1 else None
            )
        ours, theirs = (refused(log, heads=heads, workers=workers) for workers in (1, 3))
        assert ours == theirs
        words.add(ours)
        for path, data in harmed.items():
            path.write_bytes(data)
    assert len(words) > 15
    assert check(log, heads=log.heads).heads == 15


def test_times_that_run_back_between_the_blocks_of_two_workers(tmp_path: Path) -> None:
    good = [made_entry(i) for i in range(6_000)]
    log = publish_of(tmp_path, [*good[:2048], *good[2000:3000], *good[3000:]])
    assert refused(log) == "the time of entry 2048 runs backwards or is no time at all"


def test_deep_finds_what_is_not_canonical(tmp_path: Path) -> None:
    good = [made_entry(i) for i in range(300)]
    spaced = good[280].replace(b'","', b'", "', 1)
    default = good[280].replace(b'"values":2', b'"ticket":"","values":2')
    unknown = good[280].replace(b'"v":1', b'"u":1,"v":1')
    twice = good[280].replace(b'"v":1', b'"v":1,"v":1')
    lines = good[280].replace(b'"v":1', b'\n"v":1')
    for bad in (spaced, default, unknown, twice, lines):
        assert bad != good[280]
        log = publish_of(tmp_path, [*good[:280], bad, *good[281:]])
        assert refused(log, deep=True) == "entry 280 is not an entry of this version in its canonical form"
        assert check(log).size == 300, "the quick reading counts it by what it says"
    version = [data.replace(b'"v":1', b'"v":2') for data in good]
    assert "entry 0 is not" in refused(publish_of(tmp_path, version))
    assert "entry 0 is not" in refused(publish_of(tmp_path, version), deep=True)


def test_deep_cannot_be_deceived_by_entries_that_only_fit_together(tmp_path: Path) -> None:
    """Two leaves that are no entries, but give two entries with the comma that joins them."""
    a = encode(Look(time=START, actor="a", role="r", scene="s", outlet="x,{y", fields=("a", "b")))
    b = made_entry(2)
    commas = [at for at, byte in enumerate(a) if byte == ord(",")]
    assert len(commas) > 6
    for at in commas:
        parts = [a[:at], a[at + 1 :] + b"," + b]
        assert b",".join(parts) == a + b"," + b
        assert "entry 0 is not an entry" in refused(publish_of(tmp_path, parts), deep=True)
        assert "entry 0 is not an entry" in refused(publish_of(tmp_path, parts))


@pytest.mark.parametrize("minimum", [1, 255, 256, 300, 512, 699, 700])
def test_a_pruned_log(log: MadeLog, minimum: int) -> None:
    whole = check(log, heads=log.heads)
    tiles.prune(log.folder, minimum)
    verdict = check(log, heads=log.heads, minimum=minimum)
    assert (verdict.size, verdict.root) == (whole.size, whole.root)
    assert verdict.minimum == minimum // 256 * 256 and verdict.entries == 700 - verdict.minimum
    old = sum(size < verdict.minimum for size, _ in log.heads)
    assert verdict.heads == len(log.heads) - old and bool(verdict.remarks) == bool(old)
    assert check(log, minimum=minimum, tail=[made_entry(700)]).root == brute_root(log.entries + [made_entry(700)])
    if minimum >= 256:
        assert refused(log) == "tile/entries/000 is missing"


@pytest.mark.parametrize("minimum", [65_536, 65_535, 65_900, 40_000])
def test_a_big_pruned_log(big: MadeLog, tmp_path: Path, minimum: int) -> None:
    folder = tmp_path / "log"
    shutil.copytree(big.folder, folder)
    tiles.prune(folder, minimum)
    copy = MadeLog(folder)
    verdict = check(copy, heads=big.heads, minimum=minimum)
    assert verdict.root == brute_root(big.entries) and verdict.entries == 66_000 - minimum // 256 * 256
    kept = next(folder.glob("tile/2.p/1")) if (folder / "tile/2.p/1").exists() else folder / "tile/2/000.p/1"
    rewrite(kept, {3: 1})
    assert "do not give the root" in refused(copy, minimum=minimum) or "tile/2/000" in refused(copy, minimum=minimum)
    assert "cannot be pruned up to" in refused(copy, minimum=66_001)
    assert "cannot be pruned up to" in refused(copy, minimum=-1)


def test_receipts_that_do_not_hold(log: MadeLog) -> None:
    good = log.receipt(5, 300)
    other = note.Signer.from_seed(log.key.name, bytes(32))
    log.signer = other
    foreign = log.receipt(5, 300)
    found = list(
        verify_receipts(
            [("good", good), ("index", good.replace("index 5", "index 6")), ("key", foreign), ("no", "hello")],
            log.key,
            tiles.directory(log.folder),
        )
    )
    assert [(r.name, r.at, bool(r.problem)) for r in found] == [
        ("good", 5, False),
        ("index", -1, True),
        ("key", -1, True),
        ("no", -1, True),
    ]
    tiles.prune(log.folder, 512)
    (one,) = verify_receipts([("good", good)], log.key, tiles.directory(log.folder))
    assert one.problem.startswith("it cannot be compared with the log of today: tile/0/00")
    with pytest.raises(LogError, match="entries are missing between"):
        list(verify_receipts([], log.key, tiles.directory(log.folder), checkpoint=checkpoint_of(701)))
    with pytest.raises(LogError, match="does not verify"):
        list(verify_receipts([], log.key, tiles.directory(log.folder), checkpoint="x"))


def checkpoint_of(size: int) -> str:
    return MadeLog(Path()).grow(size).checkpoint()


def test_the_kinds_of_the_quick_reading_are_those_of_entries() -> None:
    assert set(get_args(tally._Kind)) == set(KINDS)


def test_the_worked_example_of_the_format_page() -> None:
    """docs/format/audit-log.md shows exactly these values."""
    page = (Path(__file__).parents[2] / "docs" / "format" / "audit-log.md").read_text("utf-8")
    entries = [made_entry(0), made_entry(1), made_entry(3)]
    leaves = [leaf_hash(entry) for entry in entries]
    frontier = Frontier()
    frontier.extend(leaves)
    log = MadeLog(Path())
    log.entries = entries
    witness = note.Signer.from_seed("regulator.example/w1", bytes(reversed(range(32))), kind=4)
    checkpoint = log.checkpoint()
    cosigned = note.with_signature(checkpoint, witness.cosign(note.split_note(checkpoint)[0], 1_795_500_600))
    shown = [
        *(entry.decode() for entry in entries),
        *(leaf.hex() for leaf in leaves),
        leaf_hash(b"").hex(),
        frontier.root().hex(),
        str(log.key),
        str(witness.key),
        cosigned,
        log.receipt(1, 3),
        tiles.bundle(entries)[:14].hex(" "),
    ]
    for text in shown:
        assert text in page, text
    assert VerifierKey.parse(str(witness.key)) == witness.key
