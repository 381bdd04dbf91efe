import { createHash } from 'node:crypto'
import type { Classified, RequestFacts, Verdict } from '../../../core/guard.ts'
import { BrokerError } from '../../../errors.ts'
import type { Json } from '../../../lib/json.ts'
import type { Guard, Question } from '../../guard.ts'
import { objectAt } from '../api/answer.ts'
import type { Api } from '../api/api.ts'
import { field } from '../api/cells.ts'
import {
  callerOf,
  credentialField,
  isElsewhere,
  originOf,
  type TokenHeader,
  tokenKind,
} from '../connection.ts'
import { locate } from '../lookup/locate.ts'
import type { Places } from '../lookup/places.ts'
import { uuidOf } from '../phantom.ts'
import { targetFrom } from '../target.ts'
import { answerToken } from './answer-token.ts'
import { classifyMessage, messageError } from './channel.ts'
import { classify, RAILWAY_HOSTS } from './classify.ts'
import { LIMITS } from './limits.ts'
import { withStagedPatch } from './staged.ts'
import { mintedSuffices } from './suffices.ts'
import { isUpload } from './upload.ts'

/** How requests to Railway's API are judged at the proxy. */
export function createGuard(api: Api, places: Places): Guard {
  return {
    hosts: RAILWAY_HOSTS,
    carriers: [
      { header: 'authorization', scheme: 'bearer' },
      { header: 'project-access-token', scheme: 'raw' },
    ],
    // Also where nothing is served to a task: its clients look for the refusal in the same place.
    graphql: ({ path }) => path.startsWith('/graphql/'),
    inspect,
    classify,
    classifyMessage,
    messageError,
    place: (target) => {
      const { project, environment } = targetFrom(target)
      return { project, environment }
    },
    locate: async (resource, question) => locate(places.look(question), resource),
    settle: (classified, question) => settle(api, classified, question),
    answer: (_request, classified, question) => answer(places, classified, question),
    inject: ({ secret, kind, connection }) => {
      const stored = kind === 'connection' && tokenKind(connection) !== 'project'
      const header: TokenHeader = stored ? 'authorization' : 'project-access-token'
      return [credentialField(header, secret)]
    },
    upstream: (connection, host) => {
      if (!RAILWAY_HOSTS.includes(host)) throw foreignHost()
      const chosen = isElsewhere(connection)
      const origin = chosen ? originOf(connection) : `https://${host}`
      return { origin, ca: connection.ca ?? null, chosen }
    },
    mintedSuffices,
  }
}

/** Uploads are told by their path, and an upgrade has no body. */
function inspect({ path, headers }: RequestFacts): number | null {
  if (isUpload(path) || headers.some(([name]) => name.toLowerCase() === 'upgrade')) return null
  return LIMITS.bodyBytes
}

/**
 * Reads what is staged, with the values in clear: they are committed again as they are. The text is
 * held for this one request and goes nowhere but into it.
 */
async function settle(api: Api, classified: Classified, question: Question): Promise<Verdict> {
  const [need] = classified.needs
  if (!need) return classified
  const { connection, world } = question
  const changes = field('environmentStagedChanges', { environmentId: need.environment })
  const data = await api.ask(
    callerOf(connection),
    `query{${changes}{patch(decryptVariables:true)}}`,
    world,
  )
  const patch: Json = objectAt(data, 'environmentStagedChanges')['patch'] ?? null
  return withStagedPatch(classified, patch)
}

function answer(
  places: Places,
  { operations, forward }: Classified,
  question: Question,
): Promise<string> | null {
  if (forward.kind !== 'body') return null
  if (!operations.some(({ name }) => name === 'projectToken')) return null
  const { project, environment } = targetFrom(question.target)
  const index = async () => (await places.look(question).index(null, false)).value
  return answerToken(forward.text, {
    // Made up, but the same whenever it is asked for: the token that really goes is not shown.
    id: uuidOf(createHash('sha256').update(`token ${project} ${environment}`).digest()),
    name: 'broker',
    createdAt: new Date(question.world.now()).toISOString(),
    projectId: project,
    environmentId: environment,
    project: { id: project, name: async () => (await index()).project.name },
    environment: {
      id: environment,
      projectId: project,
      name: async () =>
        (await index()).environments.find(({ id }) => id === environment)?.name ?? null,
    },
  })
}

function foreignHost(): BrokerError {
  return new BrokerError('internal', 'railway was asked for a host that is not its own', {
    hint: 'this is a fault of the broker: please report it',
  })
}
