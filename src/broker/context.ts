import type { TaskPlaceView } from '../api/types.ts'
import type { Lease, Principal } from '../core/lease.ts'
import type { Subject, Verification } from '../core/subject.ts'
import type { Configuration } from '../core/template.ts'
import type { LeaseId, Random } from '../lib/ids.ts'
import type { Lane } from '../lib/lane.ts'
import type { Secret } from '../lib/secret.ts'
import type { Provider, Signer } from '../providers/provider.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'
import type { ApprovalHub } from './approval/hub.ts'
import type { OpenProxy, ProxyOrder } from './authorize/task.ts'
import type { Turns } from './authorize/turns.ts'
import type { Refusals } from './exchange/refusals.ts'
import type { PlaceOrder } from './place.ts'
import type { Trust } from './trust.ts'

/** What is applied now. A value: whoever holds one sees one version throughout. */
export interface Policy {
  /** 0: nothing applied, the built-in one. */
  readonly version: number
  readonly configuration: Configuration
  readonly templates: ReadonlyMap<string, { readonly version: number; readonly sha256: string }>
  /** The `oidc` rules of the templates, compiled once. */
  readonly trust: Trust
}

export interface Limits {
  /** Live leases. */
  readonly perPrincipal: number
  readonly perTemplate: number
}

/** Written for the person who runs the daemon; takes no values that could be secret. */
export interface Log {
  info(message: string, facts?: Readonly<Record<string, string | number | null>>): void
  warn(message: string, facts?: Readonly<Record<string, string | number | null>>): void
  error(message: string, error: unknown): void
}

/** Everything the use cases need of the world; built once, in `daemon/main.ts`. */
export interface Context {
  readonly store: Store
  readonly vault: Vault
  readonly provider: (name: string) => Promise<Provider>
  /** Those of this version; a broker.yaml adds its own. */
  readonly builtinProviders: readonly string[]
  readonly providerNames: () => Promise<readonly string[]>
  readonly policy: () => Promise<Policy>
  readonly now: () => number
  readonly random: Random
  readonly installId: string
  /** This run of the daemon: sessions of another run have to come back or end. */
  readonly bootId: string
  readonly issuer: string
  /** What names us to issuers of identity tokens: the public URL of a server. */
  readonly audience: string
  /** Verifies an identity token against the rules that are applied now. Consumes nothing. */
  readonly verifySubject: (token: Secret) => Promise<Verification>
  /** What was refused to subjects and strangers, on its way into the audit log. */
  readonly refusals: Refusals
  readonly signer: () => Promise<Signer>
  readonly limits: Limits
  readonly log: Log
  /** Revocations under way: a second call for the same lease joins the first. */
  readonly revoking: Map<LeaseId, Promise<Lease>>
  /** Called when a lease stops being active, before its providers are asked to revoke. */
  readonly onEnding: (lease: Lease) => void
  /** Who waits in this process for a person's decision. */
  readonly approvals: ApprovalHub
  /** One lane per connection. */
  readonly lanes: Map<string, Lane>
  /** Raised with every change of a stored connection: what was read of them before is out of date. */
  readonly connections: { version: number }
  /** Requests that depend on a look-up, one at a time for each place at a provider. */
  readonly turns: Turns
  /** Keyed, short and one way: tells this broker's people that two keys are the same one. */
  readonly fingerprint: (credential: string) => string
  /** Opens a lease's own proxy; it is closed when the lease begins to end. */
  readonly openProxy: (order: ProxyOrder) => Promise<OpenProxy>
  /** Opens what a task behind walls finds us by; it is closed when the lease begins to end. */
  readonly openPlace: (order: PlaceOrder) => Promise<TaskPlaceView>
}

/** A job that proved itself with an identity token of its own. */
export interface SubjectCaller {
  readonly kind: 'subject'
  readonly principal: Principal
  readonly subject: Subject
  /** Where it called from. */
  readonly address: string
}

/** Who calls: the person at this machine, a task with its lease's credential, or a job elsewhere. */
export type Caller =
  | { readonly kind: 'operator'; readonly principal: Principal }
  | { readonly kind: 'lease'; readonly lease: Lease }
  | SubjectCaller

export function principalOf(caller: Caller): Principal {
  return caller.kind === 'lease' ? caller.lease.principal : caller.principal
}
