import type { Socket } from 'node:net'

export interface Relay {
  readonly host: string
  readonly port: number
  /** The unix socket that connections to the address are led to. */
  readonly path: string
}

/**
 * Listens on an address, or where it is alone at its port on all (a network namespace of one's own has
 * no other than the loopback's; Node looks an address up by a module that takes 3 ms to load), and joins each connection with one to the socket, both ways and half-closed as
 * either side likes. Throws what `listen` throws.
 */
export async function openRelay({ host, port, path }: Relay, alone = false): Promise<void> {
  const { createServer, connect } = process.getBuiltinModule('node:net')
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    join(near, connect({ path, allowHalfOpen: true }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(alone ? { port } : { port, host }, resolve)
  })
  // Too many open files: that one connection is lost, the others go on.
  server.on('error', () => {})
}

function join(near: Socket, far: Socket): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => other.destroy())
    one.on('close', () => other.destroy())
    one.pipe(other)
  }
}
