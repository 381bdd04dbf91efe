import { BrokerCommand } from '../../cli/base-command.ts'
import { runningDaemon } from '../../cli/daemon-probe.ts'
import { statusOf, statusText } from '../../cli/daemon-text.ts'

const EXIT_NOT_RUNNING = 5

export default class DaemonStatus extends BrokerCommand {
  static override summary = 'Say whether the daemon runs, without starting it'
  static override description = 'Exit code 0 when it runs, 5 when it does not.'
  static override examples = ['broker daemon status', 'broker daemon status --json']

  async run(): Promise<void> {
    await this.parse(DaemonStatus)
    const status = statusOf(await runningDaemon(this.home), this.home)
    this.show(status, statusText)
    if (!status.running) process.exitCode = EXIT_NOT_RUNNING
  }
}
