import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isBrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Keytar } from '../../src/vault/keytar.ts'
import { type OpenVaultOptions, openVault } from '../../src/vault/open.ts'

// How a keychain is chosen and mistrusted. The real one is in test/services/keychain.test.ts.

let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'broker-open-')), 'state')
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

/** A keychain with the manners of libsecret: locked, it finds nothing and takes nothing. */
class Drawer implements Keytar {
  readonly entries = new Map<string, string>()
  state: 'open' | 'locked' | 'gone' | 'silent' = 'open'
  calls = 0

  async getPassword(service: string, account: string) {
    await this.#answer()
    return this.state === 'locked' ? null : (this.entries.get(`${service} ${account}`) ?? null)
  }

  async setPassword(service: string, account: string, password: string) {
    await this.#answer()
    if (this.state === 'locked') throw new Error('Cannot create an item in a locked collection')
    this.entries.set(`${service} ${account}`, password)
  }

  async deletePassword(service: string, account: string) {
    await this.#answer()
    return this.state !== 'locked' && this.entries.delete(`${service} ${account}`)
  }

  async #answer() {
    this.calls++
    if (this.state === 'gone') throw new Error('The connection is closed: canary-in-upstream-text')
    if (this.state === 'silent') await new Promise(() => undefined)
  }
}

const open = (keytar: Keytar | null, options: Partial<OpenVaultOptions> = {}) =>
  openVault({
    home: { state: folder },
    keychainDeadlineMs: 50,
    loadKeytar: async () => {
      if (!keytar) throw new Error('libsecret-1.so.0: cannot open shared object file')
      return keytar
    },
    ...options,
  })

async function failure(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!isBrokerError(error)) throw new Error(`not refused by us: ${error}`)
  return error
}

const record = () => JSON.parse(readFileSync(join(folder, 'vault.json'), 'utf8'))
const hasFileVault = () => existsSync(join(folder, 'vault.age'))

describe('a keychain that was set up', () => {
  it.each(['gone', 'silent'] as const)('is an error when it is %s, never a file', async (state) => {
    const drawer = new Drawer()
    const before = await open(drawer)
    await before.set('a', new Secret('b'))
    drawer.state = state
    for (const vault of [before, await open(drawer)]) {
      expect((await failure(vault.get('a'))).code).toBe('vault_unavailable')
      expect((await failure(vault.set('a', new Secret('c')))).code).toBe('vault_unavailable')
      expect((await failure(vault.delete('a'))).code).toBe('vault_unavailable')
    }
    expect(hasFileVault()).toBe(false)
    expect(record()).toEqual({ kind: 'keychain' })
  })

  it('is an error when keytar cannot be loaded any more', async () => {
    await (await open(new Drawer())).set('a', new Secret('b'))
    const error = await failure((await open(null)).get('a'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe('the OS keychain cannot be reached from here')
    expect(hasFileVault()).toBe(false)
  })

  it('is locked, not empty, when it answers nothing', async () => {
    const drawer = new Drawer()
    await (await open(drawer)).set('a', new Secret('b'))
    drawer.state = 'locked'
    const vault = await open(drawer)
    const error = await failure(vault.get('a'))
    expect(error.code).toBe('vault_locked')
    expect(error.message).toBe(
      'the OS keychain is locked, or no longer holds what this home stored in it',
    )
    expect((await failure(vault.set('a', new Secret('c')))).code).toBe('vault_locked')
    expect((await failure(vault.delete('a'))).code).toBe('vault_locked')
    expect(await vault.status()).toMatchObject({ kind: 'keychain', locked: true })
    drawer.state = 'open'
    expect((await vault.get('a'))?.reveal()).toBe('b')
    expect(await vault.get('never stored')).toBeNull()
    expect(await vault.delete('never stored')).toBe(false)
  })

  it('believes no absence from before it was unlocked', async () => {
    const drawer = new Drawer()
    await (await open(drawer)).set('a', new Secret('b'))
    const vault = await open(drawer)
    drawer.state = 'locked'
    const getPassword = drawer.getPassword.bind(drawer)
    drawer.getPassword = async (service, account) => {
      if (account === 'sentinel') drawer.state = 'open' // someone typed the password just now
      return getPassword(service, account)
    }
    expect((await vault.get('a'))?.reveal()).toBe('b')
  })

  it('is called once, not once per request, while it hangs', async () => {
    const drawer = new Drawer()
    const vault = await open(drawer)
    await vault.set('a', new Secret('b'))
    drawer.state = 'silent'
    const before = drawer.calls
    const errors = await Promise.all(Array.from({ length: 10 }, () => failure(vault.get('a'))))
    expect(errors.map((error) => error.message)).toEqual(
      Array(10).fill('the OS keychain did not answer within 50 ms'),
    )
    expect(drawer.calls - before).toBe(1)
  })

  it('is an error when an entry is not what was stored', async () => {
    const drawer = new Drawer()
    const vault = await open(drawer)
    await vault.set('a', new Secret('canary-value'))
    for (const [key, value] of drawer.entries) {
      if (key.endsWith('secret/a')) drawer.entries.set(key, value.slice(0, -3))
    }
    const error = await failure(vault.get('a'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe('the keychain\'s entry for "a" is damaged')
  })

  it('is an error when it does not keep what it was given', async () => {
    const drawer = new Drawer()
    const vault = await open(drawer)
    await vault.get('a')
    drawer.setPassword = async (service, account, password) => {
      drawer.entries.set(`${service} ${account}`, password.slice(0, 10))
    }
    const error = await failure(vault.set('a', new Secret('x'.repeat(100))))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe('the OS keychain did not keep what it was given')
  })

  it('says nothing of what upstream said', async () => {
    const drawer = new Drawer()
    await (await open(drawer)).set('a', new Secret('b'))
    drawer.state = 'gone'
    const error = await failure((await open(drawer)).get('a'))
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('canary')
  })
})

describe('choosing a vault', () => {
  it('refuses another kind than the home has', async () => {
    const drawer = new Drawer()
    await (await open(drawer)).set('a', new Secret('b'))
    const error = await failure((await open(drawer, { kind: 'file' })).get('a'))
    expect(error.code).toBe('config_invalid')
    expect(error.message).toBe(
      'BROKER_VAULT asks for "file", but this home keeps its secrets in "keychain"',
    )
    expect(hasFileVault()).toBe(false)
  })

  it.each([
    ['cannot be loaded', null],
    ['is gone', 'gone'],
    ['is locked', 'locked'],
    ['is silent', 'silent'],
  ] as const)('fails when a keychain is demanded that %s', async (_name, state) => {
    const drawer = state ? new Drawer() : null
    if (drawer && state) drawer.state = state
    const vault = await open(drawer, { kind: 'keychain' })
    expect((await failure(vault.get('a'))).code).toBe('vault_unavailable')
    expect(hasFileVault()).toBe(false)
    expect(existsSync(join(folder, 'vault.json'))).toBe(false)
  })

  it.each(['gone', 'locked', 'silent'] as const)(
    'takes a file where the keychain is %s from the start, and stays with it',
    async (state) => {
      const drawer = new Drawer()
      drawer.state = state
      await (await open(drawer)).set('a', new Secret('b'))
      expect(record()).toMatchObject({ kind: 'file', sealedBy: 'key-file' })
      drawer.state = 'open'
      const calls = drawer.calls
      expect((await (await open(drawer)).get('a'))?.reveal()).toBe('b')
      expect(drawer.calls).toBe(calls)
    },
  )

  it('takes the keychain where it answers, and leaves no probe in it', async () => {
    const drawer = new Drawer()
    const vault = await open(drawer)
    await vault.set('a', new Secret('b\0c'))
    expect((await vault.get('a'))?.reveal()).toBe('b\0c')
    expect(await vault.status()).toMatchObject({ kind: 'keychain', sealedBy: 'os', locked: false })
    expect(
      [...drawer.entries.keys()].map((key) => key.replace(/^broker-[0-9a-f]{16} /, '')),
    ).toEqual(['sentinel', 'secret/a'])
    expect(hasFileVault()).toBe(false)
  })

  it('takes a file vault that is there, with or without its record', async () => {
    await (await open(null)).set('a', new Secret('b'))
    rmSync(join(folder, 'vault.json'))
    expect((await (await open(new Drawer())).get('a'))?.reveal()).toBe('b')
  })

  it('does nothing at all before the first use', async () => {
    const drawer = new Drawer()
    await open(drawer)
    expect(drawer.calls).toBe(0)
    expect(existsSync(folder)).toBe(false)
  })

  it('asks the keychain once when several want a secret at once', async () => {
    const drawer = new Drawer()
    const vault = await open(drawer)
    await Promise.all([vault.get('a'), vault.get('b'), vault.set('c', new Secret('d'))])
    const probes = [...drawer.entries.keys()].filter((key) => key.endsWith('sentinel'))
    expect(probes).toHaveLength(1)
    expect((await vault.get('c'))?.reveal()).toBe('d')
  })

  it('refuses a name that a keychain would cut at its NUL', async () => {
    const vault = await open(new Drawer())
    expect((await failure(vault.get('a\0b'))).code).toBe('invalid_request')
    expect((await failure(vault.set('', new Secret('x')))).code).toBe('invalid_request')
  })

  it('lets no two homes share a keychain', async () => {
    const drawer = new Drawer()
    await (await open(drawer)).set('a', new Secret('b'))
    const other = await open(drawer, { home: { state: join(folder, '..', 'other') } })
    expect(await other.get('a')).toBeNull()
    await other.set('a', new Secret('c'))
    expect((await (await open(drawer)).get('a'))?.reveal()).toBe('b')
  })

  it('unlocks no keychain by a passphrase', async () => {
    const vault = await open(new Drawer())
    expect((await failure(vault.unlock(new Secret('x')))).code).toBe('unsupported')
  })
})
