import { isLeaseId, type LeaseId } from '../../lib/ids.ts'
import { isObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Connection, MintRequest } from '../provider.ts'
import { tokenKind } from './connection.ts'
import { targetFrom } from './target.ts'

/** What ends a project token, whatever became of the mint. No secret in it. */
export interface Recipe {
  /** The token's name at Railway: `broker-<install>-<lease>-<grant>`. */
  readonly name: string
  readonly project: string
  readonly environment: string
  /** False: no token is asked for, so none can be left behind. */
  readonly mints: boolean
}

/** What a mint knows afterwards. Null where the API said that this credential may not make tokens. */
export interface Handle {
  readonly tokenId: string | null
}

/** What the name of every token of this installation begins with. */
export function namePrefix(installId: string): string {
  return `broker-${installId}-`
}

export function recipeFor(
  request: MintRequest,
  installId: string,
  connection: Connection | null,
): Recipe {
  const { project, environment, projectToken } = targetFrom(request.target)
  const stored = connection !== null && tokenKind(connection) === 'project'
  return {
    name: `${namePrefix(installId)}${request.lease}-${request.grant}`,
    project,
    environment,
    // A project token cannot make another one.
    mints: projectToken && !stored,
  }
}

export function recipeFrom(json: JsonObject): Recipe {
  const { name, project, environment, mints } = json
  if (
    typeof name !== 'string' ||
    typeof project !== 'string' ||
    typeof environment !== 'string' ||
    typeof mints !== 'boolean'
  ) {
    throw new TypeError('not a recipe of the railway provider')
  }
  return { name, project, environment, mints }
}

/** Undefined after an interrupted mint: nobody knows. Null: there is none. */
export function tokenIdFrom(handle: Json): string | null | undefined {
  if (!isObject(handle)) return undefined
  const { tokenId } = handle
  return typeof tokenId === 'string' || tokenId === null ? tokenId : undefined
}

/** The lease that a token was made for; null where its name does not tell. */
export function leaseOf(installId: string, name: string): LeaseId | null {
  const prefix = namePrefix(installId)
  const [, lease = ''] = /^(lse_[0-9a-z]{26})-/.exec(name.slice(prefix.length)) ?? []
  return name.startsWith(prefix) && isLeaseId(lease) ? lease : null
}
