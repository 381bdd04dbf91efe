import { createHash } from 'node:crypto'
import type { CloudWorld, EnvironmentRow } from './world.ts'

/** Every line names one thing that is alive, and enough of it to see a change. Sorted. */
export interface Snapshot {
  readonly environments: readonly string[]
  readonly services: readonly string[]
  readonly deployments: readonly string[]
  readonly variables: readonly string[]
  readonly domains: readonly string[]
  readonly volumes: readonly string[]
  readonly backups: readonly string[]
  readonly staged: readonly string[]
  readonly tokens: readonly string[]
}

type Line = (environment: string, world: CloudWorld, id: string) => readonly string[]

/** What lives in every environment called "production". Values of variables appear as digests only. */
export function snapshotOf(world: CloudWorld): Snapshot {
  const production = world.environments.filter(({ name }) => name === 'production')
  const lines = (line: Line) =>
    production.flatMap((each) => line(pathOf(world, each), world, each.id)).sort()
  return {
    environments: lines((environment) => [environment]),
    services: lines(services),
    deployments: lines(deployments),
    variables: lines(variables),
    domains: lines((at, { domains }, id) =>
      here(domains, id).map(({ domain, port }) => `${at} ${domain}:${port}`),
    ),
    volumes: lines(volumes),
    backups: lines(backups),
    staged: lines((at, { patches }, id) =>
      here(patches, id)
        .filter(({ status }) => status === 'STAGED')
        .map(({ patch }) => `${at} ${digest(JSON.stringify(patch))}`),
    ),
    tokens: lines((at, { projectTokens }, id) =>
      here(projectTokens, id).map(({ name }) => `${at} ${name}`),
    ),
  }
}

const services: Line = (at, world, id) =>
  here(world.serviceInstances, id).map(
    ({ serviceId, settings }) =>
      `${at} ${serviceName(world, serviceId)} ${JSON.stringify(settings)}`,
  )

const deployments: Line = (at, world, id) =>
  here(world.deployments, id)
    .filter(({ status }) => status !== 'REMOVED')
    .map((each) => `${at} ${serviceName(world, each.serviceId)} ${each.id}`)

const variables: Line = (at, world, id) =>
  here(world.variables, id).map(
    ({ serviceId, name, value }) =>
      `${at} ${serviceId === null ? 'shared' : serviceName(world, serviceId)} ${name} ${digest(value)}`,
  )

const volumes: Line = (at, world, id) =>
  here(world.volumeInstances, id).map(
    ({ volumeId, serviceId, mountPath, state, currentSizeMB, restoredFrom }) =>
      `${at} ${volumeName(world, volumeId)} ${currentSizeMB} MB on ${
        serviceId === null ? 'nothing' : serviceName(world, serviceId)
      } at ${mountPath} ${state}${restoredFrom === null ? '' : ` from backup ${restoredFrom}`}`,
  )

const backups: Line = (at, world, id) =>
  here(world.volumeInstances, id).flatMap((instance) =>
    world.backups
      .filter(({ volumeInstanceId }) => volumeInstanceId === instance.id)
      .map(({ name }) => `${at} ${volumeName(world, instance.volumeId)} ${name}`),
  )

function here<R extends { environmentId: string }>(rows: readonly R[], id: string): readonly R[] {
  return rows.filter(({ environmentId }) => environmentId === id)
}

function pathOf(world: CloudWorld, { projectId, name }: EnvironmentRow): string {
  return `${world.projects.find(({ id }) => id === projectId)?.name}/${name}`
}

const serviceName = (world: CloudWorld, id: string) =>
  world.services.find((each) => each.id === id)?.name ?? id
const volumeName = (world: CloudWorld, id: string) =>
  world.volumes.find((each) => each.id === id)?.name ?? id
const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)
