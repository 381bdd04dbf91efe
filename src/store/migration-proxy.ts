import { type Kysely, sql } from 'kysely'
import { APPROVAL_ARROWS } from '../core/approval.ts'

/** `0004_proxy`: what leases and grants know of their proxy, and the approvals. */
export async function addProxy(db: Kysely<never>): Promise<void> {
  const columns = [
    sql`alter table leases add column proxied integer not null default 0`,
    sql`alter table leases add column foreign_credentials text not null default '[]'`,
    sql`alter table grants add column approvable text not null default '[]'`,
  ]
  for (const statement of columns) await statement.execute(db)
  await createApprovals(db)
  // Partial, as in 0001: what is waiting is short, what was decided grows without end.
  const indexes = [
    sql`create index leases_pending on leases (principal_id) where state = 'pending'`,
    sql`create index leases_proxied on leases (id) where proxied = 1 and live = 1`,
    sql`create index approvals_pending on approvals (lease, id) where state = 'pending'`,
    sql`create index approvals_open on approvals (lapses_at) where state in ('pending', 'approved')`,
    sql`create index approvals_binding on approvals (lease, binding, id)`,
  ]
  for (const statement of indexes) await statement.execute(db)
  await refuseOtherDecisions(db)
}

async function createApprovals(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('approvals')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('lease', 'text', (c) => c.notNull().references('leases.id'))
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('template', 'text', (c) => c.notNull())
    .addColumn('principal_kind', 'text', (c) => c.notNull())
    .addColumn('principal_id', 'text', (c) => c.notNull())
    .addColumn('actor_command', 'text')
    .addColumn('actor_pid', 'integer')
    .addColumn('reason', 'text')
    .addColumn('grant_name', 'text')
    .addColumn('provider', 'text')
    .addColumn('operations', 'text', (c) => c.notNull())
    .addColumn('summary', 'text', (c) => c.notNull())
    .addColumn('targets', 'text', (c) => c.notNull())
    .addColumn('rule', 'text', (c) => c.notNull())
    .addColumn('confirm', 'text', (c) => c.notNull())
    .addColumn('typed', 'text', (c) => c.notNull())
    .addColumn('binding', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('lapses_at', 'bigint', (c) => c.notNull())
    .addColumn('decided_at', 'bigint')
    .addColumn('decided_by', 'text')
    .addColumn('note', 'text')
    .addColumn('used_at', 'bigint')
    .execute()
}

/** What is denied, lapsed or used stays so, whichever code path asks. */
async function refuseOtherDecisions(db: Kysely<never>): Promise<void> {
  const arrows = Object.entries(APPROVAL_ARROWS).flatMap(([from, targets]) =>
    targets.map((to) => `'${from}>${to}'`),
  )
  await sql`
    create trigger approvals_arrows before update of state on approvals
    when old.state <> new.state
      and (old.state || '>' || new.state) not in (${sql.raw(arrows.join(', '))})
    begin select raise(abort, 'no such decision'); end`.execute(db)
}
