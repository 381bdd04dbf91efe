import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Secret } from '../../lib/secret.ts'
import type { Connection, Minted, MintRequest, World } from '../provider.ts'
import type { Api } from './api/api.ts'
import { failure, reasonOf } from './api/failure.ts'
import { callerOf } from './connection.ts'
import { newPhantom } from './phantom.ts'
import { type Handle, type Recipe, recipeFrom } from './recipe.ts'
import { createToken, ProjectTokens } from './tokens.ts'
import { clientVariables } from './variables.ts'

interface SecondBelt {
  readonly handle: Handle
  readonly token: Secret | null
  readonly notes: readonly string[]
}

/**
 * Makes the phantom that the task holds, and where possible a project token for this lease alone
 * beside the stored one. The phantom is random and known to nobody but the gate, so it ends with the
 * gate's memory of it; the project token ends with `revoke`.
 */
export async function mint(
  api: Api,
  request: MintRequest,
  json: JsonObject,
  connection: Connection | null,
  world: World,
): Promise<Minted> {
  const caller = callerOf(connection)
  const recipe = recipeFrom(json)
  const tokens = new ProjectTokens(api, caller, world)
  const { handle, token, notes } =
    caller.header === 'project-access-token'
      ? await useStored(tokens, caller.token, recipe, caller.connection)
      : await makeToken(tokens, recipe, caller.connection)
  const phantom = newPhantom(world.random)
  return {
    variables: new Secret(clientVariables(request.target, phantom)),
    handle: { ...handle },
    expiresAt: null, // Railway's tokens never end by themselves
    notes,
    proxied: { phantom, minted: token },
  }
}

async function makeToken(
  tokens: ProjectTokens,
  recipe: Recipe,
  connection: string,
): Promise<SecondBelt> {
  if (!recipe.mints) return { handle: { tokenId: null }, token: null, notes: [] }
  const token = await createToken(tokens, recipe)
  if (token === null) {
    const notes = [`"${connection}" may not make project tokens: requests go with its own token`]
    return { handle: { tokenId: null }, token, notes }
  }
  return { handle: { tokenId: await idOf(tokens, token, recipe, connection) }, token, notes: [] }
}

/** Making a token does not tell its id: the token itself is asked, or the list by its name. */
async function idOf(
  tokens: ProjectTokens,
  token: Secret,
  { project, environment, name }: Recipe,
  connection: string,
): Promise<string> {
  try {
    const own = await tokens.own(token)
    if (own.project === project && own.environment === environment) return own.id
  } catch (error) {
    const reason = reasonOf(error)
    // It may take a moment until a new token is known everywhere.
    if (reason !== 'refused' && reason !== 'absent') throw error
    const listed = (await tokens.list(project)).find((row) => row.name === name)
    if (listed?.environment === environment) return listed.id
  }
  // What was made is elsewhere or cannot be found. Whoever asked revokes it by its name.
  throw failure('unreadable', connection)
}

/** A stored project token of another place would be wider than what the lease is for. */
async function useStored(
  tokens: ProjectTokens,
  token: Secret,
  { project, environment }: Recipe,
  connection: string,
): Promise<SecondBelt> {
  const own = await tokens.own(token)
  if (own.project === project && own.environment === environment) {
    return { handle: { tokenId: null }, token: null, notes: [] }
  }
  throw new BrokerError(
    'provider_failed',
    `the project token of "${connection}" belongs to another environment than the lease`,
    {
      hint: 'correct project and environment in broker.yaml, or store a token of that environment',
      details: { connection },
    },
  )
}
