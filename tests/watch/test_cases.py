"""Cases: one at a time, peace after it, and the same however signals are handed in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.calibrate import PEACE
from parcelveil.watch.cases import AGREEING, Docket
from parcelveil.watch.signals import Signal

DAY = 86_400_000_000
NONE = np.zeros(0, np.int64)


def signal(time: int, name: str = "slow", subject: int = 7, value: float = 5.0) -> Signal:
    return Signal("actor", subject, name, time, time // DAY, value, 1.0, 1e-6, 4.0, NONE)


def test_the_first_signal_opens_and_others_add() -> None:
    docket = Docket()
    (opened,) = docket.take([signal(DAY)])
    assert opened.first and opened.opened_at == DAY and not opened.escalated
    (changed,) = docket.take([signal(2 * DAY, "volume")])
    assert (changed.first, changed.opened_at, changed.updated_at, changed.revision) == (False, DAY, 2 * DAY, 2)
    assert [one.name for one in changed.signals] == ["slow", "volume"]
    assert list(docket.take([signal(3 * DAY, "volume", value=4)])) == [], "no news"
    (more,) = docket.take([signal(4 * DAY, "volume", value=9)])
    assert [one.value for one in more.signals] == [5.0, 9.0]


def test_a_week_of_peace_and_then_a_new_case() -> None:
    docket = Docket()
    list(docket.take([signal(0)]))
    assert list(docket.take([signal(PEACE * DAY)])) == []
    (new,) = docket.take([signal(PEACE * DAY + 1)])
    assert new.first and new.opened_at == PEACE * DAY + 1
    assert docket.open_since(1) == {("actor", 7)}


def test_detectors_that_agree_escalate() -> None:
    docket = Docket()
    cases = list(docket.take([signal(at, name) for at, name in enumerate(("slow", "volume", "bulk"))]))
    assert [case.escalated for case in cases] == [False] * (AGREEING - 1) + [True]


def test_subjects_are_apart() -> None:
    docket = Docket()
    cases = list(docket.take([signal(1, subject=1), signal(1, subject=2), signal(1)._replace(subject_kind="network")]))
    assert len(cases) == 3 and all(case.first for case in cases)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["slow", "bulk", "volume"]), st.integers(1, 3))), st.data()
)
def test_cases_do_not_depend_on_how_signals_come(rows: list[tuple[int, str, int]], data: st.DataObject) -> None:
    signals = [signal(at * DAY, name, subject) for at, name, subject in sorted(rows)]
    whole = list(Docket().take(data.draw(st.permutations(signals))))
    docket, parts = Docket(), []
    for time in sorted({one.time for one in signals}):
        parts += docket.take([one for one in signals if one.time == time])
    assert parts == whole
