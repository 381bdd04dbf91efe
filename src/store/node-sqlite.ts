import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

const CACHED_STATEMENTS = 200

/** Kysely over Node's own SQLite: one connection, statements prepared once. */
export class NodeSqliteDialect implements Dialect {
  readonly #connection: NodeSqliteConnection

  constructor(connection: NodeSqliteConnection) {
    this.#connection = connection
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#connection)
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler()
  }

  createAdapter(): SqliteAdapter {
    return new SqliteAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

/** Serialising is the store's business (`sqlite.ts`); this driver only passes statements on. */
class NodeSqliteDriver implements Driver {
  readonly #connection: NodeSqliteConnection

  constructor(connection: NodeSqliteConnection) {
    this.#connection = connection
  }

  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }
  async beginTransaction(): Promise<void> {
    this.#connection.run('begin immediate')
  }
  async commitTransaction(): Promise<void> {
    this.#connection.run('commit')
  }
  async rollbackTransaction(): Promise<void> {
    this.#connection.run('rollback')
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

interface Prepared {
  readonly statement: StatementSync
  readonly returnsRows: boolean
}

/** Works at once: a query is done when `executeQuery` returns, so nobody can come in between. */
export class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #before: () => Promise<void> | null
  readonly #statements = new Map<string, Prepared>()

  /** `before`: what a query waits for, where there is anything to wait for. */
  constructor(database: DatabaseSync, before: () => Promise<void> | null = () => null) {
    this.#database = database
    this.#before = before
  }

  run(statement: string): void {
    this.#database.exec(statement)
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const before = this.#before()
    if (before) await before
    const { statement, returnsRows } = this.#prepare(query.sql)
    const parameters = query.parameters as never[]
    if (returnsRows) return { rows: statement.all(...parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return {
      rows: [],
      numAffectedRows: BigInt(changes),
      insertId: BigInt(lastInsertRowid),
    }
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    const before = this.#before()
    if (before) await before
    const parameters = query.parameters as never[]
    const { statement } = this.#prepare(query.sql)
    for (const row of statement.iterate(...parameters)) yield { rows: [row as R] }
  }

  #prepare(text: string): Prepared {
    const known = this.#statements.get(text)
    if (known) return known
    if (this.#statements.size >= CACHED_STATEMENTS) this.#statements.clear()
    const statement = this.#database.prepare(text)
    const prepared = { statement, returnsRows: statement.columns().length > 0 }
    this.#statements.set(text, prepared)
    return prepared
  }
}
