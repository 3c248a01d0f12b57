"""Measure a seedling: solve rates by kind and difficulty band, and the quality of its proposals.

    python -m recipes.seedling.evaluate                     the one that ships with the package
    python -m recipes.seedling.evaluate --write             and put the table into its card

Exits with status 1 if a figure is outside the bands that the default run was designed for.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import redqueen
from recipes.common.card import percent, write_table
from redqueen.benchmarks import Subject, evaluate, tasks_of_suite
from redqueen.build import open_engine, open_environments
from redqueen.config import Config, build_config, load_config, merge
from redqueen.curriculum import Archive
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import SEED, Draft, sources_of
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed, numpy_rng
from redqueen.rollouts.collect import verifier_of
from redqueen.store import EvaluationAttempt
from redqueen.types import Rejection, Request, Task, Verdict

GREEDY_BANDS = {"code_o": (0.40, 0.70), "code_i": (0.30, 0.70), "code_f": (0.15, 0.60)}
HARDEST_BELOW, VALID_FROM, DISTINCT_FROM = 0.25, 0.80, 0.60
CARD = Path(redqueen.__file__).parent / "bases" / "seedling" / "README.md"


def propose(engine: Engine, code: CodeEnvironment, config: Config, count: int) -> list[Draft]:
    """`count` proposals at temperature 1, kinds in turn, references as in a run."""
    archive = Archive(10**6, code)
    archive.add(sources_of(code)[SEED].tasks(config.curriculum.seed_tasks, seed=1))
    drafts, requests = [], []
    for index in range(count):
        kind = code.kinds[index % len(code.kinds)]
        number = code.references_for(kind, index // len(code.kinds) % 3)
        shown = tuple(archive.sample(number, numpy_rng(7, "references", index)))
        drafts.append((kind, shown))
        requests.append(Request(None, code.ask(kind, shown), derive_seed(7, "propose", index)))
    texts = engine.generate(requests, Sampling(config.rollout.propose_tokens, 1.0))
    return [
        Draft(kind, text.text, shown, None, 0)
        for (kind, shown), text in zip(drafts, texts, strict=True)
    ]


def solve_table(
    tasks: Sequence[Task], attempts: Sequence[EvaluationAttempt]
) -> tuple[list[str], dict[str, float], list[float]]:
    """Markdown lines; greedy rate by kind; greedy rate by band, of the kinds with all bands."""
    counts: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    cells = {task.id: (task.kind, int(task.features["band"])) for task in tasks}
    for attempt in attempts:
        right = attempt.verdict is Verdict.CORRECT
        task_kind, task_band = cells[attempt.task_id]
        for kind in (task_kind, "all"):
            for band in (task_band, 0):
                counts[attempt.mode, kind, band].update(right=right, total=1)
    bands = sorted({band for _, band in cells.values()})
    kinds = [*sorted({kind for kind, _ in cells.values()}), "all"]
    lines = [
        "| % solved | " + " | ".join(f"band {band}" for band in bands) + " | all bands |",
        "|---|" + "---:|" * (len(bands) + 1),
    ]
    for mode in ("greedy", "sampled"):
        for kind in kinds:
            shares = []
            for band in (*bands, 0):
                count = counts[mode, kind, band]
                shares.append(percent(count["right"], count["total"]) if count["total"] else "–")
            lines.append(f"| {kind}, {mode} | " + " | ".join(shares) + " |")

    def rate(kind: str, band: int) -> float:
        count = counts["greedy", kind, band]
        return count["right"] / count["total"]

    # The dial is judged on the kinds that have every band, so that the mix of kinds stays equal.
    whole = [kind for kind in kinds if all(counts["greedy", kind, band] for band in bands)]
    whole.remove("all")
    by_band = [sum(rate(kind, band) for kind in whole) / len(whole) for band in bands]
    return lines, {kind: rate(kind, 0) for kind in kinds}, by_band


def judge(
    kinds: dict[str, float], bands: Sequence[float], valid: float, distinct: float
) -> list[str]:
    """What misses the bands, one sentence each."""
    missed = [
        f"{kind} greedy {100 * kinds[kind]:.1f} % is not in {100 * low:.0f}–{100 * high:.0f} %"
        for kind, (low, high) in GREEDY_BANDS.items()
        if not low <= kinds[kind] <= high
    ]
    if list(bands) != sorted(bands, reverse=True):
        missed.append("the solve rate does not fall from band to band")
    if bands[-1] >= HARDEST_BELOW:
        missed.append(f"the hardest band is solved at {100 * bands[-1]:.1f} %")
    if valid < VALID_FROM:
        missed.append(f"only {100 * valid:.1f} % of proposals are valid")
    if distinct < DISTINCT_FROM:
        missed.append(f"only {100 * distinct:.1f} % of valid proposals are distinct")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="seedling", help="`seedling` or a directory")
    parser.add_argument("--tasks", type=int, default=1500)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--proposals", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="update the card")
    args = parser.parse_args()
    keys = {"policy.base": args.model}
    keys["environments.code.style"] = "compact"
    config = load_config(None, list(keys.items()))
    # Whether a task can be posed at all; what the guards then take is a matter of the run.
    no_guards = {"environments": {"code": {"guards": ()}}}
    lenient = build_config(merge(config.model_dump(), no_guards))
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    with (
        open_engine(config, model) as engine,
        open_environments(config) as environments,
        open_environments(lenient) as unguarded,
    ):
        code, free = environments["code"], unguarded["code"]
        assert isinstance(code, CodeEnvironment)
        assert isinstance(free, CodeEnvironment)
        suite = tasks_of_suite(environments, "held-out", args.tasks, config.eval.seed)
        attempts = evaluate(
            engine,
            verifier_of(environments),
            environments,
            "held-out",
            suite,
            [Subject("base", None)],
            samples=args.samples,
            max_new_tokens=config.rollout.solve_tokens,
            seed=config.eval.seed,
        )
        drafts = propose(engine, code, config, args.proposals)
        guarded = sum(isinstance(outcome, Task) for outcome in code.validate(drafts))
        outcomes = free.validate(drafts)
    lines, kinds, bands = solve_table(suite, attempts)
    tasks = [outcome for outcome in outcomes if isinstance(outcome, Task)]
    reasons = Counter(item.reason for item in outcomes if isinstance(item, Rejection))
    distinct = len({task.id for task in tasks})
    lines += [
        "",
        f"{args.tasks} held-out tasks, one greedy attempt and {args.samples} at temperature 1 "
        "each; 95 % Wilson intervals. Of "
        f"{len(outcomes)} proposals at temperature 1, {percent(len(tasks), len(outcomes))} % are "
        f"valid, and {percent(distinct, len(tasks))} % of the valid ones are distinct. "
        f"Rejected: {', '.join(f'{name} {count}' for name, count in reasons.most_common())}. "
        f"With the guards against false difficulty {percent(guarded, len(outcomes))} % remain.",
    ]
    table = "\n".join(lines)
    print(table)
    if args.write:
        write_table(CARD, table)
    missed = judge(kinds, bands, len(tasks) / len(outcomes), distinct / len(tasks))
    for sentence in missed:
        print(f"outside: {sentence}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
