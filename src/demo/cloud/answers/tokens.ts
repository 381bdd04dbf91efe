import { type Access, notFound } from '../access.ts'
import { remove } from '../removal.ts'
import type { RootAnswers } from './answer.ts'

interface ForEnvironment {
  readonly projectId: string
  readonly environmentId: string
  readonly name: string
}

/** Making one returns the secret alone: its id has to be found out by name, or by the token itself. */
export const tokens: RootAnswers = {
  projectTokenCreate: ({ input }: { input: ForEnvironment }, access: Access) => {
    access.account()
    const { id, projectId } = access.environment(input.environmentId, input.projectId)
    const token = access.maker.uuid()
    const place = { projectId, environmentId: id }
    access.world.projectTokens.push({ ...access.maker.row(), ...place, name: input.name, token })
    return token
  },
  projectTokenDelete: ({ id }: { id: string }, access: Access) => {
    access.account()
    const rows = access.world.projectTokens
    if (!rows.some((row) => row.id === id)) throw notFound('ProjectToken')
    remove(rows, (row) => row.id === id)
    return true
  },
  apiTokenCreate: (
    { input }: { input: { name: string; workspaceId?: string | null } },
    access: Access,
  ) => {
    const { id: accountId } = access.account().account
    const { workspaceId = null } = input
    if (workspaceId && workspaceId !== access.world.workspace.id) throw notFound('Workspace')
    const token = access.maker.uuid()
    const row = { ...access.maker.row(), name: input.name, token, accountId, workspaceId }
    access.world.apiTokens.push(row)
    return token
  },
  apiTokenDelete: ({ id }: { id: string }, access: Access) => {
    const { account } = access.account()
    const own = access.world.apiTokens.find((row) => row.id === id && row.accountId === account.id)
    if (!own) throw notFound('ApiToken')
    remove(access.world.apiTokens, (row) => row === own)
    return true
  },
}
