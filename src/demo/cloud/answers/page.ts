import type { Access } from '../access.ts'
import type { Row } from '../world.ts'

export interface PageArguments {
  readonly after?: string | null
  readonly before?: string | null
  readonly first?: number | null
  readonly last?: number | null
}

/** One page of a list, as the Relay connection that Railway speaks; the cursor is the row's id. */
export function page(rows: readonly Row[], { after, before, first, last }: PageArguments) {
  const from = after ? rows.findIndex(({ id }) => id === after) + 1 : 0
  const found = before ? rows.findIndex(({ id }) => id === before) : rows.length
  const to = found < 0 ? rows.length : found
  const start = last == null ? from : Math.max(from, to - last)
  const end = first == null ? to : Math.min(to, start + first)
  const edges = rows.slice(start, end).map((node) => ({ cursor: node.id, node }))
  return {
    edges,
    pageInfo: {
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
      hasNextPage: end < rows.length,
      hasPreviousPage: start > 0,
    },
  }
}

export interface EnvironmentFilter extends PageArguments {
  readonly isEphemeral?: boolean | null
}

/** The environments of a project. None of them is ephemeral. */
export function environmentsPage(access: Access, projectId: string, args: EnvironmentFilter) {
  return page(args.isEphemeral ? [] : access.environmentsOf(projectId), args)
}
