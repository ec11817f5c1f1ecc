// The playground: picks, edits and fires; shows cards and why; marks what changed since the last run.
import { asCurl, post, pretty } from "./calling.js";
import { cardElement, prepare } from "./cards.js";
import { changesElement } from "./changes.js";
import { copy, counted, el } from "./elements.js";
import { problemPanel } from "./problems.js";
import { assessmentOf, badge, casesOf, keyOf, place, stagesElement, traceElement, traceOf } from "./trace.js";

const MOST_OPEN = 3; // orders whose cards are shown unfolded; of more, each is one line until it is asked for
const part = (id) => document.getElementById(id);
const bench = part("bench");
const service = `${bench.dataset.base}${bench.dataset.service}`;
const needsToken = "needsToken" in bench.dataset;

const run = { sample: null, last: null, answered: null, request: null, firing: null };
let loaded = 0; // grows with every document that is asked for and loaded: what comes for an earlier one is not shown
let editing = null; // the editor, once its module is here

const ready = import("./editor.js").then(({ editor }) => {
  editing = editor(part("editor"), {
    label: "FHIR Bundle or CDS Hooks request, as JSON",
    onChange: changed,
    onFire: fire,
    onProblem: (problem) => { part("problem").replaceChildren(...(problem ? [problemLine(problem)] : [])); },
  });
});

function problemLine(problem) {
  return el("button", { type: "button", class: "plain", click: () => editing.goTo(problem) }, problem.message);
}

function changed(text) {
  if (run.firing === null && run.answered !== null) say(text === run.answered ? "" : "Edited since the last run.");
}

function say(text) {
  part("state").textContent = text;
}

// ---- samples and files

async function pick(name, { remember = true, thenFire = !needsToken } = {}) {
  const link = document.querySelector(`#groups a[data-sample="${CSS.escape(name)}"]`);
  if (!link) return;
  const mine = ++loaded;
  await ready;
  const response = await fetch(`${bench.dataset.samples}${encodeURIComponent(name)}.json`).catch(() => null);
  const text = response?.ok ? await response.text().catch(() => null) : null;
  if (mine !== loaded) return;
  if (text === null) {
    result(problemPanel({ status: response?.ok ? 0 : (response?.status ?? 0) }));
    say("");
    return;
  }
  load(text, name);
  if (remember) history.pushState({ sample: name }, "", link.href);
  if (thenFire) await fire();
}

function load(text, name) {
  loaded += 1;
  run.sample = name;
  run.last = null;
  run.answered = null;
  editing.setText(text);
  part("samples").open = false;
  part("link").hidden = !name;
  part("chosen").textContent = name ? `· ${name}` : "· your own";
  for (const link of document.querySelectorAll("#groups a")) {
    if (link.dataset.sample === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  say("");
}

async function takeFile(file) {
  const mine = ++loaded;
  await ready;
  const text = await file.text();
  if (mine !== loaded) return;
  load(text, null);
  history.replaceState({}, "", location.pathname);
  say(`${file.name} is in the editor. Nothing has been sent.`);
}

function filter() {
  const words = part("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of document.querySelectorAll("#groups .group")) {
    const title = group.querySelector("h3").textContent;
    let here = 0;
    for (const item of group.querySelectorAll("li")) {
      const text = `${title} ${item.textContent}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      here += item.hidden ? 0 : 1;
    }
    group.hidden = here === 0;
    found += here;
  }
  part("none-found").hidden = found > 0;
}

// ---- firing

async function prepared() {
  const mine = loaded;
  const answer = await post(bench.dataset.prepare, editing.text());
  if (answer.status === 200) return JSON.stringify(answer.data, null, 2);
  if (mine === loaded) result(problemPanel(answer));
  return null;
}

async function fire() {
  await ready;
  const mine = loaded;
  if (run.firing === mine) return;
  const text = editing.text();
  if (!text.trim()) {
    say("There is nothing to send yet: pick a sample, or paste a Bundle.");
    return;
  }
  run.firing = mine;
  part("fire").setAttribute("aria-busy", "true");
  say("Fired …");
  try {
    const request = await prepared();
    if (mine !== loaded) return;
    if (request === null) say("");
    else if (!(await show(request, text, mine))) return;
    part("samples").open = false; // whoever has fired edits next, and needs the room
    comeToSight(part("answered"));
  } finally {
    if (run.firing === mine) {
      run.firing = null;
      part("fire").removeAttribute("aria-busy");
    }
  }
}

/** Show the answer to a request; not, and say so, once another document has been asked for. */
async function show(request, text, mine) {
  const [answer] = await Promise.all([post(bench.dataset.service, request, token()), prepare()]);
  if (mine !== loaded) return false;
  run.request = request;
  if (answer.status !== 200) {
    result(problemPanel(answer), request, answer);
    say("");
    return true;
  }
  const trace = traceOf(answer.data);
  const now = new Map(answer.data.cards.map(assessmentOf).filter(Boolean).map((held) => [keyOf(held), held]));
  result(resultOf(answer, trace, now), request, answer);
  run.last = now;
  run.answered = text;
  say(text === editing.text() ? "" : "Edited since the last run.");
  return true;
}

/** Bring the answer to sight where it stands below the editor, as on a phone; beside the editor it is in sight. */
function comeToSight(section) {
  if (section.getBoundingClientRect().top > innerHeight / 2) section.scrollIntoView({ block: "start" });
}

function token() {
  const field = part("token");
  const given = field?.value.trim();
  if (field) field.value = ""; // it counts once
  return given;
}

// ---- showing

function result(content, request = null, answer = null) {
  part("result").replaceChildren(request === null ? content : tabs(content, request, answer));
}

function tabs(content, request, answer) {
  const views = [
    ["Cards", content],
    ["Request", raw(`POST ${service}`, request)],
    ["Response", raw(answer.status ? `HTTP ${answer.status}` : "No response", pretty(answer.body))],
  ];
  const panels = views.map(([title, view], at) => el("div", { role: "tabpanel", id: `panel-${at}`, "aria-labelledby": `tab-${at}`, hidden: at > 0 }, view));
  const buttons = views.map(([title], at) => el("button", { type: "button", role: "tab", id: `tab-${at}`, "aria-controls": `panel-${at}`, "aria-selected": String(at === 0), tabindex: at ? "-1" : "0", click: () => choose(at), keydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose((at + step + views.length) % views.length);
  } }, title));
  function choose(chosen) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === chosen));
      button.tabIndex = at === chosen ? 0 : -1;
      panels[at].hidden = at !== chosen;
    });
    buttons[chosen].focus();
  }
  return el("div", {}, el("div", { role: "tablist", "aria-label": "The answer", class: "tabs" }, buttons), panels);
}

function raw(title, text) {
  const button = el("button", { type: "button", click: async () => {
    button.textContent = (await copy(text)) ? "Copied" : "Select the text to copy it";
  } }, "Copy");
  return el("div", { class: "raw" }, el("p", {}, el("code", {}, title), " ", button), el("pre", { tabindex: "0" }, el("code", {}, text)));
}

function resultOf(answer, trace, now) {
  const { cards, systemActions = [] } = answer.data;
  const reasons = trace.orders.filter((order) => order.because);
  const cases = casesOf(cards);
  return el("div", { class: "cases" },
    run.last ? changesElement(run.last, now) : null,
    cards.length ? null : noCards(trace.orders),
    cases.length > MOST_OPEN ? overview(cards) : null,
    cases.map((one, at) => caseElement(one, trace, cases.length <= MOST_OPEN || at === 0)),
    systemActions.length ? el("details", { class: "panel" }, el("summary", {}, `${counted(systemActions.length, "change")} that the EHR makes without asking`),
      el("ul", {}, systemActions.map((action) => el("li", {}, action.description ?? `${action.type} ${action.resource?.resourceType}/${action.resource?.id}`)))) : null,
    cards.length && reasons.length ? el("details", { class: "panel" }, el("summary", {}, `${counted(reasons.length, "other order")} without a card`), ordersWithout(reasons)) : null,
    stagesElement(trace.stages, answer.ms));
}

function noCards(orders) {
  return el("div", { class: "panel empty" },
    el("p", {}, el("strong", {}, "No card."), " The EHR shows nothing, and the clinician signs as usual."),
    orders.length ? ordersWithout(orders) : el("p", { class: "quiet" }, "The request holds no order that could concern a policy."));
}

function ordersWithout(orders) {
  return el("ul", {}, orders.map((order) => el("li", {}, place(order.order, showResource), ": ", (order.because ?? "").replace(/^No card: /, ""))));
}

function overview(cards) {
  const outcomes = cards.map((card) => assessmentOf(card)).filter(Boolean).map((held) => held.outcome ?? held.basis ?? "undocumented");
  const counts = [...new Set(outcomes)].map((outcome) => [badge(outcome), ` ${outcomes.filter((one) => one === outcome).length} `]);
  return el("p", { class: "overview" }, el("strong", {}, counted(cards.length, "card")), " ", counts);
}

function caseElement({ held, cards }, trace, open) {
  const outcome = held?.outcome ?? (held?.elsewhere ? "elsewhere" : null);
  const title = [held?.order ?? cards[0].source?.label, held?.policy?.id ?? held?.elsewhere?.document].filter(Boolean).join(" · ");
  return el("details", { class: "case", open },
    el("summary", {}, el("h3", { dir: "auto" }, title), outcome ? badge(outcome) : null),
    el("div", { class: "pair" },
      el("div", { class: "told" }, cards.map((card) => cardElement(card, { accept, override })), held ? record(held) : null),
      held?.criteria || held?.elsewhere ? traceElement(held, trace, run.last?.get(keyOf(held)), showResource) : null));
}

function record(held) {
  const { records } = bench.dataset;
  return records ? el("p", { class: "quiet small" }, el("a", { href: `${records}?id=${encodeURIComponent(held.decisionId)}` }, "The record of this decision")) : null;
}

function showResource(reference, arrive) {
  if (!editing.show(reference)) {
    if (arrive) say(`${reference} is not in the editor's text: the service fetched it, or made it up from another record.`);
    return;
  }
  if (arrive && part("editor").getBoundingClientRect().top < 0) part("editor").scrollIntoView({ block: "start" });
  if (arrive) say(`${reference} is marked in the editor.`);
}

// ---- feedback

async function accept(card, suggestion) {
  let done = "";
  for (const action of suggestion.actions ?? []) {
    const { resourceType, id } = action.resource ?? {};
    if (action.type === "create") done += ` An EHR would now create the ${resourceType}.`;
    if (action.type === "update" && editing.replace(`${resourceType}/${id}`, action.resource))
      done += " The order in the editor is changed; fire again to see it judged.";
  }
  return feedback({ card: card.uuid, outcome: "accepted", acceptedSuggestions: [{ id: suggestion.uuid }] }, `Accepted.${done}`);
}

async function override(card, reason, comment) {
  const why = { ...(reason ? { reason: { code: reason.code, system: reason.system, display: reason.display } } : {}), ...(comment ? { userComment: comment } : {}) };
  return feedback({ card: card.uuid, outcome: "overridden", ...(Object.keys(why).length ? { overrideReason: why } : {}) }, "Overridden; the service has the reason.");
}

async function feedback(entry, done) {
  const body = JSON.stringify({ feedback: [{ ...entry, outcomeTimestamp: new Date().toISOString() }] });
  const answer = await post(`${bench.dataset.service}/feedback`, body, token());
  return answer.status === 200 ? done : `The feedback was not taken (${answer.status || "no answer"}). ${answer.data?.issue?.[0]?.diagnostics ?? ""}`;
}

// ---- wiring

part("fire").addEventListener("click", fire);
part("find").addEventListener("input", filter);
part("open").addEventListener("click", () => part("file").click());
part("file").addEventListener("change", (event) => { if (event.target.files[0]) takeFile(event.target.files[0]); event.target.value = ""; });
part("curl").addEventListener("click", async () => {
  await ready;
  const request = editing.text().trim() ? await prepared() : null;
  if (request === null) return;
  const command = asCurl(service, request, needsToken);
  if (await copy(command)) say("The command is on the clipboard.");
  else result(raw("The same call from a terminal", command));
});
part("link").addEventListener("click", async () => {
  const url = new URL(`?sample=${encodeURIComponent(run.sample)}`, location.origin + location.pathname).href;
  say((await copy(url)) ? "The link is on the clipboard." : url);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-sample]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  pick(link.dataset.sample);
});
for (const name of ["dragover", "drop", "dragleave"]) {
  bench.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    bench.classList.toggle("dropping", name === "dragover");
    const file = name === "drop" ? event.dataTransfer.files[0] : null;
    if (file) takeFile(file);
  }, true); // before the editor, which would insert the file where it is dropped
}
window.addEventListener("popstate", () => fromAddress());

function fromAddress() {
  const name = new URLSearchParams(location.search).get("sample");
  if (name) pick(name, { remember: false });
}
fromAddress();
