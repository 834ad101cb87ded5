"""Deliveries: at least once, in order, patient, and safe against being killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.adapt.webhook import Outcome
from parcelveil.ports import AlertRow
from parcelveil.watch.alerts import Alert, decided, encode
from parcelveil.watch.outbox import LONGEST_WAIT, Outbox
from watch.alerts_made import NOON, of_each_detector, slow_insider


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_795_406_400.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Peer:
    """A receiver that answers by a list, and with yes after that."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers, self.got = list(answers), list[tuple[bytes, str]]()

    def __call__(self, body: bytes, key: str) -> Outcome:
        self.got.append((body, key))
        return self.answers.pop(0) if self.answers else Outcome("delivered", "204")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    one = SqliteStore(tmp_path / "state.db")
    yield one
    one.close()


def outbox(store: Any, peer: Any, clock: Clock, target: str = "t") -> Outbox:
    return Outbox(store, target, peer, clock=clock, sleep=clock.sleep, chance=lambda: 0.0)


def add(box: Outbox, store: Any, *alerts: Alert) -> None:
    with store.transaction() as tx:
        box.add(tx, [(alert, encode(alert)) for alert in alerts])


def test_everything_is_delivered_once_in_order(store: Any) -> None:
    peer, clock = Peer(), Clock()
    box, alerts = outbox(store, peer, clock), of_each_detector()
    add(box, store, *alerts)
    add(box, store, *alerts)  # the same again is the same
    assert box.deliver(30) == {"delivered": len(alerts)}
    assert [key for _, key in peer.got] == [f"{alert.uid}:1" for alert in alerts]
    assert [body for body, _ in peer.got] == [encode(alert) for alert in alerts]
    assert box.deliver(30) == {"delivered": len(alerts)} and len(peer.got) == len(alerts)


def test_a_fault_is_waited_out_twice_as_long_each_time(store: Any) -> None:
    peer, clock = Peer(*[Outcome("retry", "503")] * 4), Clock()
    box = outbox(store, peer, clock)
    add(box, store, slow_insider())
    assert box.deliver(60) == {"delivered": 1}
    assert clock.slept == pytest.approx([2, 4, 8, 16], rel=0.01)
    assert len({key for _, key in peer.got}) == 1 and len(peer.got) == 5


def test_waiting_has_an_end_and_what_is_left_comes_later(store: Any) -> None:
    peer, clock = Peer(*[Outcome("retry", "connection refused")] * 30), Clock()
    box = outbox(store, peer, clock)
    add(box, store, slow_insider())
    assert box.deliver(10) == {"queued": 1}
    tried = len(peer.got)
    assert tried == 3 and sum(clock.slept) <= 10
    for _ in range(20):
        clock.now += LONGEST_WAIT
        box.attempt()
    with store.reading() as tx:
        assert tx.next_delivery("t") <= int((clock.now + LONGEST_WAIT) * 1e6)
    peer.answers.clear()
    clock.now += LONGEST_WAIT
    assert box.deliver(1) == {"delivered": 1}


def test_the_receivers_own_wish_counts(store: Any) -> None:
    peer, clock = Peer(Outcome("retry", "429", 40)), Clock()
    box = outbox(store, peer, clock)
    add(box, store, slow_insider())
    assert box.deliver(60) == {"delivered": 1} and clock.slept == pytest.approx([40], rel=0.01)


def test_what_is_refused_is_final_and_holds_nobody_up(store: Any) -> None:
    peer, clock = Peer(Outcome("refused", "400")), Clock()
    box, alerts = outbox(store, peer, clock), of_each_detector()[:3]
    add(box, store, *alerts)
    assert box.deliver(5) == {"delivered": 2, "refused": 1} and len(peer.got) == 3
    with store.reading() as tx:
        assert tx.deliveries_due("t", 1 << 62, 9) == []


def test_a_receiver_that_is_down_is_left_in_peace(store: Any) -> None:
    peer, clock = Peer(*[Outcome("retry", "timeout")] * 99), Clock()
    box = outbox(store, peer, clock)
    add(box, store, *of_each_detector())
    assert box.attempt() == 0 and len(peer.got) == 3, "not one timeout for each case"


def test_receivers_have_queues_of_their_own(store: Any) -> None:
    clock, one, other = Clock(), Peer(), Peer()
    add(outbox(store, one, clock, "one"), store, slow_insider())
    assert outbox(store, other, clock, "other").deliver(1) == {} and not other.got
    assert outbox(store, one, clock, "one").deliver(1) == {"delivered": 1}


def test_another_revision_is_another_delivery(store: Any) -> None:
    peer, clock = Peer(), Clock()
    box = outbox(store, peer, clock)
    first = slow_insider()
    add(box, store, first, decided(first, "harmless", by="keyholder", at=NOON + 1))
    box.deliver(1)
    assert [key for _, key in peer.got] == [f"{first.uid}:1", f"{first.uid}:2"]


def test_a_case_and_its_delivery_are_kept_together_or_not_at_all(store: Any) -> None:
    box, alert = outbox(store, Peer(), Clock()), slow_insider()
    with pytest.raises(RuntimeError), store.transaction() as tx:
        tx.put_alerts([AlertRow(alert.uid, 1, "open", "medium", "CS-07", NOON, encode(alert))])
        box.add(tx, [(alert, encode(alert))])
        raise RuntimeError
    with store.reading() as tx:
        assert tx.alert(alert.uid) is None and tx.next_delivery("t") is None


def test_a_thread_of_its_own_delivers_beside_other_work(store: Any) -> None:
    peer = Peer(Outcome("retry", "503"))
    box = Outbox(store, "t", peer, chance=lambda: 1.0)
    with box.running(every=0.02):
        add(box, store, slow_insider())
        until = time.monotonic() + 10
        while len(peer.got) < 2 and time.monotonic() < until:
            time.sleep(0.02)
    assert len(peer.got) == 2
    with store.reading() as tx:
        assert tx.delivery_states("t") == {"delivered": 1}


KILLED = """
    import sys
    from pathlib import Path
    from parcelveil.adapt.store_sqlite import SqliteStore
    from parcelveil.adapt.webhook import Outcome
    from parcelveil.watch.alerts import encode
    from parcelveil.watch.outbox import Outbox
    from watch.alerts_made import of_each_detector
    store = SqliteStore(Path(sys.argv[1]))
    log = open(sys.argv[2], "a")

    def post(body, key):
        log.write(key + "\\n"); log.flush()
        return Outcome("delivered", "204")

    box = Outbox(store, "t", post)
    with store.transaction() as tx:
        box.add(tx, [(alert, encode(alert)) for alert in of_each_detector()])
    print("queued", flush=True)
    box.deliver(60)
    print("done", flush=True)
"""


@pytest.mark.parametrize("wait", [0.0, 0.02, 0.05])
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path, wait: float) -> None:
    script, db, log = tmp_path / "run.py", tmp_path / "state.db", tmp_path / "log"
    script.write_text(textwrap.dedent(KILLED), "utf-8")
    words = [sys.executable, str(script), str(db), str(log)]
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=where) as first:
        assert first.stdout is not None and first.stdout.readline() == b"queued\n"
        time.sleep(wait)
        first.send_signal(signal.SIGKILL)
    second = subprocess.run(words, capture_output=True, text=True, env=where, check=True)
    assert second.stdout.split() == ["queued", "done"]
    keys = [f"{alert.uid}:1" for alert in of_each_detector()]
    assert set(log.read_text("utf-8").split()) == set(keys)
    assert len(log.read_text("utf-8").split()) <= len(keys) + 1, "at most the one in flight comes twice"
