import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isBrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import { encryptTo } from '../../src/vault/age.ts'
import { onDisk } from '../../src/vault/failure.ts'
import { FileVault, type FileVaultOptions } from '../../src/vault/file.ts'
import { readKeyFile } from '../../src/vault/key-file.ts'

const CANARY = 'canary-7f3a-topsecret'
let parent: string
let folder: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'broker-vault-'))
  folder = join(parent, 'state')
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

const vault = (options: Partial<FileVaultOptions> = {}) => new FileVault({ folder, ...options })
const inFolder = (name: string) => join(folder, name)
const secret = (text: string) => new Secret(text)

async function failure(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!isBrokerError(error)) throw new Error(`not refused by us: ${inspect(error)}`)
  return error
}

async function filled(options: Partial<FileVaultOptions> = {}) {
  const one = vault(options)
  await one.set('connection/pg', secret(CANARY))
  await one.set('signing-key', secret('second'))
  return one
}

describe('a damaged file vault', () => {
  it('is never taken for an empty one, wherever it was cut off', async () => {
    await filled()
    const whole = readFileSync(inFolder('vault.age'))
    for (let length = 0; length < whole.length; length += 16) {
      writeFileSync(inFolder('vault.age'), whole.subarray(0, length))
      const error = await failure(vault().get('connection/pg'))
      expect(error.code, `cut to ${length}`).toBe('vault_unavailable')
      expect(error.message).toContain(inFolder('vault.age'))
      expect((await failure(vault().set('new', secret('x')))).code).toBe('vault_unavailable')
      expect(readFileSync(inFolder('vault.age')).length).toBe(length)
    }
  })

  it('is refused with any byte changed', async () => {
    await filled()
    const whole = readFileSync(inFolder('vault.age'))
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ 1
      writeFileSync(inFolder('vault.age'), changed)
      const error = await failure(vault().get('connection/pg'))
      expect(error.code, `byte ${at}`).toBe('vault_unavailable')
      expect(error.message).toContain(inFolder('vault.age'))
    }
  })

  it.each(['', 'null', '[]', '{"a":1}', '{"a":"b64?"}', '{"a":"/w=="}'])(
    'is refused when what is sealed in it is %j',
    async (text) => {
      await filled()
      const key = readKeyFile(inFolder('vault.key'))
      writeFileSync(inFolder('vault.age'), await encryptTo(key, text))
      const error = await failure(vault().get('a'))
      expect(error.code).toBe('vault_unavailable')
      expect(error.message).toBe(`vault file "${inFolder('vault.age')}" is damaged or cut off`)
    },
  )

  it('is refused when the file is gone', async () => {
    await filled()
    rmSync(inFolder('vault.age'))
    const error = await failure(vault().get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe(`vault file "${inFolder('vault.age')}" is missing`)
    expect(existsSync(inFolder('vault.age'))).toBe(false)
  })

  it('is refused when its key file is gone, and no new key is made', async () => {
    await filled()
    rmSync(inFolder('vault.key'))
    const error = await failure(vault().set('new', secret('x')))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(`"${inFolder('vault.key')}" is missing`)
    expect(existsSync(inFolder('vault.key'))).toBe(false)
  })

  it('is refused when its key file is gone and its record too', async () => {
    await filled()
    rmSync(inFolder('vault.key'))
    rmSync(inFolder('vault.json'))
    expect((await failure(vault().get('x'))).code).toBe('vault_unavailable')
    expect(existsSync(inFolder('vault.key'))).toBe(false)
  })

  it('is refused with the key of another vault', async () => {
    await filled()
    const other = new FileVault({ folder: join(parent, 'other') })
    await other.set('a', secret('b'))
    copyFileSync(join(parent, 'other', 'vault.key'), inFolder('vault.key'))
    const error = await failure(vault().get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe(`vault file "${inFolder('vault.age')}" was sealed by another key`)
  })

  it('is refused when BROKER_VAULT_KEY_FILE points nowhere', async () => {
    await filled()
    const keyFile = join(parent, 'nowhere.key')
    const error = await failure(vault({ keyFile }).get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(keyFile)
    expect(existsSync(keyFile)).toBe(false)
  })

  it.each([
    ['nothing', ''],
    ['half a record', '{"kind":"fi'],
    ['another kind', '{"kind":"cloud"}'],
    ['a list', '[]'],
  ])('is refused when its record holds %s', async (_name, text) => {
    await filled()
    writeFileSync(inFolder('vault.json'), text)
    const error = await failure(vault().get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(inFolder('vault.json'))
  })

  it('is refused when the file is a link to something that is not mounted', async () => {
    await filled()
    rmSync(inFolder('vault.age'))
    rmSync(inFolder('vault.json'))
    symlinkSync(join(parent, 'not-mounted', 'vault.age'), inFolder('vault.age'))
    expect((await failure(vault().get('connection/pg'))).code).toBe('vault_unavailable')
  })

  it.each([
    ['empty', ''],
    ['something else', 'hunter2\n'],
    ['two keys', 'TWICE'],
  ])('is refused when its key file is %s', async (_name, text) => {
    await filled()
    const key = readFileSync(inFolder('vault.key'), 'utf8')
    writeFileSync(inFolder('vault.key'), text === 'TWICE' ? key + key : text)
    const error = await failure(vault().get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(inFolder('vault.key'))
  })

  it('is refused when others may read its key file', async () => {
    await filled()
    chmodSync(inFolder('vault.key'), 0o644)
    const error = await failure(vault().get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toBe(`vault file "${inFolder('vault.key')}" can be read by others`)
    expect(error.hint).toBe(`make it yours alone: chmod 600 ${inFolder('vault.key')}`)
  })
})

describe('a file vault sealed by a passphrase', () => {
  it('is locked without it, denies a wrong one, and opens by the right one', async () => {
    await filled({ passphrase: secret('correct horse') })
    expect(existsSync(inFolder('vault.key'))).toBe(false)

    const closed = vault()
    expect(await closed.status()).toMatchObject({ sealedBy: 'passphrase', locked: true })
    const error = await failure(closed.get('connection/pg'))
    expect(error.code).toBe('vault_locked')
    expect(error.message).toBe('the vault is sealed by a passphrase')
    expect((await failure(closed.set('x', secret('y')))).code).toBe('vault_locked')

    const wrong = vault({ passphrase: secret('wrong horse') })
    const denied = await failure(wrong.get('connection/pg'))
    expect(denied.code).toBe('denied')
    expect(denied.message).toBe('the passphrase does not open the vault')
    expect(await wrong.status()).toMatchObject({ locked: true })
    // Asked again it does not even look: each look costs a second in which nothing else runs.
    const sealedKey = readFileSync(inFolder('vault.key.age'))
    writeFileSync(inFolder('vault.key.age'), 'not looked at')
    expect((await failure(wrong.get('connection/pg'))).code).toBe('vault_locked')
    writeFileSync(inFolder('vault.key.age'), sealedKey)

    expect((await failure(closed.unlock(secret('wrong horse')))).code).toBe('denied')
    await closed.unlock(secret('correct horse'))
    expect(await closed.status()).toMatchObject({ sealedBy: 'passphrase', locked: false })
    expect((await closed.get('connection/pg'))?.reveal()).toBe(CANARY)
    expect((await failure(closed.unlock(secret('wrong horse')))).code).toBe('denied')
  })

  it('names the sealed key when that is damaged or gone', async () => {
    const passphrase = secret('correct horse')
    await filled({ passphrase })
    const whole = readFileSync(inFolder('vault.key.age'))
    for (let length = 0; length < whole.length; length += 64) {
      writeFileSync(inFolder('vault.key.age'), whole.subarray(0, length))
      const error = await failure(vault({ passphrase }).get('connection/pg'))
      expect(error.code, `cut to ${length}`).toBe('vault_unavailable')
      expect(error.message).toContain(inFolder('vault.key.age'))
    }
    rmSync(inFolder('vault.key.age'))
    const error = await failure(vault({ passphrase }).get('connection/pg'))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(`"${inFolder('vault.key.age')}" is missing`)
  })

  it('refuses an empty passphrase, and one beside a key file', async () => {
    expect((await failure(vault({ passphrase: secret('') }).get('x'))).code).toBe('invalid_request')
    const both = vault({ passphrase: secret('p'), keyFile: join(parent, 'k') })
    const error = await failure(both.get('x'))
    expect(error.code).toBe('config_invalid')
    expect(error.message).toBe('the vault is given a passphrase and a key file')
    expect(existsSync(folder)).toBe(false)
  })
})

describe('a passphrase given to a vault that has a key file', () => {
  const passphrase = secret('correct horse')

  it('takes its place, and the old key opens nothing written since', async () => {
    await filled()
    const oldKey = readFileSync(inFolder('vault.key'), 'utf8')
    const resealed = vault({ passphrase })
    expect((await resealed.get('connection/pg'))?.reveal()).toBe(CANARY)
    expect(await resealed.status()).toMatchObject({ sealedBy: 'passphrase', locked: false })
    expect(existsSync(inFolder('vault.key'))).toBe(false)

    rmSync(inFolder('vault.key.age'))
    writeFileSync(inFolder('vault.key'), oldKey, { mode: 0o600 })
    expect((await failure(vault().get('connection/pg'))).message).toContain('another key')
  })

  it('loses nothing when that was cut off after the new key and before the vault', async () => {
    await filled()
    const files = ['vault.age', 'vault.key', 'vault.json']
    for (const name of files) copyFileSync(inFolder(name), join(parent, name))
    await vault({ passphrase }).get('connection/pg')
    for (const name of files) copyFileSync(join(parent, name), inFolder(name))

    expect((await failure(vault().get('connection/pg'))).code).toBe('vault_locked')
    const finished = vault({ passphrase })
    expect((await finished.get('connection/pg'))?.reveal()).toBe(CANARY)
    expect(existsSync(inFolder('vault.key'))).toBe(false)
    expect((await vault({ passphrase }).get('signing-key'))?.reveal()).toBe('second')
  })

  it('does not when it comes from a prompt', async () => {
    await filled()
    const error = await failure(vault().unlock(secret('tpying error')))
    expect(error.code).toBe('conflict')
    expect(existsSync(inFolder('vault.key.age'))).toBe(false)
    expect((await vault().get('connection/pg'))?.reveal()).toBe(CANARY)
  })
})

describe('a file vault', () => {
  it('touches nothing before its first use', () => {
    vault({ passphrase: secret('p') })
    expect(existsSync(folder)).toBe(false)
  })

  it.each([
    ['newlines and NUL', 'a\nb\0c\r\n'],
    ['nothing', ''],
    ['every kind of character', 'ß 日本 🔑 \u{1}\u{7f} " \\ \u{feff}'],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('keeps a secret of %s', async (_name, text) => {
    await vault().set('a', secret(text))
    expect((await vault().get('a'))?.reveal()).toBe(text)
  })

  it('refuses text that has no UTF-8, and names with NUL', async () => {
    expect((await failure(vault().set('a', secret('\ud800')))).code).toBe('invalid_request')
    expect((await failure(vault().set('a\0b', secret('x')))).code).toBe('invalid_request')
  })

  it('holds names that mean something to JavaScript', async () => {
    const one = vault()
    await one.set('__proto__', secret('a'))
    await one.set('constructor', secret('b'))
    expect((await vault().get('__proto__'))?.reveal()).toBe('a')
    expect(await vault().get('toString')).toBeNull()
  })

  it('replaces, deletes, and says whether there was something', async () => {
    const one = await filled()
    await one.set('signing-key', secret('third'))
    expect(await one.delete('connection/pg')).toBe(true)
    expect(await one.delete('connection/pg')).toBe(false)
    expect(await vault().get('connection/pg')).toBeNull()
    expect((await vault().get('signing-key'))?.reveal()).toBe('third')
  })

  it('loses none of fifty changes that were asked for at once', async () => {
    const one = vault()
    await one.set('gone', secret('x'))
    await Promise.all([
      ...Array.from({ length: 50 }, (_, n) => one.set(`key-${n}`, secret(`value-${n}`))),
      one.delete('gone'),
    ])
    const reopened = vault()
    for (let n = 0; n < 50; n++) {
      expect((await reopened.get(`key-${n}`))?.reveal()).toBe(`value-${n}`)
    }
    expect(await reopened.get('gone')).toBeNull()
  })

  it('makes one vault when first used twice at once', async () => {
    const one = vault()
    await Promise.all([one.set('a', secret('1')), one.get('b'), one.set('c', secret('3'))])
    expect((await vault().get('a'))?.reveal()).toBe('1')
    expect((await vault().get('c'))?.reveal()).toBe('3')
  })

  it('writes files that only their owner may read, and no secret in the clear', async () => {
    const one = await filled()
    await one.delete('signing-key')
    const names = readdirSync(folder).sort()
    expect(names).toEqual(['vault.age', 'vault.json', 'vault.key'])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of names) {
      expect(statSync(inFolder(name)).mode & 0o777, name).toBe(0o600)
      const bytes = readFileSync(inFolder(name), 'latin1')
      expect(bytes).not.toContain(CANARY)
      expect(bytes).not.toContain(Buffer.from(CANARY).toString('base64').slice(0, 20))
    }
  })

  it('makes the key file it is told to, and finds it again without being told', async () => {
    const keyFile = join(parent, 'own.key')
    await filled({ keyFile })
    expect(statSync(keyFile).mode & 0o777).toBe(0o600)
    expect(existsSync(inFolder('vault.key'))).toBe(false)
    expect((await vault().get('connection/pg'))?.reveal()).toBe(CANARY)
    expect(await vault().status()).toMatchObject({ sealedBy: 'key-file', locked: false })
  })

  it('goes on with a set-up that was cut off', async () => {
    await filled()
    rmSync(inFolder('vault.json'))
    expect((await vault().get('connection/pg'))?.reveal()).toBe(CANARY)
    expect(existsSync(inFolder('vault.json'))).toBe(true)
    rmSync(inFolder('vault.json'))
    rmSync(inFolder('vault.age'))
    const key = readFileSync(inFolder('vault.key'), 'utf8')
    await vault().set('a', secret('b'))
    expect(readFileSync(inFolder('vault.key'), 'utf8')).toBe(key)
  })

  it('holds the old secrets when the process is killed before the new file has its name', async () => {
    await filled()
    const before = readFileSync(inFolder('vault.age'))
    const script = `
      import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      fs.renameSync = () => process.kill(process.pid, 'SIGKILL')
      syncBuiltinESMExports()
      const { FileVault } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/vault/file.ts'))})
      const { Secret } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/lib/secret.ts'))})
      await new FileVault({ folder: ${JSON.stringify(folder)} }).set('connection/pg', new Secret('new'))
    `
    const killed = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect(killed.signal, killed.stderr.toString()).toBe('SIGKILL')
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toHaveLength(1)
    expect(readFileSync(inFolder('vault.age'))).toEqual(before)
    expect((await vault().get('connection/pg'))?.reveal()).toBe(CANARY)
  })

  it('does not say it holds what it could not write', async () => {
    const one = await filled()
    rmSync(inFolder('vault.age'))
    mkdirSync(join(inFolder('vault.age'), 'in the way'), { recursive: true })
    const error = await failure(one.set('new', secret('x')))
    expect(error.code).toBe('vault_unavailable')
    expect(error.message).toContain(inFolder('vault.age'))
    expect(await one.get('new')).toBeNull()
    expect((await failure(one.delete('signing-key'))).code).toBe('vault_unavailable')
    expect((await one.get('signing-key'))?.reveal()).toBe('second')
  })

  it('says that a full disk is full', () => {
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' })
    expect(onDisk('/x/vault.age', full)).toMatchObject({
      code: 'storage_full',
      message: 'no room to write vault file "/x/vault.age"',
    })
  })

  it('shows no secret when it is inspected, serialised or asked for its status', async () => {
    const one = await filled()
    const shown = [
      inspect(one, { depth: 9, showHidden: true }),
      JSON.stringify(one),
      JSON.stringify(await one.status()),
      inspect(await one.get('connection/pg')),
    ].join()
    expect(shown).not.toContain(CANARY)
    expect(shown).not.toContain('AGE-SECRET-KEY')
  })
})
