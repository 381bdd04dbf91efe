import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { BrokerError } from '../../errors.ts'
import { assertSocketPath } from './folders.ts'

/**
 * Listens on a unix socket that is the user's alone (0600), never wider, not even for a moment. The
 * folder is the caller's alone, so what is at the path already is an earlier run's and makes way. The
 * server removes the socket when it is closed. Throws `isolation_unavailable` for a path that is too
 * long, `internal` for any other reason.
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  assertSocketPath(path)
  try {
    rmSync(path, { force: true })
    const listening = once(server, 'listening')
    bind(server, path)
    await listening
  } catch (cause) {
    throw new BrokerError('internal', `nothing can listen at "${path}"`, {
      hint: 'look at the limits on open files and at its folder',
      cause,
    })
  }
  // Too many open files: that one connection is lost, the others go on.
  server.on('error', () => {})
}

/** The mask is the whole process's, so it is set around the call alone, which binds before it returns. */
function bind(server: Server, path: string): void {
  const before = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
}
