"""How far out is it: standard scores of counts, and thresholds that so and so many would exceed.

::

    z = count_score(count, expected, size)          # mid-p of a negative binomial, as a standard normal score
    limit = upper_quantile(sample, 7e-4)            # about 7 in 10,000 such values lie above

Counts of people's doings are overdispersed: the negative binomial with mean ``m`` and size ``k`` has the variance
``m + m*m/k``. Its *mid-p* counts half of the probability of the count itself, so that scores of small counts are neither
shifted up nor down (Lancaster 1961).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.watch.tails import negative_binomial

Floats = npt.NDArray[np.float64]

#: Scores beyond this say no more than "far out".
FARTHEST = 8.0
#: Of a sample, the shares above which its tail is fitted: ``_FROM`` to ``_TO``. The very top is left out, for those whom
#: the threshold is to find are in it.
_FROM, _TO = 0.05, 0.005
#: So many values have to lie above a quantile for it to be read off; else it is extrapolated.
_READ_OFF = 60
#: No sample smaller than this says anything about its tail.
FEWEST = 20
#: The least slope of a tail, where nothing else is said: that of ``-log10`` of a probability. Values that hardly differ would put
#: the threshold upon them, and call what lies a little above impossible.
FLATTEST = float(1 / np.log(10))


def count_score(count: npt.NDArray[np.int64], expected: Floats, size: Floats) -> Floats:
    """Standard normal scores of counts, by the upper mid-p under a negative binomial; arrays of one length.

    ``expected`` > 0 are the means, ``size`` > 0 the sizes (large: Poisson). Scores lie within ±:data:`FARTHEST`.
    """
    upper = (negative_binomial(count, expected, size) + negative_binomial(count + 1, expected, size)) / 2
    scores: Floats = np.clip(-normal_quantile(np.clip(upper, 1e-15, 1 - 1e-15)), -FARTHEST, FARTHEST)
    return scores


def normal_quantile(p: Floats) -> Floats:
    """The standard normal quantile for 0 < p < 1, to about 1e-9 (P. J. Acklam's rational approximation, 2003)."""
    a = (
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.3577518672690,
        -30.66479806614716,
        2.506628277459239,
    )
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
    c = (
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    )
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
    tail = np.minimum(p, 1 - p)
    q = np.sqrt(-2 * np.log(tail))
    outer = np.polyval(c, q) / np.polyval(d, q)
    centre = p - 0.5
    square = centre * centre
    inner = centre * np.polyval(a, square) / np.polyval(b, square)
    result: Floats = np.where(tail < 0.02425, np.where(p < 0.5, outer, -outer), inner)
    return result


def upper_quantile(
    sample: Floats, share: float, *, fitted: tuple[float, float] = (_FROM, _TO), flattest: float = FLATTEST
) -> float:
    """The value that a ``share`` (0 to 1) of what ``sample`` stands for exceeds. Infinite for a sample under :data:`FEWEST`.

    Read off where :data:`_READ_OFF` values and more lie above it. Else the tail is taken as exponential, with the slope
    between where the first and the second share of ``fitted`` lie above (5 % and 0.5 %); the few values beyond, among whom
    those are who are sought, do not count.
    """
    if len(sample) < FEWEST:
        return float("inf")
    if len(sample) * share >= _READ_OFF:
        return float(np.quantile(sample, 1 - share, method="higher"))
    end, to, slope = _tail(sample, *fitted, flattest)
    return float(end + slope * np.log(to / share))


def tail_share(sample: Floats, values: Floats, *, flattest: float = FLATTEST) -> Floats:
    """The share that exceeds each of ``values``: the inverse of :func:`upper_quantile`, for telling how rare something is."""
    n = len(sample)
    if n < FEWEST:
        return np.ones_like(values)
    above = n - np.searchsorted(np.sort(sample), values, side="left")
    end, to, slope = _tail(sample, _FROM, _TO, flattest)
    beyond = np.where(values > end, to * np.exp(-np.maximum(values - end, 0.0) / slope), above / n)
    return np.where(above >= _READ_OFF, above / n, np.minimum(beyond, 1.0))


def _tail(sample: Floats, since: float, to: float, flattest: float) -> tuple[float, float, float]:
    """Where the fitted tail ends, the share above that, and the slope of an exponential one.

    Many statistics are at their bottom for nearly everybody; then the tail is that of the others.
    """
    bottom = np.median(sample)
    above = sample[sample > bottom]
    share = len(above) / len(sample)
    if share < since:
        if len(above) < FEWEST:
            return float(above.max(initial=float(bottom))) + flattest, 1 / len(sample), 2 * flattest
        since, to = share / 2, max(share / 20, 4 / len(sample))
    else:
        to = max(to, 4 / len(sample))
        since = max(since, 4 * to)
    start, end = np.quantile(sample, [1 - since, 1 - to])
    return float(end), to, max(float(end - start) / float(np.log(since / to)), flattest)
