import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { LeaseGate } from '../../src/broker/authorize/gate.ts'
import { Remembered } from '../../src/broker/authorize/remembered.ts'
import { connect } from '../../src/broker/connect.ts'
import type { Classified, RequestFacts, Verdict } from '../../src/core/guard.ts'
import { malformed } from '../../src/core/refused.ts'
import type { Risk } from '../../src/core/risk.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Guard } from '../../src/providers/guard.ts'
import { classify as classifyRailway } from '../../src/providers/railway/guard/classify.ts'
import { mintedSuffices } from '../../src/providers/railway/guard/suffices.ts'
import { Dealer, grow, plainly } from '../fixtures/railway/grammar.ts'
import { request as railwayRequest } from '../fixtures/railway/request.ts'
import {
  classified,
  entriesOf,
  HERE,
  NEVER,
  openYard,
  operation,
  request,
  thingsGuard,
  type Yard,
} from './authorize-fixture.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

const BASE: RequestFacts = {
  method: 'POST',
  authority: 'api.things.example',
  path: '/look/t1',
  query: 'page=1',
  headers: [
    ['accept', 'a'],
    ['x-two', 'b'],
  ],
  body: bytes('{"id":"t1"}'),
}

/** All that it is shown, said back: whatever is left out of a comparison shows in the verdict. */
function echo({ body, ...head }: RequestFacts, risk: Risk = 'read'): Classified {
  const id = JSON.stringify([head, body && Buffer.from(body).toString('hex')])
  return classified({ operations: [{ ...operation('look', id), risk }] })
}

/** A guard, and how often it was asked. */
function counting(classify: (facts: RequestFacts) => Verdict = (facts) => echo(facts)) {
  const asked = { times: 0 }
  const guard = thingsGuard({
    classify: (facts) => {
      asked.times++
      return classify(facts)
    },
  })
  return { guard, asked }
}

/** How often the guard is asked when the same request comes that many times. */
function askedFor(remembered: Remembered, guard: Guard, asked: { times: number }) {
  return (facts: RequestFacts, times = 1): number => {
    const before = asked.times
    for (let n = 0; n < times; n++) remembered.classify(guard, facts)
    return asked.times - before
  }
}

function watched(classify?: (facts: RequestFacts) => Verdict) {
  const { guard, asked } = counting(classify)
  const remembered = new Remembered()
  return { remembered, guard, count: askedFor(remembered, guard, asked) }
}

describe('a request is read anew', () => {
  const others: readonly (readonly [name: string, changes: Partial<RequestFacts>])[] = [
    ['another method', { method: 'GET' }],
    ['another authority', { authority: 'api.things.example:8443' }],
    ['another path', { path: '/look/t2' }],
    ['another query', { query: 'page=2' }],
    ['an empty query', { query: '' }],
    ['no query', { query: null }],
    ['another value of a header', { headers: [['accept', 'c'], ...BASE.headers.slice(1)] }],
    ['other letters in a name', { headers: [['Accept', 'a'], ...BASE.headers.slice(1)] }],
    ['headers in another order', { headers: BASE.headers.toReversed() }],
    ['a header that stands twice', { headers: [...BASE.headers, ['x-two', 'b']] }],
    ['a header less', { headers: BASE.headers.slice(1) }],
    ['a header cut elsewhere', { headers: [['accepta', ''], ...BASE.headers.slice(1)] }],
    ['another byte at the end of the body', { body: bytes('{"id":"t1"]') }],
    ['another byte at its start', { body: bytes(' "id":"t1"}') }],
    ['a longer body', { body: bytes('{"id":"t1"} ') }],
    ['an empty body', { body: bytes('') }],
    ['a body that was not read', { body: null }],
  ]
  for (const [name, changes] of others) {
    it(`when it has ${name}`, () => {
      const { remembered, guard, count } = watched()
      expect(count(BASE, 4)).toBe(2)
      const other = { ...BASE, ...changes }
      expect(count(other)).toBe(1)
      for (let n = 0; n < 3; n++) expect(remembered.classify(guard, other)).toEqual(echo(other))
      expect(count(other)).toBe(0)
      expect(remembered.classify(guard, BASE)).toEqual(echo(BASE))
    })
  }

  it('whatever came before it: what is told of it is what the guard says of it alone', () => {
    const few = (...values: string[]) => fc.constantFrom(...values)
    const facts: fc.Arbitrary<RequestFacts> = fc.record({
      method: few('GET', 'POST'),
      authority: few('a', 'b'),
      path: few('/', '/x'),
      query: fc.constantFrom(null, '', 'x'),
      headers: fc.array(fc.tuple(few('a', 'b', ''), few('a', 'b', '')), { maxLength: 2 }),
      body: fc.option(fc.uint8Array({ max: 1, maxLength: 2 })),
    } satisfies { [Part in keyof RequestFacts]: fc.Arbitrary<RequestFacts[Part]> })
    // A change of one part, so that nearly the same request is what comes most often.
    const parts = fc.constantFrom<keyof RequestFacts>(
      ...(['method', 'authority', 'path', 'query', 'headers', 'body'] as const),
    )
    let [asks, sent] = [0, 0]
    fc.assert(
      fc.property(facts, fc.array(fc.tuple(parts, facts), { maxLength: 12 }), (first, changes) => {
        const { guard, asked } = counting()
        const remembered = new Remembered()
        for (const [part, other] of changes) {
          const near = { ...first, [part]: other[part] }
          for (const one of [first, first, near, near, near]) {
            expect(remembered.classify(guard, one)).toEqual(echo(one))
            sent++
          }
        }
        asks += asked.times
      }),
      { numRuns: 300 },
    )
    expect(asks).toBeLessThan(sent / 2)
  })

  it('when the guard refused it, each time', () => {
    const { count } = watched(() => malformed('not this way').refusal)
    expect(count(BASE, 5)).toBe(5)
  })

  it('when the guard broke, each time', () => {
    const { guard, asked } = counting(() => {
      throw new Error('boom')
    })
    const remembered = new Remembered()
    for (let n = 0; n < 3; n++) expect(() => remembered.classify(guard, BASE)).toThrow('boom')
    expect(asked.times).toBe(3)
  })

  it('when it changes something, or reads a secret, or runs nothing, each time', () => {
    for (const risk of ['write', 'secret', 'execute', 'destructive', 'admin'] as const) {
      const { count } = watched((facts) => {
        const { operations } = echo(facts, risk)
        return classified({ operations: [operation('look', 't1'), ...operations] })
      })
      expect(count(BASE, 5), risk).toBe(5)
    }
    expect(watched(() => classified({})).count(BASE, 5)).toBe(5)
  })

  it('by another guard, and by another lease', () => {
    const { remembered, guard, count } = watched()
    expect(count(BASE, 4)).toBe(2)
    const other = counting((facts) => echo(facts, 'admin'))
    expect(remembered.classify(other.guard, BASE)).toEqual(echo(BASE, 'admin'))
    expect(new Remembered().classify(guard, BASE)).toEqual(echo(BASE))
    expect(count(BASE)).toBe(0)
  })
})

describe('what is remembered', () => {
  it('is what came twice, so that what comes once is held nowhere', () => {
    const { count } = watched()
    expect([count(BASE), count(BASE), count(BASE), count(BASE)]).toEqual([1, 1, 0, 0])
    const numbered = (n: number) => ({ ...BASE, headers: [['x-request-id', `${n}`]] as const })
    for (let n = 0; n < 9; n++) expect(count(numbered(n))).toBe(1)
    expect([count(numbered(8)), count(numbered(8))]).toEqual([1, 0])
  })

  it('is nothing where no two requests are alike', () => {
    const { count } = watched()
    const variants = Array.from({ length: 200 }, (_, n) => ({ ...BASE, path: `/look/t${n}` }))
    for (let round = 0; round < 3; round++) {
      for (const variant of variants) expect(count(variant)).toBe(1)
    }
  })

  it('is no request that came before the last 32 others, for the second time or not', () => {
    const { count } = watched()
    count(BASE)
    for (let n = 0; n < 32; n++) count({ ...BASE, path: `/other/t${n}` })
    expect([count(BASE), count(BASE), count(BASE)]).toEqual([1, 1, 0])
  })

  it('is of the last 32 requests', () => {
    const { count } = watched()
    const variants = Array.from({ length: 33 }, (_, n) => ({ ...BASE, path: `/look/t${n}` }))
    for (const variant of variants) count(variant, 2)
    expect(variants.slice(1).map((variant) => count(variant))).toEqual(Array(32).fill(0))
    expect(count({ ...BASE, path: '/look/t0' })).toBe(1)
  })

  it('is no body of more than 64 KiB', () => {
    const { count } = watched()
    expect(count({ ...BASE, body: new Uint8Array(64 * 1024) }, 5)).toBe(2)
    expect(count({ ...BASE, body: new Uint8Array(64 * 1024 + 1) }, 5)).toBe(5)
  })

  const KIB = 1024
  const large: readonly (readonly [string, (n: number) => RequestFacts, typeof echo])[] = [
    ['bodies', (n) => ({ ...BASE, body: new Uint8Array(60 * KIB).fill(n) }), echo],
    ['headers', (n) => ({ ...BASE, headers: [[`x-${n}`, 'a'.repeat(60 * KIB)]] }), echo],
    ['paths', (n) => ({ ...BASE, path: `/${n}${'a'.repeat(60 * KIB)}` }), echo],
    ['queries', (n) => ({ ...BASE, query: `${n}${'a'.repeat(60 * KIB)}` }), echo],
    [
      'texts to be sent',
      (n) => ({ ...BASE, path: `/${n}` }),
      () =>
        classified({
          operations: [operation('look', 't1')],
          forward: { kind: 'body', contentType: 'text/plain', text: 'a'.repeat(60 * KIB) },
        }),
    ],
    [
      'resources',
      (n) => ({ ...BASE, path: `/${n}` }),
      () => {
        const resources = Array.from({ length: 600 }, (_, id) => ({ kind: 'thing', id: `${id}` }))
        return classified({ operations: [{ ...operation('look', 't1'), resources }] })
      },
    ],
  ]
  for (const [name, facts, classify] of large) {
    it(`is at most 512 KiB, ${name} counted`, () => {
      const { count } = watched((one) => classify(one))
      for (let n = 0; n < 12; n++) count(facts(n), 2)
      const asked = Array.from({ length: 12 }, (_, n) => count(facts(11 - n)))
      expect(asked.slice(0, 7)).toEqual(Array(7).fill(0))
      expect(asked.slice(9)).toEqual([1, 1, 1])
    })
  }

  it('is nothing that is larger than that by itself, and it pushes nothing out', () => {
    const { count } = watched((facts) => {
      const text = facts.path === '/look/t1' ? '' : 'a'.repeat(513 * KIB)
      const forward = { kind: 'body', contentType: 'text/plain', text } as const
      return classified({ operations: [operation('look', 't1')], forward })
    })
    expect(count(BASE, 3)).toBe(2)
    expect(count({ ...BASE, path: '/look/all' }, 3)).toBe(3)
    expect(count(BASE)).toBe(0)
  })

  it('is the request as it was, whatever becomes of the buffer it came in', () => {
    const { remembered, guard, count } = watched()
    const pool = Buffer.from('....{"id":"t1"}....')
    const first = { ...BASE, body: pool.subarray(4, 15) }
    expect(count(first, 3)).toBe(2)
    pool.fill('x')
    expect(remembered.classify(guard, first)).toEqual(echo(first))
    expect(count(BASE)).toBe(0)
  })

  it('is the request as it was, whatever becomes of its list of headers', () => {
    const { remembered, guard, count } = watched()
    const headers = BASE.headers.map(([name, value]): [string, string] => [name, value])
    const first = { ...BASE, headers }
    expect(count(first, 3)).toBe(2)
    for (const change of [
      () => headers.push(['accept', 'c']),
      () => Object.assign(headers[0] ?? [], { 1: 'c' }),
    ]) {
      change()
      expect(remembered.classify(guard, first)).toEqual(echo(first))
      expect(count(BASE)).toBe(0)
    }
  })

  it('cannot be changed by who gets it, however deep', () => {
    const { remembered, guard } = watched()
    remembered.classify(guard, BASE)
    const second = remembered.classify(guard, BASE)
    const change = (act: (verdict: { operations: unknown[] }) => void) => () =>
      act(second as unknown as { operations: unknown[] })
    type Deep = { resources: { id: string }[]; environments: { resource: { id: string } }[] }
    for (const act of [
      change((verdict) => verdict.operations.pop()),
      change((verdict) => Object.assign(verdict, { operations: [] })),
      change((verdict) => (verdict.operations[0] as Deep).resources.push({ id: 'other' })),
      change((verdict) => Object.assign((verdict.operations[0] as Deep).resources[0] ?? {}, BASE)),
      change((verdict) =>
        Object.assign((verdict.operations[0] as Deep).environments[0]?.resource ?? {}, BASE),
      ),
      change((verdict) => Object.assign((verdict as unknown as Classified).forward, BASE)),
    ]) {
      expect(act).toThrow(TypeError)
    }
    expect(remembered.classify(guard, BASE)).toEqual(echo(BASE))
  })

  it('is what railway’s guard says, of whatever document', () => {
    const guard = thingsGuard({ classify: classifyRailway })
    const numbers = fc.array(fc.nat({ max: 9999 }), { minLength: 1, maxLength: 40 })
    const documents = fc.array(numbers, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(documents, (each) => {
        const remembered = new Remembered()
        const all = each.map((one) => {
          const { query, variables } = plainly(grow(new Dealer(one)))
          return railwayRequest(JSON.stringify({ query, variables }))
        })
        for (const facts of [...all, ...all, ...all]) {
          const verdict = remembered.classify(guard, facts)
          expect(verdict).toEqual(classifyRailway(facts))
          if (verdict.outcome === 'classified') mintedSuffices(verdict)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('a request whose reading is remembered is judged afresh', () => {
  let yard: Yard
  afterEach(() => yard.context.dispose())

  const look = () => request('/look/t1', { body: Buffer.from('{"n":"word-of-the-body"}') })

  /** A gate that has read the request for the last time. */
  async function polled(
    changes: Partial<Guard> = {},
    more: Parameters<typeof openYard>[1] = {},
  ): Promise<{ times: number }> {
    const { guard, asked } = counting(() => classified({ operations: [operation('look', 't1')] }))
    yard = await openYard({ ...guard, ...changes }, more)
    for (let n = 0; n < 3; n++) {
      expect((await yard.gate.judge(look(), NEVER)).kind).toBe('allow')
    }
    expect(asked.times).toBe(2)
    return asked
  }

  async function refusedNow(): Promise<string> {
    const verdict = await yard.gate.judge(look(), NEVER)
    if (verdict.kind !== 'refuse') throw new Error(`it was not refused: ${verdict.kind}`)
    expect((await entriesOf(yard)).map(({ type }) => type)).toEqual([
      ...Array(3).fill('request.allowed'),
      'request.denied',
    ])
    return JSON.parse(verdict.refusal.body).code
  }

  it('when what it names has moved', async () => {
    let where = HERE
    const asked = await polled({ locate: async () => where })
    where = { ...HERE, environments: [{ id: 'env-2', name: 'production' }] }
    expect(await refusedNow()).toBe('environment_mismatch')
    expect(asked.times).toBe(2)
  })

  it('when no rule allows it any more', async () => {
    const allow = ['look']
    const asked = await polled({}, { grant: { rule: { allow, approve: [], deny: [] } } })
    allow.pop()
    expect(await refusedNow()).toBe('operation_denied')
    expect(asked.times).toBe(2)
  })

  it('when a person has to approve it', async () => {
    const approve: string[] = []
    const rule = { allow: ['look'], approve, deny: [] }
    const asked = await polled({}, { grant: { rule } })
    approve.push('look')
    const verdict = await yard.gate.judge(look(), NEVER)
    if (verdict.kind !== 'refuse') throw new Error(`it was not refused: ${verdict.kind}`)
    expect(JSON.parse(verdict.refusal.body).code).toBe('approval_required')
    expect(asked.times).toBe(2)
  })

  it('when what it carries has become a credential', async () => {
    const asked = await polled({ inspect: () => 100 })
    const secret = new Secret('word-of-the-body')
    const connection = { provider: 'things', name: 'things-main', settings: {}, check: false }
    await connect(yard.context, { ...connection, secret })
    expect(await refusedNow()).toBe('foreign_credential')
    expect(asked.times).toBe(2)
  })

  it('when its lease has ended', async () => {
    const asked = await polled()
    yard.context.clock.now = yard.task.expiresAt
    expect(await refusedNow()).toBe('lease_ended')
    expect(asked.times).toBe(2)
  })

  it('in another lease, by its own reading', async () => {
    const asked = await polled()
    const other = new LeaseGate(yard.context, yard.task)
    expect((await other.judge(look(), NEVER)).kind).toBe('allow')
    expect(asked.times).toBe(3)
  })

  it('with an entry of its own each time', async () => {
    await polled()
    expect((await entriesOf(yard)).map(({ type }) => type)).toEqual(
      Array(3).fill('request.allowed'),
    )
  })
})
