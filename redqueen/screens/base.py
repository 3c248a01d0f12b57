"""A screen says why a text must not be used; the first that objects holds it back."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from redqueen.config.component import Component
from redqueen.types import Rejection

UNSAFE = "unsafe"
"""Reason of a rejection by a screen."""
Result = TypeVar("Result")


class Screen(Component):
    """Base of what a config names in `safety.screens`."""

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        """Return for each text what is wrong with it, in a few words; None: nothing.

        The same text has the same answer at any time, or `redqueen verify` reports a difference.
        """
        raise NotImplementedError


def is_unsafe(outcome: object) -> bool:
    """Return whether a screen held a proposal back."""
    return isinstance(outcome, Rejection) and outcome.reason == UNSAFE


def hold_back(
    screens: Sequence[Screen], texts: Sequence[str], use: Callable[[list[int]], Sequence[Result]]
) -> list[Result | Rejection]:
    """Return `unsafe` for each text that a screen objects to; what `use` returns for the others.

    `use` gets the places of those that passed all screens. A screen that fails lets nothing pass:
    its texts are lost to an infrastructure error.
    """
    held: dict[int, Rejection] = {}
    for screen in screens:
        places = [place for place in range(len(texts)) if place not in held]
        name = type(screen).__name__.lower()
        try:
            said = list(screen.objections([texts[place] for place in places]))
            objections = dict(zip(places, said, strict=True))
        except Exception as error:  # anybody's classifier
            detail = f"the screen {name} failed: {error!r}"[:300]
            held |= {p: Rejection("infra_error", False, infra=True, detail=detail) for p in places}
            break
        for place, objection in objections.items():
            if objection is not None:
                held[place] = Rejection(
                    UNSAFE, malformed=False, detail=f"{name}: {objection}"[:300]
                )
    passed = [place for place in range(len(texts)) if place not in held]
    results = dict(zip(passed, use(passed) if passed else (), strict=True))
    return [held[place] if place in held else results[place] for place in range(len(texts))]
