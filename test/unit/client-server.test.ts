import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { callServer, serverAt } from '../../src/client/server.ts'
import { createServerClient } from '../../src/client/server-client.ts'
import { whyUnreachable } from '../../src/client/server-failure.ts'
import { BrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

const HEALTH = { status: 'ok', version: '1.2.3' }

let http: Server
let asked: string[]
let answers: ((request: IncomingMessage, response: ServerResponse) => void)[]

const json =
  (body: unknown, status = 200) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status).end(JSON.stringify(body))
  }
const cut = (request: IncomingMessage) => request.socket.resetAndDestroy()

beforeEach(async () => {
  asked = []
  answers = []
  http = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
    request.resume()
    if (request.url === '/healthz' && answers.length === 0) return json(HEALTH)(request, response)
    const answer = answers.shift() ?? json({ error: 'nothing is left to say' }, 500)
    return answer(request, response)
  })
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done))
})
afterEach(() => {
  http.closeAllConnections()
  http.close()
})

const urlOf = (server: TcpServer) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const client = (bearer = async () => new Secret('canary-key'), env = {}) => {
  const server = serverAt(urlOf(http))
  return createServerClient({ server, env, inTask: false, bearer })
}
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => error as BrokerError,
  )

async function certificate() {
  const end = new Date(Date.now() + 86_400_000)
  const authority = await CertificateAuthority.create('client-server', new Date(), end)
  const { chain, key } = await authority.leaf('127.0.0.1')
  return { cert: chain, key: key.reveal() }
}

describe('the address of a server', () => {
  const refusal = (text: string) => {
    try {
      return serverAt(text)
    } catch (error) {
      return error
    }
  }

  test('is refused with a password in it, which is not repeated', () => {
    for (const text of ['https://me:canary@broker.example', 'http://:canary@localhost:8443']) {
      expect(refusal(text)).toMatchObject({
        code: 'usage',
        message: 'a URL with a user or a password is not the address of a server',
      })
    }
  })

  test('is refused without TLS, except on this machine', () => {
    expect(refusal('http://broker.example')).toMatchObject({
      message: '"http://broker.example" is not the address of a server',
      hint: expect.stringContaining('http:// is for a server on this machine alone'),
    })
    expect(serverAt('http://127.0.0.1:8443/').url).toBe('http://127.0.0.1:8443')
  })
})

describe('the client of a server', () => {
  test('never gets hold of the key for something that is no broker', async () => {
    answers = [json({ hello: 'world' })]
    let got = 0
    const error = await failure(
      client(async () => {
        got++
        return new Secret('x')
      }).request('listLeases'),
    )
    expect(error).toMatchObject({ code: 'daemon_unreachable' })
    expect(error.message).toContain('does not answer as a broker (200)')
    expect(got).toBe(0)
    expect(asked).toEqual(['GET /healthz -'])
  })

  test('does not hand plain http, and the key with it, to a proxy of the environment', async () => {
    const seen: string[] = []
    const trap = createServer((request, response) => {
      seen.push(request.url ?? '')
      json(HEALTH)(request, response)
    })
    await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done))
    answers = [json(HEALTH), json({ leases: [] })]
    const env = { HTTP_PROXY: urlOf(trap), http_proxy: urlOf(trap) }
    await client(undefined, env).request('listLeases')
    expect(seen).toEqual([])
    trap.close()
  })

  test('passes on what a broker says that is busy', async () => {
    answers = [json({ error: { code: 'rate_limited', message: 'too many', hint: 'later' } }, 429)]
    const error = await failure(client().request('listLeases'))
    expect(error).toMatchObject({ code: 'rate_limited', message: 'too many', hint: 'later' })
  })

  test('takes an answer that is no JSON for none of a broker', async () => {
    answers = [json(HEALTH), (_, response) => response.end('<html>')]
    const error = await failure(client().request('listLeases'))
    expect(error.message).toContain('does not answer as a broker (200)')
  })

  test('never asks twice for an act, whatever became of it', async () => {
    answers = [json(HEALTH), cut]
    const error = await failure(client().request('revokeLeases', { body: { all: true } }))
    expect(error).toMatchObject({ code: 'daemon_unreachable' })
    expect(asked).toHaveLength(2)
  })

  test('asks once more for a read that a restart cut off, and not a third time', async () => {
    answers = [json(HEALTH), cut, json({ leases: [] })]
    expect(await client().request('listLeases')).toEqual({ leases: [] })
    answers = [json(HEALTH), cut, cut, json({ leases: [] })]
    expect(await failure(client().request('listLeases'))).toMatchObject({
      code: 'daemon_unreachable',
    })
    expect(answers).toHaveLength(1)
  })

  test('meets the server once and asks for the key once', async () => {
    let got = 0
    const one = client(async () => {
      got++
      return new Secret('canary-key')
    })
    await one.meet()
    await one.identify('listLeases')
    for (let i = 0; i < 3; i++) {
      answers = [json({ leases: [] })]
      await one.request('listLeases', { query: { state: 'live', cursor: undefined } })
    }
    expect(got).toBe(1)
    const line = 'GET /v1/leases?state=live Bearer canary-key'
    expect(asked).toEqual(['GET /healthz -', line, line, line])
  })

  test('does not get the key for what anyone may ask', async () => {
    answers = [json(HEALTH), json({ keys: [] })]
    const never = () => Promise.reject(new Error('asked for the key'))
    expect(await client(never).request('jwks')).toEqual({ keys: [] })
  })
})

describe('why a server cannot be reached', () => {
  const server = serverAt('https://broker.example')
  const from = (code: string) =>
    new BrokerError('daemon_unreachable', 'x', { hint: 'y', cause: { code } })
  const cases = [
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'not signed by a root', '--ca-file'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'not signed by a root', '--ca-file'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'not signed by a root', '--ca-file'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'not signed by a root', '--ca-file'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'another name', 'https://NAME'],
    ['CERT_HAS_EXPIRED', 'not valid now', 'clock'],
    ['CERT_NOT_YET_VALID', 'not valid now', 'clock'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'does not speak TLS', 'port'],
    ['EPROTO', 'does not speak TLS', 'port'],
    ['ECONNRESET', 'hung up before', '--plain-http'],
    ['ECONNREFUSED', 'nobody listens', 'broker serve'],
    ['ENOTFOUND', 'is not known here', 'network'],
  ] as const
  test.each(cases)('%s', (code, says, hint) => {
    const error = whyUnreachable(server, from(code)) as BrokerError
    expect(error.code).toBe('daemon_unreachable')
    expect(error.message).toContain(says)
    expect(error.message).toContain('"https://broker.example"')
    expect(error.hint).toContain(hint)
  })

  const told = async (listener: TcpServer, scheme: string) => {
    await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
    const there = serverAt(urlOf(listener).replace('http:', scheme))
    const asked = callServer(there, { method: 'GET', path: '/healthz', timeoutMs: 10_000 })
    const error = await failure(asked)
    listener.close()
    return { first: error, said: whyUnreachable(there, error) as BrokerError }
  }

  test('says so where plain HTTP is spoken to a port that expects TLS', async () => {
    const { said } = await told(createTlsServer(await certificate()), 'http:')
    expect(said).toMatchObject({
      code: 'daemon_unreachable',
      hint: expect.stringContaining('a certificate is asked as https://'),
    })
  })

  test('says so where TLS is spoken to a port of plain HTTP, and blames no certificate', async () => {
    const { first, said } = await told(createServer(), 'https:')
    expect(said).toMatchObject({
      code: 'daemon_unreachable',
      hint: expect.stringContaining('one with --plain-http is asked as http://'),
    })
    expect(first.hint).not.toContain('certificate')
  })

  test('says so where something else listens, or hangs up', async () => {
    const other = createTcpServer((socket) => socket.on('error', () => {}).write('SSH-2.0-x\r\n'))
    expect((await told(other, 'http:')).said.hint).toContain('a certificate is asked as https://')
    const rude = createTcpServer((socket) => socket.resetAndDestroy())
    expect((await told(rude, 'https:')).said.hint).toContain('see that the port is the one')
  })

  test('is left as it is where it is not known, and other errors are', () => {
    for (const error of [
      from('ESOMETHING'),
      new Error('x'),
      new BrokerError('denied', 'x', { hint: 'y' }),
    ]) {
      expect(whyUnreachable(server, error)).toBe(error)
    }
  })
})
