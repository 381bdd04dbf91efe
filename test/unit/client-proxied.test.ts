import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LeaseView } from '../../src/api/types.ts'
import { LeaseSession } from '../../src/client/lease-session.ts'
import { LocalEnd } from '../../src/client/local-end.ts'
import type { SessionEvents } from '../../src/client/session-terms.ts'
import { FakeDaemon, LEASE } from './client-fake-daemon.ts'

let fake: FakeDaemon
afterEach(() => fake.close())

async function held(proxied: boolean, events: Partial<SessionEvents> = {}) {
  fake.answer = (frame, send) => {
    if (frame.type === 'request') send(fake.grant(proxied ? fake.proxy() : null))
    else fake.usual(frame, send)
  }
  const mine = new LeaseSession(new LocalEnd(fake.place()), {
    asked: () => {},
    pending: () => {},
    endedEarly: () => {},
    gone: () => {},
    ...events,
  })
  await mine.ask({ environment: 'staging' })
  await mine.bind()
  return mine
}

describe('a daemon older than we are', () => {
  beforeEach(async () => {
    fake = new FakeDaemon('0.0.0-alpha')
    await fake.listen()
    // It refuses to stop, which shows that it was asked to.
    fake.http = (request, response) => {
      response.statusCode = request.method === 'POST' ? 403 : 200
      response.end(JSON.stringify({ status: 'ok', ...fake.daemon, socket: '', home: '' }))
    }
  })

  it('is not replaced under a proxied lease, whose proxy would end with it', async () => {
    const mine = await held(true)
    expect(fake.asked).toEqual([])
    mine.close()
  })

  it('is replaced under any other', async () => {
    await expect(held(false)).rejects.toMatchObject({ message: 'an older daemon refuses to stop' })
  })
})

describe('a daemon that comes back without the lease', () => {
  beforeEach(async () => {
    fake = new FakeDaemon()
    await fake.listen()
  })

  it('is asked why it ended', async () => {
    const ended = { ...LEASE, state: 'revoked', endReason: 'proxy_lost', endedAt: LEASE.expiresAt }
    const told = Promise.withResolvers<LeaseView | undefined>()
    const mine = await held(true, { endedEarly: told.resolve })
    fake.http = (request, response) => {
      const health = { status: 'ok', ...fake.daemon, socket: '', home: '' }
      response.end(JSON.stringify(request.url === `/v1/leases/${LEASE.id}` ? ended : health))
    }
    fake.answer = (_frame, send) => {
      const error = { code: 'lease_ended', message: 'm', hint: 'h', details: {} }
      send({ type: 'error', error })
    }
    fake.open[0]?.destroy()
    expect(await told.promise).toMatchObject({ endReason: 'proxy_lost' })
    mine.close()
  })
})
