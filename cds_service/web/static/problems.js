// What went wrong, in words, and what to do about it.
import { el } from "./elements.js";

const TITLES = {
  0: ["The service did not answer", "It may have been stopped, or the network is gone. Nothing was decided. Fire again when it is back."],
  400: ["The service cannot read this request", "Change what the message names, then fire again."],
  401: ["The service wants a token", "The token is missing, used up, too old, or for another URL; the service's log says which. Each call takes a new one."],
  404: ["There is no such service", "The address of this page may have changed; load it again."],
  412: ["Nothing to go on", "Neither the Patient nor any clinical record was sent, and none could be fetched. Put at least the Patient in."],
  413: ["The request is too large", "Send fewer records, or raise COVERAGE_CDS_MAX_BODY."],
  415: ["The service was not sent JSON", "Load this page again, then fire."],
  422: ["The request breaks a rule", "Change what the message names, then fire again."],
  503: ["The service cannot answer now", "Nothing was decided. Fire again in a few seconds."],
};
const FAILED = ["The service failed", "Nothing was decided, and its log says why. Firing again may help."];

/** Return a panel for an answer that is no success; `stage` says which call it was. */
export function problemPanel(answer) {
  const [title, advice] = TITLES[answer.status] ?? FAILED;
  const issues = answer.data?.issue ?? [];
  return el("div", { class: "panel failure", role: "alert" },
    el("p", {}, el("strong", {}, answer.status ? `${title} (${answer.status})` : title)),
    issues.map((issue) => el("p", {}, issue.diagnostics ?? "", issue.expression ? [" ", el("code", {}, issue.expression.join(", "))] : null)),
    el("p", { class: "quiet" }, advice));
}
