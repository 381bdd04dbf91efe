import type { Named } from '../../guard.ts'
import { textAt } from '../api/answer.ts'
import { type Ask, type Cell, field, paged, readCells } from '../api/cells.ts'
import { failure } from '../api/failure.ts'
import type { Caller } from '../connection.ts'

/**
 * Every project that a credential reaches: those of its workspaces, and those listed without one.
 * Workspace tokens may not ask for workspaces, and project tokens for neither: an empty list. Throws
 * `provider_failed` for a credential that is refused.
 */
export async function reachableProjects(ask: Ask, caller: Caller): Promise<readonly Named[]> {
  if (caller.header !== 'authorization') return []
  const [workspaces] = await readCells(ask, [
    { of: 'workspaces', path: ['workspaces'], field: () => 'me{workspaces{id}}' },
  ])
  const ids = (workspaces?.nodes ?? []).flatMap((node) => textAt(node, 'id') ?? [])
  const found = await readCells(ask, [null, ...ids].map(projectsOf))
  // Not one of them shown: that is a dead credential, and not one without projects.
  if (found.every(({ missing }) => missing)) throw failure('refused', caller.connection)
  const projects = found.flatMap(({ nodes }) =>
    nodes.map((node) => ({ id: textAt(node, 'id') ?? '', name: textAt(node, 'name') })),
  )
  const byId = new Map(projects.map((project) => [project.id, project] as const))
  byId.delete('')
  return [...byId.values()]
}

function projectsOf(workspaceId: string | null): Cell {
  return {
    of: workspaceId ?? 'projects',
    path: [],
    field: (after) => `${field('projects', { workspaceId, after })}${paged('id name')}`,
  }
}
