import type { IncomingMessage } from 'node:http'
import type { Secret } from '../lib/secret.ts'
import { silent } from './failure.ts'

export interface Exchange {
  readonly socket: string
  readonly method: string
  readonly path: string
  readonly bearer?: Secret
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** For the whole exchange. */
  readonly timeoutMs: number
}

export interface Answer {
  readonly status: number
  /** Parsed JSON, `undefined` for an empty or unreadable body. */
  readonly body: unknown
}

/** An answer from the daemon longer than this is none of its. */
const LONGEST_ANSWER = 64 * 1024 * 1024

/**
 * One HTTP exchange over the daemon's socket. Rejects with the system's error when nobody listens
 * (see `isAway`), and with `daemon_unreachable` when there is no answer in time.
 */
export function exchange(call: Exchange): Promise<Answer> {
  // An `import` of node:http costs 40 ms, because its getters load a whole HTTP client; this does not.
  const http = process.getBuiltinModule('node:http')
  const payload = call.body === undefined ? undefined : JSON.stringify(call.body)
  return new Promise((resolve, reject) => {
    const request = http.request({
      socketPath: call.socket,
      method: call.method,
      path: call.path,
      agent: false,
      headers: {
        host: 'broker',
        ...(call.bearer && { authorization: `Bearer ${call.bearer.reveal()}` }),
        ...(payload !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(payload)),
        }),
        ...call.headers,
      },
    })
    const timer = setTimeout(() => request.destroy(silent(call.timeoutMs)), call.timeoutMs)
    const settle = () => clearTimeout(timer)
    request.once('response', (response) => {
      readAnswer(response).then(resolve, reject).finally(settle)
    })
    request.once('error', (error) => {
      settle()
      reject(error)
    })
    request.end(payload)
  })
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    text += chunk
    if (text.length > LONGEST_ANSWER) throw new Error('the answer is too long')
  }
  return { status: response.statusCode ?? 0, body: parse(text) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** True if the error says that no daemon listens there: no socket, or one that nobody holds. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ECONNREFUSED'
}

/** True if a daemon was there and let go of us in the middle. */
export function isCutOff(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ECONNRESET' || code === 'EPIPE'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
