import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { narrowness } from '../../src/broker/narrowness.ts'
import type { Configuration, Template } from '../../src/core/template.ts'
import { BrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Narrowness } from '../../src/providers/guard.ts'
import { createJwt } from '../../src/providers/jwt/provider.ts'
import { createPostgres } from '../../src/providers/postgres/provider.ts'
import { mayLogIn } from '../../src/providers/postgres/trial.ts'
import { parseUrl } from '../../src/providers/postgres/url.ts'
import type { NarrownessRequest, Provider } from '../../src/providers/provider.ts'
import { createLedger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, type TestContext } from '../fixtures/context.ts'

const ledger = createLedger()
const world = { issuer: 'https://broker.test' } as never
let asked: NarrownessRequest[]
let context: TestContext | undefined
let answer: () => Promise<readonly Narrowness[]>

beforeEach(() => {
  asked = []
  answer = async () => [{ by: 'provider', message: 'all of it', probed: true }]
})
afterEach(async () => {
  await context?.dispose()
  context = undefined
})

async function begin(template: Partial<Template> = {}, overrides: Partial<Provider> = {}) {
  const provider = ledgerProvider(ledger, {
    narrowness: async (request) => {
      asked.push(request)
      return answer()
    },
    ...overrides,
  })
  context = await createContext(provider, template)
}

function current(): TestContext {
  if (!context) throw new Error('begin first')
  return context
}

const ask = (probe = false) => narrowness(current(), { probe })
const all = async (probe = false) => (await ask(probe)).flatMap(({ findings }) => findings)

describe('what is said of grants', () => {
  it('names the failure of one, keeps unknown text to itself, and goes on with the rest', async () => {
    await begin({ environments: ['staging', 'production'] })
    const failures = [
      new BrokerError('provider_unavailable', 'the ledger is down', { hint: 'wait' }),
      new Error('password=canary'),
    ]
    answer = () => Promise.reject(failures.shift())
    // Two questions: in production a person decides on what is more than reading.
    const found = await all()
    expect(found).toEqual([
      { level: 'problem', message: 'the ledger is down', hint: 'wait' },
      { level: 'problem', message: 'it could not be examined', hint: 'see broker daemon logs' },
    ])
  })

  it('is a problem where its connection is not stored', async () => {
    await begin()
    const { configuration, trust } = await current().policy()
    const binding = { provider: 'ledger', connection: 'gone', target: {} }
    const changed: Configuration = {
      ...configuration,
      environments: {
        staging: { name: 'staging', protected: false, bindings: { main: binding } },
      },
    }
    const policy = { version: 1, configuration: changed, templates: new Map(), trust }
    const found = await narrowness({ ...current(), policy: async () => policy }, { probe: false })
    expect(found).toEqual([
      {
        title: 'dev · staging · main',
        findings: [
          {
            level: 'problem',
            message: 'connection "gone" is not stored: nothing is issued',
            hint: 'store it with: broker connect ledger gone',
          },
        ],
      },
    ])
    expect(asked).toEqual([])
  })

  it('is that nobody knows, where the provider says nothing', async () => {
    context = await createContext(ledgerProvider(ledger), { environments: ['staging'] })
    expect(await all()).toEqual([
      {
        level: 'note',
        message: 'nobody enforces: ledger does not say how narrow its credentials are',
        hint: null,
      },
    ])
  })

  it('is that nothing is issued, where deny takes all away; nothing is tried then', async () => {
    await begin({
      environments: ['staging'],
      grants: { main: { allow: ['read'], approve: [], deny: ['*'] } },
    })
    expect((await all(true))[0]?.message).toBe('its rule allows nothing: nothing is issued')
    expect(asked).toEqual([])
  })

  it('is a warning only where a gap was found by trying', async () => {
    await begin({ environments: ['staging'] })
    answer = async () => [
      { by: 'nobody', message: 'known', probed: false },
      { by: 'nobody', message: 'tried', probed: true },
      { by: 'proxy', message: 'judged', probed: false },
    ]
    expect(await all(true)).toEqual([
      { level: 'note', message: 'nobody enforces: known', hint: null },
      { level: 'warning', message: 'nobody enforces: tried (tried just now)', hint: null },
      { level: 'ok', message: 'the proxy enforces: judged', hint: null },
    ])
  })

  it('is asked with exact operations, once for environments that come to the same', async () => {
    await begin({ environments: ['staging', 'qa'] })
    const [section, ...more] = await ask(true)
    expect(section?.title).toBe('dev · staging · main, dev · qa · main')
    expect(more).toEqual([])
    expect(asked).toMatchObject([{ operations: ['look', 'put'], probe: true, connection: null }])
  })

  it('says where a person decides first', async () => {
    await begin({ environments: ['production'] })
    expect((await all())[0]).toEqual({
      level: 'ok',
      message: 'the broker enforces: a person approves each lease, for it may put',
      hint: null,
    })
    expect(asked).toMatchObject([{ operations: ['look', 'put'] }])
  })

  it('leaves out the grants of other connections', async () => {
    await begin()
    expect(await narrowness(current(), { connection: 'main', probe: false })).toEqual([])
    expect(asked).toEqual([])
  })
})

describe('of a jwt', () => {
  it('nothing is called tried, and a revoked token is said to live on where nobody asks', async () => {
    const provider = createJwt()
    const request = { operations: ['orders:read'], connection: null, probe: true }
    const target = { audience: 'https://api.example' }
    const found = (await provider.narrowness?.({ ...request, target }, world)) ?? []
    expect(found.filter(({ probed }) => probed)).toEqual([])
    expect(text(found)).toContain('nobody: revocation at an API that does not ask (introspection)')
    expect(text(found)).toContain('provider: the token says "https://api.example"')
    expect(text(found)).toContain('"orders:read"')
    const own = (await provider.narrowness?.({ ...request, target: {} }, world)) ?? []
    expect(text(own)).toContain('"https://broker.test"')
  })
})

describe('of postgres, without trying', () => {
  const provider = createPostgres()
  async function of(operations: readonly string[], target = {}) {
    const secret = new Secret('postgresql://admin:canary@db.example/app')
    const connection = { name: 'pg', secret, settings: {} }
    const parsed = provider.parseTarget(target)
    const request = { target: parsed, operations, connection, probe: false }
    return (await provider.narrowness?.(request, world)) ?? []
  }

  it('is refused without a connection', async () => {
    const request = { target: provider.parseTarget({}), operations: ['SELECT'], probe: false }
    await expect(
      provider.narrowness?.({ ...request, connection: null }, world),
    ).rejects.toMatchObject({ code: 'connection_missing' })
  })

  it('names operations, tables and database, and what privileges leave open', async () => {
    const found = text(await of(['SELECT', 'UPDATE'], { tables: ['orders', 'b.c'] }))
    expect(found).toContain(
      'provider: SELECT and UPDATE on tables "orders" and "b.c" of database "app", by grants to one role',
    )
    expect(found).toContain('nobody: how much is read')
    expect(found).toContain('nobody: which rows are changed: one UPDATE may reach all of a table')
    expect(found).toContain('nobody: the rights of PUBLIC')
    expect(found).not.toContain('which tables come later')
    expect(found).not.toContain('canary')
  })

  it('says what belongs to each privilege, and to whole schemas', async () => {
    const reading = text(await of(['SELECT'], { database: 'reports' }))
    expect(reading).toContain('every table there is now in schema "public" of database "reports"')
    expect(reading).toContain('nobody: which tables come later')
    expect(reading).not.toContain('which rows are changed')
    const rare = text(await of(['REFERENCES', 'TRIGGER']))
    expect(rare).toContain('nobody: who runs a trigger')
    expect(text(await of(['INSERT']))).toContain('nobody: how many rows are added')
    expect(rare).toContain('nobody: where foreign keys point')
    expect(rare).not.toContain('how much is read')
  })

  it('takes a server that does not answer for no proof that a login is refused', async () => {
    const secret = new Secret('postgresql://role:old@127.0.0.1:1/app')
    const server = parseUrl({ name: 'pg', secret, settings: {} })
    const place = { connection: 'pg', server, database: 'app' }
    await expect(mayLogIn(place, AbortSignal.timeout(10_000))).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'the server of "pg" does not answer',
    })
  })

  it('never claims to have tried anything', async () => {
    expect((await of(['SELECT'])).filter(({ probed }) => probed)).toEqual([])
  })
})

function text(found: readonly Narrowness[]): string {
  return found.map(({ by, message }) => `${by}: ${message}`).join('\n')
}
