"""The example of docs/environments.md: an environment outside the package, with teachers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redqueen.config.component import build_component, dump_component
from redqueen.curriculum import Archive, CopyIndex, HeldOut, admit, draw_stream
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    EnvironmentConfig,
    Services,
    TaskSpace,
    describe,
    sources_of,
)
from redqueen.types import Rejection, Task, Verdict

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def config() -> Iterator[EnvironmentConfig]:
    sys.path.insert(0, str(EXAMPLES))
    built = build_component("environment", {"type": "arithmetic:Arithmetic", "largest": 30})
    assert isinstance(built, EnvironmentConfig)
    yield built
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def arithmetic(config: EnvironmentConfig) -> Environment:
    return config.build(Services(pytest.fail, "chat"))


def test_it_is_short_and_shown_on_the_page(config: EnvironmentConfig) -> None:
    lines = (EXAMPLES / "arithmetic.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    page = (EXAMPLES.parent / "environments.md").read_text(encoding="utf-8")
    assert "(examples/arithmetic.py)" in page
    assert dump_component("environment", config) == {
        "type": "arithmetic:Arithmetic", "share": 1.0, "largest": 30,
    }  # fmt: skip


def drafts(*texts: str, kind: str = "sum") -> list[Draft]:
    return [Draft(kind, text, (), author=3, step=2) for text in texts]


def test_proposals_become_tasks_or_rejections(arithmetic: Environment) -> None:
    assert isinstance(arithmetic, TaskSpace)
    made = arithmetic.validate(drafts("Try 29 + 30 +1.", "29 - 3", "31 + 1", "1+" * 6 + "1"))
    assert isinstance(made[0], Task)
    assert made[0].payload == {"terms": [29, 30, 1]}
    assert (made[0].author, made[0].step) == (3, 2)
    reasons = [item.reason for item in made[1:] if isinstance(item, Rejection)]
    assert reasons == ["unparsable", "too_large", "too_large"]
    [product] = arithmetic.validate(drafts("2 * 30", kind="product"))
    assert isinstance(product, Task)
    answers = ["it is 60", "61", "none", "-60"]
    verdicts = [v.verdict for v in arithmetic.verify([Attempt(product, t) for t in answers])]
    right, wrong = Verdict.CORRECT, Verdict.WRONG
    assert verdicts == [right, wrong, Verdict.MALFORMED, wrong]
    assert "2 * 30 = ?" in arithmetic.prompt(product)[0].content
    assert "2 * 30" in arithmetic.ask("product", [product])[0].content


def test_it_goes_through_the_whole_curriculum(arithmetic: Environment) -> None:
    assert isinstance(arithmetic, TaskSpace)
    sources, archive = sources_of(arithmetic), Archive(50, arithmetic)
    archive.add(sources["seed"].tasks(8, 0))
    assert len(archive) == 8
    assert archive.metrics()["coverage"] > 0
    held_out = HeldOut(arithmetic, seed=1, count=40)
    exam = sources["held-out"].tasks(40, 1)
    lists = [task.payload["terms"] for task in exam if task.kind == "sum"]
    terms = next(terms for terms in lists if max(terms) <= 30)
    turned = " + ".join(map(str, reversed(terms)))
    outcomes = arithmetic.validate(drafts(turned, "29 + 28 + 27", "27 + 28 + 29", "1 +"))
    admitted = admit(outcomes, [True] * 4, archive, CopyIndex(arithmetic.fingerprint, 3), held_out)
    reasons = [item.reason if isinstance(item, Rejection) else "" for item in admitted]
    assert reasons == ["held_out", "", "near_copy", "unparsable"]
    stream = draw_stream("arithmetic", sources["stream"], 12, 5, held_out, 2)
    assert len({task.id for task in stream}) == 12
    said = describe(arithmetic)
    assert [suite["title"] for suite in said["suites"]] == ["Held-out"]
    assert {"unparsable", "too_large", "near_copy"} <= said["reasons"].keys()


def test_a_source_with_few_tasks_ends(arithmetic: Environment) -> None:
    seeds = sources_of(arithmetic)["seed"].tasks(5000, 0)
    assert 1000 < len({task.id for task in seeds}) == len(seeds) < 5000
