"""The drawings say what the data say: positions, labels, escaping, hover texts."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.report.charts import (
    BarStyle,
    Cell,
    HeatStyle,
    Life,
    LineStyle,
    Series,
    Stack,
    esc,
    heat_map,
    line_chart,
    nice_ticks,
    stacked_bars,
    tree_order,
)

NS = "{http://www.w3.org/2000/svg}"


def find(root: ElementTree.Element, name: str, kind: str | None = None):
    return [
        e for e in root.iter(NS + name) if kind is None or kind in (e.get("class") or "").split()
    ]


def texts(root: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in find(root, "text")]


@given(st.text())
def test_any_text_is_safe_in_xml(text: str) -> None:
    safe = esc(text)
    assert not re.search("[<>\"']", safe)
    parsed = ElementTree.fromstring(f'<a b="{safe}">{safe}</a>')
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "", text)
    kept = re.sub(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|[\t\n\r]", "", parsed.text or "")
    assert re.sub(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}", "", printable) == kept


def test_control_characters_are_shown() -> None:
    assert esc("a\x00\ud800<&") == "a\\x00\\ud800&lt;&amp;"


@given(
    low=st.floats(-1e6, 1e6),
    size=st.floats(1e-3, 1e6),
    count=st.integers(2, 8),
    whole=st.booleans(),
)
def test_ticks_are_inside_round_and_even(low, size, count, whole) -> None:
    high = low + size
    ticks = nice_ticks(low, high, count, whole)
    assert all(low - 1e-6 * size <= t <= high + 1e-6 * size for t in ticks)
    assert len(ticks) <= count + 2
    if not whole:
        assert len(ticks) >= 1
    gaps = [b - a for a, b in pairwise(ticks)]
    assert gaps == pytest.approx(gaps[:1] * len(gaps))
    assert not whole or all(t == int(t) for t in ticks)


def test_a_line_runs_through_its_points() -> None:
    points = [(0.0, 0.0), (10.0, 1.0), (20.0, 0.5)]
    style = LineStyle("rates", low=0.0, high=1.0)
    root = ElementTree.fromstring(
        line_chart([Series("a", points, "red", label="the end")], style, 400)
    )
    (line,) = find(root, "path", "line")
    numbers = [float(v) for v in re.findall(r"-?[\d.]+", line.get("d") or "")]
    xs, ys = numbers[::2], numbers[1::2]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    # The y axis: 0 and 1 stand where the ticks named so are.
    ticks = {e.text: float(e.get("y") or 0) - 4 for e in find(root, "text", "end")}
    assert ys[0] == pytest.approx(ticks["0"], abs=0.11)
    assert ys[1] == pytest.approx(ticks["1"], abs=0.11)
    assert ys[2] == pytest.approx((ys[0] + ys[1]) / 2, abs=0.11)
    assert "the end" in texts(root)
    hovers = [e[0].text for e in find(root, "rect", "strip")]
    assert hovers == ["step 0\na: 0", "step 10\na: 1", "step 20\na: 0.5"]


@pytest.mark.parametrize("points", [[], [(5.0, 2.0)], [(1.0, 3.0), (2.0, 3.0)]])
def test_lines_without_extent(points) -> None:
    chart = line_chart([Series("a", points, "red", label="x")], LineStyle("t"), 346)
    assert "nan" not in chart.lower()
    assert "inf" not in re.sub(r"<title>.*?</title>", "", chart)
    ElementTree.fromstring(chart)


def test_stacked_bars_have_the_heights_of_the_data() -> None:
    stacks = [Stack("a", {1: 2.0, 2: 1.0}, "red"), Stack("b", {1: 1.0, 3: 4.0}, "blue")]
    names = {float(x): f"step {x}" for x in (1, 2, 3)}
    root = ElementTree.fromstring(stacked_bars(stacks, BarStyle("t", names), 500))
    bars = find(root, "rect", "bar")
    heights = [float(b.get("height") or 0) for b in bars]
    assert [h / heights[1] for h in heights] == pytest.approx([2, 1, 1, 4], rel=0.01)
    first, second = bars[0], bars[1]
    assert float(second.get("y") or 0) + heights[1] == pytest.approx(
        float(first.get("y") or 0), abs=0.11
    )
    assert [b[0].text for b in bars] == [
        "step 1\na: 2 of 3",
        "step 1\nb: 1 of 3",
        "step 2\na: 1 of 1",
        "step 3\nb: 4 of 4",
    ]
    ElementTree.fromstring(stacked_bars([], BarStyle("t", {}), 346))


def test_heat_map_cells() -> None:
    style = HeatStyle("t", "teacher", "student", ["#0", "#1"], ["#5", "#6", "#7"])
    cells = {(0, 0): Cell(0.25, 8, "one"), (1, 2): Cell(1.0, 16, "two")}
    root = ElementTree.fromstring(heat_map(cells, style, 500))
    assert len(find(root, "rect", "void")) == 4
    groups = find(root, "g", "cell")
    assert [[e.text for e in g if e.tag != NS + "rect"] for g in groups] == [
        ["one", "25%", "n=8"],
        ["two", "100%", "n=16"],
    ]
    fills = [g.find(NS + "rect").get("style") for g in groups]  # type: ignore[union-attr]
    assert ["25%" in fills[0], "100%" in fills[1]] == [True, True]


def life(number: int, born: float, died: float | None, *parents: int) -> Life:
    return Life(number, born, died, parents, f"#{number}", f"member {number}", "red")


def test_tree_order_keeps_children_below_their_first_parent() -> None:
    lives = [
        life(0, 0, None),
        life(1, 0, 5),
        life(2, 5, None, 0),
        life(3, 5, 9, 1, 0),
        life(4, 9, None, 2, 3),
        life(5, 9, None, 77),  # its parent is not shown
    ]
    assert [one.id for one in tree_order(lives)] == [0, 2, 4, 1, 3, 5]
