"""Every generator of the installed reasoning-gym: does its reference answer verify?

    python -m bench.gym [--seeds 3]

Each makes `--seeds` tasks with its default parameters, twice, in two processes; both must be the
same, and its scorer must accept its answer and refuse another one. Generators that the environment
leaves out are listed too, with the reason.
"""

import argparse
from collections.abc import Iterator, Sequence

from redqueen.config import SandboxConfig
from redqueen.environments.gym.environment import LEFT_OUT
from redqueen.environments.gym.package import GymPackage, Made, Recipe

OTHER = "no such answer 7f3a"


def findings(package: GymPackage, again: GymPackage, seeds: int) -> Iterator[tuple[str, str]]:
    """Yield each generator with `verifies`, or what is wrong with it."""
    for name in package.generators():
        recipes = [Recipe(name, {}, seed) for seed in range(seeds)]
        made, repeated = package.make(recipes), again.make(recipes)
        wrong = package.score([(recipe, OTHER) for recipe in recipes])
        if not all(isinstance(item, Made) for item in made):
            yield name, f"fails: {next(item for item in made if not isinstance(item, Made))}"
        elif made != repeated:
            yield name, "makes another task in another process"
        elif not all(isinstance(item, Made) and item.verifies for item in made):
            none = all(isinstance(item, Made) and item.answer == "None" for item in made)
            yield name, "gives no reference answer" if none else "its answer does not verify"
        elif any(score == 1.0 for score in wrong):
            yield name, "accepts any answer"
        else:
            yield name, "verifies"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args(argv)
    config = SandboxConfig(workers=1)
    with GymPackage(config, seconds=120.0) as package, GymPackage(config, seconds=120.0) as again:
        said = dict(findings(package, again, args.seeds))
    for name, text in said.items():
        if text != "verifies":
            print(f"{name}: {text}" + (" (left out)" if name in LEFT_OUT else ""))
    good = sum(text == "verifies" for text in said.values())
    print(f"{good} of {len(said)} generators verify; {len(LEFT_OUT)} are left out")
    bad = {name: text for name, text in said.items() if text != "verifies"}
    return 0 if bad == LEFT_OUT else 1


if __name__ == "__main__":
    raise SystemExit(main())
