import { malformed } from './refusal.ts'

/** Nothing in it that is looked for below: no escape, and no segment that is empty or begins with a dot. */
const PLAIN = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+(?:\?[\x21-\x24\x26-\x7e]*)?$/
const VISIBLE = /^\/[\x21-\x7e]*$/
const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const CONTROL = /[\x00-\x1f\x7f]/
/** Upstreams behind two decoding layers exist; a third would be one more than anyone has found. */
const DECODINGS = 3

export interface SplitTarget {
  readonly path: string
  readonly query: string | undefined
}

export function splitTarget(target: string): SplitTarget {
  if (!target.startsWith('/')) throw malformed('the request target has no path')
  if (target.includes('#')) throw malformed('the request target has a fragment')
  const mark = target.indexOf('?')
  if (mark < 0) return { path: target, query: undefined }
  return { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/**
 * Refuses a path that two programs could read as two paths: rules match what stands here, the
 * upstream may normalise it first (RFC 3986 §6.2.2).
 */
export function checkTarget(target: string, { path, query }: SplitTarget): void {
  if (PLAIN.test(target)) return
  if (!VISIBLE.test(target)) throw malformed('the request target has characters outside ASCII')
  if (BAD_ESCAPE.test(path)) throw malformed('the path has a broken percent escape')
  if (query !== undefined && BAD_ESCAPE.test(query)) {
    throw malformed('the query has a broken percent escape')
  }
  if (path.includes('\\')) throw malformed('the path has a backslash')
  if (path.includes('//')) throw malformed('the path has an empty segment')
  checkSegments(path)
}

function checkSegments(path: string): void {
  let current = path
  for (let round = 0; ; round++) {
    // `..;x` is a dot segment to servers that know path parameters.
    const segments = current.split(/[/\\]/).map((segment) => segment.split(';', 1)[0])
    if (segments.some((segment) => segment === '.' || segment === '..')) {
      throw malformed('the path has a dot segment')
    }
    if (CONTROL.test(current)) throw malformed('the path has an escaped control character')
    if (round === DECODINGS || !current.includes('%')) return
    const decoded = decoding(current)
    if (decoded === undefined && round === 0) {
      throw malformed('the path has escapes that are not UTF-8')
    }
    if (decoded === undefined || decoded === current) return
    current = decoded
  }
}

function decoding(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
