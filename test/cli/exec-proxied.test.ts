import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LeaseView, ProxyView } from '../../src/api/types.ts'
import { BIN, collect, isAlive, until } from '../fixtures/broker.ts'
import { FakeDaemon, LEASE } from '../unit/client-fake-daemon.ts'

const { version } = JSON.parse(readFileSync(join(BIN, '..', '..', 'package.json'), 'utf8'))
const [PUBLIC = '', COMPANY = ''] = rootCertificates
let fake: FakeDaemon
let proxy: ProxyView
let final: LeaseView
let running: ChildProcess | undefined

beforeEach(async () => {
  fake = new FakeDaemon(version)
  await fake.listen()
  proxy = fake.proxy(PUBLIC)
  final = { ...LEASE, state: 'revoked', endReason: 'task_ended' }
  fake.answer = (frame, send) => {
    if (frame.type === 'request') send(fake.grant(proxy))
    else if (frame.type === 'end') send({ type: 'ended', lease: final, elapsedMs: 5 })
    else fake.usual(frame, send)
  }
})
afterEach(() => {
  running?.kill('SIGKILL')
  fake.close()
})

function exec(command: readonly string[], flags: readonly string[] = [], env = {}) {
  const base = { PATH: process.env['PATH'], HOME: fake.folder, BROKER_HOME: fake.folder }
  running = spawn(
    process.execPath,
    [BIN, 'exec', '--isolation', 'scrub', '--env', 'staging', ...flags, '--', ...command],
    {
      env: { ...base, ...env },
      cwd: fake.folder,
    },
  )
  return collect(running)
}

async function environmentOf(flags: readonly string[], env: NodeJS.ProcessEnv) {
  const { status, out, err } = await exec(['env', '-0'], flags, env)
  expect(status, err).toBe(0)
  const entries = out.split('\0').filter(Boolean)
  const pairs = entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry] as const)
  const seen = Object.fromEntries(
    pairs.map(([name, entry]) => [name, entry.slice(name.length + 1)]),
  )
  return { seen, err }
}

describe('the environment of a proxied task', () => {
  it('has no way around the proxy, not even a passed one', async () => {
    const own = { HTTPS_PROXY: 'http://u:p@10.0.0.1', ALL_PROXY: 'http://10.0.0.1', no_proxy: '*' }
    const flags = Object.keys(own).flatMap((name) => ['--pass', name])
    const { seen } = await environmentOf(flags, own)
    expect(JSON.stringify(seen)).not.toMatch(/10\.0\.0\.1/)
    expect(seen).toMatchObject({ HTTPS_PROXY: proxy.url, no_proxy: 'localhost,127.0.0.1,::1' })
    expect(seen['ALL_PROXY']).toBeUndefined()
  })

  it('has the variables of the provider rather than the caller’s', async () => {
    const { seen } = await environmentOf([], { V: 'mine' })
    expect(seen).toMatchObject({ V: 'v', NODE_EXTRA_CA_CERTS: proxy.caFile })
    expect(seen['SSL_CERT_FILE']).toBe(proxy.bundleFile)
  })

  it('trusts a root of the caller’s own, and says which it cannot read', async () => {
    writeFileSync(join(fake.folder, 'company.pem'), COMPANY)
    const env = { NODE_EXTRA_CA_CERTS: 'company.pem', SSL_CERT_FILE: 'nowhere.pem' }
    const { seen, err } = await environmentOf([], env)
    const both = join(proxy.bundleFile, '..', 'bundle-task.pem')
    expect(seen).toMatchObject({ NODE_EXTRA_CA_CERTS: both, SSL_CERT_FILE: both })
    expect(err).toContain(
      `broker: the roots in SSL_CERT_FILE cannot be read: "${join(fake.folder, 'nowhere.pem')}"\n`,
    )
  })

  it('is the caller’s own for a lease without a proxy', async () => {
    fake.answer = (frame, send) => fake.usual(frame, send)
    const { seen } = await environmentOf([], { HTTPS_PROXY: 'http://corporate.test' })
    expect(seen['HTTPS_PROXY']).toBe('http://corporate.test')
    expect(seen['NODE_EXTRA_CA_CERTS']).toBeUndefined()
  })
})

describe('a task that lost its proxy', () => {
  it('is ended before it runs where its certificates cannot be written', async () => {
    writeFileSync(join(fake.folder, 'company.pem'), COMPANY)
    proxy = { ...proxy, bundleFile: join(fake.folder, 'nowhere', 'bundle.pem') }
    const { status, out, err } = await exec(['echo', 'RAN'], [], {
      NODE_EXTRA_CA_CERTS: 'company.pem',
    })
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('bundle.pem" cannot be read')
    expect(fake.types()).not.toContain('ack')
  })

  const ends = [
    { reason: 'proxy_lost', status: 143, why: 'its proxy ended with the daemon', ended: true },
    { reason: 'revoked_by_operator', status: 0, why: 'revoked', ended: false },
  ]
  it.each(ends)(
    '$reason: the command ends with $status',
    async ({ reason, status, why, ended }) => {
      const lease = { ...LEASE, state: 'revoked', endReason: reason, endedAt: LEASE.expiresAt }
      fake.http = (request, response) => {
        const health = { status: 'ok', ...fake.daemon, socket: '', home: '' }
        response.end(JSON.stringify(request.url === `/v1/leases/${LEASE.id}` ? lease : health))
      }
      const usual = fake.answer
      fake.answer = (frame, send, socket) => {
        if (frame.type !== 'resume') return usual(frame, send, socket)
        send({
          type: 'error',
          error: { code: 'lease_ended', message: 'm', hint: 'h', details: {} },
        })
      }
      const done = exec([
        'sh',
        '-c',
        `trap 'echo hup; exit 0' HUP; echo $$; while :; do sleep 0.1; done`,
      ])
      let out = ''
      running?.stdout?.on('data', (chunk) => {
        out += chunk
      })
      await until('it started', () => fake.types().includes('started') && out.includes('\n'))
      let err = ''
      running?.stderr?.on('data', (chunk) => {
        err += chunk
      })
      fake.open[0]?.destroy()
      await until('it says so', () => err.includes('ended early'))
      const child = Number.parseInt(out, 10)
      if (!ended) {
        expect(isAlive(child)).toBe(true)
        running?.kill('SIGHUP')
      }
      const result = await done
      expect(result.status).toBe(status)
      expect(isAlive(child)).toBe(false)
      const then = ended ? ', and the command is ended' : ''
      expect(result.err).toContain(
        `broker: lease ${LEASE.id} ended early (${why}): its credentials no longer work${then}\n`,
      )
    },
  )
})

describe('a key that is not the lease’s', () => {
  const key = { host: 'api.test', fingerprint: '3f9a17c2d4e5', times: 2, lastAt: LEASE.issuedAt }
  const line = `broker: a key that is not this lease's was tried at api.test (fingerprint 3f9a17c2…, 2 times, refused): broker audit show ${LEASE.id}\n`

  it('is told at the end, also with --quiet', async () => {
    final = { ...final, foreignCredentials: [key] }
    const result = await exec(['true'], ['--quiet'])
    expect(result).toMatchObject({ status: 0, out: '', err: line })
  })

  it('is told when the lease stays', async () => {
    fake.http = (_request, response) => {
      response.end(JSON.stringify({ ...LEASE, foreignCredentials: [key] }))
    }
    const result = await exec(['true'], ['--quiet', '--until-ttl'])
    expect(result).toMatchObject({ status: 0, err: line })
    expect(fake.asked).toEqual([`GET /v1/leases/${LEASE.id}`])
  })

  it('costs a lease without a proxy no question', async () => {
    fake.answer = (frame, send) => fake.usual(frame, send)
    expect((await exec(['true'], ['--quiet', '--until-ttl'])).err).toBe('')
    expect(fake.asked).toEqual([])
  })
})
