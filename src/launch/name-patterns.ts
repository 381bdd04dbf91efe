/**
 * Compiles names with `*` into one test over upper-cased names. Names are matched without regard to
 * case: `npm_config__authToken` is spelled in both cases in the wild, and Windows does not care.
 */
export function namePatterns(patterns: readonly string[]): (upperName: string) => boolean {
  const plain = new Set<string>()
  const globs: string[] = []
  for (const pattern of patterns) {
    const upper = pattern.toUpperCase()
    if (upper.includes('*')) globs.push(upper)
    else plain.add(upper)
  }
  const glob = globs.length === 0 ? undefined : new RegExp(`^(?:${globs.map(source).join('|')})$`)
  return (upperName) => plain.has(upperName) || (glob?.test(upperName) ?? false)
}

/** The same for a single pattern, in plain words of its own: `*TOKEN*` → /^.*TOKEN.*$/. */
function source(glob: string): string {
  return glob
    .split('*')
    .map((part) => part.replace(/[^A-Z0-9_]/g, '\\$&'))
    .join('.*')
}
