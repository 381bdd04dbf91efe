import { Flags } from '@oclif/core'
import type { AuditEntryView, AuditList as Page } from '../../api/types.ts'
import { entryRows, NO_ENTRIES } from '../../cli/audit-text.ts'
import { pagesOf, printJsonList } from '../../cli/pages.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { print } from '../../cli/terminal.ts'
import { BrokerError } from '../../errors.ts'
import { parseDuration } from '../../lib/duration.ts'

export default class AuditList extends ServerCommand {
  static override summary = 'List what was issued, to whom, and when it ended'
  static override description = 'Oldest first. The entries hold no secrets.'
  static override examples = [
    'broker audit list --since 1h',
    'broker audit list --lease lse_01k9x2m4v7e8r5t6y7n8p9q0a1 --json',
  ]
  static override flags = {
    since: Flags.string({ helpValue: '1h', description: 'only the last 1h, 30m, 7d …' }),
    lease: Flags.string({ helpValue: 'L', description: 'only those of this lease' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(AuditList)
    const since = flags.since === undefined ? undefined : instantBefore(flags.since, Date.now())
    const pages = pagesOf(async (cursor) => {
      const query = { since, lease: flags.lease, cursor }
      const { entries, nextCursor } = await this.request<Page>('listAudit', { query })
      return { items: entries, nextCursor }
    })
    if (this.json) await printJsonList('entries', pages)
    else await this.list(pages)
  }

  private async list(pages: AsyncIterable<readonly AuditEntryView[]>): Promise<void> {
    let shown = 0
    for await (const entries of pages) {
      print(entryRows(entries, this.look, Date.now()))
      shown += entries.length
    }
    if (shown === 0) this.nothing(NO_ENTRIES)
  }
}

function instantBefore(duration: string, now: number): string {
  const ms = parseDuration(duration)
  if (ms !== undefined && ms < now) return new Date(now - ms).toISOString()
  throw new BrokerError('usage', `--since "${duration.slice(0, 40)}" is not a duration`, {
    hint: 'use 90s, 30m, 1h, 7d or a sum of such, as 1h30m',
  })
}
