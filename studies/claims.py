"""The verdicts on the papers' claims.

    python -m studies.claims DIR                 on a comparison's runs, as Markdown
    python -m studies.claims docs/study          on the kept study
    python -m studies.claims docs/study --published      by the rule that study was published with

Each part of a claim is an effect and the side of a bar that it must lie on. A claim is supported if
all its parts are (an intersection-union test: the largest p counts) and refuted if one lies on the
other side (Bonferroni over its parts). A difference of held-out solve rates is equivalent if it
lies within the smallest effect of interest (two one-sided tests). Each of the three families of p
is adjusted over the study's claims by Holm. docs/compare.md says why each statistic is what it is.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from redqueen.compare import NOTE, Study
from redqueen.compare.table import all_tables, interval, markdown_table
from redqueen.errors import ConfigError, RedQueenError
from studies.data import StudyData, load_data
from studies.registry import CLAIMS, CLOSED, PUBLISHED, Claim, Part, Rule, Spec
from studies.statistics import holm, p_equivalent

Verdict = Literal["supported", "refuted", "equivalent", "undecided"]
ALPHA = 0.05
SMALLEST_EFFECT = 0.02
"""The smallest difference of held-out solve rates that is of interest."""


def check_claims(study: Study) -> list[Spec]:
    """The study's claims, each about entries that are there, measured and matched.

    Raises:
        ConfigError: says what is wrong with which claim.
    """
    names = {entry.name: entry for entry in study.entries}
    specs = []
    for values in study.claims:
        if not {"claim", "of"} <= values.keys() <= {"claim", "of", "against"}:
            raise ConfigError(f"claim {values}: give `claim`, `of` and maybe `against`")
        spec = Spec(**values)
        if spec.claim not in CLAIMS:
            raise ConfigError(f"no claim {spec.claim!r}; there are: {', '.join(CLAIMS)}")
        claim = CLAIMS[spec.claim]
        entries = [spec.of] if spec.against is None else [spec.of, spec.against]
        if claim.pairs and spec.against is None:
            raise ConfigError(f"claim {spec.claim!r} compares two entries: set `against`")
        for name in entries:
            if name not in names:
                raise ConfigError(
                    f"claim {spec.claim!r}: no entry {name!r}; there are: {', '.join(names)}"
                )
            if claim.evaluated and not names[name].evaluate:
                raise ConfigError(
                    f"claim {spec.claim!r} is about held-out results, but {name} has "
                    "evaluate = false"
                )
        if claim.pairs and not any(set(entries) <= set(view.entries) for view in study.views):
            raise ConfigError(
                f"claim {spec.claim!r} compares {spec.of} with {spec.against}, but no view "
                "matches their work; put both into one"
            )
        specs.append(spec)
    return specs


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a claim; the three p are adjusted over all claims of the study."""

    claim: Claim
    spec: Spec
    parts: tuple[Part, ...]
    also: tuple[Part, ...]
    p_supported: float
    p_refuted: float
    p_equivalent: float | None
    """None: not a difference of solve rates."""

    @property
    def sentence(self) -> str:
        """The claim with its entries' names."""
        return self.claim.sentence.format(of=self.spec.of, against=self.spec.against)

    @property
    def verdict(self) -> Verdict:
        """One-sided tests at half of alpha, as a 95 % interval decides; equivalence at alpha."""
        if self.p_supported <= ALPHA / 2:
            return "supported"
        if self.p_refuted <= ALPHA / 2:
            return "refuted"
        if self.p_equivalent is not None and self.p_equivalent <= ALPHA:
            return "equivalent"
        return "undecided"

    @property
    def published_verdict(self) -> str:
        """By the intervals of the parts, uncorrected."""
        verdicts = [part.published_verdict for part in self.parts]
        if "not supported" in verdicts:
            return "not supported"
        return "supported" if set(verdicts) == {"supported"} else "undecided"


def judge(data: StudyData, rule: Rule = CLOSED) -> list[Finding]:
    """Every claim of the study, in its order.

    Raises:
        ConfigError: the study names a claim that it cannot test.
    """
    specs = check_claims(data.study)
    tested = [CLAIMS[spec.claim].test(data, spec, rule) for spec in specs]
    supported = holm([max(part.p_supported for part in parts) for parts, _ in tested])
    refuted = holm(
        [
            min(
                1.0,
                len(parts) * min(1 - part.p_supported if part.effect else 1.0 for part in parts),
            )
            for parts, _ in tested
        ]
    )
    about = [i for i, spec in enumerate(specs) if CLAIMS[spec.claim].evaluated]
    effects = [tested[i][0][0].effect for i in about]
    outside = holm([p_equivalent(e, SMALLEST_EFFECT) if e else 1.0 for e in effects])
    equivalent = dict(zip(about, outside, strict=True))
    return [
        Finding(CLAIMS[spec.claim], spec, tuple(parts), tuple(also), yes, no, equivalent.get(i))
        for i, (spec, (parts, also), yes, no) in enumerate(
            zip(specs, tested, supported, refuted, strict=True)
        )
    ]


# ── in words ────────────────────────────────────────────────────────────────────────────────────


def part_figures(part: Part) -> tuple[str, str, str]:
    """What a part must be, its value and its interval, in its unit."""
    e, side = part.estimate, ">" if part.side == "above" else "<"
    if part.unit == "ratio":
        bar, value, between = math.exp(part.bar), f"{e.value:.3g}", f"{e.low:.3g} to {e.high:.3g}"
    elif part.unit == "points":
        signed = part.bar == 0.0
        bar, value = 100 * part.bar, f"{100 * e.value:{'+' if signed else ''}.1f}"
        between = interval(e, signed=signed)
    else:
        bar, value, between = part.bar, f"{e.value:.2f}", interval(e, scale=1.0, digits=2)
    if not math.isfinite(e.high):
        between = "no interval"
    return f"{side} {bar:g}", "no data" if e.n == 0 else value, between


def _rows(finding: Finding, published: bool) -> list[str]:
    rows = []
    name = f"({finding.claim.letter}) {finding.spec.claim}"
    for part in (*finding.parts, *finding.also):
        bar, value, between = part_figures(part)
        label = name if part in finding.parts else f"{name}, beside"
        p = part.published_verdict if published else f"{part.p_supported:.2g}"
        rows.append(f"| {label} | {part.text} | {bar} | {value} ({between}) | {p} |")
    return rows


def markdown(data: StudyData, findings: Sequence[Finding], *, published: bool = False) -> str:
    """Verdicts, statistics, and the tables of the comparison."""
    lines = [f"# {data.study.name}", "", "## Claims", ""]
    for finding in findings:
        verdict = finding.published_verdict if published else finding.verdict
        line = f"- ({finding.claim.letter}) {finding.sentence} **{verdict}**"
        if not published:
            same = finding.p_equivalent
            line += (
                f" (supported p = {finding.p_supported:.2g}, refuted p = {finding.p_refuted:.2g}"
            )
            line += ")" if same is None else f", equivalent p = {same:.2g})"
        lines.append(line)
    head = ["claim", "statistic", "claimed", "value (95 %)", "verdict" if published else "p"]
    lines += ["", f"| {' | '.join(head)} |", "|---|---|---:|---:|---:|"]
    for finding in findings:
        lines += _rows(finding, published)
    rule = (
        "By the rule of the published study: each interval by itself, paired by seed, bootstrap "
        "over seeds and tasks."
        if published
        else f"p of the list above: adjusted by Holm over {len(findings)} claims; p of the table: "
        "one-sided, each by itself. Equivalent: within "
        f"{100 * SMALLEST_EFFECT:g} points. Beside: does not count."
    )
    lines += ["", rule, ""]
    if not published:
        lines += [
            "## Results",
            "",
            *map(markdown_table, all_tables(data.study, data.work, data.runs)),
        ]
        lines += [NOTE, ""]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the verdicts; returns the exit status."""
    parser = argparse.ArgumentParser(description="The papers' claims, tested on a comparison.")
    parser.add_argument("folder", type=Path, help="a comparison's folder, or one with a study.db")
    parser.add_argument("--published", action="store_true", help="by the old rule, to check it")
    args = parser.parse_args(argv)
    try:
        data = load_data(args.folder)
        findings = judge(data, PUBLISHED if args.published else CLOSED)
    except RedQueenError as error:
        print(error, file=sys.stderr)
        return 2
    print(markdown(data, findings, published=args.published))
    return 0


if __name__ == "__main__":
    sys.exit(main())
