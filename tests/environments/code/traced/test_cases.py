"""Cases: what they hold is canonical, and `code_f` has as many different runs as it is to have."""

from random import Random

import pytest

from redqueen.environments.code.traced.cases import FUNCTION_BANDS, draw_case
from redqueen.sandbox import parse_arguments, parse_literal, render_literal


@pytest.mark.parametrize("kind", ["code_o", "code_i", "code_f"])
def test_runs_are_canonical_literals(kind: str) -> None:
    rng = Random(6)
    for band in (FUNCTION_BANDS if kind == "code_f" else (1, 2, 3)) * 6:
        case = draw_case(kind, band, 4, rng)
        assert case.band == band
        assert len({args for args, _ in case.runs}) == (4 if kind == "code_f" else 1)
        arity = case.program.rpartition("def f(")[2].partition(")")[0].count(",") + 1
        for args, output in case.runs:
            values = parse_arguments(args, arity)
            assert values is not None
            assert ", ".join(str(render_literal(value)) for value in values) == args
            assert render_literal(parse_literal(output)[1]) == output
