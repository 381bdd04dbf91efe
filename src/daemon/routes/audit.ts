import { auditQuery } from '../../api/schemas.ts'
import type { AuditList, AuditVerdict } from '../../api/types.ts'
import type { ChainKeys } from '../../audit/chain.ts'
import { verifyAudit } from '../../broker/audit.ts'
import type { Context } from '../../broker/context.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { CheckpointFile } from '../checkpoint.ts'
import type { Server } from '../server.ts'

export function addAuditRoutes(
  server: Server,
  context: Context,
  keys: ChainKeys,
  checkpoint: CheckpointFile,
): void {
  server.add('listAudit', async ({ request }): Promise<AuditList> => {
    const query = auditQuery.parse(request.query)
    const entries = await context.store.read.entries({
      since: query.since === undefined ? undefined : Date.parse(query.since),
      lease: query.lease,
      after: query.cursor,
      limit: query.limit,
    })
    const last = entries.at(-1)
    return {
      entries: entries.map(({ seq, at, type, lease, data, hash }) => ({
        seq,
        at,
        type,
        lease,
        data: parse(data),
        hash,
      })),
      nextCursor: last && entries.length === query.limit ? String(last.seq) : null,
    }
  })

  server.add(
    'verifyAudit',
    async (): Promise<AuditVerdict> => verifyAudit(context, keys, checkpoint.load()),
  )
}

/** An entry that someone broke is shown as broken, not hidden behind an error. */
function parse(data: string): JsonObject {
  try {
    return JSON.parse(data) as JsonObject
  } catch {
    return { unreadable: true }
  }
}
