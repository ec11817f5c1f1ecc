// Why a card says what it says: order, therapy, payer, policy, each criterion with its evidence, and what changed.
import { counted, el, foreign, list } from "./elements.js";

export const WORDS = { met: "met", "not-met": "not met", undocumented: "not documented", elsewhere: "governed elsewhere" };
const STAGES = {
  read: "Read the request", triage: "Find orders that concern a policy", chart: "Gather the chart", facts: "Read the chart as facts",
  routing: "Find the policy", evaluation: "Judge the criteria", cards: "Write the cards", record: "Record the decision",
};

export const assessmentOf = (card) => card.extension?.["coverage-cds.assessment"] ?? null;
export const traceOf = (answer) => answer.extension?.["coverage-cds.trace"] ?? { stages: [], orders: [], routes: [] };

/** Return what one card is about, the same from run to run: the order, and the document that governs it. */
export const keyOf = (held) => `${held.order}|${held.policy?.id ?? held.elsewhere?.document ?? ""}`;

/**
 * Return the cards by what they are about, in the order of the answer: one that holds an assessment, and the cards on
 * the same order that come with it, such as the offer of a form.
 */
export function casesOf(cards) {
  const cases = [];
  for (const card of cards) {
    const held = assessmentOf(card);
    const last = cases.at(-1);
    if (!held && last?.held && ordersOf(card).includes(last.held.order)) last.cards.push(card);
    else cases.push({ held, cards: [card] });
  }
  return cases;
}

/** Return the orders that a card names: in the extension of Da Vinci CRD, as what a suggestion changes, or as what it serves. */
function ordersOf(card) {
  const named = (card.extension?.["davinci-crd.associated-resource"] ?? []).map((one) => one.reference ?? one);
  const resources = (card.suggestions ?? []).flatMap(({ actions = [] }) => actions.map(({ resource }) => resource ?? {}));
  const served = resources.flatMap(({ basedOn = [] }) => [basedOn].flat().map(({ reference }) => reference));
  return [...named, ...served, ...resources.map(({ resourceType, id }) => `${resourceType}/${id}`)];
}

export const badge = (outcome) => el("span", { class: `badge ${outcome}` }, WORDS[outcome] ?? outcome);

/** Return the trace of one card. `before` is the assessment of the same order and policy in the last run, if any. */
export function traceElement(held, trace, before, show) {
  const order = trace.orders.find((one) => one.order === held.order);
  const route = trace.routes.find((one) => one.decisionId === held.decisionId);
  return el("div", { class: "trace" },
    el("ol", { class: "steps" },
      el("li", {}, el("h4", {}, "Order"), orderStep(held, order, show)),
      el("li", {}, el("h4", {}, "Payer and policy"), routeStep(held, route, show)),
      held.criteria ? el("li", {}, el("h4", {}, "Criteria"), criteriaStep(held, before, show)) : null),
    folded("Where the policy disagrees with itself", held.conflicts, true),
    folded("Notices", held.notices, false));
}

/** Return buttons of the places where resources stand. */
export function place(reference, show) {
  return el("button", {
    type: "button", class: "place", title: "Show it in the editor",
    click: () => show(reference, true), mouseenter: () => show(reference, false), focus: () => show(reference, false),
  }, foreign(reference));
}

/** Return how long each part of the call took in the service. */
export function stagesElement(stages, roundTrip) {
  const whole = stages.reduce((sum, { ms }) => sum + ms, 0);
  return el("details", { class: "panel stages" },
    el("summary", {}, `${whole.toFixed(1)} ms in the service`, el("span", { class: "quiet" }, `, ${roundTrip.toFixed(0)} ms with the way there and back`)),
    el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Stage"), el("th", { scope: "col" }, "ms"), el("th", { scope: "col" }, "Share"))),
      el("tbody", {}, stages.map(({ stage, ms }) => el("tr", {},
        el("th", { scope: "row" }, STAGES[stage] ?? stage), el("td", {}, ms.toFixed(2)),
        el("td", {}, el("meter", { min: "0", max: String(whole || 1), value: String(ms), "aria-label": `${STAGES[stage] ?? stage}: share of the time` })))))));
}

function orderStep(held, order, show) {
  const name = order?.name ?? held.therapy;
  return [
    el("p", {}, place(held.order, show), order?.display ? [" ", foreign(order.display)] : null),
    name ? el("p", {}, "is ", el("strong", {}, name), order?.by ? `, recognised by ${order.by}` : "",
      order?.codes?.length ? [" ", el("span", { class: "quiet" }, `(${order.codes.join(", ")})`)] : null,
      ". Service date ", el("span", { class: "nobreak" }, `${held.asOf}.`)) : null,
  ];
}

function routeStep(held, route, show) {
  const governs = held.policy
    ? el("p", {}, el("a", { href: `/policies/${encodeURIComponent(held.policy.id)}?on=${held.asOf}` }, el("strong", {}, held.policy.id)), ` ${held.policy.title}, ${held.policy.payer}, from ${held.policy.effectiveFrom}`)
    : held.elsewhere ? el("p", {}, el("strong", {}, held.elsewhere.document), " governs, which this library does not hold.") : null;
  return [
    governs,
    list((route?.why ?? (held.elsewhere ? [held.elsewhere.because] : [])).map((text) => placed(text, route?.coverages ?? [], show)), { class: "why" }),
  ];
}

/** Return a sentence in which every reference that stands in it leads to its place. */
function placed(text, references, show) {
  return references.reduce((parts, reference) => parts.flatMap((part) => typeof part !== "string" ? [part]
    : part.split(reference).flatMap((piece, at) => at ? [place(reference, show), piece] : [piece])), [text]);
}

function criteriaStep(held, before, show) {
  const counts = Object.entries(WORDS).map(([outcome, word]) => [held.criteria.filter((c) => c.outcome === outcome).length, word]);
  return [
    el("p", { class: "quiet" }, counts.filter(([n]) => n).map(([n, word]) => `${n} ${word}`).join(" · "),
      held.criteria.length > 1 ? `; together: ${WORDS[held.outcome]}` : ""),
    el("ul", { class: "criteria" }, held.criteria.map((one) => criterion(one, before?.criteria?.find((c) => c.id === one.id), before, show))),
  ];
}

function criterion(one, earlier, before, show) {
  const changed = before && (earlier?.outcome !== one.outcome || earlier.reason !== one.reason);
  const marks = [one.assumed ? "assumed" : null, one.conflict ? "conflict" : null].filter(Boolean);
  return el("li", {}, el("details", { class: `criterion-row ${one.outcome}${changed ? " changed" : ""}`, "data-criterion": one.id, open: changed || one.outcome !== "met" },
    el("summary", {},
      el("span", { class: "letter" }, one.id), el("span", { class: "text" }, one.text),
      el("span", { class: "state" },
        changed && earlier?.outcome !== one.outcome ? [el("s", { class: "quiet" }, el("span", { class: "unseen" }, "before: "), WORDS[earlier?.outcome] ?? "absent"), " "] : null,
        badge(one.outcome), marks.map((mark) => [" ", el("span", { class: "badge" }, mark)]))),
    el("div", { class: "because" },
      el("p", { dir: "auto" }, one.reason),
      changed && earlier ? el("p", { class: "quiet", dir: "auto" }, "Before: ", el("s", {}, earlier.reason)) : null,
      one.settledBy ? el("p", { class: "settle" }, el("strong", {}, "To settle it: "), one.settledBy) : null,
      evidence(one.evidence ?? [], show),
      one.assumptions?.length ? el("div", { class: "assumptions" }, el("p", { class: "quiet" }, "Assumed, since the policy does not say:"), list(one.assumptions)) : null)));
}

function evidence(found, show) {
  if (!found.length) return null;
  return el("ul", { class: "evidence", "aria-label": counted(found.length, "piece of evidence", "pieces of evidence") }, found.map((one) => el("li", {},
    el("span", { class: "when" }, one.date ?? "undated"), " ",
    one.display ? [foreign(one.display), " "] : null, one.value ? [el("strong", {}, foreign(one.value)), " "] : null,
    place(one.reference, show))));
}

function folded(title, texts, open) {
  if (!texts?.length) return null;
  return el("details", { class: "folded", open }, el("summary", {}, `${title} (${texts.length})`), list(texts));
}
