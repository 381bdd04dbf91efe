import type pg from 'pg'
import { BrokerError } from '../../errors.ts'

/** SCRAM verifiers, routines, `pg_get_*` as used here: all there from 12 on. */
const OLDEST = 120_000

/** Long enough for a queue of mints, short enough to be told before the caller gives up. */
const SETTINGS = `
  SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),
         pg_catalog.set_config('standard_conforming_strings', 'on', false),
         pg_catalog.set_config('lock_timeout', '5s', false),
         pg_catalog.set_config('statement_timeout', '15s', false),
         pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', false),
         CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000
               AND pg_catalog.version() LIKE '%linux%'
              THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END`

const FACTS = `
  SELECT current_setting('server_version_num')::int4 AS version, rolname AS name, rolsuper AS super
  FROM pg_roles WHERE rolname = current_user`

/** Who an admin session is, and where. */
export interface Admin {
  /** `server_version_num`, e.g. 150018. */
  readonly version: number
  readonly name: string
  readonly super: boolean
}

const known = new WeakMap<pg.PoolClient, Admin>()

export type Row = Readonly<Record<string, unknown>>

/**
 * One admin session on the server. Its search path is `pg_catalog` alone: an agent that may create
 * objects in `public` must not be able to put its own function where ours looks for the server's.
 */
export class Session {
  readonly connection: string
  readonly signal: AbortSignal
  readonly #client: pg.PoolClient
  readonly #onAbort = () => this.end(true)
  readonly #onError = () => {} // the query under way reports it; unheard, it would end the process
  #admin: Admin = { version: 0, name: '', super: false }
  #ended = false

  private constructor(client: pg.PoolClient, connection: string, signal: AbortSignal) {
    this.#client = client
    this.connection = connection
    this.signal = signal
    client.on('error', this.#onError)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Takes a client over and, the first time, pins its settings. */
  static async start(
    client: pg.PoolClient,
    connection: string,
    signal: AbortSignal,
  ): Promise<Session> {
    const session = new Session(client, connection, signal)
    try {
      session.#admin = known.get(client) ?? (await session.#prepare())
      known.set(client, session.#admin)
      return session
    } catch (error) {
      session.end(true)
      throw error
    }
  }

  get admin(): Admin {
    return this.#admin
  }

  async #prepare(): Promise<Admin> {
    await this.run(SETTINGS)
    const [admin] = await this.rows<Admin>(FACTS)
    if (admin && admin.version >= OLDEST) return admin
    throw new BrokerError(
      'provider_failed',
      `the server of "${this.connection}" is older than PostgreSQL 12`,
      {
        hint: 'use a newer server',
        details: { connection: this.connection },
      },
    )
  }

  /** Rows of one statement. Throws what the driver throws; `Pools.use` makes it ours. */
  async rows<T = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    this.signal.throwIfAborted()
    const result = await this.#client.query(text, [...values])
    this.signal.throwIfAborted()
    return result.rows
  }

  /** Statements without parameters, separated by `;`: all of them or, on an error, none. */
  async run(text: string): Promise<void> {
    this.signal.throwIfAborted()
    await this.#client.query(text)
    this.signal.throwIfAborted()
  }

  /** Gives the session back; `broken` closes it instead. Only the first call counts. */
  end(broken = false): void {
    if (this.#ended) return
    this.#ended = true
    this.signal.removeEventListener('abort', this.#onAbort)
    this.#client.removeListener('error', this.#onError)
    this.#client.release(broken)
  }
}
