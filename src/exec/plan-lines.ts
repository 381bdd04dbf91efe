import type { IsolationPlan } from '../launch/isolate/plan.ts'

const MOST_LINES = 40
/** As many changed files are named. */
const MOST_NAMED = 10

/** What a task would not see or could not write, for `--dry-run`. */
export function describePlan(plan: IsolationPlan, workTree: string): readonly string[] {
  const short = (path: string) =>
    path.startsWith(`${workTree}/`) ? path.slice(workTree.length + 1) : path
  return [
    '  the home, but for tools and plain settings (docs/isolation.md names them)',
    '  other processes, /tmp, /run and every socket; the folders of the broker',
    ...(plan.level === 'confine' ? ["  the network, but for the lease's own proxy"] : []),
    ...few(plan.masked.map((path) => `  ${short(path)}: reads as empty`)),
    '',
    'read-only',
    `  everything but ${workTree}`,
    ...few(plan.held.map((path) => `  ${short(path)}: runs later with your rights`)),
  ]
}

/** What the person should look at before it runs. */
export function changedLines(changed: readonly string[], workTree: string): readonly string[] {
  if (changed.length === 0) return []
  const named = changed.slice(0, MOST_NAMED).map((path) => path.replace(`${workTree}/`, ''))
  const more = changed.length > named.length ? ` and ${changed.length - named.length} more` : ''
  return [`changed, and runs later with your rights: ${named.join(', ')}${more}`]
}

function few(lines: readonly string[]): readonly string[] {
  if (lines.length <= MOST_LINES) return lines
  return [...lines.slice(0, MOST_LINES), `  and ${lines.length - MOST_LINES} more`]
}
