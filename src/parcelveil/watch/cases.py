"""Signals become cases: one an account at a time, with a week's peace after it.

::

    docket = Docket()
    for case in docket.take(signals):        # in the order of time
        case.first                           # True: opened now; False: something more is known of an open case

A :class:`~parcelveil.watch.signals.Signal` opens a case when its subject has none, or its last was opened more than
:data:`~parcelveil.watch.calibrate.PEACE` days before; otherwise it is added to the open one. What adds a detector that
the case has not yet makes it *escalate* once three different ones agree (combining weak signals of one entity is what Elastic and
Splunk do with theirs).

The order of signals is that of their times, then of subject and name, however they were handed in; so cases do not depend
on how the stream was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from parcelveil.watch.calibrate import PEACE
from parcelveil.watch.coded import DAY
from parcelveil.watch.signals import Signal

#: Different detectors that make a case escalate.
AGREEING = 3


class Case(NamedTuple):
    """A case as it stands after one more signal."""

    kind: str  # of the subject
    subject: int | str
    opened_at: int
    updated_at: int
    #: In the order of time, the one that opened it first; of each detector the highest value, with its first time.
    signals: tuple[Signal, ...]
    revision: int  # from 1; one more with every signal that changes it
    escalated: bool

    @property
    def first(self) -> bool:
        """Whether it has just been opened."""
        return self.revision == 1


class Docket:
    """The latest case of every subject."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str, int | str], Case] = {}

    def take(self, signals: Iterable[Signal]) -> Iterator[Case]:
        """Cases that were opened, or changed, by ``signals``, whose times must not lie before those taken earlier."""
        for signal in sorted(signals, key=lambda one: (one.time, one.subject_kind, str(one.subject), one.name)):
            case = self._take(signal)
            if case is not None:
                self._cases[case.kind, case.subject] = case
                yield case

    def _take(self, signal: Signal) -> Case | None:
        case = self._cases.get((signal.subject_kind, signal.subject))
        if case is None or signal.time > case.opened_at + PEACE * DAY:
            return Case(signal.subject_kind, signal.subject, signal.time, signal.time, (signal,), 1, False)
        before = {one.name: one for one in case.signals}
        known = before.get(signal.name)
        if known is not None and signal.value <= known.value:
            return None
        if known is not None:  # more of the same: what began it keeps its day
            higher = signal._replace(time=known.time, day=known.day)
            kept = tuple(higher if one is known else one for one in case.signals)
        else:
            kept = (*case.signals, signal)
        escalated = case.escalated or len(kept) >= AGREEING
        return case._replace(updated_at=signal.time, signals=kept, revision=case.revision + 1, escalated=escalated)

    def open_since(self, day_start: int) -> set[tuple[str, int | str]]:
        """Subjects whose case was opened at ``day_start`` or later."""
        return {key for key, case in self._cases.items() if case.opened_at >= day_start}
