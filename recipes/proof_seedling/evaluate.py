"""Measure a proof seedling: solve rates by theory and length of proof, and what it proposes.

    python -m recipes.proof_seedling.evaluate                   the one that ships with the package
    python -m recipes.proof_seedling.evaluate --write           and put the table into its card

Exits with status 1 if it is not what `configs/proof.toml` needs: room above, and valid proposals.
"""

import argparse
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipes.common.card import percent, write_table
from recipes.proof_seedling.corpus import LONGEST
from redqueen.benchmarks import Subject, evaluate, tasks_of_suite
from redqueen.build import open_engine, open_environments
from redqueen.config import Config, load_config
from redqueen.curriculum import Archive
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import SEED, Draft, sources_of
from redqueen.environments.proof import ProofEnvironment
from redqueen.environments.proof.environment import STEPS
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import directory_of
from redqueen.rng import derive_seed, numpy_rng
from redqueen.rollouts.collect import verifier_of
from redqueen.store import BASE, ELICITED, EvaluationAttempt
from redqueen.types import Rejection, Request, Task, Verdict

NAME = "proof-seedling"
CARD = directory_of(NAME) / "README.md"
SOLVED = (0.20, 0.60)
"""Of held-out theorems with longer proofs than the corpus's, greedy: room to learn."""
VALID_FROM = 0.30
BINS = ("2–3", "4–6", "7–9", "10–11")
"""Labels of a proof, as `STEPS` divides them."""


def solve_table(tasks: Sequence[Task], attempts: Sequence[EvaluationAttempt]) -> list[str]:
    """Return Markdown lines: solve rates by theory, mode and subject, and by length."""
    cells = {task.id: (task.kind, task.features["steps"]) for task in tasks}
    counts: dict[tuple[str, str, str], Counter[tuple[int, bool]]] = defaultdict(Counter)
    for attempt in attempts:
        right = attempt.verdict is Verdict.CORRECT
        kind, steps = cells[attempt.task_id]
        for shown in (kind, "all"):
            for column in (bisect_right(STEPS.edges, steps), len(BINS)):
                counts[attempt.subject, attempt.mode, shown][column, right] += 1
    lines = [
        "| % solved | " + " | ".join(f"{item} labels" for item in BINS) + " | all |",
        "|---|" + "---:|" * (len(BINS) + 1),
    ]
    for (subject, mode, kind), count in sorted(counts.items(), key=lambda item: item[0]):
        totals = [(count[n, True], count[n, True] + count[n, False]) for n in range(len(BINS) + 1)]
        shares = [percent(right, total) if total else "–" for right, total in totals]
        lines.append(f"| {subject}, {mode}, {kind} | " + " | ".join(shares) + " |")
    return lines


def propose(
    engine: Engine, proof: ProofEnvironment, config: Config, count: int
) -> list[Task | Rejection]:
    """Return what becomes of proposals: theories in turn, none to two references."""
    archive = Archive(10**6, proof)
    archive.add(sources_of(proof)[SEED].tasks(config.curriculum.seed_tasks, seed=1))
    asked, requests = [], []
    for index in range(count):
        kind = proof.kinds[index % len(proof.kinds)]
        shown = tuple(archive.sample(index % 3, numpy_rng(7, "references", index)))
        asked.append((kind, shown))
        requests.append(Request(None, proof.ask(kind, shown), derive_seed(7, "propose", index)))
    heat = config.rollout.propose_temperature or 1.0
    texts = engine.generate(requests, Sampling(config.rollout.propose_tokens, heat))
    drafts = [
        Draft(kind, item.text, shown, None, 0)
        for (kind, shown), item in zip(asked, texts, strict=True)
    ]
    return proof.validate(drafts)


def proposal_sentence(
    proof: ProofEnvironment, outcomes: Sequence[Task | Rejection], heat: float
) -> str:
    """Return how many proposals are valid, distinct and longer than the corpus's."""
    tasks = [item for item in outcomes if isinstance(item, Task)]
    reasons = Counter(item.reason for item in outcomes if isinstance(item, Rejection))
    forms = {proof.fingerprint(task).task for task in tasks}
    longer = sum(task.features["steps"] > LONGEST[task.kind] for task in tasks)
    said = ", ".join(f"{name} {count}" for name, count in reasons.most_common())
    return (
        f"Of {len(outcomes)} proposals at temperature {heat}, {percent(len(tasks), len(outcomes))}"
        f" % are valid, {percent(len(forms), len(tasks))} % of these distinct, {longer} with a "
        f"proof that is longer than any of the corpus. Rejected: {said}."
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=NAME, help="the base's name, or a directory")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--proposals", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="update the card")
    args = parser.parse_args()
    config = load_config(Path("configs/proof.toml"), [("policy.base", args.model)])
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    with open_engine(config, model) as engine, open_environments(config) as environments:
        proof = environments["proof"]
        assert isinstance(proof, ProofEnvironment)
        suite = tasks_of_suite(environments, "held-out", args.tasks, config.eval.seed)
        attempts = evaluate(
            engine,
            verifier_of(environments),
            environments,
            "held-out",
            suite,
            [Subject(BASE, None), Subject(ELICITED, None)],
            samples=args.samples,
            max_new_tokens=config.rollout.solve_tokens,
            seed=config.eval.seed,
        )
        outcomes = propose(engine, proof, config, args.proposals)
    text = "\n".join(
        (
            *solve_table(suite, attempts),
            "",
            f"{len(suite)} held-out theorems, one greedy attempt and {args.samples} at temperature "
            "1 each; 95 % Wilson intervals, of attempts.",
            proposal_sentence(proof, outcomes, config.rollout.propose_temperature or 1.0),
        )
    )
    print(text)
    if args.write:
        write_table(CARD, text)
    longer = {task.id for task in suite if task.features["steps"] > LONGEST[task.kind]}
    greedy = [
        item.verdict is Verdict.CORRECT
        for item in attempts
        if (item.subject, item.mode) == (BASE, "greedy") and item.task_id in longer
    ]
    solved = sum(greedy) / len(greedy)
    valid = sum(isinstance(item, Task) for item in outcomes) / len(outcomes)
    return 0 if SOLVED[0] <= solved <= SOLVED[1] and valid >= VALID_FROM else 1


if __name__ == "__main__":
    raise SystemExit(main())
