import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { writeFileAtomic } from '../lib/atomic-write.ts'
import type { Secret } from '../lib/secret.ts'
import { parseIdentity } from './age.ts'
import { onDisk, unusable } from './failure.ts'

/**
 * The identity in a key file. Throws `vault_unavailable` when it is missing, holds something else,
 * or others may read it: then it seals nothing.
 */
export function readKeyFile(path: string): Secret {
  const text = readPrivate(path)
  try {
    return parseIdentity(text)
  } catch (error) {
    throw unusable(
      path,
      'does not hold one age X25519 identity',
      'restore it from a backup, or point BROKER_VAULT_KEY_FILE at the right file',
      error,
    )
  }
}

/** Its folder has to be there: one outside our own is not ours to make, or to narrow. */
export function writeKeyFile(path: string, identity: Secret): void {
  try {
    writeFileAtomic(path, `${identity.reveal()}\n`)
  } catch (error) {
    throw onDisk(path, error)
  }
}

function readPrivate(path: string): string {
  try {
    const fd = openSync(path, 'r')
    try {
      const { mode } = fstatSync(fd) // of the open file, so that it cannot be exchanged in between
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw unusable(path, 'can be read by others', `make it yours alone: chmod 600 ${path}`)
      }
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw onDisk(path, error)
  }
}
