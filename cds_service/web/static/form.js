// The form of a Questionnaire: what the chart says beside each question, follow-ups after an answer, and from the
// answers a QuestionnaireResponse, which goes to the EHR that launched the form, or is shown to be copied.
const form = document.getElementById("form");
const { canonical, chart, decision } = form.dataset;
const byId = (id) => document.getElementById(id);
const questions = [...form.querySelectorAll("fieldset[data-link]")];
const mode = byId("mode");
const NOT_PROVEN = {
  404: "These questions are not about the patient for whom this form was opened; nothing will be saved.",
  503:
    "It cannot be told just now whether these questions are about the patient for whom this form was opened; nothing " +
    "will be saved. Please wait a moment, then open the form again by the link on the card.",
  other:
    "It could not be checked whether these questions are about the patient for whom this form was opened; nothing " +
    "will be saved. Please open the form again by the link on the card.",
};
let ehr = null; // the session that answers are saved in, once it may save them
let patient = null;
let order = null; // for which the answers are given

// of Da Vinci DTR, since basedOn takes no order of a drug, and servers that look up what it names do not have a draft
const CONTEXT = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context";

const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

function answerOf(question) {
  return question.querySelector("input[type=radio]:checked");
}

function refresh(question) {
  const answer = answerOf(question);
  question.querySelector(".clear").hidden = !answer;
  for (const follow of question.querySelectorAll(".follow")) {
    follow.hidden = follow.dataset.when !== answer?.value;
  }
}

function evidenceLine({ date, display, value, reference }) {
  return element("li", [date, display, value, reference && `(${reference})`].filter(Boolean).join(" "));
}

function told(place, criterion) {
  place.append(element("div", `The chart: ${criterion.reason}`));
  if (criterion.evidence.length > 0) {
    const list = document.createElement("ul");
    list.append(...criterion.evidence.map(evidenceLine));
    place.append(list);
  }
  place.hidden = false;
}

// Follow-ups begin with the newest record of the chart that has what is asked for, a number and its day with the same.
function prefill(question, criterion) {
  const inputs = [...question.querySelectorAll(".follow input")];
  const leading = inputs.find((input) => input.dataset.unit) ?? inputs[0];
  const record = leading && criterion.evidence.find((evidence) => asked(leading, evidence));
  if (!record || inputs.some((input) => input.value)) {
    return;
  }
  for (const input of inputs) {
    input.value = asked(input, record) ?? "";
    input.closest(".follow").querySelector(".from").hidden = !input.value;
  }
}

function asked(input, { date = "", value = "" }) {
  if (input.type === "date") {
    return /^\d{4}-\d{2}-\d{2}$/.test(date) ? date : null;
  }
  const { code } = JSON.parse(input.dataset.unit);
  const found = /^(-?\d+(?:\.\d+)?) ?(\S+)$/.exec(value);
  return found && found[2] === code ? found[1] : null;
}

// A reason, told to the user, why nothing will be saved in the EHR.
class NotArmed extends Error {}

async function showChart(session) {
  const proof = session && {
    server: session.state.serverUrl,
    patient: session.patient.id,
    token: session.state.tokenResponse.access_token,
  };
  const answer = await fetch(chart, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ decision, ...proof }),
  });
  if (!answer.ok) {
    throw Object.assign(new Error(`the chart was answered with ${answer.status}`), { status: answer.status });
  }
  const held = await answer.json();
  patient = held.patient ?? null;
  order = /^[A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,64}$/.test(held.order) ? held.order : null;
  for (const criterion of held.criteria) {
    const question = questions.find((one) => one.dataset.link === criterion.question);
    if (question) {
      told(question.querySelector(".chart"), criterion);
      prefill(question, criterion);
    } else if (criterion.outcome !== "undocumented") {
      const line = element("li", `${criterion.id}, ${criterion.outcome.replace("-", " ")}: ${criterion.reason}`);
      byId("settled").querySelector("ul").append(line);
      byId("settled").hidden = false;
    }
  }
}

function followUp(follow) {
  const input = follow.querySelector("input");
  if (follow.hidden || input.value === "") {
    return null;
  }
  const unit = input.dataset.unit && JSON.parse(input.dataset.unit);
  const answer = unit
    ? { valueQuantity: { value: Number(input.value), unit: unit.display, system: unit.system, code: unit.code } }
    : { valueDate: input.value };
  return { linkId: follow.dataset.link, text: follow.dataset.text, answer: [answer] };
}

function item(question) {
  const chosen = answerOf(question);
  if (!chosen) {
    return null;
  }
  const follows = [...question.querySelectorAll(".follow")].map(followUp).filter(Boolean);
  const answer = { valueCoding: JSON.parse(chosen.dataset.coding), ...(follows.length > 0 && { item: follows }) };
  const text = question.querySelector(".asked").textContent;
  return { linkId: question.dataset.link, text, answer: [answer] };
}

function author() {
  const user = ehr?.user.fhirUser;
  const display = byId("author").value.trim();
  if (user) {
    return { reference: user.split("/").slice(-2).join("/"), ...(display && { display }) };
  }
  return display ? { type: "Practitioner", display } : null;
}

function response() {
  const by = author();
  const about = patient ?? (byId("patient").value.trim() && `Patient/${byId("patient").value.trim()}`);
  return {
    resourceType: "QuestionnaireResponse",
    ...(order && { extension: [{ url: CONTEXT, valueReference: { reference: order } }] }),
    questionnaire: canonical,
    status: "completed",
    ...(about && { subject: { reference: about } }),
    authored: new Date().toISOString(),
    ...(by && { author: by }),
    item: questions.map(item).filter(Boolean),
  };
}

function problems() {
  const found = [];
  if (!questions.some(answerOf)) {
    found.push([questions[0].querySelector("input"), "No question is answered yet."]);
  }
  for (const input of form.querySelectorAll("input")) {
    if (!input.closest("[hidden]") && !input.checkValidity()) {
      const label = form.querySelector(`label[for="${CSS.escape(input.id)}"]`).textContent;
      found.push([input, `${label}: what is written there cannot be read.`]);
    }
  }
  if (!byId("author").value.trim() && !ehr?.user.fhirUser) {
    found.push([byId("author"), "The name of who answers is missing."]);
  }
  return found;
}

function showProblems(found) {
  const place = byId("problem");
  place.replaceChildren(...found.map(([, text]) => element("p", text)));
  place.hidden = found.length === 0;
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
  for (const [input] of found) {
    input?.setAttribute("aria-invalid", "true");
  }
  if (found.length > 0) {
    place.focus();
  }
}

async function finish(event) {
  event.preventDefault();
  const found = problems();
  showProblems(found);
  if (found.length > 0) {
    return;
  }
  const made = response();
  byId("save").disabled = true;
  byId("done").hidden = true;
  try {
    const text = ehr ? await saved(made) : "This is the response, ready for the EHR. Nothing was sent anywhere.";
    show(made, text);
  } catch {
    offer(made, "This is the response as the EHR did not take it. It is saved nowhere.");
    byId("change").hidden = true;
    const next = "They are still here: please try again, or copy or download them below.";
    showProblems([[null, `The EHR did not take the answers. ${next}`]]);
  } finally {
    byId("save").disabled = false;
  }
}

async function saved(made) {
  const { id } = await ehr.create(made);
  made.id = id;
  return `Saved in the EHR as QuestionnaireResponse/${id}. Sign the order again to have it judged with your answers.`;
}

function offer(made, text) {
  const json = JSON.stringify(made, null, 2);
  byId("told").textContent = text;
  byId("response").textContent = json;
  URL.revokeObjectURL(byId("download").href);
  byId("download").href = URL.createObjectURL(new Blob([json], { type: "application/fhir+json" }));
  byId("copied").textContent = "";
  byId("done").hidden = false;
}

function show(made, text) {
  offer(made, text);
  byId("change").hidden = Boolean(made.id);
  form.hidden = true;
  byId("done").focus();
}

async function launched() {
  // launch.js comes here with this fragment; a link of a card, in a tab that was launched for somebody before, does not
  if (!window.FHIR || location.hash !== "#launched") {
    return null;
  }
  const session = await FHIR.oauth2.ready().catch(() => {
    throw new NotArmed("The EHR's session has ended; the answers can be made here, but not saved there.");
  });
  if (!session.patient.id) {
    throw new NotArmed("The EHR did not say for which patient this form was opened; nothing will be saved.");
  }
  return session;
}

// Answers about a decision are saved only by a session for which the service has shown that it is the same patient.
async function arm() {
  const session = await launched();
  if (decision) {
    await shownTo(session);
  }
  if (session) {
    ehr = session;
    patient = `Patient/${session.patient.id}`;
    mode.textContent = "Opened from the EHR. Finishing saves the answers there.";
    byId("save").textContent = "Save to the EHR";
  }
}

async function shownTo(session) {
  try {
    await showChart(session);
  } catch (problem) {
    throw session ? new NotArmed(NOT_PROVEN[problem.status] ?? NOT_PROVEN.other) : problem;
  }
}

for (const question of questions) {
  question.addEventListener("change", () => refresh(question));
  question.querySelector(".clear").addEventListener("click", () => {
    const answer = answerOf(question);
    answer.checked = false;
    refresh(question);
    answer.focus();
  });
}
for (const input of form.querySelectorAll(".follow input")) {
  input.addEventListener("input", () => {
    input.closest(".follow").querySelector(".from").hidden = true;
  });
}
form.addEventListener("submit", finish);
byId("change").addEventListener("click", () => {
  byId("done").hidden = true;
  form.hidden = false;
  byId("save").focus();
});
byId("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(byId("response").textContent);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "The browser did not allow it; please select the text below.";
  }
});

try {
  await arm();
} catch (problem) {
  mode.textContent = problem instanceof NotArmed ? problem.message : "What the chart says is not shown here.";
}
byId("signing").hidden = Boolean(ehr?.user.fhirUser);
byId("whose").hidden = Boolean(patient);
form.dataset.ready = "true";
