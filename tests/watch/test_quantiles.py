"""Scores and thresholds, against exact sums and against samples whose tail is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.quantiles import FARTHEST, FEWEST, count_score, normal_quantile, tail_share, upper_quantile


@given(st.floats(1e-12, 1 - 1e-12))
def test_normal_quantile_is_that_of_the_standard_library(p: float) -> None:
    assert normal_quantile(np.array([p]))[0] == pytest.approx(NormalDist().inv_cdf(p), abs=1e-6)


@given(st.integers(0, 40), st.floats(0.05, 30.0), st.floats(0.3, 50.0))
def test_score_is_the_mid_p_summed_term_by_term(count: int, expected: float, size: float) -> None:
    q = expected / (expected + size)
    term, below = (1 - q) ** size, 0.0
    for at in range(count):
        below += term
        term *= (size + at) / (at + 1) * q
    upper = min(max(1 - below - term / 2, 1e-15), 1 - 1e-15)
    score = count_score(np.array([count]), np.array([expected]), np.array([size]))[0]
    if 1e-9 < upper < 1 - 1e-9:  # beyond, the plain sum has lost its digits
        assert score == pytest.approx(-NormalDist().inv_cdf(upper), abs=1e-4)
    assert -FARTHEST <= score <= FARTHEST


def test_scores_of_what_is_expected_are_neither_high_nor_low() -> None:
    rng = np.random.default_rng(5)
    expected, size = np.full(200_000, 1.7), np.full(200_000, 2.5)
    counts = rng.negative_binomial(2.5, 2.5 / (2.5 + 1.7), 200_000)
    scores = count_score(counts, expected, size)
    assert abs(scores.mean()) < 0.05
    assert 0.8 < scores.std() < 1.05


@pytest.mark.parametrize("share", [1e-2, 1e-3, 1e-4])
def test_a_share_of_new_values_exceeds_the_threshold(share: float) -> None:
    rng = np.random.default_rng(11)
    limits = [upper_quantile(rng.exponential(2.0, 8_000), share) for _ in range(60)]
    assert np.exp(-np.array(limits) / 2).mean() == pytest.approx(share, rel=0.35)


def test_those_who_are_sought_hardly_move_the_threshold() -> None:
    rng = np.random.default_rng(12)
    clean = rng.exponential(1.0, 10_000)
    with_some = np.r_[clean, np.full(30, 500.0)]
    assert upper_quantile(with_some, 3e-4) < upper_quantile(clean, 3e-4) * 1.35


def test_too_few_say_nothing() -> None:
    assert upper_quantile(np.ones(FEWEST - 1), 0.01) == float("inf")
    assert tail_share(np.ones(FEWEST - 1), np.array([3.0])).tolist() == [1.0]


def test_equal_values_do_not_put_the_threshold_upon_themselves() -> None:
    assert upper_quantile(np.zeros(1000), 1e-3) > 0


def test_rarity_falls_with_the_value_and_undoes_the_threshold() -> None:
    sample = np.random.default_rng(3).exponential(1.0, 5_000)
    shares = tail_share(sample, np.linspace(0, 20, 200))
    assert (np.diff(shares) <= 1e-12).all()
    assert tail_share(sample, np.array([upper_quantile(sample, 1e-4)]))[0] == pytest.approx(1e-4, rel=1e-6)
