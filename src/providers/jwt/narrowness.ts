import type { Narrowness } from '../guard.ts'
import type { NarrownessRequest, World } from '../provider.ts'
import { audienceOf } from './target.ts'

/**
 * Known without trying: whoever accepts the token decides what it opens, and the broker knows no
 * address of theirs. So a probe has nothing to add, and nothing here says that it was tried.
 */
export function narrowness(
  { target, operations }: NarrownessRequest,
  { issuer }: Pick<World, 'issuer'>,
): readonly Narrowness[] {
  const audience = JSON.stringify(audienceOf(target) ?? issuer)
  const names = operations.map((operation) => JSON.stringify(operation)).join(', ')
  const scopes = operations.length === 1 ? `scope ${names}` : `scopes ${names}`
  return [
    by(
      'provider',
      `the token says ${audience}, its environment and the ${scopes}, and expires with its lease; none of it can be changed (signed)`,
    ),
    by(
      'nobody',
      `what ${audience} makes of it: one that does not compare audience, environment, scope and expiry is open to any token of this broker`,
    ),
    by(
      'nobody',
      'revocation at an API that does not ask (introspection): there a revoked token works until it expires',
    ),
    by('nobody', 'who holds it: whoever reads a bearer token may use it'),
  ]
}

function by(who: Narrowness['by'], message: string): Narrowness {
  return { by: who, message, probed: false }
}
