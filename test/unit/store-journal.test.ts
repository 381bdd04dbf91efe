// What requests did is durable in the journal before it is in the database. Whatever happens in between, each
// of it comes into the database once, in one chain.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { textEntry } from '../../src/audit/chain.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import type { Context } from '../../src/broker/context.ts'
import { type Append, Journal, left } from '../../src/store/journal.ts'
import { batchText, frame, readBatch, recordsText, unframe } from '../../src/store/journal-batch.ts'
import type { RequestRecord } from '../../src/store/records.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { leaseId, leaseOf, placeLease, START } from '../fixtures/approvals.ts'
import { until } from '../fixtures/broker.ts'
import { KEYS, RECORDER } from '../fixtures/context.ts'

let folder: string
const stores: Store[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'broker-journal-'))
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const path = (name = 'db') => join(folder, name)

const recordOf = (name: string): RequestRecord => ({
  entry: { type: 'request.allowed', lease: leaseId(1), data: { name } },
  whileActive: leaseId(1),
  count: { lease: leaseId(1), grant: 'cloud', counted: 'allowed' },
})

async function open(name = 'db', append?: Append): Promise<Store> {
  const options = { path: path(name), keys: KEYS, now: () => START, recorder: RECORDER }
  const store = await openSqlite({ ...options, ...(append && { append }) })
  stores.push(store)
  return store
}

/** With an active lease, and with the journal at work. */
async function openAtWork(append?: Append): Promise<Store> {
  const store = await open('db', append)
  await placeLease(store, leaseOf(1))
  await atWork(store)
  return store
}

async function atWork(store: Store): Promise<void> {
  await store.record([recordOf('first')])
  await until(
    'there is a journal',
    () => (statSync(`${path()}.journal`, { throwIfNoEntry: false })?.size ?? 0) > 0,
  )
  // The file is there a moment before it is used.
  await until('it is used', async () => {
    await store.record([recordOf('warm')])
    return readFileSync(`${path()}.journal`, 'latin1').includes('"warm"')
  })
}

/** What a crash would leave at this moment: the files as they are. */
function crashed(name: string): void {
  for (const end of ['', '-wal', '.journal']) {
    if (existsSync(path() + end)) copyFileSync(path() + end, path(name) + end)
  }
}

async function names(store: Store): Promise<readonly string[]> {
  const entries = await store.read.entries({ after: 0, limit: 100_000 })
  return entries.map(({ data }) => JSON.parse(data).name).filter((name) => !/first|warm/.test(name))
}

const allowed = async (store: Store) =>
  (await store.read.lease(leaseId(1)))?.grants[0]?.requests.allowed
const entries = async (store: Store) =>
  (await store.read.entries({ after: 0, limit: 100_000 })).filter(
    ({ type }) => type === 'request.allowed',
  ).length
const verified = async (store: Store) => (await verifyAudit({ store } as Context, KEYS, null)).ok

describe('the journal of a store', () => {
  it('has what was recorded, of which the database knows nothing yet: a crash loses none of it', async () => {
    const store = await openAtWork()
    await store.record([recordOf('one')])
    await Promise.all([store.record([recordOf('two')]), store.record([recordOf('three')])])
    crashed('after')
    const after = await open('after')
    expect(await names(after)).toEqual(['one', 'two', 'three'])
    expect(await allowed(after)).toBe(await entries(after))
    expect(await verified(after)).toBe(true)
    // And goes on from there.
    await after.record([recordOf('four')])
    expect(await names(after)).toEqual(['one', 'two', 'three', 'four'])
    expect(await verified(after)).toBe(true)
  })

  it('brings nothing into the database twice', async () => {
    const store = await openAtWork()
    await store.record([recordOf('one')])
    expect(await names(store)).toEqual(['one'])
    // By now the database has it, and the journal still has it too.
    crashed('after')
    expect(readFileSync(`${path('after')}.journal`, 'latin1')).toContain('"one"')
    const after = await open('after')
    expect(await names(after)).toEqual(['one'])
    expect(await allowed(after)).toBe(await entries(after))
    expect(await verified(after)).toBe(true)
  })

  it('goes on counting where the last one ended, so that a crash after a restart loses nothing either', async () => {
    const store = await openAtWork()
    await store.record([recordOf('one')])
    await stores.pop()?.close()
    const again = await open()
    await atWork(again)
    await again.record([recordOf('two')])
    crashed('after')
    const after = await open('after')
    expect(await names(after)).toEqual(['one', 'two'])
    expect(await allowed(after)).toBe(await entries(after))
    expect(await verified(after)).toBe(true)
  })

  it('is emptied before it is used again: what is left of it is never taken for new', async () => {
    const store = await openAtWork()
    await store.record([recordOf('one')])
    crashed('after')
    await open('after')
    expect(statSync(`${path('after')}.journal`).size).toBe(0)
  })

  it('is empty when the store was closed in order: the next start has nothing to read', async () => {
    const store = await openAtWork()
    await store.record([recordOf('one')])
    await stores.pop()?.close()
    expect(statSync(`${path()}.journal`).size).toBe(0)
    expect(await names(await open())).toEqual(['one'])
  })

  it('shows readers and writers everything at once, in the order it was asked for', async () => {
    const store = await openAtWork()
    const seen: unknown[] = []
    await Promise.all([
      store.record([recordOf('before')]),
      store.write(async (writer) => {
        const found = await writer.newestEntries(1)
        seen.push(JSON.parse(found[0]?.data ?? '{}').name)
        await writer.append(recordOf('between').entry)
      }),
      store.record([recordOf('after')]),
    ])
    expect(seen).toEqual(['before'])
    expect(await names(store)).toEqual(['before', 'between', 'after'])
    expect(await verified(store)).toBe(true)
  })

  it('knows of an end as soon as it is written', async () => {
    const store = await openAtWork()
    expect(await store.record([recordOf('before')])).toBe(true)
    await store.write(async (writer) => {
      const lease = await writer.lease(leaseId(1))
      if (!lease) throw new Error('no lease')
      await writer.saveLease({ ...lease, state: 'revoking', endReason: 'task_ended' }, null)
    })
    expect(await store.record([recordOf('after')])).toBe(false)
    expect(await names(store)).toEqual(['before'])
  })

  it('tells nobody before the disk has it', async () => {
    const disk = Promise.withResolvers<void>()
    let asked = 0
    let hold = false
    const store = await openAtWork(async (_file, bytes) => {
      if (!hold) return appendAs(bytes)
      asked++
      await disk.promise
    })
    hold = true
    let told = false
    const recording = store.record([recordOf('slow')]).then(() => {
      told = true
    })
    await until('the disk is asked', () => asked > 0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toBe(false)
    disk.resolve()
    await recording
    expect(told).toBe(true)
  })

  it('refuses everything once the disk has failed: nobody knows what is in it', async () => {
    let fails = false
    const store = await openAtWork(async (_file, bytes) => {
      if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      appendAs(bytes)
    })
    fails = true
    const lost = { code: 'storage_full', message: 'the disk did not keep what was recorded' }
    await expect(store.record([recordOf('lost')])).rejects.toMatchObject(lost)
    fails = false
    await expect(store.record([recordOf('later')])).rejects.toMatchObject(lost)
    await expect(store.write((writer) => writer.saveSetting('a', 'b'))).rejects.toMatchObject(lost)
  })

  it('takes more than it has room for, again and again', async () => {
    const store = await openAtWork()
    const large = 'x'.repeat(30_000)
    const wanted = Array.from({ length: 300 }, (_, index) => `${index} ${large}`)
    await Promise.all(wanted.map((name) => store.record([recordOf(name)])))
    expect(await names(store)).toEqual(wanted)
    expect(await verified(store)).toBe(true)
    expect(statSync(`${path()}.journal`).size).toBe(2 * 1024 * 1024)
  })

  it.each([
    ['cannot be started', 'https://recorder.test/thread.js'],
    ['is not there', 'file:///recorder/thread.js'],
  ])('is done without where its thread %s, and nothing is lost', async (_, program) => {
    const options = { path: path(), keys: KEYS, now: () => START, recorder: new URL(program) }
    const store = await openSqlite(options)
    stores.push(store)
    await placeLease(store, leaseOf(1))
    for (const name of ['one', 'two']) expect(await store.record([recordOf(name)])).toBe(true)
    expect(await names(store)).toEqual(['one', 'two'])
    expect(existsSync(`${path()}.journal`)).toBe(false)
    expect(await verified(store)).toBe(true)
  })

  it('leaves alone what is larger than itself', async () => {
    const store = await openAtWork()
    const huge = 'x'.repeat(1_500_000)
    expect(await store.record([recordOf(huge)])).toBe(true)
    expect(await store.record([recordOf('small')])).toBe(true)
    expect((await names(store)).map((name) => name.length)).toEqual([huge.length, 5])
  })

  /** The file by name, for the disks above that only delay or fail. */
  function appendAs(bytes: Buffer): void {
    writeFileSync(`${path()}.journal`, bytes)
  }
})

describe('a process that is killed while it records', () => {
  it('loses nothing that it was told is durable, and has nothing twice', async () => {
    for (let round = 0; round < 6; round++) {
      const child = fork(join(import.meta.dirname, '../fixtures/journal-writer.ts'), [path()], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      let told = -1
      child.on('message', (number: number) => {
        told = Math.max(told, number)
      })
      const enough = told + 200 + round * 37
      await until('it has recorded enough', () => told >= enough)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const store = await open()
      const found = (await names(store)).map(Number)
      expect(found.length).toBeGreaterThan(told)
      expect(found).toEqual(found.map((_, index) => index))
      expect(await allowed(store)).toBe(found.length)
      expect(await verified(store)).toBe(true)
      await stores.pop()?.close()
      rmSync(folder, { recursive: true, force: true })
      folder = mkdtempSync(join(tmpdir(), 'broker-journal-'))
    }
  }, 60_000)
})

describe('a batch', () => {
  const text = (name: string) => batchText(START, [recordsText([recordOf(name)])])
  const batch = (seq: number) => ({ seq, text: text(`n${seq}`) })
  const journal = path.bind(null, 'journal')
  const write = (...parts: readonly (Buffer | string)[]) =>
    writeFileSync(journal(), Buffer.concat(parts.map((part) => Buffer.from(part))))
  const seqs = (applied: number) => left(journal(), KEYS.mac, applied).map(({ seq }) => seq)

  it('comes back as it went in', () => {
    const data = { b: ['ä', null, 1.5], a: 'a\tline\nof "two"' }
    const denied: RequestRecord = { entry: { type: 'egress.denied', lease: null, data } }
    const allowed = recordOf('"x"\n')
    const whole = batchText(START, [recordsText([allowed, denied]), recordsText([denied])])
    const asText = ({ entry, count }: RequestRecord) => ({
      entry: textEntry(entry),
      ...(count && { count }),
    })
    const records = [allowed, denied, denied].map(asText)
    expect(readBatch(whole)).toEqual({ at: START, records })
    const framed = frame(KEYS.mac, { seq: 7, text: whole })
    expect(unframe(KEYS.mac, framed, 0)).toEqual({
      batch: { seq: 7, text: whole },
      end: framed.length,
    })
  })

  it.each([
    ['changed text', (framed: Buffer) => framed.toString().replace('n1', 'n2')],
    ['another number', (framed: Buffer) => framed.toString().replace(' 1 ', ' 2 ')],
    ['a cut end', (framed: Buffer) => framed.subarray(0, framed.length - 2)],
    [
      'a code of another key',
      (framed: Buffer) => `${'0'.repeat(64)}${framed.toString().slice(64)}`,
    ],
    ['a length of its own', (framed: Buffer) => framed.toString().replace(/ \d+\n/, ' 5\n')],
  ])('with %s is none', (_what, change) => {
    write(change(frame(KEYS.mac, batch(1))))
    expect(seqs(0)).toEqual([])
    write(frame(KEYS.mac, batch(1)))
    expect(seqs(0)).toEqual([1])
  })

  it('counts only behind what the database has, without a gap', () => {
    write(...[1, 2, 3, 5].map((seq) => frame(KEYS.mac, batch(seq))))
    expect(seqs(0)).toEqual([1, 2, 3])
    expect(seqs(2)).toEqual([3])
    expect(seqs(3)).toEqual([])
    expect(seqs(9)).toEqual([])
  })

  it('is not written over one that the database does not have', async () => {
    const one = await Journal.create(journal(), KEYS.mac, 0)
    const large = JSON.stringify('x'.repeat(600_000))
    expect(await one.append(large)).toMatchObject({ seq: 1 })
    expect(await one.append(large)).toMatchObject({ seq: 2 })
    expect(await one.append(large)).toBe(null)
    one.apply(1)
    expect(await one.append(large)).toMatchObject({ seq: 3 })
    expect(await one.append(large)).toBe(null)
    one.close()
    expect(seqs(1)).toEqual([2, 3])
  })
})
