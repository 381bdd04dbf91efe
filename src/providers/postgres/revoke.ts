import { BrokerError } from '../../errors.ts'
import type { Revocation } from '../provider.ts'
import { cutOff } from './cut-off.ts'
import { dropEverywhere, unclean } from './drop.ts'
import { asFailure, codeOf } from './failure.ts'
import type { Place, Pools } from './pools.ts'
import { rollBackPrepared } from './prepared.ts'
import type { Recipe } from './recipe.ts'
import { findRole, type Role } from './role.ts'
import type { Session } from './session.ts'
import { endGhosts } from './sessions.ts'
import { exclusively } from './transaction.ts'
import { addressOf } from './url.ts'

/** This one database cannot be entered, though the server answers. */
const CLOSED = /^(3D000|55000|42501|53300|28000)$/

interface Entry {
  readonly session: Session
  /** Why the recipe's own database could not be entered; null if it was. */
  readonly refusal: BrokerError | null
}

/**
 * Ends a role for good: no login, no session, nothing owned, no role. Every step finds out for
 * itself what is left to do, so it may be repeated from any point, also by two callers at once.
 * `oid` is the minted role's, or null when the mint was interrupted.
 */
export async function revokeRole(
  pools: Pools,
  place: Place,
  recipe: Recipe,
  oid: number | null,
  signal: AbortSignal,
): Promise<Revocation> {
  const { session, refusal } = await enter(pools, place, recipe, signal)
  try {
    const outcome = await end(pools, place, session, recipe, oid, refusal)
    session.end()
    return outcome
  } catch (error) {
    session.end(true)
    throw asFailure(signal.aborted ? signal.reason : error, place.connection)
  }
}

/**
 * Enters the database of the mint, where its lock is; if that one is closed, another: roles are the
 * whole server's, and ending access must not wait for one database.
 */
async function enter(
  pools: Pools,
  place: Place,
  recipe: Recipe,
  signal: AbortSignal,
): Promise<Entry> {
  let refusal: BrokerError | null = null
  for (const database of new Set([recipe.database, place.database, 'postgres'])) {
    try {
      return { session: await pools.open({ ...place, database }, signal), refusal }
    } catch (error) {
      const failure = asFailure(error, place.connection)
      if (!CLOSED.test(codeOf(failure) ?? '')) throw failure
      refusal ??= failure
    }
  }
  throw refusal
}

async function end(
  pools: Pools,
  place: Place,
  session: Session,
  recipe: Recipe,
  oid: number | null,
  refusal: BrokerError | null,
): Promise<Revocation> {
  const dropped = codeOf(refusal) === '3D000' // and with the database went all that was in it
  const role =
    (await findRole(session, recipe.role)) ?? (await findCommitting(session, recipe.role))
  if (!role) {
    if (refusal && !dropped) throw refusal // the mint's lock is in there: absence is not proven
    refuseElsewhere(place, recipe)
    await endGhosts(session, recipe.role, oid)
    return { outcome: 'absent' }
  }
  const unblock = () => rollBackPrepared(pools, place, session, role)
  await cutOff(session, role, unblock)
  if (refusal && !dropped) throw unclean(recipe.role, recipe.database, refusal)
  await unblock()
  const notes = await dropEverywhere(pools, place, session, role)
  await endGhosts(session, role.name, role.oid)
  return { outcome: 'revoked', notes }
}

/** A mint whose client died may be committing: whoever gets its lock sees what became of it. */
async function findCommitting(session: Session, name: string): Promise<Role | null> {
  return exclusively(session, () => findRole(session, name))
}

/** "Not there" on another server than the role was made on says nothing about it. */
function refuseElsewhere({ connection, server }: Place, recipe: Recipe): void {
  if (recipe.address === null || recipe.address === addressOf(server)) return
  throw new BrokerError(
    'provider_failed',
    `"${recipe.role}" was made at "${recipe.address}", "${connection}" leads elsewhere now`,
    {
      hint: `point the connection back there, or drop the role by hand at the old server`,
      details: { connection, role: recipe.role, address: recipe.address },
    },
  )
}
