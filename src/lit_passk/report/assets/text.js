// Text of prompts and completions to DOM nodes: math by KaTeX, code and grids in monospace, the rest as it is.
// Everything is model output and goes in as text nodes, never as markup.
"use strict";

const INLINE = /^\$(?=[^\s$])((?:[^$\\]|\\[\s\S]){0,1500}?[^\s\\$]|[^\s\\$])\$(?!\d)/;
const DISPLAY = [/^\$\$([\s\S]+?)\$\$/, /^\\\[([\s\S]+?)\\\]/];
const ROUND = /^\\\(([\s\S]+?)\\\)/;
const ENVIRONMENT = /^\\begin\{((?:align|equation|gather|aligned|cases|array|matrix|[bpvV]matrix)\*?)\}[\s\S]+?\\end\{\1\}/;

function renderText(text, source) {
  const box = document.createElement("div");
  box.className = "text";
  if (text.trim() === "") {
    box.classList.add("empty");
    box.textContent = text === "" ? "empty" : "only white space";
  } else if (source) {
    box.classList.add("mono");
    box.textContent = text;
  } else if (looksLikeCode(text)) {
    box.append(preformatted(text.replace(/^\n+|\s+$/g, "")));
  } else {
    for (const block of splitBlocks(text)) {
      if (block.code) box.append(preformatted(block.text));
      else appendProse(box, block.text);
    }
  }
  return box;
}

function preformatted(text) {
  const pre = document.createElement("pre");
  pre.textContent = text;
  return pre;
}

// A bare program: several lines, many of them indented or opening with a keyword.
function looksLikeCode(text) {
  if (text.includes("```") || text.includes("\\boxed")) return false;
  const lines = text.split("\n").filter(line => line.trim() !== "");
  const code = lines.filter(line => /^(\s{2,}\S|\t|def |class |import |from \w+ import|return|for .*:$|if .*:$|#include)/.test(line));
  return lines.length > 0 && code.length / lines.length > 0.5;
}

// Fenced code, and grids: three or more lines of one length without words in them.
function splitBlocks(text) {
  const blocks = [];
  const fence = /```[^\n`]*\n([\s\S]*?)(?:\n```|```|$)/g;
  let last = 0;
  for (const match of text.matchAll(fence)) {
    blocks.push(...splitGrids(text.slice(last, match.index)), { code: true, text: match[1] });
    last = match.index + match[0].length;
    if (text[last] === "\n") last += 1;
  }
  return [...blocks, ...splitGrids(text.slice(last))];
}

function splitGrids(text) {
  const lines = text.split("\n");
  const blocks = [];
  let prose = [];
  for (let i = 0; i < lines.length;) {
    let end = i;
    while (end < lines.length && lines[end].length === lines[i].length && isGridLine(lines[end])) end += 1;
    if (end - i >= 3) {
      if (prose.length) blocks.push({ code: false, text: prose.join("\n") });
      blocks.push({ code: true, text: lines.slice(i, end).join("\n") });
      prose = [];
      i = end;
    } else {
      prose.push(lines[i]);
      i += 1;
    }
  }
  if (prose.join("") !== "") blocks.push({ code: false, text: prose.join("\n") });
  return blocks;
}

function isGridLine(line) {
  return line.trim().length >= 3 && !/[a-z]{2}|[\\$]/.test(line);
}

function appendProse(box, text) {
  let plain = "";
  const flush = () => {
    if (plain) appendMarked(box, plain);
    plain = "";
  };
  for (let i = 0; i < text.length;) {
    const found = "\\$".includes(text[i]) ? mathAt(text, i) : null;
    if (found) {
      // A displayed formula is a paragraph already: the line breaks around it would leave holes.
      if (found.display) plain = plain.replace(/[ \t]*\n?[ \t]*$/, "");
      flush();
      box.append(typeset(found.tex, found.display, found.raw));
      i += found.raw.length;
      if (found.display) i += /^[ \t]*\n?/.exec(text.slice(i))[0].length;
    } else {
      // An escaped character is no delimiter.
      const step = text[i] === "\\" && text[i + 1] === "$" ? 2 : 1;
      plain += text.slice(i, i + step);
      i += step;
    }
  }
  flush();
}

function mathAt(text, start) {
  const rest = text.slice(start, start + 6000);
  for (const pattern of DISPLAY) {
    const match = pattern.exec(rest);
    if (match) return { tex: match[1], display: true, raw: match[0] };
  }
  const round = ROUND.exec(rest);
  if (round) return { tex: round[1], display: false, raw: round[0] };
  const environment = ENVIRONMENT.exec(rest);
  if (environment) return { tex: environment[0], display: true, raw: environment[0] };
  if (rest.startsWith("\\boxed{")) return boxedAt(rest);
  const inline = rest[0] === "$" ? INLINE.exec(rest) : null;
  return inline && !/\n\s*\n/.test(inline[1]) ? { tex: inline[1], display: false, raw: inline[0] } : null;
}

function boxedAt(rest) {
  let depth = 0;
  for (let i = 6; i < rest.length; i += 1) {
    if (rest[i] === "\\") i += 1;
    else if (rest[i] === "{") depth += 1;
    else if (rest[i] === "}" && --depth === 0) return { tex: rest.slice(0, i + 1), display: false, raw: rest.slice(0, i + 1) };
  }
  return null;
}

function typeset(tex, display, raw) {
  const span = document.createElement("span");
  try {
    katex.render(tex, span, { displayMode: display, strict: "ignore", trust: false, maxSize: 40, maxExpand: 500 });
  } catch (error) {
    const code = document.createElement("code");
    code.className = "unread";
    code.title = String(error.message);
    code.textContent = raw;
    return code;
  }
  return span;
}

// `code` and **strong**, the two marks that models use most.
function appendMarked(box, text) {
  let last = 0;
  for (const match of text.matchAll(/`([^`\n]+)`|\*\*(\S(?:[^*\n]*\S)?)\*\*/g)) {
    box.append(text.slice(last, match.index));
    const mark = document.createElement(match[1] === undefined ? "strong" : "code");
    mark.textContent = match[1] ?? match[2];
    box.append(mark);
    last = match.index + match[0].length;
  }
  box.append(text.slice(last));
}
