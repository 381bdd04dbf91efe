import { connect, createServer, type Socket } from 'node:net'
import type { Endpoint } from '../../providers/provider.ts'
import { listenPrivately } from './private-socket.ts'

const LIMITS = {
  /** Connections at once, for each service; beyond it one is closed unheard. */
  most: 256,
  /** A service that does not answer must not hold a place for as long as the system would try. */
  connectMs: 10_000,
}

export interface ServicePipe {
  /** Cuts everything at once and takes nothing new. May be repeated. */
  close(): void
}

/**
 * A unix socket that leads to one TCP service and to nothing else: each connection is joined with one of
 * its own, byte for byte, half-closed as either side likes, and no faster than the slower side reads. The
 * name is looked up here for each connection: whoever connects has no say in where it goes.
 */
export async function openServicePipe(
  path: string,
  { host, port }: Endpoint,
  limits = LIMITS,
): Promise<ServicePipe> {
  const open = new Set<Socket>()
  let closed = false
  const hold = (socket: Socket): Socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    return socket
  }
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (closed) {
      near.destroy()
      return
    }
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true })
    const timer = setTimeout(() => far.destroy(new Error('too slow')), limits.connectMs)
    for (const event of ['connect', 'close']) far.once(event, () => clearTimeout(timer))
    join(hold(near), hold(far))
  })
  server.maxConnections = limits.most
  await listenPrivately(server, path)
  return {
    close: () => {
      closed = true
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** An end is passed on by the pipes, behind all bytes before it; only a failure cuts the other side. */
function join(near: Socket, far: Socket): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => other.destroy())
    one.pipe(other)
  }
}
