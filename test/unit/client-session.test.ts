import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClientFrame, DaemonFrame } from '../../src/api/session.ts'
import type { LeaseView } from '../../src/api/types.ts'
import { callerOf } from '../../src/client/caller.ts'
import { LeaseSession, type SessionEvents } from '../../src/client/lease-session.ts'
import { VERSION } from '../../src/client/version.ts'
import type { BrokerError } from '../../src/errors.ts'
import { parseExec } from '../../src/exec/parse.ts'
import { runTask } from '../../src/exec/task.ts'
import { resolveHome } from '../../src/lib/home.ts'

const LEASE = {
  id: 'lse_01m7yqwkgywv3ze5n3wze3myq6',
  state: 'active',
  environment: 'staging',
  template: { name: 'default', version: 1, sha256: 'x' },
  isolation: 'scrub',
  issuedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2026-01-01T00:30:00.000Z',
  endedAt: null,
  grants: [],
} as unknown as LeaseView

let folder = ''
let server: Server
let seen: ClientFrame[] = []
let open: Socket[] = []
let answer: (frame: ClientFrame, send: (frame: DaemonFrame) => void, socket: Socket) => void
let upgrade: (request: IncomingMessage, socket: Socket) => boolean

const daemon = { pid: process.pid, version: VERSION }
const grant = { type: 'lease', lease: LEASE, variables: { V: 'v' }, secret: 's', daemon } as const

/** The daemon's side of the protocol, over a real socket; tests say what it answers. */
function serve(): Promise<void> {
  server = createServer((_request, response) => {
    response.end(JSON.stringify({ status: 'ok', ...daemon, socket: '', home: '' }))
  })
  server.on('upgrade', (request, raw, head) => {
    const socket = raw as Socket
    open.push(socket)
    socket.on('error', () => {})
    if (!upgrade(request, socket)) return
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    const send = (frame: DaemonFrame) => socket.write(`${JSON.stringify(frame)}\n`)
    createInterface({ input: socket }).on('line', (line) => {
      const frame = JSON.parse(line) as ClientFrame
      seen.push(frame)
      answer(frame, send, socket)
    })
  })
  return new Promise((resolve) => server.listen(place().home.socket, resolve))
}

function place(env: NodeJS.ProcessEnv = {}) {
  const all = { PATH: process.env['PATH'], BROKER_HOME: folder, ...env }
  const home = resolveHome(all)
  return { env: all, home, caller: callerOf(home, all), distFolder: '/nonexistent', cwd: folder }
}

function session(events: Partial<SessionEvents> = {}) {
  return new LeaseSession(place(), {
    asked: () => {},
    endedEarly: () => {},
    gone: () => {},
    ...events,
  })
}

const usual: typeof answer = (frame, send) => {
  if (frame.type === 'request') send(grant)
  if (frame.type === 'ack') send({ type: 'bound' })
  if (frame.type === 'resume') send({ type: 'resumed', daemon })
  if (frame.type === 'detach') send({ type: 'detached' })
  if (frame.type === 'ping') send({ type: 'pong' })
  if (frame.type === 'end') {
    send({ type: 'ended', lease: { ...LEASE, state: 'revoked' }, elapsedMs: 5 })
  }
}

const never = new Promise<void>(() => {})
const types = () => seen.map((frame) => frame.type)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'session-'))
  for (const name of ['run', 'config', 'state']) mkdirSync(join(folder, name), { mode: 0o700 })
  writeFileSync(join(folder, 'config', 'operator.key'), 'bko_key\n')
  seen = []
  open = []
  answer = usual
  upgrade = () => true
  await serve()
})
afterEach(() => {
  for (const socket of open) socket.destroy()
  server.close()
  rmSync(folder, { recursive: true })
})

describe('a session is refused', () => {
  it('with the daemon’s own words, over HTTP', async () => {
    upgrade = (_request, socket) => {
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
    answer = (_frame, send, socket) => {
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
    answer = (frame, send, socket) => {
      if (frame.type === 'request') send(grant)
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
    upgrade = (_request, socket) => {
      socket.end('SSH-2.0-OpenSSH_9.9\r\n\r\n')
      return false
    }
    await expect(
      new LeaseSession(place({ BROKER_HANDLE: 'h', BROKER_SOCKET: place().home.socket }), {
        asked: () => {},
        endedEarly: () => {},
        gone: () => {},
      }).ask({ environment: 'staging' }),
    ).rejects.toMatchObject({ code: 'daemon_unreachable' })
  })
})

describe('the command', () => {
  const options = (script: string) =>
    parseExec(['--env', 'staging', '--quiet', '--', 'sh', '-c', script])

  it('is not started before the lease is bound', async () => {
    const marker = join(folder, 'ran')
    let early: boolean | undefined
    answer = (frame, send) => {
      if (frame.type !== 'ack') return usual(frame, send, open[0] as Socket)
      // Long enough for a child to run, had it been started.
      setTimeout(() => {
        early = existsSync(marker)
        send({ type: 'bound' })
      }, 300)
    }
    expect(await runTask(options(`touch "${marker}"`), 'sh', place())).toBe(0)
    expect(early).toBe(false)
    expect(existsSync(marker)).toBe(true)
    expect(types()).toEqual(['request', 'ack', 'started', 'end'])
  })

  it('sends the name of the command along, and none of its arguments', async () => {
    await runTask(options('exit 0 # hunter2'), 'sh', place())
    expect(JSON.stringify(seen)).not.toContain('hunter2')
    expect(seen[0]).toMatchObject({
      request: { environment: 'staging', isolation: 'scrub', actor: { command: 'sh' } },
    })
  })
})

describe('a broken line', () => {
  it('is taken up again with the secret, and what was on its way is said again', async () => {
    const mine = session()
    await mine.ask({ environment: 'staging' })
    await mine.bind()
    answer = (frame, send, socket) => {
      if (frame.type === 'end' && open.length === 1) socket.destroy()
      else usual(frame, send, socket)
    }
    const outcome = await mine.end({ exitCode: 0, signal: null }, never)
    expect(outcome).toMatchObject({ confirmed: true, elapsedMs: 5 })
    expect(types()).toEqual(['request', 'ack', 'end', 'resume', 'end'])
    expect(seen[3]).toEqual({ type: 'resume', lease: LEASE.id, secret: 's' })
  })

  it('whose lease has ended meanwhile is told once', async () => {
    const told: unknown[] = []
    const mine = session({ endedEarly: () => told.push('ended') })
    await mine.ask({ environment: 'staging' })
    await mine.bind()
    const resumed = new Promise<void>((resolve) => {
      answer = (_frame, send) => {
        const error = { code: 'lease_ended', message: 'm', hint: 'h', details: {} }
        send({ type: 'error', error })
        resolve()
      }
    })
    open[0]?.destroy()
    await resumed
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(told).toEqual(['ended'])
    expect(types().filter((type) => type === 'resume')).toHaveLength(1)
    mine.close()
  })

  for (const inTask of [false, true]) {
    const where = inTask ? 'inside a task' : 'outside of one'
    it(`to a daemon that does not come back ends the session, ${where}`, async () => {
      const env = inTask ? { BROKER_HANDLE: 'h', BROKER_SOCKET: place().home.socket } : {}
      const { promise, resolve } = Promise.withResolvers<BrokerError>()
      const mine = new LeaseSession(place(env), {
        asked: () => {},
        endedEarly: () => {},
        gone: resolve,
      })
      await mine.ask({ environment: 'staging' })
      await mine.bind()
      server.close()
      for (const socket of open) socket.destroy()
      expect(await promise).toMatchObject({
        code: 'daemon_unreachable',
        message: 'the daemon went away and did not come back',
      })
    })
  }
})

describe('the end', () => {
  it('that is not confirmed is reported as such when the person cuts the wait', async () => {
    answer = (frame, send, socket) => {
      if (frame.type !== 'end') return usual(frame, send, socket)
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
