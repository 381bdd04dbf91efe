declare const __BROKER_VERSION__: string

export const VERSION: string = __BROKER_VERSION__

/** True if version `a` came before `b` (Semantic Versioning 2.0, §11). False for what cannot be read. */
export function isOlder(a: string, b: string): boolean {
  const left = parse(a)
  const right = parse(b)
  if (left === undefined || right === undefined) return false
  for (let i = 0; i < 3; i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  if (left.early === right.early) return false
  // A pre-release comes before its release.
  if (left.early === '' || right.early === '') return right.early === ''
  return left.early.localeCompare(right.early, 'en', { numeric: true }) < 0
}

function parse(version: string): { numbers: readonly number[]; early: string } | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/.exec(version)
  if (match === null) return undefined
  return { numbers: match.slice(1, 4).map(Number), early: match[4] ?? '' }
}
