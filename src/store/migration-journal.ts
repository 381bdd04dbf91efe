import type { Kysely } from 'kysely'

/** `0006_journal`: the last batch of the journal that the database has. */
export async function addJournal(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('journal_applied')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .execute()
}
