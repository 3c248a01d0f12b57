"""Environments that lack a sandbox, sources, suites or teachers."""

import json

import pytest

from redqueen.environments.base import (
    REASONS,
    Attempt,
    Environment,
    EnvironmentConfig,
    KeyedSource,
    Services,
    TaskSpace,
    describe,
    sources_of,
)
from redqueen.types import Verdict
from tests.code_cases import make_code
from tests.toy_environments import Sums, TaughtSums, TenSums, sum_task


def test_prompt_and_verify_make_an_environment() -> None:
    environment = Sums().build(Services(pytest.fail, "chat"))
    assert isinstance(environment, Environment)
    assert not isinstance(environment, TaskSpace)
    assert sources_of(environment) == {}
    [message] = environment.prompt(sum_task(2, 3))
    assert (message.role, message.content) == ("user", "2 + 3 =")
    made = environment.verify([Attempt(sum_task(2, 3), text) for text in ("5", "6", "five")])
    assert [item.verdict for item in made] == [Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED]


def test_a_config_without_prompt_and_verify_says_so() -> None:
    with pytest.raises(TypeError, match="EnvironmentConfig needs prompt and verify"):
        EnvironmentConfig().build(Services(pytest.fail, "chat"))


def test_teachers_need_a_task_space() -> None:
    assert not isinstance(TenSums(), TaskSpace)
    assert isinstance(TaughtSums(), TaskSpace)
    assert isinstance(make_code(None), TaskSpace)


def test_sources_with_keys_are_told_from_others() -> None:
    keyed = {n for n, s in sources_of(make_code(None)).items() if isinstance(s, KeyedSource)}
    assert keyed == {"held-out", "beyond", "handwritten"}
    assert not any(isinstance(source, KeyedSource) for source in TenSums().sources.values())


def test_what_an_environment_does_not_say_is_described_by_its_names() -> None:
    plain = describe(Sums())
    assert plain == {
        "name": "sums", "title": "sums", "kinds": [], "measures": [], "difficulty": None,
        "suites": [], "reasons": dict(REASONS), "payload": {},
    }  # fmt: skip
    taught = describe(TaughtSums())
    assert json.loads(json.dumps(taught)) == taught
    assert taught["kinds"] == [{"name": "sum", "title": "sum"}]
    assert taught["measures"][0] == {"name": "size", "title": "Size of the sum", "edges": [5, 10]}
    assert taught["suites"] == [{"name": "held-out", "title": "held-out", "text": ""}]
