import { BrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Narrowness } from '../guard.ts'
import type { Connection, World } from '../provider.ts'
import type { Api } from './api/api.ts'
import { type Ask, field } from './api/cells.ts'
import { reasonOf } from './api/failure.ts'
import { type Caller, callerOf } from './connection.ts'
import { readProject } from './lookup/project-index.ts'
import { namePrefix } from './recipe.ts'
import type { Target } from './target.ts'
import { createToken, ProjectTokens } from './tokens.ts'

/** Cleaning up has a time of its own: the question may have run out of its. */
const CLEAN_UP_MS = 20_000
/** A deleted token may be known for a moment longer. */
const TRIES = 4
const PAUSE_MS = 500

/**
 * Makes a project token like those of leases, tries it where it must not work, and deletes it, also
 * where anything fails: by its name, since even its making may have lost its answer. Should this
 * process die in between, the reconciler finds the name. Empty: this credential may make none.
 */
export async function probe(
  api: Api,
  connection: Connection,
  target: Target,
  world: World,
): Promise<readonly Narrowness[]> {
  const caller = callerOf(connection)
  const tokens = new ProjectTokens(api, caller, world)
  const { environments } = await readProject(tokens.ask, target.project)
  const other = environments.find(({ id }) => id !== target.environment)
  const random = Buffer.from(world.random(8)).toString('hex')
  const name = `${namePrefix(world.installId)}probe-${random}`
  const token = await createToken(tokens, { ...target, name }).catch(async (error: unknown) => {
    await cleanUp(api, caller, world, target.project, name)
    throw error
  })
  if (token === null) return []
  let found: readonly Narrowness[]
  try {
    found = await attempts(tokens.as(token), target.project, other ?? null)
  } finally {
    await cleanUp(api, caller, world, target.project, name)
  }
  return [...found, await isDead(new ProjectTokens(api, caller, cleaning(world)), token)]
}

type Environment = { readonly id: string; readonly name: string | null }

async function attempts(
  ask: Ask,
  project: string,
  other: Environment | null,
): Promise<readonly Narrowness[]> {
  const findings = [
    await tried(ask, 'me{id}', 'account', 'a minted project token cannot see the account'),
  ]
  if (other === null) {
    const message = 'the project has no other environment to try a minted project token on'
    return [...findings, { by: 'provider', message, probed: false }]
  }
  const variables = field('variables', { environmentId: other.id, projectId: project })
  const message = `a minted project token cannot read the variables of another environment, "${printable(other)}"`
  return [...findings, await tried(ask, variables, 'variables of another environment', message)]
}

/** Refused: the provider holds it. Answered: nobody but the proxy does. Anything else tells nothing. */
async function tried(ask: Ask, query: string, what: string, message: string): Promise<Narrowness> {
  try {
    await ask(`query{${query}}`)
  } catch (error) {
    if (isNo(error)) return { by: 'provider', message, probed: true }
    if (reasonOf(error) !== 'rejected') throw error
    const unclear = `railway did not say whether a minted project token may read the ${what}`
    return { by: 'nobody', message: unclear, probed: true }
  }
  const wide = `railway let a minted project token read the ${what}: only the proxy holds that back`
  return { by: 'proxy', message: wide, probed: true }
}

/** A clear no, to this token: not an error of some other kind. */
function isNo(error: unknown): boolean {
  const reason = reasonOf(error)
  return reason === 'refused' || reason === 'absent'
}

function cleaning({ now }: World) {
  return { now, signal: AbortSignal.timeout(CLEAN_UP_MS) }
}

async function cleanUp(
  api: Api,
  caller: Caller,
  world: World,
  project: string,
  name: string,
): Promise<void> {
  const tokens = new ProjectTokens(api, caller, cleaning(world))
  try {
    const rows = (await tokens.list(project)).filter((row) => row.name === name)
    for (const { id } of rows) await tokens.delete(id)
  } catch (cause) {
    throw new BrokerError('provider_failed', `the probe's token "${name}" could not be deleted`, {
      hint: 'delete it in the project under Settings, Tokens; the broker tries again by itself',
      details: { name },
      cause,
    })
  }
}

async function isDead(tokens: ProjectTokens, token: Secret): Promise<Narrowness> {
  for (let left = TRIES; left > 0; left--) {
    try {
      await tokens.own(token)
    } catch (error) {
      if (!isNo(error)) throw error
      return { by: 'provider', message: 'a deleted project token stops working', probed: true }
    }
    if (left > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  const message = 'a deleted project token went on working for a while'
  return { by: 'nobody', message, probed: true }
}

function printable({ id, name }: Environment): string {
  return (name ?? id).replace(/[\p{C}"\\]/gu, '?').slice(0, 100)
}
