import { writeFileSync } from 'node:fs'
import { STARTER } from '../../api/starter.ts'
import { optional } from '../../cli/arguments.ts'
import { BrokerCommand } from '../../cli/base-command.ts'
import { visible } from '../../cli/terminal.ts'
import { BrokerError } from '../../errors.ts'

export default class TemplateInit extends BrokerCommand {
  static override summary = 'Write a first broker.yaml to start from'
  static override description =
    'The file has no effect until "broker template apply". An existing file is never overwritten.'
  static override examples = ['broker template init', 'broker template init config/broker.yaml']
  static override args = {
    file: optional({ description: 'where to write (default: broker.yaml)' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(TemplateInit)
    const target = args.file ?? 'broker.yaml'
    writeNew(target, STARTER)
    this.show({ file: target }, ({ file }) => [
      `wrote ${visible(file)}`,
      `next: edit it, then broker template apply ${visible(file)}`,
    ])
  }
}

/** `wx`: made only if it is not there, decided by the system and not by a look beforehand. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      throw new BrokerError('conflict', `"${file}" exists already`, {
        hint: 'name another file: broker template init OTHER.yaml',
        cause: error,
      })
    }
    throw new BrokerError('not_found', `cannot write "${file}" (${code ?? 'unknown reason'})`, {
      hint: 'name a file in a folder that exists and is yours',
      cause: error,
    })
  }
}
