import type { Guard } from '../../providers/guard.ts'
import type { Context } from '../context.ts'
import type { Task, TaskGrant } from './task.ts'

/** A host that belongs to a provider, granted to this task or not. */
export interface KnownHost {
  readonly provider: string
  readonly guard: Guard
  /** Empty: a connection to it is stored, but this task has no grant. */
  readonly grants: readonly TaskGrant[]
}

/**
 * The hosts at which a task's requests are looked at: those of its grants, and those of every other
 * provider with a stored connection, the addresses of `--url` included. Nothing else is broken open
 * (contract §5). Read again whenever connections change.
 */
export class Hosts {
  readonly #context: Context
  readonly #task: Task
  #version = -1
  #known: ReadonlyMap<string, KnownHost> | Promise<ReadonlyMap<string, KnownHost>> = new Map()

  constructor(context: Context, task: Task) {
    this.#context = context
    this.#task = task
  }

  /** At once where nothing has changed: this is asked of every request. */
  find(host: string): KnownHost | undefined | Promise<KnownHost | undefined> {
    const { version } = this.#context.connections
    if (version !== this.#version) {
      this.#version = version
      this.#known = this.#readAs(version)
    }
    const known = this.#known
    return known instanceof Promise ? known.then((hosts) => hosts.get(host)) : known.get(host)
  }

  async #readAs(version: number): Promise<ReadonlyMap<string, KnownHost>> {
    try {
      const known = await this.#read()
      if (this.#version === version) this.#known = known
      return known
    } catch (error) {
      // Not kept: the next question tries again.
      this.#version = -1
      throw error
    }
  }

  async #read(): Promise<ReadonlyMap<string, KnownHost>> {
    const known = new Map<string, KnownHost>()
    for (const { name, provider, origin } of await this.#context.store.read.connections()) {
      const loaded = await this.#loaded(provider)
      if (!loaded) continue
      const grants = this.#task.grants.filter((grant) => grant.provider.name === provider)
      for (const host of loaded.hosts) {
        known.set(host, known.get(host) ?? { provider, guard: loaded, grants })
      }
      if (origin === null) continue
      // An address belongs to the connection that names it: with another one's grant it is a stranger's.
      const own = grants.filter((grant) => grant.connection === name)
      const host = hostOf(origin)
      if (own.length > 0 || !known.has(host)) {
        known.set(host, { provider, guard: loaded, grants: own })
      }
    }
    // Last, so that they win: a connection may be gone while its lease still lives.
    for (const { provider, guard } of this.#task.grants) {
      const grants = this.#task.grants.filter((grant) => grant.provider === provider)
      for (const host of guard.hosts) known.set(host, { provider: provider.name, guard, grants })
    }
    return known
  }

  /** A provider that a newer version knew, or that broker.yaml no longer names, guards nothing. */
  async #loaded(provider: string): Promise<Guard | undefined> {
    try {
      return (await this.#context.provider(provider)).guard
    } catch {
      return undefined
    }
  }
}

function hostOf(origin: string): string {
  const { hostname } = new URL(origin)
  return hostname.replace(/^\[|\]$/g, '')
}

/** Whether an egress list has a host: exactly, or by `*.` and its parent (never the parent itself). */
export function isListed(list: readonly string[], host: string): boolean {
  return list.some((entry) =>
    entry.startsWith('*.') ? host.endsWith(entry.slice(1)) : entry === host,
  )
}
