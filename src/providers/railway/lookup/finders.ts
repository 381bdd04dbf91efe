import type { JsonObject } from '../../../lib/json.ts'
import { objectAt, textAt } from '../api/answer.ts'
import { type Ask, type Cell, field, paged, readCells } from '../api/cells.ts'
import type { Target } from '../target.ts'
import type { Item } from './places.ts'
import { type ProjectIndex, within } from './project-index.ts'

export interface Sought {
  readonly ask: Ask
  readonly id: string
  readonly target: Target
  /** Of the lease's own project. */
  readonly index: ProjectIndex
}

/** How one kind of thing is found. */
export interface Finder {
  /** True: asked for by its id. False: all there are in the project are listed, whatever the id. */
  readonly single: boolean
  readonly read: (sought: Sought) => Promise<readonly Item[]>
}

/** For kinds that have a query. What it answers is only believed for the id that was asked for. */
export function single(
  query: (id: string, target: Target) => string,
  read: (node: JsonObject, index: ProjectIndex) => Omit<Item, 'id'>,
): Finder {
  return {
    single: true,
    read: async ({ ask, index, id, target }) => {
      const cell = { of: id, path: [], field: () => query(id, target) }
      const [found] = await readCells(ask, [cell])
      const nodes = (found?.nodes ?? []).filter((node) => textAt(node, 'id') === id)
      return nodes.map((node) => ({ id, ...read(node, index) }))
    },
  }
}

type Cells = (environment: string, index: ProjectIndex) => readonly Cell[]
type Entry = Pick<Item, 'id' | 'name'>

/** For kinds that have none: the lists of every environment are looked through. */
export function listed(cells: Cells, read: (node: JsonObject) => readonly Entry[]): Finder {
  return {
    single: false,
    read: async ({ ask, index }) => {
      const asked = index.environments.flatMap(({ id }) =>
        cells(id, index).map((cell) => ({ cell, environment: id })),
      )
      const found = await readCells(
        ask,
        asked.map(({ cell }) => cell),
      )
      return found.flatMap(({ nodes }, at) => {
        const place = { environment: asked[at]?.environment ?? null, project: index.project.id }
        return nodes.flatMap(read).map((entry) => ({ ...entry, ...place }))
      })
    },
  }
}

/** For what belongs to a project, and to an environment only where it says so itself. */
export function ofProject(cell: (project: string) => Cell): Finder {
  return {
    single: false,
    read: async ({ ask, index: { project } }) => {
      const [found] = await readCells(ask, [cell(project.id)])
      return (found?.nodes ?? []).map((node) => ({
        id: textAt(node, 'id') ?? '',
        name: textAt(node, 'name'),
        environment: textAt(node, 'environmentId'),
        project: project.id,
      }))
    },
  }
}

/** A list at the root that takes an environment. */
export function rootList(name: string, selection: string): Cells {
  return (environment) => [
    {
      of: environment,
      path: [],
      field: () => `${field(name, { environmentId: environment })}{${selection}}`,
    },
  ]
}

/** The same, page by page. */
export function rootPages(name: string, selection: string): Cells {
  return (environment) => [
    {
      of: environment,
      path: [],
      field: (after) => `${field(name, { environmentId: environment, after })}${paged(selection)}`,
    },
  ]
}

/** A list below an environment. */
export function below(list: string, selection: string): Cells {
  return (environment, { project }) => [within(project.id, environment, list, selection)]
}

/** A list for each service that runs in the environment. */
export function perService(name: string, selection: string): Cells {
  return (environment, { services }) =>
    services
      .filter((instance) => instance.environment.id === environment)
      .map(({ of: serviceId }) => ({
        of: serviceId,
        path: [],
        field: () => `${field(name, { environmentId: environment, serviceId })}{${selection}}`,
      }))
}

/** The node itself, its name and perhaps its id under keys of their own. */
export function entry(nameKey: string, idKey = 'id'): (node: JsonObject) => readonly Entry[] {
  return (node) => {
    const id = textAt(node, idKey)
    return id === null ? [] : [{ id, name: textAt(node, nameKey) }]
  }
}

/** The objects of a list some way below a node; lists on the way are followed into each item. */
export function inside(node: JsonObject, ...path: readonly string[]): readonly JsonObject[] {
  const [key, ...rest] = path
  if (key === undefined) return [node]
  const value = node[key]
  const next = Array.isArray(value) ? value : [objectAt(node, key)]
  return next.flatMap((each: JsonObject) => inside(each, ...rest))
}
