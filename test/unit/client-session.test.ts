import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LeaseView } from '../../src/api/types.ts'
import { LeaseSession } from '../../src/client/lease-session.ts'
import { LocalEnd } from '../../src/client/local-end.ts'
import type { SessionEvents } from '../../src/client/session-terms.ts'
import type { BrokerError } from '../../src/errors.ts'
import { parseExec } from '../../src/exec/parse.ts'
import { runTask } from '../../src/exec/task.ts'
import { FakeDaemon, LEASE } from './client-fake-daemon.ts'

let fake: FakeDaemon

function session(events: Partial<SessionEvents> = {}, env: NodeJS.ProcessEnv = {}) {
  return new LeaseSession(new LocalEnd(fake.place(env)), {
    asked: () => {},
    pending: () => {},
    endedEarly: () => {},
    gone: () => {},
    ...events,
  })
}

const never = new Promise<void>(() => {})
const inTask = () => ({ BROKER_HANDLE: 'h', BROKER_SOCKET: fake.place().home.socket })

beforeEach(async () => {
  fake = new FakeDaemon()
  await fake.listen()
})
afterEach(() => {
  fake.close()
})

describe('a session is refused', () => {
  it('with the daemon’s own words, over HTTP', async () => {
    fake.upgrade = (_request, socket) => {
      const body = JSON.stringify({ error: { code: 'unauthorized', message: 'no', hint: 'h' } })
      socket.end(`HTTP/1.1 401 Unauthorized\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return false
    }
    const error = await session()
      .ask({ environment: 'staging' })
      .catch((e: BrokerError) => e)
    expect(error).toMatchObject({ code: 'unauthorized', message: 'no', hint: 'h' })
  })

  it('with the daemon’s own words, in a frame', async () => {
    fake.answer = (_frame, send, socket) => {
      const error = { code: 'denied', message: 'not you', hint: 'h', details: { a: 1 } }
      send({ type: 'error', error })
      socket.end()
    }
    const error = await session()
      .ask({ environment: 'staging' })
      .catch((e: BrokerError) => e)
    expect(error).toMatchObject({ code: 'denied', message: 'not you', details: { a: 1 } })
  })

  it('when the line breaks before the lease is bound', async () => {
    fake.answer = (frame, send, socket) => {
      if (frame.type === 'request') send(fake.grant())
      else socket.destroy()
    }
    const mine = session()
    await mine.ask({ environment: 'staging' })
    await expect(mine.bind()).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'the daemon went away while it made the lease',
    })
  })

  it('when what answers speaks something else', async () => {
    fake.upgrade = (_request, socket) => {
      socket.end('SSH-2.0-OpenSSH_9.9\r\n\r\n')
      return false
    }
    await expect(session({}, inTask()).ask({ environment: 'staging' })).rejects.toMatchObject({
      code: 'daemon_unreachable',
    })
  })
})

describe('the command', () => {
  const options = (script: string) =>
    parseExec(['--env', 'staging', '--quiet', '--', 'sh', '-c', script])

  it('is not started before the lease is bound', async () => {
    const marker = join(fake.folder, 'ran')
    let early: boolean | undefined
    fake.answer = (frame, send) => {
      if (frame.type !== 'ack') return fake.usual(frame, send)
      // Long enough for a child to run, had it been started.
      setTimeout(() => {
        early = existsSync(marker)
        send({ type: 'bound' })
      }, 300)
    }
    expect(await runTask(options(`touch "${marker}"`), 'sh', fake.place())).toBe(0)
    expect(early).toBe(false)
    expect(existsSync(marker)).toBe(true)
    expect(fake.types()).toEqual(['request', 'ack', 'started', 'end'])
  })

  it('sends the name of the command along, and none of its arguments', async () => {
    await runTask(options('exit 0 # hunter2'), 'sh', fake.place())
    expect(JSON.stringify(fake.seen)).not.toContain('hunter2')
    expect(fake.seen[0]).toMatchObject({
      request: { environment: 'staging', isolation: 'scrub', actor: { command: 'sh' } },
    })
  })
})

describe('a broken line', () => {
  it('is taken up again with the secret, and what was on its way is said again', async () => {
    const mine = session()
    await mine.ask({ environment: 'staging' })
    await mine.bind()
    fake.answer = (frame, send, socket) => {
      if (frame.type === 'end' && fake.open.length === 1) socket.destroy()
      else fake.usual(frame, send)
    }
    const outcome = await mine.end({ exitCode: 0, signal: null }, never)
    expect(outcome).toMatchObject({ confirmed: true, elapsedMs: 5 })
    expect(fake.types()).toEqual(['request', 'ack', 'end', 'resume', 'end'])
    expect(fake.seen[3]).toEqual({ type: 'resume', lease: LEASE.id, secret: 's' })
  })

  it('whose lease has ended meanwhile is told once', async () => {
    const told: unknown[] = []
    const mine = session({ endedEarly: () => told.push('ended') })
    await mine.ask({ environment: 'staging' })
    await mine.bind()
    const resumed = new Promise<void>((resolve) => {
      fake.answer = (_frame, send) => {
        const error = { code: 'lease_ended', message: 'm', hint: 'h', details: {} }
        send({ type: 'error', error })
        resolve()
      }
    })
    fake.open[0]?.destroy()
    await resumed
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(told).toEqual(['ended'])
    expect(fake.types().filter((type) => type === 'resume')).toHaveLength(1)
    mine.close()
  })

  for (const inside of [false, true]) {
    const where = inside ? 'inside a task' : 'outside of one'
    it(`to a daemon that does not come back ends the session, ${where}`, async () => {
      const env = inside ? inTask() : {}
      const { promise, resolve } = Promise.withResolvers<BrokerError>()
      const mine = session({ gone: resolve }, env)
      await mine.ask({ environment: 'staging' })
      await mine.bind()
      fake.server.close()
      for (const socket of fake.open) socket.destroy()
      expect(await promise).toMatchObject({
        code: 'daemon_unreachable',
        message: 'the daemon went away and did not come back',
      })
    })
  }
})

describe('the end', () => {
  it('that is not confirmed is reported as such when the person cuts the wait', async () => {
    fake.answer = (frame, send) => {
      if (frame.type !== 'end') return fake.usual(frame, send)
      const stuck = { name: 'db', state: 'revoking', lastError: 'no route' }
      send({ type: 'notice', lease: { ...LEASE, grants: [stuck] } as unknown as LeaseView })
    }
    const mine = session({
      endedEarly: () => {
        throw new Error('a revocation under way is no early end')
      },
    })
    await mine.ask({ environment: 'staging' })
    await mine.bind()
    const cut = new Promise<void>((resolve) => setTimeout(resolve, 100))
    const outcome = await mine.end({ exitCode: 0, signal: null }, cut)
    expect(outcome.confirmed).toBe(false)
    expect(outcome.lease.grants[0]).toMatchObject({ name: 'db', lastError: 'no route' })
  })
})
