import type { Access } from '../access.ts'
import { removeEnvironment, removeProject } from '../removal.ts'
import type { EnvironmentRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'
import { deploy } from './deployments.ts'

interface Create {
  readonly projectId: string
  readonly name: string
  readonly sourceEnvironmentId?: string | null
  readonly skipInitialDeploys?: boolean | null
}

export const environments: RootAnswers = {
  environmentCreate: ({ input }: { input: Create }, access: Access) => {
    access.account()
    const { id: projectId } = access.project(input.projectId)
    const source = input.sourceEnvironmentId
      ? access.environment(input.sourceEnvironmentId, projectId)
      : null
    const environment = {
      ...access.maker.row(),
      ...{ projectId, name: input.name, sourceEnvironmentId: source?.id ?? null },
      // Which copies count as forks is not documented; taken here as the worst: none does.
      fork: false,
    }
    access.world.environments.push(environment)
    if (source) clone(source, environment, !input.skipInitialDeploys, access)
    return environment
  },
  environmentDelete: ({ id }: { id: string }, access: Access) => {
    access.account()
    removeEnvironment(access.world, access.environment(id).id)
    return true
  },
  projectDelete: ({ id }: { id: string }, access: Access) => {
    access.account()
    removeProject(access.world, access.project(id).id)
    return true
  },
}

/** Services, variables with their values, and the volumes: each a new, empty instance of the same one. */
function clone(from: EnvironmentRow, to: EnvironmentRow, deploys: boolean, access: Access): void {
  const { world, maker } = access
  const copies = <R extends { environmentId: string }>(rows: readonly R[]): R[] =>
    rows
      .filter(({ environmentId }) => environmentId === from.id)
      .map((row) => ({ ...row, ...maker.row(), environmentId: to.id }))
  const instances = copies(world.serviceInstances)
  world.serviceInstances.push(...instances)
  world.variables.push(...copies(world.variables))
  const empty = { currentSizeMB: 0, restoredFrom: null }
  world.volumeInstances.push(
    ...copies(world.volumeInstances).map((instance) => ({ ...instance, ...empty })),
  )
  if (deploys) for (const instance of instances) deploy(access, instance)
}
