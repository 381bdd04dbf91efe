import { type Kysely, sql } from 'kysely'
import { type ChainKeys, link } from '../audit/chain.ts'
import type { Head, NewEntry } from '../audit/entry.ts'
import { type Lease, LIVE } from '../core/lease.ts'
import type { LeaseId } from '../lib/ids.ts'
import { canonicalJson } from '../lib/json.ts'
import type { Runner } from './compiled.ts'
import { KyselyReader, templateFromRow } from './reader.ts'
import {
  changingColumns,
  changingGrantColumns,
  type GrantChange,
  type LeaseChange,
} from './rows.ts'
import type { AuditRow, GrantRow, LeaseRow, Schema } from './schema.ts'
import {
  type LeaseSecrets,
  liveScopes,
  type StoredConfiguration,
  type StoredConnection,
  type StoredTemplate,
  type Writer,
} from './store.ts'

/** Where the chain stands within the running transaction. */
export interface ChainCursor {
  head: Head
}

type Db = Kysely<Schema>

const insertEntry = (db: Db, row: AuditRow) => db.insertInto('audit').values(row)
const insertLeaseRow = (db: Db, row: LeaseRow) => db.insertInto('leases').values(row)
const insertGrantRow = (db: Db, row: GrantRow) => db.insertInto('grants').values(row)

const updateLease = (db: Db, { id, ...columns }: Partial<LeaseChange> & { id: string }) =>
  db.updateTable('leases').set(columns).where('id', '=', id)

const updateLiveLease = (db: Db, change: Partial<LeaseChange> & { id: string }) =>
  updateLease(db, change).where('live', '=', sql.lit(1))

/** Leaves `live` as it is, because SQLite rewrites every index that a set column appears in, changed or not. */
const keepLive = (db: Db, { live: _, ...change }: LeaseChange) => updateLiveLease(db, change)

const updateGrant = (db: Db, { lease, name, ...columns }: GrantChange) =>
  db.updateTable('grants').set(columns).where('lease', '=', lease).where('name', '=', name)

const countScopes = (db: Db, { one, other, by }: { one: string; other: string; by: number }) =>
  db
    .insertInto('live_counts')
    .values([
      { scope: one, live: by },
      { scope: other, live: by },
    ])
    .onConflict((c) => c.column('scope').doUpdateSet({ live: sql`live_counts.live + ${by}` }))

const setSessionBoot = (db: Db, { id, boot }: { id: string; boot: string | null }) =>
  db.updateTable('leases').set({ session_boot: boot }).where('id', '=', id)

/** Every change the broker makes to its database; the same for each engine. */
export class KyselyWriter extends KyselyReader implements Writer {
  readonly #chain: ChainCursor
  readonly #keys: ChainKeys
  readonly #now: () => number

  constructor(
    db: Kysely<Schema>,
    runner: Runner,
    chain: ChainCursor,
    keys: ChainKeys,
    now: () => number,
  ) {
    super(db, runner)
    this.#chain = chain
    this.#keys = keys
    this.#now = now
  }

  async append(entry: NewEntry): Promise<void> {
    const linked = link(this.#keys, this.#chain.head, entry, this.#now())
    await this.compiled.run(insertEntry, linked)
    this.#chain.head = { seq: linked.seq, hash: linked.hash }
  }

  async insertLease(lease: Lease, secrets: LeaseSecrets, dueAt: number | null): Promise<void> {
    await this.compiled.run(insertLeaseRow, {
      id: lease.id,
      environment: lease.environment,
      template_name: lease.template.name,
      template_version: lease.template.version,
      template_sha256: lease.template.sha256,
      principal_kind: lease.principal.kind,
      principal_id: lease.principal.id,
      reason: lease.reason,
      isolation: lease.isolation,
      parent: lease.parent,
      issued_at: lease.issuedAt,
      handle_digest: secrets.handleDigest,
      session_digest: secrets.sessionDigest,
      session_boot: null,
      ...changingColumns(lease, dueAt),
    })
    for (const [position, grant] of lease.grants.entries()) {
      await this.compiled.run(insertGrantRow, {
        lease: lease.id,
        name: grant.name,
        position,
        provider: grant.provider,
        connection: grant.connection,
        mode: grant.mode,
        capability: grant.capability,
        operations: canonicalJson(grant.operations),
        ...changingGrantColumns(grant),
      })
    }
    if (LIVE.includes(lease.state)) await this.#count(lease, 1)
  }

  async saveLease(lease: Lease, dueAt: number | null, before?: Lease): Promise<void> {
    await this.#saveRow(lease, { id: lease.id, ...changingColumns(lease, dueAt) })
    for (const [index, grant] of lease.grants.entries()) {
      if (before?.grants[index] === grant) continue
      await this.compiled.run(updateGrant, {
        lease: lease.id,
        name: grant.name,
        ...changingGrantColumns(grant),
      })
    }
  }

  /** The row itself tells whether it was live before: the counts must hold whatever the caller believes. */
  async #saveRow(lease: Lease, change: LeaseChange): Promise<void> {
    const ends = change.live === 0
    const wasLive = await this.compiled.run(ends ? updateLiveLease : keepLive, change)
    if (wasLive.numAffectedRows === 1n) {
      if (ends) await this.#count(lease, -1)
      return
    }
    const { numAffectedRows } = await this.compiled.run(updateLease, change)
    if (numAffectedRows !== 1n) throw new Error(`no row for lease ${lease.id}`)
    if (!ends) await this.#count(lease, 1)
  }

  async #count(lease: Lease, by: number): Promise<void> {
    const [one, other] = liveScopes(lease)
    await this.compiled.run(countScopes, { one, other, by })
  }

  async defer(ids: readonly LeaseId[], until: number): Promise<void> {
    if (ids.length === 0) return
    await this.db
      .updateTable('leases')
      .set({ due_at: until })
      .where('id', 'in', [...ids])
      .where('due_at', 'is not', null)
      .execute()
  }

  async shiftDeadlines(by: number): Promise<void> {
    await this.db
      .updateTable('leases')
      .set({
        expires_at: sql`expires_at + ${by}`,
        ack_deadline: sql`ack_deadline + ${by}`,
        due_at: sql`due_at + ${by}`,
      })
      .where('live', '=', sql.lit(1))
      .execute()
  }

  async holdSession(id: string, boot: string | null): Promise<void> {
    await this.compiled.run(setSessionBoot, { id, boot })
  }

  async saveConnection(connection: StoredConnection): Promise<void> {
    const columns = {
      provider: connection.provider,
      settings: canonicalJson(connection.settings),
      vault_key: connection.vaultKey,
      origin: connection.origin,
      updated_at: connection.updatedAt,
    }
    await this.db
      .insertInto('connections')
      .values({ name: connection.name, created_at: connection.createdAt, ...columns })
      .onConflict((c) => c.column('name').doUpdateSet(columns))
      .execute()
  }

  async deleteConnection(name: string): Promise<boolean> {
    const result = await this.db
      .deleteFrom('connections')
      .where('name', '=', name)
      .executeTakeFirst()
    return result.numDeletedRows > 0n
  }

  async insertConfiguration(configuration: Omit<StoredConfiguration, 'version'>): Promise<number> {
    const newest = await this.db
      .selectFrom('configurations')
      .select((e) => e.fn.max<number | null>('version').as('version'))
      .executeTakeFirst()
    const version = (newest?.version ?? 0) + 1
    await this.db
      .insertInto('configurations')
      .values({
        version,
        sha256: configuration.sha256,
        text: configuration.text,
        compiled: JSON.stringify(configuration.compiled),
        applied_at: configuration.appliedAt,
      })
      .execute()
    return version
  }

  async replaceTemplates(templates: readonly StoredTemplate[]): Promise<void> {
    await this.db.updateTable('templates').set({ current: 0 }).execute()
    for (const template of templates) {
      const columns = { current: 1 }
      await this.db
        .insertInto('templates')
        .values({
          name: template.name,
          version: template.version,
          sha256: template.sha256,
          definition: canonicalJson(template.definition),
          applied_at: template.appliedAt,
          ...columns,
        })
        .onConflict((c) => c.columns(['name', 'version']).doUpdateSet(columns))
        .execute()
    }
  }

  async newestTemplate(name: string): Promise<StoredTemplate | undefined> {
    const row = await this.db
      .selectFrom('templates')
      .selectAll()
      .where('name', '=', name)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && templateFromRow(row)
  }

  async saveSetting(name: string, value: string): Promise<void> {
    await this.db
      .insertInto('settings')
      .values({ name, value })
      .onConflict((c) => c.column('name').doUpdateSet({ value }))
      .execute()
  }

  async remember(
    key: string,
    caller: string,
    body: string,
    lease: string,
    at: number,
  ): Promise<void> {
    await this.db
      .insertInto('idempotency')
      .values({ key, caller, body, lease, at })
      .onConflict((c) => c.columns(['key', 'caller']).doUpdateSet({ body, lease, at }))
      .execute()
  }

  async forgetBefore(at: number): Promise<void> {
    await this.db.deleteFrom('idempotency').where('at', '<', at).execute()
  }
}
