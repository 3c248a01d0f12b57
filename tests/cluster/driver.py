"""A run from a file of its values, for a process of its own: `python -m tests.cluster.driver`."""

import json
import logging
import sys
from pathlib import Path

from redqueen import build
from redqueen.config import build_config
from redqueen.errors import RedQueenError


def main(values: Path, directory: Path) -> int:
    """Train to the end; an error is one line."""
    logging.basicConfig(format="%(message)s")
    try:
        with build.start(build_config(json.loads(values.read_text())), directory) as trainer:
            return 0 if trainer.run() else 1
    except RedQueenError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
