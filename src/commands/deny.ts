import { Flags } from '@oclif/core'
import type { ApprovalQuestion } from '../api/types.ts'
import { approvalIdFrom } from '../cli/approval-id.ts'
import { decidedText } from '../cli/approval-text.ts'
import { required } from '../cli/arguments.ts'
import { refuseInTask } from '../cli/inside-task.ts'
import { ServerCommand } from '../cli/server-command.ts'

export default class Deny extends ServerCommand {
  static override summary = 'Refuse one held request or waiting lease'
  static override description =
    'Needs no code and is never locked. It works on an approved one too, as long as it was not used. A denied request stays denied for its task.'
  static override examples = [
    'broker deny apr_01k9x2m4v7e8r5t6y7n8p9q0a1',
    'broker deny apr_01k9x2m4v7e8r5t6y7n8p9q0a1 --reason "that volume is production"',
  ]
  static override args = {
    id: required({ description: 'as "broker approvals" lists it' }),
  }
  static override flags = {
    reason: Flags.string({ helpValue: 'TEXT', description: 'why, told to the task and the log' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Deny)
    refuseInTask(this.env, 'deny anything: a person decides')
    const params = { id: approvalIdFrom(args.id) }
    const body = flags.reason === undefined ? {} : { reason: flags.reason }
    const decided = await this.request<ApprovalQuestion>('deny', { params, body })
    this.show(decided, (value) => decidedText(value, Date.now()))
  }
}
