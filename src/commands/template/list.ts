import type { TemplateList as List } from '../../api/types.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { templateRows } from '../../cli/template-text.ts'

export default class TemplateList extends ServerCommand {
  static override summary = 'List the templates that are in effect'
  static override examples = ['broker template list', 'broker template list --json']

  async run(): Promise<void> {
    await this.parse(TemplateList)
    const list = await this.request<List>('listTemplates')
    if (list.templates.length === 0 && !this.json) {
      return this.nothing(['no templates', 'broker template init writes a first broker.yaml'])
    }
    this.show(list, templateRows)
  }
}
