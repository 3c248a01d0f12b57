"""What an untrained base makes of the `instruct` prompts: are they followed, are they read?

    python -m bench.prompts --base build/bases/qwen-coder                    handwritten tasks
    python -m bench.prompts --base DIR --cruxeval FILE --tasks 200           CRUXEval's too
    python -m bench.prompts --base DIR --texts FILE                          read saved texts again

At temperature 1: the share of valid proposals, with the reasons for rejection; of answers, the
shares of right, malformed and truncated ones by kind. Intervals are 95 % (Wilson). Then examples of
malformed answers. Texts are saved in FILE (build/prompts.jsonl) as they are finished.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from redqueen.build import open_engine, open_environments
from redqueen.config import Config, load_config
from redqueen.engines.base import Sampling
from redqueen.environments.base import Attempt, Draft
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.policy import STDLIB
from redqueen.environments.code.tasks import written_task
from redqueen.models.population_model import PopulationModel
from redqueen.report.statistics import wilson
from redqueen.rng import derive_seed, numpy_rng
from redqueen.types import Completion, Messages, Request, Task, Verdict

PROPOSED = "proposals"


@dataclass(frozen=True)
class Text:
    """One text of the base, and what it was asked for."""

    suite: str
    kind: str
    number: int
    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class Question:
    """One request: a task to solve, or (without one) a task to propose."""

    suite: str
    kind: str
    number: int
    messages: Messages
    task: Task | None = None
    references: tuple[Task, ...] = ()


def settings(base: str, proposals: Sequence[str] = ()) -> Config:
    """Return the configuration for a base on this machine."""
    keys = {
        "policy.base": base,
        "engine.type": "torch",
        "engine.rows": "64",
        "sandbox.backend": "auto",
        "environments.code.style": "instruct",
        "rollout.propose_tokens": "512",
        "rollout.solve_tokens": "512",
    }
    return load_config(None, list(keys.items()))


def cruxeval(path: Path) -> list[Task]:
    """Return `code_o` and `code_i` tasks of CRUXEval's rows, a row of each kind in turn."""
    tasks = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for kind in ("code_o", "code_i"):
            case = [(row["input"], row["output"])]
            try:
                tasks.append(written_task("code", kind, row["code"], case, "", STDLIB))
            except ValueError:
                break
    return tasks


def questions(
    code: CodeEnvironment, count: int, references: int, path: Path | None
) -> Iterator[Question]:
    """Yield the requests: `count` proposals, and about as many tasks of each suite."""
    seeds = code.sources["seed"].tasks(200, 0)
    for number in range(count):
        kind = code.kinds[number % len(code.kinds)]
        rng = numpy_rng(0, "references", number)
        shown = code.references_for(kind, references)
        chosen = tuple(seeds[i] for i in rng.choice(len(seeds), shown, replace=False))
        yield Question(PROPOSED, kind, number, code.ask(kind, chosen), references=chosen)
    suites = {"handwritten": code.sources["handwritten"].tasks(count, 0)}
    if path is not None:
        tasks = cruxeval(path)
        picks = numpy_rng(0, "cruxeval").permutation(len(tasks) // 2)[: -(-count // 2)]
        suites["cruxeval"] = [tasks[2 * pick + place] for pick in picks for place in (0, 1)]
    for suite, tasks in suites.items():
        for number, task in enumerate(tasks):
            yield Question(suite, task.kind, number, code.prompt(task), task)


def write(config: Config, asked: Sequence[Question], path: Path) -> None:
    """Write a text for each question into a file of JSON lines."""
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    limit = config.rollout.solve_tokens
    with open_engine(config, model) as engine, path.open("w", encoding="utf-8") as file:

        def save(texts: Mapping[int, Completion]) -> None:
            for number, item in texts.items():
                ask = asked[number]
                text = Text(
                    ask.suite, ask.kind, ask.number, item.text, len(item.token_ids), item.finished
                )
                file.write(json.dumps(asdict(text)) + "\n")
                file.flush()

        requests = [Request(None, q.messages, derive_seed(0, q.suite, q.number)) for q in asked]
        engine.generate(requests, Sampling(limit, 1.0), save)


def share(part: int, whole: int) -> str:
    low, high = wilson(part, whole)
    return f"{100 * part / whole:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def outcomes(
    code: CodeEnvironment, asked: Sequence[Question], texts: Sequence[Text]
) -> Iterator[tuple[Text, str]]:
    """Yield each text with what became of it: `valid` or the reason; the verdict."""
    by_key = {(ask.suite, ask.kind, ask.number): ask for ask in asked}
    pairs = [(text, by_key[text.suite, text.kind, text.number]) for text in texts]
    drafts = [
        Draft(ask.kind, text.text, ask.references, None, 0) for text, ask in pairs if not ask.task
    ]
    attempts = [Attempt(ask.task, text.text) for text, ask in pairs if ask.task]
    validated, verified = iter(code.validate(drafts)), iter(code.verify(attempts))
    for text, ask in pairs:
        if ask.task:
            yield text, next(verified).verdict.value
        else:
            made = next(validated)
            reason = "valid" if isinstance(made, Task) else made.reason
            yield text, reason if text.finished else "unfinished"


def show(results: Sequence[tuple[Text, str]], examples: int) -> None:
    """Print the tables, and texts of malformed answers."""
    groups: dict[tuple[str, str], list[tuple[Text, str]]] = defaultdict(list)
    for text, outcome in results:
        groups[text.suite, text.kind].append((text, outcome))
        if text.suite == PROPOSED:
            groups[text.suite, "all"].append((text, outcome))
    print("| suite | kind | n | valid or right | malformed | truncated | tokens |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for (suite, kind), items in sorted(groups.items()):
        counts = Counter(outcome for _, outcome in items)
        right = counts["valid"] + counts[Verdict.CORRECT.value]
        cells = (right, counts[Verdict.MALFORMED.value], sum(not t.finished for t, _ in items))
        tokens = sum(text.tokens for text, _ in items) / len(items)
        shares = " | ".join(share(cell, len(items)) for cell in cells)
        print(f"| {suite} | {kind} | {len(items)} | {shares} | {tokens:.0f} |")
        if suite == PROPOSED:
            print(f"|  |  |  | {dict(counts.most_common())} | | | |")
        elif counts[Verdict.INFRA_ERROR.value]:
            print(f"|  |  |  | {counts[Verdict.INFRA_ERROR.value]} infra_error | | | |")
    malformed = [text for text, outcome in results if outcome == Verdict.MALFORMED.value]
    for text in malformed[:examples]:
        print(f"\n--- malformed {text.suite} {text.kind} {text.number}, {text.tokens} tokens")
        print(text.text[-600:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--references", type=int, default=2)
    parser.add_argument("--cruxeval", type=Path)
    parser.add_argument("--texts", type=Path, help="read these again, write none")
    parser.add_argument("--out", type=Path, default=Path("build/prompts.jsonl"))
    parser.add_argument("--examples", type=int, default=10)
    args = parser.parse_args()
    config = settings(args.base)
    with open_environments(config) as environments:
        code = environments["code"]
        assert isinstance(code, CodeEnvironment)
        asked = list(questions(code, args.tasks, args.references, args.cruxeval))
        if args.texts is None:
            write(config, asked, args.out)
        lines = (args.texts or args.out).read_text(encoding="utf-8").splitlines()
        texts = [Text(**json.loads(line)) for line in lines]
        show(list(outcomes(code, asked, texts)), args.examples)


if __name__ == "__main__":
    main()
