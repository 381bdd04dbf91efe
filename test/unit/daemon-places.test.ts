import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Lease } from '../../src/core/lease.ts'
import { TaskFolders } from '../../src/daemon/tasks/folders.ts'
import { TaskPlaces } from '../../src/daemon/tasks/places.ts'
import type { LeaseId } from '../../src/lib/ids.ts'

const LEASE = 'lse_01m7z37vmww9e1aye9y92v1jce' as LeaseId
const DB = { host: 'db.example', port: 5432 }
const service = { name: DB, at: DB }

let run: string
let open: Set<string>
let opening: () => Promise<void>
let errors: unknown[]
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'places-'))
  open = new Set()
  opening = async () => {}
  errors = []
})
afterEach(() => rmSync(run, { recursive: true, force: true }))

function places(): TaskPlaces {
  return new TaskPlaces({
    folders: new TaskFolders(run),
    log: { info: () => {}, warn: () => {}, error: (_message, error) => errors.push(error) },
    openSocket: async (_lease, path) => {
      await opening()
      open.add(path)
      return { close: () => open.delete(path) }
    },
  })
}

const order = { lease: LEASE, walls: 'confine', proxied: true, services: [service] } as const
const found =
  (state: Lease['state'], proxied = false) =>
  async () =>
    ({ state, proxied }) as Lease

describe('the place of a task', () => {
  it('is closed whole when its lease ends while it is being opened', async () => {
    const all = places()
    opening = async () => all.ending({ id: LEASE })
    await expect(all.open(order)).rejects.toMatchObject({
      code: 'lease_ended',
      message: `lease "${LEASE}" was ended while it was being opened`,
    })
    expect([...open]).toEqual([])
    expect(existsSync(join(run, 'tasks', LEASE))).toBe(false)
  })

  it('is nothing when one part of it cannot be opened', async () => {
    const all = places()
    opening = async () => {
      throw new Error('no room')
    }
    await expect(all.open(order)).rejects.toThrow('no room')
    expect(existsSync(join(run, 'tasks', LEASE))).toBe(false)
  })

  it('names one service once, and its proxy at confine alone', async () => {
    const all = places()
    const twice = [service, { name: { ...DB }, at: DB }]
    const { folder, socket, proxySocket, services } = await all.open({ ...order, services: twice })
    expect(services).toEqual([{ ...DB, socket: join(folder, 'tcp-0.sock') }])
    expect([socket, proxySocket]).toEqual([
      join(folder, 'own', 'task.sock'),
      join(folder, 'proxy.sock'),
    ])
    all.ending({ id: LEASE })
    const plain = await all.open({ ...order, walls: 'mask', proxied: false, services: [] })
    expect(plain.proxySocket).toBeNull()
    all.ending({ id: LEASE })
    all.ending({ id: LEASE })
    expect(readdirSync(join(run, 'tasks'))).toEqual([])
  })

  it('is not opened again for a lease that has ended, that had a proxy, or that ends meanwhile', async () => {
    const left = async () => {
      const before = places()
      await before.open({ ...order, proxied: false, services: [] })
      before.close()
      expect([...open]).toEqual([])
      expect(readdirSync(join(run, 'tasks'))).toEqual([LEASE])
    }
    for (const lease of [found('revoking'), found('active', true), async () => undefined]) {
      await left()
      await places().restore(lease)
      expect(readdirSync(join(run, 'tasks'))).toEqual([])
    }
    await left()
    const states: Lease['state'][] = ['active', 'revoking']
    await places().restore(async () => found(states.shift() ?? 'failed')())
    expect([[...open], readdirSync(join(run, 'tasks'))]).toEqual([[], []])
  })

  it('is opened again where it was for a lease that goes on', async () => {
    const before = places()
    const { socket } = await before.open({ ...order, proxied: false, services: [] })
    before.close()
    const after = places()
    await after.restore(found('active'))
    expect([...open]).toEqual([socket])
    after.ending({ id: LEASE })
    expect([[...open], readdirSync(join(run, 'tasks'))]).toEqual([[], []])
  })

  it('that cannot be opened again is told to the log and keeps nobody from serving', async () => {
    const before = places()
    await before.open({ ...order, proxied: false, services: [] })
    before.close()
    opening = async () => {
      throw new Error('no room')
    }
    await places().restore(found('active'))
    expect(errors).toHaveLength(1)
  })
})
