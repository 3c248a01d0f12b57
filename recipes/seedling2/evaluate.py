"""Measure the second seedling on its graded suites, by kind and band, with the quality of its
proposals.

    python -m recipes.seedling2.evaluate

Prints Markdown tables; `--write CARD` puts them between the marks of a card.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from recipes.common.card import percent, write_table
from redqueen.build import open_engine, open_environments
from redqueen.config import Config, load_config
from redqueen.curriculum import suite_tasks
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Attempt, Draft
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.tasks import written_task
from redqueen.environments.code.traced import draw_program, held_out_pairs
from redqueen.environments.code.traced.messages import full_message
from redqueen.environments.code.traced.prompts import ANSWER
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed
from redqueen.types import Completion, Rejection, Request, Task, Verdict

SEED = 90_001
REFERENCE_BANDS = (1, 2, 3, 4)
SUITES = ("held-out", "middle", "far")


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt."""

    suite: str
    kind: str
    band: int
    mode: str
    right: bool
    answered: bool
    """Whether there is an answer; else the text was cut or has none."""
    tokens: int


def solve(
    engine: Engine,
    code: CodeEnvironment,
    suite: str,
    tasks: Sequence[Task],
    mode: str,
    longest: int,
) -> tuple[list[Result], list[Completion]]:
    """One attempt at each task, and the texts."""
    requests = [Request(None, code.prompt(task), derive_seed(SEED, task.id)) for task in tasks]
    texts = engine.generate(requests, Sampling(longest, 1.0 if mode == "sampled" else 0.0))
    attempts = [Attempt(task, item.text) for task, item in zip(tasks, texts, strict=True)]
    verdicts = [item.verdict for item in code.verify(attempts)]
    if Verdict.INFRA_ERROR in verdicts:
        raise SystemExit("the sandbox failed; run `redqueen doctor`")
    results = [
        Result(
            suite,
            task.kind,
            int(task.features.get("band", 0)),
            mode,
            verdict is Verdict.CORRECT,
            ANSWER in item.text,
            len(item.token_ids),
        )
        for task, verdict, item in zip(tasks, verdicts, texts, strict=True)
    ]
    return results, texts


def solve_tables(results: Sequence[Result]) -> list[str]:
    """Markdown lines: a row for each suite, kind and mode, a column for each band."""
    bands = sorted({item.band for item in results})
    heads = ["by hand" if band == 0 else f"band {band}" for band in bands]
    lines = [
        "| % solved | " + " | ".join(heads) + " | all | answered | tokens |",
        "|---|" + "---:|" * (len(bands) + 3),
    ]
    groups: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for item in results:
        groups[item.suite, item.kind, item.mode].append(item)
    for (suite, kind, mode), items in groups.items():
        cells = []
        for band in bands:
            some = [item for item in items if item.band == band]
            cells.append(f"{100 * sum(i.right for i in some) / len(some):.0f}" if some else "–")
        cells.append(percent(sum(item.right for item in items), len(items)))
        cells.append(f"{100 * sum(item.answered for item in items) / len(items):.0f}")
        cells.append(f"{sum(item.tokens for item in items) / len(items):.0f}")
        lines.append(f"| {suite}, {kind}, {mode} | " + " | ".join(cells) + " |")
    return lines


def propose(engine: Engine, code: CodeEnvironment, config: Config, count: int) -> list[Draft]:
    """`count` proposals at temperature 1, kinds in turn, none to two references."""
    rng = Random(derive_seed(SEED, "references"))
    drafts, requests = [], []
    for index in range(count):
        kind = code.kinds[index % len(code.kinds)]
        number = code.references_for(kind, index // len(code.kinds) % 3)
        shown = tuple(_reference(code, rng) for _ in range(number))
        drafts.append((kind, shown))
        requests.append(Request(None, code.ask(kind, shown), derive_seed(SEED, "draft", index)))
    texts = engine.generate(requests, Sampling(config.rollout.propose_tokens, 1.0))
    pairs = zip(drafts, texts, strict=True)
    return [Draft(kind, item.text, shown, None, 0) for (kind, shown), item in pairs]


def _reference(code: CodeEnvironment, rng: Random) -> Task:
    program = draw_program(rng.choice(REFERENCE_BANDS), rng)
    case = (", ".join(map(repr, program.args)), repr(program.trace.value))
    message = full_message(program.source)
    return written_task(code.name, "code_o", program.source, [case], message)


def proposal_lines(outcomes: Sequence[Task | Rejection], drafts: Sequence[Draft]) -> list[str]:
    """What became of the proposals, in words."""
    tasks = [item for item in outcomes if isinstance(item, Task)]
    reasons = Counter(item.reason for item in outcomes if isinstance(item, Rejection))
    shown = {ref.payload["program"] for draft in drafts for ref in draft.references}
    fresh = [task for task in tasks if task.kind != "code_f"]
    copies = sum(task.payload["program"] in shown for task in fresh)
    unseen = sum(bool(held_out_pairs(task.payload["program"])) for task in fresh)
    kinds = Counter(draft.kind for draft in drafts)
    valid = Counter(task.kind for task in tasks)
    return [
        f"Of {len(outcomes)} proposals at temperature 1, {percent(len(tasks), len(outcomes))} % "
        "are valid ("
        + ", ".join(f"{kind} {percent(valid[kind], total)}" for kind, total in kinds.items())
        + f"); {len({task.id for task in tasks})} of the {len(tasks)} valid ones are distinct, "
        f"{copies} have the program of a reference, {unseen} of {len(fresh)} programs have a pair "
        "of constructs that the corpus never has. Rejected: "
        + ", ".join(f"{name} {count}" for name, count in reasons.most_common())
        + "."
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="seedling2", help="the base's name, or a directory")
    parser.add_argument("--tasks", type=int, default=900, help="of each suite")
    parser.add_argument("--proposals", type=int, default=300)
    parser.add_argument("--longest", type=int, default=384, help="tokens of a held-out answer")
    parser.add_argument("--modes", nargs="+", default=["greedy", "sampled"])
    parser.add_argument("--suites", nargs="+", default=list(SUITES))
    parser.add_argument("--texts", type=Path, help="write prompts and texts to this file")
    parser.add_argument("--write", type=Path, help="the card to update")
    args = parser.parse_args()
    keys = {"policy.base": args.model}
    keys["environments.code.style"] = "traced"
    keys["sandbox.backend"] = "auto"  # answers of a young model use what the interpreter lacks
    config = load_config(None, list(keys.items()))
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    lines: list[str] = []
    with open_engine(config, model) as engine, open_environments(config) as environments:
        code = environments["code"]
        assert isinstance(code, CodeEnvironment)
        results: list[Result] = []
        for suite in args.suites:
            longest = args.longest if suite == "held-out" else max(args.longest, 512)
            tasks = sorted(suite_tasks(code, suite, args.tasks, SEED), key=lambda task: task.kind)
            for mode in args.modes:
                some, texts = solve(engine, code, suite, tasks, mode, longest)
                results += some
                if args.texts:
                    _keep(args.texts, model, tasks, some, texts)
        lines += [*solve_tables(results), ""] if results else []
        if args.proposals:
            drafts = propose(engine, code, config, args.proposals)
            lines += proposal_lines(code.validate(drafts), drafts)
    table = "\n".join(lines)
    print(table)
    if args.write:
        write_table(args.write, table)


def _keep(
    path: Path,
    model: PopulationModel,
    tasks: Sequence[Task],
    results: Sequence[Result],
    texts: Sequence[Completion],
) -> None:
    with path.open("a", encoding="utf-8") as file:
        for task, result, text in zip(tasks, results, texts, strict=True):
            prompt = model.base.decode(text.prompt_ids)
            file.write(f"===== {result}\n{prompt}¦{text.text}\n")
            if task.kind == "code_o":
                file.write(f"----- right: {task.payload['output']}\n")


if __name__ == "__main__":
    main()
