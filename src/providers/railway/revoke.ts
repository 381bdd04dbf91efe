import { BrokerError } from '../../errors.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import type { Connection, Listed, Revocation, World } from '../provider.ts'
import type { Api } from './api/api.ts'
import { reasonOf } from './api/failure.ts'
import { callerOf } from './connection.ts'
import { reachableProjects } from './lookup/reachable.ts'
import { leaseOf, namePrefix, recipeFrom, tokenIdFrom } from './recipe.ts'
import { ProjectTokens } from './tokens.ts'

/**
 * Deletes the lease's project token, by its id or else by its exact name. Touches no other name: two
 * brokers on one account do not clean up each other. Where none can have been made, there is nothing
 * to ask Railway for: the phantom is ours, and ends with the gate's memory of it.
 */
export async function revoke(
  api: Api,
  json: JsonObject,
  handle: Json,
  connection: Connection | null,
  world: World,
): Promise<Revocation> {
  const { name, project, mints } = recipeFrom(json)
  if (!name.startsWith(namePrefix(world.installId))) throw notOurs(name)
  const tokenId = tokenIdFrom(handle)
  if (!mints || tokenId === null) return { outcome: 'absent' }
  const caller = callerOf(connection)
  if (caller.header === 'project-access-token') throw cannotDelete(caller.connection, name)
  const tokens = new ProjectTokens(api, caller, world)
  if (tokenId !== undefined && (await deleted(tokens, tokenId))) return REVOKED
  const rows = (await tokens.list(project)).filter((row) => row.name === name)
  const gone = await Promise.all(rows.map(({ id }) => tokens.delete(id)))
  return gone.includes(true) ? REVOKED : { outcome: 'absent' }
}

const REVOKED: Revocation = { outcome: 'revoked', notes: [] }

/** False: not by this id. Railway says "not authorized" of ids that are gone, so that proves nothing. */
async function deleted(tokens: ProjectTokens, id: string): Promise<boolean> {
  try {
    return await tokens.delete(id)
  } catch (error) {
    if (reasonOf(error) === 'refused') return false
    throw error
  }
}

/** Every token of this installation in all the projects that the connection reaches. */
export async function list(
  api: Api,
  connection: Connection,
  world: World,
): Promise<readonly Listed[]> {
  const caller = callerOf(connection)
  const tokens = new ProjectTokens(api, caller, world)
  const projects = await reachableProjects(tokens.ask, caller)
  const listings = await tokens.listAll(projects.map(({ id }) => id))
  const prefix = namePrefix(world.installId)
  return listings.flatMap(({ project, rows }) =>
    rows
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, environment }) => ({
        recipe: { name, project, environment: environment ?? '', mints: true },
        lease: leaseOf(world.installId, name),
      })),
  )
}

function notOurs(name: string): BrokerError {
  return new BrokerError('provider_failed', `the token "${name}" is not of this installation`, {
    hint: 'this is a fault of the broker: please report it',
    details: { name },
  })
}

function cannotDelete(connection: string, name: string): BrokerError {
  return new BrokerError(
    'provider_failed',
    `the project token of "${connection}" cannot delete the token "${name}"`,
    {
      hint: 'store the account token again, or delete it by hand in the project under Settings, Tokens',
      details: { connection, name },
    },
  )
}
