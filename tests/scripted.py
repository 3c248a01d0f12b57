"""An engine that writes what a script says, with the log-probabilities of the real model."""

import json
import math
import re
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


def theorems(request: Request, rng: Random) -> str:
    """Theorems and proofs for the environment `lean`; some of both are bad."""
    prompt = request.messages[0].content
    proof = rng.choice(["by omega", "wrong", "by sorry"])
    if "Write one new theorem" in prompt:
        numbers = rng.randint(0, 99), rng.randint(0, 99)
        statement = "theorem mine (x : Nat) : x + {} ≤ x + {}".format(*sorted(numbers))
        return f"```lean\n{statement} := {proof}\n```"
    return rng.choice([f"```lean\n{proof}\n```", "no idea"])


PUZZLES = {
    "Dice.": ({"a": [1, 6], "b": [1, 6]}, [["=", ["+", "a", "b"], 11], ["<", "a", "b"]]),
    "Hats.": ({"a": ["red", "blue"], "b": "bool"}, ["b", ["=>", "b", ["=", "a", "red"]]]),
    "None.": ({"a": [1, 2]}, [["=", "a", 3]]),
}
SOLVED = {"Dice.": 'So {"a": 5, "b": 6}', "Hats.": 'So {"a": "red", "b": true}'}


def puzzles(request: Request, rng: Random) -> str:
    """Puzzles and answers for the environment `logic`; some of both are bad."""
    prompt = request.messages[0].content
    if "Write one new puzzle" in prompt:
        text = rng.choice([*PUZZLES])
        variables, constraints = PUZZLES[text]
        return json.dumps({"text": text, "variables": variables, "constraints": constraints})
    right = SOLVED.get(prompt.partition("\n")[0], "None.")  # suppressed openings come in no text
    return rng.choice([right, 'So {"a": 1, "b": 2}', "no idea"])


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


DISPUTED = "Of 90 seats 36 are free. How many are taken?"
WORDS = {
    "Eva buys 7 boxes of 12 eggs. How many eggs?": ("7 * 12", "84"),
    DISPUTED: ("90 + 36", "54"),
    "Of 90 seats 30 are free. How many are taken?": ("90 - 36", "60"),
}


def word_problems(request: Request, rng: Random) -> str:
    """Problems and answers for the environment `math`; some of both are bad."""
    prompt = request.messages[0].content
    if "Write one new problem" in prompt:
        problem = rng.choice([*WORDS])
        program = f"def answer():\n    return {WORDS[problem][0]}"
        return f"<problem>{problem}</problem>\n<program>\n{program}\n</program>"
    if prompt.startswith(DISPUTED):
        return "They are \\boxed{54}."  # whatever its program says
    right = WORDS.get(prompt.partition("\n")[0], ("", "5"))[1]
    return rng.choice([f"It is \\boxed{{{right}}}.", "So \\boxed{7}.", "no idea"])


def choices(request: Request, rng: Random) -> str:
    """Choices of generators and answers for the environment `gym`; some of both are bad."""
    prompt = request.messages[0].content
    if "Choose one of these generators" in prompt:
        most = rng.choice([20, 30, -1])
        return json.dumps({"generator": "gcd", "parameters": {"max_value": most}})
    numbers = [int(part) for part in re.findall(r"\d+", prompt.partition("Think")[0])]
    right = f"So <answer>{math.gcd(*numbers)}</answer>"
    return rng.choice([right, "So <answer>0</answer>", "no idea"])


def numbers(request: Request, rng: Random) -> str:
    """Answers to sums of any environment; some are bad, and those to 0 + b and 2 + b are none."""
    first, second = map(int, re.findall(r"\d+", request.messages[-1].content))
    if first in (0, 2):
        return "no idea"
    return rng.choice([f"It is {first + second}", f"It is {first + second + 1}"])


def anything(request: Request, rng: Random) -> str:
    """Proposals and answers for `math` and `arithmetic`, whichever the prompt is of."""
    prompt = request.messages[0].content
    words = "Write one new problem" in prompt or "\\boxed" in prompt
    return (word_problems if words else sums)(request, rng)


class Anything(EngineConfig):
    """The scripted engine for two environments."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, anything)


class Numbers(EngineConfig):
    """The scripted engine for sums as others pose them."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, numbers)


class Gym(EngineConfig):
    """The scripted engine for the environment `gym`."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, choices)


class Math(EngineConfig):
    """The scripted engine for the environment `math`."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, word_problems)


class Lean(EngineConfig):
    """The scripted engine for the environment `lean`."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, theorems)


class Logic(EngineConfig):
    """The scripted engine for the environment `logic`."""

    def build(self, model: PopulationModel) -> ScriptedEngine:
        return ScriptedEngine(model, puzzles)


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
