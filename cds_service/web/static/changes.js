// What changed from one run to the next: cards that came or went, outcomes, reasons, notices.
import { el } from "./elements.js";
import { badge, WORDS } from "./trace.js";

/** Return what changed, said in a list. Both runs are assessments by `keyOf`. */
export function changesElement(last, now) {
  const found = [
    ...[...now].flatMap(([key, held]) => last.has(key) ? ofOne(last.get(key), held) : [[`${nameOf(held)}: `, el("strong", {}, "new")]]),
    ...[...last].filter(([key]) => !now.has(key)).map(([, held]) => [`${nameOf(held)}: `, el("strong", {}, "gone")]),
  ];
  return el("div", { class: "panel changes", role: "status" },
    found.length ? [el("strong", {}, "Changed since the last run"), el("ul", {}, found.map((one) => el("li", {}, one)))] : "Nothing changed since the last run.");
}

const nameOf = (held) => `${held.order}, ${held.policy?.id ?? held.elsewhere?.document}`;

function ofOne(before, held) {
  const earlier = new Map((before.criteria ?? []).map((one) => [one.id, one]));
  const criteria = (held.criteria ?? []).flatMap((one) => {
    const was = earlier.get(one.id);
    if (was?.outcome !== one.outcome) return [[el("strong", {}, one.id), ` ${WORDS[was?.outcome] ?? "absent"} → `, badge(one.outcome)]];
    return was.reason === one.reason ? [] : [[el("strong", {}, one.id), " ", badge(one.outcome), " as before, for another reason"]];
  });
  return [...criteria, ...lines("New notice: ", held.notices, before.notices), ...lines("No longer a notice: ", before.notices, held.notices)];
}

const lines = (lead, these = [], without = []) => these.filter((text) => !without.includes(text)).map((text) => [lead, el("span", { dir: "auto" }, text)]);
