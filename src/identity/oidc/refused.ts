/**
 * Why an identity token is not accepted, one reason for each check. For audit and metrics: whoever
 * presented the token is told no more than that it was refused.
 */
export type TokenReason =
  | 'token_too_large'
  | 'token_malformed'
  | 'type_wrong'
  | 'algorithm_none'
  | 'algorithm_symmetric'
  | 'algorithm_unknown'
  | 'algorithm_not_offered'
  | 'header_key' // it brings its own key, or says where to fetch one
  | 'header_critical'
  | 'header_kid'
  | 'claim_missing'
  | 'claim_mistyped'
  | 'issuer_unknown'
  | 'audience_many'
  | 'audience_other'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'times_contradict'
  | 'life_too_long'
  | 'too_old'
  | 'key_unknown'
  | 'key_ambiguous'
  | 'signature_bad'
  | IssuerReason

/** The token may be good, but its issuer could not be asked, or not answer as it has to. */
export type IssuerReason =
  | 'issuer_insecure'
  | 'issuer_private'
  | 'issuer_unreachable'
  | 'issuer_redirects'
  | 'issuer_too_large'
  | 'issuer_failed'
  | 'issuer_metadata'
  | 'issuer_keys'

/** Thrown inside this folder; `verifyIdentityToken` turns it into a value. Its message holds no secret. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused'
  readonly reason: TokenReason

  constructor(reason: TokenReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.reason = reason
  }
}

/** True when trying again later may help, and a person may have to look at the issuer. */
export function isIssuerReason(reason: TokenReason): reason is IssuerReason {
  return ISSUER_REASONS.has(reason)
}

const ISSUER_REASONS: ReadonlySet<TokenReason> = new Set<IssuerReason>([
  'issuer_insecure',
  'issuer_private',
  'issuer_unreachable',
  'issuer_redirects',
  'issuer_too_large',
  'issuer_failed',
  'issuer_metadata',
  'issuer_keys',
])
