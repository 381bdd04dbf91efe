import { connect, isIP, type Socket } from 'node:net'
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls'
import { addressesOf, type Destination, type Reach, type Resolve } from './addresses.ts'
import { Refused } from './refusal.ts'
import type { Sockets } from './sockets.ts'

export interface Dialer {
  /** An open TCP connection to a checked address. Throws `egress_denied` or `upstream_failed`. */
  plain(destination: Destination): Promise<Socket>
  /**
   * The same with TLS on it, certificate and name verified. `ca`: PEM, trusted as well. `protocols`:
   * what is offered by ALPN, best first; the socket's `alpnProtocol` says what the server took.
   */
  secure(
    destination: Destination,
    ca: string | undefined,
    protocols: readonly ('h2' | 'http/1.1')[],
  ): Promise<TLSSocket>
}

export interface DialParts extends Reach {
  readonly resolve: Resolve
  readonly sockets: Sockets
  readonly connectMs: number
}

export function createDialer(parts: DialParts): Dialer {
  const contexts = new Map<string, SecureContext>()
  const plain = async (destination: Destination) => {
    const addresses = await addressesOf(destination, parts.resolve, parts)
    const [first] = addresses
    if (!first)
      throw new Refused('upstream_failed', `the host "${destination.host}" has no address`)
    const socket = connect({
      host: addresses.length === 1 ? first.address : destination.host,
      port: destination.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      autoSelectFamily: addresses.length > 1,
      // Answers with what was checked: nothing is looked up a second time.
      lookup: (_host, options, done) =>
        options.all ? done(null, [...addresses]) : done(null, first.address, first.family),
    })
    return opened(parts.sockets.add(socket), 'connect', destination, parts.connectMs)
  }
  const secure: Dialer['secure'] = async (destination, ca, protocols) => {
    const socket = await plain(destination)
    const { host } = destination
    const tls = tlsConnect({
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      secureContext: contextFor(contexts, ca),
      ALPNProtocols: [...protocols],
      // Said outright: the environment variable that turns verification off must not reach us.
      rejectUnauthorized: true,
    })
    return opened(parts.sockets.add(tls), 'secureConnect', destination, parts.connectMs)
  }
  return { plain, secure }
}

function contextFor(contexts: Map<string, SecureContext>, ca = ''): SecureContext {
  let context = contexts.get(ca)
  if (!context) {
    const roots = getCACertificates('default')
    context = createSecureContext({ ca: ca === '' ? roots : [...roots, ca], minVersion: 'TLSv1.2' })
    contexts.set(ca, context)
  }
  return context
}

function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  { host }: Destination,
  timeoutMs: number,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error('too slow')), timeoutMs)
    const fail = (error: unknown) => {
      clearTimeout(timer)
      socket.destroy()
      const what = event === 'connect' ? 'could not be reached' : 'has no certificate we accept'
      reject(new Refused('upstream_failed', `the host "${host}" ${what}`, error))
    }
    socket.once('error', fail)
    socket.once('close', () => fail(new Error('closed')))
    socket.once(event, () => {
      clearTimeout(timer)
      socket.off('error', fail)
      // Whoever uses the socket listens as well; until then an error must not end the process.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}
