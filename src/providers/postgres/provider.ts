import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Secret } from '../../lib/secret.ts'
import type { Connection, Listed, Provider, World } from '../provider.ts'
import { findings } from './check.ts'
import { mintRole } from './mint.ts'
import { leaseOf, rolePrefix } from './names.ts'
import { narrowness } from './narrowness.ts'
import { catalogue } from './operations.ts'
import { type Place, Pools } from './pools.ts'
import { oidFrom, recipeFor, recipeFrom } from './recipe.ts'
import { revokeRole } from './revoke.ts'
import { parseTarget } from './target.ts'
import { addressOf, parseUrl } from './url.ts'
import { clientVariables, VARIABLES } from './variables.ts'

const SETTINGS: readonly string[] = ['url', 'caFile']

/**
 * PostgreSQL 12 and later: a role per grant, dropped at its end. The secret is the connection URL of
 * a role that may create roles and pass on rights. Opens nothing until it is first used.
 */
export function createPostgres(): Provider {
  const pools = new Pools()
  return {
    name: 'postgres',
    mode: 'native',
    capability: 'named',
    catalogue,
    secretPrompt: 'connection URL of an admin role (postgresql://user:password@host/database)',
    consistencyMs: 0,
    parseTarget: (target) => ({ ...parseTarget(target) }) as unknown as JsonObject,
    parseConnection: (connection) => void placeOf(connection),
    origin: (connection) => addressOf(placeOf(connection).server),
    variables: () => VARIABLES,
    endpoints: (connection) => {
      const { host, port } = placeOf(connection).server
      return [{ host, port }]
    },
    plan: (request, installId, connection) => ({
      ...recipeFor(request, installId, placeOf(connection).server),
    }),
    check: (connection, world) => {
      const place = placeOf(connection)
      return pools.use(place, world.signal, (session) =>
        findings(session, place.server, connection.settings),
      )
    },
    async mint(request, json, connection, world) {
      const place = placeOf(connection)
      const { role, database } = recipeFrom(json)
      const login = await pools.use({ ...place, database }, world.signal, (session) =>
        mintRole(session, role, request, world),
      )
      const host = request.hostInside?.(place.server.host) ?? place.server.host
      const server = { ...place.server, host }
      return {
        variables: new Secret(clientVariables(server, database, role, login.password)),
        handle: { oid: login.oid },
        expiresAt: request.notAfter,
        notes: login.notes,
      }
    },
    revoke: (json, handle, connection, world) =>
      revokeRole(pools, placeOf(connection), recipeFrom(json), oidFrom(handle), world.signal),
    list: (connection, world) => listRoles(pools, placeOf(connection), world),
    narrowness: async (request, world) =>
      narrowness(pools, placeOf(request.connection), request, world),
    close: () => pools.close(),
  }
}

/** Where a connection leads. Throws `invalid_request` for a secret or settings of the wrong shape. */
function placeOf(connection: Connection | null): Place {
  if (connection === null) {
    throw new BrokerError('connection_missing', 'postgres needs a connection', {
      hint: 'store one with: broker connect postgres',
    })
  }
  for (const key of Object.keys(connection.settings)) {
    if (SETTINGS.includes(key)) continue
    throw new BrokerError('invalid_request', `postgres has no setting "${key}"`, {
      hint: 'everything it needs is in the connection URL',
      details: { connection: connection.name, setting: key },
    })
  }
  const server = parseUrl(connection)
  return { connection: connection.name, server, database: server.database }
}

/** The database of a role found by its name is not known; the one where it began is as good as any. */
async function listRoles(pools: Pools, place: Place, world: World): Promise<readonly Listed[]> {
  const prefix = rolePrefix(world.installId)
  const roles = await pools.use(place, world.signal, (session) =>
    session.rows<{ name: string }>(
      'SELECT rolname::text AS name FROM pg_roles WHERE left(rolname, length($1)) = $1 ORDER BY 1',
      [prefix],
    ),
  )
  return roles.map(({ name }) => ({
    recipe: { role: name, database: place.database, address: addressOf(place.server) },
    lease: leaseOf(world.installId, name),
  }))
}
