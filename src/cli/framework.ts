import { run, settings } from '@oclif/core'

/** Runs one command of the package that `bin` lies in. Rejects with whatever the command throws. */
export async function runCommand(argv: string[], bin: string): Promise<void> {
  // Never look for TypeScript sources beside the bundle, whatever NODE_ENV says.
  settings.tsnodeEnabled = false
  await run(argv, bin)
}
