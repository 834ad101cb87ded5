"""From a case to an alert: counts, peers, rows, and what speaks for the account."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.watch.alerts import decode, encode
from parcelveil.watch.cases import Case, Docket
from parcelveil.watch.coded import ACTIONS, OUTCOMES, Coder, pseudonym_text
from parcelveil.watch.evidence import KEPT, Evidence, Name
from parcelveil.watch.reasons import words_of
from parcelveil.watch.signals import Signal
from watch.looks_made import DAY, HOUR, Looks, midnight, register

KEY = bytes(range(32))
FIRST, LAST, THIEF = 20_400, 20_429, 3


def coder(accounts: int = 12) -> Coder:
    made = Coder(KEY)
    made.names["actor"].codes(pa.array([f"CS-{n:02}" for n in range(accounts)]))
    made.names["device"].codes(pa.array([f"PC-{n}" for n in range(accounts)]))
    made.names["role"].codes(pa.array(["service"]))
    made.names["outlet"].codes(pa.array(["021007", "021008"]))
    return made


def looks(day: int, *, extra: int = 0, **columns: Any) -> Looks:
    """Twelve people with one look without a reason each on even days, and the one who has ``extra``."""
    made = Looks(day, 12, busy=20, **columns)
    if day % 2 == 0:
        made.add(np.arange(12))
    if extra:
        made.add(THIEF, extra)
    return made


def signal(name: str, day: int, time: int, rows: Any = (), value: float = 24) -> Signal:
    return Signal("actor", THIEF, name, time, day, value, 3.5, 1e-6, 5.0, np.array(rows, np.int64))


def told(evidence: Evidence, *, name: str = "slow", **columns: Any) -> tuple[Case, list[Looks]]:
    """Thirty days; in the last six the thief has four a day more, and then a signal."""
    made = [looks(day, extra=4 if day > LAST - 6 else 0, **columns) for day in range(FIRST, LAST + 1)]
    for one in made:
        evidence.day(one.rows())
    (case,) = Docket().take([signal(name, LAST, midnight(LAST + 1) + 12 * HOUR)])
    return case, made


def test_a_slow_case_is_counted_over_the_days_of_its_sum() -> None:
    evidence = Evidence(coder(), KEY)
    case, _ = told(evidence)
    alert = evidence.alert(case, since=lambda name, actor: {("slow", THIEF): LAST - 5}[name, actor])
    assert (alert.actor, alert.role, alert.outlet) == ("cs-03", "service", "021007")
    assert alert.since == midnight(LAST - 5) and alert.until == midnight(LAST + 1) - 1
    assert (alert.unexplained, alert.looks, alert.lost) == (24 + 3, 6 * 20 + 27, 27)
    assert alert.peers == pytest.approx(3), "three even days among six"
    assert alert.devices == (("PC-3", 27),)
    assert [day.own for day in alert.chart][-6:] == [5, 4, 5, 4, 5, 4]
    assert len(alert.chart) == 28 and alert.chart[-1].day == LAST
    assert len(alert.rows) == 27 and {row.level for row in alert.rows} == {0}
    assert decode(encode(alert)) == alert
    assert "27 of 147 looks" in words_of(alert).title
    again = evidence.alert(case, since=lambda *_: LAST - 5)
    assert encode(again) == encode(alert), "the same rows give the same bytes"


def test_a_case_of_one_day_counts_that_day_and_what_was_lost_before_it_opened() -> None:
    evidence = Evidence(coder(), KEY)
    for day in range(FIRST, LAST):
        evidence.day(looks(day).rows())
    raid = looks(LAST, extra=200)
    rows = raid.rows()
    evidence.looks(rows.rows)  # as a stream has them: nothing is settled yet
    mine = rows.rows.filter(pa.array(rows.rows["actor"].to_numpy() == THIEF))
    crossing = int(mine["received"][39].as_py())
    (case,) = Docket().take([signal("bulk", LAST, crossing, mine["id"].to_numpy()[:40], 40)])
    alert = evidence.alert(case)
    assert alert.lost == 40 and alert.unexplained == 40, "what was received until then"
    assert len(alert.rows) == 40 and (alert.chart[-1].day, alert.chart[-1].own) == (LAST, 40.0)
    evidence.day(rows)
    later = evidence.alert(case._replace(updated_at=midnight(LAST + 1) + 12 * HOUR))
    assert later.unexplained == 200 and later.lost == 40, "harm is counted until the case was opened"
    assert later.looks == 220 and later.uid == alert.uid
    assert len(later.rows) == 50 and {row.id for row in alert.rows} <= {row.id for row in later.rows}


def test_exports_count_as_lost_by_their_records_and_failed_looks_not() -> None:
    evidence = Evidence(coder(), KEY)
    day = looks(LAST).export(THIEF, [900, 100]).add(THIEF, 7, outcome=OUTCOMES.index("notfound"), settled=-1, waybill=0)
    evidence.day(day.rows())
    (case,) = Docket().take([signal("export", LAST, midnight(LAST + 1) + 12 * HOUR)])
    alert = evidence.alert(case)
    assert (alert.lost, alert.unexplained) == (1000, 0) and alert.looks == 20
    assert sorted(row.records for row in alert.rows if row.action == "export") == [100, 900]
    assert [row.why for row in alert.rows] == ["no-parcel"] * 9 and all(row.parcel == "" for row in alert.rows)


def test_a_second_harvester_does_not_raise_the_peers() -> None:
    evidence = Evidence(coder(40), KEY)
    for day in range(FIRST, LAST + 1):
        evidence.day(Looks(day, 40).add(np.arange(40)).add(THIEF, 9).add(8, 300).rows())
    (case,) = Docket().take([signal("unexplained", LAST, midnight(LAST + 1) + 12 * HOUR)])
    assert evidence.alert(case).peers == pytest.approx(1)


def test_rows_name_the_work_or_what_fails_and_the_parcel_by_its_pseudonym() -> None:
    def named(rows: pa.Table) -> dict[int, Name]:
        ids = rows["id"].to_pylist()
        return {ids[0]: Name("arrived", midnight(LAST - 9), "other-outlet")}

    evidence = Evidence(coder(), KEY, named=named)
    case, _ = told(evidence)
    alert = evidence.alert(case)
    assert alert.rows[0].why == "other-outlet" and alert.rows[0].step_time == midnight(LAST - 9)
    assert {row.why for row in alert.rows[1:]} == {"no-work"}
    kept = evidence._days[-1].rows.filter(pa.array(evidence._days[-1].rows["actor"].to_numpy() == THIEF))
    assert alert.rows[-1].parcel == pseudonym_text(kept["waybill"].to_pylist()[-1])
    assert alert.rows[-1].action == ACTIONS[kept["action"].to_pylist()[-1]]


def test_other_subjects_have_their_own_rows_and_no_peers() -> None:
    names = coder()
    names.names["network"].codes(pa.array(["203.0.113.0/24", "198.51.100.0/24"]))
    evidence = Evidence(names, KEY)
    evidence.day(looks(LAST, extra=30).rows())
    time = midnight(LAST + 1) + 12 * HOUR
    empty = np.zeros(0, np.int64)
    cases = Docket().take(
        [
            Signal("device", THIEF, "enumeration", time, LAST, 30, 1, 1e-9, 9, empty),
            Signal("network", 0, "block", time, LAST, 30, 1, 1e-9, 9, empty),
            Signal("network", "198.51.100.0/24", "scraping", time, LAST, 900, 1, 1e-9, 9, empty),
            Signal("system", "kms-1", "reconcile", time, LAST, -3, 0, 0.0, 0, empty),
            Signal("outlet", 0, "outlet", time, LAST, 30, 1, 1e-9, 9, empty),
            Signal("network", "王小明 13800000001", "scraping", time + 1, LAST, 900, 1, 1e-9, 9, empty),
        ]
    )
    alerts = {alert.actor: alert for alert in map(evidence.alert, cases)}
    assert [one for one in alerts if "#" not in one] == [
        "device:PC-3", "net:203.0.113.0/24", "net:198.51.100.0/24", "outlet:021007", "system:kms-1",
    ]  # fmt: skip
    assert alerts["device:PC-3"].unexplained == 30 and alerts["device:PC-3"].looks == 0
    assert alerts["system:kms-1"].severity == "critical" and not alerts["system:kms-1"].rows
    for alert in alerts.values():
        text = encode(alert).decode()
        assert "王小明" not in text and "13800000001" not in text
        assert words_of(alert, "zh").title


def test_what_speaks_for_an_account_is_told() -> None:
    def excuses(evidence: Evidence, **columns: Any) -> tuple[str, ...]:
        case, _ = told(evidence, **columns)
        return evidence.alert(case, since=lambda *_: LAST - 5).excuses

    assert excuses(Evidence(coder(), KEY)) == ()
    assert excuses(Evidence(coder(), KEY, silent_days=[LAST - 2])) == ("no-work-day",)
    assert excuses(Evidence(coder(), KEY, silent_days=[LAST - 20])) == ()
    new = register(12, opened_at=np.where(np.arange(12) == THIEF, (LAST - 10) * DAY, 0))
    assert excuses(Evidence(coder(), KEY, register=new)) == ("new-account",)
    owners = register(12, owner=np.where(np.arange(12) < 5, 7, -1), opened_at=0)
    assert excuses(Evidence(coder(), KEY, register=owners)) == ("two-accounts",)


def test_late_work_stand_in_and_colleagues_are_seen_in_the_rows() -> None:
    evidence = Evidence(coder(), KEY)
    for day in range(FIRST, LAST + 1):
        recent = day > LAST - 6
        outlet = np.where(np.arange(12) == THIEF, int(day == LAST - 3), 0)
        made = looks(day, extra=4 if recent else 0, outlet=outlet)
        if recent:
            made.add(np.arange(12).repeat(3))
            made.add(np.arange(12), provisional=0, settled=1)
        evidence.day(made.rows())
    (case,) = Docket().take([signal("slow", LAST, midnight(LAST + 1) + 12 * HOUR)])
    alert = evidence.alert(case, since=lambda *_: LAST - 5)
    assert alert.excuses == ("late-work", "stand-in", "outlet-wide")
    assert 0.02 < alert.late_share < 0.06 and alert.grouped == 6
    assert any("came late" in text for text in words_of(alert).excuses)


def test_memory_is_bounded_by_days() -> None:
    evidence = Evidence(coder(), KEY)
    for day in range(FIRST, FIRST + 3 * KEPT):
        made = looks(day)
        evidence.looks(made.rows().rows)
        evidence.day(made.rows())
    assert len(evidence._days) == KEPT == len(evidence._late) and not evidence._fresh
    assert repr(evidence) == f"<Evidence of {KEPT} days>"
