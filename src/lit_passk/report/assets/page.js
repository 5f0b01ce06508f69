// The page's state and events. The state is in the address after '#', so that a view can be linked to.
"use strict";

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

async function inflate(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

const START = { tab: "overview", problem: -1, run: 0, benchmark: -1, show: "all", sort: "file", search: "", filter: "all",
  answer: null, step: 0, source: false };
const LIST_KEYS = ["run", "benchmark", "show", "sort", "search"];
const byId = id => document.getElementById(id);
let index, problems, chosen = [], view = { ...START }, opened = null;

function viewOfAddress() {
  const read = { ...START };
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    if (name in START) read[name] = typeof START[name] === "number" || name === "answer" ? Number(text) : text;
  }
  read.source = String(read.source) === "true";
  if (!(read.show in SHOW)) read.show = START.show;
  if (!(read.sort in SORT)) read.sort = START.sort;
  if (!(read.filter in FILTERS)) read.filter = START.filter;
  if (!index.runs[read.run]) read.run = 0;
  if (!problems[read.problem]) read.problem = -1;
  return read;
}

function update(change) {
  view = { ...view, ...change };
  const changed = Object.entries(view).filter(([name, value]) => value !== START[name]);
  history.replaceState(null, "", `#${new URLSearchParams(changed)}`);
  show(LIST_KEYS.some(name => name in change));
}

function show(listChanged) {
  for (const tab of ["overview", "problems"]) {
    byId(tab).hidden = view.tab !== tab;
    byId(`tab-${tab}`).ariaPressed = String(view.tab === tab);
  }
  if (view.tab !== "problems") return;
  for (const id of ["benchmark", "run", "show", "sort"]) byId(id).value = view[id];
  if (listChanged) {
    chosen = chooseProblems(problems, view);
    byId("list").replaceChildren(...chosen.map(problem => listItem(problem, view, index.runs)));
    const rates = chosen.map(problem => problem.cells[view.run].rate).filter(rate => rate !== null);
    const mean = rates.length ? rates.reduce((sum, rate) => sum + rate, 0) / rates.length : null;
    byId("count").textContent = `${chosen.length.toLocaleString()} of ${problems.length.toLocaleString()} problems`
      + (mean === null ? "" : `, solve rate ${(100 * mean).toFixed(1)} %`);
  }
  if (!problems[view.problem]?.cells[view.run] && chosen.length) view.problem = chosen[0].number;
  showDetail();
}

async function showDetail() {
  const problem = problems[view.problem];
  for (const item of byId("list").querySelectorAll("[aria-current]")) item.ariaCurrent = null;
  const item = byId("list").querySelector(`[data-number="${view.problem}"]`);
  if (item) {
    item.ariaCurrent = "true";
    item.scrollIntoView({ block: "nearest" });
  }
  if (!problem) return byId("detail").replaceChildren(make("p", { className: "none" }, "No problem matches."));
  if (opened?.number !== problem.number) {
    opened = { number: problem.number, blob: inflate(`p${problem.number}`), fresh: true };
  }
  const wanted = opened;
  const blob = await wanted.blob;
  if (wanted !== opened) return undefined;
  const top = wanted.fresh ? 0 : byId("detail").scrollTop;
  byId("detail").replaceChildren(detailPane(problem, blob, view, index, go));
  byId("detail").scrollTop = top;
  wanted.fresh = false;
  return undefined;
}

function go(step) {
  const at = chosen.findIndex(problem => problem.number === view.problem);
  const next = chosen[Math.min(Math.max(at + step, 0), chosen.length - 1)];
  if (next) update({ problem: next.number, answer: null, filter: "all", step: 0 });
}

// To the visit before or after the shown one, of a prompt with a history.
function goStep(by) {
  const visits = problems[view.problem]?.cells[view.run]?.visits;
  if (!visits) return;
  const at = visits.findIndex(visit => visit.step === view.step);
  const next = at === -1 ? (by > 0 ? 0 : visits.length - 1) : Math.min(Math.max(at + by, 0), visits.length - 1);
  update({ step: visits[next].step, answer: null });
}

function fillSelect(id, options, read) {
  const select = byId(id);
  select.replaceChildren(...options.map(([value, label]) => make("option", { value }, label)));
  select.onchange = () => update({ ...together(id, read(select.value)), answer: null, step: 0 });
}

// A run need not have every benchmark: choosing one where they do not meet moves the other.
function together(id, value) {
  const { run, benchmark } = { ...view, [id]: value };
  const meet = (a, b) => problems.some(problem => problem.cells[a] && (b === -1 || problem.benchmark === b));
  if (meet(run, benchmark)) return { [id]: value };
  return id === "run" ? { run, benchmark: -1 } : { run: index.runs.findIndex((_, other) => meet(other, benchmark)), benchmark };
}

function onKey(event) {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const inDetail = event.key.startsWith("Arrow") && byId("detail").contains(event.target);
  if (view.tab === "problems" && step && !inDetail) {
    event.preventDefault();
    go(step);
  } else if (view.tab === "problems" && (event.key === "[" || event.key === "]")) {
    goStep(event.key === "]" ? 1 : -1);
  } else if (event.key === "/") {
    event.preventDefault();
    if (view.tab !== "problems") update({ tab: "problems", run: view.run });
    byId("search").focus();
  }
}

async function start() {
  index = await inflate("index");
  problems = prepareProblems(index);
  view = viewOfAddress();
  const several = index.runs.length > 1;
  byId("tab-problems").textContent = `Problems (${problems.length.toLocaleString()})`;
  fillSelect("benchmark", [[-1, "All"], ...index.benchmarks.map((name, number) => [number, name])], Number);
  fillSelect("run", index.runs.map((run, number) => [number, run.label]), Number);
  fillSelect("show", Object.entries(SHOW).map(([name, [label]]) => [name, label]), String);
  const histories = problems.some(problem => problem.cells.some(cell => cell?.visits));
  const sorts = { apart: several, improved: histories, worsened: histories };
  fillSelect("sort", Object.entries(SORT).filter(([name]) => sorts[name] ?? true).map(([name, [label]]) => [name, label]), String);
  byId("search").value = view.search;
  byId("benchmark-label").hidden = index.benchmarks.length < 2;
  byId("run-label").hidden = !several;
  byId("search").oninput = () => update({ search: byId("search").value });
  byId("controls").onsubmit = event => event.preventDefault();
  byId("list").onclick = event => {
    const item = event.target.closest("li");
    if (item) update({ problem: Number(item.dataset.number), answer: null, filter: "all", step: 0 });
  };
  for (const tab of ["overview", "problems"]) byId(`tab-${tab}`).onclick = () => update({ tab, run: view.run });
  document.addEventListener("keydown", onKey);
  show(true);
  document.body.dataset.ready = "true";
}

start();
