"""When the guards act: before a proposal runs, and after it has run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redqueen.environments.code.analysis import Parsed
from redqueen.environments.code.guards import has_huge_constant, leaks_case, leaks_value
from redqueen.environments.code.lookup import hides_entries, is_table

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code


def fault_before(
    config: "Code", kind: str, parsed: Parsed, args: Sequence[tuple[Any, ...]], message: str
) -> str | None:
    """Return the guard that rejects a proposal by its text; `args` begins with its shown half."""
    on, tree, half = config.guards, parsed.tree, len(args) // 2
    if "huge_constant" in on and has_huge_constant(
        tree, args, config.max_constant, config.max_constant_chars
    ):
        return "huge_constant"
    hides = kind == "code_f" and hides_entries(tree, args[half:])
    if "lookup" in on and (hides or is_table(tree)):
        return "lookup"
    if (
        kind == "code_f"
        and "leak" in on
        and leaks_case(args[:half], args[half:], message, parsed.source, config.leak_chars)
    ):
        return "leak"
    return None


def fault_after(
    config: "Code", kind: str, parsed: Parsed, args: tuple[Any, ...], output: str
) -> str | None:
    """Return the guard that rejects a code_o or code_i proposal by the output of its first run."""
    if kind == "code_f" or "leak" not in config.guards:
        return None
    leaks = leaks_value(kind, parsed.tree, parsed.source, args, output, config.leak_chars)
    return "leak" if leaks else None
