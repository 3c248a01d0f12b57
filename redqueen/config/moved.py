"""Where the keys of version 0.1 went. Old files are refused with these names, not translated."""

from collections.abc import Mapping
from typing import Any

MOVED: dict[str, str] = {
    "policy.generation_rows": "engine.rows",
    "policy.workers": "engine.workers",
    "rollout.stream_bands": "environments.code.stream_bands",
    "domain.name": "environments.<name>.type",
    "domain.style": "environments.code.style",
    "domain.kinds": "environments.code.kinds",
    "domain.code_f_inputs": "environments.code.code_f_inputs",
    "domain.code_f_partial_credit": "environments.code.code_f_partial_credit",
    "domain.max_program_chars": "environments.code.max_program_chars",
    "domain.max_value_chars": "environments.code.max_value_chars",
    "domain.guards": "environments.code.guards",
    "domain.max_constant": "environments.code.max_constant",
    "domain.max_constant_chars": "environments.code.max_constant_chars",
    "domain.leak_chars": "environments.code.leak_chars",
    "domain.near_copy_constants": "environments.code.near_copy_constants",
    "domain.seed_tasks": "curriculum.seed_tasks",
    "domain.archive_size": "curriculum.archive_size",
    "domain.program_repeats": "curriculum.family_repeats",
    "domain.references": "curriculum.references",
    "learner.advantage": "learner.student.advantage and learner.teacher.advantage",
    "learner.student_wrong_reward": "learner.student.wrong_reward",
    "learner.invalid_reward": "learner.teacher.invalid_reward",
    "learner.teacher_reward": "learner.teacher.reward",
    "learner.max_logprob_gap": "learner.max_logprob_mismatch",
    "evolution.sharing": "evolution.sharing.by",
    "evolution.sharing_radius": "evolution.sharing.radius",
    "evolution.sharing_exponent": "evolution.sharing.exponent",
    "evolution.hyperparameters": "evolution.hyperparameters.vary",
    "evolution.perturbations": "evolution.hyperparameters.perturbations",
    "evolution.resample_probability": "evolution.hyperparameters.resample_probability",
    "evolution.learning_rate_bounds": "evolution.hyperparameters.learning_rate_bounds",
    "evolution.temperature_bounds": "evolution.hyperparameters.temperature_bounds",
    "evolution.novelty_weight": 'evolution.fitness = {type = "novelty", weight = …}',
    "evolution.novelty_neighbours": 'evolution.fitness = {type = "novelty", neighbours = …}',
    "evolution.tournament_size": 'evolution.selection = {type = "tournament", size = …}',
    "evolution.svd_scale": 'evolution.mutations = [{type = "svd", scale = …}]',
    "evolution.svd_rotation": 'evolution.mutations = [{type = "svd", rotation = …}]',
    "evolution.gaussian_scale": 'evolution.mutations = [{type = "gaussian", scale = …}]',
    "evolution.layer_fraction": 'evolution.mutations = [{type = "layer_gaussian", fraction = …}]',
    "evolution.mask_drop": 'evolution.mutations = [{type = "component_mask", drop = …}]',
    "evolution.neftune_alpha": 'evolution.mutations = [{type = "neftune", alpha = …}]',
    "evolution.dare_drop": 'evolution.crossovers = [{type = "dare", drop = …}]',
    "evolution.subspace_share": 'evolution.crossovers = [{type = "svd_subspace", share = …}]',
    "evolution.extrapolation": 'evolution.crossovers = [{type = "extrapolation", reach = …}]',
}
"""Old dotted key -> new one."""


def new_name(key: str, value: Any) -> str:
    """Return what replaces an old key, or the keys of an old section; empty if it is not old."""
    if key in MOVED:
        return f"it is {MOVED[key]}"
    if isinstance(value, Mapping):
        inside = [f"{key}.{name} is {MOVED[f'{key}.{name}']}" for name in value
                  if f"{key}.{name}" in MOVED]  # fmt: skip
        return "; ".join(inside)
    return ""
