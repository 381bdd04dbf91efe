import type { JsonObject } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import { remove, removeService, removeVolume } from '../removal.ts'
import type { EnvironmentRow, Row, ServiceInstanceRow } from '../world.ts'
import { deploy } from './deployments.ts'
import { type Entry, entriesOf, isGone, objectOf } from './patch-entries.ts'
import { setVariable } from './variables.ts'

/**
 * Does what an `EnvironmentConfig` says: services, their settings, variables, domains and mounts,
 * shared variables, volumes. `isDeleted` and null delete. How far a deleted volume goes is not
 * documented; taken here as the worst: it goes everywhere, as with `volumeDelete`.
 * Buckets and networks are not held here; what a patch says of them changes nothing.
 */
export function applyPatch(
  access: Access,
  environment: EnvironmentRow,
  patch: JsonObject,
  deploys: boolean,
): void {
  const services = entriesOf(patch['services'])
  const volumes = entriesOf(patch['volumes'])
  // All of it or nothing: every id is looked up before anything changes.
  for (const entry of services) checkService(access, environment, entry)
  for (const entry of volumes) checkVolume(access, entry)
  for (const [id, value] of services) {
    if (isGone(value)) removeService(access.world, id, environment.id)
    else changeService(access, environment, id, value ?? {}, deploys)
  }
  for (const [name, value] of entriesOf(patch['sharedVariables'])) {
    changeVariable(access, environment.id, null, name, value)
  }
  for (const [id, value] of volumes) {
    if (isGone(value)) removeVolume(access.world, id)
    else changeVolume(access, environment, id, value ?? {})
  }
}

function checkService(access: Access, environment: EnvironmentRow, [id, value]: Entry): void {
  if (!isNew(access.world.services, id, value)) access.serviceInstance(environment.id, id)
  for (const [volumeId] of entriesOf(value?.['volumeMounts'])) access.volume(volumeId)
}

function checkVolume(access: Access, [id, value]: Entry): void {
  if (isGone(value)) access.wholeVolume(id)
  else if (!isNew(access.world.volumes, id, value)) access.volume(id)
}

function changeService(
  access: Access,
  environment: EnvironmentRow,
  id: string,
  value: JsonObject,
  deploys: boolean,
): void {
  const instance = isNew(access.world.services, id, value)
    ? newService(access, environment, id, value)
    : access.serviceInstance(environment.id, id)
  const source = value['source'] === undefined ? {} : { source: value['source'] }
  instance.settings = {
    ...instance.settings,
    ...objectOf(value['build']),
    ...objectOf(value['deploy']),
    ...source,
  }
  for (const [name, entry] of entriesOf(value['variables'])) {
    changeVariable(access, environment.id, id, name, entry)
  }
  for (const group of Object.values(objectOf(value['networking']))) {
    for (const [key, entry] of entriesOf(group)) if (isGone(entry)) unlist(access, instance, key)
  }
  for (const [volumeId, entry] of entriesOf(value['volumeMounts'])) {
    mount(access, instance, volumeId, entry)
  }
  if (deploys) deploy(access, instance)
}

function newService(
  { world, maker }: Access,
  { id: environmentId, projectId }: EnvironmentRow,
  id: string,
  value: JsonObject,
): ServiceInstanceRow {
  world.services.push({ ...maker.row(), id, projectId, name: nameOf(value, id) })
  const instance = { ...maker.row(), serviceId: id, environmentId, settings: {} }
  world.serviceInstances.push(instance)
  return instance
}

function changeVariable(
  access: Access,
  environmentId: string,
  serviceId: string | null,
  name: string,
  entry: Entry[1],
): void {
  const value = entry?.['value']
  if (isGone(entry)) setVariable(access, environmentId, serviceId, name, null)
  else if (typeof value === 'string') setVariable(access, environmentId, serviceId, name, value)
}

/** A domain or a raw port, by its id, its name or its number. */
function unlist({ world }: Access, instance: ServiceInstanceRow, key: string): void {
  const { serviceId, environmentId } = instance
  remove(
    world.domains,
    (each) =>
      each.serviceId === serviceId &&
      each.environmentId === environmentId &&
      [each.id, each.domain, String(each.port)].includes(key),
  )
}

function mount(access: Access, instance: ServiceInstanceRow, volumeId: string, entry: Entry[1]) {
  const { environmentId, serviceId } = instance
  const mounts = access.mountsOf(access.volume(volumeId).id)
  for (const mounted of mounts.filter((each) => each.environmentId === environmentId)) {
    mounted.serviceId = isGone(entry) ? null : serviceId
    const path = entry?.['mountPath']
    if (typeof path === 'string') mounted.mountPath = path
  }
}

function changeVolume(
  { world, maker }: Access,
  { id: environmentId, projectId }: EnvironmentRow,
  id: string,
  value: JsonObject,
): void {
  const path = value['mountPath']
  const mountPath = typeof path === 'string' ? path : '/data'
  if (isNew(world.volumes, id, value)) {
    world.volumes.push({ ...maker.row(), id, projectId, name: nameOf(value, id) })
    world.volumeInstances.push({
      ...maker.row(),
      ...{ volumeId: id, environmentId, serviceId: null, mountPath, state: 'READY' },
      ...{ sizeMB: 5000, currentSizeMB: 0, restoredFrom: null },
    })
  } else if (typeof path === 'string') {
    for (const each of world.volumeInstances) {
      if (each.volumeId === id && each.environmentId === environmentId) each.mountPath = path
    }
  }
}

const nameOf = ({ name }: JsonObject, otherwise: string) =>
  typeof name === 'string' ? name : otherwise
/** Said to be new, and so it is: what exists already is changed, not made again. */
function isNew(rows: readonly Row[], id: string, value: JsonObject | null): boolean {
  return value?.['isCreated'] === true && !isGone(value) && !rows.some((row) => row.id === id)
}
