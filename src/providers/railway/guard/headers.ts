import type { RequestFacts } from '../../../core/guard.ts'
import { malformed, quote } from '../../../core/refused.ts'

/** Headers by which some servers take another method than the request line's. */
const OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override']

/** The one value of a header, or null. Several lines of one name are refused: servers differ on which counts. */
export function headerOf({ headers }: RequestFacts, name: string): string | null {
  const values = headers.filter(([each]) => each.toLowerCase() === name)
  if (values.length > 1) throw malformed(`header ${quote(name)} stands twice`)
  return values[0]?.[1].trim() ?? null
}

export function refuseOverrides(request: RequestFacts): void {
  for (const name of OVERRIDES) {
    if (headerOf(request, name) !== null) throw malformed(`header ${quote(name)} is not accepted`)
  }
}

const JSON_TYPE = /^application\/json(?:\s*;\s*charset=(?:utf-8|"utf-8"))?$/i

/** Only JSON in UTF-8, not packed: forms, multipart and plain documents are read differently. */
export function requireJson(request: RequestFacts): void {
  if (!JSON_TYPE.test(headerOf(request, 'content-type') ?? '')) {
    throw malformed('the content type has to be application/json')
  }
  const encoding = headerOf(request, 'content-encoding') ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    throw malformed('the body has to come without a content encoding')
  }
}
