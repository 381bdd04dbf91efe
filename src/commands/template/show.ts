import type { TemplateDetail } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { templateText } from '../../cli/template-text.ts'

export default class TemplateShow extends ServerCommand {
  static override summary = 'Show one template as it is in effect'
  static override examples = ['broker template show staging-dev']
  static override args = {
    name: required({ description: 'as "broker template list" lists it' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(TemplateShow)
    const detail = await this.request<TemplateDetail>('showTemplate', {
      params: { name: args.name },
    })
    this.show(detail, templateText)
  }
}
