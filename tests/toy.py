"""A whole world that takes milliseconds: a model of ten tokens, an engine, ten tasks, a source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from redqueen.engines.base import OnFinished, Sampling, ignore
from redqueen.environments.base import (
    Attempt,
    Draft,
    EnvironmentConfig,
    Fingerprint,
    Measure,
    TaskSource,
    Verification,
)
from redqueen.models.adapters import AdapterStack, LayerShape
from redqueen.types import Completion, Messages, Rejection, Request, Task, Verdict, user

LETTERS = "0123456789"
NOISE = 0.3
"""Standard deviation of a founder's B."""


class ToyModel:
    """Bigram logits over ten digits: base[previous] + B A[:, previous] of a slot."""

    def __init__(self, slots: int, rows: int | None = None) -> None:
        self.base = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
        layers = {"table": LayerShape(10, 10)}
        self.adapters = AdapterStack(layers, slots, rank=2, alpha=2.0, rows=rows)
        self.adapters.initialize(seed=0, init_noise=NOISE)

    def logits(self, slot: int | None, previous: int) -> torch.Tensor:
        if slot is None:
            return self.base[previous]
        (row,) = self.adapters.rows_of([slot])
        a, b = self.adapters.A["table"][row], self.adapters.B["table"][row]
        return self.base[previous] + self.adapters.scaling * b @ a[:, previous]

    def encode(self, messages: Messages) -> tuple[int, ...]:
        text = "".join(message.content for message in messages)
        return tuple(LETTERS.index(letter) for letter in text if letter in LETTERS) or (0,)

    def score(
        self,
        slots: Sequence[int | None],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
        suppressions: Any = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        heat = [temperature] * len(slots) if isinstance(temperature, float | int) else temperature
        width = max(map(len, token_ids))
        rows = []
        for slot, prompt, tokens, t in zip(slots, prompt_ids, token_ids, heat, strict=True):
            text = [*prompt, *tokens]
            row = [
                torch.log_softmax(self.logits(slot, text[i - 1]) / t, -1)[text[i]]
                for i in range(len(prompt), len(text))
            ]
            rows.append(torch.stack([*row, *[torch.zeros(())] * (width - len(row))]))
        mask = torch.tensor([[i < len(tokens) for i in range(width)] for tokens in token_ids])
        return torch.stack(rows), mask

    def base_score(
        self,
        prompt_ids: Any,
        token_ids: Any,
        *,
        temperature: float | Sequence[float] = 1.0,
        suppressions: Any = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.score([None] * len(prompt_ids), prompt_ids, token_ids, temperature=temperature)

    def map_gradients(self, function: Any, jobs: Sequence[Any]) -> list[Any]:
        return [function(self, job) for job in jobs]

    def micro_batches(
        self, slots: Any, prompt_ids: Any, token_ids: Any, parts: int = 1
    ) -> list[list[int]]:
        return [list(range(len(slots)))] if len(slots) else []


class ToyEngine:
    """Writes three digits for every request."""

    def __init__(self, model: ToyModel) -> None:
        self.model = model
        self.versions: dict[int | None, int] = {}
        self.closed = False

    @torch.no_grad()
    def _write(self, request: Request, temperature: float) -> Completion:
        rng = np.random.default_rng(request.seed)
        prompt = self.model.encode(request.messages)
        tokens, logprobs = list(prompt), []
        for _ in range(3):
            logs = torch.log_softmax(self.model.logits(request.slot, tokens[-1]) / temperature, -1)
            p = logs.double().exp().numpy()
            tokens.append(int(rng.choice(10, p=p / p.sum())))
            logprobs.append(float(logs[tokens[-1]]))
        text = "".join(LETTERS[token] for token in tokens[len(prompt) :])
        return Completion(
            request.slot, prompt, tuple(tokens[len(prompt) :]), tuple(logprobs), text, True,
            self.versions.get(request.slot, 0),
        )  # fmt: skip

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        completions = []
        for number, request in enumerate(requests):
            completions.append(self._write(request, request.temperature or sampling.temperature))
            on_finished({number: completions[-1]})
        return completions

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        self.versions |= dict.fromkeys(slots, version)

    def close(self) -> None:
        self.closed = True


class TenTasks:
    """A task source that has ten tasks in all."""

    def tasks(self, count: int, seed: int) -> list[Task]:
        order = np.random.default_rng(seed).permutation(10)[:count]
        return [Task(f"parity-{n}", "parity", "parity", {"start": int(n)}) for n in order]


class Parity(EnvironmentConfig):
    """Answers must end in a digit of the parity of the task's; no sandbox, no teachers."""

    @property
    def name(self) -> str:
        return "parity"

    @property
    def sources(self) -> dict[str, TaskSource]:
        return {"stream": TenTasks()}

    def prompt(self, task: Task) -> Messages:
        return user(str(task.payload["start"]))

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        def verdict(attempt: Attempt) -> Verdict:
            same = int(attempt.text[-1]) % 2 == attempt.task.payload["start"] % 2
            return Verdict.CORRECT if same else Verdict.WRONG

        return [Verification(verdict(attempt), attempt.text) for attempt in attempts]


class TaughtParity(Parity):
    """Teachers write the three digits that a task starts from."""

    @property
    def sources(self) -> dict[str, TaskSource]:
        return {"seed": TenTasks()}

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("parity",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (Measure("start", "First number", (250, 500, 750)),)

    def references_for(self, kind: str, count: int) -> int:
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        return user("".join(str(task.payload["start"]) for task in references) or "7")

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        return [
            Task(
                f"parity-{draft.text}", "parity", "parity", {"start": int(draft.text)},
                {"start": float(draft.text)}, draft.author, draft.step,
            )
            for draft in drafts
        ]  # fmt: skip

    def fingerprint(self, task: Task) -> Fingerprint:
        return Fingerprint(task.id, family=task.id)
