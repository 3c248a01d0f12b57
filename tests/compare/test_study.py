"""Study files, matched work, and the refusals before anything expensive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up_study

from redqueen.cli import main
from redqueen.compare import build_study, load_study, plan, planned_work, study_of
from redqueen.compare.study import study_toml
from redqueen.config import Config
from redqueen.errors import ConfigError

STUDIES = sorted((Path(__file__).parents[2] / "configs" / "study").glob("*.toml"))


def test_work_is_counted_as_the_trainer_does(tiny: Callable[..., Config]) -> None:
    population = planned_work(tiny(steps=5))
    # Two matches of three tasks, three attempts each, five steps, two students and two teachers.
    assert (population.attempts, population.proposals) == (90, 30)
    assert (population.attempts_per_student, population.proposals_per_teacher) == (45, 15)
    assert population.adapters == 4
    single = {"teachers": 0, "students": 0, "self_play": 1}
    alone = planned_work(tiny(steps=5, population=single, rollout={"matches": 1}))
    assert (alone.attempts_per_student, alone.proposals_per_teacher) == (45, 15)
    assert (alone.attempts, alone.adapters) == (45, 1)


def test_probes_are_work_too(tiny: Callable[..., Config]) -> None:
    evolution = {"interval": 2, "fitness": {"type": "probe", "tasks": 5, "attempts": 4}}
    probed = planned_work(tiny(steps=5, evolution=evolution))
    # Steps 2 and 4: each of two teachers writes five tasks, each of two students tries all of them
    # four times. The other three steps are as above.
    assert (probed.proposals, probed.attempts) == (18 + 20, 54 + 2 * 10 * 2 * 4)
    never = planned_work(tiny(steps=5, evolution=evolution | {"enabled": False}))
    assert (never.proposals, never.attempts) == (30, 90)


def test_runs_are_seed_by_seed_and_those_alone_last() -> None:
    entries = [
        {"name": "clock", "alone": True, "evaluate": False},
        {"name": "a", "overrides": {"evolution.enabled": False, "learner": {"epochs": 2}}},
        {"name": "b", "steps": 7},
    ]
    runs = plan(build_study({"seeds": [3, 5], "entries": entries})).runs
    assert [run.key for run in runs] == [
        "a/seed-3", "b/seed-3", "a/seed-5", "b/seed-5", "clock/seed-3", "clock/seed-5",
    ]  # fmt: skip
    first = runs[0].config
    assert first.threads == 1
    assert (first.eval.tasks, runs[4].config.eval.enabled) == (300, False)
    assert (first.name, first.seed) == ("a", 3)
    assert not first.evolution.enabled
    assert first.learner.epochs == 2
    assert runs[1].config.steps == 7


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_that_ship_are_sound(path: Path) -> None:
    checked = plan(load_study(path))
    assert len(checked.runs) == len(checked.study.seeds) * len(checked.study.entries)


def test_paths_are_relative_to_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("steps = 3")
    (tmp_path / "study.toml").write_text('[[entries]]\nname = "x"\nconfig = "base.toml"')
    assert plan(load_study(tmp_path / "study.toml")).runs[0].config.steps == 3


def bad(**over: Any) -> dict[str, Any]:
    entries = [
        {"name": "four"},
        {"name": "one", "overrides": {"population": {"teachers": 1, "students": 1}}},
        {"name": "clock", "evaluate": False},
    ]
    return {"entries": entries} | over


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (bad(sedes=[1]), "unknown key 'sedes'"),
        ({"seeds": [1]}, "entries is missing"),
        (bad(seeds=[1, 1]), "a seed is there twice"),
        (bad(entries=[{"name": "a"}, {"name": "a"}]), "two entries are called 'a'"),
        (bad(entries=[{"name": "a/b"}]), "entries.0.name = 'a/b'"),
        (bad(entries=[{"name": "a", "overrides": {"evolution.enable": 1}}]), "did you mean"),
        (bad(entries=[{"name": "a", "config": "no.toml"}]), "no config file at no.toml"),
        (bad(evaluation={"suites": ["x"]}), "eval.suites"),
        (bad(views=[{"name": "v", "match": "adapter", "entries": ["four", "x"]}]), "no entry 'x'"),
        (
            bad(views=[{"name": "v", "match": "adapter", "entries": ["four", "one"]}]),
            "view 'v' matches attempts per student, but four plans 3,840 and one 15,360",
        ),
        (
            bad(
                entries=[
                    {"name": "a"},
                    {"name": "b", "overrides": {"environments.code.code_f_inputs": 4}},
                ]
            ),
            "measured on different tasks",
        ),
    ],
)
def test_refusals(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(build_study(values))
    assert said in str(caught.value)


def test_in_total_the_single_agent_takes_more_steps() -> None:
    study = made_up_study()
    work = plan(study).work
    assert work["azr-long"].attempts == work["populora-4x4"].attempts
    assert work["azr"].attempts_per_student == work["populora-4x4"].attempts_per_student


def test_a_written_study_is_read_back_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("steps = 3")
    source = tmp_path / "study.toml"
    source.write_text(
        '[[entries]]\nname = "x"\nconfig = "base.toml"\noverrides = {"learner.epochs" = 2}\n'
        '[[claims]]\nclaim = "coverage-grows"\nof = "x"'
    )
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "copy.toml"
    copy.write_text(study_toml(load_study(source)))
    one, two = (plan(load_study(path)).runs for path in (source, copy))
    assert [run.config for run in one] == [run.config for run in two]
    assert load_study(copy).claims == ({"claim": "coverage-grows", "of": "x"},)


def test_plain_configs_make_a_study(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text("steps = 2")
    study = study_of([tmp_path / "a.toml", tmp_path / "b.toml"], (0, 1), "adapter", tasks=9)
    assert [entry.name for entry in study.entries] == ["a", "b"]
    assert study.views[0].entries == ("a", "b")
    assert study.evaluation.tasks == 9
    assert study_of([tmp_path / "a.toml"], (0,), None).views == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare"], "give a study file, or --configs"),
        (["compare", "none.toml"], "no study file at none.toml"),
        (["compare", "--report", "nowhere"], "no study.toml in nowhere"),
        (["compare", "--configs", "x.toml"], "no config file at x.toml"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in capsys.readouterr().err
