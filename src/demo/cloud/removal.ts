import type { CloudWorld, Row, VolumeInstanceRow } from './world.ts'

/** Takes rows out of a list for good. */
export function remove<R>(rows: R[], gone: (row: R) => boolean): void {
  const kept = rows.filter((row) => !gone(row))
  rows.splice(0, rows.length, ...kept)
}

const idsOf = (rows: readonly Row[]) => new Set(rows.map(({ id }) => id))

/** A volume, its instances in every environment and all their backups. */
export function removeVolume(world: CloudWorld, volumeId: string): void {
  removeVolumeInstances(world, (instance) => instance.volumeId === volumeId)
  remove(world.volumes, ({ id }) => id === volumeId)
}

/** Instances with their backups; a volume that has none left is gone as well. */
export function removeVolumeInstances(
  world: CloudWorld,
  gone: (instance: VolumeInstanceRow) => boolean,
): void {
  const going = world.volumeInstances.filter(gone)
  const ids = idsOf(going)
  remove(world.backups, (backup) => ids.has(backup.volumeInstanceId))
  remove(world.volumeInstances, ({ id }) => ids.has(id))
  for (const { volumeId } of going) {
    const left = world.volumeInstances.some((instance) => instance.volumeId === volumeId)
    if (!left) remove(world.volumes, ({ id }) => id === volumeId)
  }
}

/** Without an environment the service goes everywhere. Its volumes stay, attached to nothing. */
export function removeService(
  world: CloudWorld,
  serviceId: string,
  environmentId: string | null,
): void {
  const gone = (row: { serviceId: string | null; environmentId: string }) =>
    row.serviceId === serviceId && (environmentId === null || row.environmentId === environmentId)
  for (const instance of world.volumeInstances.filter(gone)) instance.serviceId = null
  for (const rows of [world.deployments, world.deploymentTriggers, world.domains]) {
    remove<(typeof rows)[number]>(rows, gone)
  }
  remove(world.variables, gone)
  remove(world.serviceInstances, gone)
  const left = world.serviceInstances.some((instance) => instance.serviceId === serviceId)
  if (!left) remove(world.services, ({ id }) => id === serviceId)
}

export function removeEnvironment(world: CloudWorld, environmentId: string): void {
  const gone = (row: { environmentId: string }) => row.environmentId === environmentId
  for (const { serviceId } of world.serviceInstances.filter(gone)) {
    removeService(world, serviceId, environmentId)
  }
  removeVolumeInstances(world, gone)
  remove(world.variables, gone)
  remove(world.patches, gone)
  remove(world.projectTokens, gone)
  remove(world.environments, ({ id }) => id === environmentId)
}

export function removeProject(world: CloudWorld, projectId: string): void {
  const gone = (row: { projectId: string }) => row.projectId === projectId
  for (const { id } of world.environments.filter(gone)) removeEnvironment(world, id)
  remove(world.services, gone)
  remove(world.volumes, gone)
  remove(world.projects, ({ id }) => id === projectId)
}
