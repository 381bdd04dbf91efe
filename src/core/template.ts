import type { JsonObject } from '../lib/json.ts'
import type { RestDefinition } from './rest/definition.ts'
import type { TrustSource } from './trust/claims.ts'

export type Isolation = 'scrub' | 'mask' | 'confine'

/** Weakest first; a template names the least that it accepts. */
export const ISOLATIONS: readonly Isolation[] = ['scrub', 'mask', 'confine']

/** One grant's place in an environment: which connection, and the concrete target there. */
export interface Binding {
  /** Null when only the stored connection tells it (resolved when a lease is issued). */
  readonly provider: string | null
  readonly connection: string | null
  /** The provider's own settings (schemas, project, audience …), not yet checked by the provider. */
  readonly target: JsonObject
}

export interface Environment {
  readonly name: string
  readonly protected: boolean
  /** By grant name. */
  readonly bindings: Readonly<Record<string, Binding>>
}

/** Which operations, by risk class, exact name or glob. `deny` beats `approve` beats `allow`. */
export interface GrantRule {
  readonly allow: readonly string[]
  readonly approve: readonly string[]
  readonly deny: readonly string[]
}

export type Who = { readonly kind: 'local' } | ({ readonly kind: 'oidc' } & TrustSource)

export interface Template {
  readonly name: string
  readonly description: string
  readonly isDefault: boolean
  readonly environments: readonly string[]
  readonly ttlMs: number
  readonly maxTtlMs: number
  readonly isolation: Isolation
  readonly egress: 'open' | readonly string[]
  readonly unconfined: boolean
  readonly who: readonly Who[]
  readonly approval: 'none' | 'required'
  readonly confirm: 'totp' | 'typed'
  readonly approvalWaitMs: number
  /** The most leases of this template that may be live at once; null: the broker's own limit. */
  readonly maxLive: number | null
  readonly grants: Readonly<Record<string, GrantRule>>
}

/** A whole broker.yaml, checked and with every default filled in. */
export interface Configuration {
  readonly environments: Readonly<Record<string, Environment>>
  readonly templates: Readonly<Record<string, Template>>
  /** APIs of one's own, by name. */
  readonly providers: Readonly<Record<string, RestDefinition>>
}
