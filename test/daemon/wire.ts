import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { SESSION_PATH, SESSION_PROTOCOL } from '../../src/api/session.ts'
import type { IssuedLease } from '../../src/api/types.ts'
import { Product } from '../fixtures/product.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the daemon said, for the test to look at
  readonly body: any
}

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly bearer?: string | undefined
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** The daemon's own, unless it is that of a task. */
  readonly socket?: string
}

/** A running daemon and its key, spoken to without any of the client's own code. */
export class Wired extends Product {
  get operator(): string {
    return readFileSync(join(this.home, 'config/operator.key'), 'utf8').trim()
  }

  /** As the operator, unless `bearer` says otherwise; `bearer: undefined` sends no key. */
  ask(ask: Ask): Promise<Answer> {
    const headers: Record<string, string> = { ...ask.headers }
    const bearer = 'bearer' in ask ? ask.bearer : this.operator
    if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
    let payload: string | undefined
    if (ask.body !== undefined) {
      payload = typeof ask.body === 'string' ? ask.body : JSON.stringify(ask.body)
      headers['content-type'] ??= 'application/json'
    }
    return new Promise((resolve, reject) => {
      const call = request({
        socketPath: ask.socket ?? this.socket,
        method: ask.method ?? 'GET',
        path: ask.path,
        agent: false,
        headers,
      })
      call.once('error', reject)
      call.once('response', async (response) => {
        let text = ''
        response.setEncoding('utf8')
        for await (const chunk of response) text += chunk
        const type = response.headers['content-type'] ?? ''
        resolve({ status: response.statusCode ?? 0, type, text, body: parse(text) })
      })
      call.end(payload)
    })
  }

  /** A lease of the operator's, acknowledged. */
  async issue(
    wish: Readonly<Record<string, unknown>> = {},
    bearer = this.operator,
  ): Promise<IssuedLease & { readonly handle: string; readonly token: string }> {
    const body = { environment: 'staging', ...wish }
    const issued = await this.ask({ method: 'POST', path: '/v1/leases', body, bearer })
    if (issued.status !== 201) throw new Error(`no lease: ${issued.text}`)
    const { lease, variables, proxy, place } = issued.body as IssuedLease
    const acked = await this.ask({ method: 'POST', path: `/v1/leases/${lease.id}/ack`, bearer })
    if (acked.status !== 200) throw new Error(`not acknowledged: ${acked.text}`)
    return {
      lease,
      variables,
      proxy,
      place,
      handle: variables['BROKER_HANDLE'] ?? '',
      token: variables['BROKER_ACCESS_TOKEN'] ?? '',
    }
  }

  async stateOf(id: string): Promise<string> {
    return (await this.ask({ path: `/v1/leases/${id}` })).body.state
  }

  /** `null`: without a key. */
  session(bearer: string | null = this.operator, path: string = SESSION_PATH): Promise<Wire> {
    return Wire.open(this.socket, bearer, path)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as above
type Frame = any

/** The session socket, byte by byte: sends whatever it is told to. */
export class Wire {
  readonly #socket: Socket
  #text = ''
  #status: number | undefined
  #closed = false
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      this.#text += chunk
      this.#wake()
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  static async open(path: string, bearer: string | null, url: string): Promise<Wire> {
    const wire = new Wire(connect(path))
    const head = [
      `POST ${url} HTTP/1.1`,
      'Host: broker',
      'Connection: Upgrade',
      `Upgrade: ${SESSION_PROTOCOL}`,
      ...(bearer === null ? [] : [`Authorization: Bearer ${bearer}`]),
      'Content-Length: 0',
    ]
    wire.write(`${head.join('\r\n')}\r\n\r\n`)
    await wire.#until(() => wire.#text.includes('\r\n\r\n'))
    const end = wire.#text.indexOf('\r\n\r\n')
    wire.#status = Number(/^HTTP\/1\.1 (\d+)/.exec(wire.#text)?.[1])
    wire.#text = wire.#text.slice(end + 4)
    return wire
  }

  get status(): number | undefined {
    return this.#status
  }

  write(bytes: string): void {
    this.#socket.write(bytes)
  }

  send(frame: Frame): void {
    this.write(`${JSON.stringify(frame)}\n`)
  }

  /** The next frame; undefined when the daemon has hung up. */
  async next(): Promise<Frame | undefined> {
    await this.#until(() => this.#text.includes('\n'))
    const at = this.#text.indexOf('\n')
    if (at < 0) return undefined
    const line = this.#text.slice(0, at)
    this.#text = this.#text.slice(at + 1)
    return JSON.parse(line)
  }

  /** All that comes until the daemon hangs up. */
  async rest(): Promise<string> {
    await this.#until(() => this.#closed)
    return this.#text
  }

  close(): void {
    this.#socket.destroy()
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#closed) {
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }
}
