"""What each command of the command line does. Returns are exit statuses.

torch and transformers take seconds to import: `--help` and config errors do without, so commands
import within their functions.
"""

import argparse
from collections.abc import Callable

from redqueen.commands import compare, export, prepare, show, swarm, train, verify

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": train.train,
    "init": prepare.write_config,
    "plan": prepare.plan_run,
    "resume": train.resume,
    "eval": train.evaluate,
    "report": show.write_page,
    "watch": show.watch,
    "status": show.status,
    "review": show.review,
    "metrics": show.write_metrics,
    "verify": verify.verify_rows,
    "compare": compare.compare_configs,
    "export": export.export_adapters,
    "swarm": swarm.swarm,
    "doctor": prepare.doctor,
    "completion": prepare.print_completion,
}
