import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asksForJson, normalise } from './argv.ts'
import { report } from './failure.ts'
import { OVERVIEW, VERSION_LINE } from './overview.ts'
import { print } from './terminal.ts'

/**
 * Runs one command line to its end and sets `process.exitCode`; never rejects. `bin` is the URL of
 * bin/run.js. The framework's `run` is used and not its `execute`, which would print errors in its
 * own two ways and end the process before a pipe is drained.
 */
export async function main(bin: string): Promise<void> {
  const argv = process.argv.slice(2)
  // What is thrown where nobody waits for it, such as a full disk under standard output.
  process.on('uncaughtException', (error) => process.exit(report(error, false)))
  try {
    if (argv.length === 0) return print(OVERVIEW)
    if (argv[0] === '--version') return print([VERSION_LINE])
    const { runCommand } = await import('./framework.ts') // heavy, and not needed above
    await runCommand(normalise(argv), fileURLToPath(bin))
  } catch (error) {
    process.exitCode = report(await explained(error, argv, bin), asksForJson(argv))
  }
}

async function explained(error: unknown, argv: string[], bin: string): Promise<unknown> {
  const { readManifest } = await import('./manifest.ts')
  const { usageError } = await import('./usage-error.ts')
  const root = join(dirname(fileURLToPath(bin)), '..')
  return usageError(error, normalise(argv), readManifest(root)) ?? error
}
