"""The untrained seedling with its trace forced: what a run can gain without learning to reason.

    python -m bench.elicited            300 held-out tasks; one greedy answer, two at temperature 1

The seedling was taught to answer some `code_o` and `code_i` tasks in haste. Here `<answer>` may not
be the first token of such an answer, so the model has to work it out; `code_f` is left as it is.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import redqueen
from redqueen.benchmarks import tasks_of_suite
from redqueen.build import open_environments
from redqueen.config import Config
from redqueen.environments.base import Attempt
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.report.statistics import wilson
from redqueen.types import Task, Verdict

SEEDLING = Path(redqueen.__file__).parent / "seedling"
BATCH = 64
HASTE = "<answer>\n"


class Base:
    """The seedling as transformers runs it."""

    def __init__(self, max_new_tokens: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(SEEDLING, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(SEEDLING, dtype=torch.float32)
        self.limit = max_new_tokens
        (self.answer,) = self.tokenizer.encode(HASTE, add_special_tokens=False)

    def write(self, prompts: Sequence[str], *, forced: bool, sample: bool) -> Iterator[str]:
        """One text for each prompt; `forced`: none begins with the answer."""
        for start in range(0, len(prompts), BATCH):
            batch = self.tokenizer(
                list(prompts[start : start + BATCH]), padding=True, return_tensors="pt"
            )
            ids = self.model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=self.limit,
                do_sample=sample,
                temperature=1.0 if sample else None,
                top_k=0 if sample else None,
                top_p=1.0 if sample else None,
                begin_suppress_tokens=[self.answer] if forced else None,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            texts = ids[:, batch["input_ids"].shape[1] :]
            yield from self.tokenizer.batch_decode(texts, skip_special_tokens=True)


def solve(
    base: Base, code: CodeEnvironment, tasks: Sequence[Task], *, forced: bool, samples: int
) -> dict[str, list[bool]]:
    """Whether each attempt is right, by kind; no `samples`: one greedy attempt at each task."""
    right: dict[str, list[bool]] = defaultdict(list)
    for kind in code.kinds:
        planned = [task for task in tasks if task.kind == kind for _ in range(samples or 1)]
        texts = base.write(
            [code.prompt(task)[0].content for task in planned],
            forced=forced and kind != "code_f",
            sample=samples > 0,
        )
        attempts = [Attempt(task, text) for task, text in zip(planned, texts, strict=True)]
        right[kind] = [item.verdict is Verdict.CORRECT for item in code.verify(attempts)]
    return right


def show(outcomes: Sequence[bool]) -> str:
    low, high = wilson(sum(outcomes), len(outcomes))
    share = sum(outcomes) / len(outcomes)
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--samples", type=int, default=2)
    args = parser.parse_args()
    config = Config()
    torch.manual_seed(0)
    base = Base(config.rollout.solve_tokens)
    with open_environments(config) as environments:
        code = environments["code"]
        assert isinstance(code, CodeEnvironment)
        tasks = tasks_of_suite(environments, "held-out", args.tasks, config.eval.seed)
        print(f"| % of {args.tasks} tasks solved | all | {' | '.join(code.kinds)} |")
        print("|---|" + "---:|" * (1 + len(code.kinds)))
        for samples in (0, args.samples):
            for forced in (False, True):
                right = solve(base, code, tasks, forced=forced, samples=samples)
                every = [item for kind in right.values() for item in kind]
                cells = [show(every), *(show(right[kind]) for kind in code.kinds)]
                mode, trace = "sampled" if samples else "greedy", "forced" if forced else "free"
                print(f"| {mode}, {trace} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
