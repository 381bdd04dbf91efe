import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { ARROWS } from '../core/transitions.ts'
import { addExchange } from './migration-exchange.ts'
import { addJournal } from './migration-journal.ts'
import { addProxy } from './migration-proxy.ts'

/** In order of their names; one that has been released is never changed. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_leases': { up: createLeases },
  '0002_audit': { up: createAudit },
  '0003_configuration': { up: createConfiguration },
  '0004_proxy': { up: addProxy },
  '0005_exchange': { up: addExchange },
  '0006_journal': { up: addJournal },
}

async function createLeases(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('leases')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('live', 'integer', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('template_name', 'text', (c) => c.notNull())
    .addColumn('template_version', 'integer', (c) => c.notNull())
    .addColumn('template_sha256', 'text', (c) => c.notNull())
    .addColumn('principal_kind', 'text', (c) => c.notNull())
    .addColumn('principal_id', 'text', (c) => c.notNull())
    .addColumn('actor_command', 'text')
    .addColumn('actor_pid', 'integer')
    .addColumn('reason', 'text')
    .addColumn('isolation', 'text', (c) => c.notNull())
    .addColumn('parent', 'text')
    .addColumn('issued_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('delivered_at', 'bigint')
    .addColumn('ack_deadline', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('end_reason', 'text')
    .addColumn('end_note', 'text')
    .addColumn('due_at', 'bigint')
    .addColumn('handle_digest', 'text', (c) => c.notNull())
    .addColumn('session_digest', 'text')
    .addColumn('session_boot', 'text')
    .execute()
  await db.schema
    .createTable('grants')
    .addColumn('lease', 'text', (c) => c.notNull().references('leases.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('provider', 'text', (c) => c.notNull())
    .addColumn('connection', 'text')
    .addColumn('mode', 'text', (c) => c.notNull())
    .addColumn('capability', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('operations', 'text', (c) => c.notNull())
    .addColumn('recipe', 'text', (c) => c.notNull())
    .addColumn('handle', 'text', (c) => c.notNull())
    .addColumn('mint_started_at', 'bigint')
    .addColumn('expires_at', 'bigint')
    .addColumn('possibly_live_until', 'bigint')
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('first_failed_at', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('notes', 'text', (c) => c.notNull())
    .addColumn('allowed', 'integer', (c) => c.notNull())
    .addColumn('denied', 'integer', (c) => c.notNull())
    .addColumn('approved', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('grants_key', ['lease', 'name'])
    .execute()
  // Partial indexes: a broker's past grows without end, its present does not.
  const partial = [
    sql`create index leases_due on leases (due_at) where due_at is not null`,
    sql`create index leases_live on leases (id) where live = 1`,
    sql`create index leases_live_environment on leases (environment, id) where live = 1`,
    sql`create index leases_unsettled on leases (state) where state in ('minting', 'revoking', 'stuck')`,
    sql`create index leases_children on leases (parent) where parent is not null and live = 1`,
    sql`create index leases_session on leases (session_boot) where session_boot is not null and live = 1`,
    sql`create index leases_handle on leases (handle_digest) where live = 1`,
    sql`create index grants_connection on grants (connection) where connection is not null and state in ('minting', 'active', 'revoking', 'stuck')`,
  ]
  for (const statement of partial) await statement.execute(db)
  await db.schema
    .createTable('live_counts')
    .addColumn('scope', 'text', (c) => c.primaryKey())
    .addColumn('live', 'integer', (c) => c.notNull())
    .execute()
  await refuseOtherArrows(db)
}

/** The state machine once more, where no code path can go round it. */
async function refuseOtherArrows(db: Kysely<never>): Promise<void> {
  const arrows = Object.entries(ARROWS).flatMap(([from, targets]) =>
    targets.map((to) => `'${from}>${to}'`),
  )
  await sql`
    create trigger leases_arrows before update of state on leases
    when old.state <> new.state
      and (old.state || '>' || new.state) not in (${sql.raw(arrows.join(', '))})
    begin select raise(abort, 'no such transition'); end`.execute(db)
}

async function createAudit(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('audit')
    .addColumn('seq', 'integer', (c) => c.primaryKey())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('lease', 'text')
    .addColumn('data', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('mac', 'text', (c) => c.notNull())
    .execute()
  await sql`create index audit_lease on audit (lease, seq) where lease is not null`.execute(db)
  await db.schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('seq', 'integer', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('signature', 'text', (c) => c.notNull())
    .execute()
}

async function createConfiguration(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('connections')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('provider', 'text', (c) => c.notNull())
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('vault_key', 'text')
    .addColumn('origin', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('configurations')
    .addColumn('version', 'integer', (c) => c.primaryKey())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('text', 'text', (c) => c.notNull())
    .addColumn('compiled', 'text', (c) => c.notNull())
    .addColumn('applied_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('templates')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('definition', 'text', (c) => c.notNull())
    .addColumn('applied_at', 'bigint', (c) => c.notNull())
    .addColumn('current', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('templates_key', ['name', 'version'])
    .execute()
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('idempotency')
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('caller', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('lease', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('idempotency_key', ['key', 'caller'])
    .execute()
}
