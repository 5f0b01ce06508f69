// The list of problems: filter, sort, pick.
"use strict";

const SHOW = {
  all: ["All", () => true],
  never: ["Never solved", cell => cell.scored > 0 && cell.correct === 0],
  sometimes: ["Sometimes solved", cell => cell.correct > 0 && cell.correct < cell.scored],
  always: ["Always solved", cell => cell.scored > 0 && cell.correct === cell.scored],
  unscored: ["With unscored", cell => cell.unscored > 0],
  truncated: ["With truncated", cell => cell.truncated > 0],
};
const SORT = {
  file: ["File order", () => 0],
  hardest: ["Solve rate, low first", cell => cell.rate ?? 2],
  easiest: ["Solve rate, high first", cell => -(cell.rate ?? -1)],
  longest: ["Longest answers first", cell => -cell.tokens],
  diverse: ["Most different answers", cell => -cell.answers],
  improved: ["Pass rate rose most", cell => -(improvement(cell) ?? -9)],
  worsened: ["Pass rate fell most", cell => improvement(cell) ?? 9],
  apart: ["Runs furthest apart", (cell, problem) => -problem.spread],
};

function readCell(values) {
  if (values === null) return null;
  const [total, correct, unscored, truncated, tokens, answers, visits] = values;
  const scored = total - unscored;
  return { total, correct, unscored, truncated, tokens, answers, scored, rate: scored ? correct / scored : null,
    visits: visits ? visits.map(readVisit) : null };
}

function prepareProblems(index) {
  return index.problems.map((problem, number) => {
    const cells = problem.cells.map(readCell);
    const rates = cells.filter(cell => cell && cell.rate !== null).map(cell => cell.rate);
    const spread = rates.length > 1 ? Math.max(...rates) - Math.min(...rates) : -1;
    const words = `${problem.id}\n${problem.prompt}\n${problem.reference}`.toLowerCase();
    return { ...problem, number, cells, spread, words };
  });
}

function chooseProblems(problems, view) {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const test = SHOW[view.show][1];
  const rank = SORT[view.sort][1];
  return problems
    .filter(problem => view.benchmark === -1 || problem.benchmark === view.benchmark)
    .filter(problem => problem.cells[view.run] && test(problem.cells[view.run]))
    .filter(problem => words.every(word => problem.words.includes(word)))
    .map(problem => [rank(problem.cells[view.run], problem), problem])
    .sort((a, b) => a[0] - b[0] || a[1].number - b[1].number)
    .map(pair => pair[1]);
}

function rateBar(cell, other, title) {
  const bar = cell.visits ? miniStrip(cell.visits) : make("div", { className: "bar" });
  if (cell.total && !cell.visits) {
    bar.append(make("i", { style: `width:${100 * cell.correct / cell.total}%` }));
    bar.append(make("i", { className: "unscored", style: `width:${100 * cell.unscored / cell.total}%` }));
  }
  const share = cell.scored ? `${cell.correct} / ${cell.scored}` : "unscored";
  return make("div", { className: other ? "rate other" : "rate", title }, bar, make("span", { className: "share" }, share));
}

function listItem(problem, view, runs) {
  const head = problem.prompt.trim().split("\n", 1)[0].slice(0, 160);
  const bars = problem.cells.map((cell, run) => cell && rateBar(cell, run !== view.run, runs[run].label));
  const item = make("li", {}, make("div", { className: "id" }, problem.id), make("div", { className: "head" }, head),
    ...bars.filter(Boolean));
  item.dataset.number = problem.number;
  return item;
}
