import { nearest } from '../core/names.ts'
import type { RestDefinition } from '../core/rest/definition.ts'
import { BrokerError } from '../errors.ts'
import type { Provider } from './provider.ts'

/**
 * Name → module. The only file that names them all. Imported on first use: a daemon that never
 * meets PostgreSQL never loads its driver.
 */
const LOADERS: Readonly<Record<string, () => Promise<Provider>>> = {
  jwt: async () => (await import('./jwt/provider.ts')).createJwt(),
  postgres: async () => (await import('./postgres/provider.ts')).createPostgres(),
  railway: async () => (await import('./railway/provider.ts')).createRailway(),
}

/** A provider of `providers:` in broker.yaml. Throws `config_invalid` for a definition with faults. */
export async function createRest(name: string, definition: RestDefinition): Promise<Provider> {
  return (await import('./rest/provider.ts')).createRest(name, definition)
}

export interface Registry {
  readonly names: readonly string[]
  /** Throws `not_found` for a name nobody has. */
  get(name: string): Promise<Provider>
  /** Closes what was opened. */
  close(): Promise<void>
}

export function createRegistry(): Registry {
  const loaded = new Map<string, Promise<Provider>>()
  const names = Object.keys(LOADERS)
  return {
    names,
    async get(name) {
      const load = Object.hasOwn(LOADERS, name) ? LOADERS[name] : undefined
      if (!load) throw unknownProvider(name, names)
      const known = loaded.get(name)
      if (known) return known
      const loading = load()
      loaded.set(name, loading)
      return loading
    },
    async close() {
      await Promise.all([...loaded.values()].map(async (one) => (await one).close?.()))
    },
  }
}

function unknownProvider(name: string, names: readonly string[]): BrokerError {
  const near = nearest(name, names)
  return new BrokerError('not_found', `there is no provider "${name}"`, {
    hint: near ? `did you mean "${near}"?` : `providers: ${names.join(', ')}`,
  })
}
