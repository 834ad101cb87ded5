"""What is still to be told to a webhook: kept in the store with the case itself, and tried until it is delivered.

::

    outbox = Outbox(store, hook.target, hook.post)
    with store.transaction() as tx:                # the case and what is to be told of it: both or neither
        tx.put_alerts(...); outbox.add(tx, [(alert, body)])
    outbox.deliver(patience=30)                    # what is due now, and again, for so many seconds
    with outbox.running(): ...                     # or all the time, beside other work

At least once: a delivery leaves the queue after the receiver has said so, so whoever is killed in between delivers again,
under the same idempotency key. A failed attempt waits twice as long as the one before, from two seconds up to a quarter of
an hour, less a random half of it, so that many do not come back at one moment (full jitter on the upper half). Nothing is
ever given up but what the receiver refuses.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from parcelveil.errors import ParcelveilError
from parcelveil.ports import DeliveryRow, Store, Transaction
from parcelveil.watch.alerts import Alert

#: Seconds after the first failed attempt, and at most.
FIRST_WAIT, LONGEST_WAIT = 2.0, 900.0
#: Deliveries that one look into the queue takes out, and failures in a row after which the receiver is left in peace.
_MOST, _FAILURES = 50, 3
_SECOND = 1_000_000

#: Posts one body under one idempotency key; gives ``(kind, why, seconds to wait)``: see parcelveil.adapt.webhook.Outcome.
Post = Callable[[bytes, str], Any]


class Outbox:
    """See the module. ``target``: what deliveries are kept under."""

    def __init__(
        self,
        store: Store,
        target: str,
        post: Post,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._target, self._post = store, target, post
        self._clock, self._sleep, self._chance = clock, sleep, chance

    def add(self, tx: Transaction, told: Iterable[tuple[Alert, bytes]]) -> None:
        """Queue revisions of cases; one that was queued before is not queued again."""
        now = self._now()
        tx.enqueue(
            [
                DeliveryRow(
                    id=0, target=self._target, idempotency_key=f"{alert.uid}:{alert.revision}", body=body, next_at=now
                )
                for alert, body in told
            ]
        )

    def attempt(self) -> int:
        """Try everything that is due, once. Returns how many were delivered.

        Ends early when the receiver fails several times in a row: the rest is left for later.
        """
        delivered = failures = 0
        with self._store.reading() as tx:
            due = tx.deliveries_due(self._target, self._now(), _MOST)
        for row in due:
            kind, why, wait = self._post(row.body, row.idempotency_key)
            if kind == "retry":
                seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row.attempts, 20))
                seconds = max(float(wait), seconds * (1 - self._chance() / 2))
                after = {"next_at": self._now() + int(seconds * _SECOND), "why": why, "attempts": row.attempts + 1}
                failures += 1
            else:
                after = {"state": kind, "why": why, "attempts": row.attempts + 1, "body": b""}
                delivered += kind == "delivered"
                failures = 0
            with self._store.transaction() as tx:
                tx.put_delivery(msgspec.structs.replace(row, **after))
            if failures >= _FAILURES:
                break
        return delivered

    def deliver(self, patience: float) -> dict[str, int]:
        """Try for at most about ``patience`` seconds. Returns how many are queued, delivered and refused."""
        until = self._clock() + patience
        while True:
            self.attempt()
            with self._store.reading() as tx:
                next_at = tx.next_delivery(self._target)
                states = tx.delivery_states(self._target)
            if next_at is None or next_at / _SECOND > until:
                return states
            self._sleep(max(0.05, next_at / _SECOND - self._clock()))
            if self._clock() >= until:
                return states

    @contextmanager
    def running(self, every: float = 1.0) -> Iterator[None]:
        """Within, deliveries are tried by a thread of their own, so that a slow receiver holds up nobody."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(every):
                with suppress(ParcelveilError):  # the store is busy: a second later
                    self.attempt()

        thread = threading.Thread(target=work, name="webhook", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _now(self) -> int:
        return int(self._clock() * _SECOND)
