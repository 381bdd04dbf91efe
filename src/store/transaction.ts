import type { DatabaseSync } from 'node:sqlite'
import type { SignedHead } from '../audit/entry.ts'

/** What every transaction of a connection begins, ends and signs with; prepared once. */
export class Transaction {
  readonly #database: DatabaseSync
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#statements = prepare(database)
  }

  begin(): void {
    this.#statements.begin.run()
  }

  saveHead({ seq, hash, at, signature }: SignedHead): void {
    this.#statements.saveHead.run(seq, hash, at, signature)
  }

  commit(): void {
    this.#statements.commit.run()
  }

  /** Also where nothing was begun: SQLite rolls back by itself on some errors. */
  rollBack(): void {
    if (!this.#database.isTransaction) return
    try {
      this.#database.exec('rollback')
    } catch {
      // It did so meanwhile; then there is nothing to do.
    }
  }
}

function prepare(database: DatabaseSync) {
  return {
    begin: database.prepare('begin immediate'),
    saveHead: database.prepare(
      'insert or replace into audit_head (id, seq, hash, at, signature) values (1, ?, ?, ?, ?)',
    ),
    commit: database.prepare('commit'),
  }
}
