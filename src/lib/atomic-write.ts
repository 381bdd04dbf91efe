import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

let counter = 0

/**
 * Replaces `path` whole or not at all: a new file beside it, mode set before any byte is in it,
 * synced, renamed over the old one, and the folder synced so that the rename itself survives a
 * power loss. On failure the old file is untouched and the new one is gone.
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): void {
  const temporary = `${path}.${process.pid}.${++counter}.tmp`
  const fd = openSync(temporary, 'wx', mode)
  try {
    try {
      fchmodSync(fd, mode) // the umask may have narrowed or the caller widened: say it explicitly
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    try {
      unlinkSync(temporary)
    } catch {
      // the rename may already have moved it; the first error is the one to tell
    }
    throw error
  }
  syncFolder(dirname(path))
}

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return // a folder cannot be opened there
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
