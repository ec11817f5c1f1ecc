// The two ends of a SMART App Launch: to the EHR's authorization server, and from there to the form that the card named.
const place = document.getElementById("launch");
const told = document.getElementById("told");
const { stage, client, scope, redirect, form } = place.dataset;

function explain(problem) {
  told.setAttribute("role", "alert");
  told.textContent = problem;
}

// CDS Hooks hands a card's appContext to the app as a member of the token response; some servers parse it on the way.
function context(response) {
  const given = response?.appContext;
  try {
    return typeof given === "string" ? JSON.parse(given) : (given ?? {});
  } catch {
    return {};
  }
}

async function authorize() {
  // PKCE always: a server that does not know it ignores the challenge (RFC 7636, section 5)
  await FHIR.oauth2.authorize({
    clientId: client,
    scope,
    redirectUri: new URL(redirect, location.href).href,
    completeInTarget: true,
    pkceMode: "unsafeV1",
  });
}

async function open() {
  const launched = await FHIR.oauth2.ready();
  const { questionnaire = "", decision = "" } = context(launched.state.tokenResponse);
  const name = questionnaire.split("/").pop();
  if (!/^[A-Za-z0-9.-]+(\|[A-Za-z0-9.-]+)?$/.test(name)) {
    explain("The EHR did not say which questions are meant. Please open them by the link on the card.");
    return;
  }
  const query = decision ? `?${new URLSearchParams({ decision })}` : "";
  location.replace(`${form}/${encodeURIComponent(name)}${query}#launched`);
}

try {
  await (stage === "launch" ? authorize() : open());
} catch {
  explain("The EHR did not let this form in. Please open it again by the link on the card.");
}
