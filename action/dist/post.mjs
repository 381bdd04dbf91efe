// Made from action/src and src/ci by scripts/build-action.mjs.

// src/api/routes.ts
var ROUTES = {
  health: { method: "GET", path: "/healthz", caller: "anyone" },
  jwks: { method: "GET", path: "/.well-known/jwks.json", caller: "anyone" },
  metadata: { method: "GET", path: "/.well-known/oauth-authorization-server", caller: "anyone" },
  /** Of a server alone. */
  ready: { method: "GET", path: "/readyz", caller: "anyone" },
  /** Of a server alone. */
  metrics: { method: "GET", path: "/metrics", caller: "anyone" },
  /** Of a server alone: RFC 8693. */
  exchange: { method: "POST", path: "/oauth/token", caller: "anyone" },
  introspect: { method: "POST", path: "/oauth/introspect", caller: "operator" },
  oauthRevoke: { method: "POST", path: "/oauth/revoke", caller: "operator" },
  daemonStatus: { method: "GET", path: "/v1/daemon", caller: "operator" },
  daemonStop: { method: "POST", path: "/v1/daemon/stop", caller: "operator" },
  listLeases: { method: "GET", path: "/v1/leases", caller: "operator-or-lease" },
  showLease: { method: "GET", path: "/v1/leases/:id", caller: "operator-or-lease" },
  issueLease: { method: "POST", path: "/v1/leases", caller: "operator-or-lease" },
  planLease: { method: "POST", path: "/v1/leases/plan", caller: "operator-or-lease" },
  ackLease: { method: "POST", path: "/v1/leases/:id/ack", caller: "operator-or-lease" },
  /** Of a server alone: the lease's variables, once. */
  claimLease: { method: "POST", path: "/v1/leases/:id/credentials", caller: "operator-or-lease" },
  revokeLease: { method: "DELETE", path: "/v1/leases/:id", caller: "operator" },
  revokeLeases: { method: "POST", path: "/v1/leases/revoke", caller: "operator" },
  session: { method: "POST", path: "/v1/session", caller: "operator-or-lease" },
  listConnections: { method: "GET", path: "/v1/connections", caller: "operator" },
  connect: { method: "POST", path: "/v1/connections", caller: "operator" },
  disconnect: { method: "DELETE", path: "/v1/connections/:name", caller: "operator" },
  listProviders: { method: "GET", path: "/v1/providers", caller: "operator" },
  checkTemplates: { method: "POST", path: "/v1/templates/check", caller: "operator" },
  testTemplates: { method: "POST", path: "/v1/templates/test", caller: "operator" },
  applyTemplates: { method: "POST", path: "/v1/templates/apply", caller: "operator" },
  listTemplates: { method: "GET", path: "/v1/templates", caller: "operator" },
  showTemplate: { method: "GET", path: "/v1/templates/:name", caller: "operator" },
  listApprovals: { method: "GET", path: "/v1/approvals", caller: "operator" },
  showApproval: { method: "GET", path: "/v1/approvals/:id", caller: "operator" },
  approve: { method: "POST", path: "/v1/approvals/:id/approve", caller: "operator" },
  deny: { method: "POST", path: "/v1/approvals/:id/deny", caller: "operator" },
  enroll: { method: "POST", path: "/v1/approvals/enroll", caller: "operator" },
  confirmEnrollment: { method: "POST", path: "/v1/approvals/enroll/confirm", caller: "operator" },
  listAudit: { method: "GET", path: "/v1/audit", caller: "operator" },
  verifyAudit: { method: "GET", path: "/v1/audit/verify", caller: "operator" },
  doctor: { method: "GET", path: "/v1/doctor", caller: "operator" },
  unlockVault: { method: "POST", path: "/v1/vault/unlock", caller: "operator" }
};

// src/errors.ts
var BrokerError = class extends Error {
  name = "BrokerError";
  code;
  hint;
  details;
  constructor(code, message, options) {
    super(message, options.cause === void 0 ? void 0 : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
};
function isBrokerError(error) {
  return error instanceof Error && error.name === "BrokerError" && "code" in error && "hint" in error;
}

// src/lib/loopback-host.ts
var NAMES = /* @__PURE__ */ new Set(["localhost", "127.0.0.1", "[::1]"]);
function isLoopbackHost(hostname) {
  return NAMES.has(hostname);
}

// src/client/server.ts
var LONGEST_ANSWER = 64 * 1024 * 1024;
function serverAt(text, ca) {
  const url = URL.canParse(text) ? new URL(text) : void 0;
  const plain2 = url?.protocol === "http:" && isLoopbackHost(url.hostname);
  const hint = `give it as https://HOST or https://HOST:PORT${url?.protocol === "http:" ? "; http:// is for a server on this machine alone" : ""}`;
  if (url?.username || url?.password) {
    const message = "a URL with a user or a password is not the address of a server";
    throw new BrokerError("usage", message, { hint });
  }
  if (!url || !(url.protocol === "https:" || plain2) || url.search || url.hash) {
    const message = `"${text.slice(0, 200)}" is not the address of a server`;
    throw new BrokerError("usage", message, { hint });
  }
  const path = url.pathname.replace(/\/+$/, "");
  return { url: `${url.origin}${path}`, ...ca !== void 0 && { ca } };
}
function callServer(server, call, env = {}) {
  const url = new URL(server.url + call.path);
  const secure = url.protocol === "https:";
  const { request } = process.getBuiltinModule(secure ? "node:https" : "node:http");
  const payload = call.form?.toString() ?? (call.body === void 0 ? "" : JSON.stringify(call.body));
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: call.method,
      ...connection(server, secure, env),
      headers: headersOf(call, payload)
    });
    const timer = setTimeout(() => sent.destroy(new Error("no answer in time")), call.timeoutMs);
    const fail = (error) => {
      clearTimeout(timer);
      reject(unreachable(server, error));
    };
    sent.once("response", (response) => {
      readAnswer(response).then((answer) => {
        clearTimeout(timer);
        resolve(answer);
      }, fail);
    });
    sent.once("error", fail);
    sent.end(payload);
  });
}
function connection(server, secure, env) {
  if (!secure) return { agent: false };
  const { Agent } = process.getBuiltinModule("node:https");
  const agent = new Agent({ proxyEnv: { ...env } });
  return { agent, ...trustIn(server) };
}
function trustIn({ ca }) {
  return { rejectUnauthorized: true, ...ca !== void 0 && { ca } };
}
function headersOf(call, payload) {
  const type = call.form ? "application/x-www-form-urlencoded" : "application/json";
  return {
    accept: "application/json",
    ...call.bearer && { authorization: `Bearer ${call.bearer.reveal()}` },
    ...payload !== "" && { "content-type": type },
    "content-length": String(Buffer.byteLength(payload)),
    ...call.headers
  };
}
async function readAnswer(response) {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) {
    text += chunk;
    if (text.length > LONGEST_ANSWER) throw new Error("the answer is too long");
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: parse(text) };
}
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return void 0;
  }
}
function unreachable(server, cause) {
  const code = cause.code;
  const why = typeof code === "string" ? ` (${code})` : "";
  const isTrust = typeof code === "string" && /CERT|SIGNATURE|ALTNAME/.test(code);
  return new BrokerError("daemon_unreachable", `no answer from "${server.url}"${why}`, {
    hint: isTrust ? "its certificate is not one that this machine trusts: name its roots with BROKER_CA_FILE" : "see that the address is right and that broker serve runs there",
    cause
  });
}

// src/client/server-failure.ts
var SAYINGS = [
  [
    /^(?:UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(?:_LOCALLY)?)|(?:DEPTH_ZERO_)?SELF_SIGNED_CERT(?:_IN_CHAIN)?|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE|INVALID_CA)$/,
    (url) => `the certificate of "${url}" is not signed by a root that is trusted here`,
    "name the roots of that server with --ca-file F or BROKER_CA_FILE"
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    (url) => `the certificate of "${url}" is one for another name`,
    "give the name that the certificate has, as --server https://NAME:PORT"
  ],
  [
    /^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/,
    (url) => `the certificate of "${url}" is not valid now`,
    "renew it at the server, or set the clock of this machine"
  ],
  [
    /^(?:EPROTO|ERR_SSL_.*|HPE_.*)$/,
    (url) => `what listens at "${url}" does not speak ${isSecure(url) ? "TLS" : "HTTP"}`,
    otherPort
  ],
  [
    // Also of a port that expects TLS and hears plain HTTP: most say nothing then.
    /^ECONNRESET$/,
    (url) => `what listens at "${url}" hung up before it had answered`,
    otherPort
  ],
  [
    /^ECONNREFUSED$/,
    (url) => `nobody listens at "${url}"`,
    "see that the address is right and that broker serve runs there"
  ],
  [
    /^(?:ENOTFOUND|EAI_AGAIN)$/,
    (url) => `the host of "${url}" is not known here`,
    "see that the name is right and that this machine has a network"
  ]
];
function isSecure(url) {
  return url.startsWith("https:");
}
function otherPort(url) {
  return isSecure(url) ? "see that the port is the one of broker serve; one with --plain-http is asked as http://, on its own machine" : "broker serve with a certificate is asked as https://; else see that the port is the one of broker serve";
}
function whyUnreachable(server, error) {
  const code = causeCode(error);
  const saying = SAYINGS.find(([codes]) => code !== void 0 && codes.test(code));
  if (saying === void 0 || !isBrokerError(error)) return error;
  const [, what, hint] = saying;
  const details = { cause: code };
  return new BrokerError("daemon_unreachable", what(server.url), {
    hint: typeof hint === "string" ? hint : hint(server.url),
    details,
    cause: error.cause
  });
}
function causeCode(error) {
  if (!isBrokerError(error) || error.code !== "daemon_unreachable") return void 0;
  const { code } = error.cause ?? {};
  return typeof code === "string" ? code : void 0;
}
function notABroker({ url }, status) {
  const redirects = status >= 300 && status < 400;
  return new BrokerError(
    "daemon_unreachable",
    redirects ? `"${url}" sends us elsewhere (${status}), which is not followed` : `"${url}" does not answer as a broker (${status})`,
    {
      hint: redirects ? "give the final address of the server; what is sent is for it alone" : "see that the address is the one that broker serve printed",
      details: { status }
    }
  );
}

// src/lib/secret.ts
import { inspect } from "node:util";
var REDACTED = "[redacted]";
var Secret = class {
  #value;
  constructor(value) {
    this.#value = value;
  }
  /** The material itself. Call it as late as possible, and never keep what it returns. */
  reveal() {
    return this.#value;
  }
  toString() {
    return REDACTED;
  }
  toJSON() {
    return REDACTED;
  }
  [inspect.custom]() {
    return REDACTED;
  }
};

// src/lib/ids.ts
function isLeaseId(text) {
  return /^lse_[0-9a-hjkmnp-tv-z]{26}$/.test(text);
}

// src/ci/oauth-failure.ts
var SHOWN = 300;
function oauthFailure(server, answer) {
  const error = field(answer.body, "error");
  if (typeof error !== "string") return notABroker(server, answer.status);
  const description = plain(field(answer.body, "error_description"));
  const { code, message, hint } = meaningOf(error, description, answer.status);
  const lease = field(answer.body, "lease_id");
  return new BrokerError(
    code,
    message ?? (description || `the server refused: "${plain(error)}"`),
    {
      hint: hint.replaceAll("SERVER", server.url),
      details: {
        error: plain(error),
        ...typeof lease === "string" && isLeaseId(lease) && { lease }
      }
    }
  );
}
var NOT_ACCEPTED = {
  code: "subject_refused",
  message: "the server does not accept the identity token of this job",
  hint: "most likely the audience of the token is not the public URL of the server, no template has a rule for this repository, ref and event, or the token is too old; an admin sees the reason: broker audit list --server SERVER"
};
var REPLAYED = {
  code: "token_replayed",
  hint: "each identity token is good for one lease: let the job get a new one; an admin sees who used it: broker audit list --server SERVER"
};
function meaningOf(error, description, status) {
  if (error === "invalid_request") return requestMeaning(description);
  if (error === "invalid_target") {
    return {
      code: "target_refused",
      hint: "an admin sees what this job may have, and why: broker template list, broker audit list --server SERVER"
    };
  }
  if (error === "invalid_scope") {
    return {
      code: "invalid_request",
      hint: "name one of the templates that let this job in: --template NAME"
    };
  }
  if (error === "invalid_authorization_details") {
    return {
      code: "details_refused",
      hint: "ask for a part of what the template allows, or leave the details out"
    };
  }
  if (error === "unsupported_grant_type") {
    return { code: "unsupported", hint: "the server is older than this program: update it" };
  }
  return passing(description, status);
}
function requestMeaning(description) {
  if (/not accepted/.test(description)) return NOT_ACCEPTED;
  if (/used already/.test(description)) return REPLAYED;
  const said = SAID.find(({ of }) => of.test(description));
  if (said) return { code: "denied", hint: said.hint };
  return {
    code: "invalid_request",
    hint: "an admin sees the reason: broker audit list --server SERVER"
  };
}
var SAID = [
  {
    of: /live lease/,
    hint: "end that one first (broker revoke), or use it; a new attempt of the job is a run of its own"
  },
  { of: /allows at most/, hint: "ask for less with --ttl" }
];
function passing(description, status) {
  const hint = "try again in a minute; if it stays so, the log of the server says more";
  if (status === 429) return { code: "rate_limited", hint };
  if (status === 502) return { code: "provider_failed", hint };
  if (status !== 503) return { code: "internal", hint: "the log of the server says more" };
  return { code: /issuer/.test(description) ? "issuer_unavailable" : "provider_unavailable", hint };
}
function field(body, name) {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, name)) return void 0;
  return body[name];
}
function plain(text) {
  return typeof text === "string" ? text.replaceAll(/[^\x20-\x7e]/g, " ").slice(0, SHOWN).trim() : "";
}

// src/ci/patience.ts
import { setTimeout as wait } from "node:timers/promises";
var TRIES = 3;
var FIRST_PAUSE_MS = 1e3;
var PASSING = /* @__PURE__ */ new Set([429, 503]);
var GATEWAY_TIMEOUT = 504;
var UNSENT = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;
var TLS = /CERT|SIGNED|ALTNAME|SSL|TLS/;
async function patiently(ask, { budgetMs, repeat }, { sleep = wait, now = () => performance.now() } = {}) {
  const end = now() + budgetMs;
  for (let attempt = 1; ; attempt++) {
    const outcome = await settled(ask(Math.max(1, end - now())));
    const pause = pauseAfter(outcome, attempt, repeat);
    if (pause === null || attempt === TRIES || now() + pause >= end) {
      if ("answer" in outcome) return outcome.answer;
      throw outcome.error;
    }
    await sleep(pause);
  }
}
function settled(asked) {
  return asked.then(
    (answer) => ({ answer }),
    (error) => ({ error })
  );
}
function pauseAfter(outcome, attempt, repeat) {
  const usual = FIRST_PAUSE_MS * 2 ** (attempt - 1);
  if ("error" in outcome) return mayRepeat(outcome.error, repeat) ? usual : null;
  const { status, headers } = outcome.answer;
  if (status === GATEWAY_TIMEOUT) return repeat === "always" ? usual : null;
  return PASSING.has(status) ? retryAfter(headers["retry-after"]) ?? usual : null;
}
function mayRepeat(error, repeat) {
  if (!isBrokerError(error) || error.code !== "daemon_unreachable") return false;
  const code = causeCode2(error);
  return repeat === "unsent" ? UNSENT.test(code) : !TLS.test(code);
}
function causeCode2({ cause }) {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : "";
  return typeof code === "string" ? code : "";
}
function retryAfter(text) {
  if (text === void 0) return void 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1e3;
  const at = Date.parse(text);
  return Number.isNaN(at) ? void 0 : Math.max(0, at - Date.now());
}

// src/ci/lease-calls.ts
var ENDING = 3e4;
async function revokeByHandle(server, handle, env = {}, patience) {
  const { method, path } = ROUTES.oauthRevoke;
  const form = new URLSearchParams({ token: handle.reveal() });
  const answer = await patiently(
    (timeoutMs) => callServer(server, { method, path, form, timeoutMs }, env),
    { budgetMs: ENDING, repeat: "always" },
    patience
  );
  if (answer.status === 503) return "revoking";
  if (answer.status !== 200) throw oauthFailure(server, answer);
  return answer.headers["broker-lease-state"] === "revoking" ? "revoking" : "revoked";
}

// action/src/log.ts
function print(text) {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}
function say(text) {
  return print(`broker: ${oneLine(text)}
`);
}
function warn(text) {
  return print(`::warning::broker: ${data(text)}
`);
}
function data(text) {
  return oneLine(text).replaceAll("%", "%25");
}
function oneLine(text) {
  return text.replaceAll(new RegExp("\\p{Cc}+", "gu"), " ");
}

// action/src/state.ts
function readState(env) {
  const { STATE_server: url, STATE_ca: ca, STATE_lease: lease, STATE_handle: handle } = env;
  if (!url || !lease || !handle) return void 0;
  return { server: serverAt(url, ca || void 0), lease, handle: new Secret(handle) };
}

// action/src/post.ts
var state = readState(process.env);
if (state === void 0) await say("there is no lease to revoke");
else await revoke(state);
async function revoke({ server, lease, handle }) {
  const later = `it ends at the latest when its time is over; an admin can end it: broker revoke ${lease} --server ${server.url}`;
  try {
    const ending = await revokeByHandle(server, handle, process.env);
    if (ending === "revoked") await say(`lease ${lease} revoked`);
    else await warn(`lease ${lease} is still being revoked: the server keeps trying`);
  } catch (error) {
    const said = whyUnreachable(server, error);
    const why = isBrokerError(said) ? said.message : "for a reason of its own";
    await warn(`lease ${lease} could not be revoked: ${why}; ${later}`);
  }
}
