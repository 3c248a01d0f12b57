"""Verdicts on made-up runs whose truth is known, and on the kept study."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import made_up_runs, made_up_study

from redqueen.compare import KindRow, RunResult, StepRow, build_study, load_study, plan
from redqueen.errors import ConfigError
from redqueen.report.statistics import Effect
from studies.claims import check_claims, judge, main, markdown, part_figures
from studies.curves import oscillation
from studies.data import StudyData, load_data
from studies.registry import CLAIMS, CLOSED, PUBLISHED, Part, Spec

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "configs" / "study").glob("*.toml"))


@pytest.fixture(scope="module")
def data() -> StudyData:
    study = made_up_study()
    return StudyData(study, plan(study).work, tuple(made_up_runs(study)))


def test_the_truth_is_found(data: StudyData) -> None:
    verdicts = {(f.claim.letter, f.spec.against): f.verdict for f in judge(data)}
    assert verdicts["a", "azr"] == "supported"
    assert verdicts["b", None] == "supported"
    assert verdicts["c", None] == "supported"
    assert verdicts["d", "azr"] == "supported"
    assert verdicts["e", "azr"] == "supported"
    assert verdicts["f", "azr"] == "refuted"
    assert verdicts["g", "no-evolution"] == "equivalent"  # half a point apart
    assert verdicts["h", "uniform"] == "supported"


def test_runs_without_a_turning_point_refute_nothing(data: StudyData) -> None:
    """Noise alone gives a turning point now and then; four runs that have none are no surprise."""
    rng, runs = np.random.default_rng(5), []
    for seed in range(4):
        rows = []
        for step in range(1, 41):
            rates = np.clip(0.5 + rng.normal(0, 0.2, 12), 0, 1)
            total, squares = float(rates.sum()), float((rates**2).sum())
            rows.append(KindRow(step, "code_o", 12, {}, 96, 12, total, squares))
        steps = tuple(StepRow(row.step, 1.0, 12, None) for row in rows)
        runs.append(RunResult("populora-4x4", seed, steps, {"code_o": tuple(rows)}, {}))
    swings = [oscillation(run) for run in runs]
    assert all(-0.5 < item.excess < 0 < item.spread for item in swings)
    spec = Spec("rates-oscillate", "populora-4x4")
    part = CLAIMS[spec.claim].test(replace(data, runs=tuple(runs)), spec, CLOSED)[0][0]
    assert 0.3 < part.p_supported < 0.975
    # Their own deviation would have been certain.
    alone = CLAIMS[spec.claim].test(replace(data, runs=tuple(runs)), spec, PUBLISHED)[0][0]
    assert alone.p_supported > 0.99


def test_claims_about_the_wrong_one_are_refuted(data: StudyData) -> None:
    """The same statistics, with the single agent in the population's place."""
    claims = [
        {"claim": claim["claim"], "of": "azr"} | ({"against": "populora-4x4"} if pairs else {})
        for claim in data.study.claims
        if (pairs := CLAIMS[claim["claim"]].pairs) or claim["claim"] == "rates-oscillate"
    ]
    study = data.study.model_copy(update={"claims": tuple(claims)})
    verdicts = {f.claim.letter: f.verdict for f in judge(replace(data, study=study))}
    assert verdicts["a"] == "refuted"
    assert verdicts["b"] != "supported"
    assert verdicts["d"] == verdicts["e"] == "refuted"
    assert verdicts["f"] == "supported"


def test_a_difference_is_that_of_the_means(data: StudyData) -> None:
    finding = next(f for f in judge(data) if f.claim.letter == "d")
    means = {
        entry: np.mean(
            [run.answers["held-out", "sampled"].rates_MT.mean() for run in data.of(entry)]
        )
        for entry in ("populora-4x4", "azr")
    }
    part = finding.parts[0]
    assert part.estimate.value == pytest.approx(means["populora-4x4"] - means["azr"])
    assert part.estimate.n == 4
    assert [part.text for part in finding.also] == ["populora-4x4 mean minus azr, held-out, greedy"]


def test_adjustment_is_over_all_claims(data: StudyData) -> None:
    """The least p counts as many times as there are claims."""
    findings = judge(data)
    least = min(findings, key=lambda f: f.p_supported)
    alone = max(part.p_supported for part in least.parts)
    assert least.p_supported == pytest.approx(len(findings) * alone)


def test_no_verdict_without_data(data: StudyData) -> None:
    empty = replace(data, runs=())
    assert {finding.verdict for finding in judge(empty)} == {"undecided"}
    assert "no data" in markdown(empty, judge(empty))
    one_seed = replace(data, runs=tuple(run for run in data.runs if run.seed == 0))
    assert {finding.verdict for finding in judge(one_seed)} == {"undecided"}


def test_every_registered_claim_is_tested_above(data: StudyData) -> None:
    assert {claim["claim"] for claim in data.study.claims} == set(CLAIMS)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_claims_of_the_studies_that_ship_can_be_tested(path: Path) -> None:
    study = load_study(path)
    assert len(check_claims(study)) == len(study.claims) > 0


def with_claim(**claim: Any) -> dict[str, Any]:
    entries = [
        {"name": "four"},
        {"name": "one", "overrides": {"population": {"teachers": 1, "students": 1}}},
        {"name": "clock", "evaluate": False},
    ]
    return {"entries": entries, "claims": [claim]}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"claim": "x", "of": "four"}, "no claim 'x'"),
        ({"claim": "mean-beats"}, "give `claim`, `of`"),
        ({"claim": "mean-beats", "of": "four"}, "set `against`"),
        ({"claim": "coverage-grows", "of": "x"}, "no entry 'x'"),
        ({"claim": "mean-beats", "of": "four", "against": "one"}, "no view matches their work"),
        ({"claim": "mean-beats", "of": "four", "against": "clock"}, "evaluate = false"),
    ],
)
def test_claims_that_cannot_be_tested_are_refused(claim: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_claims(build_study(with_claim(**claim)))
    assert said in " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    ("low", "high", "side", "verdict"),
    [
        (0.1, 0.3, "above", "supported"),
        (-0.1, 0.3, "above", "undecided"),
        (-0.3, -0.1, "above", "not supported"),
        (0.1, 0.3, "below", "not supported"),
        (-0.3, -0.1, "below", "supported"),
    ],
)
def test_p_and_interval_agree(low: float, high: float, side: Any, verdict: str) -> None:
    middle = (low + high) / 2
    df = 5.0
    se = (high - middle) / 2.570581835636314  # Student's t with 5 degrees of freedom
    part = Part("x", Effect(middle, se, df, 4), side)
    assert (part.estimate.low, part.estimate.high) == (pytest.approx(low), pytest.approx(high))
    assert part.published_verdict == verdict
    assert (part.p_supported < 0.025) == (verdict == "supported")
    assert (part.p_supported > 0.975) == (verdict == "not supported")


def test_a_ratio_without_data_still_shows_its_bar() -> None:
    part = Part("seconds", None, "below", math.log(1.31), "ratio")
    assert part_figures(part) == ("< 1.31", "no data", "no interval")


def test_the_kept_study_gives_its_published_table() -> None:
    """Figures as docs/study.md prints them."""
    findings = judge(load_data(ROOT / "docs" / "study"), PUBLISHED)
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    page = text[text.index("## Verdicts") : text.index("## What it says")]
    printed = re.findall(r"([-+\d.]+) \(([-+\d.]+) to ([-+\d.]+)\)", page)
    decided = [part for finding in findings for part in finding.parts]
    assert len(decided) == 18
    for part in decided:
        e, scale = part.estimate, 100 if part.unit == "points" else 1
        figures = [scale * value for value in (e.value, e.low, e.high)]
        assert any(
            all(
                abs(float(word) - value) <= 0.501 * 10.0 ** -len(word.partition(".")[2])
                for word, value in zip(words, figures, strict=True)
            )
            for words in printed
        ), (part.text, figures)
    verdicts = [finding.published_verdict for finding in findings]
    assert verdicts.count("supported") == 2
    assert verdicts.count("not supported") == 1
    assert verdicts.count("undecided") == 11


def test_the_kept_study_by_the_rule_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "docs" / "study")]) == 0
    text = capsys.readouterr().out
    assert text.count("**undecided**") == 12
    assert (
        "populora-4x4 mean minus self-play-1x1, held-out, sampled | > 0 | -2.0 (-3.4 to -0.6)"
        in text
    )
    assert "### held-out, greedy: % of 300 tasks solved" in text


def test_a_folder_without_a_study_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "has neither study.toml nor study.db" in capsys.readouterr().err
