import type { AuditEntryView, AuditList, LeaseView } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { historyText } from '../../cli/audit-text.ts'
import { pagesOf } from '../../cli/pages.ts'
import { ServerCommand } from '../../cli/server-command.ts'

export default class AuditShow extends ServerCommand {
  static override summary = 'Show one lease from its request to its end'
  static override examples = ['broker audit show lse_01k9x2m4v7e8r5t6y7n8p9q0a1']
  static override args = {
    lease: required({ description: 'id, as "broker tokens --all" lists it' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(AuditShow)
    const lease = await this.request<LeaseView>('showLease', { params: { id: args.lease } })
    const entries: AuditEntryView[] = []
    const pages = pagesOf(async (cursor) => {
      const query = { lease: args.lease, cursor }
      const page = await this.request<AuditList>('listAudit', { query })
      return { items: page.entries, nextCursor: page.nextCursor }
    })
    for await (const page of pages) entries.push(...page)
    this.show({ lease, entries }, (value, look) => historyText(value, look, Date.now()))
  }
}
