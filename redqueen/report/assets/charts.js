"use strict";
/* Charts: one function for each type of part of redqueen/report/figures.py, drawn by Observable
   Plot for a width in pixels. */

const FORMS = {
  percent: (v) => `${Math.round(100 * v)}%`,
  seconds: (v) => `${number(v)} s`,
  number,
};

function number(v) {
  if (Math.abs(v) >= 1e6) return v.toExponential(1);
  return v.toLocaleString("en", { maximumFractionDigits: 2 });
}

/* Positions moved apart to at least `gap` within [low, high], in their order. */
function spread(places, gap, low, high) {
  const order = d3.range(places.length).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  let floor = low;
  for (const i of order) { moved[i] = Math.max(places[i], floor); floor = moved[i] + gap; }
  let ceiling = high;
  for (const i of order.reverse()) { moved[i] = Math.min(moved[i], ceiling); ceiling = moved[i] - gap; }
  return moved;
}

function range(values, low, high) {
  const ends = [low ?? d3.min(values) ?? 0, high ?? d3.max(values) ?? 1];
  if (ends[1] <= ends[0]) return low == null ? [ends[0] - 0.5, ends[0] + 0.5] : [ends[0], ends[0] + 1];
  const pad = 0.06 * (ends[1] - ends[0]);
  const scale = d3.scaleLinear().domain([low ?? ends[0] - pad, high ?? ends[1] + pad]);
  return low == null && high == null ? scale.nice(4).domain() : scale.domain();
}

const textWidth = (texts) => d3.max(texts, (text) => text.length * 7.4) ?? 0;

function plot(part, options) {
  const drawn = Plot.plot({ className: "chart", ...options });
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", part.title);
  return drawn;
}

/* What is written at an x when it is pointed at: one line of text for each name. */
function pointer(rows, y) {
  const tip = { x: "x", y, title: "text", fill: "var(--card)", stroke: "var(--rule)", fontSize: 12 };
  return [
    Plot.ruleX(rows, Plot.pointerX({ x: "x", stroke: "var(--muted)", strokeOpacity: 0.5 })),
    Plot.tip(rows, Plot.pointerX({ ...tip, anchor: "top-left", maxRadius: 1e4 })),
  ];
}

function drawLines(part, width) {
  const form = FORMS[part.form], margin = { top: 12, bottom: part.x_title ? 40 : 24 };
  const series = d3.sort(part.series.filter((s) => s.points.length), (s) => !s.faded);
  const points = series.flatMap((s) => s.points);
  const domain = range([...points.map((p) => p[1]), ...series.flatMap((s) => s.band.flatMap((b) => [b[1], b[2]]))],
    part.low, part.high);
  const xs = d3.extent(points, (p) => p[0]);
  const x = xs[0] === xs[1] ? [(xs[0] ?? 1) - 0.5, (xs[1] ?? 1) + 0.5] : xs;
  const named = series.filter((s) => s.label != null), ends = named.map((s) => s.points.at(-1));
  const y = d3.scaleLinear(domain, [part.height - margin.bottom, margin.top]);
  const places = spread(ends.map((p) => y(p[1])), 14, margin.top, part.height - margin.bottom);
  const texts = d3.groups(series.filter((s) => !s.faded).flatMap((s) => s.points.map((p) => [s.name, ...p])), (r) => r[1])
    .map(([at, rows]) => ({ x: at, y: d3.max(rows, (r) => r[2]),
      text: [`${part.x_title} ${number(at)}`, ...rows.map((r) => `${r[0]}: ${form(r[2])}`)].join("\n") }));
  const line = (s) => Plot.lineY(s.points, { x: "0", y: "1", stroke: s.color, curve: "linear",
    strokeWidth: s.faded ? 1.2 : 2.2, strokeOpacity: s.faded ? 0.45 : 1, title: () => s.name });
  return plot(part, {
    width, height: part.height, marginTop: margin.top, marginBottom: margin.bottom,
    marginLeft: 14 + textWidth(y.ticks(4).map(form)), marginRight: named.length ? textWidth(named.map((s) => s.label)) + 18 : 10,
    x: { domain: x, label: null, tickSize: 0, ticks: d3.ticks(...x, width < 420 ? 4 : 6).filter(Number.isInteger), tickFormat: number },
    y: { domain, label: null, ticks: 4, tickSize: 0, tickFormat: form, grid: true, clamp: true },
    marks: [
      Plot.text([part.x_title], { frameAnchor: "bottom", dy: 34, fill: "var(--muted)" }),
      ...series.filter((s) => s.band.length > 1).map((s) =>
        Plot.areaY(s.band, { x: "0", y1: "1", y2: "2", fill: s.color, fillOpacity: 0.16 })),
      ...series.map(line),
      ...series.filter((s) => s.ended).map((s) =>
        Plot.dot([s.points.at(-1)], { x: "0", y: "1", symbol: "times", stroke: s.color, r: 3.5 })),
      Plot.dot(named, { x: (s) => s.points.at(-1)[0], y: (s) => s.points.at(-1)[1], r: 2.6, fill: "color" }),
      ...named.map((s, i) => Plot.text([s.points.at(-1)], { x: "0", y: "1", text: () => s.label, fill: s.color,
        textAnchor: "start", dx: 9, dy: places[i] - y(s.points.at(-1)[1]), fontWeight: 600, fontSize: 12.5,
        stroke: "var(--paper)", strokeWidth: 4 })),
      ...pointer(texts, "y"),
    ],
    color: { type: "identity" },
  });
}

function drawBars(part, width) {
  const form = FORMS[part.form], at = part.names.map(([x]) => x);
  const gap = d3.min(d3.pairs(at, (a, b) => b - a)) ?? 1, names = new Map(part.names);
  const rows = part.stacks.flatMap((s) => s.values.map(([x, value]) => ({ x, value, name: s.name, color: s.color })));
  const totals = d3.groups(rows, (r) => r.x).map(([x, several]) => {
    const total = d3.sum(several, (r) => r.value);
    const lines = several.filter((r) => r.value > 0).map((r) => `${r.name}: ${form(r.value)}`);
    return { x, total, text: [`${names.get(x)}: ${form(total)}`, ...lines.reverse()].join("\n") };
  });
  const high = 1.05 * (d3.max(totals, (t) => t.total) || 1), thin = Math.min(gap / 2, 0.5 * gap);
  const y = d3.scaleLinear([0, high], [0, 1]);
  return plot(part, {
    width, height: 250, marginTop: 12, marginBottom: 40, marginRight: 10, marginLeft: 14 + textWidth(y.ticks(4).map(form)),
    x: { domain: [d3.min(at) - gap / 2, d3.max(at) + gap / 2], label: null, tickSize: 0, tickFormat: number,
      ticks: d3.ticks(d3.min(at), d3.max(at), width < 420 ? 4 : 6).filter(Number.isInteger) },
    y: { domain: [0, high], label: null, ticks: 4, tickSize: 0, tickFormat: form, grid: true },
    color: { type: "identity" },
    marks: [
      Plot.text(["step"], { frameAnchor: "bottom", dy: 34, fill: "var(--muted)" }),
      Plot.rectY(rows, Plot.stackY({ x1: (r) => r.x - thin, x2: (r) => r.x + thin, y: "value", z: "name", fill: "color",
        inset: at.length > 40 ? 0.2 : 0.75, insetTop: 0, insetBottom: 0 })),
      ...pointer(totals, "total"),
    ],
  });
}

function drawDots(part, width) {
  const rows = part.panels.flatMap((p) => p.dots.map((d) => ({ ...d, panel: p.name })));
  const names = [...new Set(rows.map((r) => r.name))], panels = part.panels.map((p) => p.name);
  const wide = width >= 700, high = Math.min(1, 1.08 * part.high) || 1, left = 14 + textWidth(names);
  const facet = wide ? { fx: { domain: panels, label: null, axis: null, padding: 0.12 } }
    : { fy: { domain: panels, label: null, axis: null, padding: 0.25 } };
  const by = wide ? { fx: "panel" } : { fy: "panel" }, block = names.length * 26 + (wide ? 24 : 40);
  const written = (chosen, options) => [true, false].map((strong) =>
    Plot.text(rows.filter((r) => r.strong === strong && chosen(r)), { ...by, y: "name", ...options,
      fontWeight: strong ? 650 : 400, fill: strong || options.frameAnchor ? "var(--ink)" : "var(--muted)" }));
  return plot(part, {
    width, height: wide ? block + 32 : block * panels.length + 32, marginLeft: left, marginTop: 24, marginBottom: 26, marginRight: 44,
    ...facet, y: { domain: names, label: null, axis: null }, color: { type: "identity" },
    x: { domain: [0, high], label: null, ticks: wide ? 3 : 4, tickSize: 0, tickFormat: FORMS.percent },
    marks: [
      Plot.gridX({ ticks: wide ? 3 : 4, stroke: "var(--rule)", strokeOpacity: 1 }), Plot.ruleX([0], { stroke: "var(--pale)" }),
      Plot.text(part.panels, { ...(wide ? { fx: "name" } : { fy: "name" }), text: "name", frameAnchor: "top-left", dy: -16,
        fontWeight: 650, fontSize: 12.5 }),
      ...written((r) => !wide || r.panel === panels[0], { text: "name", frameAnchor: "left", textAnchor: "end", dx: -9,
        fontSize: 12.5 }),
      Plot.ruleY(rows, { ...by, y: "name", x1: "low", x2: "high", stroke: "color", strokeWidth: 2 }),
      Plot.dot(rows, { ...by, y: "name", x: "value", fill: "color", r: (r) => (r.strong ? 5 : 4), title: "hover" }),
      ...written(() => true, { x: "high", text: (r) => FORMS.percent(r.value), textAnchor: "start", dx: 7 }),
    ],
    r: { type: "identity" },
  });
}

function drawTree(part, width) {
  const rows = new Map(part.lives.map((life, i) => [life.id, i])), last = Math.max(part.last, 1);
  const room = Math.min(textWidth(part.lives.map((l) => l.label)) + 18, 0.6 * width);
  const lives = part.lives.map((l, i) => ({ ...l, y: i, end: Math.max(l.died ?? last, l.born + 0.001), alive: l.died == null }));
  const joints = lives.flatMap((l) => l.parents.filter((p) => rows.has(p)).map((p, i) => ({ x: l.born, y1: rows.get(p), y2: l.y, first: !i })));
  const ticks = d3.ticks(0, last, width < 420 ? 4 : 8).filter(Number.isInteger);
  return plot(part, {
    width, height: 21 * lives.length + 52, marginLeft: 12, marginRight: room, marginTop: 8, marginBottom: 40,
    x: { domain: [0, last], label: null, tickSize: 0, ticks, tickFormat: number },
    y: { domain: [-0.5, lives.length - 0.5], reverse: true, axis: null }, color: { type: "identity" },
    marks: [
      Plot.gridX(ticks, { stroke: "var(--rule)", strokeOpacity: 1 }),
      Plot.text(["step"], { frameAnchor: "bottom", dy: 34, fill: "var(--muted)" }),
      Plot.ruleX(joints.filter((j) => j.first), { x: "x", y1: "y1", y2: "y2", stroke: "var(--muted)", strokeWidth: 1.3 }),
      Plot.ruleX(joints.filter((j) => !j.first), { x: "x", y1: "y1", y2: "y2", stroke: "var(--muted)", strokeDasharray: "3 3" }),
      Plot.ruleY(lives, { y: "y", x1: "born", x2: "end", stroke: (l) => (l.alive ? l.color : "var(--pale)"),
        strokeWidth: 3, strokeLinecap: "round" }),
      Plot.dot(lives, { x: "end", y: "y", symbol: (l) => (l.alive ? "circle" : "times"), r: 3.2, title: "hover",
        fill: (l) => (l.alive ? l.color : "none"), stroke: (l) => (l.alive ? l.color : "var(--pale)") }),
      ...[true, false].map((alive) => Plot.text(lives.filter((l) => l.alive === alive), { x: "end", y: "y", text: "label",
        textAnchor: "start", dx: 8, title: "hover", fontSize: alive ? 12.5 : 11.5, fontWeight: alive ? 600 : 400,
        fill: (l) => (alive ? l.color : "var(--muted)"), stroke: "var(--paper)", strokeWidth: 4 })),
    ],
    symbol: { type: "identity" },
  });
}
