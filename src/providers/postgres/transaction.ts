import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerError } from '../../errors.ts'
import { codeOf, isConflict } from './failure.ts'
import type { Session } from './session.ts'

/** One key for every installation: they all change the same catalog rows. 'brkr', 1. */
const LOCK_CLASS = 0x62726b72
const LOCK_OBJECT = 1
const ATTEMPTS = 4
/** A table dropped between listing and granting; a role made by a neighbour; deadlocks. */
const REPEATABLE = /^(42P01|3F000|42710|23505|40001|40P01)$/

/**
 * Runs `work` in one transaction that holds the broker's advisory lock of this database. The lock
 * keeps GRANTs from changing one catalog row at once, which the server answers with an error; and
 * it is acknowledged before anything that could be committed is sent, so that whoever gets it
 * next, after a client died, sees all that the dead one did. Repeats `work` after a conflict.
 */
export async function exclusively<T>(session: Session, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.run('BEGIN')
      await takeLock(session)
      const value = await work()
      await session.run('COMMIT')
      return value
    } catch (error) {
      if (session.signal.aborted) throw error
      await session.run('ROLLBACK').catch(() => {}) // the first error is the one to tell
      const repeatable = isConflict(error) || REPEATABLE.test(codeOf(error) ?? '')
      if (!repeatable || attempt === ATTEMPTS) throw error
      await sleep(10 * attempt, undefined, { signal: session.signal })
    }
  }
}

async function takeLock(session: Session): Promise<void> {
  try {
    await session.run(`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${LOCK_OBJECT})`)
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error
    await session.run('ROLLBACK')
    throw await heldBy(session, error)
  }
}

/** Any session may take any advisory lock, so say who has it. */
async function heldBy(session: Session, cause: unknown): Promise<BrokerError> {
  const [holder] = await session.rows<{ pid: number | null; role: string | null }>(
    `SELECT l.pid, a.usename::text AS role FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = $2
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [LOCK_CLASS, LOCK_OBJECT],
  )
  const who = holder?.role ? `"${holder.role}" (pid ${holder.pid})` : 'another session'
  return new BrokerError(
    'provider_unavailable',
    `the broker's lock on the server of "${session.connection}" is held by ${who}`,
    {
      hint: 'it is tried again; end that session if it stays',
      details: { connection: session.connection, sqlstate: '55P03', holder: holder?.role ?? null },
      cause,
    },
  )
}
