import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import type { Socket } from 'node:net'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { Environment } from './caller.ts'
import { errorFrom } from './failure.ts'
import { type Server, trustIn } from './server.ts'
import { notABroker, whyUnreachable } from './server-failure.ts'

export interface UpgradeCall {
  readonly path: string
  /** For the `Upgrade` field. */
  readonly protocol: string
  readonly bearer: Secret
  /** From the first packet to the answer. */
  readonly timeoutMs: number
}

/** An HTTP request that became a connection: what follows on it is the protocol's own. */
export interface Upgraded {
  readonly socket: Socket
  /** What had come already, right behind the answer. */
  readonly head: Buffer
}

export type Upgrade = (call: UpgradeCall) => Promise<Upgraded>

/** A peer that is gone without a word is noticed by the system too, in the end. */
const KEEP_ALIVE_MS = 30_000
const LONGEST_REFUSAL = 64 * 1024

/**
 * Opens upgraded connections to one server, over TLS that is always verified. Proxies of the environment
 * are obeyed, redirects are not followed. Rejects with what the server refused with, else with
 * `daemon_unreachable`, the system's error as its cause. Nothing but the request was sent then: it may
 * be tried again.
 */
export function upgraderTo(server: Server, env: Environment): Upgrade {
  const secure = server.url.startsWith('https:')
  const { Agent } = process.getBuiltinModule(secure ? 'node:https' : 'node:http')
  // One for all of them, for the TLS sessions that it remembers. `proxyEnv`: Node 24.5 and later.
  // Without TLS a proxy would be shown the token; and this machine is reached without one.
  const proxies = secure ? { proxyEnv: { ...env } } : {}
  const agent = new Agent(proxies as ConstructorParameters<typeof Agent>[0])
  return (call) => upgradeAt(server, call, agent)
}

function upgradeAt(server: Server, call: UpgradeCall, agent: Agent): Promise<Upgraded> {
  const url = new URL(server.url + call.path)
  const { request } = process.getBuiltinModule(
    url.protocol === 'https:' ? 'node:https' : 'node:http',
  )
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = request(url, {
      method: 'POST',
      agent,
      ...trustIn(server),
      // A half that has ended leaves the other one open.
      allowHalfOpen: true,
      headers: {
        connection: 'Upgrade',
        upgrade: call.protocol,
        authorization: `Bearer ${call.bearer.reveal()}`,
        'content-length': '0',
      },
    } as RequestOptions)
    const timer = setTimeout(() => sent.destroy(tooLate()), call.timeoutMs)
    const fail = (error: unknown) => {
      clearTimeout(timer)
      sent.destroy()
      reject(error)
    }
    sent.once('upgrade', (answer: IncomingMessage, socket: Socket, head: Buffer) => {
      clearTimeout(timer)
      if (answer.headers.upgrade !== call.protocol) {
        socket.destroy()
        reject(notABroker(server, answer.statusCode ?? 0))
        return
      }
      socket.setNoDelay(true)
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      resolve({ socket, head })
    })
    sent.once('response', (answer) => {
      const status = answer.statusCode ?? 0
      refusalOf(answer).then(
        (error) =>
          fail(
            error ??
              (NOT_READY.has(status) ? notReady(server, status) : notABroker(server, status)),
          ),
        (error: unknown) => fail(unreachable(server, error)),
      )
    })
    sent.once('error', (error) => fail(unreachable(server, error)))
    sent.end()
  })
}

/** Of a server that has just begun or is about to end, and of what stands before one that is away. */
const NOT_READY: ReadonlySet<number> = new Set([429, 502, 503, 504])

function notReady({ url }: Server, status: number): BrokerError {
  return new BrokerError('daemon_unreachable', `"${url}" is not ready (${status})`, {
    hint: 'try again in a moment, and see the log of broker serve there',
    cause: { code: 'NOT_READY' },
  })
}

async function refusalOf(answer: IncomingMessage): Promise<BrokerError | undefined> {
  let text = ''
  answer.setEncoding('utf8')
  for await (const chunk of answer) {
    text += chunk
    if (text.length > LONGEST_REFUSAL) return undefined
  }
  try {
    return errorFrom(JSON.parse(text))
  } catch {
    return undefined
  }
}

function tooLate(): Error {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })
}

function unreachable(server: Server, cause: unknown): unknown {
  const code = (cause as { readonly code?: unknown }).code
  const why = typeof code === 'string' ? ` (${code})` : ''
  const plain = new BrokerError('daemon_unreachable', `no answer from "${server.url}"${why}`, {
    hint: 'see that the address is right and that broker serve runs there',
    cause,
  })
  return whyUnreachable(server, plain)
}
