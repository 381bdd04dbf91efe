import type { ChainKeys } from '../audit/chain.ts'
import type { Entry, SignedHead } from '../audit/entry.ts'
import { type Verdict, verifyChain } from '../audit/verify.ts'
import type { Context } from './context.ts'

const BATCH = 2000

/** Checks the whole log. Reads it in batches and lets others work in between. */
export async function verifyAudit(
  context: Context,
  keys: ChainKeys,
  checkpoint: SignedHead | null,
): Promise<Verdict> {
  // In this order: an entry written between the two reads lies below the head that is read second.
  const newest = await newestSeq(context)
  const head = (await context.store.read.head()) ?? null
  return verifyChain(keys, batches(context, Math.max(head?.seq ?? 0, newest)), { head, checkpoint })
}

/** A row behind the head that was there when we began is part of what has to be explained. */
async function newestSeq(context: Context): Promise<number> {
  const [last] = await context.store.read.newestEntries(1)
  return last?.seq ?? 0
}

async function* batches(context: Context, upTo: number): AsyncGenerator<readonly Entry[]> {
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const found = await context.store.read.entries({ after, limit: BATCH })
    const batch = found.filter((entry) => entry.seq <= upTo)
    const last = batch.at(-1)
    if (!last) return
    yield batch
    after = last.seq
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
