import type { Json, JsonObject } from '../../lib/json.ts'

/** What a claim may be compared with: the type counts, `1` is not `"1"` and `true` is not `"true"`. */
export type ClaimValue = string | number | boolean

/** One value, or the list of those that are allowed. */
export type ClaimRule = ClaimValue | readonly ClaimValue[]

/** An `oidc` rule of a template, as it was written and stored. */
export interface TrustSource {
  readonly issuer: string
  /** Null: the broker's own public URL. */
  readonly audience: string | null
  readonly claims: Readonly<Record<string, ClaimRule>>
}

export function valuesOf(rule: ClaimRule): readonly ClaimValue[] {
  return Array.isArray(rule) ? rule : [rule as ClaimValue]
}

/** The claim of that name; undefined where the token has none, whatever objects inherit. */
export function claimOf(claims: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** The claim as text; null where it is missing, empty or of another type. */
export function textOf(claims: JsonObject, name: string): string | null {
  const value = claimOf(claims, name)
  return typeof value === 'string' && value !== '' ? value : null
}
