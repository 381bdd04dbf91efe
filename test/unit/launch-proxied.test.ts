import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ProxyView } from '../../src/api/types.ts'
import { proxiedTask } from '../../src/exec/proxied.ts'

const [ONE = '', OTHER = '', COMPANY = ''] = rootCertificates

let folder = ''
let proxy: ProxyView
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'proxied-'))
  mkdirSync(join(folder, 'task'))
  const bundleFile = join(folder, 'task', 'bundle.pem')
  writeFileSync(bundleFile, `${ONE}\n${OTHER}\n`)
  const caFile = join(folder, 'task', 'ca.pem')
  proxy = { url: 'http://127.0.0.1:4321', caFile, bundleFile, gitHeaders: [] }
})
afterEach(() => rmSync(folder, { recursive: true }))

function withJava(): Record<string, string> {
  writeFileSync(join(folder, 'java'), '#!/bin/sh\n', { mode: 0o755 })
  return { PATH: folder }
}
const store = () => readFileSync(join(folder, 'task', 'recipe', 'roots.jks'))
const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]*-----|\s/g, ''), 'base64')

describe('the files of a proxied task', () => {
  it('are refused, not left out, where they cannot be written', () => {
    writeFileSync(join(folder, 'task', 'recipe'), '')
    expect(() => proxiedTask(proxy, {}, folder)).toThrow(
      expect.objectContaining({
        code: 'internal',
        message: expect.stringMatching(
          /^the settings of the task in ".*\/task\/recipe" cannot be written$/,
        ),
      }),
    )
  })

  it('are the owner’s alone, in the lease’s own folder, and its variables name them', () => {
    const task = proxiedTask(proxy, {}, folder)
    expect(task.folder).toBe(join(folder, 'task', 'recipe'))
    for (const path of [
      task.environment['WGETRC'] ?? '',
      join(task.environment['CURL_HOME'] ?? '', '.curlrc'),
      join(task.environment['PHP_INI_SCAN_DIR']?.slice(1) ?? '', 'broker.ini'),
    ]) {
      expect(path.startsWith(`${task.folder}/`)).toBe(true)
      expect(statSync(path).mode & 0o777, path).toBe(0o600)
    }
    expect(statSync(task.folder).mode & 0o777).toBe(0o700)
    expect(task.trust).toEqual({ addedFile: proxy.caFile, bundleFile: proxy.bundleFile })
  })

  it('lead to the caller’s own roots as well', () => {
    writeFileSync(join(folder, 'company.pem'), COMPANY)
    const environment = { SSL_CERT_FILE: join(folder, 'company.pem'), JAVA_TOOL_OPTIONS: '' }
    const task = proxiedTask(proxy, environment, folder)
    const wgetrc = readFileSync(task.environment['WGETRC'] ?? '', 'utf8')
    expect(wgetrc).toBe(`ca_certificate = ${task.trust.bundleFile}\n`)
    for (const pem of [ONE, OTHER, COMPANY]) expect(store().includes(der(pem))).toBe(true)
  })
})

describe('Java', () => {
  it('is told nothing where the task does not ask, nor where there is none', () => {
    const quiet = proxiedTask(proxy, withJava(), folder).environment
    const none = proxiedTask(proxy, { PATH: '/nonexistent' }, folder, { java: true }).environment
    for (const environment of [quiet, none])
      expect(environment).not.toHaveProperty('JAVA_TOOL_OPTIONS')
    expect(store).toThrow(/ENOENT/)
  })

  it('is told where the task asks, be it with nothing', () => {
    const { environment } = proxiedTask(proxy, { JAVA_TOOL_OPTIONS: '' }, folder)
    expect(environment['JAVA_TOOL_OPTIONS']).toMatch(/^-Dhttp\.proxyHost=127\.0\.0\.1 .*roots\.jks/)
    expect(statSync(join(folder, 'task', 'recipe', 'roots.jks')).mode & 0o777).toBe(0o600)
  })

  it('is told wherever there is one, if nothing else leads out', () => {
    for (const environment of [withJava(), { JAVA_HOME: '/opt/java' }]) {
      const told = proxiedTask(proxy, environment, folder, { java: true }).environment
      expect(told['JAVA_TOOL_OPTIONS']).toContain('-Dhttps.proxyPort=4321')
    }
    expect(store().includes(der(ONE))).toBe(true)
  })

  it('is given what the daemon made of the same bundle, and of another one its own', () => {
    writeFileSync(join(folder, 'task', 'bundle.jks'), 'made by the daemon')
    proxiedTask(proxy, { JAVA_TOOL_OPTIONS: '' }, folder)
    expect(store().toString()).toBe('made by the daemon')
    rmSync(join(folder, 'task', 'recipe'), { recursive: true })
    const company = join(folder, 'company.pem')
    writeFileSync(company, COMPANY)
    proxiedTask(proxy, { JAVA_TOOL_OPTIONS: '', SSL_CERT_FILE: company }, folder)
    expect(store().includes(der(COMPANY))).toBe(true)
  })
})
