// Requests to our own server, and the bar that says when it cannot be reached.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const bar = document.getElementById("connection");
const TIMEOUT_MS = 20_000;

/** What the server said no to: `message` is its sentence, `status` its HTTP status (0: no answer). */
export class Refused extends Error {
  constructor(status, message, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const csrfToken = () => token;

/** Show (or, with "", hide) the quiet bar under the header. */
export function connection(text) {
  if (!bar || bar.dataset.text === text) return;
  bar.dataset.text = text;
  bar.querySelector("[data-connection-text]").textContent = text;
  bar.hidden = !text;
}

export const OFFLINE = "No connection to the server. Nothing is lost; this page comes back by itself.";
const SIGNED_OUT = "You were signed out. Load this page again to sign in.";

/** Fetch with our token; returns the Response, or throws Refused. */
export async function request(url, options = {}) {
  const headers = new Headers(options.headers);
  if (options.method && options.method !== "GET") headers.set("X-CSRF-Token", token);
  let response;
  try {
    response = await fetch(url, {
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
      ...options,
      headers,
      credentials: "same-origin",
    });
  } catch {
    connection(OFFLINE);
    throw new Refused(0, "The server did not answer. Try again in a moment.");
  }
  if ([502, 503, 504].includes(response.status)) {
    connection(OFFLINE);
  } else if (response.status === 401) {
    connection(SIGNED_OUT);
  } else {
    connection("");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let said = {};
  try {
    said = await response.json();
  } catch {
    // Not ours: a proxy's page.
  }
  const message = said.error || `The server answered ${response.status}. Try again in a moment.`;
  return new Refused(response.status, message, said.code);
}

export async function getText(url) {
  return (await request(url, { headers: { Accept: "text/html" } })).text();
}

export async function getJson(url, options = {}) {
  return (await request(url, { ...options, headers: { Accept: "application/json" } })).json();
}

/** Turn a fragment that our own server rendered (and escaped) into nodes. */
export function nodes(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}
