import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command } from '@oclif/core'
import { runningDaemon } from '../../cli/daemon-probe.ts'
import { refuseInTask } from '../../cli/inside-task.ts'
import { BrokerError } from '../../errors.ts'
import { resolveHome } from '../../lib/home.ts'

interface DaemonBundle {
  /** Resolves when it was told to stop, or at once when another one holds the home. */
  runInForeground(): Promise<'already running' | 'stopped'>
}

export default class DaemonRun extends Command {
  static override summary = 'Run the daemon in the foreground, for service managers and for looking'
  static override description =
    'Ends on Ctrl-C or SIGTERM. Refused when one runs already, and inside a task.'
  static override examples = ['broker daemon run']

  async run(): Promise<void> {
    await this.parse(DaemonRun)
    refuseInTask(process.env, 'run a daemon')
    // By path at run time: the one place where the command line becomes the daemon.
    const path = join(this.config.root, 'dist', 'daemon', 'main.js')
    const { runInForeground }: DaemonBundle = await import(pathToFileURL(path).href)
    if ((await runInForeground()) === 'already running') throw await alreadyRunning()
  }

  protected override async catch(error: Error): Promise<never> {
    throw error
  }
}

async function alreadyRunning(): Promise<BrokerError> {
  const health = await runningDaemon(resolveHome(process.env))
  const pid = health === null ? '' : `, pid ${health.pid}`
  return new BrokerError('conflict', `a daemon of this home runs already${pid}`, {
    hint: 'broker daemon stop ends it',
  })
}
