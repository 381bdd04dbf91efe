/**
 * Templates of paths: `/v1/{workspace}/tickets/{id}`. A placeholder stands for exactly one segment that
 * is not empty; `{id:number}`, `{id:uuid}` narrow it, `{id:text}` also takes colons, and
 * `{id}:cancel` is a segment with a verb behind it. Everything else is literal, anchored at both ends:
 * a trailing slash makes another path.
 */
export interface PathTemplate {
  readonly segments: readonly Segment[]
  /** Names of its placeholders. */
  readonly names: readonly string[]
}

type Segment = { readonly literal: string } | Placeholder

interface Placeholder {
  readonly name: string
  readonly kind: Kind
  /** `:cancel`, or empty. */
  readonly verb: string
}

/** Of the decoded value. A colon may begin a verb, which would be another operation. */
const KINDS = {
  segment: /^[^:]+$/,
  text: /^.+$/s,
  number: /^[0-9]{1,20}$/,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
} as const
type Kind = keyof typeof KINDS

const PLACEHOLDER =
  /^\{([A-Za-z][A-Za-z0-9_-]{0,62})(?::(text|number|uuid))?\}((?::[A-Za-z][A-Za-z0-9_-]*)?)$/
const LITERAL = /^(?!\.{1,2}$)[A-Za-z0-9._~@:$+,=-]+$/

/** Reads a template once; a text instead of it says what is wrong with it. */
export function parsePath(text: string): PathTemplate | string {
  if (!text.startsWith('/')) return 'a path begins with a slash'
  const parts = text.slice(1).split('/')
  if (parts.slice(0, -1).includes('')) return 'a path has no empty segment'
  const segments: Segment[] = []
  for (const part of parts) {
    const [, name, kind = 'segment', verb = ''] = PLACEHOLDER.exec(part) ?? []
    if (name !== undefined) segments.push({ name, kind: kind as Kind, verb })
    else if (part === '' || LITERAL.test(part)) segments.push({ literal: part })
    else return 'a segment is plain text, or one placeholder like {id}, {id:number} or {id:uuid}'
  }
  const names = segments.flatMap((one) => ('name' in one ? [one.name] : []))
  if (new Set(names).size < names.length) return 'a placeholder stands twice'
  return { segments, names }
}

/**
 * The decoded values of its placeholders where the template is that path; null where it is not.
 * `inexact`: it differs in the case of letters, which some servers take for the same path. `path`:
 * raw segments whose escapes have been checked.
 */
export function matchPath(
  { segments }: PathTemplate,
  path: readonly string[],
): ReadonlyMap<string, string> | 'inexact' | null {
  if (segments.length !== path.length) return null
  const values = new Map<string, string>()
  let exact = true
  for (const [index, segment] of segments.entries()) {
    const raw = path[index] ?? ''
    if ('literal' in segment) {
      if (raw.toLowerCase() !== segment.literal.toLowerCase()) return null
      exact &&= raw === segment.literal
    } else {
      const value = textOf(segment, raw)
      if (value === null) return null
      values.set(segment.name, value)
      exact &&= raw.endsWith(segment.verb)
    }
  }
  return exact ? values : 'inexact'
}

/** A verb counts only as it is: an escaped colon is a part of the value. */
function textOf({ kind, verb }: Placeholder, raw: string): string | null {
  if (!raw.toLowerCase().endsWith(verb.toLowerCase())) return null
  const value = decodeURIComponent(raw.slice(0, raw.length - verb.length))
  return KINDS[kind].test(value) ? value : null
}

/** Whether some path matches both, taking letters of either case for the same. */
export function overlap(one: PathTemplate, other: PathTemplate): boolean {
  if (one.segments.length !== other.segments.length) return false
  return one.segments.every((segment, index) => {
    const opposite = other.segments[index]
    return opposite !== undefined && segmentsOverlap(segment, opposite)
  })
}

function segmentsOverlap(one: Segment, other: Segment): boolean {
  if ('literal' in one) {
    if ('literal' in other) return one.literal.toLowerCase() === other.literal.toLowerCase()
    return textOf(other, one.literal) !== null
  }
  if ('literal' in other) return textOf(one, other.literal) !== null
  const sameVerb = one.verb.toLowerCase() === other.verb.toLowerCase()
  // Text may end in anything, also in what is the other's verb.
  if (!sameVerb && one.kind !== 'text' && other.kind !== 'text') return false
  const kinds = [one.kind, other.kind]
  return !(kinds.includes('number') && kinds.includes('uuid'))
}
