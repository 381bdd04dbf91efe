import { request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { callServer, serverAt } from '../../src/client/server.ts'
import { upgraderTo } from '../../src/client/server-upgrade.ts'
import { Secret } from '../../src/lib/secret.ts'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, LEASE_TOKEN, newToken, policy, Raw } from './serve-world.ts'

const LIMITS = { failures: { burst: 5, perMinute: 1 }, subject: { burst: 12, perMinute: 1 } }

/** Besides: what a person's task behind walls may have. */
const withLocal = (issuer: string) =>
  `${policy(issuer).replace(
    'templates:',
    `  dev:
    api: { provider: jwt, audience: https://api.dev.example }
templates:
  behind:
    environments: [dev]
    isolation: mask
    grants: { api: { allow: ["deploy:read"] } }`,
  )}`

let served: Served
beforeAll(async () => {
  served = await Served.start(withLocal, { limits: LIMITS })
})
afterAll(() => served?.dispose())
afterEach(() => vi.unstubAllEnvs())

const upgrade = (bearer: string) =>
  `POST /v1/session HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: broker-session\r\nauthorization: Bearer ${bearer}\r\n\r\n`

async function session(bearer: string, from?: string): Promise<Raw> {
  const raw = await Raw.tls(served, from)
  if (!raw) throw new Error('the server hung up')
  raw.write(upgrade(bearer))
  await expect.poll(() => raw.text, { timeout: 20_000 }).toContain('\r\n\r\n')
  return raw
}

const wish = (asked: object) => `${JSON.stringify({ type: 'request', request: asked })}\n`

/** Of the operator, over the local socket. */
function issueLocally(asked: object): Promise<{ variables: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath: served.socket,
      method: 'POST',
      path: '/v1/leases',
      agent: false,
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${served.operatorKey}`,
      },
    })
    call.once('error', reject)
    call.once('response', async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(JSON.parse(text))
    })
    call.end(JSON.stringify(asked))
  })
}

describe('a stranger with a token of the issuer', () => {
  const stranger = () => newToken(served, { repository_id: '666', sub: 'repo:evil/evil' })

  it('who asks and does not read is cut off, before what waits for him fills the memory', async () => {
    const raw = await session(await stranger())
    raw.socket.pause()
    const pings = '{"type":"ping"}\n'.repeat(4096)
    let sent = 0
    for (
      const most = 96 * 1024 * 1024;
      sent < most && !raw.socket.destroyed;
      sent += pings.length
    ) {
      if (!raw.socket.write(pings)) await Promise.race([raw.closed, drained(raw)])
    }
    raw.socket.destroy()
    expect(sent).toBeLessThan(64 * 1024 * 1024)
    expect((await ask(served, { path: '/healthz' })).status).toBe(200)
  }, 60_000)

  it('who tries it by sessions is counted, as by exchange', async () => {
    const from = '127.0.3.1'
    for (let i = 0; i < 5; i++) {
      const raw = await session(await stranger(), from)
      raw.write(wish({ environment: 'ci' }))
      await raw.closed
      expect(raw.text).toContain('"code":"subject_refused"')
    }
    const tired = await session(await stranger(), from)
    tired.write(wish({ environment: 'ci' }))
    await tired.closed
    expect(tired.text).toContain('"code":"rate_limited"')
  })
})

const drained = (raw: Raw) => new Promise((resolve) => raw.socket.once('drain', resolve))

describe('a job beside a stranger at one address', () => {
  it('can end what it holds, however often the stranger has failed', async () => {
    const from = '127.0.3.2'
    const { body } = await exchange(served, exchangeForm(await newToken(served)))
    const revoke = (token: string) =>
      ask(served, { method: 'POST', path: '/oauth/revoke', form: { token }, from })
    for (let i = 0; i < 5; i++) await revoke('x')
    expect((await revoke('x')).status).toBe(429)
    const own = await revoke(body.access_token)
    expect(own).toMatchObject({ status: 200, headers: { 'broker-lease-state': 'revoked' } })
  })
})

describe('a program that goes on after its lease has ended', () => {
  it('does not use up the tries of the other jobs at its address', async () => {
    const from = '127.0.3.3'
    const form = exchangeForm(await newToken(served), { requested_token_type: LEASE_TOKEN })
    const { body } = await exchange(served, form)
    const bearer = body.access_token
    const show = { path: `/v1/leases/${body.lease_id}`, bearer, from }
    expect((await ask(served, show)).status).toBe(200)
    const revoked = { method: 'POST', path: '/oauth/revoke', form: { token: bearer } }
    expect((await ask(served, revoked)).status).toBe(200)
    for (let i = 0; i < 10; i++) expect((await ask(served, show)).status).toBe(410)
    const other = await exchange(served, exchangeForm(await newToken(served)), { from })
    expect(other.status).toBe(200)
  })
})

describe('a job that makes sure of the end of its lease', () => {
  it.each(['that it was let in with', 'that it never used for anything else'])(
    'by the credential %s has not failed at anything',
    async (which) => {
      const from = which.includes('let in') ? '127.0.3.4' : '127.0.3.5'
      const form = exchangeForm(await newToken(served), { requested_token_type: LEASE_TOKEN })
      const { body } = await exchange(served, form)
      const revoke = (token: string) =>
        ask(served, { method: 'POST', path: '/oauth/revoke', form: { token }, from })
      if (which.includes('let in')) {
        const bearer = body.access_token
        const show = { path: `/v1/leases/${body.lease_id}`, bearer, from }
        expect((await ask(served, show)).status).toBe(200)
        await ask(served, {
          method: 'DELETE',
          path: show.path,
          bearer: served.operatorKey,
        })
      }
      for (let i = 0; i < 10; i++) {
        expect(await revoke(body.access_token)).toMatchObject({ status: 200, text: '{}' })
      }
      for (let i = 0; i < 5; i++) expect((await revoke('bkh_nobody')).status).toBe(200)
      expect((await revoke('bkh_nobody')).status).toBe(429)
    },
  )
})

describe('an upgrade', () => {
  it('behind a request that is not answered yet is not taken: the two would run into each other', async () => {
    const form = new URLSearchParams(exchangeForm(await newToken(served))).toString()
    const raw = await Raw.tls(served)
    raw?.write(
      `POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}\r\n\r\n${form}${upgrade(await newToken(served))}`,
    )
    await raw?.closed
    expect(raw?.text).not.toContain('101 Switching')
  })

  it('behind one that was answered is', async () => {
    const raw = await Raw.tls(served)
    raw?.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await expect.poll(() => raw?.text).toContain('"status":"ok"')
    raw?.write(upgrade(await newToken(served)))
    await expect.poll(() => raw?.text).toContain('101 Switching')
    raw?.socket.destroy()
  })
})

describe('the handle of a task behind walls', () => {
  it('gets nothing from elsewhere that is for tasks behind walls', async () => {
    const issued = await issueLocally({ environment: 'dev', isolation: 'mask' })
    const raw = await session(issued.variables['BROKER_HANDLE'] ?? '')
    raw.write(wish({ environment: 'dev', template: 'behind' }))
    await expect.poll(() => raw.text).toContain('"type":')
    expect(raw.text).toContain('"code":"isolation_unavailable"')
    raw.socket.destroy()
  })
})

describe('a job that names its command', () => {
  it('in text that is none has it put right, not an error of ours', async () => {
    const raw = await session(await newToken(served))
    raw.write(wish({ environment: 'ci', actor: { command: 'x' } }).replace('"x"', '"\\ud800"'))
    await expect.poll(() => raw.text).toContain('"type":"lease"')
    expect(raw.text).toContain('"command":"\ufffd"'.replace('\ufffd', '\u00ef\u00bf\u00bd'))
    raw.socket.destroy()
  })
})

describe('a job that was let in', () => {
  const entries = async (lease: string) =>
    (await ask(served, { path: `/v1/audit?lease=${lease}`, bearer: served.operatorKey })).body
      .entries

  it('cannot fill the audit log by what it says of itself, nor end one lease many times', async () => {
    const raw = await session(await newToken(served))
    raw.write(wish({ environment: 'ci' }))
    await expect.poll(() => raw.text).toContain('"type":"lease"')
    const id = /"id":"(lse_\w+)"/.exec(raw.text)?.[1] ?? ''
    raw.write('{"type":"ack"}\n')
    for (let pid = 1; pid <= 30; pid++) raw.write(`{"type":"started","pid":${pid}}\n`)
    raw.write('{"type":"ping"}\n')
    await expect.poll(() => raw.text).toContain('pong')
    const told = (await entries(id)).filter(
      ({ type }: { type: string }) => type === 'lease.started',
    )
    expect(told).toHaveLength(1)
    raw.write('{"type":"end","exitCode":0,"signal":null}\n'.repeat(20))
    raw.write('{"type":"ping"}\n')
    await expect.poll(() => raw.text).toContain('"type":"ended"')
    await expect.poll(() => raw.text.split('pong')).toHaveLength(3)
    expect(raw.text.split('"type":"ended"')).toHaveLength(2)
    raw.socket.destroy()
  })

  it('asks for leases within leases only so often, however deep', async () => {
    const lease = async (bearer: string) => {
      const raw = await session(bearer)
      if (/^HTTP\/1\.1 429 /.test(raw.text)) return null
      raw.write(wish({ environment: 'ci' }))
      await expect.poll(() => raw.text).toContain('"type":"lease"')
      return /"BROKER_HANDLE":"(bkh_[\w-]+)"/.exec(raw.text)?.[1] ?? ''
    }
    let handle = await lease(await newToken(served, { sub: 'repo:octo-org/deep' }))
    let depth = 0
    for (; handle !== null && depth < 20; depth++) handle = await lease(handle)
    expect(depth).toBe(13)
  })
})

describe('a client', () => {
  it.each(['no roots', 'roots of somebody else'])(
    'with %s refuses the server, also where the environment turns verification off',
    async (which) => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
      const server = serverAt(served.url, which === 'no roots' ? undefined : served.issuer.ca)
      const refused = { code: 'daemon_unreachable' }
      const call = { method: 'GET', path: '/healthz', timeoutMs: 5000 }
      await expect(callServer(server, call)).rejects.toMatchObject(refused)
      const open = upgraderTo(server, {})
      const bearer = new Secret('bkh_x')
      const line = { path: '/v1/session', protocol: 'broker-session', bearer, timeoutMs: 5000 }
      await expect(open(line)).rejects.toMatchObject(refused)
    },
  )
})
