"""`export`: adapters and merged models."""

import argparse
from pathlib import Path
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


def _check_place(place: Path, base: str, merge: bool) -> None:
    """Refuse a directory whose files would change what ours mean, or the other way round.

    Raises:
        ConfigError: it is the base or a run, or a model and an adapter would lie side by side,
            which libraries then read as one.
    """
    from redqueen.models.sources import directory_of

    if place.resolve() == directory_of(base).resolve():
        text = "is the base of the run, which the files would spoil"
    elif (place / "run.db").exists():
        text = "is the directory of a run, among whose files they would be lost"
    elif merge and (place / "adapter_config.json").exists():
        text = "holds an adapter, which libraries would add to the merged model"
    elif not merge and (place / "config.json").exists():
        text = "holds a model, to which libraries would add the adapter"
    else:
        return
    raise ConfigError(f"{place} {text}; choose another place with --out")


def export_adapters(args: argparse.Namespace) -> int:
    """Write adapters, or merged models."""
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
        _check_place(out, run.config.policy.base, args.merge)
        write = run.model.export_merged if args.merge else run.model.export_factors
        write(factors, alpha, out)
        print(out)
    return 0
