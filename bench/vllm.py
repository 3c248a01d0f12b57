"""Sampling by vLLM and by our own engine, side by side: tokens a second, and their ratio.

Both write the same requests, of eight members in mixed batches, in turns. In vLLM's environment
(`make test-vllm` makes the one for a CPU, docs/engines.md says how to have one for a GPU):

    .venv-vllm/bin/python -m bench.vllm --base seedling build/bases/qwen-coder
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bench.ratios import Ratio, in_turns, ratio, table, write
from redqueen.config.policy import PolicyConfig
from redqueen.engines.auto import Auto
from redqueen.engines.base import Engine, Sampling
from redqueen.engines.vllm import Vllm
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request, user

PROMPT = "def f(a):\n    b = a + {}\n    return b * 2\n\nf({})"


def requests(members: int, rows: int) -> list[Request]:
    """As in a step: members take turns, and eight attempts share a prompt."""
    return [
        Request(row % members, user(PROMPT.format(row // 8, row // 8)), seed=row)
        for row in range(rows)
    ]


def compare(base: str, options: argparse.Namespace) -> Ratio:
    """Return our seconds a token over vLLM's; that is, how many times faster vLLM is."""
    config = PolicyConfig(base=base, dtype=options.dtype, init_noise=0.02)
    model = PopulationModel.load(config, options.members, seed=0)
    asked, sampling = requests(options.members, options.rows), Sampling(options.tokens, 1.0)
    engines: dict[str, Engine] = {
        "vllm": Vllm(rows=options.rows, memory=options.memory).build(model),
        "redqueen": Auto(rows=options.rows, workers=options.workers).build(model),
    }
    texts: dict[str, list[list[Completion]]] = {name: [] for name in engines}

    def writing(name: str) -> Callable[[], object]:
        return lambda: texts[name].append(engines[name].generate(asked, sampling))

    try:
        seconds = in_turns({name: writing(name) for name in engines}, options.repeats)
    finally:
        for engine in engines.values():
            engine.close()
    each: dict[str, list[float]] = {}
    for name, repeats in texts.items():
        counts = [sum(len(text.token_ids) for text in call) for call in repeats[1:]]
        each[name] = [s / count for s, count in zip(seconds[name], counts, strict=True)]
    first = zip(texts["vllm"][0], texts["redqueen"][0], strict=True)
    equal = sum(a.token_ids == b.token_ids for a, b in first)
    speeds = ", ".join(f"{n} {len(s) / sum(s):,.0f} tokens/s" for n, s in each.items())
    detail = f"{speeds}; {equal} of {len(asked)} texts equal; {torch.get_num_threads()} threads"
    return ratio(f"vLLM, {Path(base).name}", each["redqueen"], each["vllm"], "higher", None, detail)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--base", nargs="+", default=["seedling"])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB of vLLM's cache")
    parser.add_argument("--workers", type=int, default=1, help="processes of our engine")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench-vllm.json"))
    options = parser.parse_args(argv)
    ratios = [compare(base, options) for base in options.base]
    print(table(ratios))
    write(options.out, ratios)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
