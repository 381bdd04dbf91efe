import type { RequestFacts } from '../../core/guard.ts'
import { malformed, quote } from '../../core/refused.ts'

/** Fields by which some servers run another method, another path or another host. */
const OVERRIDES: ReadonlySet<string> = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-method',
  'x-original-url',
  'x-original-uri',
  'x-original-host',
  'x-rewrite-url',
  'x-forwarded-method',
  'x-forwarded-uri',
  'x-forwarded-path',
  'x-forwarded-prefix',
  'x-forwarded-host',
  'x-forwarded-server',
  'x-host',
  'forwarded',
])

/** Every value of a header; servers that write `_` for `-` are thought of. */
export function valuesOf({ headers }: RequestFacts, name: string): readonly string[] {
  const wanted = name.replaceAll('_', '-')
  return headers.flatMap(([each, value]) =>
    each.toLowerCase().replaceAll('_', '-') === wanted ? [value.trim()] : [],
  )
}

/** The one value of a header, or null. Several are refused: servers differ on which one counts. */
export function headerOf(request: RequestFacts, name: string): string | null {
  const [value = null, ...more] = valuesOf(request, name)
  if (more.length > 0) throw malformed(`header ${quote(name)} stands twice`)
  return value
}

export function checkHeaders({ headers }: RequestFacts): void {
  for (const [name] of headers) {
    const plain = name.toLowerCase().replaceAll('_', '-')
    if (OVERRIDES.has(plain)) throw malformed(`header ${quote(name)} is not accepted`)
    if (plain === 'upgrade') throw malformed('a connection cannot be upgraded here')
  }
}
