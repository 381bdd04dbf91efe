import { Flags } from '@oclif/core'
import { BrokerCommand } from '../../cli/base-command.ts'
import { refuseInTask } from '../../cli/inside-task.ts'
import { followLines, lastLines } from '../../cli/log-lines.ts'
import { jsonText, print, visible } from '../../cli/terminal.ts'

const LAST = 100

export default class DaemonLogs extends BrokerCommand {
  static override summary = "Show the end of the daemon's log"
  static override description =
    'With --json one document, {"file","lines"}; with --json --follow one object a line, {"line"}.'
  static override examples = ['broker daemon logs', 'broker daemon logs --follow']
  static override flags = {
    follow: Flags.boolean({ char: 'f', description: 'go on with new lines, until Ctrl-C' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonLogs)
    refuseInTask(this.env, 'read the log of the daemon')
    const file = this.home.logFile
    const { lines, offset } = lastLines(file, LAST)
    if (!flags.follow) {
      if (lines.length === 0 && !this.json) return this.nothing(['no log yet', `file ${file}`])
      return this.show({ file, lines }, (value) => value.lines.map(visible))
    }
    const shown = (line: string) => (this.json ? jsonText({ line }, 0) : visible(line))
    print(lines.map(shown))
    for await (const more of followLines(file, offset)) print(more.map(shown))
  }
}
