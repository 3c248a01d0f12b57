"""Charts as inline SVG: no scripts, no network, themed by CSS variables."""

from redqueen.report.charts.bars import BarStyle, Stack, stacked_bars
from redqueen.report.charts.dots import Dot, Panel, dot_panels
from redqueen.report.charts.heat import Cell, HeatStyle, heat_map
from redqueen.report.charts.lines import LineStyle, Series, line_chart
from redqueen.report.charts.svg import esc, nice_ticks, percent, short, spread, tag
from redqueen.report.charts.tree import Life, lineage_tree, tree_order

__all__ = [
    "BarStyle",
    "Cell",
    "Dot",
    "HeatStyle",
    "Life",
    "LineStyle",
    "Panel",
    "Series",
    "Stack",
    "dot_panels",
    "esc",
    "heat_map",
    "line_chart",
    "lineage_tree",
    "nice_ticks",
    "percent",
    "short",
    "spread",
    "stacked_bars",
    "tag",
    "tree_order",
]
