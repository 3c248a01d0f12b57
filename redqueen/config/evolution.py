"""How the population evolves, and when it has collapsed."""

from typing import Literal

from pydantic import Field, model_validator

from redqueen.config.sections import PositiveFloat, Section


class EvolutionConfig(Section):
    """Who is replaced, and how children are made."""

    enabled: bool = True
    """Whether the weakest are replaced at all."""
    interval: int = Field(15, ge=1)
    """Steps between generations."""
    cull: float = Field(0.25, ge=0, lt=1)
    """Share of each role that is replaced (rounded down, at least one if there are two)."""
    fitness: Literal["conservative", "mean", "solve_rate", "novelty"] = "mean"
    """`conservative` is mu - 3 sigma of the rating, `mean` is mu alone (kinder to newborns,
    whose sigma is still wide). `solve_rate` is what the member earned since the last generation:
    students' share of solved attempts, teachers' mean reward. `novelty` adds to mu what makes a
    member's behaviour unlike its nearest neighbours'."""
    novelty_weight: float = Field(1.0, ge=0)
    """`novelty`: what the greatest possible novelty is worth, in newcomers' sigmas."""
    novelty_neighbours: int = Field(3, ge=1)
    """`novelty`: nearest neighbours that a member is compared with."""
    sharing: Literal["off", "behaviour", "weights"] = "off"
    """Fitness sharing: members that are near each other share their fitness. Near in what they do,
    or in their updates of the weights."""
    sharing_radius: float = Field(0.5, gt=0)
    """Distance at which members stop sharing (1: nothing in common)."""
    sharing_exponent: float = Field(1.0, gt=0)
    """How sharing falls with distance; 1 is a line."""
    selection: Literal["truncation", "tournament"] = "truncation"
    """Who of the survivors has children: `truncation` makes each as likely as the next,
    `tournament` takes the fittest of a few drawn ones."""
    replacement: Literal["worst", "tournament", "oldest"] = "worst"
    """Who goes: the least fit, the least fit of a few drawn ones, or the first born."""
    tournament_size: int = Field(3, ge=1)
    """Members drawn for one tournament; more is stricter, 1 is chance."""
    elites: int = Field(1, ge=0)
    """The fittest of each role that are never replaced."""
    child_rating: Literal["new", "parents"] = "new"
    """A child is rated as a newcomer, or starts from the mean of its parents' ratings."""
    child_sigma: float = Field(0.5, ge=0, le=1)
    """`parents`: least sigma of a child, as a share of a newcomer's."""
    child_optimizer: Literal["zero", "parent"] = "zero"
    """A child's optimizer state: empty, or a copy of its first parent's."""
    hyperparameters: tuple[Literal["learning_rate", "temperature"], ...] = ()
    """What children inherit with changes, as in population-based training: a factor on the
    learning rate, the sampling temperature."""
    perturbations: tuple[PositiveFloat, ...] = Field((0.8, 1.2), min_length=1)
    """Factors to draw from when a child's hyperparameter is perturbed."""
    resample_probability: float = Field(0.25, ge=0, le=1)
    """Chance that a hyperparameter is drawn anew within its bounds instead of perturbed."""
    learning_rate_bounds: tuple[PositiveFloat, PositiveFloat] = (0.25, 4.0)
    """Least and greatest factor on the learning rate."""
    temperature_bounds: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.3)
    """Least and greatest sampling temperature of a member."""
    diversity_window: int = Field(10, ge=1)
    """Steps over which members' behaviour is compared."""
    crossover_probability: float = Field(0.5, ge=0, le=1)
    """Chance that a child comes of a crossover; otherwise of a mutation."""
    mutations: tuple[str, ...] = ("svd", "layer_gaussian")
    """Mutations to draw from."""
    crossovers: tuple[str, ...] = ("average", "layerwise")
    """Crossovers to draw from."""
    svd_scale: float = Field(0.1, ge=0)
    """Standard deviation of the log singular values' noise (SVD-structured mutation)."""
    svd_rotation: float = Field(0.05, ge=0)
    """Size of the random rotation of both singular bases."""
    gaussian_scale: float = Field(0.1, ge=0)
    """Noise relative to the root mean square of the factor it is added to."""
    layer_fraction: float = Field(1.0 / 3.0, gt=0, le=1)
    """Share of layers that the layer-selective mutation touches."""
    mask_drop: float = Field(0.3, ge=0, lt=1)
    """Chance of each singular component to be dropped (component masking)."""
    neftune_alpha: float = Field(1.0, ge=0)
    """NEFTune-style noise on A: uniform within this over the root of A's number of entries."""
    dare_drop: float = Field(0.5, ge=0, lt=1)
    """DARE: chance of each parent's singular components to be dropped; the others are scaled up."""
    subspace_share: float = Field(0.5, ge=0, le=1)
    """Share of the rank that the fitter parent leads with (SVD-subspace crossover)."""
    extrapolation: float = Field(1.5, ge=1)
    """Furthest step from the worse parent through the better one; 1 ends at the better one."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "EvolutionConfig":
        for name in ("learning_rate_bounds", "temperature_bounds"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} is above {high:g}; give the least first")
        return self


class AlarmConfig(Section):
    """When the run says that its population has collapsed, and why. An alarm stops nothing."""

    patience: int = Field(5, ge=1)
    """Steps in a row that begin an alarm, and that end it."""
    clones: float = Field(0.05, ge=0)
    """`clones`: mean distance between one role's updates of the weights, at most (1: unrelated)."""
    one_teacher_style: float = Field(0.02, ge=0)
    """`one_teacher_style`: how much a task tells about which teacher wrote it, at most (0: no
    more than chance, 1: all)."""
    no_valid_tasks: float = Field(0.02, ge=0, le=1)
    """`no_valid_tasks`: share of valid proposals, at most."""
    too_easy: float = Field(0.98, ge=0, le=1)
    """`too_easy`: solve rate, at least."""
    too_hard: float = Field(0.02, ge=0, le=1)
    """`too_hard`: solve rate, at most."""
    no_learning_signal: float = Field(0.98, ge=0, le=1)
    """`no_learning_signal`: share of sequences without an advantage, at least."""
