import type { JsonObject } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import type { CloudWorld, PatchRow } from '../world.ts'
import { variablesOf } from './variables.ts'

/** What an environment consists of, in the form of a patch. Values only where `decrypt` is asked. */
export function configOf(world: CloudWorld, environmentId: string, decrypt: boolean): JsonObject {
  const here = (row: { environmentId: string }) => row.environmentId === environmentId
  const variables = (serviceId: string | null) =>
    Object.fromEntries(
      variablesOf(world, environmentId, serviceId).map(({ name, value }) => [
        name,
        { value: decrypt ? value : '*****' },
      ]),
    )
  const instances = world.serviceInstances.filter(here)
  const volumes = world.volumeInstances.filter(here)
  return {
    services: Object.fromEntries(
      instances.map(({ serviceId, settings }) => [
        serviceId,
        { deploy: settings, variables: variables(serviceId) },
      ]),
    ),
    sharedVariables: variables(null),
    volumes: Object.fromEntries(
      volumes.map(({ volumeId, mountPath, sizeMB }) => [volumeId, { mountPath, sizeMB }]),
    ),
  }
}

/** The changes that wait in an environment; an empty patch where nothing does. */
export function stagedPatch({ world, maker }: Access, environmentId: string): PatchRow {
  const found = world.patches.find(
    (each) => each.environmentId === environmentId && each.status === 'STAGED',
  )
  return found ?? { ...maker.row(), environmentId, status: 'STAGED', patch: {}, message: null }
}
