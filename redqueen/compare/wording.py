"""How figures are written, in the terminal, in Markdown and on the page."""

import math

from redqueen.compare.claims import Finding, Part
from redqueen.compare.data import StudyData
from redqueen.formatting import plural
from redqueen.report.statistics import Estimate

INTERVALS = (
    "Intervals are 95 % over seeds and tasks: bootstrap that resamples seeds, then tasks, with "
    "Student's t for the few seeds; figures without tasks: over seeds."
)
VERDICTS = (
    "Supported: the whole interval lies on the claim's side of the bar, in every part. Not "
    "supported: that of a part lies wholly on the other side. Else undecided. p: one-sided "
    "sign-flip test over seeds"
)


def rule(data: StudyData) -> str:
    """The rule of the verdicts with the least p that so many seeds allow."""
    seeds = len(data.study.seeds)
    return f"{VERDICTS}; with {plural(seeds, 'seed')} it cannot be below {least_p(seeds)}."


def least_p(seeds: int) -> str:
    """The least p of the sign-flip test."""
    return f"1/{2**seeds}"


def share(value: float, digits: int = 1) -> str:
    """A rate in per cent, without the sign."""
    return f"{100 * value:.{digits}f}"


def points(value: float) -> str:
    """A difference of rates in percentage points."""
    return f"{100 * value:+.1f}"


def interval(e: Estimate, *, signed: bool = False, scale: float = 100.0, digits: int = 1) -> str:
    """`low to high`; a dash with one seed, which has none."""
    if not math.isfinite(e.low) and not math.isfinite(e.high):
        return "no interval"
    sign = "+" if signed else ""
    return f"{scale * e.low:{sign}.{digits}f} to {scale * e.high:{sign}.{digits}f}"


def part_figures(part: Part) -> tuple[str, str]:
    """A part's value and its interval, in its unit."""
    e = part.estimate
    if e.n == 0:
        return "no data", "no interval"
    if part.unit == "points":
        signed = part.bar == 0.0
        return f"{100 * e.value:{'+' if signed else ''}.1f}", interval(e, signed=signed)
    if part.unit == "ratio" and (e.low <= 0 or not math.isfinite(e.high)):
        return f"{e.value:.3g}", "no interval"
    if part.unit == "ratio":
        return f"{e.value:.3g}", f"{e.low:.3g} to {e.high:.3g}"
    return f"{e.value:.2f}", interval(e, scale=1.0, digits=2)


def part_bar(part: Part) -> str:
    """What a part must be: `> 0`, `< 1.31`."""
    scale = 100.0 if part.unit == "points" else 1.0
    return f"{'>' if part.side == 'above' else '<'} {scale * part.bar:g}"


def p_value(part: Part) -> str:
    """p with two significant digits."""
    return f"{part.p:.2g}"


def of_claim(finding: Finding) -> str:
    """`(d) mean-beats`."""
    return f"({finding.claim.letter}) {finding.spec.claim}"
