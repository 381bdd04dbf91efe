import { type Kysely, sql } from 'kysely'

/** `0005_exchange`: the CI run of a lease, identity tokens that were used, and what is kept sealed for them. */
export async function addExchange(db: Kysely<never>): Promise<void> {
  const columns = [
    sql`alter table leases add column run_key text`,
    sql`alter table leases add column run text`,
  ]
  for (const statement of columns) await statement.execute(db)
  // Also what waits for its approval: two of one run must not both be approved.
  await sql`create unique index leases_run on leases (run_key, template_name)
    where run_key is not null and ended_at is null`.execute(db)
  await db.schema
    .createTable('exchanges')
    .addColumn('token', 'text', (c) => c.primaryKey())
    .addColumn('lease', 'text', (c) => c.notNull())
    .addColumn('key_digest', 'text')
    .addColumn('request_digest', 'text')
    .addColumn('keep_until', 'bigint', (c) => c.notNull())
    .execute()
  await sql`create index exchanges_keep on exchanges (keep_until)`.execute(db)
  await db.schema
    .createTable('sealed')
    .addColumn('lease', 'text', (c) => c.notNull().references('leases.id'))
    .addColumn('purpose', 'text', (c) => c.notNull())
    .addColumn('text', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('sealed_key', ['lease', 'purpose'])
    .execute()
}
