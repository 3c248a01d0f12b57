"""The presets: complete, equal to the default where the method does not differ, and they run."""

import contextlib
import functools
import io
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config, load_config
from redqueen.errors import ConfigError
from redqueen.store import RunStore
from tests.drawn import figures, page_data

CONFIGS = Path(__file__).parents[1] / "configs"
DIFFERENCES: dict[str, dict[str, Any]] = {
    "populora-4x4": {},
    "populora-8x8": {"population.teachers": 8, "population.students": 8, "rollout.matches": 8},
    "self-play-1x1": {
        "population.teachers": 1,
        "population.students": 1,
        "rollout.matches": 1,
        "evolution.enabled": False,
    },
    "azr": {
        "population.teachers": 0,
        "population.students": 0,
        "population.self_play": 1,
        "rollout.matches": 1,
        "curriculum.references.type": "azr",
        "learner.student.advantage.type": "reinforce++",
        "learner.teacher.advantage.type": "reinforce++",
        "evolution.enabled": False,
    },
    "rlvr": {"population.teachers": 0, "evolution.enabled": False},
}
"""All that a preset says otherwise than the default run, its name and its operators apart."""
INTERACTIONS = {"debate", "malt", "refine", "specialists"}
"""Configs of interactions; tests/test_interactions.py runs them."""
OPERATORS = {"evolution.mutations", "evolution.crossovers"}
SMALL = {
    "steps": 2,
    "threads": 1,
    "policy.rank": 2,
    "policy.dtype": "float32",
    "rollout.attempts": 2,
    "rollout.propose_tokens": 48,
    "rollout.solve_tokens": 32,
    "sandbox.workers": 1,
    "evolution.interval": 1,
    "eval.enabled": False,
    "eval.tasks": 3,
    "eval.samples": 1,
}


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def small(name: str) -> list[str]:
    sizes = SMALL | {"rollout.tasks_per_match": 2 if preset(name).rollout.matches > 1 else 6}
    flags = [word for key, value in sizes.items() for word in (f"--{key}", str(value).lower())]
    return ["train", str(CONFIGS / f"{name}.toml"), *flags]


def preset(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.toml")


def test_every_file_is_a_preset_or_a_known_recipe() -> None:
    found = {path.stem for path in CONFIGS.glob("*.toml")}
    recipes = {"default", "own-model", "populora-50x50", "seedling2", "laptop"}
    recipes |= {"qwen-coder-0.5b", "qwen-coder-0.5b-gpu"}
    recipes |= {"lean", "logic", "math", "proof"}
    assert found == {*DIFFERENCES, *INTERACTIONS, *recipes}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_preset_differs_where_its_method_does_and_nowhere_else(name: str) -> None:
    default = dict(leaves(Config().model_dump()))
    values = dict(leaves(preset(name).model_dump()))
    changed = {key: value for key, value in values.items() if default.get(key) != value}
    # A component of another type has other keys; its type says so.
    places = [key.removesuffix("type") for key in changed if key.endswith(".type")]
    changed = {
        key: value
        for key, value in changed.items()
        if key.endswith(".type") or not key.startswith(tuple(places))
    }
    assert {key: changed[key] for key in changed.keys() - OPERATORS} == (
        DIFFERENCES[name] | {"name": name}
    )


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_preset_spells_out_and_explains_its_method(name: str) -> None:
    path = CONFIGS / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    written = {key for key, _ in leaves(tomllib.loads(text))}
    needed = {key for key, _ in leaves(tomllib.loads((CONFIGS / "default.toml").read_text()))}
    needed |= {"population.self_play", "rollout.top_p", "learner.epochs", "evolution.enabled"}
    needed |= {"learner.kl_coefficient", "learner.malformed_reward"}
    needed |= {"learner.student.wrong_reward", "learner.teacher.invalid_reward"}
    needed -= {"policy.dtype", "environments.code.stream_bands"}
    if not preset(name).evolution.enabled:
        needed = {k for k in needed if k == "evolution.enabled" or not k.startswith("evolution.")}
    if name == "rlvr":
        needed -= {"rollout.references", "rollout.propose_tokens", "learner.teacher.reward"}
        needed |= {"environments.code.stream_bands"}
    assert needed - written == set()
    assert text.startswith("#")
    assert "attempts" in text.split("name =")[0]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_adapter_has_the_same_work_a_step(name: str) -> None:
    sizes, rollout = preset(name).population, preset(name).rollout
    solvers, proposers = sizes.students + sizes.self_play, sizes.teachers + sizes.self_play
    tasks = rollout.matches * rollout.tasks_per_match
    assert rollout.students_per_task == 1
    assert tasks * rollout.attempts / solvers == 64
    assert name == "rlvr" or tasks / proposers == 8


def rows(directory: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that the run recorded, but clock times and what depends on them."""
    with RunStore.open(directory, read_only=True) as store:
        names = ("members", "ratings", "matches", "tasks", "proposals", "rollouts", "events")
        tables = {
            name: [tuple(row) for row in store.rows(f"SELECT * FROM {name} ORDER BY 1, 2, 3")]
            for name in names
        }
        tables["metrics"] = [
            tuple(row)
            for row in store.rows(
                "SELECT step, name, value FROM metrics WHERE name != 'tokens_per_s' ORDER BY 1, 2"
            )
        ]
    # Row ids count on after a deletion; their order is what matters.
    return tables | {n: [row[1:] for row in tables[n]] for n in ("proposals", "rollouts")}


def weights(directory: Path) -> dict[str, bytes]:
    files = (directory / "checkpoints" / "step-000002").glob("*.safetensors")
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(autouse=True, scope="module")
def few_held_out_tasks() -> Iterator[None]:
    """Every trainer makes the reserved tasks anew: 2,000 of them cost more than a small step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redqueen.curriculum.worlds.RESERVED", 40)
        yield


Run = Callable[[str], tuple[Path, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two steps of a preset through the command line: the directory and what was printed."""

    @functools.cache
    def run(name: str) -> tuple[Path, str]:
        directory, said = tmp_path_factory.mktemp(name) / "run", io.StringIO()
        with contextlib.redirect_stdout(said):
            assert main([*small(name), "--out", str(directory)]) == 0
        return directory, said.getvalue()

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENCES)
def test_two_steps_and_a_resumed_run_is_the_same(name: str, tmp_path: Path, finished: Run) -> None:
    (whole, _), killed = finished(name), tmp_path / "killed"
    # As if the machine had stopped after the second step, before its checkpoint.
    shutil.copytree(whole, killed)
    shutil.rmtree(killed / "checkpoints" / "step-000002")
    with build.resume(killed) as trainer:
        assert trainer.step == 1
        assert trainer.run()
    assert weights(killed) == weights(whole)
    assert weights(whole).keys() == {"adapters.safetensors", "optimizer.safetensors"}
    assert rows(killed) == rows(whole)
    with RunStore.open(whole, read_only=True) as store:
        config, events = store.config(), store.load_events()
        sizes = config.population
        assert bool(events) == (sizes.teachers > 1)
        assert len(store.load_matches()) == 2 * config.rollout.matches
        assert bool(store.load_proposals(2)) == bool(sizes.teachers or sizes.self_play)
        assert sum(c.attempts for c in store.load_solve_counts()) > 0
        rated = {point.mu for point in store.load_ratings()} != {sizes.mu}
        assert rated == bool(sizes.teachers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "who"), [("azr", "1 self-player"), ("rlvr", "4 students on the stream")]
)
def test_lines_eval_report_and_export_without_teachers(
    name: str, who: str, finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, said = finished(name)
    assert f"{who}, seed 0" in " ".join(said.split())
    steps = [text for text in said.splitlines() if text.startswith("step ")]
    assert len(steps) == 2
    for text in steps:
        assert re.fullmatch(r"step ./2  solved +(\d+ %|-) .* tok/s +[\d.]+ s  left .*", text)
        assert ("valid" in text) == (name == "azr")
    run = tmp_path / "run"
    shutil.copytree(made, run)
    assert main(["eval", str(run), "--tasks", "4"]) == 0
    assert ("student #0" if name == "azr" else "population mean") in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert figures(page_data(page))
    assert who in page
    assert "are not rated" in page
    assert ("from the stream" in page) == ("Nobody teaches here" in page) == (name == "rlvr")
    assert main(["export", str(run)]) == 0
    assert list((run / "adapters").glob("member-*/adapter_config.json"))


def test_rlvr_trains_on_the_streams_tasks(tmp_path: Path) -> None:
    overrides = [(key, str(value).lower()) for key, value in SMALL.items()]
    overrides += [("rollout.tasks_per_match", "5"), ("environments.code.stream_bands", "[1, 2]")]
    overrides += [("rollout.students_per_task", "2"), ("rollout.matches", "2"), ("steps", "1")]
    config = load_config(CONFIGS / "rlvr.toml", overrides)
    with build.start(config, tmp_path / "run") as trainer:
        held_out = trainer.worlds["code"].held_out
        before = {key: t.clone() for key, t in trainer.adapters.state_dict().items()}
        trainer.run()
        after = trainer.adapters.state_dict()
        moved = {
            slot
            for slot in range(4)
            for key in after
            if (before[key][slot] != after[key][slot]).any()
        }
        archived = {task["id"] for task in trainer.worlds["code"].archive.state()["tasks"]}
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        matches = store.load_matches()
        assert [(m.match.teacher, m.match.tasks_of) for m in matches] == [
            (None, None), (None, None), (None, 0), (None, 1),
        ]  # fmt: skip
        assert all((m.proposed, m.valid) == (0, 5) for m in matches)
        assert {(m.expected, m.student_won) for m in matches} == {(None, None)}
        outcomes = store.load_task_outcomes(1, 1)
        assert len(outcomes) == len(store.load_features()) == 2 * 5
        assert [o.attempts for o in outcomes] == [2 * 2] * 10
        assert {o.task.author for o in outcomes} == {None}
        assert {o.task.features["band"] for o in outcomes} == {1.0, 2.0}
        assert not any(held_out.holds(o.task) for o in outcomes)
        assert {o.task.id for o in outcomes} <= archived
        learnt = [
            member.id
            for member in store.load_members()
            if dict(store.load_metrics(f"member/{member.id}/advantage")).get(1)
        ]
        assert moved == set(learnt) != set()
        assert {cell.teacher for cell in store.load_matrix()} == {None}
        assert store.load_proposals(1) == []


def test_a_kind_without_a_band_is_an_error_before_the_run(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny(
        population={"teachers": 0},
        environments={"code": {"stream_bands": [4, 5]}},
        evolution={"enabled": False},
    )
    with (
        pytest.raises(ConfigError, match=r"stream_bands has no band of code_f"),
        build.start(config, tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run" / "run.db").exists()
