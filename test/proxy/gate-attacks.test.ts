import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Json } from '../../src/lib/json.ts'
import { GATE_ATTACKS } from './attacks/gate/all.ts'
import {
  type GateAttack,
  JSON_TYPE,
  type LeaseKind,
  PHANTOM,
  post,
  WIPE_BODY,
} from './attacks/gate/attack.ts'
import { fillSending, refuseTwins } from './attacks/gate/names.ts'
import { type Answered, send } from './attacks/gate/send.ts'
import { type Entry, Stage } from './attacks/gate/stage.ts'

const KINDS = ['wide', 'narrow', 'writer', 'listed'] as const
const stages = new Map<LeaseKind, Stage>()
beforeAll(async () => {
  for (const kind of KINDS) stages.set(kind, await Stage.open(kind))
})
afterAll(async () => {
  for (const stage of stages.values()) await stage.close()
})

function stageOf(kind: LeaseKind): Stage {
  const stage = stages.get(kind)
  if (!stage) throw new Error('the stage is not open')
  return stage
}

interface Problem {
  readonly [member: string]: Json
}

/** The refusal as an agent finds it: the problem itself, or what stands in the place of GraphQL's errors. */
function problemIn({ headers, text }: Answered): Problem {
  const body = JSON.parse(text)
  if (headers['content-type'] === 'application/problem+json') return body
  expect(headers['content-type']).toBe('application/json')
  expect(body.errors).toHaveLength(1)
  expect(body.errors[0].message).toEqual(expect.stringMatching(/\S/))
  return body.errors[0].extensions
}

async function denials(stage: Stage, mark: number): Promise<readonly Entry[]> {
  for (let tries = 0; tries < 400; tries++) {
    const entries = await stage.entriesSince(mark)
    if (entries.some(({ type }) => type.endsWith('.denied'))) return entries
    await new Promise((again) => setTimeout(again, 5))
  }
  throw new Error('the refusal was never written down')
}

async function attack(stage: Stage, one: GateAttack): Promise<void> {
  const { guarded, task, names } = stage
  const undo = stage.stageFirst(one)
  const before = { world: stage.world(), production: guarded.cloud.snapshot() }
  const arrived = stage.arrived.length
  const mark = await stage.mark()
  const answer = await send(task, fillSending(one.send, names))
  const entries = await denials(stage, mark)

  expect(stage.arrived.slice(arrived)).toEqual([])
  expect(stage.world()).toBe(before.world)
  expect(guarded.cloud.snapshot()).toEqual(before.production)
  undo()
  answer?.close()

  if (!answer) throw new Error('there was no answer')
  expect(answer.status).toBe(403)
  expect(answer.headers['broker-decision']).toBe('deny')
  const problem = problemIn(answer)
  // What the engine turns away it knows no environment of; there the form of the endpoint is not known either.
  if (one.family === 'graphql' && problem['environment'] !== null) {
    expect(answer.headers['content-type']).toBe('application/json')
  }
  expect(problem['code']).toBe(one.code)
  expect(problem).toEqual({
    ...{ type: 'about:blank', status: 403, code: one.code, lease: task.lease.id },
    title: expect.stringMatching(/\S/),
    detail: expect.stringMatching(/\S/),
    next: expect.stringMatching(/\S/),
    allowed: expect.any(Array),
    operation: problem['operation'] ?? null,
    risk: problem['risk'] ?? null,
    rule: problem['rule'] ?? null,
    environment: problem['environment'] ?? null,
  })

  expect(entries.map(({ data }) => data['code'])).toEqual([one.code])
  const [entry] = entries
  expect(entry?.type).toBe(one.code === 'egress_denied' ? 'egress.denied' : 'request.denied')
  expect(entry?.data['verdict']).toBe('denied')
  for (const secret of [...stage.secrets, ...stage.phantoms]) {
    expect(answer.text).not.toContain(secret)
    expect(JSON.stringify(entries)).not.toContain(secret)
  }
}

for (const family of new Set(GATE_ATTACKS.map((one) => one.family))) {
  describe(`of family ${family}`, () => {
    for (const one of GATE_ATTACKS.filter((each) => each.family === family)) {
      it(`${one.name}: ${one.code}`, () => attack(stageOf(one.lease), one))
    }
  })
}

describe('turned away by the parser, without a word,', () => {
  const unspeakable: readonly (readonly [string, readonly [string, string]])[] = [
    [
      'an absolute URL as the path of HTTP/2',
      [':path', 'https://backboard.railway.app/graphql/v2'],
    ],
    ['a user in the authority of HTTP/2', [':authority', 'x@backboard.railway.com']],
  ]
  for (const [name, field] of unspeakable) {
    it(`is ${name}`, async () => {
      const stage = stageOf('wide')
      const before = { world: stage.world(), arrived: stage.arrived.length }
      const headers = [JSON_TYPE, PHANTOM, field]
      const sending = fillSending(post(WIPE_BODY, { kind: 'h2', headers }), stage.names)
      const answer = await send(stage.task, sending)
      answer?.close()
      expect(answer?.status ?? 403).toBe(403)
      expect(stage.arrived).toHaveLength(before.arrived)
      expect(stage.world()).toBe(before.world)
    })
  }
})

describe('after all of that', () => {
  it('there were enough of them, and no two alike', () => {
    refuseTwins(GATE_ATTACKS)
    expect(GATE_ATTACKS.length).toBeGreaterThan(250)
  })

  for (const kind of KINDS) {
    it(`an ordinary request of the ${kind} lease passes, and carries its own key and nothing else`, async () => {
      const { task, guarded, names, phantoms } = stageOf(kind)
      const { status } = await task.graphql('query($id:String!){environment(id:$id){id}}', {
        id: guarded.cloud.ids.staging,
      })
      expect(status).toBe(200)
      const [arrived, ...more] = stageOf(kind).arrived
      expect(more).toEqual([])
      expect(arrived?.headers).toContainEqual(['project-access-token', names['minted']])
      const record = JSON.stringify(guarded.cloud.record)
      for (const phantom of phantoms) expect(record).not.toContain(phantom)
    })

    it(`no key and no phantom of the ${kind} lease stands in the database or the log`, () => {
      const stage = stageOf(kind)
      const kept = stage.kept()
      for (const secret of [...stage.secrets, ...stage.phantoms]) expect(kept).not.toContain(secret)
    })
  }

  it('the person hears of every key that was found, by a fingerprint', async () => {
    const { guarded, task, names } = stageOf('wide')
    const lease = await guarded.context.store.read.lease(task.lease.id)
    const known = new Set(lease?.foreignCredentials.map(({ fingerprint }) => fingerprint))
    for (const name of ['accountToken', 'productionCi', 'stagingCi', 'otherMinted', 'minted']) {
      expect(known).toContain(guarded.context.fingerprint(names[name] ?? ''))
    }
    // Its own phantom in the wrong place is a mistake, not a key that was found.
    expect(known).not.toContain(guarded.context.fingerprint(task.phantom))
  })
})
