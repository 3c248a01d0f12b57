"""All benchmarks of speed: one table, one JSON file.

    make bench                                two cores: about half an hour

Each part is a process of its own, so that none inherits another's memory or threads. `peers` runs
in the environment that `make bench` prepares for it (--peers); without one it is left out, and the
table says so.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.ratios import Ratio, table, write

PARTS = ("hotpath", "overhead", "limits", "peers")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--peers", type=Path, help="the Python of the peers' environment")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    args = parser.parse_args(argv)
    lines: list[Ratio] = []
    left_out = []
    for part in args.only:
        python = args.peers if part == "peers" else Path(sys.executable)
        if python is None:
            left_out.append(part)
            continue
        out = args.out / f"{part}.json"
        out.unlink(missing_ok=True)
        subprocess.run([python, "-m", f"bench.{part}", "--out", out], check=False)
        if not out.exists():
            raise SystemExit(f"bench.{part} ended without a result")
        rows = json.loads(out.read_text(encoding="utf-8"))
        lines += [Ratio(**{key: row[key] for key in row if key != "held"}) for row in rows]
    print(f"\n{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(table(lines))
    if left_out:
        print(f"left out, no environment given: {', '.join(left_out)}")
    write(args.out / "suite.json", lines)
    missed = [line.name for line in lines if line.held is False]
    print(f"{len(missed)} bars missed{': ' if missed else ''}{', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
