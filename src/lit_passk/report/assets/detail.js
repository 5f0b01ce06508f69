// One problem: prompt, answers and completions. Completions are typeset when they come into view.
"use strict";

const OUTCOMES = { correct: "✓ correct", wrong: "✗ wrong", unscored: "? unscored" };
const FILTERS = {
  all: ["All", () => true],
  correct: ["Correct", one => one.outcome === "correct"],
  wrong: ["Wrong", one => one.outcome === "wrong"],
  unscored: ["Unscored", one => one.outcome === "unscored"],
  truncated: ["Truncated", one => one.truncated],
};

function readCompletion(values) {
  const [sample, code, truncated, tokens, logprob, reward, answer, error, text, left, parts, step, advantage] = values;
  return { sample, outcome: ["wrong", "correct", "unscored"][code], truncated, tokens, logprob, reward, answer, error, text,
    left, parts, step, advantage };
}

function detailPane(problem, blob, view, index, go) {
  const runs = blob.map(run => run && { answers: run.answers, completions: run.completions.map(readCompletion) });
  const run = runs[view.run] ?? { answers: [], completions: [] };
  const lazy = new IntersectionObserver(fillVisible, { root: document.getElementById("detail"), rootMargin: "400px" });
  const pane = document.createDocumentFragment();
  pane.append(
    make("div", { className: "title" }, make("h2", {}, problem.id),
      make("span", { className: "where" }, index.benchmarks[problem.benchmark]),
      make("button", { className: "pill", type: "button", title: "previous problem (k)", onclick: () => go(-1) }, "‹ prev"),
      make("button", { className: "pill", type: "button", title: "next problem (j)", onclick: () => go(1) }, "next ›")),
    make("div", { className: "card" }, make("div", { className: "label" }, "Prompt"),
      make("div", { className: "prompt" }, renderText(problem.prompt, view.source)),
      make("div", { className: "reference" }, make("div", { className: "label" }, "Reference"),
        answerText(problem.reference, view.source))));
  if (index.runs.length > 1) pane.append(runRow(problem, index, view));
  const visits = problem.cells[view.run]?.visits;
  if (view.step && !visits?.some(visit => visit.step === view.step)) view = { ...view, step: 0 };
  if (visits) pane.append(stepRow(visits, view));
  const ofStep = run.completions.filter(one => !visits || view.step === 0 || one.step === view.step);
  if (run.answers.length) pane.append(answerRow(countAnswers(run.answers, ofStep), view));
  const shown = ofStep.filter(FILTERS[view.filter][1])
    .filter(one => view.answer === null || one.answer === view.answer);
  pane.append(filterRow(ofStep, view));
  if (!shown.length) pane.append(make("p", { className: "none" }, ofStep.length ? "No completion matches." : "The page holds no completions of this step."));
  let step = null;
  for (const one of shown) {
    if (visits && one.step !== step) {
      step = one.step;
      pane.append(make("h3", {}, visitTitle(visits.find(visit => visit.step === step))));
    }
    const card = completionCard(one, run.answers, view);
    lazy.observe(card);
    pane.append(card);
  }
  return pane;
}

// A bare formula in an answer key has no delimiters; the tests of a program are JSON.
function answerText(text, source) {
  if (!source && /^\s*[[{]"/.test(text)) {
    const box = make("div", { className: "text" });
    box.append(preformatted(text));
    return box;
  }
  const formula = !source && /\\[a-zA-Z]|[\^_]\S/.test(text) && !/\$|\\\(|\n/.test(text);
  return renderText(formula ? `$${text}$` : text, source);
}

function runRow(problem, index, view) {
  const pills = index.runs.map((run, number) => {
    const cell = problem.cells[number];
    return cell && make("button", { className: "pill", type: "button", ariaPressed: String(number === view.run),
      onclick: () => update({ run: number, answer: null }) }, make("bdi", {}, run.label), make("b", {}, ` ${cell.correct}/${cell.scored}`));
  });
  return make("div", { className: "row" }, make("span", { className: "label" }, "Run"), ...pills.filter(Boolean));
}

// Answers as [text, count, correct, number], counted again over some of the completions; most common first.
function countAnswers(answers, completions) {
  const counted = answers.map(([text], number) => [text, 0, 0, number]);
  for (const one of completions) {
    if (one.answer === -1) continue;
    counted[one.answer][1] += 1;
    counted[one.answer][2] += one.outcome === "correct";
  }
  return counted.filter(answer => answer[1]).sort((a, b) => b[1] - a[1]);
}

function answerRow(answers, view) {
  const shown = answers.slice(0, 24).map(([text, count, correct, number]) => make("button", {
    className: correct * 2 >= count ? "pill answer correct" : "pill answer", type: "button", title: text,
    ariaPressed: String(view.answer === number),
    onclick: () => update({ answer: view.answer === number ? null : number }),
  }, make("bdi", {}, text), make("b", {}, ` × ${count}`)));
  const rest = answers.length > 24 ? [make("span", { className: "none" }, `and ${answers.length - 24} more`)] : [];
  return make("div", { className: "row" }, make("span", { className: "label" }, "Answers"), ...shown, ...rest);
}

function filterRow(completions, view) {
  const pills = Object.entries(FILTERS).map(([name, [label, test]]) => {
    const count = completions.filter(test).length;
    return count || name === "all" ? make("button", { className: "pill", type: "button",
      ariaPressed: String(view.filter === name), onclick: () => update({ filter: name }) }, `${label} `, make("b", {}, count)) : null;
  });
  return make("div", { className: "row" }, make("span", { className: "label" }, "Completions"), ...pills.filter(Boolean),
    make("button", { className: "pill push", type: "button", ariaPressed: String(view.source),
      onclick: () => update({ source: !view.source }) }, "Source text"));
}

function completionCard(one, answers, view) {
  const given = one.answer === -1 ? "no answer" : answers[one.answer][0];
  const meta = make("div", { className: "meta" },
    make("span", { className: "outcome" }, OUTCOMES[one.outcome]),
    make("span", {}, `#${one.sample}`),
    make("span", { className: one.answer === -1 ? "none" : "given", title: given }, given),
    one.truncated ? make("span", { className: "tag" }, "truncated") : "",
    one.error ? make("span", { className: "tag" }, one.error) : "",
    make("span", { className: "push" }, `${one.tokens} tokens`),
    one.logprob === null ? "" : make("span", { title: "mean log-probability of its tokens" }, `log-prob ${one.logprob.toFixed(2)}`),
    one.reward === Number(one.outcome === "correct") ? "" : make("span", {}, `reward ${+one.reward.toFixed(4)}`),
    ...Object.entries(one.parts).map(([name, value]) => make("span", { title: "part of the reward" }, `${name} ${+value.toFixed(4)}`)),
    typeof one.advantage === "number" ? make("span", {}, `advantage ${+one.advantage.toFixed(3)}`) : "");
  const card = make("article", { className: `card completion ${one.outcome}` }, meta, make("div", { className: "body" }));
  card.fill = () => fillCard(card, one, view);
  return card;
}

function fillVisible(entries, observer) {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    observer.unobserve(entry.target);
    entry.target.fill();
  }
}

function fillCard(card, one, view) {
  const body = card.querySelector(".body");
  const parts = one.left ? one.text.split("\u0000") : [one.text];
  parts.forEach((part, number) => {
    if (number) body.append(make("p", { className: "none" }, `… ${one.left.toLocaleString()} characters left out of this page …`));
    body.append(renderText(part, view.source));
  });
  if (body.scrollHeight <= body.clientHeight + 40) {
    body.classList.add("open");
    return;
  }
  body.classList.add("long");
  const more = make("button", { className: "more", type: "button" }, "Show all");
  more.onclick = () => {
    more.textContent = body.classList.toggle("open") ? "Show less" : "Show all";
  };
  card.append(more);
}
