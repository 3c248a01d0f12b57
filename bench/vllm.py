"""Sampling by vLLM and by our own engine, side by side: tokens a second, and their ratio.

Both write the same requests, of eight members in mixed batches, in turns; each engine lives in a
process of its own and stands still while the other writes. In vLLM's environment (`make test-vllm`
makes the one for a CPU, docs/engines.md says how to have one for a GPU):

    .venv-vllm/bin/python -m bench.vllm --base seedling build/bases/qwen-coder
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.ratios import Ratio, in_turns, ratio, table, write

PROMPT = "def f(a):\n    b = a + {}\n    return b * 2\n\nf({})"
ENGINES = ("vllm", "auto")


def _serve(name: str, base: str, options: argparse.Namespace, connection: Connection) -> None:
    """Build an engine; write the same requests whenever asked, and send the tokens."""
    import torch

    from redqueen import registry
    from redqueen.config.policy import PolicyConfig
    from redqueen.engines.base import Sampling
    from redqueen.models.population_model import PopulationModel
    from redqueen.types import Request, user

    keys: dict[str, Any] = {"rows": options.rows}
    keys |= {"memory": options.memory} if name == "vllm" else {"workers": options.workers}
    config = PolicyConfig(base=base, dtype=options.dtype, init_noise=0.02)
    model = PopulationModel.load(config, options.members, seed=0)
    requests = [  # as in a step: members take turns, and eight attempts share a prompt
        Request(row % options.members, user(PROMPT.format(row // 8, row // 8)), seed=row)
        for row in range(options.rows)
    ]
    engine = registry.load("engine", name)(**keys).build(model)
    connection.send(torch.get_num_threads())
    with suppress(EOFError):  # the other end is closed
        while connection.recv():
            texts = engine.generate(requests, Sampling(options.tokens, 1.0))
            connection.send([text.token_ids for text in texts])
    engine.close()


def compare(base: str, options: argparse.Namespace) -> Ratio:
    """Return how many times faster vLLM writes a token than our engine."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for name in ENGINES:
        pipes[name], theirs = context.Pipe()
        process = context.Process(target=_serve, args=(name, base, options, theirs))
        process.start()
        theirs.close()
        processes.append(process)
    texts: dict[str, list[list[tuple[int, ...]]]] = {name: [] for name in ENGINES}

    def ask(name: str) -> None:
        pipes[name].send(True)
        texts[name].append(pipes[name].recv())

    try:
        threads = {name: pipe.recv() for name, pipe in pipes.items()}
        seconds = in_turns({name: partial(ask, name) for name in ENGINES}, options.repeats)
    finally:  # which is what the engines' processes end on
        for pipe in pipes.values():
            pipe.close()
    for process in processes:
        process.join()
    each = {
        name: [
            taken / sum(len(ids) for ids in call)
            for taken, call in zip(seconds[name], texts[name][1:], strict=True)
        ]
        for name in ENGINES
    }
    equal = sum(a == b for a, b in zip(texts["vllm"][0], texts["auto"][0], strict=True))
    speeds = ", ".join(
        f"{name} {len(some) / sum(some):,.0f} tokens/s ({threads[name]} threads)"
        for name, some in each.items()
    )
    detail = f"{speeds}; {equal} of {options.rows} texts equal"
    return ratio(
        f"vLLM / ours, {Path(base).name}", each["auto"], each["vllm"], "higher", None, detail
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--base", nargs="+", default=["seedling"])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB of vLLM's cache")
    parser.add_argument("--workers", type=int, default=0, help="processes of our engine")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench-vllm.json"))
    options = parser.parse_args(argv)
    ratios = [compare(base, options) for base in options.base]
    print(table(ratios))
    write(options.out, ratios)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
