import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LeaseSession } from '../../src/client/lease-session.ts'
import type { ServerEnd } from '../../src/client/server-end.ts'
import type { SessionEvents } from '../../src/client/session-terms.ts'
import { type BrokerError, isBrokerError } from '../../src/errors.ts'
import { FakeServer, HANDLE, TOKEN } from './remote-fake-server.ts'

let fake: FakeServer
const never = new Promise<void>(() => {})
/** Pauses between tries take no time here; what matters is how many there are. */
const pauses: number[] = []
const noPause = {
  sleep: async (ms: number) => {
    pauses.push(ms)
  },
}

function sessionAt(end: ServerEnd, events: Partial<SessionEvents> = {}) {
  return new LeaseSession(end, {
    asked: () => {},
    pending: () => {},
    endedEarly: () => {},
    gone: () => {},
    ...events,
  })
}

async function held(events: Partial<SessionEvents> = {}) {
  const mine = sessionAt(fake.end(), events)
  await mine.ask({ environment: 'ci' })
  await mine.bind()
  return mine
}

async function refusal(end = fake.end(noPause)): Promise<BrokerError> {
  const error = await sessionAt(end)
    .ask({ environment: 'ci' })
    .then(() => undefined)
    .catch((thrown: unknown) => thrown)
  if (isBrokerError(error)) return error
  throw new Error('it was not refused', { cause: error })
}

beforeEach(async () => {
  pauses.length = 0
  fake = await FakeServer.start()
})
afterEach(async () => {
  await fake.close()
})

describe('a session with a server is refused', () => {
  it('by a certificate that nobody here trusts, and the identity token stays here', async () => {
    const { url } = fake
    const strange = fake.end({
      ...noPause,
      server: { url },
      upgrade: (await import('../../src/client/server-upgrade.ts')).upgraderTo({ url }, {}),
    })
    const error = await refusal(strange)
    expect(error.code).toBe('daemon_unreachable')
    expect(error.message).toBe(
      `the certificate of "${url}" is not signed by a root that is trusted here`,
    )
    expect([fake.arrived, pauses]).toEqual([[], []])
  })

  it('by a certificate of another name', async () => {
    await fake.close()
    fake = await FakeServer.start('broker.example')
    const error = await refusal()
    expect(error.message).toBe(`the certificate of "${fake.url}" is one for another name`)
    expect(fake.arrived).toEqual([])
  })

  it('where it is sent elsewhere: the token is for this server alone', async () => {
    const other = await FakeServer.start()
    fake.upgrade = (_request, socket) => {
      socket.end(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${other.url}/v1/session\r\n\r\n`)
      return false
    }
    const error = await refusal()
    expect(error.message).toBe(`"${fake.url}" sends us elsewhere (307), which is not followed`)
    expect(other.arrived).toEqual([])
    await other.close()
  })

  it('by some other web server', async () => {
    fake.upgrade = (_request, socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello')
      return false
    }
    const error = await refusal()
    expect(error.message).toBe(`"${fake.url}" does not answer as a broker (200)`)
  })

  it('by one that takes up another protocol', async () => {
    fake.upgrade = (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\n')
      return false
    }
    expect((await refusal()).message).toBe(`"${fake.url}" does not answer as a broker (101)`)
  })

  it('with its own words, once', async () => {
    fake.upgrade = (_request, socket) => {
      const body = JSON.stringify({ error: { code: 'subject_refused', message: 'no', hint: 'h' } })
      socket.end(`HTTP/1.1 401 Unauthorized\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return false
    }
    expect(await refusal()).toMatchObject({ code: 'subject_refused', message: 'no', hint: 'h' })
    expect([fake.arrived.length, pauses]).toEqual([1, []])
  })

  it('in a frame, and nothing is asked a second time: the token is used up', async () => {
    fake.answer = (_frame, send, socket) => {
      const error = { code: 'target_refused', message: 'not there', hint: 'h', details: {} }
      send({ type: 'error', error })
      socket.end()
    }
    expect(await refusal()).toMatchObject({ code: 'target_refused', message: 'not there' })
    expect(fake.types()).toEqual(['request'])
  })

  it('in a frame of a passing fault, which may have used up the token all the same', async () => {
    fake.answer = (_frame, send, socket) => {
      send({ type: 'error', error: { code: 'storage_full', message: 'm', hint: 'h', details: {} } })
      socket.end()
    }
    expect(await refusal()).toMatchObject({ code: 'storage_full' })
    expect([fake.types(), pauses]).toEqual([['request'], []])
  })

  it('when the line breaks while the lease is made, and that is not asked again either', async () => {
    fake.answer = (_frame, _send, socket) => socket.destroy()
    const error = await refusal()
    expect(error).toMatchObject({
      code: 'daemon_unreachable',
      message: `the server "${fake.url}" went away while it made the lease`,
    })
    expect(fake.types()).toEqual(['request'])
  })

  it('after three tries by a server that is not there', async () => {
    await fake.stop()
    expect((await refusal()).message).toBe(`nobody listens at "${fake.url}"`)
    expect(pauses).toHaveLength(2)
  })
})

describe('a session with a server', () => {
  it('begins although the server was busy at first', async () => {
    let tries = 0
    fake.upgrade = (_request, socket) => {
      if (++tries > 2) return true
      const error = { code: 'issuer_unavailable', message: 'later', hint: 'h' }
      const body = JSON.stringify({ error })
      socket.end(`HTTP/1.1 503 Later\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return false
    }
    const mine = sessionAt(fake.end(noPause))
    const { variables } = await mine.ask({ environment: 'ci' })
    expect(variables.reveal()).toMatchObject({ V: 'v' })
    expect([tries, pauses.length]).toEqual([3, 2])
    mine.close()
  })

  it('is opened by the identity token and taken up again by the lease’s own credential', async () => {
    const mine = await held()
    const back = new Promise<void>((done) => {
      fake.answer = (frame, send) => {
        fake.usual(frame, send)
        if (frame.type === 'resume') done()
      }
    })
    for (const socket of fake.open.splice(0)) socket.destroy()
    await back
    expect(fake.seen.at(-1)).toMatchObject({ type: 'resume', secret: 's' })
    expect(fake.arrived.map(({ authorization }) => authorization)).toEqual([
      `Bearer ${TOKEN}`,
      `Bearer ${HANDLE}`,
    ])
    const outcome = await mine.end({ exitCode: 0, signal: null }, never)
    expect(outcome).toMatchObject({ confirmed: true, elapsedMs: 5 })
  })

  it('survives a server that starts again', async () => {
    const mine = await held()
    await fake.stop()
    await fake.listen()
    const outcome = await mine.end({ exitCode: 0, signal: null }, never)
    expect(outcome).toMatchObject({ confirmed: true })
    expect(fake.types()).toContain('resume')
  })

  it('learns of its end by the lease’s own credential when the server knows the session no more', async () => {
    const mine = await held()
    let asked = 0
    fake.upgrade = (_request, socket) => {
      const body = JSON.stringify({ error: { code: 'lease_ended', message: 'm', hint: 'h' } })
      socket.end(`HTTP/1.1 410 Gone\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return false
    }
    fake.http = (request, response) => {
      if (request.url !== '/oauth/revoke') return response.writeHead(410).end('{}')
      asked++
      if (asked === 1) return response.writeHead(503).end('{}')
      const state = asked === 2 ? 'revoking' : 'revoked'
      return response.writeHead(200, { 'broker-lease-state': state }).end()
    }
    for (const socket of fake.open.splice(0)) socket.destroy()
    const outcome = await mine.end({ exitCode: 0, signal: null }, never)
    expect(outcome).toMatchObject({ confirmed: true, lease: { state: 'revoked' } })
    expect(asked).toBe(3)
    expect(fake.arrived.at(-1)?.body).toBe(`token=${HANDLE}`)
  })

  it('is told to be over when the server does not come back, and says until when the lease may live', async () => {
    const gone = Promise.withResolvers<BrokerError>()
    const mine = await held({ gone: gone.resolve })
    await fake.stop()
    const error = await gone.promise
    expect(error.message).toBe(`the server "${fake.url}" went away and did not come back`)
    expect(error.hint).toContain(fake.lease().expiresAt)
    expect(await mine.lastTry()).toBeUndefined()
  })

  it('is ended all the same, if the server is back by then', async () => {
    const gone = Promise.withResolvers<BrokerError>()
    const mine = await held({ gone: gone.resolve })
    await fake.stop()
    await gone.promise
    fake.http = (_request, response) => {
      response.writeHead(200, { 'broker-lease-state': 'revoked' }).end()
    }
    await fake.listen()
    expect(await mine.lastTry()).toMatchObject({ state: 'revoked' })
  })
})
