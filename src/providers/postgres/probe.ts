import { BrokerError } from '../../errors.ts'
import { newBearer } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import type { Narrowness } from '../guard.ts'
import type { NarrownessRequest, World } from '../provider.ts'
import { type Candidates, listCandidates } from './candidates.ts'
import { asFailure } from './failure.ts'
import { type Login, mintRole } from './mint.ts'
import { probeName } from './names.ts'
import type { Place, Pools } from './pools.ts'
import { revokeRole } from './revoke.ts'
import { targetFrom } from './target.ts'
import { mayLogIn, tryDatabases, tryStatements } from './trial.ts'
import { addressOf } from './url.ts'

/** Should this process die in between, the role logs in no longer than this. */
const LIFE_MS = 120_000
/** Cleaning up has a time of its own: the question may have run out of its. */
const CLEAN_UP_MS = 20_000
/** Its sessions follow each other faster than the server forgets them. */
const SESSIONS = 20

/**
 * Makes a role like those of leases, tries with it what it must not be able to do, and ends it, also
 * where anything fails: by its name, since even its making may have lost its answer. Everything is
 * tried in transactions that are rolled back. After a crash the reconciler finds the name.
 */
export async function probe(
  pools: Pools,
  place: Place,
  request: NarrownessRequest,
  world: World,
): Promise<readonly Narrowness[]> {
  const role = probeName(world.installId, world.random)
  const here = { ...place, database: targetFrom(request.target).database ?? place.database }
  let login: Login | null = null
  let begun = false
  let found: readonly Narrowness[] = []
  try {
    const candidates = await pools.use(here, world.signal, async (session): Promise<Candidates> => {
      begun = true
      login = await mintRole(session, role, likeLease(request, world), world)
      return listCandidates(session, role, request)
    })
    found = await attempts(asRole(here, role, login), candidates, world)
  } finally {
    if (begun) await end(pools, place, here.database, role, oidOf(login))
  }
  return [...found, await isGone(asRole(here, role, login))]
}

function likeLease({ operations, target }: NarrownessRequest, world: World) {
  return {
    grant: 'probe',
    operations,
    target: { ...target, connectionLimit: SESSIONS },
    notAfter: world.now() + LIFE_MS,
  }
}

/** Where the role logs in, as its lease's client would. */
function asRole(place: Place, role: string, login: Login | null): Place {
  if (login === null) throw new TypeError('a probe that was not minted')
  return { ...place, server: { ...place.server, user: role, password: login.password } }
}

function oidOf(login: Login | null): number | null {
  return login?.oid ?? null
}

async function attempts(
  place: Place,
  candidates: Candidates,
  world: World,
): Promise<readonly Narrowness[]> {
  return [
    ...(await tryStatements(place, candidates, world.signal)),
    ...(await tryDatabases(place, candidates.databases, world.signal)),
    await tryWrongPassword(place, world),
  ]
}

/** Where any password will do, VALID UNTIL holds nothing either: both belong to the password. */
async function tryWrongPassword(place: Place, world: World): Promise<Narrowness> {
  const wrong = new Secret(newBearer('', world.random))
  const stranger = { ...place, server: { ...place.server, password: wrong } }
  return (await mayLogIn(stranger, world.signal))
    ? {
        by: 'nobody',
        message:
          'that the password is right: any one lets the role in, and VALID UNTIL is not looked at (pg_hba.conf)',
        probed: true,
      }
    : { by: 'provider', message: 'a login with a wrong password is refused', probed: true }
}

async function isGone(place: Place): Promise<Narrowness> {
  return (await mayLogIn(place, AbortSignal.timeout(CLEAN_UP_MS)))
    ? { by: 'nobody', message: 'that a revoked role is out: it still logs in', probed: true }
    : { by: 'provider', message: 'after its revocation the role logs in no more', probed: true }
}

async function end(
  pools: Pools,
  place: Place,
  database: string,
  role: string,
  oid: number | null,
): Promise<void> {
  const recipe = { role, database, address: addressOf(place.server) }
  try {
    await revokeRole(pools, place, recipe, oid, AbortSignal.timeout(CLEAN_UP_MS))
  } catch (error) {
    const cause = asFailure(error, place.connection)
    throw new BrokerError(cause.code, `the probe's role "${role}" is not gone: ${cause.message}`, {
      hint: `the broker tries again by itself; it can log in for ${LIFE_MS / 60_000} minutes at most`,
      details: { ...cause.details, role },
      cause,
    })
  }
}
