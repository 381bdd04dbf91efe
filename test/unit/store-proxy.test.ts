import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { NodeSqliteConnection, NodeSqliteDialect } from '../../src/store/node-sqlite.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { GRANT, leaseId, leaseOf, placeLease, START } from '../fixtures/approvals.ts'
import { KEYS } from '../fixtures/context.ts'

let folder: string
let store: Store
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broker-proxy-'))
  store = await openSqlite({ path: join(folder, 'db'), keys: KEYS, now: () => START })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the counters of a grant', () => {
  it('refuse a grant that is not there', async () => {
    await placeLease(store, leaseOf(1))
    for (const [lease, grant] of [
      [leaseId(1), 'db'],
      [leaseId(2), 'cloud'],
    ] as const) {
      await expect(
        store.write((writer) => writer.countRequest(lease, grant, 'allowed')),
      ).rejects.toThrow(`no grant "${grant}" of lease ${lease}`)
    }
  })

  it('lose nothing to a save of the lease that was read before they were counted', async () => {
    const before = await placeLease(store, leaseOf(1))
    for (const counted of ['allowed', 'allowed', 'denied', 'approved'] as const) {
      await store.write((writer) => writer.countRequest(before.id, 'cloud', counted))
    }
    const stale = { ...before, grants: [{ ...GRANT, notes: ['saved with old counts'] }] }
    await store.write((writer) => writer.saveLease(stale, before.expiresAt))
    expect((await store.read.lease(before.id))?.grants[0]).toEqual({
      ...GRANT,
      notes: ['saved with old counts'],
      requests: { allowed: 2, denied: 1, approved: 1 },
    })
  })

  it('count each of many requests at once, and of one grant alone', async () => {
    await placeLease(store, leaseOf(1, { grants: [GRANT, { ...GRANT, name: 'other' }] }))
    await Promise.all(
      Array.from({ length: 50 }, () =>
        store.write((writer) => writer.countRequest(leaseId(1), 'cloud', 'denied')),
      ),
    )
    const grants = (await store.read.lease(leaseId(1)))?.grants
    expect(grants?.map(({ requests }) => requests.denied)).toEqual([50, 0])
  })
})

describe('keys that are not the lease’s own', () => {
  const note = (host: string, fingerprint: string, at: number) =>
    store.write((writer) => writer.noteForeign(leaseId(1), host, fingerprint, at))
  const noted = async () => (await store.read.lease(leaseId(1)))?.foreignCredentials

  it('cannot be noted for a lease that is not there', async () => {
    await expect(note('api.example', 'aa', START)).rejects.toThrow(`no row for lease ${leaseId(1)}`)
  })

  it('are counted when known, newest last, by host and key', async () => {
    await placeLease(store, leaseOf(1))
    await note('api.example', 'aa', START)
    await note('other.example', 'aa', START + 1)
    await note('api.example', 'bb', START + 2)
    await note('api.example', 'aa', START + 3)
    expect(await noted()).toEqual([
      { host: 'other.example', fingerprint: 'aa', times: 1, lastAt: START + 1 },
      { host: 'api.example', fingerprint: 'bb', times: 1, lastAt: START + 2 },
      { host: 'api.example', fingerprint: 'aa', times: 2, lastAt: START + 3 },
    ])
  })

  it('are kept to the newest twenty', async () => {
    await placeLease(store, leaseOf(1))
    for (let n = 0; n < 25; n++) await note('api.example', `key-${n}`, START + n)
    const kept = await noted()
    expect(kept?.map(({ fingerprint }) => fingerprint)).toEqual(
      Array.from({ length: 20 }, (_, n) => `key-${n + 5}`),
    )
  })

  it('are neither lost nor brought back by a save of the lease', async () => {
    const before = await placeLease(store, leaseOf(1))
    await note('api.example', 'aa', START)
    await store.write((writer) => writer.saveLease({ ...before, proxied: false }, before.expiresAt))
    expect(await noted()).toHaveLength(1)
    expect((await store.read.lease(before.id))?.proxied).toBe(true)
  })
})

describe('a lease that waits to be approved', () => {
  const pending = () =>
    placeLease(
      store,
      leaseOf(1, { state: 'pending', expiresAt: START + 600_000, deliveredAt: null, grants: [] }),
    )

  it('cannot become active without its intent and its minting', async () => {
    const lease = await pending()
    for (const state of ['active', 'minting', 'revoked'] as const) {
      await expect(
        store.write((writer) => writer.saveLease({ ...lease, state }, null)),
      ).rejects.toThrow('no such transition')
    }
  })

  it('is due when it lapses, is not live, and is counted for its principal', async () => {
    await pending()
    expect(await store.read.due(START + 599_999, 9)).toEqual([])
    expect(await store.read.due(START + 600_000, 9)).toEqual([leaseId(1)])
    expect(await store.read.leases({ live: true, limit: 9 })).toEqual([])
    expect(await store.read.liveCount('principal:local:alice')).toBe(0)
    expect(await store.read.pendingLeases({ principal: 'alice' })).toBe(1)
    expect(await store.read.pendingLeases({ principal: 'bob' })).toBe(0)
  })

  it('begins when it was approved: intent, grants and minting in one transaction', async () => {
    const lease = await pending()
    const begun = {
      ...lease,
      issuedAt: START + 5000,
      expiresAt: START + 1_805_000,
      ackDeadline: START + 85_000,
      grants: [{ ...GRANT, state: 'minting' as const }],
    }
    await store.write(async (writer) => {
      const waiting = { ...begun, grants: [] }
      await writer.saveLease({ ...waiting, state: 'intent' }, begun.expiresAt)
      await writer.insertGrants(begun)
      await writer.saveLease({ ...begun, state: 'minting' }, begun.expiresAt)
    })
    expect(await store.read.lease(lease.id)).toEqual({ ...begun, state: 'minting' })
    expect(await store.read.liveCount('principal:local:alice')).toBe(1)
    expect(await store.read.pendingLeases({ principal: 'alice' })).toBe(0)
  })

  it('has a beginning that nothing moves afterwards', async () => {
    const asked = await placeLease(store, leaseOf(3, { state: 'requested' }))
    await store.write((writer) =>
      writer.saveLease({ ...asked, state: 'minting', issuedAt: 0 }, null),
    )
    expect((await store.read.lease(asked.id))?.issuedAt).toBe(START)
    const lease = await placeLease(store, leaseOf(2))
    await store.write((writer) => writer.saveLease({ ...lease, issuedAt: 0 }, null))
    expect((await store.read.lease(lease.id))?.issuedAt).toBe(START)
    const ended = { ...lease, issuedAt: 0, state: 'revoking' } as const
    await store.write((writer) => writer.saveLease(ended, null))
    expect((await store.read.lease(lease.id))?.issuedAt).toBe(START)
  })
})

describe('leases with a proxy', () => {
  it('are listed while active, and only those', async () => {
    await placeLease(store, leaseOf(1))
    await placeLease(store, leaseOf(2, { proxied: false }))
    await placeLease(store, leaseOf(3, { state: 'revoking' }))
    await placeLease(store, leaseOf(4, { state: 'revoked', endedAt: START }))
    expect(await store.read.activeProxied(9)).toEqual([leaseId(1)])
  })
})

describe('a database from before there was a proxy', () => {
  it('is brought up to date with everything that it holds', async () => {
    const path = join(folder, 'old')
    const database = new DatabaseSync(path)
    const db = new Kysely<never>({
      dialect: new NodeSqliteDialect(new NodeSqliteConnection(database)),
    })
    const names = ['0001_leases', '0002_audit', '0003_configuration']
    const old = Object.fromEntries(names.map((name) => [name, MIGRATIONS[name]]))
    const { error } = await new Migrator({
      db,
      provider: { getMigrations: async () => old as typeof MIGRATIONS },
    }).migrateToLatest()
    if (error) throw error
    database.exec(`
      pragma user_version = 3;
      insert into leases values ('${leaseId(1)}', 'active', 1, 'staging', 'dev', 1, 'ff', 'local',
        'alice', null, null, null, 'scrub', null, 1, 2, null, 3, null, null, null, 2, 'd', null, null);
      insert into grants values ('${leaseId(1)}', 'main', 0, 'jwt', null, 'native', 'phantom',
        'active', '["read"]', '{}', 'null', null, null, null, 0, null, null, '[]', 5, 6, 7);
    `)
    database.close()
    const migrated = await openSqlite({ path, keys: KEYS, now: () => START })
    expect(await migrated.read.lease(leaseId(1))).toMatchObject({
      proxied: false,
      foreignCredentials: [],
      grants: [{ approvable: [], requests: { allowed: 5, denied: 6, approved: 7 } }],
    })
    await migrated.close()
  })
})
