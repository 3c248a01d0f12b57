"""Names of components and where they live: a leaf that imports none of them.

A config names a component by its short name (`"svd"`), by an entry point of another package (group
`redqueen.<kind>`), or directly as `module:Class`. Adding one to this package takes its file and one
line here.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
from functools import cache

from redqueen.errors import ConfigError

_BENCHMARKS = {
    "humaneval+": "redqueen.benchmarks.humaneval_plus:HumanEvalPlus",
    "mbpp+": "redqueen.benchmarks.mbpp_plus:MbppPlus",
    "cruxeval-i": "redqueen.benchmarks.cruxeval:CruxEvalInput",
    "cruxeval-o": "redqueen.benchmarks.cruxeval:CruxEvalOutput",
    "livecodebench": "redqueen.benchmarks.livecodebench:LiveCodeBench",
    "aime24": "redqueen.benchmarks.aime:Aime24",
    "aime25": "redqueen.benchmarks.aime:Aime25",
    "amc23": "redqueen.benchmarks.amc23:Amc23",
    "math500": "redqueen.benchmarks.math500:Math500",
    "minerva": "redqueen.benchmarks.minerva:Minerva",
    "gsm8k": "redqueen.benchmarks.gsm8k:Gsm8k",
    "olympiadbench": "redqueen.benchmarks.olympiadbench:OlympiadBench",
}

COMPONENTS: dict[str, dict[str, str]] = {
    "environment": {
        "code": "redqueen.environments.code:Code",
        "gym": "redqueen.environments.gym:Gym",
        "lean": "redqueen.environments.lean:Lean",
        "logic": "redqueen.environments.logic:Logic",
        "math": "redqueen.environments.math:Math",
        "proof": "redqueen.environments.proof:Proof",
        "verifiers": "redqueen.environments.verifiers:Verifiers",
        **_BENCHMARKS,
    },
    "benchmark": _BENCHMARKS,
    "engine": {
        "torch": "redqueen.engines.torch:Torch",
        "cpu": "redqueen.engines.cpu:Cpu",
        "auto": "redqueen.engines.auto:Auto",
        "vllm": "redqueen.engines.vllm:Vllm",
    },
    "cluster": {
        "local": "redqueen.cluster.base:Local",
        "ray": "redqueen.cluster.ray:Ray",
    },
    "sandbox": {
        "monty": "redqueen.sandbox.auto:MontyAlone",
        "cpython": "redqueen.sandbox.cpython:CPythonSandbox",
        "auto": "redqueen.sandbox.auto:AutoSandbox",
    },
    "interaction": {
        "independent": "redqueen.rollouts.interactions.independent:Independent",
        "debate": "redqueen.rollouts.interactions.debate:Debate",
        "malt": "redqueen.rollouts.interactions.malt:Malt",
        "refine": "redqueen.rollouts.interactions.refine:Refine",
        "vote": "redqueen.rollouts.interactions.vote:Vote",
        "specialists": "redqueen.rollouts.interactions.specialists:Specialists",
    },
    "matchmaker": {
        "prioritized": "redqueen.population.matchmaking:Prioritized",
        "uniform": "redqueen.population.matchmaking:Uniform",
    },
    "references": {
        "uniform": "redqueen.curriculum.samplers:UniformReferences",
        "rare": "redqueen.curriculum.samplers:RareReferences",
        "recent": "redqueen.curriculum.samplers:RecentReferences",
        "azr": "redqueen.curriculum.samplers:AzrReferences",
        "varied": "redqueen.curriculum.samplers:VariedReferences",
    },
    "teacher_reward": {
        "one_minus": "redqueen.learner.teacher_rewards:OneMinus",
        "variance": "redqueen.learner.teacher_rewards:Variance",
        "novelty": "redqueen.learner.teacher_rewards:Novelty",
        "guided": "redqueen.learner.teacher_rewards:Guided",
    },
    "advantage": {
        "grpo": "redqueen.learner.advantages.grpo:Grpo",
        "dr_grpo": "redqueen.learner.advantages.dr_grpo:DrGrpo",
        "rloo": "redqueen.learner.advantages.rloo:Rloo",
        "reinforce++": "redqueen.learner.advantages.reinforce_pp:ReinforcePlusPlus",
        "imitation": "redqueen.learner.advantages.imitation:Imitation",
        "rae": "redqueen.learner.advantages.rae:Rae",
        "shuffled": "redqueen.learner.advantages.shuffled:Shuffled",
    },
    "fitness": {
        "mean": "redqueen.evolution.fitness:Mean",
        "conservative": "redqueen.evolution.fitness:Conservative",
        "solve_rate": "redqueen.evolution.fitness:SolveRate",
        "novelty": "redqueen.evolution.fitness:Novelty",
        "dominated_novelty": "redqueen.evolution.fitness:DominatedNovelty",
        "probe": "redqueen.evolution.fitness:Probe",
    },
    "selection": {
        "truncation": "redqueen.evolution.selection:Truncation",
        "tournament": "redqueen.evolution.selection:Tournament",
    },
    "replacement": {
        "worst": "redqueen.evolution.replacement:Worst",
        "tournament": "redqueen.evolution.replacement:TournamentReplacement",
        "oldest": "redqueen.evolution.replacement:Oldest",
    },
    "mutation": {
        "svd": "redqueen.evolution.operators.svd:Svd",
        "layer_gaussian": "redqueen.evolution.operators.layer_gaussian:LayerGaussian",
        "component_mask": "redqueen.evolution.operators.component_mask:ComponentMask",
        "gaussian": "redqueen.evolution.operators.gaussian:Gaussian",
        "neftune": "redqueen.evolution.operators.neftune:Neftune",
    },
    "crossover": {
        "average": "redqueen.evolution.operators.average:Average",
        "layerwise": "redqueen.evolution.operators.layerwise:Layerwise",
        "dare": "redqueen.evolution.operators.dare:Dare",
        "svd_subspace": "redqueen.evolution.operators.svd_subspace:SvdSubspace",
        "extrapolation": "redqueen.evolution.operators.extrapolation:Extrapolation",
    },
    "transport": {
        "directory": "redqueen.swarm.transport.directory:Directory",
        "zenoh": "redqueen.swarm.transport.zenoh:Zenoh",
    },
    "screen": {
        "programs": "redqueen.screens.programs:Programs",
        "words": "redqueen.screens.words:Words",
        "gibberish": "redqueen.screens.gibberish:Gibberish",
    },
    "callback": {
        "console": "redqueen.callbacks.console:Console",
        "now": "redqueen.callbacks.now:NowFile",
        "alarms": "redqueen.callbacks.alarms:AlarmLog",
    },
    "tracker": {
        "tensorboard": "redqueen.callbacks.trackers.tensorboard:TensorBoard",
        "wandb": "redqueen.callbacks.trackers.wandb:WeightsAndBiases",
        "trackio": "redqueen.callbacks.trackers.trackio:Trackio",
    },
}
"""Kind of component -> short name -> import string."""

EXTRAS: dict[str, str] = {
    "numba": "cpu",
    "llvmlite": "cpu",
    "threadpoolctl": "cpu",
    "vllm": "vllm",
    "ray": "ray",
    "zenoh": "swarm",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "z3": "logic",
    "reasoning_gym": "gym",
    "verifiers": "verifiers",
}
"""Third-party module -> the extra of this package that installs it."""


@cache
def _entry_points(kind: str) -> dict[str, str]:
    """Return what installed packages offer in the group `redqueen.<kind>`."""
    points = importlib.metadata.entry_points(group=f"redqueen.{kind}")
    return {point.name: point.value for point in points}


def forget_entry_points() -> None:
    """Look at the installed packages again, at the next question."""
    _entry_points.cache_clear()


def names(kind: str) -> tuple[str, ...]:
    """Return all short names of a kind: this package's, then those of installed packages.

    Raises:
        KeyError: there is no such kind of component.
    """
    return tuple(dict.fromkeys([*COMPONENTS[kind], *_entry_points(kind)]))


def import_string(kind: str, name: str) -> str:
    """Return the import string that `name` stands for; imports nothing.

    Raises:
        ConfigError: the name is unknown. The message has the nearest names, and how a package
            registers its own.
    """
    if ":" in name:
        return name
    target = COMPONENTS[kind].get(name) or _entry_points(kind).get(name)
    if target is not None:
        return target
    registered = names(kind)
    near = difflib.get_close_matches(name, registered, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"known: {', '.join(registered)}"
    )
    raise ConfigError(
        f"unknown {kind.replace('_', ' ')} {name!r}; {hint} (another package registers its own by "
        f"an entry point in the group redqueen.{kind}, or is named as module:Class)"
    )


def name_of(kind: str, target: str) -> str:
    """Return the shortest name for an import string: a registered one, else itself."""
    for name in names(kind):
        if import_string(kind, name) == target:
            return name
    return target


def require(module: str, purpose: str) -> None:
    """Check that a module of one of the `EXTRAS` is installed; imports nothing.

    Raises:
        ConfigError: it is not; the message names the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigError(f"{purpose} needs {module}: pip install 'redqueen[{EXTRAS[module]}]'")


def load(kind: str, name: str) -> type:
    """Import and return the class that `name` stands for.

    Raises:
        ConfigError: the name is unknown, its module or something that this needs cannot be
            imported (the message names the extra to install), or it is not a class.
    """
    target = import_string(kind, name)
    module, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(
            f"{kind} {name!r}: {module!r} is no module's name; write package.module:Class, of a "
            "package that can be imported"
        )
    try:
        loaded = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        remedy = (
            f"; install it with: pip install 'redqueen[{EXTRAS[missing]}]'"
            if missing in EXTRAS
            else ""
        )
        raise ConfigError(f"{kind} {name!r} cannot be imported: {error}{remedy}") from error
    except AttributeError:
        raise ConfigError(f"{kind} {name!r}: the module {module} has no {attribute!r}") from None
    if not isinstance(loaded, type):
        raise ConfigError(f"{kind} {name!r}: {target} is not a class")
    return loaded
