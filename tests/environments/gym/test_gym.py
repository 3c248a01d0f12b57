"""reasoning-gym's tasks: proposals, answers, what its scorers may not evaluate, its limits."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import SandboxConfig
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    Services,
    TaskSpace,
    describe,
    revalidate,
)
from redqueen.environments.gym import Gym, GymEnvironment
from redqueen.environments.gym.package import Failed, GymPackage, Made, Recipe
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError
from redqueen.types import Rejection, Task, Verdict

SOME = ("chain_sum", "gcd", "countdown", "spiral_matrix", "n_queens", "simple_integration", "maze")


@pytest.fixture(scope="module")
def package() -> Iterator[GymPackage]:
    with GymPackage(SandboxConfig(workers=1)) as package:
        yield package


@pytest.fixture(scope="module")
def gym(package: GymPackage) -> GymEnvironment:
    return made_with(package, generators=SOME, held_out_tasks=6)


def made_with(package: GymPackage, **keys: Any) -> GymEnvironment:
    return Gym(**keys).build(Services(pytest.fail, "chat", shared=lambda start: package))  # type: ignore[arg-type,return-value]


def outcome(gym: GymEnvironment, said: Any, kind: str = "arithmetic") -> Task | Rejection:
    text = said if isinstance(said, str) else f"I choose {json.dumps(said)}"
    [made] = gym.validate([Draft(kind, text, (), author=3, step=2)])
    return made


def test_it_is_an_environment_with_teachers(gym: GymEnvironment) -> None:
    assert isinstance(gym, Environment)
    assert isinstance(gym, TaskSpace)
    assert gym.kinds == ("algebra", "algorithmic", "arithmetic", "games")
    assert "min_terms" in gym.ask("arithmetic", [])[0].content
    assert "countdown" not in gym.ask("arithmetic", [])[0].content


def test_a_teacher_chooses_a_generator_and_we_the_seed(gym: GymEnvironment) -> None:
    choice = {"generator": "chain_sum", "parameters": {"min_terms": 4, "max_terms": 4}}
    task = outcome(gym, choice)
    assert isinstance(task, Task)
    assert (task.author, task.step, task.kind) == (3, 2, "arithmetic")
    assert task.payload["question"].count(" + ") + task.payload["question"].count(" - ") == 3
    assert outcome(gym, {**choice, "seed": 7}) == task
    with_default = {**choice, "parameters": {**choice["parameters"], "min_digits": 1}}  # type: ignore[dict-item]
    assert outcome(gym, with_default) == task
    assert revalidate(gym, [task]) == [task]
    [other] = gym.validate([Draft("arithmetic", json.dumps(choice), (), author=3, step=3)])
    assert isinstance(other, Task)
    assert other.id != task.id
    assert gym.fingerprint(other).family == gym.fingerprint(task).family
    forged = Task("", "gym", task.kind, {**task.payload, "answer": "7"})
    assert isinstance(revalidate(gym, [forged])[0], Rejection)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("chain_sum with four terms", "unparsable"),
        ({"generator": "chain_sum", "parameters": 7}, "unparsable"),
        ({"generator": "no_such"}, "unknown_generator"),
        ({"generator": ["chain_sum"]}, "unknown_generator"),
        ({"generator": "countdown"}, "unknown_generator"),
        ({"size": 10**9}, "bad_parameters"),
        ({"min_terms": "2"}, "bad_parameters"),
        ({"min_terms": 10**7}, "bad_parameters"),
        ({"min_terms": 9, "max_terms": 3}, "bad_parameters"),
        ({"min_terms": 900, "max_terms": 900}, "too_large"),
        ({"allow_negation": 1}, "bad_parameters"),
    ],
)
def test_rejections(gym: GymEnvironment, said: Any, reason: str) -> None:
    if isinstance(said, dict) and "generator" not in said:
        said = {"generator": "chain_sum", "parameters": said}
    made = outcome(gym, said)
    assert isinstance(made, Rejection)
    assert made.reason == reason
    assert reason in describe(gym)["reasons"]


def test_a_text_never_reaches_a_generator_that_evaluates_it(package: GymPackage) -> None:
    gym = made_with(package, generators=("basic_arithmetic",))
    call = "+1+__import__('os').getpid()+"
    for operators, reason in ((["+", "-"], None), (["+", call], "bad_parameters")):
        made = outcome(
            gym, {"generator": "basic_arithmetic", "parameters": {"operators": operators}}
        )
        assert (made.reason if isinstance(made, Rejection) else None) == reason


def test_reference_answers_are_right_and_others_are_not(gym: GymEnvironment) -> None:
    tasks = gym.sources["seed"].tasks(7, 0)
    assert {task.payload["generator"] for task in tasks} == set(SOME)
    right = [Attempt(task, f"x <answer>{task.payload['answer']}</answer>") for task in tasks]
    assert {said.verdict for said in gym.verify(right)} == {Verdict.CORRECT}
    wrong = [Attempt(task, "<answer>7 7 7</answer>") for task in tasks]
    assert {said.verdict for said in gym.verify(wrong)} == {Verdict.WRONG}
    without = [Attempt(task, task.payload["answer"]) for task in tasks]
    assert {said.verdict for said in gym.verify(without)} == {Verdict.MALFORMED}


def test_what_is_no_number_is_near_to_none(package: GymPackage) -> None:
    for name in ("complex_arithmetic", "number_sorting", "decimal_arithmetic"):
        [made] = package.make([Recipe(name, {}, 1)])
        assert isinstance(made, Made)
        assert made.verifies
        lists = [json.dumps([text] * (made.answer.count(",") + 1)) for text in ("nan", "-NaN")]
        hostile = ["nan", "NaN", "-nan", "nan + nanj", "nani", "1 + nan*j", *lists]
        assert package.score([(Recipe(name, {}, 1), made.answer)]) == [1.0]
        assert 1.0 not in package.score([(Recipe(name, {}, 1), text) for text in hostile]), name


def test_a_scorer_that_takes_anything_verifies_nothing(package: GymPackage) -> None:
    said = {
        "coin_flip": False, "game_of_life_halting": False, "gcd": True,
        "prime_factorization": True,  # it raises over a letter
    }  # fmt: skip
    made = package.make([Recipe(name, {}, 1) for name in said])
    assert [isinstance(item, Made) and item.verifies for item in made] == [*said.values()]


def test_a_long_number_is_read_at_once(package: GymPackage) -> None:
    with GymPackage(SandboxConfig(workers=1), seconds=2.0) as hasty:
        assert hasty.score([(Recipe("countdown", {}, 0), "1" * 60 + "!")]) == [0.0]


@pytest.fixture(scope="module")
def evaluated() -> frozenset[str]:
    """Generators whose scorers are known to evaluate answers."""
    from redqueen.environments.gym.worker import EVALUATED  # imports reasoning-gym: seconds

    return frozenset(EVALUATED)


def test_answers_are_never_run(
    package: GymPackage, evaluated: frozenset[str], tmp_path: Path
) -> None:
    file = tmp_path / "touched"
    call = f"[open({str(file)!r}, 'w').write('x')]"
    hostile = [call, call[1:-1], f"x + {call[1:-1]}", "__import__('os').abort()", "x.__class__"]
    for name in evaluated:
        scores = package.score([(Recipe(name, {}, 0), text) for text in hostile])
        assert scores == [0.0] * len(hostile)
    assert not file.exists()


def test_every_scorer_that_evaluates_its_answer_is_known(evaluated: frozenset[str]) -> None:
    """Reads the package's source: a new version with another such scorer fails here."""
    spec = importlib.util.find_spec("reasoning_gym")
    assert spec is not None
    assert spec.origin is not None
    risky = re.compile(r"\b(?:eval|exec|parse_expr|sympify)\(\s*(?:answer|user|expr)\b")
    modules = [
        file.stem
        for file in Path(spec.origin).parent.rglob("*.py")
        if risky.search(file.read_text(encoding="utf-8"))
    ]
    # propositional_logic has a parser of its own by that name.
    assert set(modules) - {"propositional_logic"} == evaluated


def test_limits_of_time(package: GymPackage) -> None:
    with GymPackage(SandboxConfig(workers=1), seconds=1.0) as hasty:
        [power] = hasty.score([(Recipe("countdown", {}, 0), "9**9**9**9")])
    assert power is NoReply.RAN_AWAY
    [made] = package.make([Recipe("gcd", {"nothing": 1}, 0)])
    assert made == Failed("no parameter 'nothing'", parameters=True)


def test_sources_are_repeatable_and_apart(gym: GymEnvironment) -> None:
    ten = gym.sources["stream"].tasks(10, 3)
    assert gym.sources["stream"].tasks(12, 3)[:10] == ten
    held_out = gym.sources["held-out"].tasks(50, 3)
    assert len(held_out) == 6
    assert not {gym.fingerprint(t).task for t in held_out} & {gym.fingerprint(t).task for t in ten}


def test_an_unknown_generator_in_the_config(package: GymPackage) -> None:
    with pytest.raises(ConfigError, match="no generator 'chain_sums'"):
        made_with(package, generators=("chain_sums",))
    assert isinstance(package.make([Recipe("aiw", {}, 1)])[0], Made)


pieces = st.sampled_from(
    ['{"generator": ', '"chain_sum"', '"gcd"', ', "parameters": {', '"min_terms": ', "-1", "1e999",
     "NaN", "}", "}}", "9" * 5000, "[" * 2000, "null", '"', "\ud800", "<answer>", "</answer>", "7"],
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(pieces, max_size=12))
def test_no_text_does_harm(gym: GymEnvironment, parts: list[str]) -> None:
    text = "".join(parts)
    assert isinstance(outcome(gym, text), (Task, Rejection))
    [said] = gym.verify([Attempt(gym.sources["seed"].tasks(1, 0)[0], text)])
    assert said.verdict in (Verdict.MALFORMED, Verdict.WRONG)
