// The examples of the report: list, filters, and one example with its evidence in its context.
// Texts reach the page through textContent alone, never as markup.

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en").format;
const words = (name) => name.replaceAll("_", " ");

// ---- data: base64 → inflate → JSON -------------------------------------------------------------

async function inflate(id) {
  const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).json();
}

const blocks = new Map(); // number → promise of its pieces; the last few that were used
const KEPT_BLOCKS = 12;

function block(index) {
  const found = blocks.get(index) ?? inflate(`block-${index}`);
  blocks.delete(index);
  blocks.set(index, found);
  if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  return found;
}

// The text of a context: runs of pieces, in blocks of so many pieces each.
async function contextText([group, ...runs]) {
  const { block: first, sizes } = data.groups[group];
  const parts = [];
  for (let r = 0; r < runs.length; r += 2) {
    let [start, left] = [runs[r], runs[r + 1]];
    for (let b = 0; left > 0; b++) {
      if (start >= sizes[b]) {
        start -= sizes[b];
        continue;
      }
      const pieces = (await block(first + b)).slice(start, start + left);
      parts.push(...pieces);
      left -= pieces.length;
      start = 0;
    }
  }
  return parts.join("");
}

// ---- list and filters --------------------------------------------------------------------------

let data; // what report.py calls the index
let rows; // columns of data.examples
let haystack; // question and answer of each example, folded for the search
let shown = []; // numbers of the examples that pass the filters
let current = -1; // number of the example that is open
const numberOf = new Map(); // id → number
const filters = ["kind", "split", "ctx", "document"];

function fillSelect(name, all, options) {
  $(`filter-${name}`).replaceChildren(
    new Option(all, ""),
    ...options.map(([value, label, count]) => new Option(`${label} (${number(count)})`, value)),
  );
}

function countBy(column) {
  const counts = new Map();
  for (const value of column) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts];
}

function fillFilters() {
  const byCount = countBy(rows.kind).sort((a, b) => b[1] - a[1]);
  fillSelect("kind", "All kinds", byCount.map(([kind, n]) => [kind, words(kind), n]));
  fillSelect("split", "All splits", countBy(rows.split).map(([split, n]) => [split, split, n]));
  const byLength = countBy(rows.ctx).sort((a, b) => a[0] - b[0]);
  fillSelect("ctx", "All lengths", byLength.map(([ctx, n]) => [ctx, `${number(ctx)} tokens`, n]));
  const byTitle = countBy(rows.document).map(([d, n]) => [d, data.documents[d].title, n]);
  byTitle.sort((a, b) => a[1].localeCompare(b[1]));
  fillSelect("document", "All documents", byTitle);
}

function applyFilters() {
  const wanted = filters.map((name) => [rows[name], $(`filter-${name}`).value]);
  const active = wanted.filter(([, value]) => value !== "");
  const terms = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = [];
  for (let i = 0; i < rows.id.length; i++) {
    if (active.some(([column, value]) => String(column[i]) !== value)) continue;
    if (terms.every((term) => haystack[i].includes(term))) shown.push(i);
  }
  const isFiltered = active.length > 0 || terms.length > 0;
  const total = number(rows.id.length);
  $("count").textContent = isFiltered
    ? `${number(shown.length)} of ${total} examples`
    : `${total} examples`;
  $("reset").hidden = !isFiltered;
  for (const bar of document.querySelectorAll("button.bar")) {
    const select = $(`filter-${bar.dataset.filter}`);
    bar.setAttribute("aria-pressed", String(select.value === bar.dataset.value));
  }
  $("list").scrollTop = 0;
  drawList();
  enableSteps();
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

let itemHeight = 0;

// Only the rows in view are in the page; the spacer has the height of all.
function drawList() {
  const [list, spacer] = [$("list"), $("spacer")];
  if (!itemHeight) {
    spacer.append(element("a", "item", "\u00a0"));
    itemHeight = spacer.firstChild.getBoundingClientRect().height;
    spacer.replaceChildren();
    if (!itemHeight) return; // not visible yet
  }
  spacer.style.height = `${shown.length * itemHeight}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / itemHeight) - 4);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / itemHeight) + 9);
  const focused = document.activeElement?.dataset?.place;
  const items = [];
  for (let place = first; place < last; place++) {
    const i = shown[place];
    const link = element("a", "item");
    link.href = `#${rows.id[i]}`;
    link.dataset.place = place;
    link.style.top = `${place * itemHeight}px`;
    link.setAttribute("role", "listitem");
    link.setAttribute("aria-setsize", shown.length);
    link.setAttribute("aria-posinset", place + 1);
    if (i === current) link.setAttribute("aria-current", "true");
    const about = element("span", "", element("b", "", words(rows.kind[i])));
    about.append(` · ${number(rows.tokens[i])} tokens · ${data.documents[rows.document[i]].title}`);
    link.append(element("strong", "", rows.question[i]), about);
    items.push(link);
  }
  spacer.replaceChildren(...items);
  if (focused) items.find((item) => item.dataset.place === focused)?.focus({ preventScroll: true });
}

function scrollListTo(place) {
  const list = $("list");
  const top = place * itemHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + itemHeight > list.scrollTop + list.clientHeight) {
    list.scrollTop = top + itemHeight - list.clientHeight;
  }
}

// ---- one example -------------------------------------------------------------------------------

let evidence = []; // [start, end] in the context that is shown
let evidenceAt = 0;

// [from, to, numbers of the passages that cover it] for a paragraph, cut where passages begin or end
function* segments(from, to) {
  const cuts = new Set([from, to]);
  for (const [start, end] of evidence) {
    if (start > from && start < to) cuts.add(start);
    if (end > from && end < to) cuts.add(end);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  for (let c = 0; c + 1 < sorted.length; c++) {
    const [low, high] = [sorted[c], sorted[c + 1]];
    const covering = evidence.flatMap(([start, end], e) => (start < high && end > low ? [e] : []));
    yield [low, high, covering];
  }
}

const covers = (node, e) => (node.dataset.evidence ?? "").split(" ").includes(String(e));

// “A Title” by An Author (2020)
function named({ title, author, year }) {
  return `“${title}”${author ? ` by ${author}` : ""}${year ? ` (${year})` : ""}`;
}

// Of two papers, each begins with a line that names it; it is no part of the context.
function drawContext(text, papers) {
  const paragraphs = [];
  const name = (paper) => paragraphs.push(element("div", "paper", papers[paper].title));
  const border = papers ? text.indexOf(data.border) : -1;
  if (papers) name(0);
  for (const match of text.matchAll(/[^\n]+(?:\n(?!\n)[^\n]+)*/g)) {
    const paragraph = element("p", match.index === border ? "border" : "");
    paragraph.dir = "auto";
    const to = match.index + match[0].length;
    for (const [low, high, covering] of segments(match.index, to)) {
      const piece = text.slice(low, high);
      if (!covering.length) {
        paragraph.append(piece);
        continue;
      }
      const mark = element("mark", "", piece);
      mark.dataset.evidence = covering.join(" ");
      paragraph.append(mark);
    }
    paragraphs.push(paragraph);
    if (match.index === border) name(1);
  }
  $("context").replaceChildren(...paragraphs);
}

const SVG = "http://www.w3.org/2000/svg";

function rect(className, x, width, y, height) {
  const made = document.createElementNS(SVG, "rect");
  const sizes = { class: className, x: `${x}%`, width, y, height };
  for (const [name, value] of Object.entries(sizes)) made.setAttribute(name, value);
  return made;
}

// The map stands for the scroll height, so that the ticks and the part in view agree.
function drawMap() {
  const context = $("context");
  const top = context.getBoundingClientRect().top - context.scrollTop;
  const marks = [...context.querySelectorAll("mark")];
  const ticks = evidence.map((_, e) => {
    const mark = marks.find((node) => covers(node, e));
    const middle = mark ? mark.getBoundingClientRect().top - top + mark.offsetHeight / 2 : 0;
    const tick = rect("tick", Math.min(99.5, (100 * middle) / context.scrollHeight), 3, 0, "100%");
    tick.dataset.evidence = e;
    tick.classList.toggle("now", e === evidenceAt);
    return tick;
  });
  const track = rect("track", 0, "100%", "35%", "30%");
  $("map").replaceChildren(track, rect("view", 0, 0, "20%", "60%"), ...ticks);
  drawView();
}

function drawView() {
  const [context, view] = [$("context"), $("map").querySelector(".view")];
  if (!view) return;
  const share = (pixels) => `${(100 * pixels) / context.scrollHeight}%`;
  view.setAttribute("x", share(context.scrollTop));
  view.setAttribute("width", share(context.clientHeight));
}

function goToEvidence(wanted) {
  const count = evidence.length;
  if (!count) {
    $("evidence-label").textContent = "No evidence";
    $("context").scrollTop = 0;
    return;
  }
  evidenceAt = (wanted + count) % count;
  for (const node of document.querySelectorAll("mark, .tick")) {
    node.classList.toggle("now", covers(node, evidenceAt));
  }
  const context = $("context");
  const first = context.querySelector("mark.now");
  if (first) {
    const offset = first.getBoundingClientRect().top - context.getBoundingClientRect().top;
    context.scrollTop += offset - context.clientHeight / 3;
    drawView();
  }
  $("evidence-label").textContent = `Evidence ${number(evidenceAt + 1)} of ${number(count)}`;
}

async function openExample(i) {
  current = i;
  const source = data.documents[rows.document[i]];
  const basis = data.kinds[rows.kind[i]]?.[0];
  $("about").replaceChildren(
    element("b", "", words(rows.kind[i])),
    element("span", "basis", basis ? ` · ${basis}` : ""),
    ` · ${rows.split[i]} · ${number(rows.tokens[i])} of ${number(rows.ctx[i])} tokens`,
  );
  $("question").textContent = rows.question[i];
  $("question").classList.toggle("long", rows.question[i].length > 140);
  $("answer").textContent = rows.answer[i];
  $("question").scrollTop = $("answer").scrollTop = 0;
  const how = rows.whole[i] ? "All" : "A part";
  $("source").textContent = `${how} of ${(source.papers ?? [source]).map(named).join(" and ")}`;
  $("permalink").textContent = `#${rows.id[i]}`;
  $("permalink").href = `#${rows.id[i]}`;
  const offsets = rows.evidence[i];
  evidence = [];
  for (let e = 0; e < offsets.length; e += 2) evidence.push([offsets[e], offsets[e + 1]]);
  $("previous-evidence").disabled = evidence.length < 2;
  $("next-evidence").disabled = evidence.length === 0;
  $("next-evidence").textContent = evidence.length > 1 ? "Next evidence" : "Show evidence";
  $("context").replaceChildren(element("p", "small", "Opening the context …"));
  show("example");
  const text = await contextText(data.contexts[rows.context[i]]);
  if (current !== i) return; // another one was opened meanwhile
  drawContext(text, source.papers);
  $("context").scrollTop = 0;
  evidenceAt = 0;
  drawMap();
  goToEvidence(0);
}

function enableSteps() {
  const place = shown.indexOf(current);
  $("previous").disabled = place <= 0 && current >= 0;
  $("next").disabled = shown.length === 0 || place === shown.length - 1;
}

function step(by) {
  if (!shown.length) return;
  // the address, not `current`: that follows later, and a second key may come before it
  const place = shown.indexOf(numberOf.get(decodeURIComponent(location.hash.slice(1))));
  const wanted = place < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, place + by));
  location.hash = rows.id[shown[wanted]];
}

const isNarrow = () => matchMedia("(max-width: 760px)").matches; // as in report.css

// ---- views -------------------------------------------------------------------------------------

function show(view) {
  document.body.dataset.view = view;
  $("reader").hidden = view !== "example";
  for (const tab of document.querySelectorAll("[data-tab]")) {
    const isCurrent = tab.dataset.tab === view || (view === "example" && tab.dataset.tab === "examples");
    if (isCurrent) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  drawList();
  enableSteps();
}

async function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  const i = numberOf.get(id);
  if (i !== undefined) {
    await openExample(i);
    const place = shown.indexOf(i);
    if (place >= 0) scrollListTo(place);
    drawList();
    return;
  }
  if (id === "examples" && !isNarrow() && shown.length) {
    location.replace(`#${rows.id[shown[0]]}`); // the list is there anyway: open its first example
    return;
  }
  const place = shown.indexOf(current); // where the list was left
  current = -1;
  show(id === "examples" ? "examples" : "overview");
  if (id === "examples") {
    if (place >= 0) scrollListTo(place);
    $("list").focus({ preventScroll: true });
  }
}

function trouble(error) {
  $("trouble").textContent = `The examples could not be shown: ${error.message}`;
  $("trouble").hidden = false;
  $("count").textContent = "";
  console.error(error);
}

const guarded = (work) => (...given) => Promise.resolve(work(...given)).catch(trouble);

function listen() {
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilters, 80);
  });
  for (const name of filters) $(`filter-${name}`).addEventListener("change", applyFilters);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(applyFilters));
  $("list").addEventListener("scroll", drawList, { passive: true });
  $("context").addEventListener("scroll", drawView, { passive: true });
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("previous-evidence").addEventListener("click", () => goToEvidence(evidenceAt - 1));
  $("next-evidence").addEventListener("click", () => goToEvidence(evidenceAt + 1));
  $("map").addEventListener("click", (event) => {
    const box = $("map").getBoundingClientRect();
    const context = $("context");
    const share = (event.clientX - box.left) / box.width;
    context.scrollTop = share * context.scrollHeight - context.clientHeight / 2;
  });
  document.querySelector(".overview").addEventListener("click", (event) => {
    const bar = event.target.closest("button.bar");
    if (!bar) return;
    const select = $(`filter-${bar.dataset.filter}`);
    select.value = select.value === bar.dataset.value ? "" : bar.dataset.value;
    applyFilters();
    if (select.value && isNarrow()) location.hash = "examples";
  });
  addEventListener("resize", () => {
    itemHeight = 0;
    drawList();
    if (current >= 0) drawMap();
  });
  addEventListener("hashchange", guarded(route));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const actions = {
      j: () => step(1),
      k: () => step(-1),
      n: () => current >= 0 && goToEvidence(evidenceAt + 1),
      p: () => current >= 0 && goToEvidence(evidenceAt - 1),
      "/": () => {
        if (!$("search").offsetParent) location.hash = "examples";
        setTimeout(() => $("search").focus());
      },
      Escape: () => (location.hash = current >= 0 && isNarrow() ? "examples" : ""),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to unpack them. Chrome 103, Firefox 113 and Safari 16.4, or newer, can.");
  }
  data = await inflate("index");
  rows = data.examples;
  haystack = rows.question.map((question, i) => `${question}\n${rows.answer[i]}`.toLowerCase());
  rows.id.forEach((id, i) => numberOf.set(id, i));
  fillFilters();
  listen();
  applyFilters();
  await route();
}

guarded(start)();
