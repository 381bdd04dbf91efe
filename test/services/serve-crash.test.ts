// As test/crash/serve-exchange.test.ts, with a credential that lives outside of the broker: the database
// server itself says what is left after each crash.
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  exchangeOf,
  jobClaims,
  leasesOf,
  post,
  type Reply,
  TYPE,
  withHandle,
} from '../contract/serve-world.ts'
import { Ledger } from '../fixtures/ledger.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { Served } from '../fixtures/serve.ts'

/** What only a lease's handle can give: a role of a database and a token of ours. */
const policy = (issuer: string) => `version: 1
environments:
  ci:
    db: { connection: pg-staging, schemas: [public] }
    api: { provider: jwt, audience: https://api.example }
templates:
  migrate:
    environments: [ci]
    who: [{ oidc: { issuer: "${issuer}", claims: { repository_id: "456789", ref: refs/heads/main } } }]
    grants:
      db: { allow: [read, write] }
      api: { allow: ["deploy:write"] }
`

describe.skipIf(postgresMissing())('a lease of two credentials for a CI job', () => {
  let database: Postgres
  let served: Served
  let ledger: Ledger
  beforeAll(async () => {
    database = await startPostgres({ settings: { log_timezone: 'UTC' } })
    await database.query('CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)')
  })
  afterAll(() => database?.dispose())
  beforeEach(async () => {
    served = await Served.start(null)
    await served.prepare(policy(served.issuer.url), database.adminUrl())
    ledger = new Ledger(database)
  })
  afterEach(() => served?.dispose())

  const newToken = () => served.sign(jobClaims(served.issuer.url, served.url))
  const ask = (token: string, more = {}): Promise<Reply | null> =>
    post(served, '/oauth/token', exchangeOf(token, more), {
      headers: { 'idempotency-key': 'the job' },
    }).catch(() => null)

  async function interrupted(fault: string, token: string): Promise<Reply | null> {
    await served.stop()
    await served.launch({ BROKER_FAULT: fault })
    const reply = await ask(token)
    await served.ended()
    return reply
  }

  it('is refused as one token, and nothing is made for it', async () => {
    for (const type of [TYPE.accessToken, TYPE.jwt]) {
      const reply = await ask(await newToken(), { requested_token_type: type })
      expect([reply?.status, reply?.body['error']]).toEqual([400, 'invalid_request'])
      expect(reply?.body['error_description']).toContain(TYPE.lease)
    }
    expect(ledger.created()).toEqual([])
  })

  it('nothing is made where nothing was recorded', async () => {
    for (const fault of ['C0', 'C1']) {
      expect(await interrupted(fault, await newToken())).toBeNull()
      expect(ledger.created()).toEqual([])
      await served.launch({})
      expect(await leasesOf(served)).toEqual([])
    }
  })

  const rows = [
    { fault: 'C2', minted: 0 },
    { fault: 'C3', minted: 0 },
    // One of the two is made; which of them is a race, and all the same to the rest.
    { fault: 'C4', minted: null },
    { fault: 'C4:2', minted: 1 },
    { fault: 'C5', minted: 1 },
  ]
  it.each(rows)('$fault: no role outlives the crash', async ({ fault, minted }) => {
    const token = await newToken()
    expect(await interrupted(fault, token)).toBeNull()
    // Without this the row would prove nothing: there was something to clean up.
    if (minted !== null) expect(await ledger.roles()).toHaveLength(minted)
    await served.launch({})
    await ledger.empty()
    const [lease, ...others] = await leasesOf(served)
    expect(others).toEqual([])
    const again = await ask(token)
    expect([again?.status, again?.body['lease_id']]).toEqual([400, lease?.id])
    expect(again?.body['error_description']).toContain('which is over (mint unknown)')
    expect(await ledger.violations(served)).toEqual([])
    if (minted !== null) expect(ledger.created()).toHaveLength(minted)
  })

  it('C6: the retry gets the very lease, and its credentials work until it is revoked', async () => {
    const token = await newToken()
    expect(await interrupted('C6', token)).toBeNull()
    expect(await ledger.roles()).toHaveLength(1)
    await served.launch({})
    const reply = await ask(token)
    expect(reply?.status).toBe(200)
    expect(ledger.created()).toHaveLength(1)
    const { lease_id: lease, access_token: handle } = reply?.body ?? {}
    const claimed = await withHandle(served, `/v1/leases/${lease}/credentials`, handle)
    expect(claimed.status).toBe(200)
    expect((await withHandle(served, `/v1/leases/${lease}/ack`, handle)).status).toBeLessThan(300)
    const { DATABASE_URL: url = '' } = claimed.body['variables'] as Record<string, string>
    expect(await count(url)).toBe(1)
    const ended = await post(served, '/oauth/revoke', { token: String(handle) })
    expect([ended.status, ended.headers['broker-lease-state']]).toEqual([200, 'revoked'])
    await expect(count(url)).rejects.toThrow()
    await ledger.empty()
    expect(await ledger.violations(served)).toEqual([])
  })

  it('that nobody redeems ends by itself', async () => {
    expect((await ask(await newToken()))?.status).toBe(200)
    expect(await ledger.roles()).toHaveLength(1)
    await ledger.empty(40_000)
    const [lease] = await leasesOf(served)
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'not_acknowledged' })
  })
})

async function count(connectionString: string): Promise<number> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query('SELECT 1 FROM orders')).rows.length
  } finally {
    await client.end()
  }
}
