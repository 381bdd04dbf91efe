import type { Health } from '../../api/types.ts'
import { BrokerCommand } from '../../cli/base-command.ts'
import { statusOf, statusText } from '../../cli/daemon-text.ts'

export default class DaemonStart extends BrokerCommand {
  static override summary = 'Start the daemon, if it does not run'
  static override description = 'Other commands start it by themselves when they need it.'
  static override examples = ['broker daemon start']

  async run(): Promise<void> {
    await this.parse(DaemonStart)
    const health = await this.request<Health>('health', {}, 'starting the daemon')
    this.show(statusOf(health, this.home), statusText)
  }
}
