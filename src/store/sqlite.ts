import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { type ChainKeys, GENESIS, signHead } from '../audit/chain.ts'
import type { Head } from '../audit/entry.ts'
import { BrokerError } from '../errors.ts'
import { MIGRATIONS } from './migrations.ts'
import { NodeSqliteConnection, NodeSqliteDialect } from './node-sqlite.ts'
import { KyselyReader } from './reader.ts'
import { Recorder } from './recorder.ts'
import type { BatchEnd } from './recorder-terms.ts'
import { type RequestRecord, writeRecords } from './records.ts'
import { Reserve } from './reserve.ts'
import type { Schema } from './schema.ts'
import type { Reader, Store, Writer } from './store.ts'
import { CHECKPOINT_PAGES, type Sync, WriteAheadLog } from './wal.ts'
import { type ChainCursor, KyselyWriter } from './writer.ts'

/** Transactions that share one commit, at most: each waits for the disk once, not once each. */
const GROUP = 64

/** Handing over costs two wake-ups: few calls are sooner written here, and many hold up everybody. */
const HANDED_OVER = 16

const SQLITE_FULL = 13
const SQLITE_IOERR = 10

interface Job {
  readonly work: (writer: Writer) => Promise<unknown>
  /** What the work writes, where the recorder may do it instead. */
  readonly records: readonly RequestRecord[] | null
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
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
   * The program of a second thread that records what requests did, and from how many calls at once it
   * does; without it this one does all.
   */
  readonly recorder?: { readonly program: URL; readonly from?: number }
  /** For tests: how a commit becomes durable. */
  readonly sync?: Sync
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
  readonly #statements: TransactionStatements
  readonly #log: WriteAheadLog
  #recorder: Recorder | undefined
  #queue: Job[] = []
  #running: Promise<void> | null = null
  /** Resolves when the recorder has nothing in hand. */
  #recording: Promise<void> = Promise.resolve()
  #closed = false

  static async open(
    options: SqliteOptions,
    database: DatabaseSync,
    writing: Writing,
    reading: DatabaseSync,
  ): Promise<SqliteStore> {
    const connection = new NodeSqliteConnection(reading)
    const read = new KyselyReader(
      new Kysely<Schema>({ dialect: new NodeSqliteDialect(connection) }),
      connection,
    )
    // Appending goes on from the signed head, not from the last row: a cut tail stays visible.
    const head: Head = (await read.head()) ?? GENESIS
    const { seq } = database.prepare('select coalesce(max(seq), 0) as seq from audit').get() as {
      seq: number
    }
    const chain = { head: { seq: Math.max(seq, head.seq), hash: head.hash } }
    return new SqliteStore(options, database, writing, reading, read, chain)
  }

  private constructor(
    options: SqliteOptions,
    database: DatabaseSync,
    { db, connection }: Writing,
    reading: DatabaseSync,
    read: Reader,
    chain: ChainCursor,
  ) {
    this.#options = options
    this.#database = database
    this.#reading = reading
    this.read = read
    this.#chain = chain
    this.#writer = new KyselyWriter(db, connection, chain, options.keys, options.now)
    this.#statements = prepareTransaction(database)
    this.#log = openLog(options, database)
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
    const { path, keys, recorder } = this.#options
    // Started when it is first of use; until it is ready its work is done here.
    if (recorder) this.#recorder ??= new Recorder(recorder.program, { path, keys })
    return this.#enqueue((writer) => writeRecords(writer, records), records)
  }

  #enqueue<T>(
    work: (writer: Writer) => Promise<T>,
    records: readonly RequestRecord[] | null,
  ): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'))
    const done = new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, records, resolve: resolve as (value: unknown) => void, reject })
    })
    this.#running ??= this.#drain()
    return done
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#gather()
      const recorder = this.#recorder?.isReady ? this.#recorder : undefined
      const mine = recorder ? this.#recordsInFront() : 0
      const from = this.#options.recorder?.from ?? HANDED_OVER
      if (recorder && mine > 0 && (mine >= from || recorder.isBusy)) {
        // Not waited for: the next ones are sent while the disk has these.
        this.#follow(this.#recordTogether(recorder, this.#queue.splice(0, mine), true))
        continue
      }
      // One writer at a time, and one chain.
      await this.#recording
      await this.#commitTogether(this.#queue.splice(0, GROUP), true)
    }
    this.#running = null
  }

  #follow(recording: Promise<void>): void {
    const before = this.#recording
    this.#recording = recording.then(() => before)
  }

  /** In the order they came: what the recorder can take ends where other work stands. */
  #recordsInFront(): number {
    const others = this.#queue.findIndex(({ records }) => records === null)
    return others < 0 ? this.#queue.length : others
  }

  /** As `commitTogether`, in the other thread. */
  async #recordTogether(
    recorder: Recorder,
    group: readonly Job[],
    mayGiveUpReserve: boolean,
  ): Promise<void> {
    const failed = (error: unknown) => {
      for (const job of group) job.reject(error)
    }
    try {
      this.#log.refuseIfBroken()
    } catch (error) {
      return failed(error)
    }
    const calls = group.map(({ records }) => records ?? [])
    const head = recorder.isBusy ? null : this.#chain.head
    const batch = { head, at: this.#options.now(), calls }
    let end: BatchEnd
    try {
      end = await recorder.commit(batch)
    } catch (error) {
      return failed(this.#log.lose(error))
    }
    if (end.kind === 'lost') return failed(this.#log.lose(new Error(end.message)))
    if (end.kind === 'failed') {
      const error = Object.assign(new Error(end.message), { errcode: end.code })
      if (isFull(error) && mayGiveUpReserve && this.#reserve.giveUp()) {
        return this.#recordTogether(recorder, group, false)
      }
      return failed(storageError(error))
    }
    this.#chain.head = end.head
    for (const [index, job] of group.entries()) {
      const recorded = end.recorded[index] ?? { error: 'it was not recorded' }
      if (typeof recorded === 'object') job.reject(new Error(recorded.error))
      else job.resolve(recorded === 'written')
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
      this.#statements.begin.run()
      for (const job of group) settle.push(await this.#runOne(job))
      if (this.#chain.head.seq !== before.seq) this.#saveHead()
      this.#statements.commit.run()
    } catch (error) {
      this.#chain.head = before
      this.#rollback()
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
    this.#statements.savepoint.run()
    try {
      const value = await job.work(this.#writer)
      this.#statements.release.run()
      return () => job.resolve(value)
    } catch (error) {
      if (isFull(error)) throw error // the whole group tries again with the reserve
      this.#chain.head = before
      this.#statements.rollbackTo.run()
      this.#statements.release.run()
      return () => job.reject(error)
    }
  }

  #saveHead(): void {
    const { seq, hash, at, signature } = signHead(
      this.#options.keys,
      this.#chain.head,
      this.#options.now(),
    )
    this.#statements.saveHead.run(seq, hash, at, signature)
  }

  #rollback(): void {
    try {
      this.#database.exec('rollback')
    } catch {
      // SQLite rolls back by itself on some errors (a full disk); then there is nothing to do
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#recording
    await this.#recorder?.close()
    this.#reading.close()
    this.#database.close()
    this.#log.close()
  }
}

/** A transaction that changes nothing to speak of, so that the log exists. */
function openLog({ path, sync }: SqliteOptions, database: DatabaseSync): WriteAheadLog {
  const { user_version: version } = database.prepare('pragma user_version').get() as {
    user_version: number
  }
  database.exec(`begin immediate; pragma user_version = ${version}; commit`)
  return new WriteAheadLog(path, sync)
}

/** What runs in every transaction; prepared once. */
function prepareTransaction(database: DatabaseSync) {
  return {
    begin: database.prepare('begin immediate'),
    commit: database.prepare('commit'),
    savepoint: database.prepare('savepoint job'),
    release: database.prepare('release job'),
    rollbackTo: database.prepare('rollback to job'),
    saveHead: database.prepare(
      'insert or replace into audit_head (id, seq, hash, at, signature) values (1, ?, ?, ?, ?)',
    ),
  }
}

type TransactionStatements = ReturnType<typeof prepareTransaction>

function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

function isFull(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_FULL || code === SQLITE_IOERR
}

function storageError(error: unknown): unknown {
  if (!isFull(error)) return error
  return new BrokerError(
    'storage_full',
    'no room to record this: the disk is full or cannot be written',
    {
      hint: 'free some space where the broker keeps its state; nothing was issued',
      cause: error,
    },
  )
}
