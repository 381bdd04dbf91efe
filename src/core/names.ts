import { distance } from 'fastest-levenshtein'

/**
 * What environments, templates, grants and connections may be called: safe in a file name, in a
 * terminal, in a URL and in a log line. Quotes, `;`, white space and slashes have no place in a name.
 */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** Names that every JavaScript object answers to; one of them as a key invites confusion. */
const RESERVED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

export function isName(text: string): boolean {
  return NAME.test(text) && !RESERVED.has(text)
}

/** Longer words are not compared: the distance costs the product of both lengths. */
const COMPARABLE = 80

/**
 * The candidate that was probably meant, or null when none is near: at most one slip in three
 * characters, or two letters swapped; upper and lower case alike. Ties go to the first in the list.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  if (word.length > COMPARABLE) return null
  const wanted = word.toLowerCase()
  let best: string | null = null
  let least = Math.max(word.length < 4 ? 1 : 2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    if (candidate.length > COMPARABLE || candidate === word) continue
    const slips = distance(wanted, candidate.toLowerCase())
    if (slips >= least) continue
    least = slips
    best = candidate
  }
  return best
}

/** `*` stands for any characters, anchored at both ends. No backtracking: linear in the text. */
export function matchesGlob(glob: string, text: string): boolean {
  const parts = glob.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return glob === text
  const last = parts[parts.length - 1] ?? ''
  if (text.length < first.length + last.length) return false
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
