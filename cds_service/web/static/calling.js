// Speaks with the service, as an EHR would.

/** What came back: `status` (0 when nothing did), `body` as text, `data` when that is JSON, `ms` for the round trip. */
export async function post(url, body, token) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const began = performance.now();
  try {
    const response = await fetch(url, { method: "POST", headers, body, cache: "no-store" });
    const text = await response.text();
    return { status: response.status, body: text, data: parsed(text), ms: performance.now() - began };
  } catch {
    return { status: 0, body: "", data: null, ms: performance.now() - began };
  }
}

/** Return a command that makes the same call from a terminal. */
export function asCurl(url, body, needsToken) {
  const mark = body.includes("\nEND_OF_REQUEST\n") ? "END_OF_THIS_REQUEST" : "END_OF_REQUEST";
  const token = needsToken ? '  -H "Authorization: Bearer $TOKEN" \\\n' : "";
  return `curl -sS '${url.replaceAll("'", "%27")}' \\\n  -H 'Content-Type: application/json' \\\n${token}  --data-binary @- <<'${mark}'\n${body}\n${mark}\n`;
}

/** Return JSON in two-space lines; a text that is none as it is. */
export function pretty(text) {
  const value = parsed(text);
  return value === null ? text : JSON.stringify(value, null, 2);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
