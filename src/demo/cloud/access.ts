import { GraphQLError } from 'graphql'
import type { Caller } from './caller.ts'
import type { Maker } from './maker.ts'
import type {
  AccountRow,
  CloudWorld,
  DeploymentRow,
  EnvironmentRow,
  ProjectRow,
  Row,
  ServiceInstanceRow,
  ServiceRow,
  VolumeInstanceRow,
  VolumeRow,
} from './world.ts'

/**
 * What a project token may do with a thing that lies only partly in its environment (a volume or a
 * service that other environments use as well). Railway does not say. `environment`: nothing.
 * `shared`: everything, the worst that could be.
 */
export type ProjectTokenReach = 'environment' | 'shared'

export const notAuthorized = () => new GraphQLError('Not Authorized')
export const notFound = (what: string) => new GraphQLError(`${what} not found`)

/**
 * The world as one caller may touch it. Every method fails with "… not found" for an unknown id and
 * with "Not Authorized" for what exists and is not the caller's.
 *
 * Assumed of project tokens: they read and change the things of their own environment and see the
 * names of their project, its services and its volumes as far as these are in that environment.
 * They manage no environments, projects or tokens.
 */
export class Access {
  readonly world: CloudWorld
  readonly maker: Maker
  readonly #caller: Caller | null
  readonly #reach: ProjectTokenReach

  constructor(world: CloudWorld, maker: Maker, caller: Caller | null, reach: ProjectTokenReach) {
    this.world = world
    this.maker = maker
    this.#caller = caller
    this.#reach = reach
  }

  /** Somebody at all. */
  anyone(): Caller {
    if (!this.#caller) throw notAuthorized()
    return this.#caller
  }

  /** What only accounts may: projects, environments, tokens. */
  account(): Extract<Caller, { kind: 'account' }> {
    const caller = this.anyone()
    if (caller.kind !== 'account') throw notAuthorized()
    return caller
  }

  /** Who this is. Tokens of a workspace cannot ask. */
  me(): AccountRow {
    const { account, token } = this.account()
    if (token.workspaceId !== null) throw notAuthorized()
    return account
  }

  /** True where the environment is the caller's. Lists leave out the others without a word. */
  sees(environmentId: string): boolean {
    const caller = this.anyone()
    return caller.kind === 'account' || caller.token.environmentId === environmentId
  }

  project(id: string): ProjectRow {
    const project = this.#find('Project', this.world.projects, id)
    const caller = this.anyone()
    if (caller.kind === 'project' && caller.token.projectId !== id) throw notAuthorized()
    return project
  }

  /** Given a project, the environment has to be one of its. */
  environment(id: string, projectId?: string | null): EnvironmentRow {
    const environment = this.#find('Environment', this.world.environments, id)
    if (!this.sees(id)) throw notAuthorized()
    if (projectId && projectId !== environment.projectId) throw notFound('Environment')
    return environment
  }

  environmentsOf(projectId: string): readonly EnvironmentRow[] {
    return this.world.environments.filter(
      (each) => each.projectId === projectId && this.sees(each.id),
    )
  }

  servicesOf(projectId: string): readonly ServiceRow[] {
    return this.world.services.filter(
      (each) => each.projectId === projectId && this.#seesSome(this.instancesOf(each.id)),
    )
  }

  volumesOf(projectId: string): readonly VolumeRow[] {
    return this.world.volumes.filter(
      (each) => each.projectId === projectId && this.#seesSome(this.mountsOf(each.id)),
    )
  }

  service(id: string): ServiceRow {
    const service = this.#find('Service', this.world.services, id)
    this.#some(this.instancesOf(id), service.projectId)
    return service
  }

  /** A service with everything it has anywhere. */
  wholeService(id: string): ServiceRow {
    const service = this.service(id)
    this.all(this.instancesOf(id))
    return service
  }

  instancesOf(serviceId: string): readonly ServiceInstanceRow[] {
    return this.world.serviceInstances.filter((instance) => instance.serviceId === serviceId)
  }

  /**
   * The environments that something done to a service reaches where it names this one, in the
   * schema's own words: a fork alone, or else all environments of the project that are no forks.
   */
  reachedBy(environmentId: string): readonly EnvironmentRow[] {
    const named = this.environment(environmentId)
    if (named.fork) return [named]
    return this.world.environments.filter(
      ({ projectId, fork }) => projectId === named.projectId && !fork,
    )
  }

  /** The instances reached so; without an environment, all there are. */
  reachedInstances(serviceId: string, environmentId: string | null): readonly ServiceInstanceRow[] {
    if (environmentId === null) return this.instancesOf(this.wholeService(serviceId).id)
    const places = new Set(this.reachedBy(environmentId).map(({ id }) => id))
    this.#find('Service', this.world.services, serviceId)
    const found = this.instancesOf(serviceId).filter((each) => places.has(each.environmentId))
    if (found.length === 0) throw notFound('ServiceInstance')
    this.all(found)
    return found
  }

  serviceInstance(environmentId: string, serviceId: string): ServiceInstanceRow {
    this.environment(environmentId)
    this.#find('Service', this.world.services, serviceId)
    const found = this.instancesOf(serviceId).find((each) => each.environmentId === environmentId)
    if (!found) throw notFound('ServiceInstance')
    return found
  }

  deployment(id: string): DeploymentRow {
    return this.#own(this.#find('Deployment', this.world.deployments, id))
  }

  volume(id: string): VolumeRow {
    const volume = this.#find('Volume', this.world.volumes, id)
    this.#some(this.mountsOf(id), volume.projectId)
    return volume
  }

  /** A volume with its data in every environment. */
  wholeVolume(id: string): VolumeRow {
    const volume = this.volume(id)
    this.all(this.mountsOf(id))
    return volume
  }

  mountsOf(volumeId: string): readonly VolumeInstanceRow[] {
    return this.world.volumeInstances.filter((instance) => instance.volumeId === volumeId)
  }

  volumeInstance(id: string): VolumeInstanceRow {
    return this.#own(this.#find('VolumeInstance', this.world.volumeInstances, id))
  }

  #find<R extends Row>(what: string, rows: readonly R[], id: string): R {
    this.anyone()
    const found = rows.find((row) => row.id === id)
    if (!found) throw notFound(what)
    return found
  }

  #own<R extends { environmentId: string }>(row: R): R {
    if (!this.sees(row.environmentId)) throw notAuthorized()
    return row
  }

  #some(parts: readonly { environmentId: string }[], projectId: string): void {
    this.project(projectId)
    if (!this.#seesSome(parts)) throw notAuthorized()
  }

  #seesSome(parts: readonly { environmentId: string }[]): boolean {
    if (this.anyone().kind === 'account') return true
    return parts.some(({ environmentId }) => this.sees(environmentId))
  }

  /** Fails where a part lies outside the caller's own environment, unless project tokens reach so far. */
  all(parts: readonly { environmentId: string }[]): void {
    if (this.#reach === 'shared') return
    if (!parts.every(({ environmentId }) => this.sees(environmentId))) throw notAuthorized()
  }
}
