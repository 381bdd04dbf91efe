import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { createLedger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, KEYS, OPERATOR } from '../fixtures/context.ts'

const folders: string[] = []
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'broker-store-'))
  folders.push(made)
  return made
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true })
})

const note = { type: 'daemon.started', lease: null, data: {} } as const

describe('the store', () => {
  it('undoes all of a failed transaction and nothing of its neighbours in the same commit', async () => {
    const store = await openSqlite({ path: join(folder(), 'db'), keys: KEYS, now: () => 0 })
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        store.write(async (writer) => {
          await writer.saveSetting(`key-${n}`, 'value')
          await writer.append({ ...note, data: { n } })
          if (n % 3 === 0) throw new Error('not this one')
        }),
      ),
    )
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(7)
    const entries = await store.read.entries({ after: 0, limit: 100 })
    expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: 13 }, (_, n) => n + 1))
    expect(await store.read.setting('key-3')).toBeUndefined()
    expect(await store.read.setting('key-4')).toBe('value')
    await store.close()
  })

  it('shows readers only what was committed', async () => {
    const store = await openSqlite({ path: join(folder(), 'db'), keys: KEYS, now: () => 0 })
    await store.write(async (writer) => {
      await writer.saveSetting('a', '1')
      expect(await store.read.setting('a')).toBeUndefined()
      expect(await writer.setting('a')).toBe('1')
    })
    expect(await store.read.setting('a')).toBe('1')
    await store.close()
  })

  it('refuses a transition that the state machine does not have, whatever the code says', async () => {
    const context = await createContext(ledgerProvider(createLedger()))
    const { lease } = await issue(context, OPERATOR, { environment: 'staging' })
    await revoke(context, lease.id, 'ttl')
    const raised = new DatabaseSync(join(context.folder, 'broker.sqlite'))
    expect(() => raised.exec("update leases set state = 'active'")).toThrow('no such transition')
    raised.close()
    await context.dispose()
  })

  it('refuses a database of a newer broker instead of guessing', async () => {
    const path = join(folder(), 'db')
    await (await openSqlite({ path, keys: KEYS, now: () => 0 })).close()
    const database = new DatabaseSync(path)
    database.exec('pragma user_version = 999')
    database.close()
    await expect(openSqlite({ path, keys: KEYS, now: () => 0 })).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  it('keeps its file to its owner, also one that was open to others', async () => {
    const path = join(folder(), 'db')
    writeFileSync(path, '', { mode: 0o644 })
    const store = await openSqlite({ path, keys: KEYS, now: () => 0 })
    await store.write((writer) => writer.append(note))
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(path + suffix).mode & 0o077).toBe(0)
    await store.close()
  })

  it('keeps names that look like SQL as the plain text they are', async () => {
    const store = await openSqlite({ path: join(folder(), 'db'), keys: KEYS, now: () => 0 })
    const nasty = `'; drop table leases; --"\u0000\n`
    await store.write((writer) => writer.saveSetting(nasty, nasty))
    expect(await store.read.setting(nasty)).toBe(nasty)
    expect(await store.read.leases({ live: true, limit: 1, environment: nasty })).toEqual([])
    await store.close()
  })
})

// A disk that is really full: a small tmpfs, which only root may mount.
const canMount = process.getuid?.() === 0 && process.platform === 'linux'
describe.skipIf(!canMount)('on a full disk', () => {
  it('mints nothing, still ends what is alive, and loses nothing', async () => {
    const mount = join(folder(), 'disk')
    mkdirSync(mount)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs', mount])
    try {
      const ledger = createLedger()
      const keys = KEYS
      const store = await openSqlite({ path: join(mount, 'db'), keys, now: () => Date.now() })
      const context = await createContext(ledgerProvider(ledger), {}, { store })
      const leases = []
      for (let n = 0; n < 10; n++) {
        const { lease } = await issue(context, OPERATOR, { environment: 'staging' })
        leases.push(await acknowledge(context, lease.id, { session: false }))
      }
      fill(join(mount, 'ballast'))
      const refusals = await exhaust(() => issue(context, OPERATOR, { environment: 'staging' }))
      expect(refusals).toMatchObject({ code: 'storage_full' })
      const mintedBefore = ledger.minted
      await expect(issue(context, OPERATOR, { environment: 'staging' })).rejects.toMatchObject({
        code: 'storage_full',
      })
      expect(ledger.minted).toBe(mintedBefore)
      for (const lease of leases) {
        expect(await revoke(context, lease.id, 'task_ended')).toMatchObject({ state: 'revoked' })
      }
      for (const lease of leases) {
        expect([...ledger.alive.keys()].filter((name) => name.includes(lease.id))).toEqual([])
      }
      rmSync(join(mount, 'ballast'))
      await issue(context, OPERATOR, { environment: 'staging' })
      expect(await verifyAudit(context, keys, null)).toMatchObject({ ok: true })
      await store.close()
    } finally {
      execFileSync('umount', [mount])
    }
  })
})

function fill(path: string): void {
  for (let size = 1 << 20; size >= 4096; size >>= 1) {
    for (let n = 0; n < 64; n++) {
      try {
        writeFileSync(`${path}`, Buffer.alloc(size), { flag: 'a' })
      } catch {
        break
      }
    }
  }
}

/** Until the room that the log had left over is used up as well. */
async function exhaust(work: () => Promise<unknown>): Promise<unknown> {
  for (let n = 0; n < 2000; n++) {
    try {
      await work()
    } catch (error) {
      return error
    }
  }
  throw new Error('the disk never filled up')
}
