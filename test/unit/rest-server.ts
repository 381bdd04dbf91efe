import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection } from '../../src/providers/provider.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

/** The real one: no task may ever see it. */
export const KEY = 'tk_live_00000000000000000000000000000000'

/** An API over real TLS that knows one key, and keeps what it was asked. */
export class TicketServer {
  readonly asked: {
    readonly line: string
    readonly authorization: string
    readonly body: string
  }[] = []
  readonly #server: Server
  readonly ca: string
  /** What it answers with; null: as it should. */
  status: number | null = null

  private constructor(server: Server, ca: string) {
    this.#server = server
    this.ca = ca
    server.on('request', (request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const authorization = request.headers.authorization ?? ''
        const line = `${request.method} ${request.url}`
        this.asked.push({ line, authorization, body: Buffer.concat(pieces).toString() })
        const known = authorization === `Bearer ${KEY}`
        const location = 'https://elsewhere.example/'
        response.writeHead(this.status ?? (known ? 200 : 401), { location }).end('{"key":"echo"}')
      })
    })
  }

  static async start(): Promise<TicketServer> {
    const end = new Date(Date.now() + 3_600_000)
    const authority = await CertificateAuthority.create('tickets', new Date(), end)
    const { chain, key } = await authority.leaf('localhost')
    const server = new TicketServer(createServer({ cert: chain, key: key.reveal() }), authority.pem)
    await new Promise<void>((done) => server.#server.listen(0, '127.0.0.1', done))
    return server
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  connection(change: Partial<Connection> = {}): Connection {
    const settings = { url: this.url }
    return { name: 'main', secret: new Secret(KEY), settings, ca: this.ca, ...change } as Connection
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}
