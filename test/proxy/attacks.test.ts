import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Attack } from './attacks/attack.ts'
import { AUTHORITY } from './attacks/authority.ts'
import { FRAMING } from './attacks/framing.ts'
import { SIZE } from './attacks/size.ts'
import { answerOn, PHANTOM, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.open()
})
afterAll(() => world.close())
beforeEach(() => world.clear())

const ways = {
  api: () => world.tls(),
  plain: () => world.through('plain.test:80'),
  proxy: () => world.raw(),
}

async function send({ via, raw }: Attack) {
  const socket = await ways[via]()
  socket.write(Buffer.from(raw, 'latin1'))
  return answerOn(socket)
}

for (const [family, attacks] of Object.entries({
  framing: FRAMING,
  authority: AUTHORITY,
  size: SIZE,
})) {
  describe(`${family}, with bodies inspected,`, () => {
    for (const attack of attacks) {
      it(`refuses ${attack.name}`, async () => {
        world.judging = async ({ body }) =>
          body ? world.allow() : { kind: 'inspect', limit: 4096 }
        const answer = await send(attack)
        expect(answer?.status).toBe(403)
        expect(answer?.head).toMatch(/broker-decision: deny/i)
        expect(answer?.head).toMatch(/content-type: application\/problem\+json/i)
        expect(JSON.parse(answer?.body ?? '')).toMatchObject({
          code: attack.code,
          lease: 'lse_test',
        })
        expect(new Set(world.refusals.map(({ code }) => code))).toEqual(new Set([attack.code]))
        // Turned away for what it is, not for what never came.
        expect(JSON.stringify(world.refusals)).not.toContain('in time')
        expect(world.reached).toBe(0)
        expect(world.outcomes).toEqual([])
      })
    }
  })
}

describe('framing, with bodies streamed,', () => {
  for (const attack of FRAMING.filter(({ late }) => late)) {
    it(`never completes ${attack.name} upstream`, async () => {
      const answer = await send(attack)
      expect(answer?.status ?? 403).toBe(403)
      expect(world.api.arrived).toEqual([])
    })
  }
})

it('takes ordinary requests after all of that, and nothing else has arrived', async () => {
  const socket = await world.tls()
  socket.write(`GET /after HTTP/1.1\r\nHost: api.test\r\nX-Phantom: ${PHANTOM}\r\n\r\n`)
  expect((await answerOn(socket))?.status).toBe(200)
  expect(world.api.arrived.map(({ url }) => url)).toEqual(['/after'])
  expect(FRAMING.length + AUTHORITY.length + SIZE.length).toBeGreaterThan(140)
})
