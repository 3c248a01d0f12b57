"""Work on items of several environments, each done by its own."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def dispatch(
    names: Sequence[str],
    items: Sequence[Item],
    call: Callable[[str, list[Item]], Iterable[Result]],
) -> list[Result]:
    """Return the results of `call(name, the items of this name)`, in the order of the items."""
    results: dict[int, Result] = {}
    for name in dict.fromkeys(names):
        places = [place for place, other in enumerate(names) if other == name]
        results.update(zip(places, call(name, [items[i] for i in places]), strict=True))
    return [results[place] for place in range(len(items))]
