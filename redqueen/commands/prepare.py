"""`init`, `plan`, `doctor` and `completion`: before there is a run."""

import argparse
import shlex
from pathlib import Path

from redqueen.terminal import Terminal


def write_config(args: argparse.Namespace) -> int:
    """Write a config for a base and this machine."""
    from redqueen.init import plan_start, write_start
    from redqueen.plan import GIB

    name = Path(args.base).stem or "run"
    out = args.out or Path(f"{name}.toml")
    start = plan_start(args.base, out.stem)
    write_start(start, out)
    peak, free = start.budget.peak / GIB, start.free / GIB
    print(out)
    if start.fits:
        print(f"It takes about {peak:.1f} GiB; {free:.1f} GiB are free here.")
    else:
        print(f"It takes about {peak:.1f} GiB, but {free:.1f} GiB are free here: take a smaller "
              "base, or a machine with more memory.")  # fmt: skip
    shown = shlex.quote(str(out))
    print(f"See what it takes with `redqueen plan {shown}`, start it with `redqueen train {shown}`")
    return 0


def plan_run(args: argparse.Namespace) -> int:
    """Say what a run would take."""
    from redqueen.config import load_config
    from redqueen.plan import print_plan

    print_plan(load_config(args.config, args.overrides), Terminal())
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Check this machine."""
    from redqueen.doctor import run_checks

    return run_checks()


def print_completion(args: argparse.Namespace) -> int:
    """Print a shell's completion script."""
    import shtab

    print(shtab.complete(args.parser, args.shell))
    return 0
