import { chmodSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { ensurePrivateFolder, type Home } from '../lib/home.ts'

/**
 * Opens the socket. The caller holds the lock, so a socket file that exists is a dead daemon's and
 * may go; its folder is ours alone before the socket is in it, and the socket is 0600.
 */
export async function listen(app: FastifyInstance, home: Home): Promise<void> {
  if (process.platform !== 'win32') {
    ensurePrivateFolder(dirname(home.socket))
    remove(home.socket)
  }
  const umask = process.platform === 'win32' ? undefined : process.umask(0o177)
  try {
    await app.listen({ path: home.socket })
  } finally {
    if (umask !== undefined) process.umask(umask)
  }
  if (process.platform !== 'win32') chmodSync(home.socket, 0o600)
  // For people and for `daemon status` of a daemon that does not answer; nothing trusts it.
  writeFileSync(home.pidFile, `${process.pid}\n`, { mode: 0o600 })
}

export function unlisten(home: Home): void {
  remove(home.pidFile)
  if (process.platform !== 'win32') remove(home.socket)
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
