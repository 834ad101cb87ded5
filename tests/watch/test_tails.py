"""Tails against sums in rational numbers, and against each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.tails import binomial, log_gamma, negative_binomial, nominal


def minus_log10(value: Fraction) -> float:
    return math.log10(value.denominator) - math.log10(value.numerator)


def exact_binomial(k: int, n: int, p: Fraction) -> Fraction:
    return sum((math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))


def exact_negative_binomial(k: int, mean: Fraction, size: int) -> Fraction:
    q = mean / (mean + size)
    return 1 - sum((math.comb(i + size - 1, i) * q**i * (1 - q) ** size for i in range(k)), Fraction(0))


@given(k=st.integers(0, 60), n=st.integers(1, 60), p=st.fractions(Fraction(1, 1000), Fraction(999, 1000)))
def test_binomial(k: int, n: int, p: Fraction) -> None:
    assert binomial(k, n, float(p)) == pytest.approx(float(exact_binomial(k, n, p)), rel=1e-8, abs=1e-14)


@given(k=st.integers(0, 80), size=st.integers(1, 40), mean=st.fractions(Fraction(1, 100), Fraction(200)))
def test_negative_binomial(k: int, size: int, mean: Fraction) -> None:
    expected = exact_negative_binomial(k, mean, size)
    assert negative_binomial(k, float(mean), size) == pytest.approx(float(expected), rel=1e-8)
    assert nominal(k, float(mean), size) == pytest.approx(minus_log10(expected), rel=1e-8, abs=1e-9)


def test_far_tails_keep_their_digits() -> None:
    expected = exact_negative_binomial(400, Fraction(1, 2), 3)
    assert nominal(400, 0.5, 3) == pytest.approx(minus_log10(expected), rel=1e-9)
    assert nominal(400, 0.5, 3) > 200


def test_large_size_is_poisson_and_arrays_broadcast() -> None:
    poisson = 1 - sum(math.exp(-7) * 7.0**i / math.factorial(i) for i in range(12))
    got = negative_binomial(np.array([[12], [0]]), 7.0, np.array([1e6, 1e7]))
    assert got.shape == (2, 2)
    assert got[0] == pytest.approx(poisson, rel=1e-4)
    assert (got[1] == 1).all()


def test_log_gamma() -> None:
    x = np.array([0.01, 0.3, 0.5, 1.0, 2.0, 7.25, 1e3, 1e6])
    assert log_gamma(x) == pytest.approx([math.lgamma(value) for value in x], rel=1e-12, abs=1e-12)
