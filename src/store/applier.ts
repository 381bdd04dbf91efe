import type { DatabaseSync } from 'node:sqlite'
import { type ChainKeys, link, signHead } from '../audit/chain.ts'
import type { Entry, Head } from '../audit/entry.ts'
import { type Batch, readBatch } from './journal-batch.ts'
import type { RequestRecord } from './records.ts'

type Count = NonNullable<RequestRecord['count']>

/**
 * Brings batches of the journal into the database, each exactly once: which was the last stands beside
 * them, in the same transaction.
 */
export class Applier {
  readonly #database: DatabaseSync
  readonly #keys: ChainKeys
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync, keys: ChainKeys) {
    this.#database = database
    this.#keys = keys
    this.#statements = prepare(database)
  }

  /** The last batch that the database has. */
  get applied(): number {
    return (this.#statements.applied.get() as { seq: number } | undefined)?.seq ?? 0
  }

  /** Links them behind `head`, in one commit; the new head. Throws SQLite's errors, and nothing is changed. */
  apply(head: Head, batches: readonly Batch[]): Head {
    const { begin, commit, saveHead, saveApplied } = this.#statements
    try {
      begin.run()
      const { at, next } = this.#append(head, batches)
      const signed = signHead(this.#keys, next, at)
      saveHead.run(signed.seq, signed.hash, signed.at, signed.signature)
      saveApplied.run(batches.at(-1)?.seq ?? this.applied)
      commit.run()
      return next
    } catch (error) {
      if (this.#database.isTransaction) this.#rollBack()
      throw error
    }
  }

  #append(head: Head, batches: readonly Batch[]): { readonly at: number; readonly next: Head } {
    const counts = new Map<string, { readonly count: Count; times: number }>()
    let next = head
    let last = 0
    for (const { text } of batches) {
      const { at, records } = readBatch(text)
      for (const { entry, count } of records) {
        const linked = link(this.#keys, next, entry, at)
        this.#insert(linked)
        next = { seq: linked.seq, hash: linked.hash }
        if (!count) continue
        const key = `${count.counted} ${count.lease} ${count.grant}`
        const known = counts.get(key)
        if (known) known.times++
        else counts.set(key, { count, times: 1 })
      }
      last = at
    }
    for (const { count, times } of counts.values()) {
      this.#statements[count.counted].run(times, count.lease, count.grant)
    }
    return { at: last, next }
  }

  #insert({ seq, at, type, lease, data, hash, mac }: Entry): void {
    this.#statements.insert.run(seq, at, type, lease, data, hash, mac)
  }

  #rollBack(): void {
    try {
      this.#database.exec('rollback')
    } catch {
      // SQLite rolls back by itself on some errors.
    }
  }
}

function prepare(database: DatabaseSync) {
  return {
    begin: database.prepare('begin immediate'),
    commit: database.prepare('commit'),
    insert: database.prepare(
      'insert into audit (seq, at, type, lease, data, hash, mac) values (?, ?, ?, ?, ?, ?, ?)',
    ),
    saveHead: database.prepare(
      'insert or replace into audit_head (id, seq, hash, at, signature) values (1, ?, ?, ?, ?)',
    ),
    applied: database.prepare('select seq from journal_applied where id = 1'),
    saveApplied: database.prepare('insert or replace into journal_applied (id, seq) values (1, ?)'),
    allowed: database.prepare(
      'update grants set allowed = allowed + ? where lease = ? and name = ?',
    ),
    denied: database.prepare('update grants set denied = denied + ? where lease = ? and name = ?'),
    approved: database.prepare(
      'update grants set approved = approved + ? where lease = ? and name = ?',
    ),
  }
}
