import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import type { Sync } from '../../src/store/wal.ts'
import { KEYS } from '../fixtures/context.ts'

let folder: string
let store: Store | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'broker-wal-'))
})

afterEach(async () => {
  await store?.close()
  store = undefined
  rmSync(folder, { recursive: true, force: true })
})

const open = async (sync?: Sync) => {
  store = await openSqlite({
    path: join(folder, 'broker.sqlite'),
    keys: KEYS,
    now: Date.now,
    ...(sync && { sync }),
  })
  return store
}

const save = (one: Store, value: string) =>
  one.write((writer) => writer.saveSetting('greeting', value))

describe('a write', () => {
  it('is not told as done before the disk has it', async () => {
    const disk = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const one = await open(() => {
      asked.resolve()
      return disk.promise
    })
    let told = false
    const writing = save(one, 'hello').then(() => {
      told = true
    })
    await asked.promise
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toBe(false)
    disk.resolve()
    await writing
    expect(told).toBe(true)
  })

  it('waits for the disk once for all that wait together', async () => {
    let waits = 0
    const one = await open(async () => {
      waits++
    })
    await Promise.all(Array.from({ length: 20 }, (_, index) => save(one, String(index))))
    expect(waits).toBe(1)
  })

  it('fails when the disk lost it, and so does every one after it', async () => {
    let failing = true
    const one = await open(async () => {
      if (failing) throw Object.assign(new Error('lost'), { code: 'EIO' })
    })
    const lost = { code: 'storage_full', message: 'the disk did not keep what was recorded' }
    await expect(save(one, 'hello')).rejects.toMatchObject(lost)
    // A second "yes" of the same disk proves nothing about what the first "no" was about.
    failing = false
    await expect(save(one, 'again')).rejects.toMatchObject(lost)
  })

  it('is kept by a database that is opened again', async () => {
    await save(await open(), 'hello')
    await store?.close()
    expect(await (await open()).read.setting('greeting')).toBe('hello')
  })
})
