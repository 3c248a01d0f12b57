"""Calls for a cluster's sandbox, for a process of its own: `python -m tests.cluster.verifier`.

A line for each round: the calls that ended otherwise than they should, and those that helpers ran.
"""

import json
import sys
import time
from pathlib import Path

from redqueen.cluster.ray.cluster import Ray
from redqueen.cluster.ray.pool import connect
from redqueen.cluster.sandboxes import CHUNK, SharedSandbox
from redqueen.config import SandboxConfig
from redqueen.sandbox import Call

CODE = "def f(x):\n    total = 0\n    for n in range(20000):\n        total += n % 7\n    return x"


def main(values: Path, out: Path) -> None:
    """Run rounds of calls until `out` is there."""
    cluster = Ray(**json.loads(values.read_text()))
    connect(cluster.address)
    calls = [Call(CODE, "f", (place,)) for place in range(20 * CHUNK)]
    with cluster.open_sandbox(SandboxConfig(workers=1)) as sandbox:
        assert isinstance(sandbox, SharedSandbox)
        while not out.exists():
            before, begun = sandbox.helped, time.monotonic()
            outcomes = sandbox.run(calls)
            wrong = sum(o.text != str(place) for place, o in enumerate(outcomes))
            seconds = time.monotonic() - begun
            print(json.dumps([wrong, sandbox.helped - before, seconds]), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
