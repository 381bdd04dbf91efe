import { malformed } from '../../core/refused.ts'

const LONGEST = 4096
/** RFC 3986 §3.3 without `;`: what stands behind one is a parameter to some servers, a name to others. */
const PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@%/]*$/
const UNRESERVED = /[A-Za-z0-9\-._~]/
/** Decoded, these end a segment or begin something else for a server that decodes first. */
const DELIMITERS = '/\\;?#%'

/**
 * The raw segments of a path that has one reading. Refused are all spellings that a server may turn
 * into another path before it routes (RFC 3986 §6.2.2): escapes of plain characters, of dots, slashes
 * and their like, dot segments, empty segments, parameters, what is not UTF-8.
 */
export function readPath(path: string): readonly string[] {
  if (path.length > LONGEST) throw malformed('the path is too long')
  if (!PATH.test(path)) throw malformed('the path has characters that do not belong there')
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '' && !last) throw malformed('the path has an empty segment')
    if (segment === '.' || segment === '..') throw malformed('the path has a dot segment')
    checkEscapes(segment)
  }
  return segments
}

function checkEscapes(segment: string): void {
  if (!segment.includes('%')) return
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) throw malformed('the path has a broken percent escape')
  for (const [, digits = ''] of segment.matchAll(/%([0-9A-Fa-f]{2})/g)) {
    const code = Number.parseInt(digits, 16)
    const character = String.fromCharCode(code)
    if (code < 0x20 || code === 0x7f) throw malformed('the path has an escaped control character')
    if (DELIMITERS.includes(character)) throw malformed('the path has an escaped delimiter')
    if (UNRESERVED.test(character)) throw malformed('the path escapes a character that needs none')
  }
  try {
    decodeURIComponent(segment)
  } catch {
    throw malformed('the path has escapes that are not UTF-8')
  }
}
