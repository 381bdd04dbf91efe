import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import { delivered } from '../../src/broker/exchange/deliver.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import { recover, sweep } from '../../src/broker/sweep.ts'
import { TIMING } from '../../src/core/deadlines.ts'
import { KEYS } from '../fixtures/context.ts'
import { Exchange, refusal } from './exchange-fixture.ts'

let exchange: Exchange
beforeEach(async () => {
  exchange = await Exchange.open()
})
afterEach(async () => {
  expect(exchange.context.errors).toEqual([])
  expect(await verifyAudit(exchange.context, KEYS, null)).toMatchObject({ ok: true })
  await exchange.close()
})

const REPLAYED = { code: 'token_replayed', message: 'the subject token was used already' }
const SAME_RUN = {
  code: 'conflict',
  message: 'this run already has a live lease of template "deploy"',
}
const leases = () => exchange.context.store.read.leases({ live: false, limit: 1000 })

/** What became of many at once: how many were let in, and the others' codes. */
async function outcomes(work: readonly Promise<unknown>[]) {
  const results = await Promise.allSettled(work)
  const codes = results.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
  return { letIn: results.length - codes.length, codes: [...new Set(codes)] }
}

/** All that is due is done, and what that started. */
async function settle(context = exchange.context): Promise<void> {
  while ((await sweep(context)) > 0 || context.revoking.size > 0) {
    await Promise.allSettled([...context.revoking.values()])
  }
}

describe('an identity token that was used', () => {
  it('is refused, told nothing more, and the audit log names the lease it was used for', async () => {
    const token = await exchange.token()
    const { lease } = await exchange.ask(token)
    expect(await refusal(exchange.ask(token))).toEqual(REPLAYED)
    expect(await refusal(exchange.ask(token, { environment: 'nowhere' }))).toEqual(REPLAYED)
    const told = await exchange.entries('exchange.refused')
    expect(told.map(({ data }) => [data.reason, data.usedFor])).toEqual([
      ['token_replayed', lease],
      ['token_replayed', lease],
    ])
    expect(await leases()).toHaveLength(1)
  })

  it('is refused after its lease has ended, for as long as anybody would accept it', async () => {
    const token = await exchange.token()
    const { lease } = await exchange.ask(token, { ttlMs: 60_000 })
    await revoke(exchange.context, lease, 'task_ended')
    exchange.pass(329_000) // it lives 300 s, and 30 s more for clocks that differ
    await exchange.context.store.write((writer) => writer.forgetExchanges(exchange.context.now()))
    expect(await refusal(exchange.ask(token))).toEqual(REPLAYED)
    exchange.pass(2_000)
    expect((await refusal(exchange.ask(token))).code).toBe('subject_refused')
  })

  it('is let in once of many at once, in each of many rounds', async () => {
    for (let round = 0; round < 30; round++) {
      const token = await exchange.token()
      const racing = Array.from({ length: 6 }, () => exchange.ask(token))
      expect(await outcomes(racing)).toEqual({ letIn: 1, codes: ['token_replayed'] })
    }
    expect(await leases()).toHaveLength(30)
  })

  it('is let in once by exchange or session, whichever comes first, in each of many rounds', async () => {
    for (let round = 0; round < 30; round++) {
      const token = await exchange.token()
      const caller = await exchange.identify(token)
      const session = () => issue(exchange.context, caller, { environment: 'ci' })
      const racing = [session(), exchange.ask(token), session(), exchange.ask(token)]
      expect(await outcomes(racing)).toEqual({ letIn: 1, codes: ['token_replayed'] })
    }
    expect(await leases()).toHaveLength(30)
  })

  it('is refused to a second session while a person decides about the first', async () => {
    exchange.apply({ deploy: { approval: 'required' } })
    const caller = await exchange.identify(await exchange.token())
    const gone = new AbortController()
    const asked = Promise.withResolvers<void>()
    const waiting = { onPending: () => asked.resolve(), signal: gone.signal }
    const first = issue(exchange.context, caller, { environment: 'ci' }, waiting)
    await asked.promise
    const second = issue(exchange.context, caller, { environment: 'ci' }, waiting)
    expect(await refusal(second)).toEqual(REPLAYED)
    gone.abort()
    expect((await refusal(first)).code).toBe('approval_lapsed')
  })

  it('is another one with another text of the same jti, and is refused for it', async () => {
    const asks = { idempotencyKey: 'one' }
    await exchange.ask(await exchange.token({ jti: 'the same' }), asks)
    const other = await exchange.token({ jti: 'the same', sha: 'another' })
    expect(await refusal(exchange.ask(other, asks))).toEqual(REPLAYED)
  })
})

describe('a retry with the same Idempotency-Key', () => {
  const asks = { idempotencyKey: 'one' }

  it('is refused where anything of it is different', async () => {
    const token = await exchange.token()
    await exchange.ask(token, asks)
    for (const other of [
      { idempotencyKey: 'two' },
      {},
      { ...asks, ttlMs: 60_000 },
      { ...asks, reason: 'another' },
      { ...asks, environment: 'staging' },
      { ...asks, template: 'deploy' },
      { ...asks, wanted: 'lease' as const },
      { ...asks, details: '[]' },
    ]) {
      expect(await refusal(exchange.ask(token, other))).toEqual(REPLAYED)
    }
    expect(await leases()).toHaveLength(1)
  })

  it.each([null, 'lease'] as const)('gets the same answer again (%s)', async (wanted) => {
    const token = await exchange.token()
    const first = await exchange.ask(token, { ...asks, wanted })
    // The rules may have changed since; the answer has not.
    exchange.apply({ other: {} })
    exchange.pass(5_000)
    const again = await exchange.ask(token, { ...asks, wanted })
    expect(again).toEqual({ ...first, repeated: true })
    expect(again.token.reveal()).toBe(first.token.reveal())
    expect(await leases()).toHaveLength(1)
  })

  it('that overtakes the first try waits for it and gets its answer', async () => {
    const token = await exchange.token()
    const answers = await Promise.all(Array.from({ length: 5 }, () => exchange.ask(token, asks)))
    expect(new Set(answers.map((one) => one.token.reveal())).size).toBe(1)
    expect(answers.filter(({ repeated }) => !repeated)).toHaveLength(1)
    expect(await leases()).toHaveLength(1)
  })

  it('that comes after its lease ended is told so, and gets no second one', async () => {
    const token = await exchange.token()
    const { lease } = await exchange.ask(token, asks)
    exchange.pass(TIMING.ackMs)
    await settle()
    await expect(exchange.ask(token, asks)).rejects.toMatchObject({
      code: 'lease_ended',
      message: `this request was answered with lease "${lease}", which is over (not acknowledged)`,
      details: { lease, endReason: 'not_acknowledged' },
    })
    expect(await exchange.context.store.read.sealed(lease, 'answer')).toBeUndefined()
    expect(await leases()).toHaveLength(1)
  })

  it('keeps nothing sealed where the client sent no key, nor when the token is over', async () => {
    const { read } = exchange.context.store
    const { lease } = await exchange.ask(await exchange.token())
    expect(await read.sealed(lease, 'answer')).toBeUndefined()
    const kept = await exchange.ask(await exchange.token(), asks)
    delivered(exchange.context, kept.lease)
    await expect.poll(() => deliveredAt(kept.lease)).not.toBeNull()
    expect(await read.sealed(kept.lease, 'answer')).toBeDefined()
    exchange.pass(600_000)
    await exchange.context.store.write((writer) => writer.forgetExchanges(exchange.context.now()))
    expect(await read.sealed(kept.lease, 'answer')).toBeUndefined()
    expect((await read.lease(kept.lease))?.state).toBe('active')
  })
})

const deliveredAt = async (lease: string) =>
  (await exchange.context.store.read.lease(lease))?.deliveredAt ?? null

describe('after a crash', () => {
  const asks = { idempotencyKey: 'one' }

  it('between intent and answer the retry is told, and the token makes no second lease', async () => {
    exchange.apply({ deploy: { grants: { db: { allow: ['look'], approve: [], deny: [] } } } })
    const ledger = exchange.providers.get('ledger')
    const minting = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    if (!ledger) throw new Error('no ledger')
    exchange.providers.set('ledger', {
      ...ledger,
      async mint(...call) {
        const minted = await ledger.mint(...call)
        minting.resolve()
        await released.promise // the process dies here
        return minted
      },
    })
    const token = await exchange.token()
    const first = exchange.ask(token, asks)
    await minting.promise
    const next = await exchange.afterCrash()
    expect(exchange.ledger.alive.size).toBe(1)
    await recover(next)
    await settle(next)
    expect(exchange.ledger.alive.size).toBe(0)
    const [lease] = await next.store.read.leases({ live: false, limit: 10 })
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'mint_unknown' })
    await expect(exchange.ask(token, asks, next)).rejects.toMatchObject({
      code: 'lease_ended',
      message: `this request was answered with lease "${lease?.id}", which is over (mint unknown)`,
    })
    expect(await refusal(exchange.ask(token, {}, next))).toEqual(REPLAYED)
    expect(await next.store.read.leases({ live: false, limit: 10 })).toHaveLength(1)
    expect(await next.store.read.leases({ live: true, limit: 10 })).toEqual([])
    await next.dispose()
    released.resolve()
    await first
  })

  it('between answer and its sending the retry gets that very answer', async () => {
    const token = await exchange.token()
    const first = await exchange.ask(token, asks)
    const next = await exchange.afterCrash()
    await recover(next)
    const again = await exchange.ask(token, asks, next)
    expect(again.token.reveal()).toBe(first.token.reveal())
    expect(again.lease).toBe(first.lease)
    await next.dispose()
  })
})

describe('one run of a job', () => {
  const JOB = { check_run_id: 'job-of-its-own' }
  const token = () => exchange.token(JOB)

  it('has one live lease of a template, told to nobody else what it is', async () => {
    const { lease } = await exchange.ask(await token())
    expect(await refusal(exchange.ask(await token()))).toEqual(SAME_RUN)
    const [told] = await exchange.entries('exchange.refused')
    expect(told?.data).toMatchObject({ reason: 'conflict', message: SAME_RUN.message })
    await revoke(exchange.context, lease, 'task_ended')
    expect(await exchange.ask(await token())).toMatchObject({ kind: 'bearer' })
  })

  it('leaves the second token unused, for when the first lease has ended', async () => {
    const { lease } = await exchange.ask(await token())
    const second = await token()
    expect(await refusal(exchange.ask(second))).toEqual(SAME_RUN)
    await revoke(exchange.context, lease, 'task_ended')
    expect(await exchange.ask(second)).toMatchObject({ kind: 'bearer' })
  })

  it('has one of many asked for at once, in each of many rounds', async () => {
    for (let round = 0; round < 20; round++) {
      const tokens = await Promise.all(
        Array.from({ length: 6 }, () => exchange.token({ check_run_id: `round-${round}` })),
      )
      const racing = tokens.map((one) => exchange.ask(one))
      expect(await outcomes(racing)).toEqual({ letIn: 1, codes: ['conflict'] })
    }
  })

  it('has one of each template, and other jobs and attempts have their own', async () => {
    exchange.apply({ deploy: {}, publish: {} })
    for (const template of ['deploy', 'publish']) await exchange.ask(await token(), { template })
    for (const other of [{ check_run_id: 'another' }, { ...JOB, run_attempt: '3' }]) {
      await exchange.ask(await exchange.token(other), { template: 'deploy' })
    }
    expect(await leases()).toHaveLength(4)
  })

  it('has one by the database’s own rule, also where two write to it', async () => {
    const { lease } = await exchange.ask(await token())
    const other = new DatabaseSync(join(exchange.context.folder, 'broker.sqlite'))
    const columns = other
      .prepare('select name from pragma_table_info(?)')
      .all('leases')
      .map(({ name }) => String(name))
    const copy = (changes: Readonly<Record<string, string>>) => {
      const values = columns.map((name) => changes[name] ?? name)
      return () =>
        other.exec(
          `insert into leases (${columns}) select ${values} from leases where id = '${lease}'`,
        )
    }
    expect(copy({ id: "'lse_other'" })).toThrow('UNIQUE constraint failed')
    expect(copy({ id: "'lse_other'", state: "'pending'" })).toThrow('UNIQUE constraint failed')
    copy({ id: "'lse_ended'", ended_at: '1' })()
    copy({ id: "'lse_nested'", run_key: 'null' })()
    other.close()
  })

  it('waits for its approval once', async () => {
    exchange.apply({ deploy: { approval: 'required' } })
    const gone = new AbortController()
    const asked = Promise.withResolvers<void>()
    const waiting = { onPending: () => asked.resolve(), signal: gone.signal }
    const wish = { environment: 'ci' }
    const first = issue(exchange.context, await exchange.identify(await token()), wish, waiting)
    await asked.promise
    const second = await exchange.identify(await token())
    expect(await refusal(issue(exchange.context, second, wish, waiting))).toEqual(SAME_RUN)
    gone.abort()
    expect((await refusal(first)).code).toBe('approval_lapsed')
  })
})

describe('a session of a subject', () => {
  it('may ask for more inside only of its own template, which shows as the same run', async () => {
    exchange.apply({ deploy: {}, publish: {} })
    const caller = await exchange.identify(await exchange.token())
    const wish = { environment: 'ci', template: 'deploy' }
    const { lease } = await issue(exchange.context, caller, wish)
    const inside = {
      kind: 'lease',
      lease: await acknowledge(exchange.context, lease.id, { session: true }),
    } as const
    const other = issue(exchange.context, inside, { environment: 'ci', template: 'publish' })
    expect((await refusal(other)).code).toBe('denied')
    const nested = await issue(exchange.context, inside, wish)
    expect(nested.lease.run).toEqual({ key: null, shown: lease.run?.shown })
    expect(lease.run?.key).toMatch(/^[0-9a-f]{64}$/)
  })

  it('is believed nothing about walls', async () => {
    exchange.apply({ deploy: { isolation: 'mask' } })
    const caller = await exchange.identify(await exchange.token())
    const asked = issue(exchange.context, caller, { environment: 'ci', isolation: 'confine' })
    expect(await refusal(asked)).toEqual({
      code: 'isolation_unavailable',
      message: 'template "deploy" asks for isolation "mask", the task would run at "scrub"',
    })
    expect(await exchange.entries('lease.denied')).toEqual([])
    expect(await exchange.entries('exchange.refused')).toHaveLength(1)
  })
})
