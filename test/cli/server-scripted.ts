import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ROUTES, type RouteName } from '../../src/api/routes.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

export const OPERATOR_KEY = `bko_${'canary-operator-7c1f'.padEnd(43, 'x')}`
export const HANDLE = `bkh_${'canary-handle-93ab'.padEnd(43, 'x')}`

export interface Asked {
  readonly route: RouteName | undefined
  readonly url: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}
export type Script = Partial<Record<RouteName, (asked: Asked) => Reply | Promise<Reply>>>

const HEALTH: Reply = { body: { status: 'ok', version: '9.9.9' } }

/** A real HTTPS server that answers from the route table, as far as a test says. */
export class ScriptedServer {
  readonly asked: Asked[] = []
  script: Script
  readonly url: string
  /** The roots to believe it by, PEM. */
  readonly ca: string
  readonly #close: () => Promise<void>

  private constructor(script: Script, url: string, ca: string, close: () => Promise<void>) {
    this.script = script
    this.url = url
    this.ca = ca
    this.#close = close
  }

  /** `plain`: no TLS; `name`: of its certificate; `days`: until it is over. */
  static async open(
    script: Script,
    { plain = false, name = '127.0.0.1', over = false } = {},
  ): Promise<ScriptedServer> {
    const now = Date.now()
    const end = new Date(now + (over ? -60_000 : 3_600_000))
    const authority = await CertificateAuthority.create('server', new Date(now - 7_200_000), end)
    const { chain, key } = await authority.leaf(name)
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      void opened.answer(request, response)
    }
    const server = plain
      ? createPlain(answer)
      : createServer({ cert: chain, key: key.reveal() }, answer)
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const close = () =>
      new Promise<void>((done) => {
        server.close(() => done())
        server.closeAllConnections()
      })
    const url = `${plain ? 'http' : 'https'}://127.0.0.1:${port}`
    const opened = new ScriptedServer(script, url, authority.pem, close)
    return opened
  }

  close(): Promise<void> {
    return this.#close()
  }

  of(route: RouteName): Asked[] {
    return this.asked.filter((one) => one.route === route)
  }

  /** Everything that came in, to look for what should not have. */
  get heard(): string {
    return JSON.stringify(this.asked)
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += chunk
    const { url = '', method = '' } = request
    const route = routeOf(method, url.replace(/\?.*/, ''))
    const one = { route, url, authorization: request.headers.authorization, body }
    this.asked.push(one)
    const script: Script = { health: () => HEALTH, ...this.script }
    const reply = (await (route && script[route]?.(one))) ?? noRoute()
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
    response.writeHead(reply.status ?? 200, {
      'content-type': 'application/json',
      ...reply.headers,
    })
    response.end(text)
  }
}

function routeOf(method: string, path: string): RouteName | undefined {
  const found = Object.entries(ROUTES).find(([, route]) => {
    const pattern = new RegExp(`^${route.path.replace(/:\w+/g, '[^/]+')}$`)
    return route.method === method && pattern.test(path)
  })
  return found?.[0] as RouteName | undefined
}

export function refusing(status: number, code: string, message: string, hint = 'x'): Reply {
  return { status, body: { error: { code, message, hint, details: {} } } }
}

function noRoute(): Reply {
  return refusing(404, 'not_found', 'there is no such route')
}
