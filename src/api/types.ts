/** The wire shapes of the HTTP API (contract §2, §6). Instants are ISO 8601 strings in UTC. */
import type { ApprovalState, Confirm } from '../core/approval.ts'
import type { Capability, GrantState, LeaseState, Mode } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import type { JsonObject } from '../lib/json.ts'

export interface GrantView {
  readonly name: string
  readonly provider: string
  readonly connection: string | null
  readonly mode: Mode
  readonly capability: Capability
  readonly state: GrantState
  readonly operations: readonly string[]
  /** Operations that a person decides one by one. */
  readonly approvable: readonly string[]
  readonly expiresAt: string | null
  readonly possiblyLiveUntil: string | null
  readonly lastError?: string
  readonly notes: readonly string[]
  readonly requests: {
    readonly allowed: number
    readonly denied: number
    readonly approved: number
  }
}

export interface LeaseView {
  readonly id: string
  readonly state: LeaseState
  readonly environment: string
  readonly template: { readonly name: string; readonly version: number; readonly sha256: string }
  readonly principal: { readonly kind: string; readonly id: string }
  readonly actor: { readonly command: string | null; readonly pid: number | null }
  readonly reason: string | null
  readonly isolation: Isolation
  readonly parent: string | null
  /** The CI run it is for, as its issuer named it; null for all others. */
  readonly run: {
    readonly repository: string | null
    readonly ref: string | null
    readonly workflow: string | null
    readonly run: string | null
  } | null
  readonly issuedAt: string
  readonly expiresAt: string
  readonly endedAt: string | null
  readonly endReason: string | null
  readonly endNote: string | null
  /** Keys that are not the lease's own, tried at known providers and refused. */
  readonly foreignCredentials: readonly {
    readonly host: string
    readonly fingerprint: string
    readonly times: number
    readonly lastAt: string
  }[]
  readonly grants: readonly GrantView[]
}

/** The lease's own proxy on this machine. Nothing in it is a secret. */
export interface ProxyView {
  /** `http://127.0.0.1:PORT`; at `confine` with the one PORT of `CONFINED_PROXY_PORT`, inside the task. */
  readonly url: string
  /** Files (PEM) that exist while the lease lives: its CA alone, and with the public roots. */
  readonly caFile: string
  readonly bundleFile: string
  /** Hosts whose clients find their credential by URL (git): `https://host/` → header field. */
  readonly gitHeaders: readonly { readonly url: string; readonly header: string }[]
}

/** What the daemon holds ready for a task kept apart from its machine. Nothing in it is a secret. */
export interface TaskPlaceView {
  /** A folder of this lease alone, 0700; it goes with the lease. */
  readonly folder: string
  /**
   * Unix socket for the lease's own credential: no route of the operator's is on it. It is alone in a
   * folder below `folder`, to be bound as a whole: a daemon that starts again makes the socket anew, and
   * the old file leads nowhere then.
   */
  readonly socket: string
  /** At `confine` the unix socket of the lease's proxy; `ProxyView.url` is its address inside then. */
  readonly proxySocket: string | null
  /**
   * At `confine`: TCP services that the variables name, and the unix socket that leads to each. `host` is
   * a name or an address of the loopback, never another address.
   */
  readonly services: readonly {
    readonly host: string
    readonly port: number
    readonly socket: string
  }[]
}

export interface ApprovalView {
  readonly id: string
  readonly kind: 'request' | 'lease'
  readonly state: ApprovalState
  readonly lease: string
  readonly environment: string
  readonly template: string
  readonly principal: { readonly kind: string; readonly id: string }
  readonly actor: { readonly command: string | null; readonly pid: number | null }
  readonly reason: string | null
  readonly grant: string | null
  readonly provider: string | null
  readonly operations: readonly { readonly name: string; readonly risk: string }[]
  readonly summary: string
  readonly targets: readonly {
    readonly kind: string
    readonly id: string
    readonly name: string | null
    readonly environments: readonly { readonly id: string; readonly name: string | null }[]
    readonly notes: readonly string[]
    readonly renamed: boolean
  }[]
  readonly rule: string
  readonly confirm: Confirm
  readonly createdAt: string
  readonly lapsesAt: string
  readonly decidedAt: string | null
  readonly decidedBy: string | null
  readonly note: string | null
}

/** GET /v1/approvals/:id, and what a decision answers with. */
export interface ApprovalQuestion extends ApprovalView {
  /** What has to be typed; null where a code is asked for. */
  readonly typed: string | null
  /** A held request or a starting task waits right now: it hears of the decision at once. */
  readonly waiting: boolean
}

/** GET /v1/approvals?state=pending|all&lease=&limit=&cursor= (newest first) */
export interface ApprovalList {
  readonly approvals: readonly ApprovalView[]
  readonly nextCursor: string | null
  /** Whether a TOTP secret is enrolled, and until when wrong codes have locked approving. */
  readonly approver: { readonly enrolled: boolean; readonly lockedUntil: string | null }
}

/** POST /v1/approvals/:id/approve: exactly one of them, as `confirm` says. */
export interface ApproveRequest {
  readonly code?: string
  readonly typed?: string
}

/** POST /v1/approvals/enroll {code?} → a new secret, in force once /enroll/confirm {code} proves it. */
export interface Enrollment {
  /** `otpauth://totp/…`; holds the secret. */
  readonly uri: string
  /** Base 32, for typing. */
  readonly secret: string
}

/** GET /v1/leases?state=live|all&environment=&limit=&cursor= (newest first) */
export interface LeaseList {
  readonly leases: readonly LeaseView[]
  readonly nextCursor: string | null
}

/** Body of POST /v1/leases, of POST /v1/leases/plan, and of the session's first frame. */
export interface LeaseRequest {
  readonly environment: string
  readonly template?: string
  readonly ttlMs?: number
  readonly reason?: string
  /** What the caller will reach; the broker refuses if the template asks for more. */
  readonly isolation?: Isolation
  readonly actor?: { readonly command?: string; readonly pid?: number }
}

/** POST /v1/leases → 201. Call POST /v1/leases/:id/ack within 20 s or it is revoked. */
export interface IssuedLease {
  readonly lease: LeaseView
  /** Environment variables for the child; the only place credentials leave the daemon. */
  readonly variables: Readonly<Record<string, string>>
  /** Null: this lease needs none. */
  readonly proxy: ProxyView | null
  /** Null at `scrub`. */
  readonly place: TaskPlaceView | null
}

/** POST /v1/leases/plan → what a lease would be, without minting. */
export interface LeasePlan {
  readonly environment: string
  readonly template: { readonly name: string; readonly version: number; readonly sha256: string }
  readonly ttlMs: number
  readonly isolation: Isolation
  /** The lease waits for a person before anything is minted; null: it does not. */
  readonly approval: string | null
  /** It gets a proxy of its own. */
  readonly proxied: boolean
  readonly egress: 'open' | readonly string[]
  readonly grants: readonly {
    readonly name: string
    readonly provider: string
    readonly connection: string | null
    readonly mode: Mode
    readonly capability: Capability
    readonly operations: readonly string[]
    readonly approvable: readonly string[]
    readonly variables: readonly string[]
  }[]
}

/** DELETE /v1/leases/:id and POST /v1/leases/revoke {ids?, environment?, all?, reason?}. */
export interface RevokeResult {
  readonly leases: readonly LeaseView[]
}

export interface ConnectionView {
  readonly name: string
  readonly provider: string
  readonly settings: JsonObject
  readonly createdAt: string
  readonly updatedAt: string
  readonly liveLeases: number
}

export interface FindingView {
  readonly level: 'ok' | 'note' | 'warning' | 'problem'
  readonly message: string
  readonly hint: string | null
}

/** GET /v1/connections */
export interface ConnectionList {
  readonly connections: readonly ConnectionView[]
}

/** POST /v1/connections {provider, name, secret?, settings, check: boolean} → 201 */
export interface ConnectRequest {
  readonly provider: string
  readonly name: string
  readonly secret?: string
  readonly settings: JsonObject
  readonly check: boolean
}

export interface ConnectResult {
  readonly connection: ConnectionView
  readonly findings: readonly FindingView[]
  /** For each grant of a template on this connection: who enforces what. */
  readonly narrowness: DoctorReport['sections']
  readonly replaced: boolean
}

/** GET /v1/providers */
export interface ProviderList {
  readonly providers: readonly {
    readonly name: string
    readonly mode: Mode
    readonly capability: Capability
    /** Null: needs no `connect`. */
    readonly secretPrompt: string | null
    readonly operations: readonly { readonly name: string; readonly risk: string }[]
  }[]
}

/** One thing to say about a broker.yaml. Lines and columns count from 1. */
export interface Issue {
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly line: number
  readonly column: number
  /** Dotted, e.g. `templates.staging-dev.ttl`. */
  readonly path: string
  /** The nearest valid name, if one is near. */
  readonly suggestion: string | null
}

/** One change in meaning. `widens`: something becomes possible that was not. */
export interface Change {
  readonly effect: 'widens' | 'narrows' | 'neutral'
  /** Lower-case one-liner: `template staging-dev: db may now DELETE, TRUNCATE in staging`. */
  readonly message: string
}

/** POST /v1/templates/check {text} */
export interface CheckResult {
  readonly ok: boolean
  readonly issues: readonly Issue[]
  /** Against what is applied now; empty when there are errors. */
  readonly changes: readonly Change[]
  /** What is applied now; pass it back to apply. 0: nothing yet. */
  readonly baseVersion: number
}

/** POST /v1/templates/test {text, claims, audience?} → what each `oidc` rule says to a token's claims. */
export interface TestResult {
  readonly ok: boolean
  readonly issues: readonly Issue[]
  /** What `aud` has to be where a rule names none. `claims`: nobody said, so it is taken from them. */
  readonly audience: {
    readonly value: string | null
    readonly from: 'request' | 'broker' | 'claims'
  }
  readonly rules: readonly RuleTestView[]
  /** By environment, the templates that let the token in; with several, a job has to name one. */
  readonly admitted: readonly {
    readonly environment: string
    readonly templates: readonly string[]
  }[]
  /** What a test of claims cannot tell. */
  readonly unchecked: readonly ('signature' | 'times')[]
}

export interface RuleTestView {
  readonly template: string
  /** Its place under `who`, from 0. */
  readonly rule: number
  readonly matched: boolean
  /** Which claim does not let it in, and how. Null: it does. */
  readonly failure: string | null
}

/** POST /v1/templates/apply {text, baseVersion} → 409 if another one was applied in between. */
export interface ApplyResult {
  readonly version: number
  readonly changes: readonly Change[]
  readonly issues: readonly Issue[]
}

export interface TemplateView {
  readonly name: string
  readonly version: number
  readonly sha256: string
  readonly appliedAt: string | null
  readonly description: string
  readonly isDefault: boolean
  readonly environments: readonly string[]
  readonly ttlMs: number
  readonly maxTtlMs: number
  readonly isolation: Isolation
  readonly grants: Readonly<
    Record<
      string,
      {
        readonly allow: readonly string[]
        readonly approve: readonly string[]
        readonly deny: readonly string[]
      }
    >
  >
}

/** GET /v1/templates, GET /v1/templates/:name (one, with `definition`) */
export interface TemplateList {
  readonly configVersion: number
  readonly templates: readonly TemplateView[]
}
export interface TemplateDetail extends TemplateView {
  /** The whole compiled template with its environments. */
  readonly definition: JsonObject
}

export interface AuditEntryView {
  readonly seq: number
  readonly at: string
  readonly type: string
  readonly lease: string | null
  readonly data: JsonObject
  readonly hash: string
}

/** GET /v1/audit?since=ISO&lease=&limit=&cursor= (oldest first) */
export interface AuditList {
  readonly entries: readonly AuditEntryView[]
  readonly nextCursor: string | null
}

/** GET /v1/audit/verify */
export interface AuditVerdict {
  readonly ok: boolean
  readonly entries: number
  readonly head: { readonly seq: number; readonly hash: string } | null
  /** The first bad entry. */
  readonly bad: {
    readonly seq: number
    readonly problem: 'edited' | 'removed' | 'inserted' | 'cut' | 'head'
    readonly message: string
  } | null
}

/** GET /healthz (no key needed) and GET /v1/daemon (with `live`, `vault` …) */
export interface Health {
  readonly status: 'ok' | 'starting' | 'stopping'
  readonly version: string
  readonly pid: number
  readonly socket: string
  readonly home: string
}

/** GET /v1/doctor?probe=1 */
export interface DoctorReport {
  readonly sections: readonly {
    readonly title: string
    readonly findings: readonly FindingView[]
  }[]
}

/** Body of every error: contract §2. Over HTTP it is an RFC 9457 problem that also carries `error`. */
export interface ErrorBody {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly hint: string
    readonly details: Readonly<Record<string, unknown>>
  }
}
