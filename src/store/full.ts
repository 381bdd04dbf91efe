import { BrokerError } from '../errors.ts'

const SQLITE_FULL = 13
const SQLITE_IOERR = 10

function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** SQLite found no room, or could not write. */
export function isFull(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_FULL || code === SQLITE_IOERR
}

/** The same in our words; any other error as it is. */
export function storageError(error: unknown): unknown {
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
