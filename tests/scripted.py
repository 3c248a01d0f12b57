"""An engine that writes what a script says, with the log-probabilities of the real model."""

from collections.abc import Callable, Sequence
from random import Random

import torch

from redqueen.engines.base import EngineConfig, OnFinished, Sampling, ignore
from redqueen.models.adapters import AdapterStack
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request


def sums(request: Request, rng: Random) -> str:
    """Proposals and answers for the arithmetic environment; some of both are bad."""
    prompt = request.messages[0].content
    if prompt.startswith("Write one"):
        sign = "+" if "sum" in prompt else "*"
        return f"{rng.randint(1, 120)} {sign} {rng.randint(1, 99)}"
    first, sign, second = prompt.split(" = ?")[0].split()[:3]
    value = int(first) + int(second) if sign == "+" else int(first) * int(second)
    return rng.choice([str(value), str(value + 1), "no idea"])


PROOFS = {
    "propositional": {
        "( ( p -> p ) -> ( p -> p ) )": "ax1 ax1 ax2 mp mp",
        "( p -> ( p -> ( q -> p ) ) )": "ax1 ax1 mp",
        "( p -> p )": "ax1 ax1 ax2 mp mp",
    },
    "peano": {"S S ( a + 0 ) = S S a": "pa3 eqs mp eqs mp", "A. x x = x": "refl gen"},
}


def proofs(request: Request, rng: Random) -> str:
    """Theorems and proofs for the environment `proof`; some of both are bad."""
    prompt = request.messages[0].content
    known = PROOFS["peano" if "A. x" in prompt else "propositional"]
    statement = prompt.rpartition("$p |- ")[2].partition(" $=")[0]
    if "Write one new theorem" in prompt:
        statement = rng.choice([*known])
        return rng.choice([f"$p |- {statement} $= {known[statement]} $.", "$p |- p $= mp $."])
    return rng.choice([f"{known.get(statement, 'mp')} $.", "mp $.", "no idea"])


class ScriptedEngine:
    """Writes the script's text for each request."""

    def __init__(self, model: PopulationModel, script: Callable[[Request, Random], str]) -> None:
        self.model, self.script = model, script
        self.version = 0

    @torch.no_grad()
    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        completions = []
        for number, request in enumerate(requests):
            text = self.script(request, Random(request.seed))
            prompt = self.model.encode(request.messages)
            tokens = tuple(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])
            heat = request.temperature or sampling.temperature or 1.0
            scores = self.model.score([request.slot], [prompt], [tokens], temperature=heat)
            logprobs = tuple(scores.logprobs_BT[0].tolist())
            version = 0 if request.slot is None else self.version
            completions.append(
                Completion(request.slot, prompt, tokens, logprobs, text, True, version)
            )
            on_finished({number: completions[-1]})
        return completions

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        self.version = version

    def close(self) -> None: ...


class Proof(EngineConfig):
    """The scripted engine for the environment `proof`."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, proofs)


def judged_sums(request: Request, rng: Random) -> str:
    """As `sums`; the base, asked to judge a task, is not always understood."""
    if "Relevance:" not in request.messages[0].content:
        return sums(request, rng)
    relevance, complexity = rng.randint(0, 5), rng.randint(0, 4)
    scores = f"Relevance: {relevance}\nRedundancy: 0\nComplexity: {complexity}"
    return rng.choice([scores, "It is fine."])


class JudgedSums(EngineConfig):
    """The scripted engine for the arithmetic environment, with a judge."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, judged_sums)


class Sums(EngineConfig):
    """The scripted engine for the arithmetic environment."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, sums)
