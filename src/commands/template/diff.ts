import type { CheckResult } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { readText } from '../../cli/input.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { requireValid } from '../../cli/template-issues.ts'
import { diffText } from '../../cli/template-text.ts'

export default class TemplateDiff extends ServerCommand {
  static override summary = 'Show what a broker.yaml would change in meaning'
  static override description =
    'Compares with what is applied now: + becomes possible, − is possible no more, · neither. Exit code 1 when the file has errors.'
  static override examples = ['broker template diff broker.yaml']
  static override args = {
    file: required({ description: 'path, or - for standard input' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(TemplateDiff)
    const text = await readText(args.file)
    const result = await this.request<CheckResult>('checkTemplates', { body: { text } })
    requireValid(args.file, result, this.json)
    this.show(result, diffText)
  }
}
