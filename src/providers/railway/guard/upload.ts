import type { Classified, EnvironmentSource, RequestFacts, Resource } from '../../../core/guard.ts'
import { malformed, quote, unknown } from '../../../core/refused.ts'
import { riskOf, UPLOAD } from '../catalogue/catalogue.ts'
import { isId } from './environment.ts'
import { headerOf } from './headers.ts'

const PATH = /^\/project\/([^/]+)\/environment\/([^/]+)\/up$/
const VALUE = /^[\w.~!*'()+-]*(?:%[0-9A-Fa-f]{2}[\w.~!*'()+-]*)*$/
const PARAMETERS: ReadonlySet<string> = new Set(['serviceId', 'message'])

export function isUpload(path: string): boolean {
  return PATH.test(path)
}

/**
 * `POST /project/{project}/environment/{environment}/up`: a packed source tree that is built and run.
 * Path and query say where; the tree itself is not looked at.
 */
export function judgeUpload(request: RequestFacts): Classified {
  if (request.method !== 'POST') throw unknown(`this method of ${quote(UPLOAD)}`, UPLOAD)
  if (headerOf(request, 'upgrade') !== null) throw malformed('an upload cannot be upgraded')
  const [, project = '', environment = ''] = PATH.exec(request.path) ?? []
  const service = readQuery(request.query).get('serviceId')
  const named = [
    { kind: 'environment', id: environment },
    { kind: 'project', id: project },
    ...(service === undefined ? [] : [{ kind: 'service', id: service }]),
  ]
  // No escapes in ids: what is one path to us must not be another to the server.
  if (!named.every(({ id }) => isId(id))) throw malformed('the path of an upload names no ids')
  return {
    outcome: 'classified',
    operations: [
      {
        name: UPLOAD,
        risk: riskOf(UPLOAD),
        resources: named,
        environments: named.map(sourceOf),
      },
    ],
    needs: [],
    forward: { kind: 'stream' },
  }
}

function sourceOf(resource: Resource): EnvironmentSource {
  if (resource.kind === 'environment') return { from: 'argument', id: resource.id }
  return { from: 'lookup', resource, match: 'project' }
}

function readQuery(query: string | null): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const part of (query ?? '').split('&').filter(Boolean)) {
    const [name = '', value = '', ...more] = part.split('=')
    if (!PARAMETERS.has(name)) throw malformed(`parameter ${quote(name)} is not accepted`)
    if (found.has(name)) throw malformed(`parameter ${quote(name)} stands twice`)
    if (more.length > 0 || !VALUE.test(value))
      throw malformed(`parameter ${quote(name)} is not well formed`)
    found.set(name, value)
  }
  return found
}
