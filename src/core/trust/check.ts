import { type TrustSource, valuesOf } from './claims.ts'
import { type Need, type Preset, PUBLIC_ISSUERS, presetOf } from './presets.ts'

/** What is wrong with a rule, and where in it: keys and indexes from the `oidc` map. */
export interface TrustProblem {
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly path: readonly (string | number)[]
}

/** Claims that say nothing about who asks, and the way to say what was meant. */
const NOT_COMPARED: Readonly<Record<string, string>> = {
  iss: 'it is what "issuer" says',
  aud: 'it is what "audience" says',
  exp: 'it is checked for every token',
  nbf: 'it is checked for every token',
  iat: 'it is checked for every token',
  jti: 'it is another one in every token',
}

/**
 * Rules that would let in more than their author can have meant, or nobody at all. `preset`: the kind
 * of issuer, where the author says it; what an issuer is known to be counts in any case.
 */
export function checkTrust(source: TrustSource, preset: Preset | null): readonly TrustProblem[] {
  const known = presetOf(source.issuer)
  const kind = known ?? preset
  return [
    ...checkPreset(known, preset),
    ...Object.keys(source.claims).flatMap((name) => checkClaim(source, name, kind)),
    ...(kind ? checkNeeds(source, kind.needs) : checkPublic(source)),
  ]
}

function checkPreset(known: Preset | null, said: Preset | null): readonly TrustProblem[] {
  if (!known || !said || known === said) return []
  const message = `preset ${said.name} does not fit: this is an issuer of ${known.name}`
  return [{ severity: 'error', message, path: ['preset'] }]
}

function checkClaim(source: TrustSource, name: string, kind: Preset | null): TrustProblem[] {
  const error = (message: string, ...at: number[]): TrustProblem[] => [
    { severity: 'error', message, path: ['claims', name, ...at] },
  ]
  const instead = Object.hasOwn(NOT_COMPARED, name) ? NOT_COMPARED[name] : undefined
  if (instead !== undefined) return error(`claim "${name}" cannot be named: ${instead}`)
  const rule = source.claims[name] ?? []
  const isList = typeof rule === 'object'
  return valuesOf(rule).flatMap((value, index) => {
    const at = isList ? [index] : []
    if (typeof value === 'string') {
      return value.includes('*')
        ? error('there are no patterns here: values are compared exactly', ...at)
        : []
    }
    if (!kind || (kind.texts !== 'all' && !kind.texts.includes(name))) return []
    return error(`${kind.name} gives this claim as text: put the value in quotes`, ...at)
  })
}

function checkNeeds(source: TrustSource, needs: readonly Need[]): readonly TrustProblem[] {
  return needs
    .filter(({ anyOf }) => !anyOf.some((set) => names(source, set)))
    .map(({ severity, message }) => ({ severity, message, path: ['claims'] }))
}

function names(source: TrustSource, set: Readonly<Record<string, RegExp | null>>): boolean {
  return Object.entries(set).every(([name, pattern]) => {
    if (!Object.hasOwn(source.claims, name)) return false
    const values = valuesOf(source.claims[name] ?? [])
    if (pattern === null) return values.length > 0
    // Every one of them: the widest value of a list is what the rule lets in.
    return values.every((value) => typeof value === 'string' && pattern.test(value))
  })
}

function checkPublic({ issuer, claims }: TrustSource): readonly TrustProblem[] {
  const needed = PUBLIC_ISSUERS.get(issuer)
  if (needed === undefined || Object.hasOwn(claims, needed)) return []
  const message = `name ${needed}: anyone in the world can have tokens of this issuer`
  return [{ severity: 'error', message, path: ['claims'] }]
}
