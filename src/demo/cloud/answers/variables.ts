import type { Json } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import { remove } from '../removal.ts'
import type { CloudWorld, VariableRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'
import { deploy } from './deployments.ts'

interface Place {
  readonly projectId: string
  readonly environmentId: string
  readonly serviceId?: string | null
  readonly skipDeploys?: boolean | null
}
interface Collection extends Place {
  readonly variables: Readonly<Record<string, Json>>
  readonly replace?: boolean | null
}

/** Those of a service, or the shared ones. */
export function variablesOf(
  { variables }: CloudWorld,
  environmentId: string,
  serviceId: string | null,
): readonly VariableRow[] {
  return variables.filter(
    (each) => each.environmentId === environmentId && each.serviceId === serviceId,
  )
}

/** Sets a variable. Null, or anything that is not a text, takes it away. */
export function setVariable(
  { world, maker }: Access,
  environmentId: string,
  serviceId: string | null,
  name: string,
  value: Json,
): void {
  const row = variablesOf(world, environmentId, serviceId).find((each) => each.name === name)
  if (typeof value !== 'string') remove(world.variables, (each) => each === row)
  else if (row) Object.assign(row, { value, updatedAt: maker.now().toISOString() })
  else world.variables.push({ ...maker.row(), environmentId, serviceId, name, value })
}

export const variables: RootAnswers = {
  variableUpsert: ({ input }: { input: Place & { name: string; value: string } }, access: Access) =>
    changed(input, access, { [input.name]: input.value }),
  variableDelete: ({ input }: { input: Place & { name: string } }, access: Access) =>
    changed(input, access, { [input.name]: null }),
  variableCollectionUpsert: ({ input }: { input: Collection }, access: Access) => {
    check(input, access)
    if (input.replace) {
      const others = new Set(
        variablesOf(access.world, input.environmentId, input.serviceId ?? null),
      )
      remove(access.world.variables, (each) => others.has(each))
    }
    return changed(input, access, input.variables)
  },
}

function changed(place: Place, access: Access, values: Readonly<Record<string, Json>>): boolean {
  check(place, access)
  const { environmentId } = place
  const serviceId = place.serviceId ?? null
  for (const [name, value] of Object.entries(values)) {
    setVariable(access, environmentId, serviceId, name, value)
  }
  if (serviceId !== null && !place.skipDeploys) deploy(access, { environmentId, serviceId })
  return true
}

function check({ environmentId, projectId, serviceId }: Place, access: Access): void {
  access.environment(environmentId, projectId)
  if (serviceId) access.serviceInstance(environmentId, serviceId)
}
