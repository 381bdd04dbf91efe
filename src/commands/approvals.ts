import { Flags } from '@oclif/core'
import type { ApprovalList, ApprovalQuestion, ApprovalView } from '../api/types.ts'
import { approvalRows, NO_APPROVALS } from '../cli/approval-text.ts'
import { WATCHED_APPROVALS } from '../cli/approval-watch.ts'
import { follow } from '../cli/follow.ts'
import { refuseInTask } from '../cli/inside-task.ts'
import { pagesOf, printJsonList, printNewest } from '../cli/pages.ts'
import { ServerCommand } from '../cli/server-command.ts'

const PAGE = 200

export default class Approvals extends ServerCommand {
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
      const pending = async () => (await fetch()).approvals.toReversed()
      return follow({ fetch: pending, show }, WATCHED_APPROVALS, this.look, this.json)
    }
    const pages = pagesOf(async (cursor) => {
      const { approvals, nextCursor } = await fetch(cursor)
      return { items: approvals, nextCursor }
    })
    if (this.json) await printJsonList('approvals', pages)
    else await this.list(pages)
  }

  private async list(pages: AsyncIterable<readonly ApprovalView[]>): Promise<void> {
    const rows = (approvals: readonly ApprovalView[]) =>
      approvalRows(approvals, Date.now(), this.look)
    const shown = await printNewest(pages, rows, this.look, 'use --json for all')
    if (shown === 0) this.nothing(NO_APPROVALS)
  }
}
