import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, until } from '../fixtures/broker.ts'
import { FakeServer, HANDLE, TOKEN } from '../unit/remote-fake-server.ts'

let fake: FakeServer
let running: ChildProcess | undefined
beforeEach(async () => {
  fake = await FakeServer.start()
})
afterEach(async () => {
  running?.kill('SIGKILL')
  await fake.close()
})

function job(command: readonly string[], flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const base = {
    PATH: process.env['PATH'],
    HOME: fake.folder,
    TMPDIR: fake.folder,
    BROKER_HOME: join(fake.folder, 'home'),
    BROKER_CA_FILE: join(fake.folder, 'ca.pem'),
    BROKER_ID_TOKEN: TOKEN,
  }
  running = spawn(process.execPath, [BIN, 'exec', '--env', 'ci', ...flags, '--', ...command], {
    env: { ...base, ...env },
    cwd: fake.folder,
  })
  return collect(running)
}

const exec = (flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}, command = RAN) =>
  job(command, ['--server', fake.url, ...flags], env)

const RAN = ['sh', '-c', 'echo RAN']
const SEEN = ['sh', '-c', 'echo "$NO_PROXY $HTTPS_PROXY $BROKER_SOCKET"; cat "$SSL_CERT_FILE"']

describe('what no server offers is refused before anything is asked', () => {
  const cases: [string, string[], NodeJS.ProcessEnv, string][] = [
    ['mask', ['--isolation', 'mask'], {}, 'isolation "mask" is not available with a server'],
    ['confine', ['--isolation=confine'], {}, 'isolation "confine" is not available with a server'],
    ['a dry run', ['--dry-run'], {}, '--dry-run does not go with a server'],
    [
      'a variable that proves who the job is',
      ['--pass', 'CI_JOB_JWT'],
      { CI_JOB_JWT: 'x' },
      '--pass cannot let "CI_JOB_JWT" through to a task of a server',
    ],
    [
      'the same under a name of the person’s own',
      ['--pass', 'MY_IDENTITY'],
      { MY_IDENTITY: idToken() },
      '--pass cannot let "MY_IDENTITY" through to a task of a server',
    ],
    ['a token from standard input', ['--subject-token-file', '-'], {}, 'cannot be "-"'],
    ['a file without a token', ['--subject-token-file', 'ca.pem'], {}, 'ca.pem'],
    ['roots that are none', ['--ca-file', 'nothing.pem'], {}, 'nothing.pem'],
    ['no identity', [], { BROKER_ID_TOKEN: '' }, 'this is no CI job whose identity is known'],
  ]
  it.each(cases)('%s', async (_, flags, env, message) => {
    writeFileSync(join(fake.folder, 'nothing.pem'), 'no certificate')
    const { status, out, err } = await exec(flags, env)
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain(message)
    expect(err).toMatch(/\nhint: \S/)
    expect(err).not.toContain(TOKEN)
    expect(fake.arrived).toEqual([])
  })

  it.each([
    'http://broker.example',
    'ftp://broker.example',
    'https://u:p@broker.example',
    'broker.example',
  ])('the address %s', async (address) => {
    const { status, err } = await job(RAN, ['--server', address])
    expect(status).toBe(125)
    expect(err).toContain('is not the address of a server')
  })

  it.each(['--subject-token-file', '--audience'])('%s without a server', async (flag) => {
    const { status, out, err } = await job(RAN, [flag, 'x'])
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain(`${flag} needs --server`)
  })

  it('an audience inside of a task, which has no identity of a job: never its credential instead', async () => {
    const inside = { BROKER_HANDLE: HANDLE, BROKER_SERVER: fake.url, BROKER_ID_TOKEN: '' }
    const { status, err } = await exec(['--audience', 'x'], inside)
    expect(status).toBe(125)
    expect(err).toContain('this is no CI job whose identity is known')
    expect(fake.arrived).toEqual([])
  })

  it('a bad token of a job that is another server’s, whose credential is not shown to this one', async () => {
    const inside = {
      BROKER_HANDLE: HANDLE,
      BROKER_SERVER: 'https://other.example',
      BROKER_ID_TOKEN: '',
    }
    const { status } = await exec([], inside)
    expect(status).toBe(125)
    expect(fake.arrived).toEqual([])
  })
})

describe('a refusal of a server', () => {
  it('for a locked vault asks nobody here for its passphrase', async () => {
    fake.answer = (_frame, send, socket) => {
      const error = { code: 'vault_locked', message: 'm', hint: 'h', details: {} }
      send({ type: 'error', error })
      socket.end()
    }
    const { status, out, err } = await exec([], { BROKER_VAULT_PASSPHRASE: 'canary-of-here' })
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain(`the vault of "${fake.url}" is locked`)
    expect(fake.arrived).toHaveLength(1)
  })
})

describe('a task of a server', () => {
  it.each([
    [[], undefined],
    [['--audience', 'for-us'], 'for-us'],
  ] as const)(
    'is asked for by an identity token for the audience that was named: %j',
    async (flags, named) => {
      const agent = join(fake.folder, 'buildkite-agent')
      writeFileSync(agent, `#!/bin/sh\necho "$@" > "${agent}.asked"\necho ${TOKEN}\n`, {
        mode: 0o755,
      })
      const env = {
        PATH: `${fake.folder}:${process.env['PATH']}`,
        BUILDKITE: 'true',
        BROKER_ID_TOKEN: '',
      }
      const { status, err } = await exec(flags, env)
      expect(status, err).toBe(0)
      expect(readFileSync(`${agent}.asked`, 'utf8')).toContain(`--audience ${named ?? fake.url} `)
      expect(fake.arrived[0]?.authorization).toBe(`Bearer ${TOKEN}`)
    },
  )

  it('inside of another one shows that one’s credential, without a flag', async () => {
    const inside = { BROKER_HANDLE: HANDLE, BROKER_SERVER: fake.url, BROKER_ID_TOKEN: '' }
    const { status, out } = await job(RAN, ['--quiet'], inside)
    expect([status, out]).toEqual([0, 'RAN\n'])
    expect(fake.arrived[0]?.authorization).toBe(`Bearer ${HANDLE}`)
  })

  it('reaches its proxy by a port of exec’s, and the server without it', async () => {
    fake.relay = { ca: fake.ca, gitHeaders: [] }
    const { status, out, err } = await exec([], {}, SEEN)
    expect(status, err).toBe(0)
    expect(out).toMatch(/^localhost,127\.0\.0\.1,::1,127\.0\.0\.1 http:\/\/127\.0\.0\.1:\d+ \n/)
    expect(out.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50)
  })

  it('keeps the identity token, the arguments and the caller’s places to itself', async () => {
    await exec([], {}, ['sh', '-c', 'exit 0 # hunter2'])
    expect(JSON.stringify(fake.seen)).not.toMatch(/hunter2/)
    expect(JSON.stringify(fake.seen)).not.toContain(TOKEN)
    expect(fake.seen[0]).toMatchObject({
      request: { environment: 'ci', isolation: 'scrub', actor: { command: 'sh' } },
    })
  })

  it('reaches the server by the proxy that the machine has for it', async () => {
    const by = await Between.start()
    const { status, out, err } = await exec([], { HTTPS_PROXY: by.url, https_proxy: by.url }, RAN)
    expect([status, out], err).toEqual([0, 'RAN\n'])
    expect(by.asked).toEqual([`CONNECT ${new URL(fake.url).host} HTTP/1.1`])
    by.close()
  })

  it('is revoked by the lease’s own credential when its line is lost at the end', async () => {
    fake.http = (request, response) => {
      const state = request.url === '/oauth/revoke' ? 200 : 404
      response.writeHead(state, { 'broker-lease-state': 'revoked' }).end()
    }
    fake.answer = (frame, send, socket) => {
      if (frame.type !== 'end') return fake.usual(frame, send)
      fake.upgrade = (_request, next) => {
        const body = JSON.stringify({ error: { code: 'lease_ended', message: 'm', hint: 'h' } })
        next.end(`HTTP/1.1 410 Gone\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
        return false
      }
      socket.destroy()
    }
    const { status, err } = await exec()
    expect(status).toBe(0)
    expect(err).toMatch(/broker: revoked in \d+ ms\n$/)
    await until('it was asked', () => fake.arrived.some(({ path }) => path === '/oauth/revoke'))
  })
})

/** In the form of an ID token; nobody has signed it. */
function idToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256' })}.${part({ iss: 'i', sub: 's', aud: 'a' })}.c2ln`
}

/** A company's proxy. */
class Between {
  readonly asked: string[] = []
  readonly #server: Server
  readonly #open = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (near: Socket) => {
      this.#open.add(near)
      near.on('error', () => {})
      near.once('data', (head: Buffer) => {
        const [line = ''] = head.toString().split('\r\n', 1)
        this.asked.push(line)
        const [host, port] = (line.split(' ')[1] ?? '').split(':')
        const far = connect(Number(port), host)
        far.on('error', () => near.destroy())
        far.once('connect', () => {
          near.write('HTTP/1.1 200 OK\r\n\r\n')
          near.pipe(far).pipe(near)
        })
      })
    })
  }

  static async start(): Promise<Between> {
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    return new Between(server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    for (const socket of this.#open) socket.destroy()
    this.#server.close()
  }
}
