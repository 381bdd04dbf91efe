import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Command, Flags, type Interfaces } from '@oclif/core'
import { EXEC_EXAMPLES, EXEC_FLAGS, type ExecFlag } from '../cli/exec-flags.ts'

interface ExecBundle {
  main(argv: readonly string[]): void
}

/** For help and for the manifest. bin/run.js gives `exec` to a bundle of its own, which is quicker. */
export default class Exec extends Command {
  static override summary = 'Run a command with short-lived credentials of its own'
  static override description =
    'The command gets what the template grants and nothing else: known credentials are removed from its environment. When it ends, however it ends, its credentials are revoked. The exit code is its own, 128+n for signal n; 125 the broker refused, 126 not executable, 127 not found.'
  static override usage =
    'exec --env NAME [--server URL] [--audience A] [--template T] [--ttl 30m] [FLAGS] -- COMMAND [ARG...]'
  static override examples = [...EXEC_EXAMPLES]
  static override flags = Object.fromEntries(Object.entries(EXEC_FLAGS).map(toOclif))
  static override strict = false

  async run(): Promise<void> {
    const path = join(this.config.root, 'dist', 'exec.cjs')
    const { main } = createRequire(path)(path) as ExecBundle
    main(this.argv)
    this.parsed = true // by the bundle, from the same definitions
  }

  protected override async catch(error: Error): Promise<never> {
    throw error
  }
}

function toOclif([name, flag]: [string, ExecFlag]): [string, Interfaces.FlagInput[string]] {
  const { summary: description, value, options = [] } = flag
  if (value === undefined) return [name, Flags.boolean({ description })]
  const shape = {
    description,
    helpValue: value,
    required: flag.required ?? false,
    ...(options.length > 0 ? { options: [...options] } : {}),
  }
  return [name, flag.multiple ? Flags.string({ ...shape, multiple: true }) : Flags.string(shape)]
}
