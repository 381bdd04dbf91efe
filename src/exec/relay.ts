import { createServer, type Server, type Socket } from 'node:net'
import { PROXY_PROTOCOL } from '../api/session.ts'
import type { LeaseView } from '../api/types.ts'
import { hasCode } from '../client/failure.ts'
import type { Upgrade, Upgraded } from '../client/server-upgrade.ts'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'

export interface Relay {
  /** On 127.0.0.1. */
  readonly port: number
  /** Cuts every connection, and takes no new one. May be repeated. */
  close(): void
}

const LIMITS = {
  /** Connections at once: as many as a lease's proxy takes at a server. */
  most: 256,
  connectMs: 15_000,
}

/**
 * A loopback port whose connections are led, one by one, to the lease's proxy at the server: byte for byte,
 * half-closed as either side likes, no faster than the slower side reads. Nothing is read or judged here.
 * Any program of this machine may connect, as to a proxy of a daemon here: it is the phantom in the request
 * that proves the lease, always. Throws `internal` if there is no port.
 */
export async function openRelay(
  upgrade: Upgrade,
  lease: Pick<LeaseView, 'id'>,
  handle: Secret,
  limits = LIMITS,
): Promise<Relay> {
  const open = new Set<Socket>()
  let closed = false
  const hold = (socket: Socket): void => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    if (closed) socket.destroy()
  }
  const path = `/v1/leases/${encodeURIComponent(lease.id)}/proxy`
  const call = { path, protocol: PROXY_PROTOCOL, bearer: handle, timeoutMs: limits.connectMs }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    hold(near)
    near.on('error', () => near.destroy())
    upgrade(call).then(
      (far) => {
        hold(far.socket)
        join(near, far)
      },
      (error: unknown) => refuse(near, error),
    )
  })
  server.maxConnections = limits.most
  const port = await listen(server)
  return {
    port,
    close: () => {
      closed = true
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new BrokerError('internal', 'no port for the proxy of the task can be opened', {
          hint: 'look at the limits on open files; then start the task again',
          cause,
        }),
      )
    })
    server.listen(0, '127.0.0.1', () => {
      // Too many open files: that one connection is lost, the others go on.
      server.on('error', () => {})
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : 0)
    })
  })
}

/** An end is passed on by the pipes, behind all bytes before it; a side that is cut cuts the other. */
function join(near: Socket, { socket: far, head }: Upgraded): void {
  if (near.destroyed) {
    far.destroy()
    return
  }
  if (head.length > 0) far.unshift(head)
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => other.destroy())
    one.once('close', () => {
      // What was said last still goes out; what was cut is cut.
      if (one.readableEnded) other.end(() => other.destroy())
      else other.destroy()
    })
    one.pipe(other)
  }
}

/** To a program that waits for a proxy's answer: a cut alone would look like a fault of the other end. */
function refuse(near: Socket, error: unknown): void {
  const over = hasCode(error, 'lease_ended') || hasCode(error, 'unauthorized')
  const body = over
    ? 'the lease of this task has ended\n'
    : 'the broker of this task could not be reached\n'
  const status = over ? '403 Forbidden' : '502 Bad Gateway'
  near.resume()
  near.end(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    () => near.destroySoon(),
  )
}
