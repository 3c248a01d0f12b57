"use strict";
/* The page: draws the data inside, or what the server of `redqueen watch` gives. All text is set
   as text, never as markup. */

const CONTROL = /(?![\t\n\r\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/* Characters without a shape, and those that turn the direction of text, become escapes. */
function visible(text) {
  return String(text).replace(CONTROL, (c) => {
    const code = c.codePointAt(0), [letter, length] = code < 256 ? ["x", 2] : code < 65536 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(length, "0")}`;
  });
}

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "background") made.style.background = value;
    else made.setAttribute(key, value === true ? "" : visible(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child != null && child !== "" && child !== false) made.append(child instanceof Node ? child : visible(child));
  }
  return made;
}

/* A place that is drawn for its width, anew when that changes. */
function responsive(draw) {
  const place = el("div", { class: "drawing" });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now && now !== width) { width = now; place.replaceChildren(draw(width)); }
  }).observe(place);
  return place;
}

const cell = (kind, text, scope) =>
  el(kind, { class: text.look || null, scope }, text.text, text.small && el("small", {}, text.small));

function table(part) {
  const row = ({ cells, strong }) => cells.length === 1
    ? el("tr", {}, el("th", { class: "mode", scope: "colgroup", colspan: part.head.length }, cells[0].text))
    : el("tr", { class: strong && "strong" }, cell("th", cells[0], "row"), cells.slice(1).map((c) => cell("td", c)));
  return el("div", { class: `scroll ${part.look}`, tabindex: 0, role: "group", "aria-label": "table" },
    el("table", {}, el("thead", {}, el("tr", {}, part.head.map((c) => cell("th", c, "col")))),
      el("tbody", {}, part.rows.map(row))));
}

function heat(part) {
  const pale = (name) => (part.faded.includes(name) ? "pale" : null);
  const square = (c) => c == null ? el("td", { class: "void" })
    : el("td", { class: c.rate > 0.55 ? "high" : null, title: c.hover,
      background: `color-mix(in oklab, var(--heat1) ${Math.round(100 * c.rate)}%, var(--heat0))` },
    FORMS.percent(c.rate), el("small", {}, `n=${c.n}`));
  const head = el("tr", {}, el("th", {}, el("small", {}, `${part.rows_title} \u2193 ${part.columns_title} \u2192`)),
    part.columns.map((name) => el("th", { scope: "col", class: pale(name) }, name)));
  return el("div", { class: "scroll heat", tabindex: 0, role: "group", "aria-label": part.title }, el("table", {},
    el("caption", { class: "unseen" }, part.title), el("thead", {}, head), el("tbody", {}, part.rows.map((name, i) =>
      el("tr", {}, el("th", { scope: "row", class: pale(name) }, name), part.cells[i].map(square))))));
}

const pairs = (lines) => el("dl", {}, lines.map(([title, text]) => [el("dt", {}, title), el("dd", {}, el("pre", {}, text))]));

const attempt = (a) => el("div", { class: "attempt" },
  el("div", { class: "who" }, el("b", { class: `verdict ${a.verdict}` }, a.title), ` ${a.who}`),
  a.before.length > 0 && el("details", {}, el("summary", {}, "What came before"), pairs(a.before)), el("pre", {}, a.text),
  a.answer != null && el("p", {}, "answer read: ", el("code", {}, a.answer)));

const card = (head, about, payload, attempts) => el("article", {}, el("header", {}, el("b", {}, head), ` ${about}`),
  el("div", { class: "split" }, el("div", { class: "problem" }, pairs(payload)), el("div", { class: "attempts" }, attempts.map(attempt))));

const tasks = (part) => el("div", { class: "samples" },
  part.heading && el("h3", {}, part.heading, el("small", {}, ` ${part.where}`)),
  part.cards.length ? part.cards.map((t) => card(t.kind, t.about, t.payload, t.attempts))
    : el("p", { class: "nothing" }, "No valid task in these steps."));

/* Filters over texts. `filters` outlives a new drawing of the figure. */
const filters = {};
let listed = null;

function matches(text) {
  const rejected = text.shown.verdict === "rejected";
  const verdict = filters.verdict === "rejected" || text.shown.title === `rejected proposal: ${filters.verdict}`
    ? rejected : text.shown.verdict === filters.verdict;
  return (!filters.member || [text.teacher, text.student].includes(Number(filters.member)))
    && (!filters.kind || text.kind === filters.kind) && (filters.verdict ? verdict && (!rejected || filters.verdict === "rejected"
      || text.shown.title.endsWith(`: ${filters.verdict}`)) : !rejected)
    && (!filters.step || text.step === Number(filters.step)) && (!filters.text || text.shown.text.includes(filters.text))
    && (!filters.task || text.task === filters.task);
}

function browser(part) {
  const list = el("div", { class: "texts", "aria-live": "polite" });
  const more = el("button", { type: "button", hidden: true, onclick: () => search(listed.at(-1).id) }, "More");
  const task = el("button", { type: "button", hidden: !filters.task, onclick: () => choose("task", "") }, "Any task again");
  const show = (texts, complete) => {
    list.replaceChildren(...(texts.length ? texts.map(entry) : [el("p", { class: "nothing" }, "No text passes these filters.")]));
    more.hidden = complete;
    task.hidden = !filters.task;
  };
  async function search(before) {
    if (!live) return show(part.texts.filter(matches), true);
    const asked = Object.entries({ ...filters, before }).filter(([, value]) => value);
    const answer = await ask("texts", asked);
    if (!answer) return;
    listed = before ? [...listed, ...answer.texts] : answer.texts;
    show(listed, answer.complete);
  }
  function choose(name, value) { filters[name] = value; search(); }
  function entry(text) {
    const same = text.task && el("button", { type: "button", onclick: () => choose("task", text.task) }, "All attempts at this task");
    return el("details", {}, el("summary", {}, el("b", { class: `verdict ${text.shown.verdict}` }, text.shown.title),
      ` step ${text.step}, ${text.kind}, ${text.shown.who}`),
    el("div", { class: "split" }, el("div", { class: "problem" }, pairs(text.payload), same), el("div", { class: "attempts" }, attempt(text.shown))));
  }
  const select = (name, title, options) => el("label", {}, title, el("select", { name, onchange: (e) => choose(name, e.target.value) },
    el("option", { value: "" }, "any"), options.map(([value, text]) =>
      el("option", { value, selected: String(value) === filters[name] }, text))));
  const input = (name, title, kind) => el("label", {}, title, el("input", { name, type: kind, min: kind === "number" ? 1 : null,
    value: filters[name], onchange: (e) => choose(name, e.target.value) }));
  const form = el("form", { class: "filters", role: "search", onsubmit: (e) => { e.preventDefault(); search(); } },
    select("member", "member", part.members.map((id) => [id, `#${id}`])),
    select("kind", "kind", part.kinds.map((kind) => [kind, kind])), select("verdict", "verdict", part.verdicts),
    input("step", "step", "number"), input("text", "text", "search"), task);
  search();
  return el("div", {}, form, list, more);
}

const PARTS = {
  lines: (part) => responsive((width) => drawLines(part, width)),
  bars: (part) => responsive((width) => drawBars(part, width)),
  dots: (part) => responsive((width) => drawDots(part, width)),
  tree: (part) => responsive((width) => drawTree(part, width)),
  list: (part) => el("ul", { class: "plain" }, part.items.map((text) => el("li", {}, text))),
  code: (part) => part.summary ? el("details", {}, el("summary", {}, part.summary), el("pre", {}, part.text)) : el("pre", {}, part.text),
  table, heat, tasks, browser,
};

function figure(f) {
  const parts = f.parts.map((part) => el("div", {}, part.heading && f.columns > 1 && el("h4", {}, part.heading), PARTS[part.type](part)));
  return el("figure", { id: f.id, class: f.full && "full" }, f.heading && el("h3", {}, f.heading),
    f.legend.length ? el("ul", { class: "legend" }, f.legend.map(([name, color]) =>
      el("li", {}, el("i", { class: "key", background: color }), name))) : null,
    f.columns > 1 ? el("div", { class: `columns-${f.columns}` }, parts) : parts,
    f.words && el("details", {}, el("summary", {}, f.words.summary), el("dl", { class: "words" }, f.words.items.map(([word, meaning, example]) =>
      [el("dt", {}, word), el("dd", {}, meaning, example && el("pre", {}, example.slice(0, 600)))]))),
    f.caption && el(f.parts.length ? "figcaption" : "p", { class: f.parts.length ? null : "nothing" }, f.caption));
}

const header = (page) => el("header", { class: "top", id: "top" }, el("p", { class: "kicker" }, page.kicker), el("h1", {}, page.title),
  el("p", { class: "now", id: "now", "aria-live": "polite" }), el("p", { class: "verdict-line" }, page.verdict),
  page.facts.length > 0 && el("div", { class: "facts" }, el("dl", {}, page.facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))))),
  el("nav", { "aria-label": "Chapters" }, page.menu.map(([id, name]) => el("a", { href: `#${id}` }, name))));

const section = (s) => el("section", { id: s.id }, el("h2", {}, s.heading), s.lead && el("p", { class: "lead" }, s.lead),
  el("div", { class: "figures" }, s.figures.map(figure)));

/* A figure that is being read (its texts pointed at, or its fields in use) is drawn anew as it is
   when it has been left. */
const waiting = new WeakSet();

function redraw(id) {
  const old = document.getElementById(id), texts = figures[id].parts.some((part) => ["tasks", "browser"].includes(part.type));
  if (!texts || !(old.matches(":hover") || old.contains(document.activeElement))) old.replaceWith(figure(figures[id]));
  else if (!waiting.has(old)) {
    waiting.add(old);
    for (const left of ["mouseleave", "focusout"]) old.addEventListener(left, () => setTimeout(() => old.isConnected && redraw(id)));
  }
}

const data = JSON.parse(document.getElementById("data").textContent), main = document.getElementById("page");
const live = data.live === true, parameters = new URLSearchParams(location.search);
const banner = el("p", { class: "banner", role: "status", hidden: true });

function complain(text) {
  banner.textContent = visible(text);
  banner.hidden = !text;
}

async function ask(what, pairs) {
  try {
    const query = new URLSearchParams([...pairs, ["run", parameters.get("run") ?? ""]]);
    const answer = await (await fetch(`${what}?${query}`, { signal: AbortSignal.timeout(20000) })).json();
    complain(answer.error ?? "");
    return answer.error ? null : answer;
  } catch {
    complain("The server of this page does not answer; it is asked again.");
    return null;
  }
}

let version = "", outline = "", figures = {};

/* Take what has changed: the header, then figures by name; all of the page if its chapters did. */
function update(answer) {
  const { page } = answer, names = page.sections.flatMap((s) => s.figures);
  const shape = JSON.stringify(page.sections.map((s) => [s.id, s.heading, s.lead, s.figures]));
  Object.assign(figures, answer.figures);
  if (!names.every((id) => figures[id])) { version = ""; return; }
  const whole = { ...page, sections: page.sections.map((s) => ({ ...s, figures: s.figures.map((id) => figures[id]) })) };
  if (shape !== outline) {
    main.replaceChildren(banner, ...runs(answer.runs), header(whole), ...whole.sections.map(section));
    outline = shape;
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } else {
    document.getElementById("top").replaceWith(header(whole));
    Object.keys(answer.figures).forEach(redraw);
  }
  document.title = `${visible(page.title)} \u00b7 Red Queen`;
  version = answer.version;
}

const runs = (names) => names.length < 2 ? [] : [el("nav", { class: "runs", "aria-label": "Runs" }, names.map((name, i) =>
  el("a", { href: `?run=${encodeURIComponent(name)}`, "aria-current": name === (parameters.get("run") || names[0]) ? "page" : null }, name)))];

async function follow() {
  const answer = await ask("page", [["since", version]]);
  try {
    if (answer?.page) update(answer);
  } catch (error) {
    console.error(error);
    complain(`This run cannot be drawn (${error}).`);
  }
  if (answer?.now != null && document.getElementById("now")) document.getElementById("now").textContent = visible(answer.now);
  const brief = answer?.page?.sections.length === 1;  // the first screen: the rest is there at once
  setTimeout(follow, brief ? 0 : document.hidden ? 10000 : 2000);
}

if (live) {
  main.append(banner);
  follow();
} else {
  main.append(header(data.page), ...data.page.sections.map(section));
}
