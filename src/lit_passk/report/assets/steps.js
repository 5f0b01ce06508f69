// A prompt over a training: its pass rate at every visit.
"use strict";

function readVisit(values) {
  const [step, correct, scored, total, reward, trained] = values;
  return { step, correct, scored, total, reward, trained, rate: scored ? correct / scored : null };
}

// The pass rate as a colour, from the grey of an empty bar to that of a full one.
function rateColor(rate) {
  if (rate === null) return "var(--bar-unscored)";
  return `color-mix(in srgb, var(--bar) ${Math.round(100 * rate)}%, var(--bar-rest))`;
}

function visitTitle(visit) {
  const reward = visit.reward === null ? "" : `, reward ${+visit.reward.toFixed(3)}`;
  return `step ${visit.step}: ${visit.correct} of ${visit.scored} correct${reward}${visit.trained ? "" : ", not trained on"}`;
}

// For the list: one cell a visit, in one element.
function miniStrip(visits) {
  const width = 100 / visits.length;
  const stops = visits.map((visit, n) => `${rateColor(visit.rate)} ${n * width}% ${(n + 1) * width}%`);
  return make("div", { className: "strip", style: `background: linear-gradient(to right, ${stops.join(", ")})` });
}

// For one prompt: a column a visit, as high as its pass rate; a click shows the completions of its step.
function stepRow(visits, view) {
  const columns = visits.map(visit => {
    const height = visit.rate === null ? 100 : 100 * visit.rate;
    const bar = make("i", { style: `height: ${height}%; background: ${rateColor(visit.rate)}` });
    return make("button", { className: visit.trained ? "visit" : "visit aside", type: "button", title: visitTitle(visit),
      ariaPressed: String(view.step === visit.step), onclick: () => update({ step: view.step === visit.step ? 0 : visit.step, answer: null }) }, bar);
  });
  const all = make("button", { className: "pill", type: "button", ariaPressed: String(view.step === 0),
    onclick: () => update({ step: 0 }) }, `All ${visits.length} steps`);
  const last = visits[visits.length - 1];
  return make("div", { className: "card steps" },
    make("div", { className: "row" }, make("span", { className: "label" }, "Pass rate by step"), all,
      make("span", { className: "none push" }, view.step ? visitTitle(visits.find(visit => visit.step === view.step)) : "a column a visit; [ and ] step through")),
    make("div", { className: "visits" }, ...columns),
    make("div", { className: "axis" }, make("span", {}, `step ${visits[0].step}`), make("span", {}, visits.length > 1 ? `step ${last.step}` : "")));
}

// Late visits against early ones: how much the pass rate rose.
function improvement(cell) {
  const rates = (cell.visits ?? []).map(visit => visit.rate).filter(rate => rate !== null);
  if (rates.length < 2) return null;
  const half = Math.floor(rates.length / 2);
  const mean = list => list.reduce((sum, rate) => sum + rate, 0) / list.length;
  return mean(rates.slice(-half)) - mean(rates.slice(0, half));
}
