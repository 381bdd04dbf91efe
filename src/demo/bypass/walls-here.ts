import { BrokerError } from '../../errors.ts'
import type { Processes } from '../processes.ts'
import type { Stage } from '../stage.ts'
import type { LeftOut } from './result.ts'

const NOTHING = ['exec', '--quiet', '--env', 'staging', '--isolation', 'confine', '--']

/** A machine without walls, or a temp folder where they cannot be built. */
const NOT_HERE = [
  /^broker: isolation "confine" is not possible here: (?<reason>.+)$/m,
  /^broker: (?<reason>".+" cannot be a work tree: .+)$/m,
  /^broker: (?<reason>no socket can have a path as long as .+)$/m,
]

/**
 * Why `confine` is not to be had here; undefined where it is. Starts a program that does nothing.
 * Throws `internal` for any other refusal: that may not pass for a machine without walls.
 */
export async function wallsMissing(
  processes: Processes,
  { tree }: Stage,
): Promise<LeftOut | undefined> {
  const { status, stderr } = await processes.broker([...NOTHING, process.execPath, '-e', ''], {
    cwd: tree,
  })
  if (status === 0) return undefined
  const [hint = ''] = /(?<=^hint: ).+$/m.exec(stderr) ?? []
  for (const pattern of NOT_HERE) {
    const reason = pattern.exec(stderr)?.groups?.['reason']
    if (reason !== undefined) return { reason, hint }
  }
  const [said = ''] = stderr.trim().split('\n')
  throw new BrokerError('internal', `"broker exec" of the demo failed behind walls: ${said}`, {
    hint: 'run it again with --keep and look into the folder that it leaves',
    details: { status },
  })
}
