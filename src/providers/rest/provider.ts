import { parametersOf, type RestDefinition } from '../../core/rest/definition.ts'
import { restFacts } from '../../core/rest/facts.ts'
import { Secret } from '../../lib/secret.ts'
import type { Connection, Minted, MintRequest, Provider, World } from '../provider.ts'
import { check } from './check.ts'
import { compileRest } from './compiled.ts'
import { checkConnection, originOf, secretOf } from './connection.ts'
import { createGuard } from './guard.ts'
import { narrowness } from './narrowness.ts'
import { newPhantom } from './phantom.ts'

/**
 * A provider that is data: one of `providers:` in broker.yaml. Makes nothing at the other end, so there
 * is nothing to clean up there: the task gets a phantom, and the proxy forgets it at once when the lease
 * ends. Throws `config_invalid` for a definition that `template apply` would refuse.
 */
export function createRest(name: string, definition: RestDefinition): Provider {
  const { catalogue, secretPrompt, parseTarget, variables } = restFacts(name, definition)
  return {
    name,
    mode: 'proxied',
    capability: 'phantom',
    catalogue,
    secretPrompt,
    consistencyMs: 0,
    parseTarget,
    parseConnection: (connection) => checkConnection(name, connection),
    origin: (connection) => originOf(name, definition, connection),
    check: (connection, world) => check(name, definition, connection, world),
    plan: ({ lease, grant }) => ({ phantom: `${lease}.${grant}` }),
    mint: async (request, _recipe, connection, world) =>
      mint(name, definition, request, connection, world),
    revoke: async () => ({ outcome: 'revoked', notes: [] }),
    guard: createGuard(name, definition, compileRest(name, definition)),
    narrowness: async (request) => narrowness(name, definition, request),
    variables,
  }
}

function mint(
  name: string,
  definition: RestDefinition,
  { target }: MintRequest,
  connection: Connection | null,
  { random }: World,
): Minted {
  // Here and not at the first request: a lease that cannot work is better not issued.
  secretOf(name, connection)
  const phantom = newPhantom(definition.phantom, random)
  const words = new Map([['credential', phantom.reveal()]])
  for (const parameter of parametersOf(definition)) words.set(parameter, String(target[parameter]))
  const variables = Object.entries(definition.variables).map(([variable, text]) => [
    variable,
    text.replace(/\{([^{}]*)\}/g, (whole, word: string) => words.get(word) ?? whole),
  ])
  return {
    variables: new Secret(Object.fromEntries(variables)),
    handle: null,
    expiresAt: null,
    notes: [],
    proxied: { phantom, minted: null },
  }
}
