import type { Provider } from '../provider.ts'
import { Api } from './api/api.ts'
import { railwayCatalogue } from './catalogue/catalogue.ts'
import { check } from './check.ts'
import { callerOf, originOf } from './connection.ts'
import { createGuard } from './guard/guard.ts'
import { Places } from './lookup/places.ts'
import { mint } from './mint.ts'
import { narrowness } from './narrowness.ts'
import { recipeFor } from './recipe.ts'
import { list, revoke } from './revoke.ts'
import { parseTarget } from './target.ts'
import { VARIABLES } from './variables.ts'

/** A call is given up after ten seconds, and what it asked for may still be done a little later. */
const CONSISTENCY_MS = 20_000

/**
 * Railway. Its tokens know projects and environments and no operations, so the proxy judges each
 * request; the task holds a phantom. Beside the stored token, a project token is minted for each
 * lease where that is possible. Opens nothing until it is first used.
 */
export function createRailway(): Provider {
  const api = new Api()
  const places = new Places(api)
  return {
    name: 'railway',
    mode: 'proxied',
    capability: 'listable',
    catalogue: railwayCatalogue,
    secretPrompt: 'API token of Railway',
    consistencyMs: CONSISTENCY_MS,
    parseTarget: (target) => ({ ...parseTarget(target) }),
    parseConnection: (connection) => void callerOf(connection),
    origin: originOf,
    variables: () => VARIABLES,
    check: (connection, world) => check(api, connection, world),
    plan: (request, installId, connection) => ({ ...recipeFor(request, installId, connection) }),
    mint: (request, recipe, connection, world) => mint(api, request, recipe, connection, world),
    revoke: (recipe, handle, connection, world) => revoke(api, recipe, handle, connection, world),
    list: (connection, world) => list(api, connection, world),
    guard: createGuard(api, places),
    narrowness: (grant, world) => narrowness(api, grant, world),
    close: async () => {
      places.clear()
      await api.close()
    },
  }
}
