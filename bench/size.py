"""Lines of code by package: without blank lines, comments and docstrings.

python -m bench.size                          this tree
python -m bench.size ../before .              two trees beside each other
"""

import argparse
import ast
import tokenize
from collections import Counter
from pathlib import Path

SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
DATA = ("/exercises/", "/seeds/")
"""Functions that tasks are made of."""


def docstring_lines(tree: ast.Module) -> set[int]:
    """Lines of strings that stand alone: docstrings, and those below an attribute."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(path: Path) -> int:
    """Lines on which a token stands that is neither a comment nor part of a docstring."""
    with tokenize.open(path) as file:
        text = file.read()
    lines: set[int] = set()
    for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
        if token.type not in SILENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(ast.parse(text)))


def by_package(root: Path) -> Counter[str]:
    """Lines of each package of `redqueen` (modules of the top: `.`), and of what is beside it."""
    counts: Counter[str] = Counter()
    for path in sorted((root / "redqueen").rglob("*.py")):
        inside = path.relative_to(root / "redqueen")
        if not any(part in path.as_posix() for part in DATA):
            counts["redqueen/" + (inside.parts[0] if len(inside.parts) > 1 else ".")] += code_lines(
                path
            )
    for beside in ("studies", "bench", "recipes", "tests"):
        counts[beside] = sum(code_lines(path) for path in (root / beside).rglob("*.py"))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="*", type=Path, default=[Path()])
    args = parser.parse_args()
    counted = [by_package(root) for root in args.roots]
    names = sorted(set().union(*counted))
    print(f"| | {' | '.join(str(root) for root in args.roots)} |")
    print("|---|" + "---:|" * len(args.roots))
    for name in names:
        print(f"| {name} | {' | '.join(f'{counts[name]:,}' for counts in counted)} |")
    totals = [
        sum(n for name, n in counts.items() if name.startswith("redqueen")) for counts in counted
    ]
    print(f"| **redqueen in all** | {' | '.join(f'{total:,}' for total in totals)} |")


if __name__ == "__main__":
    main()
