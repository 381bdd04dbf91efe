import { type Kysely, sql } from 'kysely'
import { type ChainKeys, link } from '../audit/chain.ts'
import type { Head, NewEntry } from '../audit/entry.ts'
import type { Approval } from '../core/approval.ts'
import { type ForeignCredential, type Lease, LIVE } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import type { LeaseId } from '../lib/ids.ts'
import { canonicalJson } from '../lib/json.ts'
import { type ApprovalChange, approvalRow, decisionColumns } from './approval-rows.ts'
import type { Runner } from './compiled.ts'
import { KyselyReader, templateFromRow } from './reader.ts'
import {
  changingColumns,
  changingGrantColumns,
  exchangeRow,
  foreignText,
  type GrantChange,
  grantRow,
  type LeaseChange,
  lastingColumns,
} from './rows.ts'
import type { ApprovalRow, AuditRow, ExchangeRow, GrantRow, LeaseRow, Schema } from './schema.ts'
import {
  type Counted,
  type LeaseSecrets,
  liveScopes,
  type SealedPurpose,
  type StoredConfiguration,
  type StoredConnection,
  type StoredExchange,
  type StoredTemplate,
  type Writer,
} from './store.ts'

/** Where the chain stands within the running transaction. */
export interface ChainCursor {
  head: Head
}

type Db = Kysely<Schema>

const insertEntry = (db: Db, row: AuditRow) => db.insertInto('audit').values(row)
/** Of a run and a template that has one already, none. */
const insertLeaseRow = (db: Db, row: LeaseRow) =>
  db
    .insertInto('leases')
    .values(row)
    .onConflict((c) =>
      c
        .columns(['run_key', 'template_name'])
        .where('run_key', 'is not', null)
        .where('ended_at', 'is', null)
        .doNothing(),
    )
const insertGrantRow = (db: Db, row: GrantRow) => db.insertInto('grants').values(row)

const updateOne = (db: Db, { id, ...columns }: Partial<LeaseChange> & { id: string }) =>
  db.updateTable('leases').set(columns).where('id', '=', id)

/** A lease begins when it was approved, not when it was asked for; later its beginning is fixed. */
const updateLease = (db: Db, { issued_at, ...change }: LeaseChange) =>
  updateOne(db, change).set({
    issued_at: sql`case when state = 'pending' then ${issued_at} else issued_at end`,
  })

const updateLiveLease = (db: Db, { issued_at: _, ...change }: LeaseChange) =>
  updateOne(db, change).where('live', '=', sql.lit(1))

/**
 * Leaves `live` and `ended_at` as they are, because SQLite rewrites every index that a set column appears
 * in, changed or not.
 */
const keepLive = (db: Db, { live: _, issued_at: __, ended_at: ___, ...change }: LeaseChange) =>
  updateOne(db, change).where('live', '=', sql.lit(1))

const updateGrant = (db: Db, { lease, name, ...columns }: GrantChange) =>
  db.updateTable('grants').set(columns).where('lease', '=', lease).where('name', '=', name)

interface GrantKey {
  readonly lease: string
  readonly grant: string
}

const ofGrant = (db: Db, { lease, grant }: GrantKey) =>
  db.updateTable('grants').where('lease', '=', lease).where('name', '=', grant)

/** One statement for each counter: no request may cost more than that. */
const COUNTERS = {
  allowed: (db: Db, key: GrantKey) => ofGrant(db, key).set({ allowed: sql`allowed + 1` }),
  denied: (db: Db, key: GrantKey) => ofGrant(db, key).set({ denied: sql`denied + 1` }),
  approved: (db: Db, key: GrantKey) => ofGrant(db, key).set({ approved: sql`approved + 1` }),
} as const satisfies Record<Counted, unknown>

const insertExchange = (db: Db, row: ExchangeRow) =>
  db
    .insertInto('exchanges')
    .values(row)
    .onConflict((c) => c.column('token').doNothing())

const insertSealed = (db: Db, row: Schema['sealed']) => db.insertInto('sealed').values(row)

const deleteSealed = (db: Db, { lease }: { lease: string }) =>
  db.deleteFrom('sealed').where('lease', '=', lease)

const deleteSealedOf = (db: Db, { lease, purpose }: { lease: string; purpose: string }) =>
  deleteSealed(db, { lease }).where('purpose', '=', purpose)

const insertApprovalRow = (db: Db, row: ApprovalRow) => db.insertInto('approvals').values(row)

const updateApproval = (db: Db, { id, ...columns }: ApprovalChange) =>
  db.updateTable('approvals').set(columns).where('id', '=', id)

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

/** From here on it is looked at when its time is over. */
const setDelivered = (db: Db, { id, at }: { id: string; at: number }) =>
  db
    .updateTable('leases')
    .set({ delivered_at: at, due_at: sql`expires_at` })
    .where('id', '=', id)
    .where('state', '=', sql.lit('active'))
    .where('delivered_at', 'is', null)

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
    const { numAffectedRows } = await this.compiled.run(insertLeaseRow, {
      ...lastingColumns(lease, secrets),
      ...changingColumns(lease, dueAt),
    })
    if (numAffectedRows !== 1n) throw sameRun(lease)
    await this.insertGrants(lease)
    if (LIVE.includes(lease.state)) await this.#count(lease, 1)
  }

  async insertGrants(lease: Lease): Promise<void> {
    for (const [position, grant] of lease.grants.entries()) {
      await this.compiled.run(insertGrantRow, grantRow(lease.id, position, grant))
    }
  }

  async saveLease(lease: Lease, dueAt: number | null, before?: Lease): Promise<void> {
    const fixed = { id: lease.id, issued_at: lease.issuedAt }
    await this.#saveRow(lease, { ...fixed, ...changingColumns(lease, dueAt) })
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
    await this.db
      .updateTable('leases')
      .set({ due_at: sql`due_at + ${by}` })
      .where('state', '=', sql.lit('pending'))
      .execute()
    await this.db
      .updateTable('approvals')
      .set({ lapses_at: sql`lapses_at + ${by}` })
      .where(sql<boolean>`state in ('pending', 'approved')`)
      .execute()
  }

  async countRequest(lease: string, grant: string, counted: Counted): Promise<void> {
    const { numAffectedRows } = await this.compiled.run(COUNTERS[counted], { lease, grant })
    if (numAffectedRows !== 1n) throw new Error(`no grant "${grant}" of lease ${lease}`)
  }

  async noteForeign(lease: string, host: string, fingerprint: string, at: number): Promise<void> {
    const row = await this.db
      .selectFrom('leases')
      .select('foreign_credentials')
      .where('id', '=', lease)
      .executeTakeFirst()
    if (!row) throw new Error(`no row for lease ${lease}`)
    const tried = JSON.parse(row.foreign_credentials) as ForeignCredential[]
    await this.db
      .updateTable('leases')
      .set({ foreign_credentials: foreignText(withTried(tried, host, fingerprint, at)) })
      .where('id', '=', lease)
      .execute()
  }

  async consumeToken(exchange: StoredExchange): Promise<boolean> {
    const { numAffectedRows } = await this.compiled.run(insertExchange, exchangeRow(exchange))
    return numAffectedRows === 1n
  }

  async saveSealed(lease: string, purpose: SealedPurpose, text: string): Promise<void> {
    await this.compiled.run(insertSealed, { lease, purpose, text })
  }

  async dropSealed(lease: string, purpose?: SealedPurpose): Promise<void> {
    if (purpose === undefined) await this.compiled.run(deleteSealed, { lease })
    else await this.compiled.run(deleteSealedOf, { lease, purpose })
  }

  async forgetExchanges(now: number): Promise<void> {
    await this.db
      .deleteFrom('sealed')
      .where('purpose', '=', 'answer')
      .where('lease', 'in', (e) =>
        e.selectFrom('exchanges').select('lease').where('keep_until', '<', now),
      )
      .execute()
    await this.db.deleteFrom('exchanges').where('keep_until', '<', now).execute()
  }

  async insertApproval(approval: Approval): Promise<void> {
    await this.compiled.run(insertApprovalRow, approvalRow(approval))
  }

  async saveApproval(approval: Approval): Promise<void> {
    const change = { id: approval.id, ...decisionColumns(approval) }
    const { numAffectedRows } = await this.compiled.run(updateApproval, change)
    if (numAffectedRows !== 1n) throw new Error(`no row for approval ${approval.id}`)
  }

  async deliver(id: string, at: number): Promise<boolean> {
    const { numAffectedRows } = await this.compiled.run(setDelivered, { id, at })
    return numAffectedRows === 1n
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

function sameRun({ template }: Lease): BrokerError {
  return new BrokerError(
    'conflict',
    `this run already has a live lease of template "${template.name}"`,
    { hint: 'end that one first, or use it; a new attempt of the job is a run of its own' },
  )
}

const MAX_FOREIGN = 20

/** Newest last; a known one is counted, the oldest make room. */
function withTried(
  tried: readonly ForeignCredential[],
  host: string,
  fingerprint: string,
  at: number,
): readonly ForeignCredential[] {
  const same = (one: ForeignCredential) => one.host === host && one.fingerprint === fingerprint
  const times = (tried.find(same)?.times ?? 0) + 1
  const others = tried.filter((one) => !same(one))
  return [...others, { host, fingerprint, times, lastAt: at }].slice(-MAX_FOREIGN)
}
