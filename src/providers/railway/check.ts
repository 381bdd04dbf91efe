import { BrokerError } from '../../errors.ts'
import type { Connection, Finding, World } from '../provider.ts'
import { objectAt, textAt } from './api/answer.ts'
import type { Api, Asking } from './api/api.ts'
import { type Ask, field, paged, readCells } from './api/cells.ts'
import { isDefinite } from './api/failure.ts'
import { type Caller, callerOf, type TokenHeader, tokenKind } from './connection.ts'
import { reachableProjects } from './lookup/reachable.ts'

/**
 * Asks the API what a token is and says plainly what it reaches. Names come from Railway and are
 * quoted; the token is not. Throws `provider_failed` where it is refused.
 */
export async function check(
  api: Api,
  connection: Connection,
  world: World,
): Promise<readonly Finding[]> {
  const caller = callerOf(connection)
  const asking: Asking = { signal: world.signal, now: world.now }
  const ask: Ask = (query) => api.ask(caller, query, asking)
  try {
    if (caller.header === 'project-access-token') return await checkProjectToken(ask)
    const owner = tokenKind(connection) === 'account' ? await ownerOf(ask) : null
    return [whose(owner), ...(await checkReach(ask, caller))]
  } catch (error) {
    if (isDefinite(error)) throw await explained(api, caller, asking, error)
    throw error
  }
}

async function checkProjectToken(ask: Ask): Promise<readonly Finding[]> {
  const data = await ask('query{projectToken{name project{name} environment{name}}}')
  const token = objectAt(data, 'projectToken')
  const [project, environment] = ['project', 'environment'].map((key) =>
    quoted(textAt(objectAt(token, key), 'name')),
  )
  return [
    {
      level: 'ok',
      message: `project token ${quoted(textAt(token, 'name'))}: environment ${environment} of project ${project} and nothing else`,
      hint: null,
    },
    {
      level: 'note',
      message:
        'it sees no other environment, so whatever several environments share is refused, volumes and services as a whole among them',
      hint: 'store an account or workspace token to have these looked up',
    },
  ]
}

/** Null: a workspace token, which may not ask who it is. */
async function ownerOf(ask: Ask): Promise<string | null> {
  const [found] = await readCells(ask, [{ of: 'me', path: [], field: () => 'me{name email}' }])
  const me = found?.nodes[0]
  return me ? (textAt(me, 'name') ?? textAt(me, 'email')) : null
}

function whose(owner: string | null): Finding {
  const message = owner === null ? 'workspace token' : `account token of ${quoted(owner)}`
  return { level: 'ok', message, hint: null }
}

async function checkReach(ask: Ask, caller: Caller): Promise<readonly Finding[]> {
  const projects = await reachableProjects(ask, caller)
  if (projects.length === 0) {
    return [
      {
        level: 'problem',
        message: 'it reaches no project',
        hint: 'make a token for the workspace that has the project',
      },
    ]
  }
  const found = await readCells(
    ask,
    projects.map(({ id }) => ({
      of: id,
      path: ['environments'],
      field: (after) =>
        `${field('project', { id })}{${field('environments', { after })}${paged('id')}}`,
    })),
  )
  const environments = found.reduce((sum, { nodes }) => sum + nodes.length, 0)
  const reach = `${count(projects.length, 'project')}, ${count(environments, 'environment')}`
  return [
    {
      level: projects.length + environments > 2 ? 'warning' : 'note',
      message: `reaches ${reach}, and can delete all of them with their volumes and backups`,
      hint: 'railway has no narrower token that can do more than one environment: the proxy stands before this one; for a single environment store a project token (--set token=project)',
    },
  ]
}

/** The same token in the other header: then only the setting is wrong. */
async function explained(
  api: Api,
  caller: Caller,
  asking: Asking,
  error: unknown,
): Promise<unknown> {
  const header: TokenHeader =
    caller.header === 'authorization' ? 'project-access-token' : 'authorization'
  const probe = header === 'authorization' ? `projects${paged('id')}` : 'projectToken{id}'
  try {
    await api.ask({ ...caller, header }, `query{${probe}}`, asking)
  } catch {
    return error
  }
  const kind = header === 'authorization' ? 'an account or workspace token' : 'a project token'
  const setting =
    header === 'authorization' ? 'leave out --set token=project' : '--set token=project'
  return new BrokerError('provider_failed', `the secret of "${caller.connection}" is ${kind}`, {
    hint: `connect it again: ${setting}`,
    details: { connection: caller.connection, reason: 'refused' },
    cause: error,
  })
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** Other people choose these names: nothing in them may reach a terminal as it is. */
function quoted(name: string | null): string {
  return name === null ? '(no name)' : JSON.stringify(name.replace(/\p{C}/gu, '?').slice(0, 100))
}
