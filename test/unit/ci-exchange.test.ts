import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { exchange, type Wish } from '../../src/ci/exchange.ts'
import { claim, revokeByHandle } from '../../src/ci/lease-calls.ts'
import type { Patience } from '../../src/ci/patience.ts'
import { takeLease } from '../../src/ci/take.ts'
import { BrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CiBroker, exchanged, HANDLE, idToken, LEASE, VARIABLES } from '../fixtures/ci-broker.ts'

const SUBJECT = new Secret(
  idToken({ iss: 'https://issuer.example', sub: 'canary-subject', aud: 'x' }),
)
const WISH: Wish = { environment: 'ci' }
const CREDENTIALS = `/v1/leases/${LEASE}/credentials`
const ACK = `/v1/leases/${LEASE}/ack`

let broker: CiBroker
beforeAll(async () => {
  broker = await CiBroker.open()
})
afterEach(() => broker.reset())
afterAll(() => broker.close())

/** A clock that only pauses move. */
function patience(): Patience & { readonly pauses: number[] } {
  const pauses: number[] = []
  let at = 0
  return {
    pauses,
    now: () => at,
    sleep: async (ms) => {
      pauses.push(ms)
      at += ms
    },
  }
}

const ask = (patient: Patience = patience(), wish = WISH) =>
  exchange(broker.server, SUBJECT, wish, {}, patient)

describe('an exchange that is refused', () => {
  const refusals = [
    {
      name: 'an identity that is not accepted, whatever the reason',
      body: { error: 'invalid_request', error_description: 'the subject token is not accepted' },
      is: {
        code: 'subject_refused',
        message: 'the server does not accept the identity token of this job',
        hint: expect.stringMatching(/audience.*repository, ref and event.*broker audit list/),
      },
    },
    {
      name: 'an identity that was used before',
      body: { error: 'invalid_request', error_description: 'the subject token was used already' },
      is: { code: 'token_replayed', message: 'the subject token was used already' },
    },
    {
      name: 'a run that has its lease already',
      body: {
        error: 'invalid_request',
        error_description: 'this run has a live lease of this template',
        lease_id: LEASE,
      },
      is: {
        code: 'denied',
        hint: expect.stringContaining('end that one first'),
        details: { error: 'invalid_request', lease: LEASE },
      },
    },
    {
      name: 'a life that is too long',
      body: {
        error: 'invalid_request',
        error_description: "template 'deploy' allows at most 30m, asked for 5h",
      },
      is: { code: 'denied', hint: 'ask for less with --ttl' },
    },
    {
      name: 'a place that is not for this job',
      body: { error: 'invalid_target', error_description: 'not for this job' },
      is: { code: 'target_refused', message: 'not for this job' },
    },
    {
      name: 'several templates',
      body: { error: 'invalid_scope', error_description: 'several templates fit: a, b' },
      is: { code: 'invalid_request', hint: expect.stringContaining('--template NAME') },
    },
    {
      name: 'more than the template allows',
      body: { error: 'invalid_authorization_details', error_description: 'more than allowed' },
      is: { code: 'details_refused' },
    },
    {
      name: 'a server that does not know the exchange',
      body: { error: 'unsupported_grant_type' },
      is: { code: 'unsupported', message: 'the server refused: "unsupported_grant_type"' },
    },
    {
      name: 'an issuer that cannot be asked',
      status: 503,
      headers: { 'retry-after': '900' },
      body: { error: 'temporarily_unavailable', error_description: 'the issuer does not answer' },
      is: { code: 'issuer_unavailable', message: 'the issuer does not answer' },
    },
    {
      name: 'a provider that failed',
      status: 502,
      body: { error: 'server_error', error_description: 'postgres does not answer' },
      is: { code: 'provider_failed', message: 'postgres does not answer' },
    },
  ]
  it.each(refusals)('tells $name', async ({ body, status = 400, headers = {}, is }) => {
    broker.next.set('/oauth/token', [{ status, headers, body }])
    await expect(ask()).rejects.toMatchObject(is)
    expect(broker.asked).toHaveLength(1)
  })

  it('never passes on line breaks and control characters of a server', async () => {
    const evil = `gone\n::add-mask::x\r\u001b[2J\u2028${'x'.repeat(1000)}`
    broker.next.set('/oauth/token', [
      { status: 400, body: { error: 'invalid_target', error_description: evil, lease_id: evil } },
    ])
    const error = await ask().catch((one) => one)
    expect(error.message).toMatch(/^gone ::add-mask::x {2}\[2J x+$/)
    expect(error.message.length).toBeLessThanOrEqual(300)
    expect(error.details).toEqual({ error: 'invalid_target' })
  })

  it.each([
    ['a page', 200, '<h1>Welcome</h1>'],
    ['a 404 of a gateway', 404, 'no such page'],
    ['a bearer token that nobody asked for', 200, { ...exchanged(), issued_token_type: 'x' }],
    ['a lease id that is none', 200, { ...exchanged(), lease_id: '../v1/leases' }],
  ])('tells that %s is no broker', async (_, status, body) => {
    broker.next.set('/oauth/token', [{ status, body }])
    await expect(ask()).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: `"${broker.url}" does not answer as a broker (${status})`,
    })
  })

  it('does not send the identity to a server whose certificate it does not know', async () => {
    const patient = patience()
    const asked = exchange({ url: broker.url }, SUBJECT, WISH, {}, patient)
    await expect(asked).rejects.toMatchObject({
      code: 'daemon_unreachable',
      hint: expect.stringContaining('BROKER_CA_FILE'),
    })
    expect(broker.asked).toEqual([])
    expect(patient.pauses).toEqual([])
  })

  it('does not follow a redirect with the identity', async () => {
    const headers = { location: `${broker.url}/elsewhere` }
    broker.next.set('/oauth/token', [{ status: 307, headers }])
    await expect(ask()).rejects.toMatchObject({ code: 'daemon_unreachable' })
    expect(broker.paths).toEqual(['/oauth/token'])
  })

  it('holds no secret in its error', async () => {
    broker.next.set('/oauth/token', [{ status: 400, body: { error: 'invalid_request' } }])
    const error = await ask().catch((one) => one)
    expect(JSON.stringify({ ...error, stack: error.stack })).not.toContain(SUBJECT.reveal())
  })
})

it('tells a request that is at fault from one that is refused', async () => {
  const error_description = "the parameter 'scope' is there twice"
  broker.next.set('/oauth/token', [
    { status: 400, body: { error: 'invalid_request', error_description } },
  ])
  await expect(ask()).rejects.toMatchObject({ code: 'invalid_request', message: error_description })
})

describe('asking again', () => {
  const keys = () => broker.asked.map(({ headers }) => headers['idempotency-key'])

  it('ends after three tries, each with the same key', async () => {
    const busy = { status: 503, body: { error: 'temporarily_unavailable' } }
    broker.next.set('/oauth/token', [busy, busy, busy, busy])
    const patient = patience()
    await expect(ask(patient)).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(patient.pauses).toEqual([1000, 2000])
    expect(new Set(keys()).size).toBe(1)
    expect(keys()).toHaveLength(3)
  })

  it('pauses as long as the server says', async () => {
    const headers = { 'retry-after': '7' }
    broker.next.set('/oauth/token', [
      { status: 429, headers, body: { error: 'temporarily_unavailable' } },
    ])
    const patient = patience()
    await expect(ask(patient)).resolves.toMatchObject({ lease: LEASE })
    expect(patient.pauses).toEqual([7000])
  })

  it('does not wait for a server that says to come back after more than a minute', async () => {
    const headers = { 'retry-after': '61' }
    broker.next.set('/oauth/token', [
      { status: 429, headers, body: { error: 'temporarily_unavailable' } },
    ])
    const patient = patience()
    await expect(ask(patient)).rejects.toMatchObject({ code: 'rate_limited' })
    expect(patient.pauses).toEqual([])
  })

  it('takes a date for Retry-After', async () => {
    const headers = { 'retry-after': new Date(Date.now() + 20_000).toUTCString() }
    broker.next.set('/oauth/token', [{ status: 503, headers, body: {} }])
    const patient = patience()
    await ask(patient)
    expect(patient.pauses[0]).toBeGreaterThan(15_000)
    expect(patient.pauses[0]).toBeLessThanOrEqual(20_000)
  })

  it('follows a connection that was lost, with the same key and the same identity', async () => {
    broker.next.set('/oauth/token', [{ cut: true }])
    await expect(ask()).resolves.toMatchObject({ lease: LEASE })
    expect(new Set(keys()).size).toBe(1)
    expect(broker.form(0)).toEqual(broker.form(1))
  })

  it('never follows a refusal', async () => {
    broker.next.set('/oauth/token', [{ status: 400, body: { error: 'invalid_target' } }])
    await expect(ask()).rejects.toMatchObject({ code: 'target_refused' })
    expect(broker.asked).toHaveLength(1)
  })

  it('never follows a claim that may have arrived', async () => {
    const held = await ask()
    broker.next.set(CREDENTIALS, [{ cut: true }])
    const patient = patience()
    await expect(claim(broker.server, held, {}, patient)).rejects.toMatchObject({
      code: 'daemon_unreachable',
    })
    expect(patient.pauses).toEqual([])
    expect(broker.paths).toEqual(['/oauth/token', CREDENTIALS])
  })

  it('has another key for another lease', async () => {
    await ask()
    await ask()
    expect(new Set(keys()).size).toBe(2)
  })
})

describe('an exchange', () => {
  it('asks for a lease, in the words of RFC 8693', async () => {
    await ask(patience(), {
      environment: 'ci',
      template: 'deploy',
      ttlMs: 90_500,
      reason: 'nightly',
      authorizationDetails: '[{"type":"broker_grant"}]',
    })
    expect(broker.form(0)).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: SUBJECT.reveal(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      requested_token_type: 'urn:broker:token-type:lease',
      audience: 'ci',
      scope: 'template:deploy',
      ttl: '91',
      reason: 'nightly',
      authorization_details: '[{"type":"broker_grant"}]',
    })
    expect(broker.asked[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded')
    expect(broker.asked[0]?.headers.authorization).toBeUndefined()
  })

  it('leaves out what was not said', async () => {
    await ask()
    expect(Object.keys(broker.form(0))).toEqual([
      'grant_type',
      'subject_token',
      'subject_token_type',
      'requested_token_type',
      'audience',
    ])
  })

  it('gives the lease, its handle as a secret, and when it ends', async () => {
    const before = Date.now()
    const held = await ask()
    expect(held).toMatchObject({ lease: LEASE, template: 'deploy' })
    expect(held.handle.reveal()).toBe(HANDLE)
    expect(held.expiresAt).toBeGreaterThanOrEqual(before + 900_000)
    expect(JSON.stringify(held)).not.toContain(HANDLE)
  })
})

describe('a lease that is taken', () => {
  const revoked = () => broker.asked.filter(({ path }) => path === '/oauth/revoke')
  const take = (deliver: () => Promise<void> | void, options = {}) =>
    takeLease(broker.server, SUBJECT, WISH, deliver, options)

  it('is revoked when its credentials cannot be claimed, and the first error is told', async () => {
    const error = { code: 'already_claimed', message: 'they were claimed', hint: '', details: {} }
    broker.next.set(CREDENTIALS, [{ status: 410, body: { error } }])
    await expect(take(() => {})).rejects.toMatchObject({ code: 'already_claimed' })
    expect(revoked()).toHaveLength(1)
    expect(revoked()[0]?.body).toBe(`token=${HANDLE}`)
    expect(broker.paths).not.toContain(ACK)
  })

  it('is revoked when the claim is answered with something else', async () => {
    broker.next.set(CREDENTIALS, [{ body: { lease: null, variables: { A: 1 } } }])
    await expect(take(() => {})).rejects.toMatchObject({ code: 'daemon_unreachable' })
    expect(revoked()).toHaveLength(1)
  })

  it('is revoked, and not acknowledged, when it cannot be delivered', async () => {
    const full = new BrokerError('storage_full', 'the disk is full', { hint: '' })
    const delivered = take(() => {
      throw full
    })
    await expect(delivered).rejects.toBe(full)
    expect(revoked()).toHaveLength(1)
    expect(broker.paths).not.toContain(ACK)
  })

  it('is revoked when it cannot be acknowledged', async () => {
    const error = { code: 'lease_ended', message: 'it has ended', hint: '', details: {} }
    broker.next.set(ACK, [{ status: 410, body: { error } }])
    await expect(take(() => {})).rejects.toMatchObject({ code: 'lease_ended' })
    expect(revoked()).toHaveLength(1)
  })

  it.each(['the exchange', 'the claim', 'the delivery'])(
    'is revoked when the job is cancelled during %s',
    async (when) => {
      const cancelled = new AbortController()
      const options = {
        signal: cancelled.signal,
        onLease: () => {
          if (when === 'the exchange') cancelled.abort(new Error('cancelled'))
        },
      }
      if (when === 'the claim')
        broker.held.set(CREDENTIALS, async () => cancelled.abort(new Error('cancelled')))
      const delivered: string[] = []
      const taken = take(() => {
        delivered.push('credentials')
        cancelled.abort(new Error('cancelled'))
      }, options)
      await expect(taken).rejects.toThrow('cancelled')
      expect(delivered).toHaveLength(when === 'the delivery' ? 1 : 0)
      expect(revoked()).toHaveLength(1)
      expect(broker.paths).not.toContain(ACK)
    },
  )

  it('is never asked for by a job that is cancelled already', async () => {
    await expect(
      take(() => {}, { signal: AbortSignal.abort(new Error('cancelled')) }),
    ).rejects.toThrow('cancelled')
    expect(broker.asked).toEqual([])
  })

  it('tells the first error even when revoking fails as well', async () => {
    broker.next.set('/oauth/revoke', [{ status: 500, body: 'broken' }])
    const error = new Error('the first')
    await expect(
      take(() => {
        throw error
      }),
    ).rejects.toBe(error)
  })

  it('is claimed and acknowledged with its own credential, in this order', async () => {
    const order: string[] = []
    const taken = await take(() => void order.push(...broker.paths, 'delivered'), {
      onLease: () => order.push('told'),
    })
    expect(order).toEqual(['told', '/oauth/token', CREDENTIALS, 'delivered'])
    expect(broker.paths).toEqual(['/oauth/token', CREDENTIALS, ACK])
    for (const { headers } of broker.asked.slice(1)) {
      expect(headers.authorization).toBe(`Bearer ${HANDLE}`)
    }
    expect(taken.variables.reveal()).toEqual({ ...VARIABLES, BROKER_SERVER: broker.url })
    expect(JSON.stringify(taken)).not.toContain(HANDLE)
  })
})

describe('revoking', () => {
  const revoke = (patient: Patience) =>
    revokeByHandle(broker.server, new Secret(HANDLE), {}, patient)

  it('says that it is not confirmed while the server says so, after asking three times', async () => {
    const headers = { 'retry-after': '2', 'broker-lease-state': 'revoking' }
    const open = { status: 503, headers }
    broker.next.set('/oauth/revoke', [open, open, open])
    const patient = patience()
    await expect(revoke(patient)).resolves.toBe('revoking')
    expect(patient.pauses).toEqual([2000, 2000])
  })

  it('fails when something else answers', async () => {
    broker.next.set('/oauth/revoke', [{ status: 404, body: 'nothing here' }])
    await expect(revoke(patience())).rejects.toMatchObject({ code: 'daemon_unreachable' })
  })

  it('tells what the server has come to', async () => {
    await expect(revoke(patience())).resolves.toBe('revoked')
    broker.next.set('/oauth/revoke', [{ headers: { 'broker-lease-state': 'revoking' } }])
    await expect(revoke(patience())).resolves.toBe('revoking')
  })
})
