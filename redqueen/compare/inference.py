"""Intervals and tests over few seeds, on the safe side.

A percentile bootstrap over four seeds covers far less than it promises: it never looks beyond the
seeds that there are. The intervals here take the bootstrap's standard error, give back the share
that resampling n values loses (n / (n - 1)), and use Student's t for the few seeds (Hesterberg,
"What Teachers Should Know About the Bootstrap", The American Statistician 2015, section 4.4).
"""

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from redqueen.report.statistics import CONFIDENCE, Estimate

RESAMPLES = 2000
EXACT = 16
"""Seeds up to which all sign flips are enumerated."""
FLIPS = 100_000
"""Random sign flips beyond."""

Floats = NDArray[np.float64]


def _t_cdf(t: float, df: int) -> float:
    """Student's distribution function for a whole df (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(df))
    cos2 = math.cos(angle) ** 2
    term = total = 1.0 if df % 2 == 0 else math.cos(angle)
    if df == 1:
        total = 0.0
    for k in range(2 if df % 2 == 0 else 3, df - 1, 2):
        term *= cos2 * (k - 1) / k
        total += term
    if df % 2 == 0:
        return 0.5 + 0.5 * math.sin(angle) * total
    return 0.5 + (angle + math.sin(angle) * total) / math.pi


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t, by bisection. A fractional `df` is interpolated: log t in 1 / df.

    Raises:
        ValueError: `probability` is not in (0.5, 1) or `df` below 1.
    """
    if not 0.5 < probability < 1 or df < 1:
        raise ValueError(f"no quantile: probability {probability}, df {df}")
    below = math.floor(min(df, 1000.0))
    if df > below and below < 1000:
        share = (1 / below - 1 / df) / (1 / below - 1 / (below + 1))
        one, two = t_quantile(probability, below), t_quantile(probability, below + 1)
        return one * math.exp(share * math.log(two / one))
    low, high = 0.0, 1.0
    while _t_cdf(high, below) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, below) < probability else (low, middle)
    return (low + high) / 2


def seed_interval(values_S: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """Mean over seeds with its interval.

    The corrected standard error of the bootstrap over seeds is s / sqrt(n), so this is Student's
    interval in closed form. One seed has no interval: its ends are infinite.

    Args:
        values_S: one value per seed.
        confidence: coverage.
    """
    n = len(values_S)
    value = float(values_S.mean())
    if n < 2:
        return Estimate(value, -math.inf, math.inf, n)
    half = t_quantile(0.5 + confidence / 2, n - 1) * float(values_S.std(ddof=1)) / math.sqrt(n)
    return Estimate(value, value - half, value + half, n)


def _counts(n: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of n units is drawn in each of R resamples, (R, n)."""
    draws_Rn = generator.integers(n, size=(resamples, n))
    flat = (draws_Rn + n * np.arange(resamples)[:, None]).ravel()
    return np.bincount(flat, minlength=resamples * n).reshape(resamples, n)


def crossed_interval(
    values_ST: Floats,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Mean over seeds and tasks; the bootstrap resamples seeds, then tasks.

    All seeds share their tasks, so a draw of tasks holds for all of them: the crossed
    ("pigeonhole") bootstrap, whose variance is never too small (Owen, Annals of Applied Statistics
    2007). The t quantile has Satterthwaite's degrees of freedom for the two sources.

    Args:
        values_ST: one row per seed, one column per task.
        generator: draws the resamples.
        resamples: number R of draws.
        confidence: coverage.

    Returns:
        The estimate; `n` counts seeds. One seed: infinite ends.
    """
    seeds, tasks = values_ST.shape
    value = float(values_ST.mean())
    if seeds < 2:
        return Estimate(value, -math.inf, math.inf, seeds)
    counts_RS = _counts(seeds, resamples, generator)
    counts_RT = _counts(tasks, resamples, generator)
    draws_R = np.einsum("rt,rt->r", counts_RS @ values_ST, counts_RT) / (seeds * tasks)
    by_seed = float(values_ST.mean(axis=1).var(ddof=1)) / seeds
    by_task = float(values_ST.mean(axis=0).var(ddof=1)) / tasks if tasks > 1 else 0.0
    variance = float(draws_R.var(ddof=1)) + by_seed / seeds
    spread = by_seed**2 / (seeds - 1) + by_task**2 / max(tasks - 1, 1)
    df = (by_seed + by_task) ** 2 / spread if spread else float(seeds - 1)
    half = t_quantile(0.5 + confidence / 2, max(df, 1.0)) * math.sqrt(variance)
    return Estimate(value, value - half, value + half, seeds)


def sign_flip(values_S: Floats, generator: np.random.Generator) -> float:
    """One-sided p of the paired permutation test that the mean is above 0.

    Under the null hypothesis each seed's difference is as likely to have the other sign. All
    sign patterns are tried for up to 16 seeds (so p is at least 2^-n: 1/16 with four), random ones
    beyond.
    """
    n = len(values_S)
    # Rounding must not make a pattern that ties with the observed one look smaller.
    observed = values_S.sum() - 1e-12 * np.abs(values_S).sum()
    if n <= EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=n)))
        return float((signs @ values_S >= observed).mean())
    signs = generator.choice([1.0, -1.0], size=(FLIPS, n))
    return float((1 + (signs @ values_S >= observed).sum()) / (1 + FLIPS))


def monotone_fit(values_N: Floats, weights_N: Floats) -> Floats:
    """Weighted least-squares fit that never falls (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values_N.tolist(), weights_N.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, wa, na), (b, wb, nb) = blocks[-2:]
            blocks[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return np.concatenate([np.full(n, value) for value, _, n in blocks])


def monotone_trend(values_N: Floats, variances_N: Floats) -> tuple[Floats, float]:
    """The better of the never-falling and the never-rising fit, with its chi-square."""
    weights = 1.0 / variances_N
    fits = [monotone_fit(values_N, weights), -monotone_fit(-values_N, weights)]
    misfits = [float((weights * (values_N - fit) ** 2).sum()) for fit in fits]
    best = int(np.argmin(misfits))
    return fits[best], misfits[best]


def reversals(values_N: Floats, threshold_N: Floats) -> int:
    """Turning points of a series that came back by more than the threshold.

    A zigzag: an extreme counts once the series has moved away from it by more than the threshold
    of where it stands, so that ripples do not count.
    """
    turns, direction = 0, 0
    high = low = float(values_N[0])
    for value, threshold in zip(values_N[1:].tolist(), threshold_N[1:].tolist(), strict=True):
        high, low = max(high, value), min(low, value)
        if direction >= 0 and high - value > threshold:
            turns += direction > 0
            direction, low, high = -1, value, value
        elif direction <= 0 and value - low > threshold:
            turns += direction < 0
            direction, low, high = 1, value, value
    return turns
