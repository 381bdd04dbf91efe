import { Agent, request as send } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import type { RequestFacts } from '../../src/core/guard.ts'
import type { GrantRule } from '../../src/core/template.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection, Provider, World } from '../../src/providers/provider.ts'
import { factsOf, guardOf, judge, providerOf, TICKETS } from '../unit/rest-fixture.ts'
import { KEY, TicketServer } from '../unit/rest-server.ts'
import { providerContract, type Variables } from './provider-suite.ts'

const RULE: GrantRule = { allow: ['read', 'write'], approve: [], deny: [] }

/** What the proxy does with a request, in as few lines as it can be said, and over real TLS. */
async function through(
  provider: Provider,
  connection: Connection,
  variables: Variables,
  line: string,
  { workspace = 'staging-ws', body = '', authority = 'api.tickets.example' } = {},
): Promise<number> {
  const guard = guardOf(provider)
  const phantom = variables['TICKETS_TOKEN']
  const headers = [['authorization', `Bearer ${phantom}`]] as const
  const type = body === '' ? {} : { type: 'application/json' }
  const verdict = judge(guard, line, { headers, authority, body, ...type })
  if (verdict.outcome === 'refused') throw new Error(verdict.message)
  const place = guard.place({ workspace })
  for (const { name, environments } of verdict.operations) {
    if (decide(RULE, provider.catalogue, name) !== 'allow') throw new Error(`${name} is denied`)
    for (const source of environments) {
      if (source.from === 'lease') continue
      if (source.from !== 'argument' || source.id !== place.environment) {
        throw new Error(`${name} lies elsewhere`)
      }
    }
  }
  const { origin, ca } = guard.upstream(connection, authority)
  const facts: RequestFacts = factsOf(line)
  const fields = guard.inject({
    secret: connection.secret ?? new Secret(''),
    kind: 'connection',
    connection,
  })
  const { statusCode, body: answer } = await send(`${origin}${facts.path}`, {
    method: facts.method,
    headers: Object.fromEntries(fields.map(([name, value]) => [name, value.reveal()])),
    body: verdict.forward.kind === 'body' ? verdict.forward.text : null,
    dispatcher: new Agent({ connect: { ca: ca ?? '' } }),
  })
  await answer.dump()
  return statusCode
}

providerContract('rest', async () => {
  const server = await TicketServer.start()
  const provider = providerOf(TICKETS)
  const connection = server.connection()
  const ask = (line: string, more = {}) => {
    return (variables: Variables) => through(provider, connection, variables, line, more)
  }
  return {
    provider,
    connection,
    target: { workspace: 'staging-ws' },
    operations: ['tickets.create', 'tickets.list', 'tickets.read'],
    use: async (variables) => {
      server.asked.length = 0
      expect(await ask('GET /v1/staging-ws/tickets/17')(variables)).toBe(200)
      expect(server.asked.map(({ line }) => line)).toEqual(['GET /v1/staging-ws/tickets/17'])
      const phantom = variables['TICKETS_TOKEN'] ?? ''
      expect(phantom).not.toBe('')
      expect(JSON.stringify(server.asked)).not.toContain(phantom)
    },
    overreach: {
      'a deletion': ask('DELETE /v1/staging-ws/tickets/17'),
      'a deletion by another name': ask('POST /v1/staging-ws/actions', {
        body: '{"type":"purge"}',
      }),
      'another environment': ask('GET /v1/production-ws/tickets'),
      'another environment behind an escape': ask(
        'GET /v1/staging-ws%2F..%2Fproduction-ws/tickets',
      ),
      'no environment': ask('GET /v1/search'),
      'what is not declared': ask('GET /v1/staging-ws/members'),
      'another host': ask('GET /v1/staging-ws/tickets', { authority: 'admin.tickets.example' }),
    },
    broken: (canary) => [
      server.connection({ secret: new Secret(canary) }),
      server.connection({ secret: new Secret(`${canary} ${canary}`) }),
      server.connection({ settings: { url: `https://user:${canary}@localhost` } }),
      server.connection({ secret: new Secret(canary), settings: { url: 'https://127.0.0.1:1' } }),
    ],
    phantom: /^tk_live_[0-9a-f]{32}$/,
    dispose: () => server.close(),
  }
})

describe('the check of a connection', () => {
  let server: TicketServer
  const provider = providerOf(TICKETS)
  const world: World = {
    now: Date.now,
    random: (size) => new Uint8Array(size),
    installId: '00000000',
    issuer: 'https://broker.test',
    signer: () => Promise.reject(new Error('nothing is signed')),
    signal: AbortSignal.timeout(30_000),
  }
  const check = async (connection: Connection, one = provider) => one.check?.(connection, world)
  beforeAll(async () => {
    server = await TicketServer.start()
  })
  afterAll(() => server.close())

  it('refuses a credential that the API refuses', async () => {
    await expect(check(server.connection({ secret: new Secret('wrong') }))).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'tickets refuses this credential (401)',
    })
  })

  it('trusts no certificate that nobody vouches for', async () => {
    const heads = server.asked.length
    const { ca: _, ...connection } = server.connection()
    await expect(check(connection as Connection)).rejects.toMatchObject({
      code: 'provider_failed',
      message: `the certificate of "${server.url}" is not trusted`,
    })
    expect(server.asked).toHaveLength(heads)
  })

  it('does not carry the credential along a redirect', async () => {
    server.status = 302
    const findings = await check(server.connection())
    expect(findings?.[0]).toMatchObject({
      level: 'warning',
      message:
        'the check of tickets was answered with 302, which says nothing about the credential',
    })
    server.status = null
  })

  it.each([
    [429, 'tickets cannot answer now (429)'],
    [503, 'tickets cannot answer now (503)'],
  ])('may be tried again after %i', async (status, message) => {
    server.status = status
    await expect(check(server.connection())).rejects.toMatchObject({
      code: 'provider_unavailable',
      message,
    })
    server.status = null
  })

  it('may be tried again where nobody answers', async () => {
    const settings = { url: 'https://127.0.0.1:1' }
    await expect(check(server.connection({ settings }))).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'tickets cannot be reached at "https://127.0.0.1:1"',
    })
  })

  it('asks for what the definition names, with the credential, and says what nobody narrows', async () => {
    server.asked.length = 0
    const findings = await check(server.connection())
    expect(server.asked).toEqual([{ line: 'GET /v1/me', authorization: `Bearer ${KEY}`, body: '' }])
    expect(findings?.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      `ok: tickets accepts the credential at "${server.url}"`,
      'note: tickets cannot narrow this credential: what a task may do with it is up to the proxy alone',
    ])
  })

  it('sends nothing where the definition names no request', async () => {
    server.asked.length = 0
    const silent = providerOf(TICKETS.replace('    check: { path: /v1/me }\n', ''))
    const findings = await check(server.connection(), silent)
    expect(server.asked).toEqual([])
    expect(findings?.[0]?.message).toBe(
      'the credential was not tried: "tickets" has no "check" under providers',
    )
  })
})
