import type { DatabaseSync } from 'node:sqlite'
import { type ChainKeys, linkText, signHead } from '../audit/chain.ts'
import type { Entry, Head } from '../audit/entry.ts'
import { type Batch, readBatch } from './journal-batch.ts'
import type { RequestRecord } from './records.ts'
import { Transaction } from './transaction.ts'

type Count = NonNullable<RequestRecord['count']>

/**
 * Brings batches of the journal into the database, each exactly once: which was the last stands beside
 * them, in the same transaction.
 */
export class Applier {
  readonly #keys: ChainKeys
  readonly #transaction: Transaction
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync, keys: ChainKeys) {
    this.#keys = keys
    this.#transaction = new Transaction(database)
    this.#statements = prepare(database)
  }

  /** The last batch that the database has. */
  get applied(): number {
    return (this.#statements.applied.get() as { seq: number } | undefined)?.seq ?? 0
  }

  /** Links them behind `head`, in one commit; the new head. Throws SQLite's errors, and nothing is changed. */
  apply(head: Head, batches: readonly Batch[]): Head {
    try {
      this.#transaction.begin()
      const { at, next } = this.#append(head, batches)
      this.#transaction.saveHead(signHead(this.#keys, next, at))
      this.#statements.saveApplied.run(batches.at(-1)?.seq ?? this.applied)
      this.#transaction.commit()
      return next
    } catch (error) {
      this.#transaction.rollBack()
      throw error
    }
  }

  #append(head: Head, batches: readonly Batch[]): { readonly at: number; readonly next: Head } {
    const counts = new Map<string, { readonly count: Count; times: number }>()
    let next = head
    let last = 0
    for (const { text } of batches) {
      const { at, records } = readBatch(text)
      const time = new Date(at).toISOString()
      for (const { entry, count } of records) {
        const linked = linkText(this.#keys, next, entry, time)
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
}

function prepare(database: DatabaseSync) {
  return {
    insert: database.prepare(
      'insert into audit (seq, at, type, lease, data, hash, mac) values (?, ?, ?, ?, ?, ?, ?)',
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
