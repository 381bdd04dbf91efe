import { once, setMaxListeners } from 'node:events'
import type { Server } from 'node:http'
import { BrokerError } from '../errors.ts'
import { OwnPorts, type Resolve, resolveName } from './addresses.ts'
import { CertificateAuthority } from './certificates.ts'
import { createDialer } from './dial.ts'
import type { Engine } from './engine.ts'
import type { Gate } from './gate.ts'
import { LIMITS, type Limits } from './limits.ts'
import { Refused } from './refusal.ts'
import { serve } from './servers.ts'
import { Sockets } from './sockets.ts'
import { UnderWay } from './under-way.ts'
import { Upstreams } from './upstreams.ts'

export interface ListenerOptions {
  /** Stands in refusals and in the subject of the CA certificate. */
  readonly lease: string
  readonly gate: Gate
  /**
   * A random port on 127.0.0.1, or a unix socket (0600, removed by `close`) in a folder that is the
   * caller's alone. To the port any process of this machine may connect, also another user's: nobody
   * is let in for where they come from. It is the phantom in the request that proves the lease, always.
   */
  readonly at: 'loopback' | { readonly path: string }
  /** When the CA's certificates lapse: the latest the lease can end. */
  readonly notAfter: Date
  /**
   * Every host the gate may say `intercept` for, without patterns: a name includes those below it. Clients then trust
   * the CA for these alone: a connection that is ended here by mistake fails instead of being read.
   * A refusal inside TLS for any other name cannot be read either.
   */
  readonly hosts?: readonly string[]
  /** Made ahead for whichever lease comes next, and for this one alone from now on; else one is made. */
  readonly authority?: CertificateAuthority
  /** Shared by all listeners of a process, so that none is reached through another. */
  readonly ownPorts?: OwnPorts
  /** False: no private network is reached but where the gate says so. */
  readonly privateNetworks?: boolean
  readonly limits?: Partial<Limits>
  readonly resolve?: Resolve
}

export interface Listener {
  /** 0 on a unix socket. */
  readonly port: number
  /** The CA certificate, PEM. */
  readonly ca: string
  /**
   * The CA certificate, the public roots and the machine's own in one PEM text of `CERTIFICATE` blocks
   * alone, for clients that replace their roots.
   */
  readonly bundle: string
  /** Open sockets, both directions. */
  readonly open: number
  /**
   * Ends everything at once: requests without an answer get `lease_ended`, what is under way is
   * cut, nothing new is taken. Resolves when the last socket is destroyed; may be repeated.
   */
  close(): Promise<void>
}

/**
 * Opens one lease's proxy. The listener says which lease a connection is for; that whoever connects
 * may act for it, the gate finds in each request. Throws `conflict` when something is at the path
 * already, which is left as it is.
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...LIMITS, ...options.limits }
  const own = options.ownPorts ?? new OwnPorts()
  const { lease, notAfter, hosts, privateNetworks = true } = options
  const authority =
    options.authority ?? (await CertificateAuthority.create(lease, new Date(), notAfter, hosts))
  authority.limitLeaves(notAfter)
  const sockets = new Sockets()
  const resolve = options.resolve ?? resolveName
  const dialer = createDialer({
    resolve,
    own,
    privateNetworks,
    sockets,
    connectMs: limits.connectMs,
  })
  const upstreams = new Upstreams(dialer, limits)
  const end = new AbortController()
  setMaxListeners(0, end.signal)
  const underWay = new UnderWay()
  let ids = 0
  const engine: Engine = {
    lease,
    gate: options.gate,
    limits,
    sockets,
    dialer,
    upstreams,
    ended: end.signal,
    underWay,
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
    underWay.abortAll(end.signal.reason)
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
  try {
    const listening = once(server, 'listening')
    if (at === 'loopback') server.listen(0, '127.0.0.1')
    else bind(server, at.path)
    await listening
  } catch (error) {
    throw cannotListen(at, error)
  }
  server.on('error', () => {})
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/**
 * The socket is never there with wider rights, not even for a moment. The mask is the process's, so
 * it is set around the call alone, which binds before it returns: a folder made under it would be
 * one that nobody can enter.
 */
function bind(server: Server, path: string): void {
  const before = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
}

function cannotListen(at: ListenerOptions['at'], cause: unknown): BrokerError {
  const place = at === 'loopback' ? '127.0.0.1' : at.path
  if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    return new BrokerError('conflict', `something else is at "${place}" already`, {
      hint: 'remove it when it is not in use, or choose another path',
      cause,
    })
  }
  return new BrokerError('internal', `the proxy cannot listen at "${place}"`, {
    hint: 'look at the limits on open files and, for a path, at its length and its folder',
    cause,
  })
}
