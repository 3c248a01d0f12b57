"""`verify`: is what the database says true?"""

import argparse
from dataclasses import asdict

from redqueen.commands.output import print_json
from redqueen.terminal import Terminal, counting


def verify_rows(args: argparse.Namespace) -> int:
    """Check a run's rows; status 1 if one differs."""
    from redqueen import build
    from redqueen.evaluation import named_benchmarks
    from redqueen.open_run import open_run
    from redqueen.store import RunStore
    from redqueen.verify import print_verification, verify_run

    console = Terminal(stderr=args.json)
    run = open_run(args.run, args.base)
    benchmarks = build.benchmarks_of(run.config)
    if args.files is not None:
        with RunStore.open(args.run, read_only=True) as store:
            benchmarks |= named_benchmarks(store.benchmarks(), args.files)
    with (
        build.open_environments(run.config, benchmarks) as environments,
        counting(console, "rows") as counter,
    ):
        report = verify_run(run, environments, None if args.all else args.rows, counter)
    if args.json:
        print_json({"agrees": report.agrees, **asdict(report)})
    else:
        print_verification(report, console)
    return 0 if report.agrees else 1
