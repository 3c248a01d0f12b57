"""Hostile and malformed texts for every environment: no exception, no hang, limits held.

    python -m bench.fuzz [--texts 100000] [--seed 0] [--environments logic math gym proof code]

Texts are sound proposals and answers of the environment that were damaged (parts cut, doubled,
swapped, nested, replaced by what breaks parsers), and characters at random. Each is validated as a
proposal and verified as an answer. What is counted: rejections by reason, verdicts, and any
exception or batch over `--seconds` a text, which fail.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from redqueen import build
from redqueen.config import build_config
from redqueen.environments.base import Attempt, Draft, Environment, TaskSpace, sources_of
from redqueen.types import Task

ALL = ["logic", "math", "gym", "proof", "code"]
BATCH = 100
BREAKERS = (
    "9" * 5000, "(" * 3000, "[" * 3000, "{" * 3000, '{"a":' * 500, "\x00", "\ud800", "\u202e",
    "NaN", "-1e999", "null",
    "\\u0000", "\\boxed{" * 50, "</answer>", "<answer>", "$= $.", "{'a': 1}",
    "while True: pass", "import os", "__import__('os')", "f'{x!r:>{w}}'", "9**9**9", "\u2028",
    "lambda: 0", '"""', "```", "<problem>", "</program>", "\\frac{1}{0}", "x^{x^{x^{x}}}",
)  # fmt: skip


def damaged(text: str, rng: Random) -> str:
    """Return a text after one to four accidents."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + int(rng.paretovariate(0.6)))
        cut = text[start:end]
        match rng.randrange(6):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:end] + cut * rng.choice([2, 3, 20]) + text[end:]
            case 2:
                text = text[:start] + rng.choice(BREAKERS) + text[start:]
            case 3:
                text = text[:start] + rng.choice(BREAKERS) + text[end:]
            case 4:
                text = text[end:] + text[:start] + cut
            case 5:
                place = rng.randrange(len(text) + 1)
                text = text[:place] + chr(rng.randrange(1, 0x2FFF)) + text[place + 1 :]
        text = text[:8000]
    return text


def samples(space: TaskSpace, tasks: Sequence[Task]) -> list[str]:
    """Return texts that an environment might read: prompts with references, tasks, answers."""
    shown = [turn.content for kind in space.kinds for turn in space.ask(kind, tasks[:3])]
    payloads = [json.dumps(dict(task.payload)) for task in tasks]
    values = [str(value) for task in tasks for value in task.payload.values()]
    tagged = [
        f"<problem>{task.payload['problem']}</problem>\n<program>{task.payload['program']}</program>"
        for task in tasks
        if "problem" in task.payload
    ]
    proofs = [
        f"$p |- {task.payload['statement']} $= {task.payload['proof']} $."
        for task in tasks
        if "proof" in task.payload
    ]
    answers = [f"So \\boxed{{{value}}} <answer>{value}</answer> $= {value} $." for value in values]
    return [*shown, *payloads, *tagged, *proofs, *answers]


def fuzz(
    environment: Environment, texts: int, rng: Random, most_seconds: float
) -> Iterator[tuple[str, str]]:
    """Yield (reason or verdict, text) of each text; `raised` and `slow` are failures."""
    assert isinstance(environment, TaskSpace)
    tasks = sources_of(environment)["seed"].tasks(24, 0)
    sound = samples(environment, tasks)
    for begun in range(0, texts, BATCH):
        batch = [damaged(rng.choice(sound), rng) for _ in range(min(BATCH, texts - begun))]
        kinds, started = rng.choices(environment.kinds, k=len(batch)), time.process_time()
        drafts = [Draft(k, t, tasks[:1], 0, begun) for k, t in zip(kinds, batch, strict=True)]
        attempts = [Attempt(rng.choice(tasks), text) for text in batch]
        try:
            outcomes = environment.validate(drafts)
            verified = environment.verify(attempts)
        except Exception as error:
            yield "raised", f"{error!r}: {batch!r}"
            continue
        if time.process_time() - started > most_seconds * len(batch):
            yield "slow", repr(batch)
        for outcome, said, text in zip(outcomes, verified, batch, strict=True):
            yield "task" if isinstance(outcome, Task) else outcome.reason, text
            yield said.verdict.value, text


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--environments", nargs="+", default=ALL)
    args = parser.parse_args(argv)
    config = build_config({"environments": {name: {} for name in args.environments}})
    failed = 0
    with build.open_environments(config) as environments:
        for name, environment in environments.items():
            counts, rng = Counter[str](), Random(f"fuzz/{name}/{args.seed}")
            share = args.texts // len(environments)
            for said, text in fuzz(environment, share, rng, args.seconds):
                counts[said] += 1
                if said in ("raised", "slow", "infra_error"):
                    print(f"{name}: {said}: {text[:2000]}")
            failed += counts["raised"] + counts["slow"] + counts["infra_error"]
            print(f"{name}, {share} texts: {dict(counts.most_common())}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
