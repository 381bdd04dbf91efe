import type { Lease, Principal } from '../core/lease.ts'
import type { Configuration } from '../core/template.ts'
import type { LeaseId, Random } from '../lib/ids.ts'
import type { Lane } from '../lib/lane.ts'
import type { Provider, Signer } from '../providers/provider.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'

/** What is applied now. A value: whoever holds one sees one version throughout. */
export interface Policy {
  /** 0: nothing applied, the built-in one. */
  readonly version: number
  readonly configuration: Configuration
  readonly templates: ReadonlyMap<string, { readonly version: number; readonly sha256: string }>
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
  readonly providerNames: readonly string[]
  readonly policy: () => Promise<Policy>
  readonly now: () => number
  readonly random: Random
  readonly installId: string
  /** This run of the daemon: sessions of another run have to come back or end. */
  readonly bootId: string
  readonly issuer: string
  readonly signer: () => Promise<Signer>
  readonly limits: Limits
  readonly log: Log
  /** Revocations under way: a second call for the same lease joins the first. */
  readonly revoking: Map<LeaseId, Promise<Lease>>
  /** Called when a lease stops being active, before its providers are asked to revoke. */
  readonly onEnding: (lease: Lease) => void
  /** One lane per connection. */
  readonly lanes: Map<string, Lane>
}

/** Who calls: the person at this machine, or a task with its lease's credential. */
export type Caller =
  | { readonly kind: 'operator'; readonly principal: Principal }
  | { readonly kind: 'lease'; readonly lease: Lease }

export function principalOf(caller: Caller): Principal {
  return caller.kind === 'operator' ? caller.principal : caller.lease.principal
}
