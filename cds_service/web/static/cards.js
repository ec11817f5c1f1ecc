// A card as an EHR shows it: indicator, summary, detail, links, suggestions, override reasons.
import { el, foreign } from "./elements.js";

const INDICATORS = { info: "Information", warning: "Warning", critical: "Critical" };
let toHtml = null;

/** Make ready to show cards: Markdown is read by a module that is loaded when the first card comes. */
export async function prepare() {
  toHtml ??= (await import("./markdown.js")).toHtml;
}

/** Return a card. `actions`: `accept(card, suggestion)` and `override(card, reason, comment)`, each resolves to a word on what came of it. */
export function cardElement(card, actions) {
  const indicator = card.indicator in INDICATORS ? card.indicator : "info";
  const said = el("p", { class: "said quiet", role: "status" });
  return el("article", { class: `card ${indicator}`, "aria-label": `Card: ${card.summary}` },
    el("header", {},
      el("span", { class: "indicator" }, INDICATORS[indicator]),
      el("span", { class: "source quiet" }, sourceOf(card))),
    el("p", { class: "summary", dir: "auto" }, card.summary),
    card.detail ? detailOf(card.detail) : null,
    card.links?.length ? el("p", { class: "links" }, card.links.map(linkOf)) : null,
    card.suggestions?.length ? suggestionsOf(card, actions, said) : null,
    overrideOf(card, actions, said),
    said);
}

function sourceOf(card) {
  const topic = card.source?.topic?.display;
  return ["from ", foreign(card.source?.label ?? "an unnamed source"), topic ? ` · ${topic}` : ""];
}

function detailOf(markdown) {
  const body = el("div", { class: "detail" });
  // made by a reader that passes on no HTML of the text; the Content-Security-Policy runs none either
  body.innerHTML = toHtml(markdown);
  const toggle = el("button", { type: "button", class: "plain", "aria-expanded": "false", click: () => {
    const whole = body.classList.toggle("whole");
    toggle.setAttribute("aria-expanded", String(whole));
    toggle.textContent = whole ? "Show less" : "Show the whole detail";
  } }, "Show the whole detail");
  requestAnimationFrame(() => { toggle.hidden = body.scrollHeight <= body.clientHeight + 2; });
  return [body, toggle];
}

function linkOf(link) {
  if (!/^https?:\/\//i.test(link.url)) return el("span", {}, link.label);
  const app = link.type === "smart" ? " (SMART app)" : "";
  return el("a", { href: link.url, target: "_blank", rel: "noopener noreferrer" }, `${link.label}${app}`);
}

function suggestionsOf(card, actions, said) {
  return el("div", { class: "suggestions", role: "group", "aria-label": "Suggestions" },
    card.suggestions.map((suggestion) => [
      el("button", { type: "button", class: suggestion.isRecommended ? "primary" : false, click: async () => {
        said.textContent = await actions.accept(card, suggestion);
      } }, suggestion.label),
      (suggestion.actions ?? []).map((action) => el("p", { class: "quiet small" }, action.description)),
    ]));
}

function overrideOf(card, actions, said) {
  const reasons = card.overrideReasons ?? [];
  const reason = el("select", {}, reasons.map((one, index) => el("option", { value: index }, one.display)));
  const comment = el("input", { type: "text", maxlength: "500", dir: "auto" });
  const send = el("button", { type: "submit" }, "Send feedback");
  const form = el("form", { submit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    said.textContent = await actions.override(card, reasons[reason.value], comment.value.trim());
    send.disabled = false;
  } },
  reasons.length ? el("label", {}, "Reason", reason) : null,
  el("label", {}, "Comment", comment),
  send);
  return el("details", { class: "override" }, el("summary", {}, "Override this card…"), form);
}
