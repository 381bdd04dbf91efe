import { setMaxListeners } from 'node:events'
import { chmodSync } from 'node:fs'
import type { Server } from 'node:http'
import { OwnPorts, type Resolve, resolveName } from './addresses.ts'
import { CertificateAuthority } from './certificates.ts'
import { createDialer } from './dial.ts'
import type { Engine } from './engine.ts'
import type { Gate } from './gate.ts'
import { LIMITS, type Limits } from './limits.ts'
import { Refused } from './refusal.ts'
import { serve } from './servers.ts'
import { Sockets } from './sockets.ts'
import { Upstreams } from './upstreams.ts'

export interface ListenerOptions {
  /** Stands in refusals and in the subject of the CA certificate. */
  readonly lease: string
  readonly gate: Gate
  /** A random port on 127.0.0.1, or a unix socket (0600) in a folder that is the caller's alone. */
  readonly at: 'loopback' | { readonly path: string }
  /** When the CA's certificates lapse: the latest the lease can end. */
  readonly notAfter: Date
  /** Shared by all listeners of a process, so that none is reached through another. */
  readonly ownPorts?: OwnPorts
  readonly limits?: Partial<Limits>
  readonly resolve?: Resolve
}

export interface Listener {
  /** 0 on a unix socket. */
  readonly port: number
  /** The CA certificate, PEM. */
  readonly ca: string
  /** The CA certificate and the public roots in one text, for clients that replace their roots. */
  readonly bundle: string
  /** Open sockets, both directions. */
  readonly open: number
  /**
   * Ends everything at once: requests without an answer get `lease_ended`, what is under way is
   * cut, nothing new is taken. Resolves when the last socket is destroyed; may be repeated.
   */
  close(): Promise<void>
}

/** Opens one lease's proxy. The listener is the task's identity: nothing else tells leases apart. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...LIMITS, ...options.limits }
  const own = options.ownPorts ?? new OwnPorts()
  const authority = await CertificateAuthority.create(options.lease, new Date(), options.notAfter)
  const sockets = new Sockets()
  const resolve = options.resolve ?? resolveName
  const dialer = createDialer({ resolve, own, sockets, connectMs: limits.connectMs })
  const upstreams = new Upstreams(dialer, limits)
  const end = new AbortController()
  setMaxListeners(0, end.signal)
  let ids = 0
  const engine: Engine = {
    lease: options.lease,
    gate: options.gate,
    limits,
    sockets,
    dialer,
    upstreams,
    ended: end.signal,
    nextId: () => ++ids,
  }
  const server = serve(engine, authority)
  const port = await listen(server, options.at)
  if (port > 0) own.add(port)
  let closing: Promise<void> | undefined
  const close = async () => {
    // Stopped first, told second, cut third: no request slips in between.
    server.close()
    end.abort(new Refused('lease_ended', 'the lease ended before the request was done'))
    await new Promise((told) => setTimeout(told, 5))
    sockets.destroyAll()
    upstreams.destroy()
    if (port > 0) own.delete(port)
  }
  return {
    port,
    ca: authority.pem,
    bundle: authority.bundle(),
    get open() {
      return sockets.size
    },
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

async function listen(server: Server, at: ListenerOptions['at']): Promise<number> {
  const umask = at === 'loopback' ? undefined : process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      if (at === 'loopback') server.listen(0, '127.0.0.1', resolve)
      else server.listen(at.path, resolve)
    })
  } finally {
    if (umask !== undefined) process.umask(umask)
  }
  if (at !== 'loopback') chmodSync(at.path, 0o600)
  server.on('error', () => {})
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
