// Made from action/src and src/ci by scripts/build-action.mjs.

// src/ci/github-files.ts
import { randomUUID } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";

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

// src/ci/variables.ts
var NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
function pairsOf(variables) {
  const pairs = Object.entries(variables);
  for (const [name, value] of pairs) {
    if (!NAME.test(name)) {
      throw new BrokerError(
        "unsupported",
        `${JSON.stringify(name)} is not the name of a variable`,
        {
          hint: "the server is at fault: see its providers, and its version"
        }
      );
    }
    if (value.includes("\0") || !value.isWellFormed()) throw cannotHold(name, "a variable", "json");
  }
  return pairs;
}
function cannotHold(name, what, instead) {
  return new BrokerError("unsupported", `the value of "${name}" cannot stand in ${what} as it is`, {
    hint: `use another format, such as --format ${instead}`
  });
}

// src/ci/github-files.ts
var RESERVED = /^(?:GITHUB_|RUNNER_|NODE_OPTIONS$|CI$)/;
function writeGithub(env, { lease, variables }) {
  const pairs = pairsOf(variables.reveal());
  const reserved = pairs.find(([name]) => RESERVED.test(name));
  if (reserved) throw isReserved(reserved[0]);
  appendPairs(env, "GITHUB_ENV", pairs);
  appendPairs(env, "GITHUB_OUTPUT", [
    ["lease", lease.id],
    ["expires-at", lease.expiresAt]
  ]);
}
function appendPairs(env, name, pairs) {
  const text = pairs.map(([key, value]) => block(name, key, value)).join("");
  const file = openOurs(name, env[name]);
  try {
    const bytes = Buffer.from(fstatSync(file).size > 0 ? `
${text}` : text);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  } finally {
    closeSync(file);
  }
}
function block(file, name, value) {
  if (value.includes("\r")) throw cannotHold(name, `"${file}"`, "json");
  let delimiter;
  do
    delimiter = `broker_${randomUUID()}`;
  while (value.includes(delimiter));
  return `${name}<<${delimiter}
${value}
${delimiter}
`;
}
function openOurs(name, path) {
  if (!path) {
    throw new BrokerError("usage", `"${name}" is not set: this is no step of a GitHub workflow`, {
      hint: "choose another --format, such as shell"
    });
  }
  let file;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0));
  } catch (cause) {
    throw unusable(name, "cannot be opened", cause);
  }
  const found = fstatSync(file);
  const self = process.getuid?.();
  if (found.isFile() && (self === void 0 || self === 0 || self === found.uid)) return file;
  closeSync(file);
  throw unusable(name, "is not a file of this user");
}
function isReserved(name) {
  return new BrokerError("unsupported", `no step may set "${name}" for the later ones`, {
    hint: "use --format json and pass it on by hand, or a template without the grant that needs it"
  });
}
function unusable(name, why, cause) {
  return new BrokerError("usage", `the file that "${name}" names ${why}`, {
    hint: "the runner sets it and makes the file: see that nothing in the job sets it anew",
    cause
  });
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
  return new Promise((resolve2, reject) => {
    const sent = request(url, {
      method: call.method,
      ...connection(server, secure, env),
      headers: headersOf(call, payload)
    });
    const timer = setTimeout(() => sent.destroy(new Error("no answer in time")), call.timeoutMs);
    const fail2 = (error) => {
      clearTimeout(timer);
      reject(unreachable(server, error));
    };
    sent.once("response", (response) => {
      readAnswer(response).then((answer) => {
        clearTimeout(timer);
        resolve2(answer);
      }, fail2);
    });
    sent.once("error", fail2);
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
  const code = causeCode(error);
  return repeat === "unsent" ? UNSENT.test(code) : !TLS.test(code);
}
function causeCode({ cause }) {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : "";
  return typeof code === "string" ? code : "";
}
function retryAfter(text) {
  if (text === void 0) return void 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1e3;
  const at = Date.parse(text);
  return Number.isNaN(at) ? void 0 : Math.max(0, at - Date.now());
}

// src/ci/token-shape.ts
var LONGEST = 16 * 1024;
var COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
function tokenIn(text) {
  const trimmed = text.trim();
  return trimmed.length <= LONGEST && COMPACT.test(trimmed) ? new Secret(trimmed) : void 0;
}

// src/ci/github-identity.ts
var BUDGET_MS = 3e4;
async function githubToken(env, terms, patience) {
  const url = env["ACTIONS_ID_TOKEN_REQUEST_URL"];
  const bearer = new Secret(env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] ?? "");
  if (!url || bearer.reveal() === "") throw notAllowed();
  const { origin, path } = addressOf(url, terms);
  const answer = await patiently(
    (timeoutMs) => callServer({ url: origin }, { method: "GET", path, bearer, timeoutMs }, env).catch(rethrow),
    { budgetMs: BUDGET_MS, repeat: "always" },
    patience
  );
  if (answer.status !== 200) throw noToken(`it answered ${answer.status}`);
  return valueIn(answer);
}
function addressOf(text, { audience, plainLoopback = false }) {
  const url = URL.canParse(text) ? new URL(text) : void 0;
  const plain2 = plainLoopback && url?.protocol === "http:" && isLoopbackHost(url.hostname);
  if (!url || !(url.protocol === "https:" || plain2)) {
    throw new BrokerError(
      "unauthorized",
      '"ACTIONS_ID_TOKEN_REQUEST_URL" is not an https address',
      {
        hint: "the runner sets it: see that nothing in the job sets it anew"
      }
    );
  }
  url.searchParams.set("audience", audience);
  return { origin: url.origin, path: url.pathname + url.search };
}
function valueIn({ body }) {
  const value = typeof body === "object" && body !== null && "value" in body ? body.value : "";
  const token = typeof value === "string" ? tokenIn(value) : void 0;
  if (token === void 0) throw noToken("its answer holds none");
  return token;
}
function rethrow(error) {
  const cause = error instanceof Error ? error.cause : void 0;
  throw new BrokerError(
    "daemon_unreachable",
    "no answer from GitHub to the request for an identity token",
    {
      hint: "see https://www.githubstatus.com, and the proxy variables of the runner",
      cause
    }
  );
}
function noToken(why) {
  return new BrokerError("issuer_unavailable", `GitHub gave this job no identity token: ${why}`, {
    hint: 'run the job again; it must have "permissions: id-token: write"'
  });
}
function notAllowed() {
  return new BrokerError("unauthorized", "this job may not ask GitHub for an identity token", {
    hint: 'give it "permissions: id-token: write" (reusable workflows need it at the caller too); runs of pull requests from forks never get it'
  });
}

// src/ci/masks.ts
var TOLD = /* @__PURE__ */ new Set([
  "BROKER_CA_FILE",
  "BROKER_ENV",
  "BROKER_EXPIRES_AT",
  "BROKER_LEASE",
  "BROKER_SERVER",
  "PGDATABASE",
  "PGHOST",
  "PGPORT",
  "PGSSLMODE",
  "PGUSER"
]);
var SHORTEST_LINE = 3;
function secretValues(variables) {
  const values = Object.entries(variables.reveal()).filter(([name]) => !TOLD.has(name)).flatMap(([, value]) => [value, ...passwordIn(value)]);
  return new Secret([...new Set(values)].filter((value) => value.trim() !== ""));
}
function maskLines(secrets) {
  const parts = secrets.flatMap((secret) => [secret, ...linesOf(secret)]);
  return [...new Set(parts)].map((part) => `::add-mask::${escaped(part)}
`).join("");
}
function linesOf(secret) {
  const lines = secret.split(/[\r\n]+/);
  return lines.length === 1 ? [] : lines.filter((line) => line.trim().length >= SHORTEST_LINE);
}
function escaped(text) {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
function passwordIn(value) {
  const password = URL.canParse(value) ? new URL(value).password : "";
  if (password === "") return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}

// src/ci/take.ts
import { setTimeout as wait2 } from "node:timers/promises";

// src/ci/exchange.ts
import { randomUUID as randomUUID2 } from "node:crypto";

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
  const code = causeCode2(error);
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
function causeCode2(error) {
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

// src/ci/exchange.ts
var LEASE_TOKEN = "urn:broker:token-type:lease";
var BUDGET_MS2 = 6e4;
async function exchange(server, subject, wish, env = {}, patience) {
  const headers = { "idempotency-key": randomUUID2() };
  const { method, path } = ROUTES.exchange;
  const answer = await patiently(
    (timeoutMs) => callServer(server, { method, path, headers, form: formOf(subject, wish), timeoutMs }, env),
    { budgetMs: BUDGET_MS2, repeat: "always" },
    patience
  );
  if (answer.status !== 200) throw oauthFailure(server, answer);
  return read(server, answer);
}
function formOf(subject, wish) {
  const form = new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: subject.reveal(),
    subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
    requested_token_type: LEASE_TOKEN,
    audience: wish.environment
  });
  if (wish.template !== void 0) form.set("scope", `template:${wish.template}`);
  if (wish.ttlMs !== void 0) form.set("ttl", String(Math.ceil(wish.ttlMs / 1e3)));
  if (wish.reason !== void 0) form.set("reason", wish.reason);
  if (wish.authorizationDetails !== void 0) {
    form.set("authorization_details", wish.authorizationDetails);
  }
  return form;
}
function read(server, answer) {
  const body = answer.body;
  const { access_token, issued_token_type, lease_id, scope, expires_in } = body ?? {};
  if (issued_token_type !== LEASE_TOKEN || typeof access_token !== "string" || typeof lease_id !== "string" || !isLeaseId(lease_id) || typeof expires_in !== "number") {
    throw notABroker(server, answer.status);
  }
  return {
    lease: lease_id,
    handle: new Secret(access_token),
    template: typeof scope === "string" ? scope.replace(/^template:/, "") : "",
    expiresAt: Date.now() + expires_in * 1e3
  };
}

// src/client/failure.ts
function errorFrom(body) {
  const error = field2(body, "error");
  const code = field2(error, "code");
  const message = field2(error, "message");
  if (typeof code !== "string" || typeof message !== "string") return void 0;
  const hint = field2(error, "hint");
  const details = field2(error, "details");
  return new BrokerError(code, message, {
    hint: typeof hint === "string" ? hint : "",
    details: typeof details === "object" && details !== null ? { ...details } : {}
  });
}
function field2(value, name) {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return void 0;
  return value[name];
}

// src/ci/lease-calls.ts
var DELIVERY = 15e3;
var ENDING = 3e4;
async function claim(server, held, env, patience) {
  const limits = { budgetMs: DELIVERY, repeat: "unsent" };
  const answer = await post(server, "claimLease", held, limits, env, patience);
  const body = answer.body;
  const { lease, variables } = body ?? {};
  if (!lease || !isVariables(variables)) throw notABroker(server, answer.status);
  return { lease, variables: new Secret(variables) };
}
async function acknowledge(server, held, env, patience) {
  await post(server, "ackLease", held, { budgetMs: DELIVERY, repeat: "always" }, env, patience);
}
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
async function post(server, route, { lease, handle }, limits, env = {}, patience) {
  const { method, path: pattern } = ROUTES[route];
  const path = pattern.replace(":id", lease);
  const answer = await patiently(
    (timeoutMs) => callServer(server, { method, path, bearer: handle, timeoutMs }, env),
    limits,
    patience
  );
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw errorFrom(answer.body) ?? notABroker(server, answer.status);
}
function isVariables(value) {
  return typeof value === "object" && value !== null && Object.values(value).every((one) => typeof one === "string");
}

// src/ci/take.ts
async function takeLease(server, subject, wish, deliver2, { env = {}, onLease, signal } = {}) {
  signal?.throwIfAborted();
  const sleep = (ms) => wait2(ms, void 0, signal && { signal });
  const held = await exchange(server, subject, wish, env, { sleep });
  try {
    await onLease?.(held);
    signal?.throwIfAborted();
    const { lease, variables } = await claim(server, held, env);
    signal?.throwIfAborted();
    const { handle, expiresAt } = held;
    const taken = { lease, handle, expiresAt, variables: withOwn(server, held, variables) };
    await deliver2(taken);
    signal?.throwIfAborted();
    await acknowledge(server, held, env);
    signal?.throwIfAborted();
    return taken;
  } catch (error) {
    await revokeByHandle(server, held.handle, env).catch(() => {
    });
    throw error;
  }
}
function withOwn(server, held, variables) {
  const own = {
    BROKER_LEASE: held.lease,
    BROKER_HANDLE: held.handle.reveal(),
    BROKER_SERVER: server.url
  };
  return new Secret({ ...variables.reveal(), ...own });
}

// action/src/inputs.ts
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

// src/lib/duration.ts
var UNITS = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 36e5,
  d: 864e5
};
function parseDuration(text) {
  if (!/^(?:\d{1,9}(?:ms|s|m|h|d))+$/.test(text)) return void 0;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(count) * (UNITS[unit ?? ""] ?? Number.NaN);
  }
  return Number.isSafeInteger(total) && total > 0 ? total : void 0;
}

// action/src/inputs.ts
function readInputs(env) {
  const named = input(env, "ca-file") ?? (env["BROKER_CA_FILE"] || void 0);
  const caFile = named === void 0 ? void 0 : resolve(named);
  const server = serverAt(required(env, "server"), caFile && rootsIn(caFile));
  return {
    server,
    caFile,
    audience: input(env, "audience") ?? server.url,
    wish: wishOf(env),
    export: flag(env, "export", true)
  };
}
function rootsIn(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new BrokerError("usage", `the roots in "${file}" cannot be read`, {
      hint: "name a file in PEM form that an earlier step has put there",
      cause
    });
  }
}
function wishOf(env) {
  const template = input(env, "template");
  const ttl = input(env, "ttl");
  const reason = input(env, "reason");
  const authorizationDetails = input(env, "authorization-details");
  return {
    environment: required(env, "environment"),
    ...template !== void 0 && { template },
    ...ttl !== void 0 && { ttlMs: durationOf(ttl) },
    ...reason !== void 0 && { reason },
    ...authorizationDetails !== void 0 && { authorizationDetails }
  };
}
function durationOf(text) {
  const ms = parseDuration(text);
  if (ms !== void 0) return ms;
  throw new BrokerError("usage", `input "ttl" is no duration: ${JSON.stringify(text)}`, {
    hint: "write it as 15m, 90s or 1h30m"
  });
}
function flag(env, name, usual) {
  const text = input(env, name);
  if (text === void 0) return usual;
  if (text === "true" || text === "false") return text === "true";
  throw new BrokerError("usage", `input "${name}" is neither true nor false`, {
    hint: "write true or false"
  });
}
function required(env, name) {
  const text = input(env, name);
  if (text !== void 0) return text;
  throw new BrokerError("usage", `input "${name}" is missing`, {
    hint: `say it under "with:" of the step`
  });
}
function input(env, name) {
  return env[`INPUT_${name.toUpperCase()}`]?.trim() || void 0;
}

// action/src/log.ts
function print(text) {
  return new Promise((resolve2) => process.stdout.write(text, () => resolve2()));
}
function say(text) {
  return print(`broker: ${oneLine(text)}
`);
}
function fail(error) {
  if (isBrokerError(error))
    return print(`::error::broker: ${data(error.message)}%0Ahint: ${data(error.hint)}
`);
  const name = error instanceof Error ? error.name : "unknown error";
  return print(`::error::broker: failed for a reason of its own (${data(name)})
`);
}
function data(text) {
  return oneLine(text).replaceAll("%", "%25");
}
function oneLine(text) {
  return text.replaceAll(new RegExp("\\p{Cc}+", "gu"), " ");
}

// action/src/state.ts
function saveState(env, { server, lease, handle }) {
  appendPairs(env, "GITHUB_STATE", [
    ["server", server.url],
    // The roots themselves: the file may be gone at the end of the job.
    ["ca", server.ca?.replaceAll("\r\n", "\n") ?? ""],
    ["lease", lease],
    ["handle", handle.reveal()]
  ]);
}

// action/src/main.ts
var cancelled = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => cancelled.abort(wasCancelled()));
}
try {
  await run(readInputs(process.env));
} catch (error) {
  await fail(cancelled.signal.aborted ? wasCancelled() : error);
  process.exitCode = 1;
}
async function run(inputs) {
  const { server, wish } = inputs;
  const subject = await githubToken(process.env, inputs);
  await print(maskLines([subject.reveal()]));
  const options = {
    env: process.env,
    signal: cancelled.signal,
    onLease: async (held) => {
      await print(maskLines([held.handle.reveal()]));
      saveState(process.env, { server, ...held });
    }
  };
  const deliverIt = (taken) => deliver(inputs, taken);
  const { lease } = await takeLease(server, subject, wish, deliverIt, options).catch((error) => {
    throw whyUnreachable(server, error);
  });
  const grants = lease.grants.map(({ name }) => name).join(", ");
  await say(
    `lease ${lease.id} \xB7 ${lease.environment} \xB7 template ${lease.template.name} \xB7 ${grants} \xB7 until ${lease.expiresAt}`
  );
}
async function deliver({ caFile, ...inputs }, { lease, variables }) {
  const roots = caFile === void 0 ? {} : { BROKER_CA_FILE: caFile };
  const all = new Secret({ ...variables.reveal(), ...roots });
  await print(maskLines(secretValues(all).reveal()));
  if (inputs.export) return writeGithub(process.env, { lease, variables: all });
  const text = JSON.stringify(all.reveal());
  await print(maskLines([text]));
  appendPairs(process.env, "GITHUB_OUTPUT", [
    ["lease", lease.id],
    ["expires-at", lease.expiresAt],
    ["variables", text]
  ]);
}
function wasCancelled() {
  return new BrokerError("denied", "the step was cancelled", {
    hint: "what it had got is revoked now; the end of the job makes sure of it"
  });
}
