import { hasEnded } from '../core/transitions.ts'
import type { Listed } from '../providers/provider.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'

/**
 * Looks at what really exists at every provider that can list, and revokes what carries our
 * install id but has no live lease (a restored database, a lost commit). Touches nothing of other
 * installations. Returns how many were revoked; an unreachable provider is tried again next time.
 */
export async function reconcile(context: Context): Promise<number> {
  let count = 0
  for (const stored of await context.store.read.connections()) {
    const provider = await context.provider(stored.provider)
    if (!provider.list) continue
    const list = provider.list.bind(provider)
    try {
      const found = await callProvider(context, stored.name, (connection, world) =>
        connection ? list(connection, world) : Promise.resolve([]),
      )
      for (const one of found) {
        if (await isOrphan(context, one)) {
          await removeOrphan(context, stored.name, stored.provider, one)
          count++
        }
      }
    } catch (error) {
      context.log.warn('a provider could not be reconciled', { connection: stored.name })
      context.log.error('reconcile', error)
    }
  }
  return count
}

/** Asked of the database after the listing: a mint in progress was recorded before it began. */
async function isOrphan(context: Context, one: Listed): Promise<boolean> {
  if (one.lease === null) return true
  const lease = await context.store.read.lease(one.lease)
  return lease === undefined || hasEnded(lease.state)
}

async function removeOrphan(
  context: Context,
  connection: string,
  providerName: string,
  one: Listed,
): Promise<void> {
  const provider = await context.provider(providerName)
  const result = await callProvider(context, connection, (opened, world) =>
    provider.revoke(one.recipe, null, opened, world),
  )
  await context.store.write((writer) =>
    writer.append({
      type: 'orphan.revoked',
      lease: one.lease,
      data: { provider: providerName, connection, recipe: one.recipe, outcome: result.outcome },
    }),
  )
}
