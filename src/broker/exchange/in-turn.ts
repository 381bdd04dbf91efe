import type { Context } from '../context.ts'

/** Of each run of the broker: exchanges under way, by the token that they use up. */
const RUNNING = new WeakMap<Context, Map<string, Promise<unknown>>>()

/**
 * One exchange of a token after another: a retry that overtakes its first try waits for it, and then finds
 * its answer. Across processes the database decides.
 */
export async function inTurn<T>(
  context: Context,
  token: string,
  work: () => Promise<T>,
): Promise<T> {
  const running = runningOf(context)
  for (let other = running.get(token); other; other = running.get(token)) {
    await other.catch(() => {})
  }
  const run = work().finally(() => running.delete(token))
  running.set(token, run)
  return run
}

function runningOf(context: Context): Map<string, Promise<unknown>> {
  const known = RUNNING.get(context)
  if (known) return known
  const made = new Map<string, Promise<unknown>>()
  RUNNING.set(context, made)
  return made
}
