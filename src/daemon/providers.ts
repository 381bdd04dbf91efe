import type { Policy } from '../broker/context.ts'
import type { RestDefinition } from '../core/rest/definition.ts'
import type { Provider } from '../providers/provider.ts'
import { createRest, type Registry } from '../providers/registry.ts'

interface Configured {
  readonly definition: RestDefinition
  readonly provider: Promise<Provider>
}

/** The built-in providers and those that the applied broker.yaml defines, by name. */
export class Providers {
  readonly #registry: Registry
  readonly #policy: () => Promise<Policy>
  readonly #configured = new Map<string, Configured>()

  constructor(registry: Registry, policy: () => Promise<Policy>) {
    this.#registry = registry
    this.#policy = policy
  }

  /** Throws `not_found` for a name nobody has. A built-in name is never another one's. */
  async get(name: string): Promise<Provider> {
    if (this.#registry.names.includes(name)) return this.#registry.get(name)
    const definitions = await this.#definitions()
    const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined
    if (!definition) return this.#registry.get(name)
    // A policy is a value: the same object is the same definition.
    const known = this.#configured.get(name)
    if (known?.definition === definition) return known.provider
    const provider = createRest(name, definition)
    this.#configured.set(name, { definition, provider })
    return provider
  }

  async names(): Promise<readonly string[]> {
    return [...this.#registry.names, ...Object.keys(await this.#definitions())]
  }

  async #definitions(): Promise<Readonly<Record<string, RestDefinition>>> {
    return (await this.#policy()).configuration.providers
  }
}
