"""Write the stored suites of the second seedling's language, `held-out` and `middle`.

    python -m recipes.seedling2.suites

- `held-out`: the grammar's bands 1 to 5, new programs.
- `middle`: programs with a pair of constructs that the corpus never shows together (bands 2 to 4),
  and programs that are longer than any of the corpus (bands 6 and 7, without `code_f`).
- `held-out-bool` and `middle-bool`: predicates alone, half of them True, for runs with
  `environments.code.results = ["bool"]`: expressions and band 1; bands 2 and 3, and pairs.
"""

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from redqueen.config import SandboxConfig
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.traced.cases import FUNCTION_BANDS, Case, draw_case
from redqueen.environments.code.traced.programs import BANDS, BEYOND, EXPRESSION
from redqueen.environments.code.traced.stored import INPUTS, Item
from redqueen.errors import InfrastructureError
from redqueen.rng import derive_seed
from redqueen.sandbox import Outcome, Sandbox, make_sandbox

FOLDER = Path(__file__).parents[2] / "redqueen/environments/code/traced/suites"
SEED = 90_001
FEWEST = 4
"""The values of a `code_f` task differ already among so many inputs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """So many items of a suite with one kind and band."""

    kind: str
    band: int
    count: int
    pairs: bool = False
    """With a pair of constructs that the corpus never shows together."""
    results: tuple[str, ...] = ()
    """Types of the value; none: any."""
    value: str = ""
    """The value itself, where guessing it must not pay."""


def predicates(bands: Sequence[int], count: int, pairs: bool = False) -> list[Cell]:
    """Return the cells of predicates: in each band as many values are True as are False."""
    return [
        Cell("code_o", band, count // 2, pairs, ("bool",), value)
        for band in bands
        for value in ("True", "False")
    ]


CELLS = {
    "held-out": [
        *(Cell(kind, band, 120) for band in BANDS for kind in ("code_o", "code_i")),
        *(Cell("code_f", band, 300) for band in FUNCTION_BANDS),
    ],
    "middle": [
        *(Cell(kind, band, 80, pairs=True) for band in (2, 3, 4) for kind in ("code_o", "code_i")),
        *(Cell(kind, band, 120) for band in BEYOND for kind in ("code_o", "code_i")),
        Cell("code_f", 2, 160, pairs=True),
    ],
    "held-out-bool": predicates((EXPRESSION, 1), 200),
    "middle-bool": [*predicates((2, 3), 100), *predicates((2, 3), 100, pairs=True)],
}


def fits(cell: Cell, case: Case, sandbox: Sandbox) -> bool:
    """Return whether a case can be in a cell: no `code_f` whose values are all alike, no `code_i`
    that its own output solves."""
    (_, value), *_ = case.runs
    if cell.value:
        return value == cell.value
    if cell.kind == "code_f":
        return len({value for _, value in case.runs[:FEWEST]}) > 1
    if cell.kind == "code_i":
        arity = len(ast.parse(case.program).body[-1].args.args)  # type: ignore[attr-defined]
        (echo,) = find_echoes(sandbox, [(case.program, value, arity)])
        if isinstance(echo, Outcome):
            raise InfrastructureError(f"the sandbox failed: {echo.message}")
        return not echo
    return True


def items(suite: str, cell: Cell, sandbox: Sandbox) -> Iterator[Item]:
    """Return the items of a cell, each from a seed of its own, no program twice.

    Raises:
        InfrastructureError: the sandbox failed.
    """
    seen: set[str] = set()
    for place in range(cell.count):
        more = [cell.value] if cell.value else []
        rng = Random(derive_seed(SEED, suite, cell.kind, cell.band, cell.pairs, *more, place))
        while True:
            try:
                case = draw_case(cell.kind, cell.band, INPUTS, rng, cell.pairs, cell.results)
            except GenerationError:
                continue
            if case.program not in seen and fits(cell, case, sandbox):
                break
        seen.add(case.program)
        yield Item(cell.kind, case.band, case.program, case.message, case.runs)


def main() -> None:
    """Command line."""
    FOLDER.mkdir(exist_ok=True)
    with make_sandbox(SandboxConfig()) as sandbox:
        for suite, cells in CELLS.items():
            drawn = (item for cell in cells for item in items(suite, cell, sandbox))
            lines = [json.dumps(asdict(item)) for item in drawn]
            (FOLDER / f"{suite}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(f"{suite}: {len(lines)} tasks", flush=True)


if __name__ == "__main__":
    main()
