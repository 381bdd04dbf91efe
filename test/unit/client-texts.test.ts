import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GrantView, LeasePlan, LeaseView } from '../../src/api/types.ts'
import { certificateBlocks } from '../../src/cli/certificates.ts'
import { connectionSettings } from '../../src/cli/connection-settings.ts'
import { leaseRows, troubles } from '../../src/cli/lease-text.ts'
import { PLAIN } from '../../src/cli/terminal.ts'
import { planLines } from '../../src/exec/dry-run.ts'
import { scrubEnvironment } from '../../src/launch/scrub.ts'

const [FIRST = '', SECOND = ''] = rootCertificates
const KEY = '-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n'

describe('--ca-file', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ca-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const settings = (text: string | Uint8Array, more: { set?: string[] } = {}) => {
    const path = join(folder, 'ca.pem')
    writeFileSync(path, text)
    return connectionSettings({ 'ca-file': path, ...more })
  }

  const refusals = [
    { name: 'an empty file', text: '', message: /holds no certificate in PEM form/ },
    { name: 'a key alone', text: KEY, message: /holds no certificate in PEM form/ },
    { name: 'binary form', text: Buffer.from([0x30, 0x82, 0, 0xff]), message: /in PEM form/ },
    {
      name: 'a torn certificate',
      text: `${FIRST}\n-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n`,
      message: /certificate 2 in ".*ca.pem" cannot be read/,
    },
    { name: 'too many', text: `${FIRST}\n`.repeat(400), message: /more than 256 KiB/ },
  ]
  test.each(refusals)('refuses $name', ({ text, message }) => {
    expect(() => settings(text)).toThrow(message)
    expect(() => settings(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  test('refuses a file that is not there, and a second "ca"', () => {
    expect(() => connectionSettings({ 'ca-file': join(folder, 'x') })).toThrow(/no such file/)
    expect(() => settings(FIRST, { set: ['ca=x'] })).toThrow('setting "ca" is given twice')
  })

  test('sends the certificates, their path, and nothing else of the file', () => {
    const { ca, caFile, ...rest } = settings(`subject=canary\n${KEY}${FIRST}\n${KEY}${SECOND}`)
    expect(rest).toEqual({})
    expect(caFile).toBe(join(folder, 'ca.pem'))
    expect(ca).not.toMatch(/PRIVATE|canary|Y2FuYXJ5/)
    const raw = (pem: string) => new X509Certificate(pem).raw.toString('hex')
    expect(certificateBlocks(ca ?? '').map(raw)).toEqual([FIRST, SECOND].map(raw))
  })
})

const grant = (changes: Partial<GrantView>) =>
  ({
    name: 'railway',
    mode: 'proxied',
    state: 'active',
    possiblyLiveUntil: null,
    requests: { allowed: 12, denied: 3, approved: 1 },
    ...changes,
  }) as GrantView

const lease = (changes: Partial<LeaseView>) =>
  ({
    id: 'lse_x',
    state: 'active',
    environment: 'staging',
    template: { name: 'dev', version: 1 },
    principal: { id: 'alice' },
    actor: { command: null },
    issuedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T00:30:00.000Z',
    endedAt: null,
    foreignCredentials: [],
    grants: [grant({}), grant({ name: 'db', mode: 'native' })],
    ...changes,
  }) as LeaseView

describe('broker tokens', () => {
  const now = Date.parse('2026-01-01T00:04:00.000Z')
  const key = { host: 'api.test', fingerprint: '3f9a17c2d4e5', times: 2, lastAt: '' }
  const found =
    "a key that is not this lease's was tried at api.test (fingerprint 3f9a17c2…, 2 times, refused)"

  test('never hides that a foreign key was tried', () => {
    const tried = lease({ foreignCredentials: [key] })
    expect(troubles(tried, now)).toEqual([found])
    expect(leaseRows([tried], now, PLAIN)[0]?.endsWith(`; ${found}`)).toBe(true)
    const look = { terminal: true, colour: false, columns: 120 }
    expect(leaseRows([tried], now, look)).toContain(`  ! ${found}`)
  })

  test('counts what the proxy decided, of proxied grants alone', () => {
    const [row = ''] = leaseRows([lease({})], now, PLAIN)
    expect(row.split('\t').slice(-2)).toEqual([
      'railway proxied, db native',
      'railway requests: 12 allowed, 3 denied, 1 approved',
    ])
  })
})

describe('--dry-run', () => {
  const plan = (changes: Partial<LeasePlan> = {}): LeasePlan => ({
    environment: 'staging',
    template: { name: 'dev', version: 2, sha256: '' },
    ttlMs: 1_800_000,
    isolation: 'scrub',
    approval: null,
    proxied: false,
    egress: 'open',
    grants: [
      {
        name: 'railway',
        provider: 'railway',
        connection: null,
        mode: 'proxied',
        capability: 'phantom',
        operations: ['project'],
        approvable: ['volumeDelete'],
        variables: ['RAILWAY_TOKEN'],
      },
    ],
    ...changes,
  })
  const caller = scrubEnvironment({ ALL_PROXY: 'http://x', PATH: '/bin' }, { pass: ['ALL_PROXY'] })
  const shown = (changes: Partial<LeasePlan>) =>
    planLines(plan(changes), caller, '/bin/true', ['  nothing'])

  test('says what a person decides, before the lease and one by one', () => {
    const lines = shown({ approval: 'approval: required' })
    expect(lines).toContain('approval   a person decides first (approval: required)')
    expect(lines).toContain('  railway, each once a person approves it: volumeDelete')
    expect(shown({})).toContain('approval   not needed')
  })

  test('names what the proxy brings, what it replaces, and where the task may connect', () => {
    const lines = shown({ proxied: true, egress: ['api.test', '*.npm.test'] })
    for (const line of [
      'proxy      one of its own, on this machine',
      'egress     api.test, *.npm.test',
      '  HTTPS_PROXY',
      '  NODE_EXTRA_CA_CERTS',
      "  ALL_PROXY: it would lead around the lease's proxy",
    ]) {
      expect(lines).toContain(line)
    }
    expect(shown({ proxied: true, egress: [] })).toContain('egress     nowhere')
  })

  test('promises no proxy where there is none', () => {
    const lines = shown({})
    expect(lines).toContain('proxy      none')
    expect(lines).toContain('egress     open')
    expect(lines.join('\n')).not.toMatch(/HTTPS_PROXY|ALL_PROXY/)
  })
})
