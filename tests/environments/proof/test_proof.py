"""The environment of theorems: proposals, answers, what is rejected and why, hostile texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    Fingerprint,
    Services,
    TaskSpace,
    describe,
    elicit,
    revalidate,
)
from redqueen.environments.proof import Proof
from redqueen.environments.proof.theory import load_theory
from redqueen.types import Rejection, Task, Verdict

PROOF = Proof(held_out_tasks=12).build(Services(pytest.fail, "chat"))
SWAP = "$p |- ( ( p -> ( q -> q ) ) -> ( p -> ( q -> q ) ) ) $= ax1 ax1 ax2 mp mp $."


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Seed tasks of both theories, some of them made at random."""
    return PROOF.sources["seed"].tasks(24, 0)


def outcome(text: str, kind: str = "propositional") -> Task | Rejection:
    [made] = PROOF.validate([Draft(kind, text, (), author=3, step=2)])
    return made


def test_it_is_an_environment_with_teachers() -> None:
    assert isinstance(PROOF, Environment)
    assert isinstance(PROOF, TaskSpace)
    said = describe(PROOF)
    assert [kind["name"] for kind in said["kinds"]] == ["propositional", "peano"]


def test_a_theorem_with_a_proof_is_a_task() -> None:
    task = outcome(f"Let me think.\n{SWAP}")
    assert isinstance(task, Task)
    assert (task.author, task.step, task.features["steps"]) == (3, 2, 5)
    assert task.payload["statement"] == "( ( p -> ( q -> q ) ) -> ( p -> ( q -> q ) ) )"
    assert revalidate(PROOF, [task]) == [task]
    again = outcome(f"$p |- {task.payload['statement']} $= {task.payload['proof']} $.")
    assert again == task
    other = outcome(SWAP.replace("q", "r").replace("p ->", "s ->"))
    assert isinstance(other, Task)
    assert other.id != task.id
    assert PROOF.fingerprint(other) == PROOF.fingerprint(task)


def test_quantifiers_before_a_theorem_make_no_new_one() -> None:
    texts = [
        "$p |- A. x ( p -> ( q -> p ) ) $= ax1 gen $.",
        "$p |- A. y A. x A. y ( r -> ( s -> r ) ) $= ax1 gen gen gen $.",
    ]
    tasks = [outcome(text, "peano") for text in texts]
    first, again = (PROOF.fingerprint(task) for task in tasks if isinstance(task, Task))
    assert first == again == Fingerprint("peano ( wff0 -> ( wff1 -> wff0 ) )", "peano ax1")
    inner = outcome("$p |- ( A. x p -> A. x p ) $= ax1 ax1 ax2 mp mp $.", "peano")
    assert isinstance(inner, Task)
    assert PROOF.fingerprint(inner).task == "peano ( A. var0 wff0 -> A. var0 wff0 )"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unparsable"),
        ("$p |- p $= ax1", "unparsable"),
        ("$p |- ( p -> x ) $= ax1 $.", "unknown_symbol"),
        ("$p |- ( p -> p ) $= ax1 nothing $.", "unknown_label"),
        ("$p |- ( p -> p $= ax1 $.", "no_formula"),
        ("$p |- ( p -> p ) $= ax1 $.", "no_proof"),
        ("$p |- ( p -> p ) $= $.", "no_proof"),
        ("$p |- ( ~ p -> ( q -> ~ p ) ) $= ax1 $.", "trivial"),
        ("$p |- ( r -> r ) $= ax1 ax1 ax2 mp mp $.", "known"),
        (f"$p |- {'~ ' * 100} p $= ax1 $.", "too_long"),
        (f"{SWAP} $p |- p $= mp $.", "no_proof"),
    ],
)
def test_rejections(text: str, reason: str) -> None:
    made = outcome(text)
    assert isinstance(made, Rejection)
    assert made.reason == reason
    assert reason in describe(PROOF)["reasons"]


def test_any_proof_is_an_answer(tasks: list[Task]) -> None:
    for task in tasks:
        full = task.payload["proof"].split()
        condensed = " ".join(load_theory(task.kind).condensed(full))
        said = {
            f"{' '.join(full)} $.": Verdict.CORRECT,
            f"By the axioms:\n`$p |- p $= {condensed} $.` That is it.": Verdict.CORRECT,
            condensed: Verdict.CORRECT,
            "mp": Verdict.WRONG,
            "I cannot prove this.": Verdict.MALFORMED,
            "$= $.": Verdict.MALFORMED,
            "<think>$= ax1 ax1 ax2 mp mp $.</think> No idea.": Verdict.MALFORMED,
        }
        made = PROOF.verify([Attempt(task, text) for text in said])
        assert [item.verdict for item in made] == [*said.values()]


def test_prompts_have_the_theory_and_never_the_proof(tasks: list[Task]) -> None:
    task = PROOF.sources["stream"].tasks(2, 5)[1]
    [message] = PROOF.prompt(task)
    assert f"$p |- {task.payload['statement']} $=" in message.content
    assert task.payload["proof"] not in message.content
    assert "(x not in p)" in message.content
    assert "mp: |- p and |- ( p -> q ) gives |- q" in message.content
    assert len(elicit(PROOF, task).messages[0].content) > len(message.content)
    [asked] = PROOF.ask("peano", tasks[:4])
    assert "a = ( a + 0 )" in asked.content


def test_sources_keep_their_rules() -> None:
    for name, source in PROOF.sources.items():
        few, many = source.tasks(6, 1), source.tasks(12, 1)
        assert many[:6] == few
        assert len({task.id for task in many}) == 12, name
        assert revalidate(PROOF, few) == few or name == "seed"
    assert len(PROOF.sources["held-out"].tasks(99, 1)) == 12
    assert PROOF.sources["stream"].tasks(6, 2) != PROOF.sources["stream"].tasks(6, 1)


@pytest.mark.parametrize(
    "payload", [{}, {"statement": 3}, {"statement": "$.", "proof": ""}, {"statement": "p"}]
)
def test_tasks_of_other_nodes_are_not_trusted(payload: dict[str, object]) -> None:
    for kind in ("peano", "elsewhere"):
        [made] = revalidate(PROOF, [Task("x", "proof", kind, payload)])
        assert isinstance(made, Rejection)


THEORY = load_theory("peano")
WORDS = [*sorted(THEORY.symbols), *sorted(THEORY.labels), "$p", "|-", "$=", "$.", "`", "é", "\n"]
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join),
    st.tuples(
        st.lists(st.sampled_from(sorted(THEORY.symbols)), max_size=12),
        st.lists(st.sampled_from(sorted(THEORY.labels)), max_size=60),
    ).map(lambda parts: f"$p |- {' '.join(parts[0])} $= {' '.join(parts[1])} $."),
)


@settings(max_examples=100)
@given(TEXTS)
def test_no_text_does_harm(tasks: list[Task], text: str) -> None:
    made = outcome(text, "peano")
    if isinstance(made, Task):
        assert PROOF.verify([Attempt(made, made.payload["proof"])])[0].verdict is Verdict.CORRECT
    [said] = PROOF.verify([Attempt(tasks[1], text)])
    assert said.verdict is not Verdict.INFRA_ERROR


@pytest.mark.parametrize(
    "text",
    [
        "ax1 " * 5000,
        "wp " * 9000,
        "wp wp wi " * 3000,
        "ax2 " + "ax2 mp " * 2000,
        "$= " * 5000,
        "$p |- " * 5000,
        "$p |- " + "( " * 20_000 + "$= mp $.",
        "$p |- " + "~ " * 59 + "p $= " + "wp " + "wn " * 3000 + "$.",
    ],
)
def test_limits_hold(tasks: list[Task], text: str) -> None:
    assert isinstance(outcome(text), Rejection)
    assert PROOF.verify([Attempt(tasks[0], text)])[0].verdict is not Verdict.CORRECT
