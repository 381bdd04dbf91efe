import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BIN, TestBroker } from '../fixtures/broker.ts'

let broker: TestBroker
beforeAll(() => {
  broker = new TestBroker()
})
afterAll(() => broker.dispose())

const STANDING = {
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  GITHUB_TOKEN: `ghp_${'a1B2'.repeat(9)}`,
  DATABASE_URL: 'postgres://admin:hunter2@db.example/prod',
  NOTE: `see sk_live_${'0aB1'.repeat(6)}`,
  BROKER_VAULT_PASSPHRASE: 'hunter2-passphrase',
  BROKER_SURPRISE: 'x',
  LD_PRELOAD: '',
  NODE_OPTIONS: '--no-warnings',
}

async function environmentOf(flags: readonly string[], env: NodeJS.ProcessEnv) {
  const result = await broker.exec(['env', '-0'], flags, { env })
  expect(result.status).toBe(0)
  const entries = result.out.split('\0').filter(Boolean)
  return new Map(
    entries.map((entry) => {
      const at = entry.indexOf('=')
      return [entry.slice(0, at), entry.slice(at + 1)] as const
    }),
  )
}

describe('the environment of the child', () => {
  it('holds none of the standing credentials, and nothing of the caller under BROKER_', async () => {
    const seen = await environmentOf([], { ...STANDING, EDITOR: 'vim' })
    for (const name of Object.keys(STANDING)) expect(seen.has(name), name).toBe(false)
    expect(seen.has('BROKER_HOME')).toBe(false)
    expect(seen.get('EDITOR')).toBe('vim')
    expect(seen.get('HOME')).toBe(broker.folder)
  })

  it('keeps what --pass names, and only that', async () => {
    const seen = await environmentOf(['--pass', 'GITHUB_TOKEN'], STANDING)
    expect(seen.get('GITHUB_TOKEN')).toBe(STANDING.GITHUB_TOKEN)
    expect(seen.has('DATABASE_URL')).toBe(false)
  })

  it('keeps only the well-known with --strict', async () => {
    const env = { MY_FLAG: '1', TERM: 'dumb' }
    expect((await environmentOf([], env)).has('MY_FLAG')).toBe(true)
    const strict = await environmentOf(['--strict'], env)
    expect(strict.has('MY_FLAG')).toBe(false)
    expect(strict.get('TERM')).toBe('dumb')
    expect(strict.has('PATH')).toBe(true)
  })

  it('holds the lease and how to ask about it', async () => {
    const seen = await environmentOf([], {})
    expect(seen.get('BROKER_LEASE')).toMatch(/^lse_/)
    expect(seen.get('BROKER_ENV')).toBe('staging')
    expect(Date.parse(seen.get('BROKER_EXPIRES_AT') ?? '')).toBeGreaterThan(Date.now())
    expect(seen.get('BROKER_SOCKET')).toBe(broker.socket)
    expect(seen.get('BROKER_HANDLE')).toMatch(/^bkh_/)
    expect(seen.get('BROKER_ACCESS_TOKEN')).toMatch(/^eyJ/)
  })
})

describe('--dry-run', () => {
  it('names what would be injected, scrubbed, hidden and allowed, and issues and runs nothing', async () => {
    const before = (await broker.leases()).length
    const result = await broker.exec(['sh', '-c', 'echo RAN'], ['--dry-run'], { env: STANDING })
    expect(result.status).toBe(0)
    expect(result.err).toBe('')
    for (const part of [
      'template default',
      'isolation scrub',
      'api (jwt, native',
      '  BROKER_ACCESS_TOKEN\n',
      '  BROKER_HANDLE\n',
      '  GITHUB_TOKEN: ',
      '  NOTE: its value looks like a secret (stripe key)',
      'hidden\n  nothing',
    ]) {
      expect(result.out).toContain(part)
    }
    expect(result.out).not.toContain('RAN')
    expect(result.out).not.toContain('hunter2')
    expect(result.out).not.toContain(STANDING.GITHUB_TOKEN)
    expect((await broker.leases()).length).toBe(before)
  })
})

describe('inside a task', () => {
  const inner = (...args: string[]) => [process.execPath, BIN, ...args]

  it('starts no daemon when the socket is dead, and says so', async () => {
    const env = { BROKER_HANDLE: 'bkh_x', BROKER_SOCKET: '/nonexistent/broker.sock' }
    const result = await broker.exec(['true'], [], { env })
    expect(result.status).toBe(125)
    expect(result.err).toContain('nobody answers at the task\'s socket "/nonexistent/broker.sock"')
  })

  it('does not fall back to the person’s key when the handle is missing', async () => {
    const result = await broker.exec(['true'], [], { env: { BROKER_SOCKET: broker.socket } })
    expect(result.status).toBe(125)
    expect(result.err).toContain('this task has no "BROKER_HANDLE"')
  })

  it('refuses a handle that is none', async () => {
    const env = { BROKER_HANDLE: 'bko_x', BROKER_SOCKET: broker.socket }
    await broker.exec(['true'])
    const result = await broker.exec(['true'], [], { env })
    expect(result.status).toBe(125)
    expect(result.err).toContain('this key is not the one of this broker')
  })

  it('a nested exec gets a lease below its parent', async () => {
    const print = 'echo "$BROKER_LEASE"'
    const result = await broker.exec([
      'sh',
      '-c',
      `${print}; "$0" "$1" exec --quiet --env staging -- sh -c '${print}'`,
      ...inner(),
    ])
    expect(result.status).toBe(0)
    const [parent, child] = result.out.trim().split('\n')
    expect(child).toMatch(/^lse_/)
    expect(child).not.toBe(parent)
    const leases = await broker.leases()
    expect(leases.find((lease) => lease.id === child)).toMatchObject({ parent, state: 'revoked' })
  })

  it('a nested exec cannot reach another environment', async () => {
    const result = await broker.exec(inner('exec', '--env', 'production', '--', 'echo', 'RAN'))
    expect(result.status).toBe(125)
    expect(result.out).toBe('')
  })
})
