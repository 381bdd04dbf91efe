import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LeaseSession } from '../../src/client/lease-session.ts'
import { LocalEnd } from '../../src/client/local-end.ts'
import type { BrokerError } from '../../src/errors.ts'
import { APPROVAL_ID, approval, FakeDaemon, LEASE } from './client-fake-daemon.ts'

let fake: FakeDaemon
beforeEach(async () => {
  fake = new FakeDaemon()
  await fake.listen()
})
afterEach(() => {
  vi.useRealTimers()
  fake.close()
})

function session(pending: (id: string) => void = () => {}) {
  return new LeaseSession(new LocalEnd(fake.place()), {
    asked: () => {},
    pending: (wanted) => pending(wanted.id),
    endedEarly: () => {},
    gone: () => {},
  })
}

const refusals = ['approval_denied', 'approval_lapsed'] as const

describe('a lease that waits for approval', () => {
  it.each(refusals)('is refused with the daemon’s own words: %s', async (code) => {
    const told: string[] = []
    fake.answer = (_frame, send, socket) => {
      send({ type: 'pending', approval: approval() })
      const hint = 'broker approvals lists them'
      send({
        type: 'error',
        error: { code, message: `approval "${APPROVAL_ID}" …`, hint, details: {} },
      })
      socket.end()
    }
    const error = await session((id) => told.push(id))
      .ask({ environment: 'staging' })
      .catch((e: BrokerError) => e)
    expect(error).toMatchObject({ code, message: `approval "${APPROVAL_ID}" …` })
    expect(told).toEqual([APPROVAL_ID])
    expect(fake.types()).toEqual(['request'])
  })

  it('is void when the daemon goes away', async () => {
    fake.answer = (_frame, send, socket) => {
      send({ type: 'pending', approval: approval() })
      socket.end()
    }
    await expect(session().ask({ environment: 'staging' })).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'the daemon went away while the lease waited for approval',
    })
  })

  const daemons = [
    { name: 'that answers every ping', pongs: true },
    { name: 'whose frames wait behind the decision', pongs: false },
  ]
  it.each(daemons)('is waited for as long as it takes, with a daemon $name', async ({ pongs }) => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'hrtime'],
    })
    let decide = () => {}
    fake.answer = (frame, send) => {
      if (frame.type === 'ping' && pongs) send({ type: 'pong' })
      if (frame.type !== 'request') return
      decide = () => send(fake.grant())
      send({ type: 'pending', approval: approval() })
    }
    const told = Promise.withResolvers<string>()
    const asking = session(told.resolve).ask({ environment: 'staging' })
    asking.catch(() => {})
    expect(await told.promise).toBe(APPROVAL_ID)
    for (let half = 0; half < 1300; half++) {
      await vi.advanceTimersByTimeAsync(500)
      await setImmediate() // the sockets' turn
    }
    expect(fake.types().filter((type) => type === 'ping').length).toBeGreaterThan(pongs ? 250 : 50)
    decide()
    expect((await asking).lease.id).toBe(LEASE.id)
  })
})
