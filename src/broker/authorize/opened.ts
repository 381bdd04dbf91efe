import type { Connection } from '../../providers/provider.ts'
import type { Upstream } from '../../proxy/gate.ts'
import { openConnection } from '../call.ts'
import type { Context } from '../context.ts'
import type { TaskGrant } from './task.ts'

interface Known {
  readonly version: number
  readonly connection: Connection
  /** By the public host. */
  readonly upstreams: Map<string, Upstream>
}

/** The stored credentials of one task's grants, kept in memory until connections change or it ends. */
export class Opened {
  readonly #context: Context
  readonly #known = new Map<string, Known>()

  constructor(context: Context) {
    this.#context = context
  }

  connection({ connection: name }: TaskGrant): Connection | Promise<Connection> {
    const { version } = this.#context.connections
    const known = this.#known.get(name)
    return known?.version === version ? known.connection : this.#open(name, version)
  }

  async #open(name: string, version: number): Promise<Connection> {
    const connection = await openConnection(this.#context, name)
    this.#known.set(name, { version, connection, upstreams: new Map() })
    return connection
  }

  /** Where requests to a host of the grant go with that connection: its address is read once. */
  upstream({ guard, connection: name }: TaskGrant, connection: Connection, host: string): Upstream {
    const known = this.#known.get(name)
    // Opened anew while this request waited: what is asked about is the one before.
    const upstreams = known?.connection === connection ? known.upstreams : undefined
    const found = upstreams?.get(host)
    if (found) return found
    const { origin, ca, chosen } = guard.upstream(connection, host)
    const upstream = Object.freeze({ origin, reserved: chosen, ...(ca !== null && { ca }) })
    upstreams?.set(host, upstream)
    return upstream
  }
}
