import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { type ChainKeys, GENESIS, signHead } from '../audit/chain.ts'
import type { Head } from '../audit/entry.ts'
import { BrokerError } from '../errors.ts'
import { Applier } from './applier.ts'
import { isFull, storageError } from './full.ts'
import { type Append, empty, Journal, left } from './journal.ts'
import { batchText, recordsText } from './journal-batch.ts'
import { Journaled } from './journaled.ts'
import { MIGRATIONS } from './migrations.ts'
import { NodeSqliteConnection, NodeSqliteDialect } from './node-sqlite.ts'
import { KyselyReader } from './reader.ts'
import { Recorder } from './recorder.ts'
import { type RequestRecord, writeRecords } from './records.ts'
import { Reserve } from './reserve.ts'
import type { Schema } from './schema.ts'
import { Standing } from './standing.ts'
import type { Reader, Store, Writer } from './store.ts'
import { Transaction } from './transaction.ts'
import { CHECKPOINT_PAGES, type Sync, WriteAheadLog } from './wal.ts'
import { type ChainCursor, KyselyWriter } from './writer.ts'

/** Transactions that share one commit, at most: each waits for the disk once, not once each. */
const GROUP = 64

/** How long a batch of records waits for others in a busy event loop. Milliseconds. */
const TOGETHER_MS = 2

/** What goes into one batch of the journal, at most. Characters: the journal has room for thrice as many. */
const BATCH = 256 * 1024

interface Job {
  readonly work: (writer: Writer) => Promise<unknown>
  /** What the work writes, where the journal may have it instead. */
  readonly recording: Recording | null
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

interface Recording {
  readonly records: readonly RequestRecord[]
  readonly text: string
}

interface Writing {
  readonly db: Kysely<Schema>
  readonly connection: NodeSqliteConnection
}

export interface SqliteOptions {
  readonly path: string
  readonly keys: ChainKeys
  readonly now: () => number
  /**
   * The program of a second thread. With it, what requests did goes into a journal first and by that thread
   * into the database; without it, all is written at once.
   */
  readonly recorder?: URL
  /** For tests: how a commit becomes durable, and a batch of the journal. */
  readonly sync?: Sync
  readonly append?: Append
}

/** Opens (and if need be makes or migrates) the embedded database. One process at a time: the caller holds the lock. */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  closeSync(openSync(options.path, 'a', 0o600)) // made by us first: SQLite would follow the umask
  chmodSync(options.path, 0o600)
  const database = new DatabaseSync(options.path)
  database.exec(`
    pragma journal_mode = wal;
    pragma synchronous = normal;
    pragma foreign_keys = on;
    pragma busy_timeout = 5000;
    pragma cache_size = -8000;
    pragma wal_autocheckpoint = ${CHECKPOINT_PAGES};
  `)
  const connection = new NodeSqliteConnection(database)
  const db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(connection) })
  await migrate(database, db)
  const reading = new DatabaseSync(options.path, { readOnly: true })
  reading.exec('pragma busy_timeout = 5000; pragma cache_size = -8000;')
  return SqliteStore.open(options, database, { db, connection }, reading)
}

async function migrate(database: DatabaseSync, db: Kysely<Schema>): Promise<void> {
  const wanted = Object.keys(MIGRATIONS).length
  const { user_version: found } = database.prepare('pragma user_version').get() as {
    user_version: number
  }
  if (found === wanted) return // the usual start: asking the migrator would cost more than opening
  if (found > wanted) {
    throw new BrokerError('conflict', 'the database was made by a newer broker', {
      hint: 'update broker to the version that wrote it, or use another BROKER_HOME',
      details: { found, supported: wanted },
    })
  }
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  })
  const { error } = await migrator.migrateToLatest()
  if (error) throw storageError(error)
  database.exec(`pragma user_version = ${wanted}`)
}

class SqliteStore implements Store {
  readonly read: Reader
  readonly #options: SqliteOptions
  readonly #database: DatabaseSync
  readonly #reading: DatabaseSync
  readonly #writer: Writer
  readonly #chain: ChainCursor
  readonly #reserve: Reserve
  readonly #transaction: Transaction
  readonly #savepoint: Savepoint
  readonly #log: WriteAheadLog
  readonly #standing: Standing
  /** The last batch of earlier journals. */
  readonly #applied: number
  #queue: Job[] = []
  #running: Promise<void> | null = null
  #journaled: Journaled | null = null
  #beginning: Promise<void> | null = null
  /** The last batch had more than one call. */
  #isBusy = false
  #closed = false

  static async open(
    options: SqliteOptions,
    database: DatabaseSync,
    writing: Writing,
    reading: DatabaseSync,
  ): Promise<SqliteStore> {
    const chain = cursorOf(database)
    const log = openLog(options, database)
    const applied = await recover(options, database, chain, log)
    return new SqliteStore(options, database, writing, reading, chain, log, applied)
  }

  private constructor(
    options: SqliteOptions,
    database: DatabaseSync,
    { db, connection }: Writing,
    reading: DatabaseSync,
    chain: ChainCursor,
    log: WriteAheadLog,
    applied: number,
  ) {
    this.#options = options
    this.#applied = applied
    this.#database = database
    this.#reading = reading
    // Whoever reads sees all that was recorded, wherever it is by now.
    const readable = new NodeSqliteConnection(reading, () => this.#settled())
    this.read = new KyselyReader(
      new Kysely<Schema>({ dialect: new NodeSqliteDialect(readable) }),
      readable,
    )
    this.#chain = chain
    this.#writer = new KyselyWriter(db, connection, chain, options.keys, options.now)
    this.#transaction = new Transaction(database)
    this.#savepoint = prepareSavepoint(database)
    this.#standing = new Standing(database)
    this.#log = log
    this.#reserve = new Reserve(`${options.path}.reserve`)
    this.#reserve.take()
  }

  hasReserve(): boolean {
    return this.#reserve.take()
  }

  write<T>(work: (writer: Writer) => Promise<T>): Promise<T> {
    return this.#enqueue(work, null)
  }

  record(records: readonly RequestRecord[]): Promise<boolean> {
    // Begun when it is first of use; until it works, and for what is too large, all is written at once.
    this.#beginning ??= this.#begin()
    let recording: Recording | null = null
    try {
      if (this.#journaled) recording = { records, text: recordsText(records) }
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#enqueue((writer) => writeRecords(writer, records), recording)
  }

  async #begin(): Promise<void> {
    const { path, keys, recorder: program, append } = this.#options
    if (!program) return
    let recorder: Recorder | undefined
    try {
      recorder = new Recorder(program, { path, keys })
      if (!(await recorder.begun())) return
      const journal = await Journal.create(journalOf(path), keys.mac, this.#applied, append)
      const parts = { journal, recorder, chain: this.#chain, log: this.#log }
      this.#journaled = new Journaled({ ...parts, reserve: this.#reserve })
    } catch {
      // No room for it: everything is written at once, as long as there is room for that.
      await recorder?.close()
    }
  }

  /** What a reader has to wait for. Where the database cannot take it, what it has is read. */
  #settled(): Promise<void> | null {
    const journaled = this.#journaled
    return journaled && !journaled.isCaughtUp ? journaled.caughtUp().catch(() => {}) : null
  }

  #enqueue<T>(work: (writer: Writer) => Promise<T>, recording: Recording | null): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'))
    const done = new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, recording, resolve: resolve as (value: unknown) => void, reject })
    })
    this.#running ??= this.#drain()
    return done
  }

  async #drain(): Promise<void> {
    // Whoever asks in the same turn goes along.
    await null
    while (this.#queue.length > 0) {
      // Nothing else is written meanwhile: one chain, and one order.
      if (this.#journaled && this.#recordingsInFront() > 0) {
        // Where many ask, others are on their way; one alone waits for nobody.
        if (this.#isBusy) await this.#idle()
        const group = this.#queue.splice(0, this.#recordingsInFront())
        this.#isBusy = group.length > 1
        await this.#append(this.#journaled, group)
        continue
      }
      await this.#gather()
      await this.#commit(this.#queue.splice(0, GROUP))
    }
    this.#running = null
  }

  /** In the order they came: what the journal can take ends where other work stands. */
  #recordingsInFront(): number {
    let length = 0
    let count = 0
    for (const { recording } of this.#queue) {
      length += recording?.text.length ?? 0
      if (!recording || length > BATCH) break
      count++
    }
    return count
  }

  async #append(journaled: Journaled, group: readonly Job[]): Promise<void> {
    const accepted: Job[] = []
    const texts: string[] = []
    for (const job of group) {
      const { records, text } = job.recording ?? { records: [], text: '' }
      try {
        if (this.#standing.holds(records)) {
          this.#standing.checkGrants(records)
          accepted.push(job)
          if (text !== '') texts.push(text)
        } else job.resolve(false)
      } catch (error) {
        job.reject(error)
      }
    }
    try {
      if (texts.length > 0) await journaled.append(batchText(this.#options.now(), texts))
      for (const job of accepted) job.resolve(true)
    } catch (error) {
      for (const job of accepted) job.reject(error)
    }
  }

  /** Behind what the journal has. */
  async #commit(group: readonly Job[]): Promise<void> {
    try {
      await this.#journaled?.caughtUp()
    } catch (error) {
      for (const job of group) job.reject(error)
      return
    }
    await this.#commitTogether(group, true)
    this.#standing.forget()
  }

  /**
   * Until the event loop has nothing else to do, or its time is up: what is under way brings more to write
   * along, and one more write costs as much as a request.
   */
  async #idle(): Promise<void> {
    const until = performance.now() + TOGETHER_MS
    for (let before = -1; performance.now() < until; ) {
      const { events } = performance.nodeTiming.uvMetricsInfo
      if (events === before) return
      before = events
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  /** Lets whoever is ready join the group, for as long as each turn of the event loop brings someone. */
  async #gather(): Promise<void> {
    for (let before = 0; before < this.#queue.length && before < GROUP; ) {
      before = this.#queue.length
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  /** One transaction for the group, one savepoint for each: a job that fails takes no other with it. */
  async #commitTogether(group: readonly Job[], mayGiveUpReserve: boolean): Promise<void> {
    const before = this.#chain.head
    const settle: (() => void)[] = []
    try {
      this.#log.refuseIfBroken()
      this.#transaction.begin()
      for (const job of group) settle.push(await this.#runOne(job))
      if (this.#chain.head.seq !== before.seq) this.#saveHead()
      this.#transaction.commit()
    } catch (error) {
      this.#chain.head = before
      this.#transaction.rollBack()
      if (isFull(error) && mayGiveUpReserve && this.#reserve.giveUp()) {
        await this.#commitTogether(group, false)
        return
      }
      for (const job of group) job.reject(storageError(error))
      return
    }
    try {
      // Committed is not durable yet: nobody is told before the disk has it.
      await this.#log.settle()
    } catch (error) {
      for (const job of group) job.reject(error)
      return
    }
    for (const act of settle) act()
  }

  /** Runs one job inside its savepoint; returns how to tell its caller once the group is durable. */
  async #runOne(job: Job): Promise<() => void> {
    const before = this.#chain.head
    this.#savepoint.begin.run()
    try {
      const value = await job.work(this.#writer)
      this.#savepoint.release.run()
      return () => job.resolve(value)
    } catch (error) {
      if (isFull(error)) throw error // the whole group tries again with the reserve
      this.#chain.head = before
      this.#savepoint.rollBack.run()
      this.#savepoint.release.run()
      return () => job.reject(error)
    }
  }

  #saveHead(): void {
    const { keys, now } = this.#options
    this.#transaction.saveHead(signHead(keys, this.#chain.head, now()))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#beginning
    await this.#journaled?.close()
    this.#reading.close()
    this.#database.close()
    this.#log.close()
  }
}

const journalOf = (path: string) => `${path}.journal`

/** Appending goes on from the signed head, not from the last row: a cut tail stays visible. */
function cursorOf(database: DatabaseSync): ChainCursor {
  const head = database.prepare('select seq, hash from audit_head where id = 1').get()
  const { seq, hash } = (head as Head | undefined) ?? GENESIS
  const last = database.prepare('select coalesce(max(seq), 0) as seq from audit').get()
  return { head: { seq: Math.max((last as { seq: number }).seq, seq), hash } }
}

/**
 * Brings what a run that was cut off had recorded into the database; the last batch that this has then.
 * May be repeated.
 */
async function recover(
  { path, keys }: SqliteOptions,
  database: DatabaseSync,
  chain: ChainCursor,
  log: WriteAheadLog,
): Promise<number> {
  const applier = new Applier(database, keys)
  const batches = left(journalOf(path), keys.mac, applier.applied)
  if (batches.length > 0) {
    try {
      chain.head = applier.apply(chain.head, batches)
    } catch (error) {
      throw storageError(error)
    }
    await log.settle()
  }
  empty(journalOf(path))
  return applier.applied
}

/** A transaction that changes nothing to speak of, so that the log exists. */
function openLog({ path, sync }: SqliteOptions, database: DatabaseSync): WriteAheadLog {
  const { user_version: version } = database.prepare('pragma user_version').get() as {
    user_version: number
  }
  database.exec(`begin immediate; pragma user_version = ${version}; commit`)
  return new WriteAheadLog(path, sync)
}

/** What runs for every job of a group; prepared once. */
function prepareSavepoint(database: DatabaseSync) {
  return {
    begin: database.prepare('savepoint job'),
    release: database.prepare('release job'),
    rollBack: database.prepare('rollback to job'),
  }
}

type Savepoint = ReturnType<typeof prepareSavepoint>
