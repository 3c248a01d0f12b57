"""The small Python of the embedded base: a typed grammar, a difficulty dial, and worked runs."""

from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.traced.constructs import HELD_OUT_PAIRS, constructs, held_out_pairs
from redqueen.environments.code.traced.programs import (
    BANDS,
    BEYOND,
    Program,
    draw_program,
    more_inputs,
)
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import Trace, TraceError

__all__ = [
    "BANDS",
    "BEYOND",
    "HELD_OUT_PAIRS",
    "GenerationError",
    "Program",
    "Trace",
    "TraceError",
    "constructs",
    "draw_program",
    "held_out_pairs",
    "more_inputs",
    "trace_call",
]
