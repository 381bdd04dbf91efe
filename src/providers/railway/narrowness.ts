import type { Narrowness } from '../guard.ts'
import type { NarrownessRequest, World } from '../provider.ts'
import type { Api } from './api/api.ts'
import { railwayCatalogue } from './catalogue/catalogue.ts'
import { tokenKind } from './connection.ts'
import { probe } from './probe.ts'
import { targetFrom } from './target.ts'

/** What of a grant holds, and by whom. Asks Railway only to probe. */
export async function narrowness(
  api: Api,
  { target: json, operations, connection, probe: wanted }: NarrownessRequest,
  world: World,
): Promise<readonly Narrowness[]> {
  const target = targetFrom(json)
  const stored = connection !== null && tokenKind(connection) === 'project'
  const mints = target.projectToken && !stored
  const probed =
    wanted && mints && connection !== null ? await probe(api, connection, target, world) : null
  return [
    ...(probed ?? []),
    ...byProvider(stored, mints, probed),
    ...byProxy(operations.length),
    ...byNobody(),
  ]
}

function byProvider(
  stored: boolean,
  mints: boolean,
  probed: readonly Narrowness[] | null,
): readonly Narrowness[] {
  if (stored) {
    return [
      said('provider', 'the stored project token is limited to one environment of one project'),
    ]
  }
  if (mints && probed?.length === 0) {
    return [
      {
        by: 'nobody',
        message: 'the stored token may not make project tokens: railway itself limits nothing',
        probed: true,
      },
    ]
  }
  if (!mints) {
    return [said('nobody', 'no project token is minted: railway itself limits nothing')]
  }
  return [
    said(
      'provider',
      'each lease has a project token of its own, limited to one environment, for all that is bound to one; it is deleted with the lease',
    ),
    said(
      'nobody',
      'what is about the project as a whole goes with the stored token, as wide as that is',
    ),
  ]
}

function byProxy(operations: number): readonly Narrowness[] {
  const { size } = railwayCatalogue.operations
  return [
    said('proxy', `${operations} of ${size} operations pass, each judged by what its payload does`),
    said(
      'proxy',
      'everything that a request names has to lie in the environment of the lease, with all of its parts',
    ),
    said('proxy', 'fields that show secrets count as secret wherever they stand in a request'),
  ]
}

function byNobody(): readonly Narrowness[] {
  return [
    said('nobody', 'keys for ssh.railway.com: a shell there passes no proxy'),
    said('nobody', 'code that a deployment runs: it has all variables of its environment'),
    said('nobody', 'secrets that were read before: they stay known after the lease'),
    said('nobody', 'changes by others in the moment between a look-up and what depends on it'),
  ]
}

function said(by: Narrowness['by'], message: string): Narrowness {
  return { by, message, probed: false }
}
