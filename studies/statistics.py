"""Differences between two groups of runs: Welch with tasks as a second factor, equivalence, Holm.

Shapes: R runs, T tasks, P hypotheses.
"""

import math
from collections.abc import Sequence

import numpy as np

from redqueen.report.statistics import Effect, Floats, variance_parts


def crossed_difference(one_RT: Floats, two_RT: Floats) -> Effect:
    """Mean of one group minus that of the other, over runs and tasks.

    The groups' runs are independent of each other and need not be equally many; all share the
    tasks. The variance is Welch's over runs, plus that of the tasks' differences, minus the
    residual that both of them hold; never below that residual. Degrees of freedom are
    Satterthwaite's.

    Args:
        one_RT: a row for each run, a column for each task.
        two_RT: the same of the other group, with the same columns.
    """
    value = float(one_RT.mean() - two_RT.mean())
    if min(len(one_RT), len(two_RT)) < 2:
        return Effect(value, math.inf, 1.0, min(len(one_RT), len(two_RT)))
    T = one_RT.shape[1]
    runs, rests = [], []
    for values_RT in (one_RT, two_RT):
        run, _, rest = variance_parts(values_RT)
        runs.append((run, len(values_RT) - 1))
        rests.append((rest, (len(values_RT) - 1) * max(T - 1, 1)))
    gap_T = one_RT.mean(axis=0) - two_RT.mean(axis=0)
    tasks = float(gap_T.var(ddof=1)) / T if T > 1 else 0.0
    run = sum(part for part, _ in runs)
    rest = sum(part for part, _ in rests)
    variance = max(run + tasks - rest, rest)
    spread = sum(part**2 / df for part, df in [*runs, (tasks, max(T - 1, 1)), *rests])
    df = variance**2 / spread if spread else one_RT.shape[0] + two_RT.shape[0] - 2
    return Effect(value, math.sqrt(variance), df, min(len(one_RT), len(two_RT)))


def difference(one_R: Floats, two_R: Floats) -> Effect:
    """Welch's difference of two means over runs, one value per run."""
    return crossed_difference(np.asarray(one_R)[:, None], np.asarray(two_R)[:, None])


def p_equivalent(effect: Effect, margin: float) -> float:
    """p of two one-sided tests (TOST) that the truth lies outside (-margin, margin).

    Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987. Below .05 is the same as a
    90 % interval inside the margin.
    """
    return max(effect.p_above(-margin), 1.0 - effect.p_above(margin))


def holm(p_P: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Scandinavian Journal of Statistics 1979), in the given order.

    Each adjusted p that is at most alpha is rejected; the chance that any true hypothesis is among
    them is at most alpha.
    """
    adjusted, running = [0.0] * len(p_P), 0.0
    for place, index in enumerate(np.argsort(p_P, kind="stable").tolist()):
        running = max(running, min(1.0, (len(p_P) - place) * p_P[index]))
        adjusted[index] = running
    return adjusted
