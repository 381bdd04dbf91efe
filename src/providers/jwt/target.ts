import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'

/** Null: our own issuer, known only when a token is minted. */
export function audienceOf(target: JsonObject): string | null {
  const { audience } = target
  return typeof audience === 'string' ? audience : null
}

/** `{audience?}`. Throws `config_invalid` with the path of the first thing that is wrong. */
export function parseTarget(target: JsonObject): JsonObject {
  const stranger = Object.keys(target).find((key) => key !== 'audience')
  if (stranger !== undefined) {
    throw invalid(`jwt has no setting "${stranger}"`, 'the only setting is audience', stranger)
  }
  const { audience } = target
  if (audience === undefined) return {}
  if (typeof audience !== 'string' || !isStringOrUri(audience)) {
    throw invalid(
      'the audience of a jwt must be an absolute URI or a plain name',
      'write it like https://api.staging.example, or orders-api',
      'audience',
    )
  }
  return { audience }
}

/** StringOrURI of RFC 7519 §2: with a colon in it, it has to be a URI. No spaces, no controls. */
function isStringOrUri(text: string): boolean {
  if (!/^[\x21-\x7e]{1,2000}$/.test(text)) return false
  return !text.includes(':') || URL.canParse(text)
}

function invalid(message: string, hint: string, key: string): BrokerError {
  return new BrokerError('config_invalid', message, { hint, details: { path: [key] } })
}
