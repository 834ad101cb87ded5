"""Upper tails of counts: how likely it is to see so many, or more.

::

    negative_binomial(k, mean, size)     # P(X >= k); variance mean + mean**2 / size
    binomial(k, n, p)                    # P(X >= k) out of n
    nominal(k, mean, size)               # -log10 of the first: what detectors score with

Vectorised over arrays of any shapes that broadcast. Both are values of the regularised incomplete beta function,

    P(X >= k) = I_q(k, size)  with q = mean / (mean + size)         and         P(X >= k) = I_p(k, n - k + 1),

by its continued fraction (NIST DLMF 8.17.22, evaluated by Lentz's method), in logarithms, so that tails as small as 1e-300
keep nine digits. Tests compare them with sums in rational numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
_TINY = 1e-300
_EPSILON = 3e-14
#: Steps of the continued fraction; it needs about the square root of the larger parameter.
_MOST = 20_000
#: Lanczos' coefficients for g = 7, n = 9 (Godfrey 2001): log-gamma to 15 digits for x >= 0.5.
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip


def log_gamma(x: npt.ArrayLike) -> Float:
    """ln Γ(x) for x > 0."""
    x = np.asarray(x, np.float64)
    small = x < 0.5  # one step of the recurrence moves it to where the series holds
    z = np.where(small, x + 1, x) - 1
    series = np.full(z.shape, _LANCZOS[0])
    for place, coefficient in enumerate(_LANCZOS[1:], 1):
        series = series + coefficient / (z + place)
    t = z + 7.5
    value = 0.5 * np.log(2 * np.pi) + (z + 0.5) * np.log(t) - t + np.log(series)
    return np.asarray(np.where(small, value - np.log(np.where(small, x, 1.0)), value), np.float64)


def log_beta_tail(a: npt.ArrayLike, b: npt.ArrayLike, x: npt.ArrayLike) -> Float:
    """ln I_x(a, b), the regularised incomplete beta function, for a, b > 0 and 0 <= x <= 1."""
    a, b, x = np.broadcast_arrays(*(np.asarray(item, np.float64) for item in (a, b, x)))
    result = np.where(x > 0, 0.0, -np.inf)
    inside = (x > 0) & (x < 1)
    if not inside.any():
        return np.asarray(result, np.float64)
    p, q, y = a[inside], b[inside], x[inside]
    front = p * np.log(y) + q * np.log1p(-y) + log_gamma(p + q) - log_gamma(p) - log_gamma(q)
    low = y < (p + 1) / (
        p + q + 2
    )  # where the fraction converges quickly; the other side is one minus its mirror image
    value = np.empty(len(y))
    value[low] = front[low] - np.log(p[low]) + np.log(_fraction(p[low], q[low], y[low]))
    high = ~low
    mirror = front[high] - np.log(q[high]) + np.log(_fraction(q[high], p[high], 1 - y[high]))
    value[high] = np.log1p(-np.minimum(np.exp(np.minimum(mirror, 0.0)), 1 - 1e-16))
    result = np.array(result)
    result[inside] = np.minimum(value, 0.0)
    return result


def _fraction(a: Float, b: Float, x: Float) -> Float:
    """The continued fraction of I_x(a, b) by Lentz's method; elements leave when they have converged."""
    result = np.ones(len(x))
    live = np.arange(len(x))
    c = np.ones(len(x))
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / np.where(np.abs(d) < _TINY, _TINY, d)
    h = d.copy()
    for m in range(1, _MOST):
        if not len(live):
            break
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / np.where(np.abs(d) < _TINY, _TINY, d)
            c = 1 + term / c
            c = np.where(np.abs(c) < _TINY, _TINY, c)
            h = h * d * c
        done = np.abs(d * c - 1) < _EPSILON
        if done.any():
            result[live[done]] = h[done]
            keep = ~done
            live, a, b, x, c, d, h = live[keep], a[keep], b[keep], x[keep], c[keep], d[keep], h[keep]
    result[live] = h
    return result


def negative_binomial(k: npt.ArrayLike, mean: npt.ArrayLike, size: npt.ArrayLike) -> Float:
    """P(X >= k) of a negative binomial count; ``size`` large (up to 1e7) is Poisson. ``k`` need not be whole; k <= 0 gives 1."""
    return np.asarray(np.exp(_log_negative_binomial(k, mean, size)), np.float64)


def nominal(k: npt.ArrayLike, mean: npt.ArrayLike, size: npt.ArrayLike) -> Float:
    """``-log10 P(X >= k)`` of a negative binomial count: 0 for k <= 0."""
    return np.asarray(_log_negative_binomial(k, mean, size) / -np.log(10) + 0.0, np.float64)


def _log_negative_binomial(k: npt.ArrayLike, mean: npt.ArrayLike, size: npt.ArrayLike) -> Float:
    k, mean, size = np.broadcast_arrays(*(np.asarray(item, np.float64) for item in (k, mean, size)))
    some = k > 0
    result = np.zeros(k.shape)
    m, s = np.maximum(mean[some], 1e-12), size[some]
    result[some] = log_beta_tail(k[some], s, m / (m + s))
    return result


def binomial(k: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike) -> Float:
    """P(X >= k) of ``n`` trials with chance ``p`` each; k <= 0 gives 1, k > n gives 0."""
    k, n, p = np.broadcast_arrays(*(np.asarray(item, np.float64) for item in (k, n, p)))
    result = np.where(k <= 0, 1.0, 0.0)
    some = (k > 0) & (k <= n)
    result[some] = np.exp(log_beta_tail(k[some], n[some] - k[some] + 1, p[some]))
    return np.asarray(result, np.float64)
