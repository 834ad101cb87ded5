"""Plans: what a person writes, what comes of it, and what a slip of the hand is answered with."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError, ParcelveilError
from parcelveil.simulate.attack.dice import amount, some, uniform, weights
from parcelveil.simulate.attack.plan import SHIPPED, Attack, catalogue, load_plan, read_plan
from parcelveil.simulate.draw import Draw

DOCS = Path(__file__).parents[3] / "docs" / "simulate.md"


def plan(text: str, days: int = 56, seed: int = 7) -> list[Attack]:
    return read_plan(text, seed=seed, days=days)


def test_lists_multiply_and_numbers_run_through() -> None:
    text = '[[attacker]]\nstrategy="slow"\nrate=[5, 10]\nknowledge=[0, 3]\ncount=2\n[[attacker]]\nstrategy="bulk"'
    found = plan(text)
    assert [(one.strategy.name, one.rate, one.knowledge) for one in found] == [
        *[("slow", rate, level) for rate in (5.0, 10.0) for level in (0, 3) for _ in range(2)],
        ("bulk", 2000.0, 0),
    ]
    assert [one.number for one in found] == list(range(1, 10))


def test_a_start_is_drawn_between_its_bounds_by_the_seed() -> None:
    text = '[[attacker]]\nstrategy="slow"\nstart_day=[10, 14]\ndays=5\ncount=200'
    starts = [one.start for one in plan(text)]
    assert set(starts) == {10, 11, 12, 13, 14}
    assert starts == [one.start for one in plan(text)] != [one.start for one in plan(text, seed=8)]
    assert all(one.stop == one.start + 5 for one in plan(text))


def test_without_a_start_the_first_half_stays_free() -> None:
    for one in plan("".join(f'[[attacker]]\nstrategy="{name}"\n' for name in catalogue()), days=40):
        assert 20 <= one.start < one.stop <= 40


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[[attacker]]\nstrategi='slow'", "no key strategi", "strategy, knowledge, rate"),
        ("[[attackers]]\nstrategy='slow'", "no key attackers", "[[attacker]]"),
        ("[[attacker]]\nstrategy='fast'", "no strategy fast", "bulk, "),
        ("[[attacker]]\nstrategy='slow'\nrole='boss'", "no role boss", "courier, clerk"),
        ("[[attacker]]\nstrategy='scraper'\nrole='clerk'", "comes from outside", "leave role out"),
        ("[[attacker]]\nstrategy='slow'\naccounts=3", "by one alone", "count"),
        ("[[attacker]]\nstrategy='slow'\nknowledge=4", "does not fit", "docs/simulate.md"),
        ("[[attacker]]\nstrategy='slow'\nrate=0", "does not fit", "docs/simulate.md"),
        ("[[attacker]]\nstrategy='slow'\nrate=[]", "does not fit", "docs/simulate.md"),
        ("[[attacker]]\nstrategy='slow'\nstart_day=56", "starts on day 56", "count from 0"),
        ("[[attacker]]\nstrategy='slow'\nstart_day=[9, 8]", "runs backwards", "earlier day first"),
        ("[[attacker]]\nrate=5", "does not fit", "docs/simulate.md"),
        ("[[attacker]\n", "is no TOML", "docs/simulate.md"),
        ("attacker = 3", "does not fit", "docs/simulate.md"),
        ("[[attacker]]\nstrategy='slow'\ncount=10000\nrate=[1,2]", "more than", "count"),
    ],
)
def test_a_wrong_plan_is_one_clear_line_with_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        plan(text)
    assert message in str(error.value)
    assert hint in error.value.hint
    assert "\n" not in str(error.value)


@given(st.text(max_size=60))
def test_no_text_gets_another_answer_than_a_plan_or_an_error_of_ours(text: str) -> None:
    try:
        plan('[[attacker]]\nstrategy="slow"\n' + text)
    except ParcelveilError as error:
        assert error.hint


def test_files_that_cannot_be_plans(tmp_path: Path) -> None:
    gone, bytes_, folder = tmp_path / "gone.toml", tmp_path / "plan.toml", tmp_path
    bytes_.write_bytes(b"\xff\xfe\x00")
    for path in (gone, bytes_, folder, "a\x00b"):
        with pytest.raises(InputError) as error:
            load_plan(str(path), seed=1, days=9)
        assert error.value.hint


def test_shipped_plans_load_and_tuning_has_everything() -> None:
    assert load_plan("none", seed=1, days=9) == []
    for name in SHIPPED:
        load_plan(name, seed=1, days=56)
    tuning = load_plan("tuning", seed=1, days=56)
    assert {one.strategy.name for one in tuning} == set(catalogue())
    assert {one.knowledge for one in tuning} == {0, 1, 2, 3}
    assert len(load_plan("demo", seed=1, days=28)) == 3


def test_every_strategy_is_a_function_and_is_in_the_docs() -> None:
    from parcelveil.simulate.attack.strategies import FROM_OUTSIDE, STRATEGIES

    assert set(STRATEGIES) == set(catalogue())
    assert {name for name, one in catalogue().items() if not one.roles} == set(FROM_OUTSIDE)
    rows = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    said = {line.split("`")[1]: line for line in rows}
    for name, one in catalogue().items():
        assert inspect.getdoc(STRATEGIES[name])
        assert one.says in said[name], name
        assert f"| {one.rate:g} |" in said[name], name


def test_dice_keep_their_means() -> None:
    draw = Draw(3, 1)
    values = uniform(draw, 40_000)
    assert abs(values.mean() - 0.5) < 0.01
    assert 0 < values.min() < values.max() < 1
    assert abs(sum(amount(draw, 0.4) for _ in range(4000)) / 4000 - 0.4) < 0.05
    assert abs(sum(amount(draw, 50.0) for _ in range(2000)) / 2000 - 50) < 1
    for size, count in ((10, 3), (10, 9), (1000, 20), (5, 9)):
        drawn = some(draw, size, count)
        assert len(set(drawn.tolist())) == len(drawn) == min(size, count)
    assert set(weights(draw, 2000, uniform(draw, 3) * [1, 0, 1]).tolist()) == {0, 2}
