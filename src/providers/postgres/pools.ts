import { createHash } from 'node:crypto'
import pg from 'pg'
import { asFailure } from './failure.ts'
import { Session } from './session.ts'
import { tlsOptions } from './tls.ts'
import type { Server } from './url.ts'

const IDLE_MS = 30_000
const CONNECT_MS = 10_000
/** Per database. Calls beyond it wait; a small number leaves the server's slots to its users. */
const WIDTH = 4

/** A server reached through a named connection; the name is what errors show. */
export interface Place {
  readonly connection: string
  readonly server: Server
  readonly database: string
}

/**
 * Admin sessions, pooled per connection, login and database. Opened on first use, closed after 30 s
 * without one. The key is a digest, so that no dump of this object shows a URL.
 */
export class Pools {
  readonly #pools = new Map<string, pg.Pool>()

  /**
   * A session to be given back with `end`. Aborting the signal cuts it, in whatever it is doing; the
   * server then rolls back. Throws `provider_failed` or `provider_unavailable`.
   */
  async open(place: Place, signal: AbortSignal): Promise<Session> {
    try {
      signal.throwIfAborted()
      const client = await abortable(this.#pool(place).connect(), signal)
      return await Session.start(client, place.connection, signal)
    } catch (error) {
      throw asFailure(signal.aborted ? signal.reason : error, place.connection)
    }
  }

  /** Runs `work` in a session. One that failed is not used again: nobody knows what state it is in. */
  async use<T>(
    place: Place,
    signal: AbortSignal,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    const session = await this.open(place, signal)
    try {
      const value = await work(session)
      session.end()
      return value
    } catch (error) {
      session.end(true)
      // What a cut session fails with says nothing; why it was cut does.
      throw asFailure(signal.aborted ? signal.reason : error, place.connection)
    }
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map((pool) => pool.end()))
  }

  #pool(place: Place): pg.Pool {
    const key = keyOf(place)
    const known = this.#pools.get(key)
    if (known) return known
    const pool = new pg.Pool(poolConfig(place))
    // A server that goes away ends idle sessions; without a listener that would end this process.
    pool.on('error', () => {})
    pool.on('remove', () => {
      if (pool.totalCount > 0 || this.#pools.get(key) !== pool) return
      this.#pools.delete(key) // and with it the password in it
      void pool.end()
    })
    this.#pools.set(key, pool)
    return pool
  }
}

function keyOf({ connection, server, database }: Place): string {
  const login = { ...server, password: server.password.reveal() }
  return createHash('sha256')
    .update(JSON.stringify([connection, login, database]))
    .digest('hex')
}

/** Every setting that the driver would otherwise look up in the daemon's own environment is named. */
function poolConfig({ connection, server, database }: Place): pg.PoolConfig {
  return {
    host: server.host,
    port: server.port,
    user: server.user,
    database,
    // A function: an empty password must neither fall back to PGPASSWORD nor to ~/.pgpass.
    password: () => server.password.reveal(),
    ssl: tlsOptions(connection, server),
    sslnegotiation: 'postgres',
    options: ' ',
    application_name: 'broker',
    client_encoding: 'UTF8',
    keepAlive: true,
    max: WIDTH,
    idleTimeoutMillis: IDLE_MS,
    connectionTimeoutMillis: CONNECT_MS,
    allowExitOnIdle: true,
  }
}

/** A client that arrives after its caller has gone is closed, not leaked. */
async function abortable(
  arrival: Promise<pg.PoolClient>,
  signal: AbortSignal,
): Promise<pg.PoolClient> {
  const gone = Promise.withResolvers<never>()
  const leave = () => gone.reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([arrival, gone.promise])
  } catch (error) {
    arrival.then((client) => client.release(true)).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
