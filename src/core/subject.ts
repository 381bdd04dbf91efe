import type { JsonObject } from '../lib/json.ts'

/** A CI job (or a person) as its own issuer describes it, in an identity token that was verified. */
export interface Subject {
  /** The `iss` claim: one of the issuers that a template's rule names. */
  readonly issuer: string
  /** All of them, as they stand in the token. */
  readonly claims: JsonObject
  /** What makes this token this one and no other, and until when it has to be remembered. */
  readonly token: { readonly id: string; readonly keepUntil: number }
  /** Of the token. Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** What became of an identity token. Reason and message are for the audit log, never for who presented it. */
export type Verification =
  | { readonly outcome: 'verified'; readonly subject: Subject }
  | { readonly outcome: 'refused'; readonly reason: string; readonly message: string }
  /** It may be good, but its issuer could not be asked. */
  | { readonly outcome: 'unavailable'; readonly reason: string; readonly message: string }
