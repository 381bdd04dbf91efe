import type { Resource } from '../../../core/guard.ts'
import type { Location, Named } from '../../guard.ts'
import type { Ask } from '../api/cells.ts'
import { isDefinite } from '../api/failure.ts'
import { KINDS } from './kinds.ts'
import type { Reading } from './lookups.ts'
import { backupNotes, contentNotes } from './notes.ts'
import type { Item, Look } from './places.ts'
import type { Instance, ProjectIndex } from './project-index.ts'

/** Other projects that a volume is looked for in, only to tell where it is: it is refused anyway. */
const MOST_PROJECTS = 20
/** Kinds that have a query and stand in the index as well. */
const INDEXED: readonly string[] = ['environment', 'service', 'volumeInstance']

/** Where a thing lies. Null: nowhere, as far as the API says. Throws as `Api.ask` does. */
export async function locate(look: Look, { kind, id }: Resource): Promise<Location | null> {
  // First of all, and for every kind: a token that is dead fails here, and is no "no such thing".
  const own = await look.index(null, look.fresh)
  switch (kind) {
    case 'project':
      return locateProject(look, own.value, id)
    case 'volume':
      return locateVolume(look, own, id)
    case 'serviceInstance':
      return locateIndexed(look, own, (index) => {
        const instance = index.services.find((each) => each.id === id)
        return instance ? single(index, instance.name, instance.environment, []) : null
      })
    default:
      return (await locateInIndex(look, own.value, { kind, id })) ?? find(look, own, { kind, id })
  }
}

/** What the index knows of kinds that also have a query of their own. */
async function locateInIndex(
  look: Look,
  index: ProjectIndex,
  { kind, id }: Resource,
): Promise<Location | null> {
  if (kind === 'environment') {
    const found = index.environments.find((each) => each.id === id)
    return found ? single(index, found.name, found, contentNotes(index, found)) : null
  }
  if (kind === 'service') {
    const instances = index.services.filter(({ of }) => of === id)
    return instances.length > 0 ? spanning(index, instances, []) : null
  }
  if (kind !== 'volumeInstance') return null
  const instance = index.volumes.find((each) => each.id === id)
  if (!instance) return null
  return single(index, instance.name, instance.environment, await backupNotes(look, [instance]))
}

async function locateProject(look: Look, own: ProjectIndex, id: string): Promise<Location | null> {
  const index = id === own.project.id ? own : await foreignIndex(look, id)
  if (!index) return null
  const { project, environments, complete } = index
  const count = environments.length
  const notes = complete ? [`${count} ${count === 1 ? 'environment' : 'environments'}`] : []
  return { name: project.name, environments: complete ? environments : [], project, notes }
}

async function locateVolume(
  look: Look,
  own: Reading<ProjectIndex>,
  id: string,
): Promise<Location | null> {
  const at = (index: ProjectIndex) => index.volumes.filter(({ of }) => of === id)
  const here = await locateIndexed(look, own, async (index) => {
    const instances = at(index)
    if (instances.length === 0) return null
    return spanning(index, instances, await backupNotes(look, instances))
  })
  if (here) return here
  const others = await look.projects().catch((error: unknown) => {
    if (isDefinite(error)) return []
    throw error
  })
  for (const { id: project } of others.slice(0, MOST_PROJECTS)) {
    if (project === look.target.project) continue
    const index = await foreignIndex(look, project)
    const instances = index ? at(index) : []
    if (index && instances.length > 0) return spanning(index, instances, [])
  }
  return null
}

/** Looks in the index, and once more in a new one where that is older than the question. */
async function locateIndexed(
  look: Look,
  { value, fresh }: Reading<ProjectIndex>,
  pick: (index: ProjectIndex) => Location | null | Promise<Location | null>,
): Promise<Location | null> {
  const found = await pick(value)
  if (found || fresh) return found
  look.miss()
  return pick((await look.index(null, true)).value)
}

/** The index of a project that is not the lease's; only for names, so it may be an old one. */
async function foreignIndex(look: Look, project: string): Promise<ProjectIndex | null> {
  try {
    const { value } = await look.index(project, false)
    return value.project.id === project ? value : null
  } catch (error) {
    if (isDefinite(error)) return null
    throw error
  }
}

/** Asks for what the index does not hold, and once more where that was older than the question. */
async function find(
  look: Look,
  own: Reading<ProjectIndex>,
  { kind, id }: Resource,
): Promise<Location | null> {
  const finder = KINDS.get(kind)
  if (!finder) return null
  const key = finder.single ? `${kind} ${id}` : kind
  const read = async (index: ProjectIndex, fresh: boolean) => {
    const load = (ask: Ask) => finder.read({ ask, id, target: look.target, index })
    const items = await look.items(key, load, fresh)
    return { item: items.value.find((each) => each.id === id), fresh: items.fresh }
  }
  const { item, fresh } = await read(own.value, look.fresh)
  // What is in the project and not in its index is newer than that.
  const newer = item?.project === own.value.project.id && INDEXED.includes(kind)
  if ((item && !newer) || (own.fresh && fresh))
    return item ? locateItem(look, own.value, item) : null
  look.miss()
  const { value: index } = await look.index(null, true)
  const known = await locateInIndex(look, index, { kind, id })
  if (known) return known
  const again = newer ? item : (await read(index, true)).item
  return again ? locateItem(look, index, again) : null
}

/** Gives the names to the ids of an item; a place without a known name keeps its id. */
async function locateItem(look: Look, own: ProjectIndex, item: Item): Promise<Location> {
  const { environment, project, name } = item
  const index =
    project === null || project === own.project.id ? own : await foreignIndex(look, project)
  const unnamed = (id: string): Named => ({ id, name: null })
  const known = index?.environments.find(({ id }) => id === environment)
  return {
    name,
    environments: environment === null ? [] : [known ?? unnamed(environment)],
    project: project === null ? null : (index?.project ?? unnamed(project)),
    notes: [],
  }
}

function single(
  { project }: ProjectIndex,
  name: string | null,
  environment: Named,
  notes: readonly string[],
): Location {
  return { name, environments: [environment], project, notes }
}

/** Everywhere that a part of it lies; nowhere known, where there may be parts that nobody shows us. */
function spanning(
  { project, complete }: ProjectIndex,
  instances: readonly Instance[],
  notes: readonly string[],
): Location {
  const places = new Map(instances.map(({ environment }) => [environment.id, environment] as const))
  return {
    name: instances[0]?.name ?? null,
    environments: complete ? [...places.values()] : [],
    project,
    notes: complete
      ? notes
      : [...notes, 'other environments may hold a part of it that this connection cannot see'],
  }
}
