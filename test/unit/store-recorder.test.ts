import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/broker/audit.ts'
import type { Context } from '../../src/broker/context.ts'
import type { Json } from '../../src/lib/json.ts'
import type { RequestRecord } from '../../src/store/records.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { leaseId, leaseOf, placeLease, START } from '../fixtures/approvals.ts'
import { KEYS, RECORDER } from '../fixtures/context.ts'

let folder: string
let store: Store
/** Commits of the store's own thread. */
let commits = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'broker-recorder-'))
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const path = (place = folder) => join(place, 'db')

async function open(recorder?: URL, place = folder): Promise<void> {
  commits = 0
  const sync = async () => {
    commits++
  }
  const options = { path: path(place), keys: KEYS, now: () => START, sync }
  store = await openSqlite({
    ...options,
    ...(recorder && { recorder }),
  })
}

/** Until the other thread has taken over: then this one commits nothing. */
async function openWithThread(recorder = RECORDER, place = folder): Promise<void> {
  await open(recorder, place)
  for (let before = -1; before !== commits; ) {
    before = commits
    await store.record([entryOf('warm')])
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const entryOf = (name: Json): RequestRecord => ({
  entry: { type: 'request.allowed', lease: leaseId(1), data: { name } },
})

const whileActive = (name: string, lease = leaseId(1)): RequestRecord => ({
  ...entryOf(name),
  whileActive: lease,
  count: { lease, grant: 'cloud', counted: 'allowed' },
})

async function names(): Promise<readonly string[]> {
  const entries = await store.read.entries({ after: 0, limit: 10_000 })
  return entries.map(({ data }) => JSON.parse(data).name).filter((name) => name !== 'warm')
}

const counted = async () => (await store.read.lease(leaseId(1)))?.grants[0]?.requests.allowed

async function verified(): Promise<boolean> {
  return (await verifyAudit({ store } as Context, KEYS, null)).ok
}

const end = () =>
  store.write(async (writer) => {
    const lease = await writer.lease(leaseId(1))
    if (!lease) throw new Error('no lease')
    await writer.saveLease({ ...lease, state: 'revoking', endReason: 'task_ended' }, null)
  })

for (const [where, begin] of [
  ['in the store’s own thread', () => open()],
  ['in a thread of its own', () => openWithThread()],
] as const) {
  describe(`recording ${where}`, () => {
    beforeEach(async () => {
      await begin()
      await placeLease(store, leaseOf(1))
    })

    it('writes nothing for a lease that is over, and nothing that came with it', async () => {
      await end()
      expect(await store.record([entryOf('with it'), whileActive('late')])).toBe(false)
      expect(await store.record([whileActive('nobody’s', leaseId(7))])).toBe(false)
      expect(await names()).toEqual([])
      expect(await counted()).toBe(0)
    })

    it('sees an end that was asked for before, and is seen by one asked for after', async () => {
      const results = await Promise.all([
        store.record([whileActive('before')]),
        end(),
        store.record([whileActive('after')]),
      ])
      expect([results[0], results[2]]).toEqual([true, false])
      expect(await names()).toEqual(['before'])
    })

    it('lets one that cannot be written fail alone, whole', async () => {
      const odd = {
        ...entryOf('odd'),
        count: { lease: leaseId(1), grant: 'no', counted: 'denied' },
      }
      const results = await Promise.allSettled([
        store.record([whileActive('one')]),
        store.record([entryOf('half'), odd as RequestRecord]),
        store.record([entryOf(Number.NaN)]),
        store.record([whileActive('two')]),
      ])
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'rejected',
        'fulfilled',
      ])
      expect(results[1]).toMatchObject({
        reason: { message: `no grant "no" of lease ${leaseId(1)}` },
      })
      expect(results[2]).toMatchObject({
        reason: { message: 'canonical JSON cannot hold a non-finite number' },
      })
      expect(await names()).toEqual(['one', 'two'])
      expect(await counted()).toBe(2)
      expect(await verified()).toBe(true)
    })

    it('keeps one chain with everything else that is written, in the order it was asked for', async () => {
      const wanted = Array.from({ length: 300 }, (_, index) => `n${index}`)
      await Promise.all(
        wanted.map((name, index) =>
          index % 3 === 0
            ? store.write((writer) => writer.append(entryOf(name).entry))
            : store.record([whileActive(name)]),
        ),
      )
      expect(await names()).toEqual(wanted)
      expect(await counted()).toBe(200)
      expect(await verified()).toBe(true)
    })

    it('goes on from there when it is opened again', async () => {
      await store.record([whileActive('first')])
      await store.close()
      await begin()
      await store.record([whileActive('second')])
      expect(await names()).toEqual(['first', 'second'])
      expect(await verified()).toBe(true)
    })

    it('takes nothing more once the store is closed', async () => {
      await store.close()
      await expect(store.record([entryOf('late')])).rejects.toThrow('the store is closed')
      await begin()
    })
  })
}

describe('an event loop that never has nothing to do', () => {
  let server: Server
  let busy: Socket
  let turns = 0
  /** A byte that goes to and fro for ever: each turn of the loop has something to read. */
  beforeEach(async () => {
    server = createServer((socket) => {
      socket.setNoDelay(true).on('data', (byte) => socket.write(byte))
      socket.on('error', () => {})
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    busy = connect((server.address() as AddressInfo).port, '127.0.0.1').setNoDelay(true)
    await once(busy, 'connect')
    busy.on('data', (byte) => {
      turns++
      busy.write(byte)
    })
    busy.write('x')
  })
  afterEach(() => {
    busy.destroy()
    server.close()
  })

  it('keeps nothing waiting that came together, nor what comes after it', async () => {
    await openWithThread()
    const before = turns
    for (let times = 0; times < 20; times++) {
      await Promise.all([store.record([entryOf('one')]), store.record([entryOf('two')])])
    }
    expect(turns).toBeGreaterThan(before)
    expect(await names()).toHaveLength(40)
  })
})

describe('a thread that is gone', () => {
  const lost = { code: 'storage_full', message: 'the disk did not keep what was recorded' }

  /** Ready, and then ends at the first batch: nobody knows what became of it. */
  function dying(): URL {
    const file = join(folder, 'dying.mjs')
    const text = `import { parentPort } from 'node:worker_threads'
      parentPort.on('message', () => process.exit(3))
      parentPort.postMessage('ready')`
    writeFileSync(file, text)
    return pathToFileURL(file)
  }

  it('fails what it had, and everything after it: the chain may have moved on', async () => {
    await open(dying())
    const failure = async () => {
      for (;;) {
        try {
          await store.record([entryOf('x')])
        } catch (error) {
          return error
        }
      }
    }
    expect(await failure()).toMatchObject(lost)
    await expect(store.record([entryOf('y')])).rejects.toMatchObject(lost)
    await expect(store.write((writer) => writer.saveSetting('a', 'b'))).rejects.toMatchObject(lost)
  })

  it('that never began leaves its work to the store', async () => {
    await open(pathToFileURL(join(folder, 'missing.mjs')))
    for (let times = 0; times < 20; times++) {
      expect(await store.record([entryOf(`n${times}`)])).toBe(true)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await names()).toHaveLength(20)
    expect(commits).toBe(20)
  })
})

// A disk that is really full: a small tmpfs, which only root may mount.
const canMount = process.getuid?.() === 0 && process.platform === 'linux'
describe.skipIf(!canMount)('on a full disk', () => {
  let mount: string
  beforeEach(() => {
    mount = join(folder, 'disk')
    mkdirSync(mount)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs', mount])
  })
  afterEach(() => {
    execFileSync('umount', ['-l', mount])
  })
  const fill = () => {
    const { bavail, bsize } = statfsSync(mount)
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(bavail * bsize, 1))
  }
  const large = () => entryOf('x'.repeat(50_000))

  it('refuses, and records again when there is room; what it took before is not lost', async () => {
    await openWithThread(RECORDER, mount)
    fill()
    let taken = 0
    const refused = async () => {
      for (;;) {
        try {
          await store.record([large()])
          taken++
        } catch (error) {
          return error
        }
      }
    }
    expect(await refused()).toMatchObject({ code: 'storage_full' })
    rmSync(join(mount, 'ballast'))
    expect(await store.record([entryOf('after')])).toBe(true)
    expect(await names()).toHaveLength(taken + 1)
    expect(await verified()).toBe(true)
  })

  it('gives up the room it keeps, so that a lease can still be ended', async () => {
    await openWithThread(RECORDER, mount)
    await placeLease(store, leaseOf(1))
    fill()
    let taken = 0
    for (; existsSync(`${path(mount)}.reserve`); taken++) await store.record([large()])
    await end()
    expect(await names()).toHaveLength(taken)
    expect(await verified()).toBe(true)
  })
})
