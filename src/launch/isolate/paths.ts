/** Folders of a path, from the root down to the path itself: `/a/b` → `/a`, `/a/b`. */
export function lineage(path: string): readonly string[] {
  const names = path.split('/').filter(Boolean)
  return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
}

/** True for the folder itself and everything below it. Both absolute, without links. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`)
}

/** A file's name matched whole against patterns with `*`, as written: `.env.*`. */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => false
  const sources = patterns.map((pattern) =>
    pattern
      .split('*')
      .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*'),
  )
  const any = new RegExp(`^(?:${sources.join('|')})$`, 'i')
  return (name) => any.test(name)
}
