import { join } from 'node:path'
import { Flags } from '@oclif/core'
import { BrokerCommand } from '../cli/base-command.ts'
import { Interrupted } from '../cli/interrupted.ts'
import { paint, print } from '../cli/terminal.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export default class Demo extends BrokerCommand {
  static override summary = 'Replay the incident, without and with the broker'
  static override description =
    'An agent that was sent to work in staging finds a token in an unrelated file and deletes a volume that production shares. With the broker it cannot, and behind walls (isolation confine) it does not get around the broker either; that act is left out where this machine builds no walls. Everything happens on this machine, in a temp folder, against a small cloud that the package carries: no network, no account, and your own broker is not touched. Exit code 1 when anything got through.'
  static override examples = ['broker demo', 'broker demo --json | jq .passed']
  static override flags = {
    keep: Flags.boolean({ description: 'leave the folder of the demo behind' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo)
    const { runDemo } = await import('../demo/demo.ts')
    const { story } = await import('../demo/story.ts')
    const { look } = this
    const paper = {
      columns: look.columns,
      paint: (style: Parameters<typeof paint>[1], text: string) => paint(look, style, text),
    }
    const stop = new AbortController()
    for (const signal of SIGNALS) process.on(signal, () => stop.abort(new Interrupted()))
    const result = await runDemo({
      bin: join(this.config.root, 'bin', 'run.js'),
      keep: flags.keep,
      signal: stop.signal,
      show: this.json ? () => {} : (scene) => print(story(scene, paper)),
    })
    if (this.json) this.show(result, () => [])
    if (!result.passed) process.exitCode = 1
  }
}
