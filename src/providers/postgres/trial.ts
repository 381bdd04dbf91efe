import type { Narrowness } from '../guard.ts'
import { type Attempt, attemptsOn } from './attempts.ts'
import type { Candidates } from './candidates.ts'
import { codeOf } from './failure.ts'
import { type Place, Pools } from './pools.ts'
import type { Session } from './session.ts'
import { found, gaps, refusals, type Tried, unclear } from './verdicts.ts'
import { words } from './words.ts'

/** A lock that is not there at once is not waited for: the application's own statements come first. */
const LOCK_MS = 100

/** Tries each statement in a transaction of its own, which is rolled back. */
export async function tryStatements(
  place: Place,
  candidates: Candidates,
  signal: AbortSignal,
): Promise<readonly Narrowness[]> {
  const tried = await logIn(place, signal, async (session) => {
    const results: Tried[] = []
    for (const attempt of attemptsOn(candidates)) results.push(await tryOne(session, attempt))
    return results
  })
  return [...refusals(tried), ...gaps(tried, candidates), ...unclear(tried)]
}

export async function tryDatabases(
  place: Place,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<readonly Narrowness[]> {
  const open: string[] = []
  for (const database of databases) {
    if (await mayLogIn({ ...place, database }, signal)) open.push(JSON.stringify(database))
  }
  const closed = databases.length - open.length
  return [
    ...(closed > 0 ? [found('provider', `a login to ${closed} other databases is refused`)] : []),
    ...(open.length > 0
      ? [found('nobody', `that other databases are closed: the role logs in to ${words(open)}`)]
      : []),
  ]
}

/** Whether a login works. Throws for anything but a refusal: it would prove nothing. */
export async function mayLogIn(place: Place, signal: AbortSignal): Promise<boolean> {
  try {
    await logIn(place, signal, async () => undefined)
    return true
  } catch (error) {
    if (/^(28P01|28000|42501)$/.test(codeOf(error) ?? '')) return false
    throw error
  }
}

/** A session of the role's own, closed at its end: a pool would keep the password. */
async function logIn<T>(
  place: Place,
  signal: AbortSignal,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const pools = new Pools()
  try {
    return await pools.use(place, signal, work)
  } finally {
    await pools.close()
  }
}

async function tryOne(session: Session, attempt: Attempt): Promise<Tried> {
  const code = await codeFrom(session, attempt.statement)
  if (code === '42501') return { ...attempt, outcome: 'refused', code }
  const works = code === null || attempt.passed?.test(code) === true
  return { ...attempt, outcome: works ? 'works' : 'unclear', code }
}

/** The SQLSTATE that ended it; null: it worked. A lost session is thrown: it proves nothing. */
async function codeFrom(session: Session, statement: string): Promise<string | null> {
  try {
    await session.run(`BEGIN; SET LOCAL lock_timeout = '${LOCK_MS}ms'; ${statement}`)
    return null
  } catch (error) {
    const code = codeOf(error)
    if (code === null) throw error
    return code
  } finally {
    await session.run('ROLLBACK') // where the session is lost, this fails too
  }
}
