"""What a person sees of a run: the terminal table and the self-contained page."""

from redqueen.report.benchmarks import print_benchmarks, write_harness_json
from redqueen.report.figures import population_text
from redqueen.report.held_back import held_back_lines
from redqueen.report.heldout import HeldOut, Standing, main_suite, summarize, verdict_sentence
from redqueen.report.page import render_page, write_report
from redqueen.report.plain import result_values, status_values
from redqueen.report.queries import RunData
from redqueen.report.statistics import Estimate, bootstrap_means, cluster_bootstrap, wilson
from redqueen.report.terminal import final_table, print_results, print_status

__all__ = [
    "Estimate",
    "HeldOut",
    "RunData",
    "Standing",
    "bootstrap_means",
    "cluster_bootstrap",
    "final_table",
    "held_back_lines",
    "main_suite",
    "population_text",
    "print_benchmarks",
    "print_results",
    "print_status",
    "render_page",
    "result_values",
    "status_values",
    "summarize",
    "verdict_sentence",
    "wilson",
    "write_harness_json",
    "write_report",
]
