"""The statistics that docs/study.md was published with, kept so that its table can be made again.

They are not for new studies: pairing by seed wastes degrees of freedom, the bootstrap over seeds
and tasks counts the residual three times, and the weakest member is picked on the tasks on which it
is judged. Shapes: S seeds, T tasks, R resamples.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from redqueen.compare import Answers
from redqueen.compare.results import Floats
from redqueen.report.statistics import Effect, Estimate, mean_over_runs
from redqueen.rng import numpy_rng

RESAMPLES = 2000


def published_weakest(answers: Answers, suite: str, mode: str) -> Floats:
    """The member with the least mean over all tasks."""
    row_T: Floats = answers.rates_MT[answers.rates_MT.mean(axis=1).argmin()]
    return row_T


def published_difference(
    one: Sequence[Floats], two: Sequence[Floats], names: tuple[str, ...]
) -> tuple[Effect, Estimate]:
    """Paired by seed, with the interval of the bootstrap over seeds and tasks."""
    gaps_ST = np.array([a - b for a, b in zip(one, two, strict=True)])
    effect = mean_over_runs(gaps_ST.mean(axis=1))
    return effect, pigeonhole_interval(gaps_ST, numpy_rng("claim", *names))


def _counts(n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of n units is drawn in each resample (R, n)."""
    draws_Rn = generator.integers(n, size=(RESAMPLES, n))
    flat = (draws_Rn + n * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(flat, minlength=RESAMPLES * n).reshape(RESAMPLES, n)


def pigeonhole_interval(values_ST: Floats, generator: np.random.Generator) -> Estimate:
    """Mean with its 95 % interval (Owen, Annals of Applied Statistics 2007).

    The bootstrap's standard error, corrected by n / (n - 1) in its share of the seeds, times
    Student's t with Satterthwaite's degrees of freedom (Hesterberg, The American Statistician
    2015).
    """
    S, T = values_ST.shape
    value = float(values_ST.mean())
    if S < 2:
        return Estimate(value, -math.inf, math.inf, S)
    counts_RS, counts_RT = _counts(S, generator), _counts(T, generator)
    draws_R = np.einsum("rt,rt->r", counts_RS @ values_ST, counts_RT) / (S * T)
    by_seed = float(values_ST.mean(axis=1).var(ddof=1)) / S
    by_task = float(values_ST.mean(axis=0).var(ddof=1)) / T if T > 1 else 0.0
    spread = by_seed**2 / (S - 1) + by_task**2 / max(T - 1, 1)
    df = (by_seed + by_task) ** 2 / spread if spread else float(S - 1)
    half = float(student_t.ppf(0.975, max(df, 1.0)))
    half *= math.sqrt(float(draws_R.var(ddof=1)) + by_seed / S)
    return Estimate(value, value - half, value + half, S)
