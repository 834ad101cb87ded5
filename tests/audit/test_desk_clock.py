"""The machine is started with a wrong clock: the log believes a week, and a person for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.kept_log import DAY, SECOND, START, Kept, hold, look_in
from parcelveil.audit import tiles
from parcelveil.audit.entry import KeyEvent, decode
from parcelveil.audit.log import desk_time
from parcelveil.errors import LogError
from parcelveil.ports import LogState


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    kept = Kept(tmp_path)
    kept.look()
    return kept


def restarted(kept: Kept, ahead: int, boot: str = "boot-2") -> None:
    kept.clock.boot, kept.clock.up = boot, 30 * SECOND
    kept.clock.wall = START + ahead


def key_events(kept: Kept) -> list[tuple[str, str]]:
    reader = tiles.TileReader(tiles.directory(kept.log.folder), size := kept.log.publish())
    entries = [decode(data) for data in reader.entries(0, size)]
    return [(entry.action, entry.detail) for entry in entries if isinstance(entry, KeyEvent)]


@pytest.mark.parametrize("boot", ["boot-2", ""])
def test_a_week_after_a_start_is_believed(kept: Kept, boot: str) -> None:
    restarted(kept, 7 * DAY, boot)
    kept.look()
    assert kept.log.state().time == START + 7 * DAY == kept.log.now()
    hold(kept)


@pytest.mark.parametrize("boot", ["boot-2", ""])
def test_t10_one_look_in_another_century_does_not_take_the_log_there(kept: Kept, boot: str) -> None:
    restarted(kept, 36_525 * DAY, boot)
    before = kept.log.state()
    for _ in range(3):
        with pytest.raises(LogError, match="36525 days ahead") as caught:
            kept.look()
        assert "audit clock --accept" in caught.value.hint
    assert kept.log.state() == before and kept.log.now() == START
    restarted(kept, 60 * SECOND, boot)  # put right, with no need to ask anybody
    kept.look()
    assert kept.log.state().time == START + 60 * SECOND
    assert hold(kept).kinds == {"key": 1, "look": 2}


def test_t10_a_microsecond_more_than_a_week_is_not_believed(kept: Kept) -> None:
    restarted(kept, 7 * DAY + 1)
    with pytest.raises(LogError, match="7 days ahead"), kept.log.begin() as batch:
        look_in(batch)


def test_t10_the_same_start_needs_no_asking(kept: Kept) -> None:
    """The uptime says how much time has passed: a quiet month is a month."""
    kept.clock.tick(30 * DAY)
    kept.look()
    assert kept.log.state().time == START + 30 * DAY
    kept.clock.wall += 400 * DAY  # and a wall clock that is turned is held, as ever
    kept.look()
    assert kept.log.state().time == START + 30 * DAY
    hold(kept)


def test_an_empty_log_takes_the_wall_clock(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    restarted(kept, 36_525 * DAY)
    kept.look()
    assert kept.log.state().time == START + 36_525 * DAY


def test_t10_who_accepts_the_clock_is_in_the_log(kept: Kept) -> None:
    restarted(kept, 40 * DAY)
    assert kept.log.accept_clock() == 40
    assert kept.log.state().time == START + 40 * DAY
    kept.clock.tick(3600 * SECOND)
    kept.look()
    assert kept.log.state().time == START + 40 * DAY + 3600 * SECOND  # from there the new time holds
    assert key_events(kept) == [("log-created", ""), ("clock-accepted", "40")]
    hold(kept)


def test_a_clock_that_was_wrong_at_the_start_is_caught_up_with(kept: Kept) -> None:
    kept.clock.wall += 3 * DAY
    kept.look()
    assert kept.log.state().time == START
    assert kept.log.accept_clock() == 3
    assert kept.log.state().time == START + 3 * DAY
    assert key_events(kept)[1:] == [("clock-held", str(3 * 86_400)), ("clock-held", "0"), ("clock-accepted", "3")]
    hold(kept)


@pytest.mark.parametrize("ahead", [0, -DAY])
def test_there_must_be_something_to_accept(kept: Kept, ahead: int) -> None:
    restarted(kept, ahead)
    before = kept.log.state()
    with pytest.raises(LogError, match="nothing to accept"):
        kept.log.accept_clock()
    assert kept.log.state() == before


def test_the_clock_stands_while_it_is_not_believed() -> None:
    state = LogState(size=1, time=START, boot="a")
    assert desk_time(state, START + 8 * DAY, "b", 0) == START
    assert desk_time(state, START + 7 * DAY, "b", 0) == START + 7 * DAY
    assert desk_time(state, START - 8 * DAY, "b", 0) == START
