"""How the population evolves. An operator has its keys in the file of its class."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from redqueen.config.component import Of
from redqueen.config.section import Section

PositiveFloat = Annotated[float, Field(gt=0)]


class SharingConfig(Section):
    """Fitness sharing: members that are near each other share their fitness."""

    by: Literal["off", "behaviour", "weights"] = "off"
    """Near in what they do, or in their updates of the weights."""
    radius: float = Field(0.5, gt=0)
    """Distance at which members stop sharing (1: nothing in common)."""
    exponent: float = Field(1.0, gt=0)
    """How sharing falls with distance; 1 is a line."""


class HyperparametersConfig(Section):
    """What children inherit with changes, as in population-based training."""

    vary: tuple[Literal["learning_rate", "temperature"], ...] = ()
    """A factor on the learning rate, the sampling temperature; empty: neither changes."""
    perturbations: tuple[PositiveFloat, ...] = Field((0.8, 1.2), min_length=1)
    """Factors to draw from when a hyperparameter is perturbed."""
    resample_probability: float = Field(0.25, ge=0, le=1)
    """Chance that a hyperparameter is drawn anew within its bounds instead of perturbed."""
    learning_rate_bounds: tuple[PositiveFloat, PositiveFloat] = (0.25, 4.0)
    """Least and greatest factor on the learning rate."""
    temperature_bounds: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.3)
    """Least and greatest sampling temperature of a member."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "HyperparametersConfig":
        for name in ("learning_rate_bounds", "temperature_bounds"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} is above {high:g}; give the least first")
        return self


class EvolutionConfig(Section):
    """Who is replaced, and how children are made."""

    enabled: bool = True
    """Whether the weakest are replaced at all."""
    interval: int = Field(15, ge=1)
    """Steps between generations."""
    cull: float = Field(0.25, ge=0, lt=1)
    """Share of each role that is replaced (rounded down, at least one if there are two)."""
    elites: int = Field(1, ge=0)
    """The fittest of each role that are never replaced."""
    fitness: Annotated[Any, Of("fitness")] = Field("mean")
    """What selection acts on: `mean` or `conservative` rating, `solve_rate`, `novelty`,
    `dominated_novelty`, or `probe`, common tasks for all at the end of each generation."""
    sharing: SharingConfig = Field(default_factory=SharingConfig)
    """A table, or its `by` alone."""
    selection: Annotated[Any, Of("selection")] = Field("truncation")
    """Who of the survivors has children: `truncation` or `tournament`."""
    replacement: Annotated[Any, Of("replacement")] = Field("worst")
    """Who goes: `worst`, `tournament` or `oldest`."""
    child_rating: Literal["new", "parents"] = "new"
    """A child is rated as a newcomer, or starts from the mean of its parents' ratings."""
    child_sigma: float = Field(0.5, ge=0, le=1)
    """`parents`: least sigma of a child, as a share of a newcomer's."""
    child_optimizer: Literal["zero", "parent"] = "zero"
    """A child's optimizer state: empty, or a copy of its first parent's."""
    hyperparameters: HyperparametersConfig = Field(default_factory=HyperparametersConfig)
    """A table, or its `vary` alone."""
    diversity_window: int = Field(10, ge=1)
    """Steps over which members' behaviour is compared."""
    compared: int = Field(32, ge=2)
    """Members of a role whose weights and behaviour are compared after each step. Where there are
    more, it is those that played, up to this many; all of them where fitness needs it."""
    crossover_probability: float = Field(0.5, ge=0, le=1)
    """Chance that a child comes of a crossover; otherwise of a mutation."""
    mutations: tuple[Annotated[Any, Of("mutation")], ...] = ("svd", "layer_gaussian")
    """Mutations to draw from: `svd`, `layer_gaussian`, `component_mask`, `gaussian`, `neftune`."""
    crossovers: tuple[Annotated[Any, Of("crossover")], ...] = ("average", "layerwise")
    """Crossovers to draw from: `average`, `layerwise`, `dare`, `svd_subspace`, `extrapolation`."""

    @property
    def compares(self) -> bool:
        """Whether fitness needs the distances between all members."""
        return self.enabled and (self.sharing.by != "off" or self.fitness.compares)

    @field_validator("sharing", mode="before")
    @classmethod
    def _name_is_by(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _names_are_vary(cls, value: Any) -> Any:
        return {"vary": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _operators_suffice(self) -> "EvolutionConfig":
        if self.enabled and not self.mutations:
            raise ValueError(
                "mutations must name at least one operator: it makes the child when there are not "
                "two survivors to cross"
            )
        if self.enabled and self.crossover_probability > 0 and not self.crossovers:
            raise ValueError(
                "crossovers is empty; name an operator or set crossover_probability to 0"
            )
        return self
