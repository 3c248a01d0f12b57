"""Write the stored suites of the second seedling's language, `held-out` and `middle`.

    python -m recipes.seedling2.suites

- `held-out`: the grammar's bands 1 to 5, new programs.
- `middle`: programs with a pair of constructs that the corpus never shows together (bands 2 to 4),
  and programs that are longer than any of the corpus (bands 6 and 7, without `code_f`).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.traced.cases import FUNCTION_BANDS, draw_case
from redqueen.environments.code.traced.programs import BANDS, BEYOND
from redqueen.environments.code.traced.stored import INPUTS, Item
from redqueen.rng import derive_seed

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
}


def items(suite: str, cell: Cell) -> Iterator[Item]:
    """Return the items of a cell, each from a seed of its own, no program twice."""
    seen: set[str] = set()
    for place in range(cell.count):
        rng = Random(derive_seed(SEED, suite, cell.kind, cell.band, cell.pairs, place))
        while True:
            try:
                case = draw_case(cell.kind, cell.band, INPUTS, rng, cell.pairs)
            except GenerationError:
                continue
            alike = len({value for _, value in case.runs[:FEWEST]}) == 1
            if case.program not in seen and not (alike and cell.kind == "code_f"):
                break
        seen.add(case.program)
        yield Item(cell.kind, case.band, case.program, case.message, case.runs)


def main() -> None:
    """Command line."""
    FOLDER.mkdir(exist_ok=True)
    for suite, cells in CELLS.items():
        lines = [json.dumps(asdict(item)) for cell in cells for item in items(suite, cell)]
        (FOLDER / f"{suite}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{suite}: {len(lines)} tasks")


if __name__ == "__main__":
    main()
