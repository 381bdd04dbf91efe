import { Flags } from '@oclif/core'
import type { ApprovalList, ApprovalQuestion, ApprovalView } from '../api/types.ts'
import { approvalRows, NO_APPROVALS } from '../cli/approval-text.ts'
import { watchApprovals } from '../cli/approval-watch.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { refuseInTask } from '../cli/inside-task.ts'
import { pagesOf, printJsonList } from '../cli/pages.ts'
import { print, remark } from '../cli/terminal.ts'

const PAGE = 200

export default class Approvals extends BrokerCommand {
  static override summary = 'List what waits for a person to decide'
  static override description =
    'Operations that a template puts under approval are held until a person decides them, or until ten minutes are over. "broker approve ID" shows one in full and asks.'
  static override examples = [
    'broker approvals',
    'broker approvals --watch',
    'broker approvals --all --json',
  ]
  static override flags = {
    all: Flags.boolean({ description: 'decided and lapsed ones too' }),
    watch: Flags.boolean({ char: 'w', description: 'follow changes, until Ctrl-C' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Approvals)
    refuseInTask(this.env, 'see what waits for a person')
    const state = flags.all ? 'all' : 'pending'
    // Nothing may be drawn over the picture of --watch.
    const waiting = flags.watch ? null : 'listing'
    const fetch = (cursor?: string) =>
      this.request<ApprovalList>(
        'listApprovals',
        { query: { state, cursor, limit: String(PAGE) } },
        waiting,
      )
    if (flags.watch) {
      const show = (id: string) =>
        this.request<ApprovalQuestion>('showApproval', { params: { id } }, null)
      const pending = async () => (await fetch()).approvals
      return watchApprovals({ fetch: pending, show }, this.look, this.json)
    }
    const pages = pagesOf(async (cursor) => {
      const { approvals, nextCursor } = await fetch(cursor)
      return { items: approvals, nextCursor }
    })
    if (this.json) await printJsonList('approvals', pages)
    else await this.list(pages)
  }

  /** A pipe gets everything, a person the newest page. */
  private async list(pages: AsyncIterable<readonly ApprovalView[]>): Promise<void> {
    let shown = 0
    for await (const approvals of pages) {
      if (shown > 0 && this.look.terminal) {
        return remark([`only the newest ${shown} are shown: use --json for all`])
      }
      if (approvals.length > 0) print(approvalRows(approvals, Date.now(), this.look))
      shown += approvals.length
    }
    if (shown === 0) this.nothing(NO_APPROVALS)
  }
}
