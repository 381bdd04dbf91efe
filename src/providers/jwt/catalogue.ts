import type { Catalogue } from '../../core/risk.ts'

/**
 * Operations are scopes of the user's own API, so any well-formed one may be named. `read` is listed,
 * so that a rule `allow: [read]` means the scope `read`.
 */
export const catalogue: Catalogue = { operations: new Map([['read', 'read']]), open: true }

/** scope-token of RFC 6749 §3.3: one that breaks it would turn into another scope when joined. */
export function isScopeToken(text: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)
}
