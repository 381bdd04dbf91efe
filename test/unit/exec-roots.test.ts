import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ProxyView } from '../../src/api/types.ts'
import { certificateBlocks } from '../../src/cli/certificates.ts'
import { taskTrust } from '../../src/exec/extra-roots.ts'

const [PUBLIC = '', COMPANY = '', OTHER = ''] = rootCertificates
const KEY = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHunter2\n-----END PRIVATE KEY-----\n'

let folder = ''
let proxy: ProxyView
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'roots-'))
  mkdirSync(join(folder, 'task'), { mode: 0o700 })
  const bundleFile = join(folder, 'task', 'bundle.pem')
  writeFileSync(bundleFile, `${PUBLIC}\n`)
  const caFile = join(folder, 'task', 'ca.pem')
  proxy = { url: 'http://127.0.0.1:1', caFile, bundleFile, gitHeaders: [] }
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const trust = (environment: Record<string, string>) => taskTrust(proxy, environment, folder)
const unchanged = () => ({ addedFile: proxy.caFile, bundleFile: proxy.bundleFile })

describe('roots of the caller’s own', () => {
  it('bring nothing but certificates along: no key, no text, nothing broken', () => {
    const broken = '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n'
    const company = file('company.pem', `subject=x canary\n${KEY}${broken}${COMPANY}\n${KEY}`)
    const { trust: found } = trust({ NODE_EXTRA_CA_CERTS: company })
    const text = readFileSync(found.bundleFile, 'utf8')
    expect(text).not.toMatch(/canary|PRIVATE|hunter2|aGVsbG8/i)
    expect(certificateBlocks(text)).toHaveLength(2)
  })

  const unreadable = [
    { name: 'a file that is not there', path: () => join(folder, 'missing') },
    { name: 'a folder', path: () => folder },
    { name: 'a pipe', path: () => pipe() },
    { name: 'a huge file', path: () => file('huge', 'x'.repeat((1 << 20) + 1)) },
  ]
  it.each(unreadable)('are told of and left out where they are $name', ({ path }) => {
    const named = path()
    const found = trust({ SSL_CERT_FILE: named })
    expect(found.trust).toEqual(unchanged())
    expect(found.remarks).toEqual([`the roots in SSL_CERT_FILE cannot be read: "${named}"`])
  })

  it('are refused, not dropped, where they cannot be written', () => {
    const company = file('company.pem', COMPANY)
    rmSync(join(folder, 'task'), { recursive: true })
    expect(() => trust({ SSL_CERT_FILE: company })).toThrow(/certificates ".*" cannot be read/)
    writeFileSync(join(folder, 'task'), PUBLIC)
    const bundleFile = join(folder, 'task')
    mkdirSync(join(folder, 'bundle-task.pem'))
    expect(() => taskTrust({ ...proxy, bundleFile }, { SSL_CERT_FILE: company }, folder)).toThrow(
      /certificates ".*bundle-task.pem" cannot be written/,
    )
  })

  it('stand behind a copy of the bundle, in a file of the owner alone', () => {
    file('company.pem', COMPANY)
    const both = file('both.pem', `${OTHER}\n${COMPANY}`)
    const found = trust({ REQUESTS_CA_BUNDLE: 'company.pem', npm_config_CAFILE: both })
    const path = join(folder, 'task', 'bundle-task.pem')
    expect(found).toEqual({ trust: { addedFile: path, bundleFile: path }, remarks: [] })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const [first, ...rest] = certificateBlocks(readFileSync(path, 'utf8'))
    expect(first).toBe(certificateBlocks(PUBLIC)[0])
    expect(rest.sort()).toEqual(certificateBlocks(COMPANY + OTHER).sort())
    // As OpenSSL reads it.
    const shown = execFileSync('openssl', ['storeutl', '-noout', '-certs', path], { stdio: 'pipe' })
    expect(shown.toString()).toContain('Total found: 3')
  })

  it('that are the public ones anyway change nothing', () => {
    const usual = file('usual.pem', `# comment\n${PUBLIC.replaceAll('\n', '\r\n')}`)
    const found = trust({ SSL_CERT_FILE: usual, CURL_CA_BUNDLE: '', HOME: usual })
    expect(found).toEqual({ trust: unchanged(), remarks: [] })
  })
})

function pipe(): string {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  return path
}
