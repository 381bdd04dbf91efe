import type { AuditVerdict } from '../../api/types.ts'
import { verdictText } from '../../cli/audit-text.ts'
import { ServerCommand } from '../../cli/server-command.ts'

export default class AuditVerify extends ServerCommand {
  static override summary = 'Check that no audit entry was edited, removed, inserted or cut off'
  static override description = 'Exit code 1 when one was; the first bad entry is named.'
  static override examples = ['broker audit verify && echo intact']

  async run(): Promise<void> {
    await this.parse(AuditVerify)
    const verdict = await this.request<AuditVerdict>('verifyAudit', {}, 'checking every entry')
    this.show(verdict, verdictText)
    if (!verdict.ok) process.exitCode = 1
  }
}
