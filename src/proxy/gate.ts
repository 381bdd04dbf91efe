import type { Secret } from '../lib/secret.ts'

/**
 * The port between bytes and policy. The proxy asks two questions (where may this connection go,
 * may this request go) and is told the answers; it knows no template, no provider and no lease
 * state of its own.
 *
 * Whatever is not a well-formed answer is a denial: a thrown error, a rejected promise, an answer
 * that comes too late, or one of a shape not listed here.
 */
export interface Gate {
  /**
   * Asked for every CONNECT, for every plain request, and again for the name in a ClientHello when
   * it differs from the name of the CONNECT. May be asked any number of times; must have no effect
   * but its audit entry, which is durable before the promise resolves.
   */
  route(target: Target): Promise<Route>
  /**
   * Asked once for each request, with `body` where that came along with the head, or else a second
   * time, with `body`, after `inspect`. When the promise resolves with `allow`, the decision's audit
   * entry is durable: the request leaves right after. `signal` fires when the client has gone or the
   * lease has ended; the answer is then not used.
   */
  judge(request: JudgedRequest, signal: AbortSignal): Promise<Verdict>
  /**
   * Told once for each allowed request and each tunnel, when it is over. An `allow` that comes when
   * the client has gone or the lease has ended has no outcome: nothing left. What it throws is dropped.
   */
  outcome(outcome: Outcome): void | Promise<void>
  /** Told what the engine itself turned away, for the log. What it throws is dropped. */
  refused(refusal: EngineRefusal): void | Promise<void>
}

/** A canonical place: lower-case name, dotted IPv4 or unbracketed IPv6, and a port. */
export interface Target {
  readonly host: string
  readonly port: number
  /** `name`: the host was read from a ClientHello inside a tunnel to somewhere else. */
  readonly from: 'connect' | 'request' | 'name'
}

export type Route =
  /** TLS is ended here and each request judged. */
  { readonly kind: 'intercept' } | Tunnel | { readonly kind: 'refuse'; readonly refusal: Refusal }

/** Bytes pass unread after the ClientHello; plain HTTP to such a host is still parsed and judged. */
export interface Tunnel {
  readonly kind: 'tunnel'
  /** TLS without a server name. */
  readonly withoutName: 'pass' | 'refuse'
  /** Anything that is neither TLS nor HTTP, and clients that wait for the server to speak first. */
  readonly otherProtocols: 'pass' | 'refuse'
  /** True: loopback, link-local and metadata addresses are fine for this target. */
  readonly reserved?: boolean
}

export type Verdict =
  | Allow
  | Inspect
  | Answer
  | { readonly kind: 'refuse'; readonly refusal: Refusal }

/**
 * The whole body is read first (at most `limit` bytes, else `request_too_large`), then judged again. Of a
 * body that was shown it says that it is over the limit; anything else is a denial.
 */
export interface Inspect {
  readonly kind: 'inspect'
  readonly limit: number
}

/**
 * The gate answers by itself, before or after `inspect`: nothing goes upstream and there is no
 * outcome. The client gets it as it stands here, without `Broker-Decision`. The status is 200–599;
 * 204, 205 and 304 have an empty body; framing, hop-by-hop and `broker-` names are a denial, like
 * everything else that cannot be written. The length is written by the engine; HEAD gets no body.
 */
export interface Answer {
  readonly kind: 'answer'
  readonly answer: {
    readonly status: number
    readonly fields: readonly Field[]
    readonly body: string
  }
}

export interface Allow {
  readonly kind: 'allow'
  /** Lower-case names of fields that do not go upstream. */
  readonly remove?: readonly string[]
  /** Fields put in, each replacing every field of that name. Framing and hop-by-hop names are a denial. */
  readonly set?: readonly (readonly [name: string, value: Secret])[]
  /** Goes instead of the body that was shown. */
  readonly body?: Uint8Array
  /** Where it really goes; without it, to the origin the client named. */
  readonly upstream?: Upstream
  /**
   * Only with `upgrade`; without it the frames pass unread. Asked for each text message of the client,
   * whole, one at a time and in order; what comes meanwhile waits. Only what it returns goes upstream:
   * no other byte of the client's does, those of pings and of close reasons included, and binary
   * messages and extensions end the connection. What the server sends passes as it is. `signal` fires
   * when either side has gone or the lease has ended; the answer is then not used.
   */
  readonly messages?: (text: string, signal: AbortSignal) => Promise<MessageVerdict>
}

export type MessageVerdict =
  | { readonly kind: 'forward'; readonly text: string }
  /** Goes back to the client, and nothing upstream. */
  | { readonly kind: 'answer'; readonly text: string }
  /** `code`: 1000 or 3000–4999 (RFC 6455 §7.4). `reason` is cut at 123 bytes. */
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }

export interface Upstream {
  /** `https://host[:port]` or `http://host[:port]`, nothing behind it. */
  readonly origin: string
  /** PEM certificates trusted besides the usual roots. Verification cannot be turned off. */
  readonly ca?: string
  /** True: the address may be a loopback, link-local or metadata one. */
  readonly reserved?: boolean
}

export type Field = readonly [name: string, value: string]

/**
 * A request in its one canonical form. What is judged here is what is forwarded: same method, same
 * target, same fields in the same order, same body; only `Allow` changes anything.
 */
export interface JudgedRequest {
  /** Ties judge and outcome together; unique within the listener. */
  readonly id: number
  readonly protocol: 'http/1.0' | 'http/1.1' | 'h2'
  /** `tunnel`: plain HTTP to a host that is not intercepted. */
  readonly route: 'intercept' | 'tunnel'
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly method: string
  /** Path and query exactly as they go upstream. */
  readonly target: string
  readonly path: string
  /** Without the question mark; undefined when there is none. */
  readonly query: string | undefined
  /** Lower-case names, client's order, without Host, framing and hop-by-hop fields. */
  readonly fields: readonly Field[]
  /** Bytes to come as the client declared them: a number, `chunked`, or 0 for none. */
  readonly length: number | 'chunked'
  readonly upgrade: 'websocket' | undefined
  /** The whole of it, if it is there yet. Frozen by convention: to change it, answer with `Allow.body`. */
  readonly body?: Uint8Array
}

/**
 * What a report says of a request. No fields and no query: they may hold credentials, and reports
 * are written down.
 */
export type RequestName = Pick<
  JudgedRequest,
  'id' | 'protocol' | 'route' | 'scheme' | 'host' | 'port' | 'method' | 'path'
>

/** An answer to the client in the gate's words. `Broker-Decision: deny` is added to it. */
export interface Refusal {
  readonly status: number
  readonly fields: readonly Field[]
  readonly body: string
}

export type EngineCode =
  | 'request_malformed'
  | 'request_too_large'
  | 'egress_denied'
  | 'operation_denied'
  | 'upstream_failed'
  | 'lease_ended'

/** What the engine turned away by itself. `detail` is our own words and at most a host name in its canonical form. */
export interface EngineRefusal {
  readonly code: EngineCode
  readonly detail: string
  readonly next: string
  /** Set once a request had one; a refused CONNECT or broken head has none. */
  readonly request?: RequestName
  readonly target?: Target
}

export interface Outcome {
  readonly kind: 'request' | 'tunnel'
  readonly request?: RequestName
  readonly target?: Target
  /** The upstream's status; undefined for tunnels and when it never answered. */
  readonly status: number | undefined
  readonly bytesUp: number
  readonly bytesDown: number
  readonly durationMs: number
  readonly end: 'complete' | 'client_gone' | 'upstream_failed' | 'lease_ended'
}
