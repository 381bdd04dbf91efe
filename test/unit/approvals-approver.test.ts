import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readApprover } from '../../src/broker/approval/approver.ts'
import { approve, deny } from '../../src/broker/approval/decide.ts'
import { Enrolling } from '../../src/broker/approval/enroll.ts'
import { lapseApprovals } from '../../src/broker/approval/lapse.ts'
import { requestApproval } from '../../src/broker/approval/request.ts'
import { isCode, seedFrom, seedUri, stepOf } from '../../src/broker/approval/totp.ts'
import { RESET_SENTENCE } from '../../src/core/approval.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { approvalOf, leaseOf, placeLease } from '../fixtures/approvals.ts'
import { approverContext, enrolled } from '../fixtures/approver.ts'
import { codeAt, wrongCodeAt } from '../fixtures/codes.ts'
import { KEYS } from '../fixtures/context.ts'

let context: Awaited<ReturnType<typeof approverContext>>
beforeEach(async () => {
  context = await approverContext()
  await placeLease(context.store, leaseOf(1))
})
afterEach(() => context.dispose())

let bindings = 0
async function asked(confirm: 'totp' | 'typed' = 'totp', typed = 'pgdata') {
  await lapseApprovals(context)
  const { id, state, createdAt, lapsesAt, decidedAt, decidedBy, note, usedAt, ...wanted } =
    approvalOf(1, { confirm, typed, binding: `${++bindings}` })
  return (await requestApproval(context, wanted)).id
}

const proof = (code: string) => ({ kind: 'code', code: new Secret(code) }) as const
const give = (id: string, code: string) => approve(context, id, proof(code), 'alice')
const type = (id: string, typed: string) => approve(context, id, { kind: 'typed', typed }, 'alice')
const now = () => context.clock.now
const right = (seed: string) => codeAt(seed, now())
const wrong = (seed: string) => wrongCodeAt(seed, now())
const stateOf = async (id: string) => (await context.store.read.approval(id))?.state
const approver = () => readApprover(context.store.read)

async function entries(type: string) {
  const all = await context.store.read.entries({ after: 0, limit: 1000 })
  return all.filter((entry) => entry.type === type).map((entry) => JSON.parse(entry.data))
}

async function exhaust(seed: string, id: string, times = 5): Promise<unknown[]> {
  const errors: unknown[] = []
  for (let n = 0; n < times; n++) await give(id, wrong(seed)).catch((error) => errors.push(error))
  return errors
}

describe('a code', () => {
  it('is refused where nobody is enrolled, with the way to enrol', async () => {
    const id = await asked()
    await expect(give(id, '123456')).rejects.toMatchObject({
      code: 'denied',
      message: 'nobody is enrolled to approve',
      hint: expect.stringContaining('broker approve --enroll'),
    })
    expect(await stateOf(id)).toBe('pending')
  })

  it.each(['', '12345', '1234567', '12345a', '１２３４５６', ' 12345', '-12345', '1e1000'])(
    'has six digits: not %j',
    async (text) => {
      await enrolled(context)
      await expect(give(await asked(), text)).rejects.toMatchObject({ code: 'invalid_request' })
      expect(isCode(new Secret(text))).toBe(false)
      expect((await approver()).wrong).toBe(0)
    },
  )

  it('that is wrong approves nothing, is counted and recorded', async () => {
    const seed = await enrolled(context)
    const id = await asked()
    await expect(give(id, wrong(seed))).rejects.toMatchObject({ code: 'denied' })
    expect(await stateOf(id)).toBe('pending')
    expect(await entries('approver.refused')).toEqual([
      { approval: id, by: 'alice', for: 'approve', why: 'wrong code', wrong: 1, locked: false },
    ])
  })

  it('works once: not for another approval, not in the same step, not from the step before', async () => {
    const seed = await enrolled(context)
    await give(await asked(), right(seed))
    const id = await asked()
    await expect(give(id, right(seed))).rejects.toThrow('this code was used already')
    await expect(give(id, codeAt(seed, now() - 30_000))).rejects.toThrow('used already')
    expect(await stateOf(id)).toBe('pending')
    context.clock.now += 30_000
    await give(id, right(seed))
    expect(await entries('approver.refused')).toMatchObject([
      { why: 'used code', wrong: 0 },
      { why: 'used code', wrong: 0 },
    ])
  })

  it('works once also when it is given for two approvals at once', async () => {
    const seed = await enrolled(context)
    const ids = [await asked(), await asked()]
    const code = right(seed)
    const all = await Promise.allSettled(ids.map((id) => give(id, code)))
    expect(all.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it('counts one step early and one late, and no more', async () => {
    const seed = await enrolled(context)
    for (const [steps, counts] of [
      [-2, false],
      [2, false],
      [-1, true],
      [0, true],
      [1, true],
    ] as const) {
      context.clock.now += 120_000
      const given = give(await asked(), codeAt(seed, now() + steps * 30_000))
      if (counts) await given
      else await expect(given).rejects.toMatchObject({ code: 'denied' })
    }
  })

  it('does nothing where words have to be typed, nor words where a code is asked for', async () => {
    const seed = await enrolled(context)
    await expect(give(await asked('typed'), right(seed))).rejects.toMatchObject({
      code: 'invalid_request',
    })
    await expect(type(await asked('totp'), 'pgdata')).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('is what RFC 6238 says it is', () => {
    const seed = seedFrom(Buffer.from('12345678901234567890'))
    for (const [seconds, code] of [
      [59, '287082'],
      [1111111109, '081804'],
      [1111111111, '050471'],
      [1234567890, '005924'],
      [2000000000, '279037'],
      [20000000000, '353130'],
    ] as const) {
      expect(codeAt(seed.reveal(), seconds * 1000)).toBe(code)
      expect(stepOf(seed, new Secret(code), seconds * 1000)).toBe(Math.floor(seconds / 30))
    }
  })
})

describe('five wrong ones', () => {
  it('lock approving for ten minutes, right codes too, and never deny', async () => {
    const seed = await enrolled(context)
    const [id, other] = [await asked(), await asked()]
    const errors = await exhaust(seed, id)
    const codes = ['denied', 'denied', 'denied', 'denied', 'quota_exceeded']
    expect(errors).toMatchObject(codes.map((code) => ({ code })))
    const until = new Date(now() + 600_000).toISOString()
    await expect(give(id, right(seed))).rejects.toMatchObject({
      code: 'quota_exceeded',
      details: { lockedUntil: until },
    })
    await deny(context, other, null, 'alice')
    expect(await stateOf(id)).toBe('pending')
    expect(await entries('approver.refused')).toHaveLength(6)
    context.clock.now += 599_999
    const again = await asked()
    await expect(give(again, right(seed))).rejects.toMatchObject({ code: 'quota_exceeded' })
    context.clock.now += 1
    await give(again, right(seed))
  })

  it('lock it also across a restart, and when they come all at once', async () => {
    const seed = await enrolled(context)
    const id = await asked()
    await exhaust(seed, id, 3)
    await context.store.close()
    const path = `${context.folder}/broker.sqlite`
    const store = await openSqlite({ path, keys: KEYS, now })
    const restarted = { ...context, store }
    const tries = Array.from({ length: 10 }, () =>
      approve(restarted, id, proof(wrong(seed)), 'alice'),
    )
    const errors = (await Promise.allSettled(tries)).map(
      (one) => one.status === 'rejected' && one.reason.code,
    )
    expect(errors.filter((code) => code === 'denied')).toHaveLength(1)
    expect(errors.filter((code) => code === 'quota_exceeded')).toHaveLength(9)
    await expect(approve(restarted, id, proof(right(seed)), 'alice')).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
    await store.close()
    context.store.close = async () => {}
  })

  it('have to come without a right one between them', async () => {
    const seed = await enrolled(context)
    for (let round = 0; round < 3; round++) {
      const id = await asked()
      await exhaust(seed, id, 4)
      context.clock.now += 30_000
      await give(id, right(seed))
    }
    expect((await approver()).lockedUntil).toBe(0)
  })

  it('have to come within ten minutes of each other', async () => {
    const seed = await enrolled(context)
    await exhaust(seed, await asked(), 4)
    context.clock.now += 599_999
    const id = await asked()
    await exhaust(seed, id, 1)
    expect((await approver()).lockedUntil).toBeGreaterThan(now())
    context.clock.now += 600_000
    await exhaust(seed, await asked(), 4)
    context.clock.now += 600_000
    await exhaust(seed, await asked(), 4)
    expect((await approver()).lockedUntil).toBe(0)
  })

  it('may be wrong words and wrong codes together; right words forgive nothing', async () => {
    const seed = await enrolled(context)
    await exhaust(seed, await asked(), 3)
    await type(await asked('typed'), 'pgdata')
    const id = await asked('typed')
    await expect(type(id, 'pgdat')).rejects.toMatchObject({ code: 'denied' })
    await expect(type(id, 'pgdat')).rejects.toMatchObject({ code: 'quota_exceeded' })
    await expect(type(id, 'pgdata')).rejects.toMatchObject({ code: 'quota_exceeded' })
    expect(await stateOf(id)).toBe('pending')
  })
})

describe('words to be typed', () => {
  it.each([
    '',
    'PGDATA',
    'Pgdata',
    'pgdata ',
    ' pgdata',
    'pgdat',
    'pgdataa',
    'pgd\u0430ta',
    'vol-1',
  ])('are exact: not %j', async (typed) => {
    const id = await asked('typed')
    await expect(type(id, typed)).rejects.toThrow('that is not what had to be typed')
    expect(await stateOf(id)).toBe('pending')
  })

  it('need nobody to be enrolled', async () => {
    const id = await asked('typed')
    expect(await type(id, 'pgdata')).toMatchObject({ state: 'approved', decidedBy: 'alice' })
  })
})

describe('enrolling', () => {
  const begin = (given: Parameters<Enrolling['begin']>[0] = { kind: 'none' }) => {
    const enrolling = new Enrolling(context)
    return enrolling.begin(given, 'alice').then((offer) => ({ enrolling, ...offer }))
  }
  const confirm = ({ enrolling }: { enrolling: Enrolling }, code: string) =>
    enrolling.confirm(new Secret(code), 'alice')

  it('changes nothing until a code proves that the app has the seed', async () => {
    const offer = await begin()
    await expect(confirm(offer, wrong(offer.seed.reveal()))).rejects.toMatchObject({
      code: 'denied',
    })
    expect(context.secrets.size).toBe(0)
    expect((await approver()).enrolledAt).toBeNull()
    await confirm(offer, right(offer.seed.reveal()))
    expect([...context.secrets.keys()]).toEqual(['approver/totp'])
    expect((await approver()).enrolledAt).toBe(now())
    expect(await entries('approver.enrolled')).toEqual([
      { by: 'alice', how: 'first', replaced: false },
    ])
  })

  it('confirms once, not without an offer, not after ten minutes, not after five wrong codes', async () => {
    await expect(confirm({ enrolling: new Enrolling(context) }, '123456')).rejects.toMatchObject({
      code: 'conflict',
    })
    const late = await begin()
    context.clock.now += 600_000
    await expect(confirm(late, right(late.seed.reveal()))).rejects.toMatchObject({
      code: 'conflict',
    })
    const guessed = await begin()
    for (let n = 0; n < 5; n++) {
      await expect(confirm(guessed, wrong(guessed.seed.reveal()))).rejects.toMatchObject({
        code: 'denied',
      })
    }
    const code = right(guessed.seed.reveal())
    await expect(confirm(guessed, code)).rejects.toMatchObject({ code: 'conflict' })
    const good = await begin()
    await confirm(good, right(good.seed.reveal()))
    await expect(confirm(good, right(good.seed.reveal()))).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  it('uses up the code that confirmed', async () => {
    const offer = await begin()
    const code = right(offer.seed.reveal())
    await confirm(offer, code)
    await expect(give(await asked(), code)).rejects.toThrow('used already')
  })

  it('keeps the offer while the vault is locked', async () => {
    const offer = await begin()
    const { set } = context.vault
    context.vault.set = () => Promise.reject(new Error('locked'))
    await expect(confirm(offer, right(offer.seed.reveal()))).rejects.toThrow('locked')
    expect((await approver()).enrolledAt).toBeNull()
    context.vault.set = set
    await confirm(offer, right(offer.seed.reveal()))
  })

  it('anew needs a code of the old one, which counts like any code', async () => {
    const seed = await enrolled(context)
    await expect(begin()).rejects.toMatchObject({
      code: 'denied',
      message: 'an authenticator is enrolled already',
    })
    await expect(begin(proof(wrong(seed)))).rejects.toMatchObject({ code: 'denied' })
    expect((await approver()).wrong).toBe(1)
    const code = right(seed)
    const offer = await begin(proof(code))
    await expect(give(await asked(), code)).rejects.toThrow('used already')
    await confirm(offer, right(offer.seed.reveal()))
    context.clock.now += 30_000
    const id = await asked()
    await expect(give(id, right(seed))).rejects.toMatchObject({ code: 'denied' })
    await give(id, right(offer.seed.reveal()))
    expect((await entries('approver.enrolled')).at(-1)).toEqual({
      by: 'alice',
      how: 'code',
      replaced: true,
    })
  })

  it('anew without a code needs the sentence, and says so in the log', async () => {
    await enrolled(context)
    const reset = (typed: string) => begin({ kind: 'reset', typed })
    await expect(reset('yes')).rejects.toMatchObject({ code: 'denied' })
    const offer = await reset(RESET_SENTENCE)
    await confirm(offer, right(offer.seed.reveal()))
    expect((await entries('approver.enrolled')).at(-1)).toMatchObject({ how: 'reset' })
    expect(await entries('approver.refused')).toMatchObject([{ for: 'reset', why: 'wrong words' }])
  })

  it('is no way round the lock', async () => {
    const seed = await enrolled(context)
    await exhaust(seed, await asked())
    await expect(begin({ kind: 'reset', typed: RESET_SENTENCE })).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
    await expect(begin(proof(right(seed)))).rejects.toMatchObject({ code: 'quota_exceeded' })
    expect((await approver()).lockedUntil).toBeGreaterThan(now())
  })

  it('lifts no lock that came while it was under way', async () => {
    const seed = await enrolled(context)
    const offer = await begin(proof(right(seed)))
    await exhaust(seed, await asked())
    await confirm(offer, right(offer.seed.reveal()))
    context.clock.now += 30_000
    await expect(give(await asked(), right(offer.seed.reveal()))).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
  })

  it('refuses a code that was checked with a seed that has been replaced meanwhile', async () => {
    const seed = await enrolled(context)
    const id = await asked()
    const { get } = context.vault
    context.vault.get = async (name) => {
      const found = await get(name)
      context.vault.get = get
      const offer = await begin({ kind: 'reset', typed: RESET_SENTENCE })
      context.clock.now += 1
      await confirm(offer, right(offer.seed.reveal()))
      return found
    }
    await expect(give(id, right(seed))).rejects.toMatchObject({ code: 'conflict' })
    expect(await stateOf(id)).toBe('pending')
  })

  it('offers a key that authenticator apps understand, a new one each time', async () => {
    const [one, other] = [await begin(), await begin()]
    expect(one.seed.reveal()).toMatch(/^[A-Z2-7]{32}$/)
    expect(one.seed.reveal()).not.toBe(other.seed.reveal())
    const uri = new URL(one.uri.reveal())
    expect(uri.protocol + uri.host + uri.pathname).toBe('otpauth:totp/broker:alice%40test0000')
    expect(Object.fromEntries(uri.searchParams)).toEqual({
      secret: one.seed.reveal(),
      issuer: 'broker',
    })
    expect(seedUri(one.seed, 'a b&c').reveal()).toContain('/broker:a%20b%26c?')
  })

  it('leaves neither seed nor code in database, log or errors', async () => {
    const seed = await enrolled(context)
    const id = await asked()
    const bad = wrong(seed)
    const error = await give(id, bad).catch((thrown: unknown) => thrown)
    const good = right(seed)
    await give(id, good)
    const { readdirSync, readFileSync } = await import('node:fs')
    const files = readdirSync(context.folder).map((name) =>
      readFileSync(`${context.folder}/${name}`, 'latin1'),
    )
    const told = JSON.stringify([error, (error as Error).message, context.errors])
    for (const place of [...files, told]) expect(place).not.toContain(seed)
    const log = JSON.stringify(await context.store.read.entries({ after: 0, limit: 1000 }))
    for (const code of [bad, good]) expect(`${told}${log}`).not.toContain(`"${code}"`)
  })
})
