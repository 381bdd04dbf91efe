import { distance } from 'fastest-levenshtein'

/** The closest of `names`, if it is close enough to be what was meant: a third may be wrong. */
export function nearest(wanted: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.ceil(wanted.length / 3) + 1
  for (const name of names) {
    const far = distance(wanted.toLowerCase(), name.toLowerCase())
    if (far < least) {
      best = name
      least = far
    }
  }
  return best
}
