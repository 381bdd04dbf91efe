import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Log } from '../../src/broker/context.ts'
import { type Certificate, readCertificate, stampOf } from '../../src/daemon/serve/certificate.ts'
import { Renewal } from '../../src/daemon/serve/renewal.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import { until } from '../fixtures/broker.ts'

const DAY = 86_400_000
const folder = mkdtempSync(join(tmpdir(), 'broker-test-'))
const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let now: number
let good: { chain: string; key: string }
let other: { chain: string; key: string }

async function make(): Promise<{ chain: string; key: string }> {
  const authority = await CertificateAuthority.create('x', new Date(now), new Date(now + 30 * DAY))
  const { chain, key } = await authority.leaf('broker.example')
  return { chain, key: key.reveal() }
}

function write({ chain, key }: { chain: string; key: string }, mode = 0o600): void {
  writeFileSync(files.certFile, chain)
  writeFileSync(files.keyFile, key)
  chmodSync(files.keyFile, mode)
}

beforeAll(async () => {
  now = Date.now()
  good = await make()
  other = await make()
})
beforeEach(() => write(good))

describe('a certificate is refused', () => {
  const cases: readonly [name: string, spoil: () => void, at: () => number, message: string][] = [
    [
      'that does not exist',
      () => rmSync(files.certFile),
      () => now,
      `cannot read "${files.certFile}" (ENOENT)`,
    ],
    [
      'without a key',
      () => rmSync(files.keyFile),
      () => now,
      `cannot read "${files.keyFile}" (ENOENT)`,
    ],
    [
      'that is not PEM',
      () => writeFileSync(files.certFile, 'canary'),
      () => now,
      `"${files.certFile}" is not what TLS needs, in PEM`,
    ],
    [
      'whose key is not one',
      () => writeFileSync(files.keyFile, 'canary'),
      () => now,
      `"${files.keyFile}" is not what TLS needs, in PEM`,
    ],
    [
      'with the key of another',
      () => writeFileSync(files.keyFile, other.key),
      () => now,
      `the key in "${files.keyFile}" is not that of "${files.certFile}"`,
    ],
    [
      'that has expired',
      () => {},
      () => now + 31 * DAY,
      `the certificate in "${files.certFile}" has expired`,
    ],
    [
      'that is not valid yet',
      () => {},
      () => now - DAY,
      `the certificate in "${files.certFile}" is not valid yet`,
    ],
  ]
  it.each(cases)('%s', (_name, spoil, at, message) => {
    spoil()
    expect(() => readCertificate(files, at())).toThrow(
      expect.objectContaining({ code: 'config_invalid', message }),
    )
  })
})

describe('a certificate', () => {
  it('is taken with a warning when its key is open to others', () => {
    expect(readCertificate(files, now).warnings).toEqual([])
    write(good, 0o640)
    expect(readCertificate(files, now).warnings).toEqual([
      `the key in "${files.keyFile}" can be read by other users: chmod 600 it`,
    ])
  })

  it('is taken with a warning when it soon expires', () => {
    const [warning] = readCertificate(files, now + 29 * DAY).warnings
    expect(warning).toMatch(/^the certificate expires at \d{4}-/)
  })
})

describe('a renewed certificate', () => {
  const said: string[] = []
  const note = (message: string) => said.push(message)
  const log: Log = { info: note, warn: note, error: note }
  const taken: Certificate[] = []
  const renewal = (everyMs: number) =>
    new Renewal({
      files,
      current: readCertificate(files, now),
      take: (certificate) => taken.push(certificate),
      now: () => now,
      log,
      everyMs,
    })
  beforeEach(() => {
    said.length = 0
    taken.length = 0
  })

  it('that is broken is not taken up, and said once', async () => {
    const watched = renewal(5)
    writeFileSync(files.keyFile, other.key)
    await until('it was looked at', () => said.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    watched.close()
    expect(said).toEqual(['the certificate stays as it was'])
    expect(taken).toEqual([])
  })

  it('is taken up when its files have changed, also half at a time', async () => {
    const watched = renewal(5)
    writeFileSync(files.certFile, other.chain)
    await until('the first half was looked at', () => said.length > 0)
    writeFileSync(files.keyFile, other.key)
    await until('it was taken', () => taken.length > 0)
    watched.close()
    expect(taken[0]?.context.cert?.toString()).toBe(other.chain)
    expect(taken[0]?.stamp).toBe(stampOf(files))
  })

  it('is taken up at once when told to', () => {
    const watched = renewal(60_000)
    write(other)
    watched.renew()
    watched.close()
    expect(taken).toHaveLength(1)
    expect(said).toEqual(['certificate taken up'])
  })
})
