import type { CheckResult } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { readText } from '../../cli/input.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { checkText } from '../../cli/template-text.ts'

export default class TemplateCheck extends ServerCommand {
  static override summary = 'Check a broker.yaml without applying it'
  static override description =
    'Prints FILE:LINE:COLUMN for each finding. Exit code 1 when there are errors; warnings alone are 0.'
  static override examples = [
    'broker template check broker.yaml',
    'cat broker.yaml | broker template check -',
  ]
  static override args = {
    file: required({ description: 'path, or - for standard input' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(TemplateCheck)
    const text = await readText(args.file)
    const result = await this.request<CheckResult>('checkTemplates', { body: { text } })
    this.show(result, (value, look) => checkText(args.file, value, look))
    if (!result.ok) process.exitCode = 1
  }
}
