import { type Dispatcher, Pool } from 'undici'
import type { Destination } from './addresses.ts'
import { parseAuthority } from './authority.ts'
import type { Dialer } from './dial.ts'
import type { Upstream } from './gate.ts'
import type { Limits } from './limits.ts'
import { Refused } from './refusal.ts'
import { defaultPort } from './request-head.ts'

export interface Origin extends Destination {
  readonly scheme: 'http' | 'https'
  readonly text: string
  readonly ca: string | undefined
  /** Connections opened under wider rules are never lent to a request under narrower ones. */
  readonly key: string
}

/** Reads the gate's word for an upstream. A wrong one is the gate's fault, and a denial. */
function readOrigin({ origin, ca, reserved = false }: Upstream): Origin {
  const match = /^(https?):\/\/([^/?#@]+)$/.exec(origin)
  if (!match) throw new Refused('operation_denied', 'the broker named no usable upstream')
  const scheme = match[1] === 'https' ? 'https' : 'http'
  const { host, port } = parseAuthority(match[2] ?? '')
  return {
    scheme,
    host,
    port: port ?? defaultPort(scheme),
    reserved,
    text: origin,
    ca,
    key: `${origin} ${reserved}`,
  }
}

/** Keep-alive connections of one lease, by origin and by what may be trusted there. */
export class Upstreams {
  /** By what may be trusted there, then by key. */
  readonly #pools = new Map<string | undefined, Map<string, Pool>>()
  readonly #dialer: Dialer
  readonly #limits: Limits
  #last: Origin | undefined

  constructor(dialer: Dialer, limits: Limits) {
    this.#dialer = dialer
    this.#limits = limits
  }

  /** What `readOrigin` makes of it, which for most requests is what it made of the last one. */
  origin(upstream: Upstream): Origin {
    const { origin, ca, reserved = false } = upstream
    const last = this.#last
    if (last?.text === origin && last.ca === ca && last.reserved === reserved) return last
    this.#last = readOrigin(upstream)
    return this.#last
  }

  dispatcher(origin: Origin): Dispatcher {
    let pools = this.#pools.get(origin.ca)
    if (!pools) {
      pools = new Map()
      this.#pools.set(origin.ca, pools)
    }
    let pool = pools.get(origin.key)
    if (!pool) {
      pool = this.#open(origin)
      pools.set(origin.key, pool)
    }
    return pool
  }

  destroy(): void {
    for (const pools of this.#pools.values()) {
      for (const pool of pools.values()) pool.destroy().catch(() => {})
    }
    this.#pools.clear()
  }

  #open(origin: Origin): Pool {
    return new Pool(origin.text, {
      // Where the server takes it: gRPC needs its trailers, and a hundred streams one connection.
      allowH2: true,
      pipelining: 1, // of HTTP/1.1; streams of HTTP/2 are not held up by it
      headersTimeout: this.#limits.responseHeadMs,
      bodyTimeout: 0, // an event stream may be silent for hours; TCP keep-alive finds dead peers
      keepAliveTimeout: 10_000,
      strictContentLength: true,
      connect: (_options, done) => {
        const socket =
          origin.scheme === 'https'
            ? this.#dialer.secure(origin, origin.ca, ['h2', 'http/1.1'])
            : this.#dialer.plain(origin)
        socket.then(
          (open) => done(null, open),
          (error) => done(error, null),
        )
      },
    })
  }
}
