import { Flags } from '@oclif/core'
import type { ApplyResult, CheckResult } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { readText } from '../../cli/input.ts'
import { Interrupted } from '../../cli/interrupted.ts'
import { askYesNo, canAsk } from '../../cli/prompts.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { requireValid } from '../../cli/template-issues.ts'
import { applyText, changeLines, issueLines } from '../../cli/template-text.ts'
import { lookOf, remark } from '../../cli/terminal.ts'
import { BrokerError } from '../../errors.ts'

export default class TemplateApply extends ServerCommand {
  static override summary = 'Make a broker.yaml take effect, after showing what changes'
  static override description =
    'Shows the change in meaning, what becomes possible first, and asks. Refused when another version was applied in between. Leases that exist keep the version they were issued under.'
  static override examples = [
    'broker template apply broker.yaml',
    'broker template apply broker.yaml --yes',
  ]
  static override args = {
    file: required({ description: 'path, or - for standard input' }),
  }
  static override flags = {
    yes: Flags.boolean({ char: 'y', description: 'apply without asking' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TemplateApply)
    if (!flags.yes && !canAsk()) throw noWayToAsk(args.file)
    const text = await readText(args.file)
    const check = await this.request<CheckResult>('checkTemplates', { body: { text } })
    requireValid(args.file, check, this.json)
    const widens = this.announce(args.file, check)
    if (!flags.yes && check.changes.length > 0) {
      const question = widens > 0 ? `apply? ${widens} of these widen access` : 'apply?'
      if (!(await askYesNo(question))) throw new Interrupted('declined')
    }
    // The version that was shown: what somebody else applied meanwhile is not overwritten unseen.
    const body = { text, baseVersion: check.baseVersion }
    this.show(await this.request<ApplyResult>('applyTemplates', { body }), applyText)
  }

  /** To standard error, as the answer is what was applied. Returns how many changes widen. */
  private announce(file: string, { issues, changes }: CheckResult): number {
    const look = lookOf(process.stderr, this.env)
    if (!this.json || canAsk()) {
      remark([...issueLines(file, issues, look), ...changeLines(changes, look)])
    }
    return changes.filter(({ effect }) => effect === 'widens').length
  }
}

function noWayToAsk(file: string): BrokerError {
  return new BrokerError('usage', 'nobody can be asked: standard input is no terminal', {
    hint: `see broker template diff ${file === '-' ? 'FILE' : file}, then add --yes`,
  })
}
