import type { Maker } from './maker.ts'
import type {
  ApiTokenRow,
  CloudWorld,
  DeploymentRow,
  DomainRow,
  EnvironmentRow,
  ProjectRow,
  ProjectTokenRow,
  Row,
  ServiceInstanceRow,
  ServiceRow,
  VolumeInstanceRow,
  VolumeRow,
} from './world.ts'

export function emptyWorld(maker: Maker): CloudWorld {
  return {
    workspace: { id: maker.uuid(), name: 'Shop Ltd' },
    accounts: [],
    apiTokens: [],
    projectTokens: [],
    projects: [],
    environments: [],
    services: [],
    serviceInstances: [],
    deployments: [],
    deploymentTriggers: [],
    variables: [],
    domains: [],
    volumes: [],
    volumeInstances: [],
    backups: [],
    patches: [],
    uploads: [],
  }
}

/** Puts things into a world, each from what it belongs to. */
export class Furnisher {
  readonly #world: CloudWorld
  readonly #maker: Maker

  constructor(world: CloudWorld, maker: Maker) {
    this.#world = world
    this.#maker = maker
  }

  /** An account; returned is its one token, which opens everything. */
  account(name: string, email: string, tokenName: string): ApiTokenRow {
    const { id: accountId } = this.#put(this.#world.accounts, { name, email })
    const token = this.#maker.uuid()
    const rest = { name: tokenName, token, accountId, workspaceId: null }
    return this.#put(this.#world.apiTokens, rest)
  }

  project(name: string): ProjectRow {
    return this.#put(this.#world.projects, { name, workspaceId: this.#world.workspace.id })
  }

  environment(project: ProjectRow, name: string, fork = false): EnvironmentRow {
    const rest = { name, projectId: project.id, sourceEnvironmentId: null, fork }
    return this.#put(this.#world.environments, rest)
  }

  service(project: ProjectRow, name: string): ServiceRow {
    return this.#put(this.#world.services, { name, projectId: project.id })
  }

  /** A running instance: with a deployment that succeeded. */
  instance(service: ServiceRow, environment: EnvironmentRow): ServiceInstanceRow {
    const place = { serviceId: service.id, environmentId: environment.id }
    this.#put(this.#world.deployments, { ...place, status: 'SUCCESS' })
    const settings = { startCommand: 'npm start', numReplicas: 1 }
    return this.#put(this.#world.serviceInstances, { ...place, settings })
  }

  deploymentOf({ serviceId, environmentId }: ServiceInstanceRow): DeploymentRow {
    const found = this.#world.deployments.find(
      (each) => each.serviceId === serviceId && each.environmentId === environmentId,
    )
    if (!found) throw new TypeError('the instance has no deployment')
    return found
  }

  volume(project: ProjectRow, name: string): VolumeRow {
    return this.#put(this.#world.volumes, { name, projectId: project.id })
  }

  mounted(
    volume: VolumeRow,
    environment: EnvironmentRow,
    service: ServiceRow,
    mountPath: string,
    backups: readonly string[],
  ): VolumeInstanceRow {
    const instance = this.#put(this.#world.volumeInstances, {
      volumeId: volume.id,
      environmentId: environment.id,
      serviceId: service.id,
      mountPath,
      state: 'READY',
      sizeMB: 5000,
      currentSizeMB: 1204,
      restoredFrom: null,
    })
    for (const name of backups) {
      this.#put(this.#world.backups, { name, volumeInstanceId: instance.id })
    }
    return instance
  }

  domain(
    kind: DomainRow['kind'],
    service: ServiceRow,
    environment: EnvironmentRow,
    domain: string,
    port: number,
  ): DomainRow {
    const place = { serviceId: service.id, environmentId: environment.id }
    return this.#put(this.#world.domains, { kind, ...place, domain, port })
  }

  trigger(service: ServiceRow, environment: EnvironmentRow, repository: string, branch: string) {
    const place = { serviceId: service.id, environmentId: environment.id }
    this.#put(this.#world.deploymentTriggers, { ...place, repository, branch })
  }

  variable(
    environment: EnvironmentRow,
    service: ServiceRow | null,
    name: string,
    value: string,
  ): void {
    const place = { environmentId: environment.id, serviceId: service?.id ?? null }
    this.#put(this.#world.variables, { ...place, name, value })
  }

  token(name: string, environment: EnvironmentRow): ProjectTokenRow {
    const place = { projectId: environment.projectId, environmentId: environment.id }
    return this.#put(this.#world.projectTokens, { ...place, name, token: this.#maker.uuid() })
  }

  #put<R extends Row>(rows: R[], rest: Omit<R, 'id' | 'createdAt' | 'updatedAt'>): R {
    const row = { ...this.#maker.row(), ...rest } as R
    rows.push(row)
    return row
  }
}
