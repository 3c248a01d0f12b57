"""Reading untrusted text: as `ast.parse` reads it, without warnings, from any thread."""

import ast
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.sandbox.syntax import parse_expression, parse_module

NOISY = "'\\d' if 1 is 1 else ()()"


@given(st.text(alphabet="f(x):\n 1+'[],#\\"))
def test_reads_what_ast_reads(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for parse, mode in ((parse_module, "exec"), (parse_expression, "eval")):
            try:
                expected = ast.dump(ast.parse(text, mode=mode))
            except (SyntaxError, ValueError) as error:
                with pytest.raises(type(error)):
                    parse(text)
            else:
                assert ast.dump(parse(text)) == expected


@pytest.mark.parametrize("action", ["error", "always"])
def test_text_brings_no_warnings_whatever_the_filters_say(action: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        assert isinstance(parse_module(NOISY).body[0], ast.Expr)
        warnings.simplefilter(action)  # type: ignore[arg-type]
        parse_expression(NOISY)
        assert heard == []
        if action == "always":
            ast.parse(NOISY)
            assert heard  # others' text goes on being warned of


def test_threads_leave_the_filters_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        parse_module(NOISY)
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(parse_module, [NOISY] * 2000))
        assert warnings.filters == before
