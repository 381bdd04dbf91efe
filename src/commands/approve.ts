import { Flags } from '@oclif/core'
import type { ApprovalList, ApprovalQuestion, Enrollment } from '../api/types.ts'
import { approvalIdFrom } from '../cli/approval-id.ts'
import { decidedText, questionText } from '../cli/approval-text.ts'
import { askCode, requireApprover, requirePerson, requireUnlocked } from '../cli/approver.ts'
import { optional } from '../cli/arguments.ts'
import { enroll } from '../cli/enrollment.ts'
import { refuseInTask } from '../cli/inside-task.ts'
import { askText } from '../cli/prompts.ts'
import { ServerCommand } from '../cli/server-command.ts'
import { lookOf, remark, visible } from '../cli/terminal.ts'
import { BrokerError } from '../errors.ts'

export default class Approve extends ServerCommand {
  static override summary = 'Allow one held request or waiting lease'
  static override description =
    'Shows who wants what, why, and what it would touch, then asks for a code of the enrolled authenticator app, or for a name to be typed where the template says so. The answer is taken from a terminal only. It holds for exactly this request, once, for ten minutes after it was made.'
  static override usage = 'approve ID | --enroll [--reset] [--server URL] [--ca-file F] [--json]'
  static override examples = [
    'broker approve --enroll',
    'broker approve apr_01k9x2m4v7e8r5t6y7n8p9q0a1',
  ]
  static override args = {
    id: optional({ description: 'as "broker approvals" lists it' }),
  }
  static override flags = {
    enroll: Flags.boolean({ description: 'enrol an authenticator app, by QR code' }),
    reset: Flags.boolean({ description: 'with --enroll: the old authenticator is lost' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Approve)
    requireOneWay(args.id, flags)
    refuseInTask(this.env, 'approve anything: a person decides')
    if (args.id === undefined) return this.enroll(flags.reset)
    const id = approvalIdFrom(args.id)
    requirePerson('approving')
    const question = await this.request<ApprovalQuestion>('showApproval', { params: { id } })
    if (question.state !== 'pending') throw decidedAlready(question)
    const body = await this.proof(question)
    const decided = await this.request<ApprovalQuestion>('approve', { params: { id }, body })
    this.show(decided, (value) => decidedText(value, Date.now()))
  }

  /** Shows everything, then asks. What is for the person goes where the prompt goes. */
  private async proof(question: ApprovalQuestion): Promise<object> {
    const { approver } = await this.approver()
    if (question.typed === null) requireApprover(approver)
    else requireUnlocked(approver.lockedUntil)
    remark([...questionText(question, Date.now(), lookOf(process.stderr, this.env)), ''])
    if (question.typed === null) return { code: await askCode('code to approve this:') }
    return { typed: await askText(`type ${visible(question.typed)} to approve this:`) }
  }

  private approver(): Promise<ApprovalList> {
    return this.request<ApprovalList>('listApprovals', { query: { limit: '1' } })
  }

  private async enroll(reset: boolean): Promise<void> {
    requirePerson('enrolling')
    const { approver } = await this.approver()
    const enrolled = await enroll(
      {
        approver,
        reset,
        begin: (body) => this.request<Enrollment>('enroll', { body }),
        confirm: (code) => this.request('confirmEnrollment', { body: { code } }),
      },
      lookOf(process.stderr, this.env),
    )
    this.show(enrolled, () => ['enrolled: codes of this authenticator approve from now on'])
  }
}

function requireOneWay(id: string | undefined, flags: { enroll: boolean; reset: boolean }): void {
  const usage = (message: string) =>
    new BrokerError('usage', message, { hint: 'broker approve ID, or broker approve --enroll' })
  if (flags.reset && !flags.enroll) throw usage('--reset goes with --enroll only')
  if (flags.enroll && id !== undefined) throw usage('ID and --enroll exclude each other')
  if (!flags.enroll && id === undefined) throw usage('nothing says what to approve')
}

function decidedAlready({ id, state }: ApprovalQuestion): BrokerError {
  return new BrokerError('conflict', `approval "${id}" is ${state} already`, {
    hint: 'broker approvals lists what waits',
    details: { state },
  })
}
