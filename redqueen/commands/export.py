"""`export`: adapters and merged models."""

import argparse
from typing import TYPE_CHECKING

from redqueen.errors import ConfigError

if TYPE_CHECKING:
    from redqueen.open_run import OpenRun


def _best_student(run: "OpenRun") -> int:
    """Return the id of the student that did best on the held-out suite, else of the best rated."""
    from redqueen.report import main_suite, summarize
    from redqueen.store import RunStore
    from redqueen.types import Role

    with RunStore.open(run.directory, read_only=True) as store:
        suite = main_suite(store.suites())
        result = summarize(store, suite) if suite else None
    best = (result.standing("best student") or result.headline) if result else None
    if best is not None and best.member is not None:
        return best.member
    students = run.population.by_role(Role.STUDENT)
    return max(students, key=lambda member: member.conservative_rating).id


def export_adapters(args: argparse.Namespace) -> int:
    """Write adapters, or merged models."""
    from redqueen.models.sources import directory_of
    from redqueen.open_run import open_run

    run = open_run(args.run, args.base)
    living = {str(member.id): member for member in run.population.members}
    names = [str(_best_student(run)) if args.member == "best" else args.member]
    if args.member == "all":
        names = list(living)
    kind = "models" if args.merge else "adapters"
    for name in names:
        if name == "average":
            factors, alpha = run.average(exact=args.rank == "sum")
        elif name in living:
            factors, alpha = run.model.adapters.get(living[name].slot), run.model.adapters.alpha
        else:
            known = ", ".join((*living, "best", "all", "average"))
            raise ConfigError(f"no living member {name!r} in {args.run}; there are: {known}")
        place = name if name == "average" else f"member-{name}"
        out = args.out or args.run / kind / place
        if args.out and len(names) > 1:
            out = args.out / place
        if out.resolve() == directory_of(run.config.policy.base).resolve():
            raise ConfigError(
                f"{out} is the base of the run, which the files would spoil; choose another place "
                "with --out"
            )
        write = run.model.export_merged if args.merge else run.model.export_factors
        write(factors, alpha, out)
        print(out)
    return 0
