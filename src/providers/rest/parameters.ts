import { malformed, quote, unknown } from '../../core/refused.ts'

/** Decoded, in order of arrival. */
export type Parameters = readonly (readonly [name: string, value: string])[]

/** More than any honest request has. */
const MOST = 500

/**
 * Reads a query or a form as every server does (WHATWG URL §5.1). Refused are broken escapes and `;`,
 * which older servers take for `&`, and names by which a server runs another method.
 */
export function readParameters(text: string | null): Parameters {
  if (text === null || text === '') return []
  if (!/^[\x21-\x7e]*$/.test(text) || text.includes('#')) {
    throw malformed('the parameters are not encoded')
  }
  if (text.includes(';')) throw malformed('the parameters hold a ";"')
  const parts = text.split('&').filter((part) => part !== '')
  if (parts.length > MOST) throw malformed('there are too many parameters')
  return parts.map((part) => {
    const equals = part.indexOf('=')
    const name = decode(equals < 0 ? part : part.slice(0, equals))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (/[\x00-\x1f\x7f]/.test(name)) throw malformed('a parameter has a control character')
    if (OVERRIDE.test(plain(name))) throw malformed(`parameter ${quote(name)} is not accepted`)
    return [name, equals < 0 ? '' : decode(part.slice(equals + 1))] as const
  })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw malformed('a parameter has a broken percent escape')
  }
}

const OVERRIDE = /^(?:_+method|_*(?:x_)?http_method(?:_override)?|_*x_method_override)$/

/** As a server writes it that turns `a.b`, `a b` and `[a` into `a_b` and `_a`, and takes `a[]` for `a`. */
function plain(name: string): string {
  const base = name.trim().replace(/(?<=.)\[.*$/s, '')
  return base.toLowerCase().replace(/[^a-z0-9]/g, '_')
}

/** True where some server would take one name for the other. */
export function sameName(one: string, other: string): boolean {
  const letters = (name: string) => plain(name).replaceAll('_', '')
  return letters(one) === letters(other)
}

/** True for a name by which forms ask for another method. */
export function isMethodOverride(name: string): boolean {
  return OVERRIDE.test(plain(name))
}

const CREDENTIAL =
  /^(?:(?:access|auth|api|refresh|id|session|project|team|bearer|oauth|private|client)?(?:token|key|secret)|apikey|auth|authorization|password|passwd|pwd|jwt|signature|sig|credentials?)$/

/** Refuses a parameter that the operation does not take. */
export function checkTaken(
  parameters: Parameters,
  taken: 'any' | readonly string[],
  operation: string,
): void {
  for (const [name] of parameters) {
    const fits =
      taken === 'any' ? !CREDENTIAL.test(plain(name).replaceAll('_', '')) : taken.includes(name)
    if (!fits) throw unknown(`parameter ${quote(name)} of ${quote(operation)}`, operation)
  }
}
