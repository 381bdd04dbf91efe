import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { GENESIS, link, signHead } from '../audit/chain.ts'
import type { Entry, Head } from '../audit/entry.ts'
import type { Batch, BatchEnd, FromThread, Recorded, RecorderStart } from './recorder-terms.ts'
import type { RequestRecord } from './records.ts'
import { CHECKPOINT_PAGES } from './wal.ts'

// The whole of a thread beside the store: it takes batches, commits them durably, and says how it went.
// It never acts by itself, and the store writes nothing meanwhile, so the two never write at the same time.

const { path, keys } = workerData as RecorderStart
const database = new DatabaseSync(path)
// As in the store's own thread (`wal.ts`): SQLite's own way would be `fsync`, which has the file's times
// written as well.
database.exec(`
  pragma synchronous = normal;
  pragma foreign_keys = on;
  pragma busy_timeout = 5000;
  pragma cache_size = -4000;
  pragma wal_autocheckpoint = ${CHECKPOINT_PAGES};
`)

const log = openSync(`${path}-wal`, 'r+')

const statements = {
  begin: database.prepare('begin immediate'),
  commit: database.prepare('commit'),
  savepoint: database.prepare('savepoint call'),
  release: database.prepare('release call'),
  undo: database.prepare('rollback to call'),
  state: database.prepare('select state from leases where id = ?'),
  append: database.prepare(
    'insert into audit (seq, at, type, lease, data, hash, mac) values (?, ?, ?, ?, ?, ?, ?)',
  ),
  saveHead: database.prepare(
    'insert or replace into audit_head (id, seq, hash, at, signature) values (1, ?, ?, ?, ?)',
  ),
}
const count = {
  allowed: database.prepare('update grants set allowed = allowed + 1 where lease = ? and name = ?'),
  denied: database.prepare('update grants set denied = denied + 1 where lease = ? and name = ?'),
  approved: database.prepare(
    'update grants set approved = approved + 1 where lease = ? and name = ?',
  ),
}

/** Behind what was committed last. */
let head: Head = GENESIS

/** All of them in one commit: each waits for the disk once, not once each. */
function commit(batches: readonly Batch[]): readonly BatchEnd[] {
  head = batches[0]?.head ?? head
  const before = head
  try {
    statements.begin.run()
    const recorded = batches.map(({ calls, at }) => calls.map((records) => record(records, at)))
    const at = batches.at(-1)?.at
    if (head.seq !== before.seq && at !== undefined) {
      const signed = signHead(keys, head, at)
      statements.saveHead.run(signed.seq, signed.hash, signed.at, signed.signature)
    }
    statements.commit.run()
    return durable(recorded.map((each) => ({ kind: 'committed', head, recorded: each })))
  } catch (error) {
    head = before
    if (database.isTransaction) rollBack()
    const { message } = error as Error
    return batches.map(() => ({ kind: 'failed', code: codeOf(error), message }))
  }
}

/** Here the wait for the disk holds up nobody. */
function durable(ends: readonly BatchEnd[]): readonly BatchEnd[] {
  try {
    fdatasyncSync(log)
    return ends
  } catch (error) {
    return ends.map(() => ({ kind: 'lost', message: (error as Error).message }))
  }
}

/** One call, whole or not at all. Throws only what the database itself failed with. */
function record(records: readonly RequestRecord[], at: number): Recorded {
  if (records.some(({ whileActive }) => whileActive !== undefined && !isActive(whileActive))) {
    return 'inactive'
  }
  const before = head
  statements.savepoint.run()
  try {
    for (const { entry, count } of records) {
      const linked = link(keys, head, entry, at)
      append(linked)
      if (count) addOne(count)
      head = { seq: linked.seq, hash: linked.hash }
    }
    statements.release.run()
    return 'written'
  } catch (error) {
    // A full disk fails the whole batch: the store tries again with the room it keeps.
    if (codeOf(error) !== null) throw error
    head = before
    statements.undo.run()
    statements.release.run()
    return { error: (error as Error).message }
  }
}

function isActive(lease: string): boolean {
  return (statements.state.get(lease) as { state?: SQLInputValue } | undefined)?.state === 'active'
}

function append({ seq, at, type, lease, data, hash, mac }: Entry): void {
  statements.append.run(seq, at, type, lease, data, hash, mac)
}

function addOne({ lease, grant, counted }: NonNullable<RequestRecord['count']>): void {
  const { changes } = count[counted].run(lease, grant)
  if (changes !== 1) throw new Error(`no grant "${grant}" of lease ${lease}`)
}

function rollBack(): void {
  try {
    database.exec('rollback')
  } catch {
    // SQLite rolls back by itself on some errors.
  }
}

function codeOf(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code : null
}

const port = parentPort as MessagePort
const tell = (message: FromThread) => port.postMessage(message)

port.on('message', (first: Batch | 'close') => {
  if (first === 'close') {
    database.close()
    closeSync(log)
    port.close()
    return
  }
  const batches = [first]
  // Whatever came while the last commit waited for the disk.
  for (;;) {
    const next = receiveMessageOnPort(port) as { message: Batch } | undefined
    if (next === undefined) break
    batches.push(next.message)
  }
  tell(commit(batches))
})
tell('ready')
