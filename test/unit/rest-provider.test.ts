import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { CHARSETS, type Charset } from '../../src/core/rest/definition.ts'
import { isBrokerError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection, MintRequest, Provider, World } from '../../src/providers/provider.ts'
import { newPhantom } from '../../src/providers/rest/phantom.ts'
import { guardOf, providerOf, TICKETS } from './rest-fixture.ts'

const tickets = providerOf(TICKETS)
const KEY = 'tk_live_the-real-one'

function connection(change: Partial<Connection> = {}): Connection {
  return { name: 'tickets-main', secret: new Secret(KEY), settings: {}, ...change } as Connection
}

const world: World = {
  now: () => 0,
  random: randomBytes,
  installId: '00000000',
  issuer: 'https://broker.test',
  signer: () => Promise.reject(new Error('nothing is signed')),
  signal: new AbortController().signal,
}

const request: MintRequest = {
  lease: 'lse_01hgw2bbg00000000000000000',
  grant: 'tickets',
  environment: 'staging',
  operations: ['tickets.list'],
  target: { workspace: 'staging-ws' },
  notAfter: 1000,
  principal: 'alice',
}

const mint = (provider: Provider, given: Connection | null = connection()) =>
  provider.mint(request, provider.plan(request, '00000000', given), given, world)

/** The same API, its credential carried otherwise. */
const carried = (credential: string) =>
  providerOf(TICKETS.replace('{ header: Authorization, scheme: bearer }', credential))

function refusal(work: () => unknown) {
  try {
    work()
  } catch (error) {
    if (isBrokerError(error)) return error
    throw error
  }
  throw new Error('not refused')
}

describe('a connection to a provider of data', () => {
  it.each<[string, Partial<Connection>, string]>([
    [
      'no secret',
      { secret: null },
      'the secret of "tickets-main" is not one word of plain characters',
    ],
    [
      'an empty secret',
      { secret: new Secret('') },
      'the secret of "tickets-main" is not one word of plain characters',
    ],
    [
      'a secret of two lines',
      { secret: new Secret('canary\r\nx: y') },
      'the secret of "tickets-main" is not one word of plain characters',
    ],
    ['an unknown setting', { settings: { region: 'x' } }, 'tickets has no setting "region"'],
    [
      'an address in the clear',
      { settings: { url: 'http://tickets.example' } },
      'the address of a tickets connection is not https://host[:port]',
    ],
    [
      'an address with a path',
      { settings: { url: 'https://tickets.example/v1' } },
      'the address of a tickets connection is not https://host[:port]',
    ],
    [
      'an address with a user',
      { settings: { url: 'https://u:canary@tickets.example' } },
      'the address of a tickets connection is not https://host[:port]',
    ],
    [
      'an address that is none',
      { settings: { url: 7 } },
      'the address of a tickets connection is not https://host[:port]',
    ],
  ])('is refused with %s, and shows nothing of it', (_name, change, message) => {
    const error = refusal(() => tickets.parseConnection?.(connection(change)))
    expect(error.code).toBe('invalid_request')
    expect(error.message).toBe(message)
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('canary')
  })

  it('belongs to the first host, or to the address that was chosen', () => {
    const elsewhere = connection({ settings: { url: 'https://localhost:8443' } })
    expect(tickets.origin?.(connection())).toBe('https://api.tickets.example')
    expect(tickets.origin?.(elsewhere)).toBe('https://localhost:8443')
  })
})

describe('the guard of a provider of data', () => {
  const guard = guardOf(tickets)

  it('sends nothing to a host that is not its own', () => {
    expect(() => guard.upstream(connection(), 'evil.example')).toThrowError(
      /^not one of our hosts$/,
    )
  })

  it('sends what was for a public host there, or to the address that was chosen', () => {
    const settings = { url: 'https://127.0.0.1:8443' }
    expect(guard.upstream(connection(), 'eu.tickets.example')).toEqual({
      origin: 'https://eu.tickets.example',
      ca: null,
      chosen: false,
    })
    expect(guard.upstream(connection({ settings, ca: 'PEM' }), 'eu.tickets.example')).toEqual({
      origin: 'https://127.0.0.1:8443',
      ca: 'PEM',
      chosen: true,
    })
  })

  it.each([
    ['{ scheme: bearer }', 'authorization', 'bearer', `Bearer ${KEY}`],
    ['{ header: X-Api-Key, scheme: raw }', 'x-api-key', 'raw', KEY],
    ['{ scheme: basic, user: api }', 'authorization', 'basic', `Basic ${btoa(`api:${KEY}`)}`],
    ['{ scheme: basic, password: "" }', 'authorization', 'basic', `Basic ${btoa(`${KEY}:`)}`],
    ['{ scheme: basic, password: x }', 'authorization', 'basic', `Basic ${btoa(`${KEY}:x`)}`],
  ])('puts the credential in where clients carry it: %s', (credential, header, scheme, value) => {
    const other = guardOf(carried(credential))
    expect(other.carriers).toEqual([{ header, scheme }])
    const stored = connection()
    const put = other.inject({ secret: new Secret(KEY), kind: 'connection', connection: stored })
    expect(put.map(([name, secret]) => [name, secret.reveal()])).toEqual([[header, value]])
    expect(inspect(put, { depth: 9 })).not.toContain(KEY)
  })

  it('knows a lease’s place, and looks nothing up', async () => {
    expect(guard.place({ workspace: 'staging-ws' })).toEqual({
      environment: 'staging-ws',
      project: null,
    })
    expect(() => guard.place({})).toThrowError('a target of another provider')
    const question = { target: {}, connection: connection(), world, fresh: true }
    expect(await guard.locate({ kind: 'ticket', id: '1' }, question)).toBeNull()
  })
})

describe('a mint of a provider of data', () => {
  it('is not made without the credential it stands for', async () => {
    await expect(mint(tickets, null)).rejects.toMatchObject({
      code: 'connection_missing',
      message: 'tickets needs a connection',
    })
    await expect(mint(tickets, connection({ secret: null }))).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('gives the task a phantom in the provider’s form, where the variables want it', async () => {
    const { variables, proxied, handle, expiresAt } = await mint(tickets)
    const phantom = proxied?.phantom.reveal() ?? ''
    expect(phantom).toMatch(/^tk_live_[0-9a-f]{32}$/)
    expect(variables.reveal()).toEqual({
      TICKETS_TOKEN: phantom,
      TICKETS_URL: 'https://api.tickets.example/v1/staging-ws',
    })
    expect([proxied?.minted, handle, expiresAt]).toEqual([null, null, null])
    expect(JSON.stringify(variables.reveal())).not.toContain(KEY)
  })

  it('says what the proxy holds and what nobody does', async () => {
    const grant = { target: {}, operations: ['tickets.list'], connection: null, probe: true }
    const lines = (await tickets.narrowness?.(grant, world)) ?? []
    expect(lines.map(({ by, probed }) => [by, probed])).toEqual([
      ['proxy', false],
      ['nobody', false],
    ])
    expect(lines[0]?.message).toBe(
      "1 of the 14 operations declared for tickets pass, only where workspace is the lease's own",
    )
  })
})

describe('a phantom', () => {
  it.each(Object.keys(CHARSETS) as Charset[])('has all of its alphabet, evenly: %s', (charset) => {
    const counts = new Map<string, number>()
    for (let n = 0; n < 400; n++) {
      const text = newPhantom({ prefix: 'p_', length: 102, charset }, randomBytes).reveal()
      expect(text).toHaveLength(102)
      for (const letter of text.slice(2)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
    }
    const expected = 40_000 / CHARSETS[charset].length
    expect([...counts.keys()].sort().join('')).toBe([...CHARSETS[charset]].sort().join(''))
    // Six standard deviations: a letter that came up twice as often would lie far outside.
    for (const count of counts.values()) {
      expect(Math.abs(count - expected)).toBeLessThan(6 * Math.sqrt(expected))
    }
  })

  it('does not favour the letters that a byte wraps around to', () => {
    // 0 … 255 once each: of base62 only 248 may count, four for each letter.
    let next = 0
    const random = (size: number) => Uint8Array.from({ length: size }, () => next++ % 256)
    const text = newPhantom({ prefix: '', length: 248, charset: 'base62' }, random).reveal()
    for (const letter of CHARSETS.base62) expect(text.split(letter)).toHaveLength(5)
  })
})

describe('the target of a provider without environments', () => {
  const whole = providerOf(
    TICKETS.replace('{ in: path, name: workspace }', '{ in: none, reason: one account }')
      .replace('/v1/{workspace}"', '/v1"')
      .replace(
        /operations:.*/s,
        'operations:\n      - { name: me, method: GET, path: /v1/me, risk: read }\n',
      ),
  )

  it('takes no parameters', () => {
    expect(refusal(() => whole.parseTarget({ workspace: 's' } satisfies JsonObject)).message).toBe(
      'a tickets target has no "workspace"',
    )
    expect(whole.parseTarget({})).toEqual({})
    expect(guardOf(whole).place({})).toEqual({ environment: 'account', project: null })
  })
})
