import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import { BrokerError } from '../errors.ts'
import { isLoopbackHost } from '../lib/loopback-host.ts'
import type { Secret } from '../lib/secret.ts'
import type { Environment } from './caller.ts'

/** A `broker serve` elsewhere: where, and whom to believe that it is there. */
export interface Server {
  /** Without a final slash. */
  readonly url: string
  /** Roots (PEM) instead of the public ones; undefined: those of Node and of `NODE_EXTRA_CA_CERTS`. */
  readonly ca?: string
}

export interface ServerCall {
  readonly method: string
  readonly path: string
  readonly bearer?: Secret
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as a form, instead. */
  readonly form?: URLSearchParams
  /** For the whole exchange. */
  readonly timeoutMs: number
}

export interface ServerAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Parsed JSON, `undefined` for an empty or unreadable body. */
  readonly body: unknown
}

const LONGEST_ANSWER = 64 * 1024 * 1024

/**
 * Reads `--server`. Throws `usage` for what is no https URL, quoting no password; plain http is taken on this machine alone, since
 * everything that is sent there is a secret.
 */
export function serverAt(text: string, ca?: string): Server {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url?.protocol === 'http:' && isLoopbackHost(url.hostname)
  const hint = `give it as https://HOST or https://HOST:PORT${
    url?.protocol === 'http:' ? '; http:// is for a server on this machine alone' : ''
  }`
  if (url?.username || url?.password) {
    const message = 'a URL with a user or a password is not the address of a server'
    throw new BrokerError('usage', message, { hint })
  }
  if (!url || !(url.protocol === 'https:' || plain) || url.search || url.hash) {
    const message = `"${text.slice(0, 200)}" is not the address of a server`
    throw new BrokerError('usage', message, { hint })
  }
  const path = url.pathname.replace(/\/+$/, '')
  return { url: `${url.origin}${path}`, ...(ca !== undefined && { ca }) }
}

/**
 * One HTTP exchange with a server, over TLS that is always verified. Proxies of the environment are
 * obeyed. No redirect is followed: what is sent is for this server alone. Rejects with
 * `daemon_unreachable`, the system's error as its cause; an answer of any status resolves.
 */
export function callServer(
  server: Server,
  call: ServerCall,
  env: Environment = {},
): Promise<ServerAnswer> {
  const url = new URL(server.url + call.path)
  const secure = url.protocol === 'https:'
  const { request } = process.getBuiltinModule(secure ? 'node:https' : 'node:http')
  const payload =
    call.form?.toString() ?? (call.body === undefined ? '' : JSON.stringify(call.body))
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: call.method,
      ...connection(server, secure, env),
      headers: headersOf(call, payload),
    } as RequestOptions)
    const timer = setTimeout(() => sent.destroy(new Error('no answer in time')), call.timeoutMs)
    const fail = (error: unknown) => {
      clearTimeout(timer)
      reject(unreachable(server, error))
    }
    sent.once('response', (response) => {
      readAnswer(response).then((answer) => {
        clearTimeout(timer)
        resolve(answer)
      }, fail)
    })
    sent.once('error', fail)
    sent.end(payload)
  })
}

/** How a connection to it is made; its agent is for one exchange, so that nothing keeps a process alive. */
function connection(server: Server, secure: boolean, env: Environment): object {
  // Without TLS a proxy would be shown the key; and this machine is reached without one.
  if (!secure) return { agent: false }
  const { Agent } = process.getBuiltinModule('node:https')
  // `proxyEnv`: Node 24.5 and later; older ones connect directly.
  const agent = new Agent({ proxyEnv: { ...env } } as ConstructorParameters<typeof Agent>[0])
  return { agent, ...trustIn(server) }
}

/** Said outright: the environment variable that turns verification off must not reach us. */
export function trustIn({ ca }: Server): {
  readonly rejectUnauthorized: true
  readonly ca?: string
} {
  return { rejectUnauthorized: true, ...(ca !== undefined && { ca }) }
}

function headersOf(call: ServerCall, payload: string): Record<string, string> {
  const type = call.form ? 'application/x-www-form-urlencoded' : 'application/json'
  return {
    accept: 'application/json',
    ...(call.bearer && { authorization: `Bearer ${call.bearer.reveal()}` }),
    ...(payload !== '' && { 'content-type': type }),
    'content-length': String(Buffer.byteLength(payload)),
    ...call.headers,
  }
}

async function readAnswer(response: IncomingMessage): Promise<ServerAnswer> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    text += chunk
    if (text.length > LONGEST_ANSWER) throw new Error('the answer is too long')
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: parse(text) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(server: Server, cause: unknown): BrokerError {
  const code = (cause as { code?: unknown }).code
  const why = typeof code === 'string' ? ` (${code})` : ''
  const isTrust = typeof code === 'string' && /CERT|SIGNATURE|ALTNAME/.test(code)
  return new BrokerError('daemon_unreachable', `no answer from "${server.url}"${why}`, {
    hint: isTrust
      ? 'its certificate is not one that this machine trusts: name its roots with BROKER_CA_FILE'
      : 'see that the address is right and that broker serve runs there',
    cause,
  })
}
