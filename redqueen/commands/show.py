"""`report`, `watch`, `status`, `review` and `metrics`: what a run has come to."""

import argparse

from redqueen.commands.output import print_json
from redqueen.errors import ConfigError
from redqueen.terminal import Terminal


def write_page(args: argparse.Namespace) -> int:
    """Write report.html."""
    from redqueen.report import write_report

    print(write_report(args.run))
    return 0


def watch(args: argparse.Namespace) -> int:
    """Show runs until Ctrl-C."""
    from redqueen.watch import PORT, serve, watch_plain

    if args.plain:
        watch_plain(args.run, Terminal())
    else:
        serve(args.run, args.port or PORT)
    return 0


def status(args: argparse.Namespace) -> int:
    """Say whether a run works."""
    from redqueen.report import print_status, status_values
    from redqueen.store import RunStore

    with RunStore.open(args.run, read_only=True) as run:
        if args.json:
            print_json(status_values(run))
        else:
            print_status(run, Terminal())
    return 0


def review(args: argparse.Namespace) -> int:
    """List what screens held back."""
    from redqueen.report import held_back_lines
    from redqueen.store import RunStore

    with RunStore.open(args.run, read_only=True) as run:
        for line in held_back_lines(run, args.whole):
            print(line)
    return 0


def write_metrics(args: argparse.Namespace) -> int:
    """Write a run's metrics, or say which there are."""
    from redqueen.metrics import metrics_page

    if args.run is None:
        if args.form or args.out:
            raise ConfigError("without a run only the list of metrics is printed; name the run")
        print(metrics_page(), end="")
        return 0
    from redqueen.files import write_bytes
    from redqueen.report.curves import csv_text, json_text, parquet_bytes, step_table
    from redqueen.store import RunStore

    if args.form == "parquet" and args.out is None:
        raise ConfigError("--parquet writes a file; say which: --out metrics.parquet")
    with RunStore.open(args.run, read_only=True) as run:
        table = step_table(run)
    if args.form == "parquet":
        data = parquet_bytes(table)
    else:
        data = (json_text if args.form == "json" else csv_text)(table).encode()
    if args.out is None:
        print(data.decode(), end="")
    else:
        write_bytes(args.out, data)
    return 0
