"""What the demo says of a watched carrier: whose the cases are, what was lost before each, and who was called for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from parcelveil.cli import demo_watch
from parcelveil.cli.demo_watch import Harvest, told, watch_demo
from parcelveil.cli.output import WIDTH, columns_of, wrapped
from parcelveil.watch.alerts import Alert, Reason

HOUR = 3_600_000_000
BEGIN = 1_790_000_000_000_000

RENTED = Harvest(
    strategy="rented",
    actors=frozenset({"100000001"}),
    places=frozenset({"net:203.0.113.0/24", "device:H1"}),
    time=BEGIN + np.arange(5) * HOUR,
    taken=np.array([1, 1, 0, 10, 1]),
)


def case(actor: str, *, after: float = 0.0, name: str = "device") -> Alert:
    """A case that is opened ``after`` hours, of the day around that."""
    opened = BEGIN + int(after * HOUR)
    return Alert(
        uid="5eed" * 4, actor=actor, role="courier", outlet="021007", opened_at=opened, updated_at=opened,
        since=opened - 24 * HOUR, until=opened, severity="high", looks=50, unexplained=40, peers=1.5,
        reasons=(Reason(name=name, time=opened, value=40.0, expected=1.5, other="H1"),),
    )  # fmt: skip


def text(alerts: Sequence[Alert]) -> str:
    return "\n".join(told([RENTED], alerts, 230))


@pytest.mark.parametrize(("after", "lost"), [(0.0, 0), (0.5, 1), (1.0, 1), (2.5, 2), (3.5, 12), (9.0, 13)])
def test_lost_before_a_case_is_what_was_taken_before_that_moment(after: float, lost: int) -> None:
    assert f"lost before the case: {lost} of its 13 records" in text([case("100000001", after=after)])


def test_an_attack_without_a_case_is_said_to_be_missed() -> None:
    said = text([])
    assert "the rented account: 13 records in all\n   no case: NOT found" in said
    assert "the other 230 of 230 accounts were left in peace" in said
    assert "called as well" not in said


def test_who_is_called_for_nothing_is_named_and_not_counted_as_left_in_peace() -> None:
    said = text([case("100000001", after=4), case("100000009"), case("100000009", after=30, name="slow")])
    own, others = said.split("called as well, although they do not harvest:")
    assert "100000009" not in own and "NOT found" not in own
    assert re.search(r"- 100000009 \(courier, 021007\), cases: 2 \(.+;\s.+\)", others, re.DOTALL)
    assert "the other 228 of 230 accounts were left in peace" in others


@pytest.mark.parametrize(
    ("actor", "after", "its"),
    [
        ("net:203.0.113.0/24", 5, True),
        ("device:H1", 5, True),
        ("net:203.0.113.0/24", 100, False),  # long after
        ("net:198.51.100.0/24", 5, False),
    ],
)
def test_a_case_of_a_network_is_the_attacks_while_its_looks_came_from_there(actor: str, after: int, its: bool) -> None:
    said = text([case(actor, after=after, name="enumeration")])
    assert ("NOT found" in said) is not its
    assert ("called as well" in said) is not its
    assert "the other 230 of 230" in said, "a network is no account"


def test_it_is_chinese_where_the_person_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    said = text([case("100000001", after=4), case("100000009")])
    assert "被出租的账号：共窃取 13 条" in said and "立案前已流出：13 条中的 12 条" in said
    assert "230 个账号中，其余 228 个未受打扰" in said
    assert not re.search("[a-z]{3}", said)


@pytest.mark.parametrize(
    "words", ["looks at parcels " * 20, "查看了找不到原因的包裹，" * 20, "在设备（H6788514973）上，" * 12]
)
def test_lines_fit_a_terminal_and_lose_nothing(words: str) -> None:
    lines = wrapped(words, "   > ", "     ").splitlines()
    assert len(lines) > 1 and all(WIDTH - 20 < columns_of(line) <= WIDTH for line in lines[:-1])
    assert columns_of(lines[-1]) <= WIDTH
    assert not any(line.lstrip()[0] in "，。）" for line in lines)
    joined = "".join(line.strip(" >") for line in lines)
    assert joined.replace(" ", "") == words.replace(" ", "")


def test_a_few_days_are_watched_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_watch, "STAFF", 60)
    monkeypatch.setattr(demo_watch, "DAYS", 4)
    assert watch_demo(tmp_path, 7) == 9
    said = capsys.readouterr().out
    assert re.search(r"^7\. a small carrier at work: 60 people, 4 days", said, re.MULTILINE)
    assert re.search(r"^8\. watched: [1-9]\d* cases", said, re.MULTILINE)
    taken = re.search(r"the enumerator: (\d+) records in all\n   > case of", said)
    assert taken and 700 < int(taken[1]) < 900, "a walk through numbers is told while watch still learns"
    lost = re.search(rf"lost before the case: (\d+) of its {taken[1]} records", said)
    assert lost and int(lost[1]) < 200
    assert "false cases: 0 in 0 days (promised: about 0.0)" in said
    assert not list(tmp_path.iterdir())
