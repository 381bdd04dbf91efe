import type { JsonObject } from '../../../lib/json.ts'
import type { Named } from '../../guard.ts'
import { textAt } from '../api/answer.ts'
import { readCells } from '../api/cells.ts'
import { failure } from '../api/failure.ts'
import { backupCell } from './finders-in-steps.ts'
import type { Item, Look } from './places.ts'
import type { Instance, ProjectIndex } from './project-index.ts'

/**
 * How many backups die with these volume instances: Railway keeps them in the volume. Never fails: a
 * count that could not be read is said to be unknown, because the decision does not hang on it.
 */
export async function backupNotes(
  look: Look,
  instances: readonly Instance[],
): Promise<readonly string[]> {
  const ids = instances.map(({ id }) => id).sort()
  try {
    const { value } = await look.items(
      `backups of ${ids.join(' ')}`,
      async (ask) => {
        const found = await readCells(ask, instances.map(backupCell))
        const missing = found.find((each) => each.missing !== null)?.missing
        if (missing) throw failure(missing, look.caller.connection)
        return found.flatMap(({ nodes }) => nodes.map(asItem))
      },
      look.fresh,
    )
    return [counted(value.length)]
  } catch {
    return [UNCOUNTED]
  }
}

const asItem = (node: JsonObject): Item => ({
  id: textAt(node, 'id') ?? '',
  name: textAt(node, 'name'),
  environment: null,
  project: null,
})
const UNCOUNTED = 'its backups could not be counted; they go with it'

function counted(count: number): string {
  if (count === 0) return 'it has no backups'
  return count === 1 ? '1 backup goes with it' : `${count} backups go with it`
}

/** What lies in an environment. */
export function contentNotes(
  { volumes, services, complete }: ProjectIndex,
  { id }: Named,
): readonly string[] {
  if (!complete) return []
  const there = ({ environment }: Instance) => environment.id === id
  const parts = [
    plural(volumes.filter(there).length, 'volume', 'volumes'),
    plural(services.filter(there).length, 'service', 'services'),
  ].filter((part) => part !== null)
  return parts.length === 0 ? [] : [`holds ${parts.join(' and ')}`]
}

function plural(count: number, one: string, many: string): string | null {
  return count === 0 ? null : `${count} ${count === 1 ? one : many}`
}
