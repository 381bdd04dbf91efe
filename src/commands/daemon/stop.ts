import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerCommand } from '../../cli/base-command.ts'
import { endOf, runningDaemon } from '../../cli/daemon-probe.ts'
import { whileWaiting } from '../../cli/spinner.ts'
import { BrokerError } from '../../errors.ts'

const DEADLINE_MS = 15_000

export default class DaemonStop extends BrokerCommand {
  static override summary = 'Stop the daemon, and wait until it is gone'
  static override description =
    'Leases stay recorded: the next start goes on revoking what is due. Tasks that run start it again, or end.'
  static override examples = ['broker daemon stop']

  protected override readonly mayStart = false

  async run(): Promise<void> {
    await this.parse(DaemonStop)
    const health = await runningDaemon(this.home)
    if (health !== null) {
      const hasEnded = endOf(health.pid)
      await this.request('daemonStop', {}, null)
      await whileWaiting('waiting for the daemon to end', () => until(hasEnded, health.pid))
    }
    const result = { stopped: health !== null, pid: health?.pid ?? null }
    this.show(result, ({ stopped, pid }) => [stopped ? `stopped, was pid ${pid}` : 'not running'])
  }
}

/** The process, not just its socket: only then are lock and database free. */
async function until(hasEnded: () => boolean, pid: number): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  while (!hasEnded()) {
    if (Date.now() > deadline) {
      throw new BrokerError('daemon_unreachable', `the daemon (pid ${pid}) has not ended yet`, {
        hint: 'broker daemon logs may say what it waits for',
        details: { pid },
      })
    }
    await sleep(25)
  }
}
