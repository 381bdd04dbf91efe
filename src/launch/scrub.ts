import { standingCredentials } from './standing-credentials.ts'
import { valueShape } from './value-shape.ts'

export type Variables = Readonly<Record<string, string | undefined>>

export interface Scrubbed {
  readonly kept: Readonly<Record<string, string>>
  /** Names and reasons; never a value. Sorted by name. */
  readonly removed: readonly { readonly name: string; readonly why: string }[]
}

export interface ScrubOptions {
  /** Exact names that stay although they look like credentials. Never brings back a `BROKER_*`. */
  readonly pass?: readonly string[]
  /** Only well-known harmless names stay. */
  readonly strict?: boolean
}

/** A name longer than this is no ordinary variable; it is removed instead of being looked at. */
const LONGEST_NAME = 256

/** A variable with such a value is a switch, whatever its name says (`USE_AUTH=true`). */
const SWITCH = /^(?:|0|1|true|false|yes|no|on|off)$/i

/**
 * The environment a task may see: standing credentials removed by name and by the look of their
 * values, loaders that would run foreign code in the child removed, the rest untouched. Pure.
 * A removed URL is removed whole: half of one would send the child somewhere nobody chose.
 */
export function scrubEnvironment(env: Variables, options: ScrubOptions = {}): Scrubbed {
  const rules = {
    pass: new Set(options.pass),
    strict: options.strict ?? false,
    shapes: anyShape(env),
  }
  const kept: Record<string, string> = Object.create(null)
  const removed: { name: string; why: string }[] = []
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue
    const why = reasonToRemove(name, value, rules)
    if (why === undefined) kept[name] = value
    else removed.push({ name, why })
  }
  removed.sort((a, b) => (a.name < b.name ? -1 : 1))
  return { kept, removed }
}

interface Rules {
  readonly pass: ReadonlySet<string>
  readonly strict: boolean
  /** False if no value at all looks like a credential. */
  readonly shapes: boolean
}

/**
 * One look at all values together: on most days there is nothing, and a look at each by itself makes
 * the engine compile the patterns twice. A line break ends every pattern, as the end of a value does.
 */
function anyShape(env: Variables): boolean {
  return valueShape(Object.values(env).join('\n')) !== undefined
}

function reasonToRemove(name: string, value: string, rules: Rules): string | undefined {
  const upper = name.toUpperCase()
  // Before `pass`: what the caller holds of the broker's own would let the task act as the caller.
  if (upper.startsWith('BROKER_')) return "the broker's own"
  if (rules.pass.has(name)) return undefined
  if (name.length > LONGEST_NAME) return 'an unusually long name'
  const known = standingCredentials()
  if (known.isLoader(upper)) return 'makes programs run other code'
  const provider = known.providerOf(upper)
  if (provider !== undefined) return `a credential or its place (${provider})`
  const shape = rules.shapes ? valueShape(value) : undefined
  if (shape !== undefined) return `its value looks like a secret (${shape})`
  if (rules.strict && !known.isStrict(upper)) return 'not on the list of --strict'
  const nameShape = SWITCH.test(value) ? undefined : known.nameShape(upper)
  if (nameShape !== undefined) return `its name looks like a secret (${nameShape})`
  return undefined
}
