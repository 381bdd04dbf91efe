import { type Kysely, sql } from 'kysely'
import type { Entry, SignedHead } from '../audit/entry.ts'
import type { Approval } from '../core/approval.ts'
import type { Lease, LeaseState } from '../core/lease.ts'
import type { Configuration } from '../core/template.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { JsonObject } from '../lib/json.ts'
import { approvalFromRow } from './approval-rows.ts'
import { CompiledQueries, type Runner } from './compiled.ts'
import { entryFromRow, exchangeFromRow, leaseFromRow } from './rows.ts'
import type { ConnectionRow, LeaseRow, Schema } from './schema.ts'
import type {
  ApprovalQuery,
  EntryQuery,
  LeaseQuery,
  LeaseSecrets,
  LiveGrants,
  Reader,
  SealedPurpose,
  StoredConfiguration,
  StoredConnection,
  StoredExchange,
  StoredTemplate,
} from './store.ts'

// Literals, not parameters: a partial index is only used when the statement's own text implies it.
const ONE = sql.lit(1)
const UNSETTLED = sql<boolean>`state in ('minting', 'revoking', 'stuck')`
const PENDING = sql.lit('pending')
const OPEN = sql<boolean>`state in ('pending', 'approved')`
const GRANT_LIVE = sql<boolean>`state in ('minting', 'active', 'revoking', 'stuck')`

type Db = Kysely<Schema>

const leaseById = (db: Db, { id }: { id: string }) =>
  db.selectFrom('leases').selectAll().where('id', '=', id)

const stateById = (db: Db, { id }: { id: string }) =>
  db.selectFrom('leases').select('state').where('id', '=', id)

const leaseByDigest = (db: Db, { digest }: { digest: string }) =>
  db.selectFrom('leases').selectAll().where('handle_digest', '=', digest).where('live', '=', ONE)

const grantsOfLease = (db: Db, { id }: { id: string }) =>
  db.selectFrom('grants').selectAll().where('lease', '=', id).orderBy('position')

const childrenOf = (db: Db, { parent }: { parent: string }) =>
  db.selectFrom('leases').select('id').where('parent', '=', parent).where('live', '=', ONE)

const countOfScope = (db: Db, { scope }: { scope: string }) =>
  db.selectFrom('live_counts').select('live').where('scope', '=', scope)

const exchangeByToken = (db: Db, { token }: { token: string }) =>
  db.selectFrom('exchanges').selectAll().where('token', '=', token)

const sealedOf = (db: Db, { lease, purpose }: { lease: string; purpose: string }) =>
  db.selectFrom('sealed').select('text').where('lease', '=', lease).where('purpose', '=', purpose)

const approvalById = (db: Db, { id }: { id: string }) =>
  db.selectFrom('approvals').selectAll().where('id', '=', id)

const newestApproval = (db: Db, { lease, binding }: { lease: string; binding: string }) =>
  db
    .selectFrom('approvals')
    .selectAll()
    .where('lease', '=', lease)
    .where('binding', '=', binding)
    .orderBy('id', 'desc')
    .limit(sql.lit(1))

/** Every question the broker asks of its database; the same for each engine. */
export class KyselyReader implements Reader {
  protected readonly db: Kysely<Schema>
  protected readonly compiled: CompiledQueries

  constructor(db: Kysely<Schema>, runner: Runner = db) {
    this.db = db
    this.compiled = new CompiledQueries(db, runner)
  }

  async lease(id: string): Promise<Lease | undefined> {
    return this.#one(await this.compiled.run(leaseById, { id }))
  }

  async state(id: string): Promise<LeaseState | undefined> {
    const { rows } = await this.compiled.run(stateById, { id })
    return rows[0]?.state as LeaseState | undefined
  }

  async leaseByHandle(digest: string): Promise<Lease | undefined> {
    return this.#one(await this.compiled.run(leaseByDigest, { digest }))
  }

  async #one({ rows: [row] }: { rows: LeaseRow[] }): Promise<Lease | undefined> {
    if (!row) return undefined
    const grants = await this.compiled.run(grantsOfLease, { id: row.id })
    return leaseFromRow(row, grants.rows)
  }

  async leases(query: LeaseQuery): Promise<readonly Lease[]> {
    let select = this.db.selectFrom('leases').selectAll().orderBy('id', 'desc').limit(query.limit)
    if (query.live) select = select.where('live', '=', ONE)
    if (query.environment !== undefined)
      select = select.where('environment', '=', query.environment)
    if (query.before !== undefined) select = select.where('id', '<', query.before)
    return this.#withGrants(await select.execute())
  }

  async #withGrants(rows: readonly LeaseRow[]): Promise<Lease[]> {
    if (rows.length === 0) return []
    const grants = await this.db
      .selectFrom('grants')
      .selectAll()
      .where(
        'lease',
        'in',
        rows.map((row) => row.id),
      )
      .orderBy('position')
      .execute()
    const byLease = Map.groupBy(grants, (grant) => grant.lease)
    return rows.map((row) => leaseFromRow(row, byLease.get(row.id) ?? []))
  }

  async secrets(id: string): Promise<LeaseSecrets | undefined> {
    const row = await this.db
      .selectFrom('leases')
      .select(['handle_digest', 'session_digest'])
      .where('id', '=', id)
      .executeTakeFirst()
    return row && { handleDigest: row.handle_digest, sessionDigest: row.session_digest }
  }

  async due(now: number, limit: number): Promise<readonly LeaseId[]> {
    return this.#ids(
      this.db
        .selectFrom('leases')
        .select('id')
        .where('due_at', 'is not', null)
        .where('due_at', '<=', now)
        .orderBy('due_at')
        .limit(limit),
    )
  }

  async unsettled(limit: number, after: string): Promise<readonly LeaseId[]> {
    return this.#ids(
      this.db
        .selectFrom('leases')
        .select('id')
        .where(UNSETTLED)
        .where('id', '>', after)
        .orderBy('id')
        .limit(limit),
    )
  }

  async heldByOthers(boot: string, limit: number): Promise<readonly LeaseId[]> {
    return this.#ids(
      this.db
        .selectFrom('leases')
        .select('id')
        .where('live', '=', ONE)
        .where('session_boot', 'is not', null)
        .where('session_boot', '<>', boot)
        .where('state', '=', 'active')
        .limit(limit),
    )
  }

  async liveChildren(parent: string): Promise<readonly LeaseId[]> {
    const { rows } = await this.compiled.run(childrenOf, { parent })
    return rows.map((row) => row.id as LeaseId)
  }

  async #ids(query: { execute(): Promise<{ id: string }[]> }): Promise<readonly LeaseId[]> {
    return (await query.execute()).map((row) => row.id as LeaseId)
  }

  async liveOnConnection(connection: string): Promise<number> {
    const row = await this.db
      .selectFrom('grants')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('connection', '=', connection)
      .where(GRANT_LIVE)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }

  async liveCount(scope: string): Promise<number> {
    const { rows } = await this.compiled.run(countOfScope, { scope })
    return rows[0]?.live ?? 0
  }

  async liveGrants(): Promise<readonly LiveGrants[]> {
    const rows = await this.db
      .selectFrom('leases')
      .innerJoin('grants', 'grants.lease', 'leases.id')
      .where('leases.live', '=', ONE)
      .groupBy(['leases.state', 'leases.environment', 'grants.provider'])
      .select(['leases.state as state', 'leases.environment as environment'])
      .select((e) => ['grants.provider as provider', e.fn.countAll<number>().as('count')])
      .execute()
    return rows.map((row) => ({
      ...row,
      state: row.state as LeaseState,
      count: Number(row.count),
    }))
  }

  async activeProxied(limit: number): Promise<readonly LeaseId[]> {
    return this.#ids(
      this.db
        .selectFrom('leases')
        .select('id')
        .where('proxied', '=', ONE)
        .where('live', '=', ONE)
        .where('state', '=', 'active')
        .orderBy('id')
        .limit(limit),
    )
  }

  async exchange(token: string): Promise<StoredExchange | undefined> {
    const { rows } = await this.compiled.run(exchangeByToken, { token })
    return rows[0] && exchangeFromRow(rows[0])
  }

  async sealed(lease: string, purpose: SealedPurpose): Promise<string | undefined> {
    const { rows } = await this.compiled.run(sealedOf, { lease, purpose })
    return rows[0]?.text
  }

  async approval(id: string): Promise<Approval | undefined> {
    const { rows } = await this.compiled.run(approvalById, { id })
    return rows[0] && approvalFromRow(rows[0])
  }

  async approvals(query: ApprovalQuery): Promise<readonly Approval[]> {
    let select = this.db
      .selectFrom('approvals')
      .selectAll()
      .orderBy('id', 'desc')
      .limit(query.limit)
    if (query.pending) select = select.where('state', '=', PENDING)
    if (query.lease !== undefined) select = select.where('lease', '=', query.lease)
    if (query.before !== undefined) select = select.where('id', '<', query.before)
    return (await select.execute()).map(approvalFromRow)
  }

  async approvalFor(lease: string, binding: string): Promise<Approval | undefined> {
    const { rows } = await this.compiled.run(newestApproval, { lease, binding })
    return rows[0] && approvalFromRow(rows[0])
  }

  async pendingApprovals(lease: string): Promise<number> {
    const row = await this.db
      .selectFrom('approvals')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('lease', '=', lease)
      .where('state', '=', PENDING)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }

  async pendingLeases(
    whose: { readonly principal: string } | { readonly parent: string },
  ): Promise<number> {
    const [column, value] =
      'parent' in whose
        ? (['parent', whose.parent] as const)
        : (['principal_id', whose.principal] as const)
    const row = await this.db
      .selectFrom('leases')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where(column, '=', value)
      .where('state', '=', PENDING)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }

  async lapsedApprovals(now: number, limit: number): Promise<readonly Approval[]> {
    const rows = await this.db
      .selectFrom('approvals')
      .selectAll()
      .where(OPEN)
      .where('lapses_at', '<=', now)
      .orderBy('lapses_at')
      .limit(limit)
      .execute()
    return rows.map(approvalFromRow)
  }

  async connection(name: string): Promise<StoredConnection | undefined> {
    const row = await this.db
      .selectFrom('connections')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst()
    return row && connectionFromRow(row)
  }

  async connections(): Promise<readonly StoredConnection[]> {
    const rows = await this.db.selectFrom('connections').selectAll().orderBy('name').execute()
    return rows.map(connectionFromRow)
  }

  async configuration(): Promise<StoredConfiguration | undefined> {
    const row = await this.db
      .selectFrom('configurations')
      .selectAll()
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (!row) return undefined
    return {
      version: row.version,
      sha256: row.sha256,
      text: row.text,
      compiled: JSON.parse(row.compiled) as Configuration,
      appliedAt: row.applied_at,
    }
  }

  async templates(): Promise<readonly StoredTemplate[]> {
    const rows = await this.db
      .selectFrom('templates')
      .selectAll()
      .where('current', '=', 1)
      .orderBy('name')
      .execute()
    return rows.map(templateFromRow)
  }

  async entries(query: EntryQuery): Promise<readonly Entry[]> {
    let select = this.db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', query.after)
      .orderBy('seq')
      .limit(query.limit)
    if (query.lease !== undefined) select = select.where('lease', '=', query.lease)
    if (query.since !== undefined)
      select = select.where('at', '>=', new Date(query.since).toISOString())
    return (await select.execute()).map(entryFromRow)
  }

  async newestEntries(limit: number): Promise<readonly Entry[]> {
    const rows = await this.db
      .selectFrom('audit')
      .selectAll()
      .orderBy('seq', 'desc')
      .limit(limit)
      .execute()
    return rows.map(entryFromRow)
  }

  async head(): Promise<SignedHead | undefined> {
    const row = await this.db
      .selectFrom('audit_head')
      .selectAll()
      .where('id', '=', 1)
      .executeTakeFirst()
    return row && { seq: row.seq, hash: row.hash, at: row.at, signature: row.signature }
  }

  async setting(name: string): Promise<string | undefined> {
    const row = await this.db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirst()
    return row?.value
  }

  async remembered(key: string, caller: string) {
    return this.db
      .selectFrom('idempotency')
      .select(['body', 'lease'])
      .where('key', '=', key)
      .where('caller', '=', caller)
      .executeTakeFirst()
  }
}

function connectionFromRow(row: ConnectionRow): StoredConnection {
  return {
    name: row.name,
    provider: row.provider,
    settings: JSON.parse(row.settings) as JsonObject,
    vaultKey: row.vault_key,
    origin: row.origin,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function templateFromRow(row: Schema['templates']): StoredTemplate {
  return {
    name: row.name,
    version: row.version,
    sha256: row.sha256,
    definition: JSON.parse(row.definition) as JsonObject,
    appliedAt: row.applied_at,
  }
}
