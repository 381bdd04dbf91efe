import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Head } from '../audit/entry.ts'
import { Applier } from './applier.ts'
import type { FromThread, Order, OrderEnd, RecorderStart } from './recorder-terms.ts'
import { CHECKPOINT_PAGES } from './wal.ts'

// The whole of a thread beside the store: it brings batches of the journal into the database and says how
// it went. It never acts by itself, and the store writes nothing meanwhile, so the two never write at the
// same time.

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
const applier = new Applier(database, keys)

function carryOut({ head, batches }: Order): OrderEnd {
  let next: Head
  try {
    next = applier.apply(head, batches)
  } catch (error) {
    return { kind: 'failed', code: codeOf(error), message: (error as Error).message }
  }
  try {
    // The journal's room is used again after this: the database has to be as durable as that was.
    fdatasyncSync(log)
  } catch (error) {
    return { kind: 'lost', message: (error as Error).message }
  }
  return { kind: 'applied', head: next }
}

function codeOf(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code : null
}

const port = parentPort as MessagePort
const tell = (message: FromThread) => port.postMessage(message)

port.on('message', (order: Order | 'close') => {
  if (order !== 'close') {
    tell(carryOut(order))
    return
  }
  database.close()
  closeSync(log)
  port.close()
})
tell('ready')
