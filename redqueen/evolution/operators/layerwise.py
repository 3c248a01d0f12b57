"""Each layer from one parent."""

import torch

from redqueen.evolution.factors import Child, Factors, shape_groups
from redqueen.evolution.operators.base import Crossover


class Layerwise(Crossover):
    """Each adapted linear layer whole from one parent, by a fair draw (PopuLoRA)."""

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        parents = (fitter, other)
        shape_groups(parents)  # raises unless the parents fit each other
        draws = torch.randint(2, (len(fitter),), generator=generator).tolist()
        child: Child = {}
        for name, draw in zip(fitter, draws, strict=True):
            A, B = parents[draw][name]
            child[name] = (A.clone(), B.clone())
        return child
