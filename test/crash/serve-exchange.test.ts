// kill -9 of the real server at every point of an exchange, and the job that tries again.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  exchangeOf,
  jobClaims,
  leasesOf,
  policy,
  post,
  type Reply,
  TYPE,
  withHandle,
} from '../contract/serve-world.ts'
import { until } from '../fixtures/broker.ts'
import { Served } from '../fixtures/serve.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())

const newClaims = () => jobClaims(served.issuer.url, served.url)
const newToken = () => served.sign(newClaims())
const facts = () => leasesOf(served)

/** What the job hears; null: the server was gone before it could say anything. */
async function ask(token: string, key: string | null, more = {}): Promise<Reply | null> {
  const headers = key === null ? {} : { 'idempotency-key': key }
  return post(served, '/oauth/token', exchangeOf(token, more), { headers }).catch(() => null)
}

const told = (reply: Reply | null) => [reply?.status, reply?.body['error_description']]

async function isActive(token: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${served.operatorKey}` }
  const form = { token: String(token) }
  return (await post(served, '/oauth/introspect', form, { headers })).body['active']
}

/** The server dies at `fault` while it makes an exchange; then another one serves. */
async function interrupted(fault: string, token: string, more = {}): Promise<Reply | null> {
  await served.stop()
  await served.launch({ BROKER_FAULT: fault })
  const reply = await ask(token, 'the job', more)
  await served.ended()
  await served.launch({})
  return reply
}

describe.each([
  { kind: 'one credential', more: {} },
  { kind: 'the handle of a lease', more: { requested_token_type: TYPE.lease } },
])('kill -9 of the server while it exchanges a token for $kind', ({ more }) => {
  it.each(['C0', 'C1'])('%s: nothing has happened, and the retry succeeds', async (fault) => {
    const token = await newToken()
    const before = (await facts()).length
    expect(await interrupted(fault, token, more)).toBeNull()
    expect(await facts()).toHaveLength(before)
    const again = await ask(token, 'the job', more)
    expect(again?.status).toBe(200)
    expect(await isActive(again?.body['access_token'])).toBe(true)
    await onlyOne(token, before, again?.body['lease_id'])
  })

  it.each(['C2', 'C3', 'C4', 'C5'])(
    '%s: the token is used up, the lease ends, and the retry is told so',
    async (fault) => {
      const run = newClaims()
      const token = await served.sign(run)
      const before = (await facts()).length
      expect(await interrupted(fault, token, more)).toBeNull()
      await until('the interrupted lease has ended', async () => {
        return (await facts())[0]?.state === 'revoked'
      })
      const [lease] = await facts()
      expect(lease).toMatchObject({ state: 'revoked', endReason: 'mint_unknown' })
      const again = await ask(token, 'the job', more)
      expect([again?.status, again?.body]).toEqual([
        400,
        {
          error: 'invalid_request',
          error_description: `this request was answered with lease '${lease?.id}', which is over (mint unknown)`,
          lease_id: lease?.id,
        },
      ])
      await onlyOne(token, before, lease?.id)
      // Nothing is in the way of the run: with a fresh token it goes on.
      const fresh = await served.sign({ ...run, jti: randomUUID() })
      expect((await ask(fresh, 'the job', more))?.status).toBe(200)
    },
  )

  it('C6: the credential was made and not sent; the retry gets that very one', async () => {
    const token = await newToken()
    const before = (await facts()).length
    expect(await interrupted('C6', token, more)).toBeNull()
    const again = await ask(token, 'the job', more)
    expect(again?.status).toBe(200)
    expect(await isActive(again?.body['access_token'])).toBe(true)
    expect((await ask(token, 'the job', more))?.body['access_token']).toBe(
      again?.body['access_token'],
    )
    await onlyOne(token, before, again?.body['lease_id'])
    if (again?.body['token_type'] === 'N_A') await redeem(again)
  })

  /** What a lease's handle is for, after the crash as before: once, and not a second time. */
  async function redeem({ body }: Reply): Promise<void> {
    const path = `/v1/leases/${body['lease_id']}`
    const handle = body['access_token']
    const { status, body: claimed } = await withHandle(served, `${path}/credentials`, handle)
    expect(status).toBe(200)
    const { BROKER_ACCESS_TOKEN: token } = claimed['variables'] as Record<string, string>
    expect(await isActive(token)).toBe(true)
    expect((await withHandle(served, `${path}/credentials`, handle)).status).toBe(410)
    expect((await withHandle(served, `${path}/ack`, handle)).status).toBeLessThan(300)
  }

  /** Whatever is sent with the token from now on: it makes no second lease. */
  async function onlyOne(token: string, before: number, lease: unknown): Promise<void> {
    for (const [key, changed] of [
      [null, more],
      ['another', more],
      ['the job', { ...more, ttl: '60' }],
      ['the job', { ...more, scope: 'template:release' }],
    ] as const) {
      expect(told(await ask(token, key, changed))).toEqual([
        400,
        'the subject token was used already',
      ])
    }
    const leases = await facts()
    expect(leases).toHaveLength(before + 1)
    expect(leases[0]?.id).toBe(lease)
  }
})

describe('kill -9 of the server after it has answered', () => {
  it('C7: what the job has is good once it asks again, and the lease ends if it never does', async () => {
    const [kept, forgotten] = [await newToken(), await newToken()]
    const lost = await interrupted('C7', forgotten)
    const reply = await interrupted('C7', kept)
    const again = await ask(kept, 'the job')
    expect(again?.status).toBe(200)
    // Its answer was on the way when the server died.
    for (const one of [reply]) {
      if (one) expect(one.body['access_token']).toBe(again?.body['access_token'])
    }
    const [mine, other] = await facts()
    expect(mine?.id).toBe(again?.body['lease_id'])
    await until('the one that nobody confirmed has ended', async () => {
      const lease = (await facts()).find(({ id }) => id === other?.id)
      return lease?.state === 'revoked' && lease.endReason === 'not_acknowledged'
    })
    if (lost) expect(await isActive(lost.body['access_token'])).toBe(false)
    expect((await facts()).find(({ id }) => id === mine?.id)).toMatchObject({ state: 'active' })
    expect(await isActive(again?.body['access_token'])).toBe(true)
  })
})

it('afterwards the audit log verifies, and no live lease is one that a crash interrupted', async () => {
  await served.must(['audit', 'verify'])
  const live = (await facts()).filter(({ state }) => state !== 'revoked')
  expect(live.every(({ state, endReason }) => state === 'active' && endReason === null)).toBe(true)
})
