"""What every variation operator is."""

import torch

from redqueen.config.component import Component
from redqueen.evolution.factors import Child, Factors


class Operator(Component):
    """Makes a child's factors from those of its parents, the fitter first.

    The child has new tensors of the parents' shapes and types; the parents are left alone. Draws
    come from the generator, on the CPU, so that the child does not depend on the device.
    """


class Mutation(Operator):
    """Base of what a config names as a mutation: one parent, and no evaluation in between."""

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors."""
        raise NotImplementedError


class Crossover(Operator):
    """Base of what a config names as a crossover: two parents of the same shapes."""

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors.

        Raises:
            ValueError: the parents do not have the same layers with the same shapes.
        """
        raise NotImplementedError
