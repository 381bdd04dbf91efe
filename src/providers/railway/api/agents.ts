import { createHash } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'

const CONNECT_MS = 10_000
/** Connections to one origin; further calls wait for one of them. */
const WIDTH = 8

/** Keep-alive connections, apart by what may be trusted at their other end. Opened on first use. */
export class Agents {
  readonly #agents = new Map<string, Agent>()

  /** `ca`: PEM, trusted besides the usual roots. */
  dispatcher(ca: string | null): Dispatcher {
    const key = createHash('sha256')
      .update(ca ?? '')
      .digest('hex')
    let agent = this.#agents.get(key)
    if (!agent) {
      agent = openAgent(ca)
      this.#agents.set(key, agent)
    }
    return agent
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    await Promise.all(agents.map((agent) => agent.destroy()))
  }
}

function openAgent(ca: string | null): Agent {
  const roots = getCACertificates('default')
  return new Agent({
    connections: WIDTH,
    pipelining: 1,
    allowH2: false,
    connect: {
      timeout: CONNECT_MS,
      ca: ca === null ? roots : [...roots, ca],
      // Said outright: the environment variable that turns verification off must not reach us.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    },
  })
}
