import { describe, expect, test } from 'vitest'
import { leaseRows } from '../../src/cli/lease-text.ts'
import { takeKeySource } from '../../src/cli/operator-key.ts'
import { remoteOf } from '../../src/cli/remote.ts'
import { PLAIN } from '../../src/cli/terminal.ts'
import { formatOf, tokenFileOf, ttlOf } from '../../src/cli/token-wish.ts'
import { lease } from '../cli/commands-samples.ts'

const KEY = `bko_${'k'.repeat(43)}`
const A = 'https://a.example'
const B = 'https://b.example'

describe('where a command acts, and as whom', () => {
  const rows: readonly {
    readonly flag?: string
    readonly env?: Readonly<Record<string, string>>
    readonly key?: boolean
    readonly acts: string
  }[] = [
    { acts: 'here' },
    { env: { BROKER_SERVER: A }, acts: 'here' },
    { env: { BROKER_HANDLE: 'h', BROKER_SOCKET: '/s' }, acts: 'here' },
    { env: { BROKER_HANDLE: 'h' }, acts: 'here' }, // where the half of a task is refused
    { env: { BROKER_HANDLE: 'h', BROKER_SOCKET: '/s', BROKER_SERVER: A }, acts: 'here' },
    { flag: A, acts: `${A} as nobody` },
    { flag: A, key: true, acts: `${A} as operator` },
    { flag: A, env: { BROKER_SERVER: B }, key: true, acts: `${A} as operator` },
    { flag: A, env: { BROKER_HANDLE: 'h' }, acts: `${A} as job` },
    { flag: A, env: { BROKER_HANDLE: 'h' }, key: true, acts: `${A} as operator` },
    { flag: A, env: { BROKER_HANDLE: 'h', BROKER_SERVER: `${A}/` }, acts: `${A} as job` },
    { flag: A, env: { BROKER_HANDLE: 'h', BROKER_SERVER: B }, key: true, acts: `${A} as operator` },
    { flag: A, env: { BROKER_HANDLE: 'h', BROKER_SERVER: B }, acts: 'denied' },
    { flag: A, env: { BROKER_HANDLE: 'h', BROKER_SOCKET: '/s' }, key: true, acts: 'denied' },
    { flag: A, env: { BROKER_SOCKET: '/s' }, key: true, acts: 'denied' },
    { env: { BROKER_HANDLE: 'h', BROKER_SERVER: A }, acts: `${A} as job` },
    { env: { BROKER_HANDLE: 'h', BROKER_SERVER: A }, key: true, acts: `${A} as job` },
    { flag: 'http://a.example', key: true, acts: 'usage' },
    { env: { BROKER_HANDLE: 'h', BROKER_SERVER: 'http://a.example' }, acts: 'usage' },
  ]
  test.each(rows)(
    '--server $flag, $env, key $key: $acts',
    async ({ flag, env = {}, key, acts }) => {
      const keys = takeKeySource(key ? { BROKER_OPERATOR_KEY: KEY } : {})
      const outcome = await remoteOf({ server: flag }, env, keys).then(
        async (remote) => {
          if (remote === undefined) return 'here'
          const bearer = await remote.bearer().then(
            (secret) => secret.reveal(),
            () => 'nobody',
          )
          const who = bearer === KEY ? 'operator' : bearer === 'h' ? 'job' : bearer
          expect(remote.inTask).toBe(who === 'job')
          return `${remote.server.url} as ${who}`
        },
        (error: { code: string }) => error.code,
      )
      expect(outcome).toBe(acts)
    },
  )

  test('the key is out of the environment once it was looked for', () => {
    const env = { BROKER_OPERATOR_KEY: KEY, BROKER_OPERATOR_KEY_FILE: '/f', PATH: '/bin' }
    const keys = takeKeySource(env)
    expect(env).toEqual({ PATH: '/bin' })
    expect(JSON.stringify(keys)).not.toContain(KEY)
    expect(keys.variable?.reveal()).toBe(KEY)
  })
})

describe('a lease of a job', () => {
  const NOW = Date.parse('2026-01-01T00:04:00.000Z')
  const run = { repository: 'acme/shop', ref: 'refs/heads/main', workflow: null, run: '7' }

  test('tells its run to a pipe and below its row on a terminal', () => {
    expect(leaseRows([lease({ run })], NOW, PLAIN)[0]).toMatch(
      /\tfor acme\/shop · refs\/heads\/main · run 7$/,
    )
    const look = { terminal: true, colour: false, columns: 200 }
    const [, row, below] = leaseRows([lease({ run })], NOW, look)
    expect(row).toMatch(/^lse_/)
    expect(below).toBe('  for acme/shop · refs/heads/main · run 7')
  })

  test('of which its issuer says nothing has no line, nor has any other', () => {
    const nothing = { repository: null, ref: null, workflow: null, run: null }
    for (const one of [lease(), lease({ run: nothing })]) {
      expect(leaseRows([one], NOW, PLAIN)[0]).toMatch(/\t$/)
    }
  })

  test('cannot lie with its names: they are escaped and cut', () => {
    const evil = { ...run, repository: `\u001b]0;x\u0007\n${'a'.repeat(300)}` }
    const look = { terminal: true, colour: false, columns: 200 }
    const lines = leaseRows([lease({ run: evil })], NOW, look)
    expect(lines).toHaveLength(3)
    expect(lines[2]).toContain('\\u001b]0;x\\u0007\\u000aaaa')
    expect(lines[2]?.length).toBeLessThan(250)
  })
})

describe('the wish of broker token', () => {
  test('is refused, quoting nothing, where the token stands in place of its file', () => {
    const token = `${'eyJhbGciOiJub25lIn0'}.${'canary'}.${'c2ln'}`
    expect(() => tokenFileOf(token)).toThrow(/takes the name of a file, not a token/)
    expect(() => tokenFileOf(token)).not.toThrow(/canary/)
    for (const file of ['-', 'id.jwt', './a.b.c', 'a.b.c']) expect(tokenFileOf(file)).toBe(file)
  })

  test('has one format and a duration', () => {
    expect(formatOf(undefined, false)).toBe('env')
    expect(formatOf(undefined, true)).toBe('json')
    expect(() => formatOf('env', true)).toThrow('--json and --format env exclude each other')
    expect(ttlOf('1h30m')).toBe(5_400_000)
    expect(() => ttlOf('0s')).toThrow('--ttl "0s" is not a duration')
  })
})
