import { afterEach, describe, expect, it } from 'vitest'
import { LeaseGate } from '../../src/broker/authorize/gate.ts'
import { BrokerError } from '../../src/errors.ts'
import type { Guard } from '../../src/providers/guard.ts'
import type { Outcome, Verdict } from '../../src/proxy/gate.ts'
import {
  classified,
  entriesOf,
  HERE,
  HOST,
  MINTED,
  NEVER,
  openYard,
  operation,
  PHANTOM,
  REAL,
  request,
  store,
  thingsGuard,
  type Yard,
} from './authorize-fixture.ts'

let yard: Yard
afterEach(() => yard.context.dispose())

async function open(...parts: Parameters<typeof openYard>): Promise<Yard> {
  yard = await openYard(...parts)
  return yard
}

function refused(verdict: Verdict): { code: string; detail: string; next: string; status: number } {
  if (verdict.kind !== 'refuse') throw new Error(`it was not refused: ${verdict.kind}`)
  return JSON.parse(verdict.refusal.body)
}

const over = (id: number): Outcome => ({
  ...{ kind: 'request', status: 200, bytesUp: 0, bytesDown: 0, durationMs: 1, end: 'complete' },
  request: { ...request('/x'), id },
})

/** Let everything that can happen without anybody's doing happen. */
async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise((again) => setImmediate(again))
}

describe('what goes wrong is a refusal', () => {
  const broken = async (changes: Partial<Guard>, path = '/put/t1') => {
    const { gate, context } = await open(thingsGuard(changes))
    const verdict = refused(await gate.judge(request(path), NEVER))
    expect((await entriesOf(yard)).map(({ type }) => type)).toEqual(['request.denied'])
    expect(JSON.stringify([verdict, await entriesOf(yard)])).not.toContain('boom')
    return { verdict, errors: context.errors }
  }
  const boom = () => {
    throw new Error('boom')
  }

  it('a guard that breaks while it classifies, in words of our own', async () => {
    const { verdict, errors } = await broken({ classify: boom })
    expect(verdict).toMatchObject({
      code: 'operation_denied',
      detail: 'the broker could not decide',
    })
    expect(errors).toMatchObject([{ message: 'boom' }])
  })

  it('a guard that breaks while it looks up', async () => {
    const { verdict } = await broken({ locate: async () => boom() })
    expect(verdict).toMatchObject({
      ...{ code: 'upstream_failed', status: 502 },
      detail: 'the provider behind "things-main" failed',
    })
  })

  it('a provider that is down', async () => {
    const down = new BrokerError('provider_unavailable', 'things are down', { hint: 'wait' })
    const { verdict } = await broken({ locate: () => Promise.reject(down) })
    expect(verdict).toMatchObject({
      ...{ code: 'upstream_failed', status: 502 },
      ...{ detail: 'things are down', next: 'wait' },
    })
  })

  it('a guard that refuses, with its code, operation and risk', async () => {
    const refusal = { code: 'request_malformed', message: 'no', operation: 'put', risk: 'write' }
    const { verdict } = await broken({
      classify: () => ({ outcome: 'refused', ...refusal }) as never,
    })
    expect(verdict).toMatchObject({ code: 'request_malformed', detail: 'no', operation: 'put' })
  })

  it('needs that nobody can settle', async () => {
    const needs = [{ kind: 'staged-patch', environment: 'env-1' }] as const
    const operations = [{ ...operation('put', 't1'), environments: [{ from: 'lease' }] }] as const
    const { verdict } = await broken({ classify: () => classified({ operations, needs }) })
    expect(verdict).toMatchObject({
      code: 'operation_denied',
      detail: 'what the request would carry out cannot be read beforehand',
    })
  })

  it('needs that are still there when they were settled', async () => {
    const needs = [{ kind: 'staged-patch', environment: 'env-1' }] as const
    const operations = [{ ...operation('put', 't1'), environments: [{ from: 'lease' }] }] as const
    const judged = classified({ operations, needs })
    const { verdict } = await broken({ classify: () => judged, settle: async () => judged })
    expect(verdict.detail).toBe('what the request would carry out cannot be read beforehand')
  })

  it('what turns out, once it was read, to be more than is allowed', async () => {
    const needs = [{ kind: 'staged-patch', environment: 'env-1' }] as const
    const { gate } = await open(
      thingsGuard({
        classify: () =>
          classified({
            operations: [{ ...operation('put', 't1'), environments: [{ from: 'lease' }] }],
            needs,
          }),
        settle: async () => classified({ operations: [operation('burn', 't1')] }),
      }),
      { grant: { rule: { allow: ['put'], approve: [], deny: [] } } },
    )
    expect(refused(await gate.judge(request('/put/t1'), NEVER))).toMatchObject({
      ...{ code: 'operation_denied', operation: 'burn' },
    })
  })

  it('what would be read of another environment, before it is read', async () => {
    let asked = 0
    const needs = [{ kind: 'staged-patch', environment: 'env-2' }] as const
    const operations = [
      { ...operation('put', 't1'), environments: [{ from: 'argument', id: 'env-2' }] },
    ] as const
    const { verdict } = await broken({
      classify: () => classified({ operations, needs }),
      settle: async () => {
        asked++
        return classified({})
      },
    })
    expect(verdict.code).toBe('environment_mismatch')
    expect(asked).toBe(0)
  })

  it('a channel, and every other upgrade, whatever the guard says of it', async () => {
    const channel = { kind: 'channel', protocol: 'x' } as const
    await broken({ classify: () => classified({ forward: channel }) })
    const { gate } = await open()
    const verdict = refused(await gate.judge(request('/look/t1', { upgrade: 'websocket' }), NEVER))
    expect(verdict).toMatchObject({
      code: 'operation_denied',
      detail: 'a websocket is not opened here: its messages could not be judged',
    })
  })

  it('a decision that cannot be written down', async () => {
    const { gate, context } = await open()
    const { store: real } = context
    Object.assign(context, {
      store: {
        ...real,
        read: real.read,
        write: () => Promise.reject(new Error('disk')),
        record: () => Promise.reject(new Error('disk')),
        close: () => real.close(),
      },
    })
    expect(refused(await gate.judge(request('/look/t1'), NEVER))).toMatchObject({
      code: 'operation_denied',
      detail: 'the broker could not decide',
    })
    expect(context.errors).toHaveLength(2)
    Object.assign(context, { store: real })
  })

  it('a connection that is not stored any more', async () => {
    const { gate } = await open(thingsGuard(), { grant: { connection: 'gone' } })
    expect(refused(await gate.judge(request('/look/t1'), NEVER))).toMatchObject({
      code: 'operation_denied',
      detail: 'connection "gone" is not stored',
    })
  })

  it('a lease that is not active any more, though its listener still is', async () => {
    const { gate, context, task } = await open()
    await context.store.write(async (writer) => {
      const lease = await writer.lease(task.lease)
      if (!lease) throw new Error('no lease')
      await writer.saveLease({ ...lease, state: 'revoking', endReason: 'task_ended' }, null)
    })
    expect(refused(await gate.judge(request('/look/t1'), NEVER))).toMatchObject({
      code: 'lease_ended',
      detail: `lease ${task.lease} has ended`,
    })
  })

  it('a lease whose time is over, though nobody has ended it yet', async () => {
    const { gate, context, task } = await open()
    expect((await gate.judge(request('/look/t1'), NEVER)).kind).toBe('allow')
    context.clock.now = task.expiresAt
    expect(refused(await gate.judge(request('/look/t1'), NEVER)).code).toBe('lease_ended')
  })

  it('a host that was a provider’s when the connection was opened, and is nobody’s now', async () => {
    const { gate } = await open()
    const host = 'was.things.example'
    expect(refused(await gate.judge(request('/look/t1', { host }), NEVER))).toMatchObject({
      code: 'operation_denied',
      detail: `"${host}" is not a provider any more`,
    })
    const tunnel = request('/', { host, route: 'tunnel', scheme: 'http' })
    expect(await gate.judge(tunnel, NEVER)).toEqual({ kind: 'allow' })
  })

  it('plain http, which would show the credential', async () => {
    const { gate } = await open()
    const plain = { scheme: 'http', port: 80 } as const
    expect(refused(await gate.judge(request('/look/t1', plain), NEVER))).toMatchObject({
      code: 'operation_denied',
      next: `use https://${HOST}`,
    })
    const bare = refused(await gate.judge(request('/look/t1', { ...plain, fields: [] }), NEVER))
    expect(bare.code).toBe('operation_denied')
    const found = { ...plain, fields: [['x-key', 'stolen']] } as const
    expect(refused(await gate.judge(request('/look/t1', found), NEVER)).code).toBe(
      'foreign_credential',
    )
  })

  it('a client that has gone hears nothing, and nothing is written down', async () => {
    const gone = new AbortController()
    const { gate } = await open(
      thingsGuard({
        locate: async () => {
          gone.abort(new Error('gone'))
          return HERE
        },
      }),
    )
    await expect(gate.judge(request('/put/t1'), gone.signal)).rejects.toThrow('gone')
    expect(await entriesOf(yard)).toEqual([])
  })
})

describe('a body that came along with its head', () => {
  const body = Buffer.from('0123456789')
  const seen: (Uint8Array | null)[] = []
  /** Shows what `classify` is shown; `limit`: as `inspect` says it. */
  const showing = (limit: number | null) =>
    thingsGuard({
      inspect: (facts) => {
        expect(facts.body).toBeNull()
        return limit
      },
      classify: (facts) => {
        seen.push(facts.body)
        return classified({ operations: [operation('put', 't1')] })
      },
    })
  afterEach(() => {
    seen.length = 0
  })

  it('is over the limit as one that is still to come would be', async () => {
    const { gate } = await open(showing(9))
    const limited = { kind: 'inspect', limit: 9 }
    expect(await gate.judge(request('/put/t1', { body }), NEVER)).toEqual(limited)
    expect(await gate.judge(request('/put/t1', { length: 10 }), NEVER)).toEqual(limited)
    expect(seen).toEqual([])
    expect(await entriesOf(yard)).toEqual([])
  })

  it('is judged at once where it is wanted', async () => {
    const { gate } = await open(showing(10))
    expect((await gate.judge(request('/put/t1', { body }), NEVER)).kind).toBe('allow')
    expect(seen).toEqual([body])
  })

  it('is none of a guard’s business where it would be streamed', async () => {
    const { gate } = await open(showing(null))
    const keyed = Buffer.from(`what is sent holds ${PHANTOM}`)
    expect((await gate.judge(request('/put/t1', { body: keyed }), NEVER)).kind).toBe('allow')
    expect(seen).toEqual([null])
  })

  it('is looked through where a person would approve it along with the rest', async () => {
    const { gate } = await open(showing(null), { isProtected: true })
    for (const key of [PHANTOM, REAL, MINTED]) {
      const keyed = request('/put/t1', { body: Buffer.from(`what is sent holds ${key}`) })
      expect(refused(await gate.judge(keyed, NEVER)).code).toBe('foreign_credential')
    }
    expect(await gate.judge(request('/put/t1', { length: 10 }), NEVER)).toMatchObject({
      kind: 'inspect',
    })
    expect(refused(await gate.judge(request('/put/t1', { body }), NEVER)).code).toBe(
      'approval_required',
    )
  })
})

describe('what is allowed', () => {
  it('goes with the key of the lease in place of every carrier, and to the connection’s address', async () => {
    const upstream = { origin: 'https://127.0.0.1:9', ca: 'PEM', chosen: true }
    const { gate } = await open(thingsGuard({ upstream: () => upstream }))
    const verdict = await gate.judge(request('/look/t1'), NEVER)
    expect(verdict).toMatchObject({
      kind: 'allow',
      remove: ['x-key'],
      upstream: { origin: 'https://127.0.0.1:9', ca: 'PEM', reserved: true },
    })
    if (verdict.kind !== 'allow') return
    expect(verdict.set?.map(([name, secret]) => [name, secret.reveal()])).toEqual([
      ['x-key', MINTED],
    ])
    expect(await entriesOf(yard)).toMatchObject([
      {
        type: 'request.allowed',
        data: {
          ...{ verdict: 'allowed', credential: 'minted', grant: 'main', environment: 'staging' },
          operations: [{ name: 'look', risk: 'read', rule: 'allow: look' }],
        },
      },
    ])
    for (const secret of [REAL, MINTED, PHANTOM]) {
      expect(JSON.stringify(await entriesOf(yard))).not.toContain(secret)
    }
  })

  it('goes where its host and the connection of now say, also the second time', async () => {
    const other = 'eu.things.example'
    const { gate, context } = await open(
      thingsGuard({
        hosts: [HOST, other],
        upstream: ({ settings }, host) => {
          const origin = String(settings['url'] ?? `https://${host}`)
          return { origin, ca: null, chosen: settings['url'] !== undefined }
        },
      }),
    )
    const upstreams = async () => {
      const found: unknown[] = []
      for (const host of [HOST, other, HOST, other]) {
        const verdict = await gate.judge(request('/look/t1', { host }), NEVER)
        if (verdict.kind !== 'allow') throw new Error('refused')
        found.push(verdict.upstream)
      }
      return found
    }
    const own = [HOST, other].map((host) => ({ origin: `https://${host}`, reserved: false }))
    expect(await upstreams()).toEqual([...own, ...own])
    await store(context, 'things-main', 'https://127.0.0.1:9')
    const chosen = { origin: 'https://127.0.0.1:9', reserved: true }
    expect(await upstreams()).toEqual([chosen, chosen, chosen, chosen])
  })

  it('goes with the connection’s own where the lease’s cannot do it', async () => {
    const { gate } = await open(thingsGuard({ mintedSuffices: () => false }))
    const verdict = await gate.judge(request('/look/t1'), NEVER)
    if (verdict.kind !== 'allow') throw new Error('refused')
    expect(verdict.set?.[0]?.[1].reveal()).toBe(REAL)
    expect((await entriesOf(yard))[0]?.data.credential).toBe('connection')
  })

  it('is what was judged, with its type', async () => {
    const forward = { kind: 'body', contentType: 'text/x', text: 'canonical' } as const
    const { gate } = await open(
      thingsGuard({
        classify: () => classified({ operations: [operation('look', 't1')], forward }),
      }),
    )
    const verdict = await gate.judge(request('/look/t1', { body: Buffer.from('sent') }), NEVER)
    if (verdict.kind !== 'allow') throw new Error('refused')
    expect(Buffer.from(verdict.body ?? '').toString()).toBe('canonical')
    expect(verdict.set?.map(([name, secret]) => [name, secret.reveal()])).toContainEqual([
      'content-type',
      'text/x',
    ])
  })

  it('is answered here where it is about the lease’s own credential', async () => {
    const { gate } = await open(thingsGuard({ answer: async () => '{"you":"the lease"}' }))
    expect(await gate.judge(request('/look/t1'), NEVER)).toMatchObject({
      kind: 'answer',
      answer: { status: 200, body: '{"you":"the lease"}' },
    })
    expect((await entriesOf(yard))[0]?.data.credential).toBe('answered here')
  })

  it('is asked of a person first, in a protected environment', async () => {
    const { gate } = await open(thingsGuard(), { isProtected: true })
    expect((await gate.judge(request('/look/t1'), NEVER)).kind).toBe('allow')
    const put = request('/put/t1', { body: Buffer.from('all of it') })
    expect(refused(await gate.judge(put, NEVER))).toMatchObject({
      code: 'approval_required',
      rule: 'protected (allow: put)',
    })
  })

  it('is looked up afresh where it cannot be undone', async () => {
    const fresh: boolean[] = []
    const { gate } = await open(
      thingsGuard({
        locate: async (_resource, question) => {
          fresh.push(question.fresh)
          return HERE
        },
      }),
    )
    for (const path of ['/look/t1', '/put/t1', '/burn/t1']) {
      const one = request(path)
      await gate.judge(one, NEVER)
      gate.outcome(over(one.id))
    }
    expect(fresh).toEqual([false, false, true])
  })
})

describe('turns', () => {
  const second = () => yard.gate.judge(request('/put/t2'), NEVER)

  it('a change waits for the change before it to be through, a look does not', async () => {
    const { gate } = await open()
    const first = request('/put/t1')
    await gate.judge(first, NEVER)
    let through = false
    const waiting = second().then((verdict) => {
      through = true
      return verdict
    })
    expect((await gate.judge(request('/look/t1'), NEVER)).kind).toBe('allow')
    await settle()
    expect(through).toBe(false)
    gate.outcome(over(first.id))
    expect((await waiting).kind).toBe('allow')
  })

  it('what only has to belong to the project waits for nobody', async () => {
    const resource = { kind: 'service', id: 's1' }
    const environments = [
      { from: 'argument', id: 'env-1' },
      { from: 'lookup', resource, match: 'project' },
    ] as const
    const upload = { ...operation('put', 's1'), environments }
    const { gate } = await open(
      thingsGuard({ classify: () => classified({ operations: [upload] }) }),
    )
    expect((await gate.judge(request('/put/s1'), NEVER)).kind).toBe('allow')
    expect((await gate.judge(request('/put/s1'), NEVER)).kind).toBe('allow')
  })

  it('another lease waits as well, from whatever environment of the project', async () => {
    const { gate, context, task } = await open()
    const [grant] = task.grants
    if (!grant) throw new Error('no grant')
    const there = { environment: 'env-2', project: 'prj-1' }
    const located = { ...HERE, environments: [{ id: 'env-2', name: 'production' }] }
    const guard = thingsGuard({ locate: async () => located })
    const other = new LeaseGate(context, { ...task, grants: [{ ...grant, guard, place: there }] })
    const first = request('/put/t1')
    await gate.judge(first, NEVER)
    let through = false
    const waiting = other.judge(request('/put/t2'), NEVER).then((verdict) => {
      through = true
      return verdict
    })
    await settle()
    expect(through).toBe(false)
    gate.outcome(over(first.id))
    expect((await waiting).kind).toBe('allow')
  })

  it('what is looked at in its turn is what decides', async () => {
    let environments = HERE.environments
    const { gate } = await open(thingsGuard({ locate: async () => ({ ...HERE, environments }) }))
    const first = request('/put/t1')
    await gate.judge(first, NEVER)
    const waiting = second()
    await settle()
    environments = [...environments, { id: 'env-2', name: 'production' }]
    gate.outcome(over(first.id))
    expect(refused(await waiting).code).toBe('environment_mismatch')
    // And whoever is refused gives the turn back.
    environments = HERE.environments
    expect((await second()).kind).toBe('allow')
  })

  it('a client that goes away gives its turn back', async () => {
    const { gate } = await open()
    const gone = new AbortController()
    await gate.judge(request('/put/t1'), gone.signal)
    const waiting = second()
    gone.abort(new Error('gone'))
    expect((await waiting).kind).toBe('allow')
  })

  it('who waits too long is refused before the engine gives up, and is not written down as allowed', async () => {
    const { gate, context, task } = await open()
    // Of a lease whose questions have a millisecond, and wait for a turn that does not come.
    const hasty = new LeaseGate(context, { ...task, judgeMs: 5_001 })
    const first = request('/put/t1')
    await gate.judge(first, NEVER)
    expect(refused(await hasty.judge(request('/put/t2'), NEVER))).toMatchObject({
      code: 'operation_denied',
      detail: 'the broker did not decide in time',
    })
    gate.outcome(over(first.id))
    expect((await second()).kind).toBe('allow')
    await gate.close()
    const types = (await entriesOf(yard)).map(({ type }) => type)
    expect(types.sort()).toEqual([
      ...['request.allowed', 'request.allowed', 'request.denied', 'request.ended'],
    ])
  })
})

describe('where connections may go', () => {
  const route = (host: string) => yard.gate.route({ host, port: 443, from: 'connect' })
  const listed = {
    name: 'dev',
    egress: ['ok.example'],
    confirm: 'typed',
    approvalWaitMs: 0,
  } as const

  it('an unlisted host is refused, and that is written down', async () => {
    await open(thingsGuard(), { template: listed })
    expect(await route('evil.example')).toMatchObject({ kind: 'refuse', refusal: { status: 403 } })
    expect(await entriesOf(yard)).toMatchObject([
      { type: 'egress.denied', data: { host: 'evil.example', code: 'egress_denied' } },
    ])
  })

  it('a listed one is tunnelled, nameless and unknown protocols are not', async () => {
    await open(thingsGuard(), { template: listed })
    expect(await route('ok.example')).toEqual({
      ...{ kind: 'tunnel', withoutName: 'refuse', otherProtocols: 'refuse' },
    })
  })

  it('the provider’s host is looked into, listed or not', async () => {
    await open(thingsGuard(), { template: listed })
    expect(await route(HOST)).toEqual({ kind: 'intercept' })
  })

  it('an answer that is no answer is one the engine refuses: the gate throws', async () => {
    const { context } = await open()
    const { store: real } = context
    const read = Object.create(real.read, {
      connections: { value: () => Promise.reject(new Error('disk')) },
    })
    Object.assign(context, {
      store: { read, write: real.write.bind(real), close: () => real.close() },
    })
    await expect(route('ok.example')).rejects.toThrow('disk')
    Object.assign(context, { store: real })
    expect(await route(HOST)).toEqual({ kind: 'intercept' })
  })
})

describe('a provider that was stored and not granted', () => {
  const judge = (changes: Parameters<typeof request>[1] = {}) =>
    yard.gate.judge(request('/look/t1', changes), NEVER)
  const ungranted = () => open(thingsGuard(), { grants: [] })

  it('is refused with any credential, and the person hears of it', async () => {
    await ungranted()
    for (const fields of [[['x-key', 'stolen']], [['cookie', 'a=stolen']]] as const) {
      expect(refused(await judge({ fields })).code).toBe('provider_not_granted')
    }
    expect(refused(await judge({ fields: [], query: 'token=stolen' })).code).toBe(
      'provider_not_granted',
    )
    const lease = await yard.context.store.read.lease(yard.task.lease)
    expect(lease?.foreignCredentials).toHaveLength(2)
  })

  it('is reached without one, and without a websocket that could bring one along', async () => {
    await ungranted()
    expect(await judge({ fields: [] })).toEqual({ kind: 'allow' })
    expect((await entriesOf(yard))[0]?.data).toMatchObject({ credential: 'none', grant: null })
    expect(refused(await judge({ fields: [], upgrade: 'websocket' })).code).toBe('operation_denied')
  })

  it('is also the address of a connection that was not granted, beside one that was', async () => {
    const { context } = await open()
    await store(context, 'things-other', 'https://own.things.example:8443')
    const host = 'own.things.example'
    expect(await yard.gate.route({ host, port: 8443, from: 'connect' })).toEqual({
      kind: 'intercept',
    })
    expect(refused(await judge({ host })).code).toBe('provider_not_granted')
  })
})

it('what was put aside for a secret is its fingerprint, the same in every wrapping', async () => {
  const bearer = { header: 'authorization', scheme: 'bearer' } as const
  const raw = { header: 'x-key', scheme: 'raw' } as const
  const { gate, context, task } = await open(thingsGuard({ carriers: [bearer, raw] }))
  for (const fields of [
    [['x-key', 'stolen']],
    [['authorization', 'Bearer stolen']],
    [['authorization', `Basic ${Buffer.from('me:stolen').toString('base64')}`]],
  ] as const) {
    expect(refused(await gate.judge(request('/look/t1', { fields }), NEVER)).code).toBe(
      'foreign_credential',
    )
  }
  const lease = await context.store.read.lease(task.lease)
  expect(lease?.foreignCredentials).toMatchObject([{ fingerprint: context.fingerprint('stolen') }])
})
