import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { serviceName } from '../../src/vault/keychain.ts'
import {
  hasSecretService,
  newSessionFolder,
  removeSessionFolder,
  type SecretService,
  startSecretService,
} from '../fixtures/secret-service.ts'

const CANARY = 'canary-5d1e\0line\nend ß🔑'
const source = (path: string) => JSON.stringify(join(import.meta.dirname, '../../src', path))

let home: string
let sessionFolder: string
const sessions: SecretService[] = []

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'broker-keychain-'))
  sessionFolder = newSessionFolder()
})
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.stop()
  removeSessionFolder(sessionFolder)
  rmSync(home, { recursive: true, force: true })
})

async function session(password = 'login-password'): Promise<SecretService> {
  const started = await startSecretService({ folder: sessionFolder, password })
  sessions.push(started)
  return started
}

/**
 * Runs `script` in a process of its own, as the daemon is one: libsecret holds on to the first bus
 * it met. The script sees `vault`, `attempt` (a call's value or code) and `say`.
 */
async function inProcess(env: NodeJS.ProcessEnv, script: string, options = ''): Promise<unknown[]> {
  const prelude = `
    import { Secret } from ${source('lib/secret.ts')}
    import { openVault } from ${source('vault/open.ts')}
    const open = (state) => openVault({ home: { state }, ${options} })
    const vault = await open(process.env.STATE)
    const say = (value) => console.log(JSON.stringify(value ?? null))
    const attempt = (work) =>
      work.then((value) => value?.reveal?.() ?? value, (error) => error.code)
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', prelude + script], {
    env: { ...env, STATE: join(home, 'state') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)))
  const [out, err, ended] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  if (ended !== 0) throw new Error(`process ended with ${ended}: ${err}`)
  const lines = out.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line))
}

const store = `await vault.set('connection/pg', new Secret(${JSON.stringify(CANARY)}));`
const read = `say(await attempt(vault.get('connection/pg')));`
const replace = `say(await attempt(vault.set('connection/pg', new Secret('new'))));`
const remove = `say(await attempt(vault.delete('connection/pg')));`
const hasFileVault = () => existsSync(join(home, 'state', 'vault.age'))
const record = () => JSON.parse(readFileSync(join(home, 'state', 'vault.json'), 'utf8'))

describe.skipIf(!hasSecretService())('the keychain vault on a real Secret Service', () => {
  it('is locked, not empty, in a session whose keyring stays locked', async () => {
    const first = await session()
    await inProcess(first.env, store)
    await first.stop()

    const second = await session('not the password')
    const other = `say(await attempt(vault.get('never stored')));`
    const status = `say((await vault.status()).locked);`
    const answers = await inProcess(second.env, read + other + replace + remove + status)
    expect(answers).toEqual([...Array(4).fill('vault_locked'), true])
    expect(hasFileVault()).toBe(false)
    await second.stop()

    const third = await session()
    expect(await inProcess(third.env, read)).toEqual([CANARY])
  })

  it('is unavailable, and no file, when the bus dies under it and when there is none', async () => {
    const { env, bus } = await session()
    const killBus = `process.kill(${bus.pid}, 'SIGKILL');`
    const answers = await inProcess(env, store + read + killBus + read + replace + remove + read)
    expect(answers).toEqual([CANARY, ...Array(4).fill('vault_unavailable')])
    const { DBUS_SESSION_BUS_ADDRESS: _, ...withoutBus } = env
    for (const later of [env, withoutBus]) {
      expect(await inProcess(later, read)).toEqual(['vault_unavailable'])
    }
    expect(hasFileVault()).toBe(false)
    expect(record()).toEqual({ kind: 'keychain' })
  })

  it('is no empty vault when the keyring daemon dies under it', async () => {
    const { env, keyring } = await session()
    const killKeyring = `process.kill(${keyring.pid}, 'SIGKILL');`
    const answers = await inProcess(env, store + killKeyring + read + replace + remove)
    expect(answers).toHaveLength(3)
    // The bus starts another one, locked: which of the two it is depends on how far that got.
    for (const answer of answers) expect(['vault_unavailable', 'vault_locked']).toContain(answer)
    expect(hasFileVault()).toBe(false)
  })

  it('is unavailable while the keyring hangs, blocks nothing else, and recovers', async () => {
    const { env, keyring } = await session()
    const answers = await inProcess(
      env,
      `${store}
       process.kill(${keyring.pid}, 'SIGSTOP')
       const waiting = Array.from({ length: 8 }, () => attempt(vault.get('connection/pg')))
       say(await Promise.all(waiting))
       // Files need the worker threads that keytar's calls block.
       const { readFile } = await import('node:fs/promises')
       const late = new Promise((resolve) => setTimeout(resolve, 10_000, 'blocked').unref())
       say(await Promise.race([readFile('/proc/self/stat').then(() => 'reads files'), late]))
       process.kill(${keyring.pid}, 'SIGCONT')
       let again
       do {
         again = await attempt(vault.get('connection/pg'))
         await new Promise((resolve) => setTimeout(resolve, 50))
       } while (again === 'vault_unavailable')
       say(again)`,
      'keychainDeadlineMs: 500',
    )
    expect(answers).toEqual([Array(8).fill('vault_unavailable'), 'reads files', CANARY])
    expect(hasFileVault()).toBe(false)
  })

  it('keeps a secret that another program can find, and removes it', async () => {
    const { env } = await session()
    const service = serviceName(join(home, 'state'))
    const lookup = ['lookup', 'service', service, 'account', 'secret/connection/pg']
    expect(await inProcess(env, store + read)).toEqual([CANARY])
    const found = execFileSync('secret-tool', lookup, { env }).toString()
    expect(found).toBe(`base64:${Buffer.from(CANARY).toString('base64')}`)
    expect(await inProcess(env, remove + remove + read)).toEqual([true, false, null])
    expect(() => execFileSync('secret-tool', lookup, { env, stdio: 'pipe' })).toThrow(
      /Command failed: secret-tool/,
    )
  })

  it('is chosen by itself, and leaves nothing on the disk but a note of that', async () => {
    const { env } = await session()
    await inProcess(env, store)
    expect(record()).toEqual({ kind: 'keychain' })
    expect(hasFileVault()).toBe(false)
  })

  it('gives one home nothing of another', async () => {
    const { env } = await session()
    const answers = await inProcess(
      env,
      `${store}
       const second = await open(${JSON.stringify(join(home, 'other'))})
       say(await attempt(second.get('connection/pg')))
       await second.set('connection/pg', new Secret('theirs'))
       say(await second.delete('connection/pg'))
       ${read}`,
    )
    expect(answers).toEqual([null, true, CANARY])
  })
})
