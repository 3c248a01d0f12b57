"""Statistics of curves and verdicts on made-up runs whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up import make_up

from redqueen.compare import StudyData, curves, judge, load_data, summarize_study
from redqueen.compare.claims import CLAIMS, Part, _part
from redqueen.compare.data import RunData
from redqueen.compare.database import KindRow, StepRow, StudyDatabase
from redqueen.compare.wording import part_bar, part_figures
from redqueen.report.statistics import Estimate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    path = tmp_path_factory.mktemp("study") / "study.db"
    make_up(path)
    with StudyDatabase.open(path) as db:
        return load_data(db)


def series(means: list[float], spread: float = 0.1, tasks: int = 20) -> RunData:
    """A run of one kind with these solve rates by step; half the tasks above, half below."""
    kinds, steps = [], []
    for i, mean in enumerate(means, start=1):
        rates = np.tile([mean - spread, mean + spread], tasks // 2)
        kinds.append(
            KindRow(i, "code_o", tasks, 5.0, 2.0, 9.0, 0, 8 * tasks, tasks,
                    float(rates.sum()), float((rates**2).sum()))
        )  # fmt: skip
        steps.append(StepRow(i, 1.0, tasks, tasks, 0.01 * i, 1.0, 0.5, 9.0))
    return RunData("x", 0, tuple(steps), {"code_o": tuple(kinds)}, {}, {}, {}, {})


def test_the_truth_is_found(data: StudyData) -> None:
    found = [(f.claim.letter, f.spec.against, f.verdict) for f in judge(data)]
    verdicts = {(letter, against): verdict for letter, against, verdict in found}
    assert verdicts["a", "azr"] == "supported"
    assert verdicts["b", None] == "supported"
    assert verdicts["c", None] == "supported"
    assert verdicts["d", "azr"] == "supported"
    assert verdicts["f", "azr"] == "not supported"
    assert verdicts["g", "no-evolution"] == "undecided"


def test_claims_about_the_wrong_one_fail(data: StudyData) -> None:
    """The same statistics, with the single agent in the population's place."""
    specs = [
        spec.model_copy(update={"of": "azr", "against": spec.against and "populora-4x4"})
        for spec in data.study.claims
        if spec.claim in ("tasks-diverge", "rates-oscillate", "mean-beats", "weakest-beats")
    ]
    study = data.study.model_copy(update={"claims": tuple(specs)})
    verdicts = {f.claim.letter: f.verdict for f in judge(replace(data, study=study))}
    assert verdicts["a"] == "not supported"
    assert verdicts["b"] != "supported"
    assert verdicts["d"] == verdicts["e"] == "not supported"


def test_paired_difference_is_the_mean_over_seeds_and_tasks(data: StudyData) -> None:
    finding = next(f for f in judge(data) if f.claim.letter == "d")
    by_hand = [
        one.results["held-out", "sampled"].rates_MT.mean()
        - two.results["held-out", "sampled"].rates_MT.mean()
        for one, two in zip(data.of("populora-4x4"), data.of("azr"), strict=True)
    ]
    assert finding.parts[0].estimate.value == pytest.approx(np.mean(by_hand))
    assert finding.parts[0].estimate.n == 4
    assert finding.view == "per adapter"
    assert [part.text for part in finding.also] == ["populora-4x4 mean minus azr, held-out, greedy"]


def test_no_claim_without_data(data: StudyData) -> None:
    empty = replace(data, runs=())
    assert {finding.verdict for finding in judge(empty)} == {"undecided"}
    one_seed = replace(data, runs=tuple(run for run in data.runs if run.seed == 0))
    assert {finding.verdict for finding in judge(one_seed)} == {"undecided"}


def test_every_registered_claim_is_tested_above(data: StudyData) -> None:
    assert {spec.claim for spec in data.study.claims} == set(CLAIMS)


@pytest.mark.parametrize(
    ("low", "high", "side", "verdict"),
    [
        (0.1, 0.3, "above", "supported"),
        (-0.1, 0.3, "above", "undecided"),
        (-0.3, -0.1, "above", "not supported"),
        (0.1, 0.3, "below", "not supported"),
        (-0.3, -0.1, "below", "supported"),
        (-math.inf, math.inf, "below", "undecided"),
    ],
)
def test_verdict_rule(low: float, high: float, side: str, verdict: str) -> None:
    part = Part("x", Estimate(0.0, low, high, 4), side, 0.0, 0.5)  # type: ignore[arg-type]
    assert part.verdict == verdict


def test_complexity_change_is_within_kind() -> None:
    # Each kind stays as it is; only the mixture moves to the deeper one.
    def rows(kind: str, depth: float, counts: list[int]) -> tuple[KindRow, ...]:
        return tuple(
            KindRow(i, kind, n, depth, 2.0, 9.0, 0, 8, n, 1.0, 1.0)
            for i, n in enumerate(counts, start=1)
        )

    run = series([0.5] * 6)
    mixed = replace(run, kinds={"a": rows("a", 4, [9, 9, 9, 1, 1, 1]),
                                "b": rows("b", 8, [1, 1, 1, 9, 9, 9])})  # fmt: skip
    assert curves.complexity_change(mixed) == pytest.approx(0.0)
    deeper = replace(
        run,
        kinds={"a": tuple(replace(r, ast_depth=5.0 * (1 + r.step)) for r in run.kinds["code_o"])},
    )
    # Thirds of six steps: depths 10, 15 and 30, 35; two of three features stay.
    assert curves.complexity_change(deeper) == pytest.approx(math.log(32.5 / 12.5) / 3)
    assert math.isnan(curves.complexity_change(replace(run, kinds={})))


def test_swings_are_told_from_trends() -> None:
    steps = np.arange(24)
    waves = curves.oscillation(series(list(0.5 + 0.3 * np.sin(steps / 2))))
    assert waves.excess > 1.5
    assert waves.misfit > 1
    noise = np.random.default_rng(0).normal(0, 0.1 / math.sqrt(20), 24)
    for trend in (steps / 30 + 0.1, 0.9 - steps / 30, 0.9 - 0.8 * np.exp(-steps / 4)):
        swings = curves.oscillation(series(list(trend + noise)))
        assert abs(swings.excess) < 1
        assert swings.misfit < 0.7
    saturated = curves.oscillation(series([0.2] * 8 + [0.95] * 16))
    assert (saturated.early, saturated.late) == (pytest.approx(0.2), pytest.approx(0.95))


def test_false_swings_are_rare_under_noise() -> None:
    generator = np.random.default_rng(2)
    excess = [
        curves.oscillation(series(list(0.5 + generator.normal(0, 0.1 / math.sqrt(20), 20)))).excess
        for _ in range(40)
    ]
    assert abs(np.mean(excess)) < 0.15


def test_too_short_runs_have_no_swings() -> None:
    assert math.isnan(curves.oscillation(series([0.5, 0.6])).excess)


def test_block_noise_is_that_of_tasks() -> None:
    rates, noise = curves.block_rates(series([0.5] * 6, spread=0.2, tasks=10))
    np.testing.assert_allclose(rates, 0.5)
    # Ten tasks at 0.3 or 0.7: variance 0.04 * 10 / 9.
    np.testing.assert_allclose(noise, 0.04 * 10 / 9 / 10)


def test_coverage_growth() -> None:
    run = series([0.5] * 9)
    assert curves.coverage_growth(run).slope == pytest.approx(1.0)
    assert curves.coverage_growth(run).late_share == pytest.approx(3 / 8)
    flat = tuple(replace(row, coverage=min(row.coverage or 0, 0.06)) for row in run.steps)
    grown = curves.coverage_growth(replace(run, steps=flat))
    assert (grown.slope, grown.late_share) == (pytest.approx(0.0), pytest.approx(0.0))
    none = tuple(replace(row, coverage=None) for row in run.steps)
    assert math.isnan(curves.coverage_growth(replace(run, steps=none)).slope)


def test_summary_against_sums_by_hand(data: StudyData) -> None:
    summary = summarize_study(data)
    entry = next(e for e in summary.entries if e.name == "uniform")
    runs = data.of("uniform")
    chosen = data.suites["held-out"].kinds == "code_i"
    rates = [run.results["held-out", "greedy"].rates_MT for run in runs]
    base = runs[0].results["held-out", "greedy"].base_T
    assert base is not None
    cell = entry.cells["held-out", "greedy", "code_i", "mean"]
    by_hand = np.mean([r[:, chosen].mean() for r in rates])
    assert cell.rate.value == pytest.approx(by_hand)
    assert cell.gain is not None
    assert cell.gain.value == pytest.approx(by_hand - base[chosen].mean())
    best = entry.cells["held-out", "greedy", "all", "best"].rate.value
    assert best == pytest.approx(np.mean([r.mean(axis=1).max() for r in rates]))
    weakest = entry.cells["held-out", "greedy", "all", "weakest"].rate.value
    assert weakest == pytest.approx(np.mean([r.mean(axis=1).min() for r in rates]))
    assert summary.base["held-out", "greedy", "all"].value == pytest.approx(base.mean())
    assert summary.tasks["held-out", "code_i"] == chosen.sum()


def test_a_ratio_without_data_still_shows_its_bar() -> None:
    part = _part("seconds", [], "below", math.log(1.31), "ratio")
    assert part_figures(part) == ("no data", "no interval")
    assert part_bar(part) == "< 1.31"
    assert part.verdict == "undecided"
