import type { Json, JsonObject } from '../../lib/json.ts'
import type { MintRequest } from '../provider.ts'
import { roleName } from './names.ts'
import { targetFrom } from './target.ts'
import { addressOf, type Server } from './url.ts'

/** What ends a role, whatever became of the mint. No secret in it. */
export interface Recipe {
  readonly role: string
  /** Where it was minted, and where the mint's lock is. */
  readonly database: string
  /** `host:port` of the server it was made on; null in a recipe that does not know. */
  readonly address: string | null
}

export function recipeFor(request: MintRequest, installId: string, server: Server): Recipe {
  return {
    role: roleName(installId, request.lease, request.grant),
    database: targetFrom(request.target).database ?? server.database,
    address: addressOf(server),
  }
}

export function recipeFrom(json: JsonObject): Recipe {
  const { role, database, address } = json
  if (typeof role !== 'string' || typeof database !== 'string') {
    throw new TypeError('not a recipe of the postgres provider')
  }
  return { role, database, address: typeof address === 'string' ? address : null }
}

/** The role's id from a mint's handle; null after an interrupted mint. */
export function oidFrom(handle: Json): number | null {
  if (handle === null || typeof handle !== 'object' || Array.isArray(handle)) return null
  const { oid } = handle as JsonObject
  return typeof oid === 'number' && oid > 0 ? oid : null
}
