import { BrokerError } from '../../errors.ts'
import { checkTrust } from './check.ts'
import { type ClaimValue, type TrustSource, valuesOf } from './claims.ts'
import { issuerKind } from './issuer.ts'
import { presetOf } from './presets.ts'

/** A rule that is ready to match. Nothing in it changes any more. */
export interface TrustRule {
  readonly issuer: string
  readonly audience: string
  /** By claim name, at least one; each with at least one allowed value. */
  readonly claims: ReadonlyMap<string, ReadonlySet<ClaimValue>>
  /** Of an issuer whose tokens always name the event that started the run. */
  readonly hasEvents: boolean
}

export interface TrustTerms {
  /** What `aud` has to be where a rule names none: the broker's public URL. */
  readonly ours: string
  /** True: also issuers in plain http on this machine. For tests, and only where the caller says so. */
  readonly plainLoopback: boolean
}

/**
 * Compiles a rule once, from a copy. Throws `config_invalid` with `details.path` for a rule that is
 * not exact: also for one that an older version stored and this one would not take.
 */
export function compileTrust(source: TrustSource, terms: TrustTerms): TrustRule {
  const { issuer } = source
  const audience = source.audience ?? terms.ours
  const kind = issuerKind(issuer)
  if (kind === null) throw invalid('an issuer is an https URL in its plain form', ['issuer'])
  if (kind === 'loopback' && !terms.plainLoopback) {
    throw invalid(`issuer "${issuer}" is not reached over https`, ['issuer'])
  }
  if (audience === '') throw invalid('an audience is empty', ['audience'])
  const claims = new Map(
    Object.entries(source.claims).map(([name, rule]) => [name, allowed(name, valuesOf(rule))]),
  )
  if (claims.size === 0) throw invalid('a rule names no claim', ['claims'])
  const problem = checkTrust(source, null).find(({ severity }) => severity === 'error')
  if (problem) throw invalid(problem.message, problem.path)
  return { issuer, audience, claims, hasEvents: presetOf(issuer)?.name === 'github' }
}

function allowed(name: string, values: readonly ClaimValue[]): ReadonlySet<ClaimValue> {
  const usable = values.every(
    (value) => typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value),
  )
  // A set keeps `1`, `"1"` and `true` apart, as the comparison has to.
  if (usable && values.length > 0) return new Set(values)
  throw invalid(`claim "${name}" has no value to compare with`, ['claims', name])
}

function invalid(message: string, path: readonly (string | number)[]): BrokerError {
  return new BrokerError('config_invalid', message, {
    hint: 'correct the rule under "who" and apply the templates again',
    details: { path },
  })
}
