import { nearest } from '../../src/core/names.ts'
import type { Catalogue, Risk } from '../../src/core/risk.ts'
import { BrokerError } from '../../src/errors.ts'
import type { CompileContext, ProviderFacts } from '../../src/templates/context.ts'

export function catalogue(operations: Record<string, Risk>, open = false): Catalogue {
  return { operations: new Map(Object.entries(operations)), open }
}

export const SQL = catalogue({
  SELECT: 'read',
  INSERT: 'write',
  UPDATE: 'write',
  TRIGGER: 'execute',
  DELETE: 'destructive',
  TRUNCATE: 'destructive',
})

export const RAILWAY = catalogue({
  project: 'read',
  deployments: 'read',
  deploymentLogs: 'read',
  variables: 'secret',
  variableUpsert: 'write',
  deploymentRedeploy: 'execute',
  deploymentRemove: 'destructive',
  deploymentCancel: 'write',
  serviceDelete: 'destructive',
  volumeDelete: 'destructive',
  apiTokenCreate: 'admin',
})

export const SCOPES = catalogue({ read: 'read' }, true)

function facts(
  known: Catalogue,
  keys: readonly string[],
  variables: readonly string[],
  secretPrompt: string | null,
): ProviderFacts {
  return {
    catalogue: known,
    secretPrompt,
    variables: () => variables,
    parseTarget(target) {
      const stranger = Object.keys(target).find((key) => !keys.includes(key))
      if (stranger === undefined) return target
      const near = nearest(stranger, keys)
      throw new BrokerError('config_invalid', `this target has no "${stranger}"`, {
        hint: near ? `did you mean "${near}"?` : `it has ${keys.join(', ')}`,
        details: { path: [stranger] },
      })
    },
  }
}

/** Shaped like the real providers, so that these tests need none of them. */
export const CONTEXT: CompileContext = {
  connections: [
    { name: 'pg-staging', provider: 'postgres' },
    { name: 'railway-main', provider: 'railway' },
    { name: 'old-cloud', provider: 'gone' },
  ],
  providers: new Map([
    ['jwt', facts(SCOPES, ['audience'], ['BROKER_ACCESS_TOKEN'], null)],
    ['postgres', facts(SQL, ['schemas', 'tables'], ['PGHOST', 'PGUSER'], 'connection URL')],
    ['railway', facts(RAILWAY, ['project', 'environment'], ['RAILWAY_TOKEN'], 'API token')],
  ]),
}
